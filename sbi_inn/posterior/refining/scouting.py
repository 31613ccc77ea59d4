"""Find the region of the next round: from the networks, or from likely draws alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sbi_inn.errors import NoDensityError
from sbi_inn.methods.latents import latents as latents_of
from sbi_inn.observation.batch import Observations
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.refining import probing
from sbi_inn.posterior.refining.closing_in import Closed, close_in
from sbi_inn.posterior.refining.local_likelihood import Rows
from sbi_inn.posterior.refining.region import Region, region, to_whole
from sbi_inn.simulation.again import observe_again
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Stream
from sbi_inn.typing import BoolArray, FloatArray

PROBED = 0.05
"""Share of the simulations that are spent to ask which draws are likely."""

SEARCHED = 0.6
"""Share of them that may be spent so with a search for others, where few are likely."""

CLOSES_IN = 2
"""Round before which a likelihood first closes in: the ones before have told where to look."""

BATCH = 0.03
"""Share of the simulations in a batch by which it does."""

CLOSING = 0.35
"""Share of them that may be spent so, in all rounds together."""

FEWEST = 40
"""Simulations in a batch, at least."""

DRAWS = 4_000
"""Draws of the networks, at which closing in begins."""

UNLIKELY = 1e-3
"""Quantile of a posterior's density over its own draws, below which it excludes a place.

A network of few simulations is too wide, if anything. A likelihood that closes in where it has
next to no mass is wrong, not sharper.
"""

WORTH = 0.1
"""A region around likely draws alone is taken if it has less than this share of the mass.

