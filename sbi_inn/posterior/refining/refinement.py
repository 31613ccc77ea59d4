"""A posterior for the neighbourhood of one observation, from new simulations there.

Truncated sequential neural posterior estimation (Deistler, Goncalves & Macke 2022,
arXiv:2210.04815). New simulations are drawn from the prior, truncated to a region that holds nearly
all of the posterior at the observation. Inside the region the prior keeps its shape, so the loss
needs no correction. The region is a box in the latent space of the prior. The truncated prior thus
has an exact map to N(0, I), and everything that works for a posterior works for the refined one:
its draws stay in the region, and its density is normalised there.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sbi_inn.errors import PriorError
from sbi_inn.methods import fitting
from sbi_inn.methods.ensemble.folds import in_folds
from sbi_inn.methods.fitting import Split
from sbi_inn.observation.batch import Observations
from sbi_inn.posterior.core import STRANGE, Core, Refined
from sbi_inn.posterior.refining.region import Region
from sbi_inn.posterior.refining.scouting import Scout
from sbi_inn.simulation.again import at_givens_of
from sbi_inn.simulation.joining import join
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream, fresh_seed, generator, sequence
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.simulation.stages import Stages
from sbi_inn.typing import is_count

FEWEST = 100
"""Simulations in a round, at least."""

LOOK = 0.1
"""Share of the simulations in the first round: few, as most of them will lie outside later."""

LAST = 0.25
"""Share of the simulations that is kept for the last round."""

MOST_ROUNDS = 10
"""Rounds at most, unless a number is asked for."""

SETTLED = 0.5
"""A region that keeps this share of the mass of the one before has stopped shrinking.

More simulations will make it shrink again: the next round gets twice as many.
"""


def refine(
    core: Core,
    y: Any,
    n_simulations: int = 10_000,
    *,
    rounds: int | None = None,
    seed: int | None = None,
    n_jobs: int = -1,
    progress: bool = True,
) -> Core:
    """Run new simulations near one observation, and learn a sharper posterior there.

    Each round finds a region around the posterior at y, simulates inside it with the givens of y,
    and trains new networks.

    Parameters
    ----------
    y : one observation
    n_simulations : int
        New simulations in all rounds together, including those that search for the region.
    rounds : int, optional
        Number of rounds. By default as many as the simulations are enough for, at most ten: a round
        takes a tenth of them, at least 100; each time that the region has stopped shrinking, the
        size of a round is doubled; the last round takes the rest, at least a quarter.
    seed : int, optional
        By default new for every call.
    n_jobs : int
        Processes for simulating and training; -1 uses all cores.
    progress : bool
        Print a line per round, and show progress bars.

    Returns
    -------
    Posterior
        For observations like y (docs/refine.md). This posterior is not changed.

    Raises
    ------
    PriorError
        If the prior was not stated, or has a field.
    SimulationError
        If there is no simulator, or `n_simulations` is below 100 for each round.
    ShapeError
        If y does not fit the simulated observations.
    ValueError
        If `rounds` is not a whole number of at least 1.

    Warns
    -----
    UserWarning
        If the simulations do not produce observations like y.
    """
    study = _study(core, y, n_simulations, rounds, seed, n_jobs, progress)
    _warn_if_strange(core, study.observation)
    stages = Stages.of(replace(core.simulations, prior=study.problem.prior))
    left, look, number, current = study.n, study.look, 0, core
    scout = study.scout()
    while left:
        number += 1
        with _carrying(stages):
            most = study.spare(number, left)
            found, cost, said = scout.look(current, number, most)
            left -= cost
            look *= 2 if _settled(found, current) else 1
            last = study.ends(number, left, look)
            n = left if last else study.fits(number, left, look)
            study.say(number, found, n, said)
            stages, table = _simulated(study, stages, found, number, n)
            current = _trained(study, current, table, number, last=last)
        left -= n
    refined = Refined(core.schema.unstack(study.observation, 0), number, study.n)
    return replace(current, refined=refined)


@dataclass(frozen=True)
class _Study:
    """What all rounds have in common."""

    problem: Problem
    observation: Observations
    names: tuple[str, ...]  # of the parameters that are inferred
    n: int  # fresh simulations in all
    look: int  # of them in the first round
    rounds: int | None
    seed: int
    n_jobs: int
    progress: bool

    def rng(self, number: int) -> np.random.Generator:
        """Give the generator of a round."""
        return generator(self.seed, Stream.REFINED_ROUNDS, number)

    def round_seed(self, number: int) -> int:
        """Give the seed of a round's simulations and training."""
        words = sequence(self.seed, Stream.REFINED_SIMULATIONS, number).generate_state(1)
        return int(words[0])

    def scout(self) -> Scout:
        """Give what finds the region of each round."""
        rng = partial(generator, self.seed)
        return Scout(self.problem, self.observation, self.n, self.n_jobs, rng)

    def spare(self, number: int, left: int) -> int:
        """Give the simulations that may be spent before a round, so that the rounds have enough."""
        rounds = FEWEST * (1 if self.rounds is None else self.rounds - number + 1)
        return left - max(rounds, round((LOOK + LAST) * self.n))

    def ends(self, number: int, left: int, look: int) -> bool:
        """Say whether this round is the last, with all simulations that are left."""
        if self.rounds is not None:
            return number == self.rounds
        return number == MOST_ROUNDS or left < look + LAST * self.n

    def fits(self, number: int, left: int, look: int) -> int:
        """Give the simulations of a round, so that enough are left for the others."""
        return look if self.rounds is None else min(look, left - FEWEST * (self.rounds - number))

    def say(self, number: int, found: Region, n: int, said: str) -> None:
        """Say what a round begins with."""
        if not self.progress:
            return
        if said:
            print(said)
        missed = f", widened to hold {found.missed} simulations" if found.missed else ""
        cut = ", extended where the last one cut off draws" if found.cut else ""
        print(
            f"round {number}: a region of {found.box.mass:.2g} of the prior's mass{missed}{cut}; "
            f"{n:,} simulations"
        )


