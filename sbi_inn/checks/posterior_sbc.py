"""Whether the posterior is calibrated at one observation: posterior SBC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.kind import DENSITY, STATED_PRIOR, CheckKind, Need, time_for
from sbi_inn.checks.phrases import percent, wrong_width
from sbi_inn.checks.record import Finding, Limits, Record, Sight, corrected, deviation
from sbi_inn.checks.resimulation import AGAIN_AT_Y, RESIMULATION
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.checks.survey import MANY, draws_each
from sbi_inn.diagnostics.products import ProductLaws
from sbi_inn.diagnostics.uniformity import shift_and_width, simultaneous_band, uniformity_p_value
from sbi_inn.diagnostics.weighted import effective_sample_size, weighted_ranks
from sbi_inn.observation.batch import Observations
from sbi_inn.plots.ranks import plot_ranks
from sbi_inn.plots.style import DOUBLE_COLUMN_MM, Canvas
from sbi_inn.prior import Prior
from sbi_inn.simulation.seeds import Stream
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.typing import BoolArray, FloatArray

N = 200  # simulations at y
# Effective draws below which ranks say little. Those of an exact posterior are uniform whatever
# their number, as the truth has its own weight among them.
ENOUGH = 10.0
MOST = 0.9  # share of the simulations at y that has to have enough
TRIED = 20  # simulations that are looked at first, where parameters are many
HOPELESS = 0.5  # share of these below which no others are
# Of d parameters, where these are many, only 5 / d of the usual draws are of each posterior itself:
# the more parameters, the fewer of such draws lie in the product.
OWN = 5

# Wider than in general: there are fewer simulations, and what is off by a little in each of two
# posteriors is off by more in both.
SHIFT = Limits("shift, in sd", caution=0.25, distrust=0.6)
WIDTH = Limits("log of the width ratio", caution=float(np.log(1.2)), distrust=float(np.log(1.5)))

TOO_FEW = "effective draws"  # with this ends the reason, where weights leave too few
NO_NOISE = "the simulator has no noise; the re-simulation error says it"
NONE_HERE = "every simulation at its draws failed; posterior.resimulate(y) says how"


@dataclass(frozen=True, repr=False)
class LocalCalibration(Record):
    """Ranks of parameters drawn at y among draws given y and a simulation at those parameters.

    Attributes
    ----------
    ranks : array, shape (n, dim)
    effective : array, shape (n,)
        Effective number of draws behind each rank.
    columns : tuple of str

    References
    ----------
    Sailynoja et al. (2025), arXiv:2502.03279: posterior SBC.
    """

    ranks: FloatArray
    effective: FloatArray
    columns: tuple[str, ...]

    remedy = (
        "Simulate more where the observation lies: posterior.refine(y), or a narrower prior that "
        "still covers this posterior, then fit again."
    )

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Location and width of each parameter."""
        placed = shift_and_width(self.ranks)
        p_values = np.minimum(placed.p_value, uniformity_p_value(self.ranks))
        found = []
        for i, column in enumerate(self.columns):
            shift, width = placed.shift[i], placed.width[i]
            p_value = corrected(p_values[i], 2 * len(self.columns))
            side = "high" if shift > 0 else "low"
            words = (
                f"near this observation posteriors of {column} lie too {side} by {abs(shift):.2f} "
                f"+- {placed.shift_error[i]:.2f} of their standard deviation"
            )
            found.append(Finding(abs(shift), float(placed.shift_error[i]), SHIFT, p_value, words))
            words = f"near this observation posteriors of {column} are {wrong_width(width)}"
            error = float(placed.width_error[i] / width)
            found.append(Finding(abs(float(np.log(width))), error, WIDTH, p_value, words))
        return tuple(found)

    @property
    def sights(self) -> tuple[Sight, ...]:
        """The smallest shift and width that would have been seen."""
        n = len(self.ranks)
        shift = deviation(4 * len(self.columns)) / np.sqrt(n)
        width = shift / np.sqrt(2)
        return (
            Sight(f"a shift below {shift:.2g} sd", shift, SHIFT, n, decides=False),
            Sight(f"a width off by {percent(np.expm1(width))}", width, WIDTH, n, decides=False),
        )

    @property
    def well(self) -> str:
        """What to say where all is well."""
        return (
            f"over {len(self.ranks):,} simulations at its own draws the posterior at y agrees "
            "with itself"
        )

    @property
    def table(self) -> pd.DataFrame:
        """One row a parameter: location, width, p-value; the median number of effective draws."""
        placed = shift_and_width(self.ranks)
        return pd.DataFrame(
            {
                "too_high_by_sd": placed.shift,
                "relative_width": placed.width,
                "p_value": uniformity_p_value(self.ranks),
                "effective_draws": np.median(self.effective),
            },
            index=pd.Index(self.columns, name="parameter"),
        )

    def plot(self, width_mm: float = DOUBLE_COLUMN_MM, fig: Canvas | None = None) -> Figure:
        """Ranks with the simultaneous band of an exact posterior."""
        return plot_ranks(
            self.ranks,
            list(self.columns),
            band=simultaneous_band(len(self.ranks)),
            above="draws too high",
            below="draws too low",
            width_mm=width_mm,
            fig=fig,
        )