It is not as sure to hold the posterior.
"""

UNASKED = probing.Probe(None, 1.0, 0)
"""Where no draw is simulated again, all count as likely."""


class Scouted(NamedTuple):
    """A region, what it cost to find, and what there is to say of that."""

    region: Region
    n_simulations: int
    said: str


class Scout:
    """Finds the region of each round.

    Draws of the networks are probed; from the second round on a likelihood is learned, until it
    closes in on a small part of the networks' region, where it takes over.

    Parameters
    ----------
    problem : Problem
    observation : Observations
        A batch of one.
    n : int
        Simulations of all rounds.
    n_jobs : int
    rng : callable
        Of a stream and the number of a round: a generator.
    """

    def __init__(
        self,
        problem: Problem,
        observation: Observations,
        n: int,
        n_jobs: int,
        rng: Callable[[Stream, int], np.random.Generator],
    ) -> None:
        self.problem, self.observation, self.n, self.n_jobs = problem, observation, n, n_jobs
        self.rng = rng
        self.probe: probing.Probe | None = None
        self.fresh: Rows | None = None
        self.closed = self.narrow = False
        self.closing = 0  # simulations that were spent on closing in

    def look(self, core: Core, number: int, most: int) -> Scouted:
        """Find the region of a round, for `most` simulations at most."""
        whole = region(core, self.observation, self.rng(Stream.REFINED_ROUNDS, number))
        asks = self.closed or number >= CLOSES_IN
        found = self._close_in(core, number, most) if asks else Closed(None)
        if found.latents is not None:
            small = self._around(core, number, found.latents)
            share = 1.0 if self.closed else WORTH
            if small.box.mass < share * whole.box.mass:
                self.closed = True
                return Scouted(small, found.n_simulations, _closed(found, taken=True))
        if self.closed:
            return Scouted(whole, found.n_simulations, "")
        probe = self._probe(core, number, most - found.n_simulations)
        said = [_closed(found, taken=False), _probed(probe, lost=not self.narrow)]
        taken = self._probed_region(core, number, whole, probe)
        said = "\n".join(filter(None, said))
        return Scouted(taken, found.n_simulations + probe.n_simulations, said)

    def _around(self, core: Core, number: int, likely: FloatArray) -> Region:
        return region(core, self.observation, self.rng(Stream.REFINED_ROUNDS, number), likely)

    # -- by a likelihood ---------------------------------------------------------------------------

    def _close_in(self, core: Core, number: int, most: int) -> Closed:
        """Learn a likelihood; once it has closed in, of the simulations that exist alone."""
        batch = max(FEWEST, round(BATCH * self.n))
        most = 0 if self.closed else min(most, round(CLOSING * self.n) - self.closing)
        noiseless = bool(core.simulations.dataset.attrs.get("deterministic", False))
        if noiseless or core.nuisances or core.prior.discrete or (most < 2 * batch and most):
            return Closed(None)
        rng, rows = self.rng(Stream.CLOSED_IN, number), core.simulations.ok
        latents = to_whole(core, latents_of(core.simulations, rows, seed=core.seed))
        known = Rows(latents, core.simulations.observations(rows))
        known = known if self.fresh is None else known.with_more(self.fresh)
        drawn = core.fitted.sample(self.observation, DRAWS, rng)[0]

        def simulate(latents: FloatArray) -> tuple[Observations, BoolArray]:
            _, again, ok = observe_again(
                self.problem,
                core.schema,
                core.prior.whole.flatten(core.prior.whole.from_latent(latents)),
                self.observation[np.zeros(len(latents), np.int64)],
                seed=int(rng.integers(2**63)),
                stream=Stream.PROBED,
                n_jobs=self.n_jobs,
            )
            return again, ok

        start = to_whole(core, drawn)
        found = close_in(known, self.observation, start, simulate, batch, most, rng)
        self.fresh = found.rows or self.fresh
        self.closing += found.n_simulations
        if found.latents is not None and self._excludes(core, start, found.latents):
            return replace(found, latents=None)
        return found

    def _excludes(self, core: Core, own: FloatArray, closed: FloatArray) -> bool:
        """Say whether a posterior has next to no mass where a likelihood has closed in."""
        whole = core.prior.whole
        flat = [whole.flatten(whole.from_latent(rows)) for rows in (own, closed)]
        try:
            usual, here = (
                core.log_ratio(rows[None], self.observation, normalised=False)[0] for rows in flat
            )
        except NoDensityError:
            return False
        return bool(np.median(here) < np.quantile(usual, UNLIKELY))

    # -- by draws that are simulated again ---------------------------------------------------------

    def _probe(self, core: Core, number: int, most: int) -> probing.Probe:
        """Ask which draws of a posterior are likely, if that leaves enough for the rounds."""
        last, search = self.probe, not self.narrow
        if last is not None and not (last.few and (self.narrow or last.latents is None)):
            return UNASKED
        n = round(PROBED * self.n / 2)
        least = round(SEARCHED / 2 * self.n) if search else 2 * n
        if n < probing.FEWEST or core.nuisances or most < least:
            self.probe = UNASKED
            return UNASKED
        rng = self.rng(Stream.PROBED, number)
        most = min(most, round(SEARCHED * self.n)) if search else 0
        self.probe = probing.probe(core, self.problem, self.observation, n, most, rng, self.n_jobs)
        return self.probe

    def _probed_region(
        self, core: Core, number: int, whole: Region, probe: probing.Probe
    ) -> Region:
        """Put a region around the posterior, or around likely draws where few of its own are.

        Where it has been put around these before, and few draws are likely still, it may shrink
        only: a network that knows so little has no reason to widen it.
        """
        box = core.prior.box
        if probe.few and self.narrow and box is not None and box.mass < whole.box.mass:
            return Region(box, 0, cut=False)
        if not probe.few or probe.latents is None:
            return whole
        found = self._around(core, number, to_whole(core, probe.latents))
        self.narrow = found.box.mass < WORTH * whole.box.mass
        return found if self.narrow else whole


def _closed(found: Closed, *, taken: bool) -> str:
    """Say whether a likelihood closed in, where it cost something."""
    if not found.n_simulations:
        return ""
    end = "closed in" if taken else "did not close in on a small part of the region"
    return f"a likelihood {end}, by {found.n_simulations:,} simulations"


def _probed(probe: probing.Probe, *, lost: bool) -> str:
    """Say what probing found; `lost` if a search that found nothing is worth a word."""
    if not probe.n_simulations:
        return ""
    end = ""
    if lost and probe.few and probe.latents is None:
        end = "; the search for others did not settle"
    return f"{probe.share:.0%} of the draws are likely, by {probe.n_simulations:,} simulations{end}"