def _study(
    core: Core,
    y: Any,
    n_simulations: Any,
    rounds: Any,
    seed: int | None,
    n_jobs: int,
    progress: bool,
) -> _Study:
    """Look at everything before anything is simulated."""
    if rounds is not None and not is_count(rounds):
        raise ValueError(f"rounds must be a whole number, at least 1; got {rounds!r}")
    fewest = FEWEST * (rounds or 1)
    if not is_count(n_simulations, least=fewest):
        raise SimulationError(
            f"expected n_simulations a whole number, at least {FEWEST} for each of "
            f"{rounds or 1} rounds; got {n_simulations!r}"
        )
    if core.prior.fields:
        names = ", ".join(place.name for place in core.prior.fields)
        raise PriorError(f"refine cannot be used for fields; the prior has the field {names}")
    problem, observation = core.simulator("to refine"), core.schema.read(y)
    if not core.prior.stated:
        raise PriorError(
            "to refine, parameters must be drawn from the prior, and that of the table was "
            "never stated: state it, fit_posterior(simulations, si.Prior(...))"
        )
    return _Study(
        at_givens_of(observation, core.schema, problem, constant=False),
        observation,
        core.prior.names,
        int(n_simulations),
        min(max(FEWEST, round(LOOK * n_simulations)), n_simulations // (rounds or 1)),
        rounds,
        fresh_seed(seed),
        n_jobs,
        progress,
    )


def _warn_if_strange(core: Core, observation: Observations) -> None:
    found = core.familiar.compare(core, observation)[0]
    if found.p_value < STRANGE:
        warnings.warn(
            f"{found.worst.words}; a posterior refined there would mean little", stacklevel=4
        )


def _settled(found: Region, before: Core) -> bool:
    """Say whether the region has stopped shrinking, for so many simulations."""
    box = before.prior.box
    return box is not None and found.box.mass > SETTLED * box.mass and not found.cut


def _simulated(
    study: _Study, stages: Stages, found: Region, number: int, n: int
) -> tuple[Stages, Simulations]:
    """Fill the region up with fresh simulations, and give all that are inside."""
    rng, prior = study.rng(number).spawn(1)[0], study.problem.prior
    box = found.box.among(prior.latents_of(study.names), prior.latent_dim)
    level = stages.level(box, n, rng)
    fresh = run(
        replace(study.problem, prior=stages.lacking(box, level)),
        n=n,
        n_jobs=study.n_jobs,
        seed=study.round_seed(number),
        progress=False,
    )
    stages = stages.filled(box, level, fresh)
    return stages, stages.inside(box, level, rng)


def _trained(study: _Study, core: Core, table: Simulations, number: int, *, last: bool) -> Core:
    """Train on the simulations inside a region; those held out for tests wait for the last."""
    seed = study.round_seed(number)
    method: Any = in_folds(core.method, quick=not last)
    problem = replace(study.problem, prior=table.prior)
    table = table.inferring(study.names).deriving(core.simulations.derived)
    parts = fitting.split(table, seed)
    if not last:
        parts = Split(np.concatenate([parts.train, parts.test]), parts.validation, parts.test[:0])
    if getattr(method, "cuts_folds", False):
        parts = Split(np.concatenate([parts.train, parts.validation]), parts.test[:0], parts.test)
    fitted, parts = fitting.fit(
        table, method, core.training, parts=parts, seed=seed, progress=study.progress
    )
    return replace(
        core,
        fitted=fitted,
        simulations=table,
        test_rows=parts.test,
        seed=seed,
        n_simulations=len(table.ok),
        problem=problem,
        stored_scale=None,
    )


@contextmanager
def _carrying(stages: Stages) -> Iterator[None]:
    """Let whatever stops the rounds carry all simulations so far."""
    try:
        yield
    except BaseException as error:
        partial = getattr(error, "simulations", None)
        tables = [stage.table for stage in stages.done]
        if partial is not None and partial.schema is not None:
            tables.append(partial)
        whole = [replace(table, prior=stages.prior) for table in tables]
        BaseException.__setattr__(error, "simulations", join(whole))
        raise