def check_calibration_at(here: Here) -> LocalCalibration | str:
    """Check the posterior at one observation against itself, or say why not.

    Parameters theta' are drawn from q(theta | y), and y' is simulated at each. Their rank is taken
    among draws of the augmented posterior p(theta | y, y') = q(theta | y) q(theta | y') / p(theta):
    draws of both posteriors, half each, weighted by it over their mixture. Where too few of these
    lie in it, draws of a t law near it join them; with ten parameters and more they are most of all
    draws. The rank among draws given y' alone would not be uniform.

    Raises
    ------
    NoDensityError
        If the posterior can only be drawn from.
    """
    sampler, rng, y = here.subject.sampler, here.subject.rng(), here.observation
    truth = sampler.draw(y, N, rng)[0]
    try:
        seen, ok = here.subject.observe(truth, here.repeated(N), stream=Stream.POSTERIOR_SBC)
    except SimulationError:
        return NONE_HERE
    mixed = _tried(here, seen, truth[ok], rng)
    if mixed is None or mixed.share >= HOPELESS:
        mixed = _augmented(here, seen, truth[ok], rng)
    if mixed.share < MOST:
        return (
            f"given the observation and a simulation beside it, {percent(1 - mixed.share)} of "
            f"the posteriors have fewer than {ENOUGH:.0f} {TOO_FEW}"
        )
    points, own = sampler.extended(mixed.points), mixed.log_weights[:, 0]
    ranks = weighted_ranks(
        points[:, 0], points[:, 1:], mixed.log_weights[:, 1:], rng, truth_log_weights=own
    )
    return LocalCalibration(ranks[mixed.enough], mixed.effective, sampler.columns)


@dataclass(frozen=True, eq=False)
class _Mixed:
    """The posterior given y and a simulation y' beside it, by weights on draws.

    Attributes
    ----------
    points : array, shape (n, 1 + m, dim)
        The truth of each y', and draws.
    log_ratios : array, shape (laws, n, 1 + m)
        Log density of each law over that of the prior; the first two are those given y and y'.
    draws : tuple of int
        How many are drawn from each law.
    """

    points: FloatArray
    log_ratios: FloatArray
    draws: tuple[int, ...]

    @cached_property
    def log_weights(self) -> FloatArray:
        """Log of the product of the first two laws over the mixture of all, (n, 1 + m)."""
        drawn = self.log_ratios + np.log(self.draws)[:, None, None]
        return self.log_ratios[:2].sum(axis=0) - np.logaddexp.reduce(drawn)

    @cached_property
    def effective(self) -> FloatArray:
        """Effective number of draws for each y'."""
        return effective_sample_size(self.log_weights[:, 1:])

    @property
    def enough(self) -> BoolArray:
        """Which y' have enough."""
        return self.effective >= ENOUGH

    @property
    def share(self) -> float:
        """How many of all have."""
        return float(self.enough.mean())


