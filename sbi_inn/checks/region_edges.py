"""Check whether a refined posterior is cut off by the region that it was refined in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from sbi_inn.checks.kind import CheckKind, Need
from sbi_inn.checks.phrases import percent
from sbi_inn.checks.record import Finding, Limits, Record, corrected
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.plots.panels import figure_of, single_panel
from sbi_inn.plots.style import COLOURS, DASHES, DOUBLE_COLUMN_MM, GREY, Canvas
from sbi_inn.prior import Prior
from sbi_inn.prior.box import Box
from sbi_inn.typing import FloatArray

DRAWS = 4_000
EDGE = 0.02  # share of the region's width that counts as its edge, at either end of an axis
OUTSIDE = 1e-3  # share of the draws that a region of the right size has there, at most

# A region that the posterior fills evenly has 2 % of the draws at each edge.
AT_AN_EDGE = Limits("share of the draws at an edge", caution=0.005, distrust=0.015)

NOT_REFINED = "the posterior was not refined"


@dataclass(frozen=True, repr=False)
class RegionEdges(Record):
    """How many draws lie at the edges of the region that `refine` bounded.

    Attributes
    ----------
    shares : array, shape (axes, 2)
        Of the draws, at the lower and the upper end of each axis of the region.
    names : tuple of str
        The parameter that each axis is closest to.
    n : int
        Number of draws.
    """

    shares: FloatArray
    names: tuple[str, ...]
    n: int

    remedy = "Refine the posterior before again, with more simulations, or use it as it is."

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The fullest edge of each axis."""
        found = []
        for name, shares in zip(self.names, self.shares, strict=True):
            share = float(shares.max())
            p_value = float(stats.binom.sf(round(share * self.n) - 1, self.n, OUTSIDE))
            words = (
                f"the region that refine bounded cuts the posterior off: {percent(share)} of the "
                f"draws lie at an edge of it, mostly along {name}"
            )
            error = float(np.sqrt(share * (1 - share) / self.n))
            p_value = corrected(p_value, self.shares.size)
            found.append(Finding(share, error, AT_AN_EDGE, p_value, words))
        return tuple(found)

    @property
    def well(self) -> str:
        """What to say where all is well."""
        return "the region that refine bounded does not cut the posterior off"

    @property
    def table(self) -> pd.DataFrame:
        """One row an axis of the region: shares of the draws at its lower and upper end."""
        index = pd.Index(self.names, name="mostly along")
        return pd.DataFrame(self.shares, columns=["lower_end", "upper_end"], index=index)

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Plot the share of the draws at each end of each axis, beside the limits."""
        rows = np.arange(len(self.names))
        ends = zip(("lower end", "upper end"), "<>", (-0.1, 0.1), self.shares.T, strict=True)
        with single_panel(None, fig, width_mm, (0.6, 0.35)) as (ax, _):
            for label, marker, shift, shares in ends:
                ax.plot(100 * shares, rows + shift, marker, color=COLOURS[0], label=label)
            limits = {"caution": AT_AN_EDGE.caution, "do not trust": AT_AN_EDGE.distrust}
            for (name, limit), dash in zip(limits.items(), (DASHES[2], DASHES[1]), strict=True):
                ax.axvline(100 * limit, color=GREY, linestyle=dash, linewidth=0.8, label=name)
            ax.set_yticks(rows, labels=self.names)
            ax.set_ylim(len(rows) - 0.5, -0.5)
            ax.set_xlabel("draws at an edge of the region [%]")
            ax.legend(loc="best")
        return figure_of(ax)


def check_edges(here: Here) -> RegionEdges:
    """Count draws at the edges of the region; discrete parameters have none."""
    subject = here.subject
    prior = subject.sampler.prior
    box = prior.box
    assert box is not None
    drawn = subject.sampler.draw(here.observation, DRAWS, subject.rng())[0]
    whole = prior.whole
    at_ends = box.at_ends(whole.to_latent(whole.unflatten(drawn)), EDGE).mean(axis=1).T
    discrete = abs(box.axes[whole.discrete_latents]).max(axis=0, initial=0.0) > 0
    kept = np.flatnonzero(~discrete)
    names = _closest(whole, box)
    return RegionEdges(at_ends[kept], tuple(names[i] for i in kept), DRAWS)


def _closest(prior: Prior, box: Box) -> list[str]:
    """Name for each axis the parameter whose latents it is closest to."""
    weights = {
        name: np.square(box.axes[prior.latents_of([name])]).sum(axis=0) for name in prior.names
    }
    names = list(weights)
    return [names[i] for i in np.argmax(list(weights.values()), axis=0)]


def _why_not(subject: Subject) -> str:
    return NOT_REFINED if subject.sampler.prior.box is None else ""


REGION_EDGES = CheckKind(
    name="edges of the region",
    question="Does the region that refine bounded cut the posterior off?",
    explanation="A region that is right leaves room around the posterior at your observation.",
    run=check_edges,
    needs=(Need("a refined posterior", _why_not),),
    at_observation=True,
)