def _tried(
    here: Here, seen: Observations, truth: FloatArray, rng: np.random.Generator
) -> _Mixed | None:
    """Look at some of the simulations where parameters are many, as all of them take seconds."""
    if here.subject.sampler.prior.dim < MANY:
        return None
    return _augmented(here, seen[np.arange(min(TRIED, len(seen)))], truth[:TRIED], rng)


def _augmented(
    here: Here, seen: Observations, truth: FloatArray, rng: np.random.Generator
) -> _Mixed:
    """Give the posteriors given y and each simulation; with draws of products where they help."""
    sampler = here.subject.sampler
    normal, m = not sampler.prior.discrete, draws_each(sampler)
    if normal and sampler.prior.dim >= MANY:
        few = OWN * m // sampler.prior.dim
        return _with_products(_mixed(here, seen, truth, few, rng), here, seen, m + few, rng)
    mixed = _mixed(here, seen, truth, m, rng)
    if normal and not mixed.enough.all():
        return _with_products(mixed, here, seen, m, rng)
    return mixed


def _mixed(
    here: Here, seen: Observations, truth: FloatArray, m: int, rng: np.random.Generator
) -> _Mixed:
    """Draw m times given y, and as often given each simulation."""
    sampler, n = here.subject.sampler, len(truth)
    there = sampler.draw(seen, m, rng)
    at_y = sampler.draw(here.observation, n * m, rng)[0].reshape(n, m, -1)
    points = np.concatenate([truth[:, None], there, at_y], axis=1)
    return _Mixed(points, _log_ratios(here, seen, points), (m, m))


def _with_products(
    mixed: _Mixed, here: Here, seen: Observations, m: int, rng: np.random.Generator
) -> _Mixed:
    """Add m draws of laws near the products, for each simulation.

    With many parameters a product is much narrower than the posteriors given y and given y': of
    their draws hardly one lies in it.
    """
    sampler = here.subject.sampler
    prior = sampler.prior
    there = sampler.draw(seen, m, rng)
    at_y = sampler.draw(here.observation, len(seen) * m, rng)
    laws = ProductLaws(_latents(prior, at_y)[0], _latents(prior, there))
    drawn = laws.draw(m, rng)
    latents = np.concatenate([_latents(prior, mixed.points), drawn], axis=1)
    flat = prior.flatten(prior.from_latent(drawn.reshape(-1, prior.latent_dim)))
    flat = flat.reshape(len(drawn), m, -1)
    log_ratios = np.concatenate([mixed.log_ratios, _log_ratios(here, seen, flat)], axis=2)
    of_prior = prior.log_density(latents.reshape(-1, prior.latent_dim))
    of_laws = laws.log_density(latents) - of_prior.reshape(latents.shape[:2])
    return _Mixed(
        np.concatenate([mixed.points, flat], axis=1),
        np.concatenate([log_ratios, of_laws[None]]),
        (*mixed.draws, m),
    )


def _log_ratios(here: Here, seen: Observations, points: FloatArray) -> FloatArray:
    """Give the log densities of points (n, m, dim) given y, given y', over the prior's."""
    sampler = here.subject.sampler
    given_seen = sampler.log_ratio(points, seen, normalised=True)
    in_one = points.reshape(1, -1, points.shape[2])
    given_y = sampler.log_ratio(in_one, here.observation, normalised=True)
    return np.stack([given_y.reshape(given_seen.shape), given_seen])


def _latents(prior: Prior, points: FloatArray) -> FloatArray:
    """Give the latents of points (n, m, dim), shape (n, m, latents)."""
    found = prior.to_latent(prior.unflatten(points.reshape(-1, points.shape[2])))
    return found.reshape(*points.shape[:2], -1)


def _why_no_noise(subject: Subject) -> str:
    quiet = subject.deterministic or RESIMULATION.record(subject).deterministic
    return NO_NOISE if quiet else ""


CALIBRATION_AT_Y = CheckKind(
    name="calibration at y",
    question="Is the posterior calibrated near your observation?",
    explanation="On average over all that were simulated it may be, and here it may not.",
    run=check_calibration_at,
    needs=(
        *AGAIN_AT_Y,
        Need("stochastic observables", _why_no_noise),
        STATED_PRIOR,
        time_for(N),
        DENSITY,
    ),
    at_observation=True,
)
