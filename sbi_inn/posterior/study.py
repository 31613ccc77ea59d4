"""One study, from simulations to a trained posterior, and the messages on the way."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sbi_inn.methods import Emulator, Fitted, Method, fitting
from sbi_inn.methods.fitting import Split
from sbi_inn.methods.online import seen_once
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.growth import Growth, Limits
from sbi_inn.posterior.provenance import Provenance
from sbi_inn.report.check import Check
from sbi_inn.simulation.execution import Execution
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream, sequence
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.simulation.where_failed import where_failed
from sbi_inn.training.settings import Training

LARGE_ERROR = 0.05
"""Errors of a forward prediction, in spreads of the observables, above which a warning is due."""


@dataclass(frozen=True)
class Study:
    """What is fitted, and how.

    Attributes
    ----------
    problem : Problem or None
    infer : sequence of str or None
        The parameters that are inferred; all by default.
    method : Method
    training : Training
    n_jobs : int
    seed : int
    progress : bool
    online : bool
        Whether every pass of the training sees fresh simulations.
    client : dask.distributed.Client, optional
        Simulates the stages of `grown` on its workers; checks simulate here.
    """

    problem: Problem | None
    infer: Sequence[str] | None
    method: Method
    training: Training
    n_jobs: int
    seed: int
    progress: bool
    online: bool = False
    client: Any = None

    def fit(self, simulations: Simulations, parts: Split | None = None) -> Core:
        """Train on a table, and say what there is to say."""
        _say_failures(simulations, self.progress)
        fitted, parts = fitting.fit(
            simulations,
            self.method,
            self.training,
            parts=parts,
            again=self.problem if self.online else None,
            seed=self.seed,
            progress=self.progress,
        )
        _warn_if_diverged(fitted)
        core = Core(
            fitted,
            simulations,
            parts.test,
            seed=self.seed,
            n_simulations=len(simulations.ok)
            + (self.online and seen_once(fitted, len(parts.train))),
            training=replace(self.training, checkpoint=None),
            problem=self.problem,
            provenance=Provenance.of(self.problem),
            asked=self.method,
        )
        if isinstance(fitted, Emulator):
            _say_errors(fitted, core.schema.columns, self.progress)
        return core

    def grown(self, limits: Limits, y: Any) -> tuple[Core, Check]:
        """Let the simulations grow, and give the last check, too."""
        return Growth(self._fresh, self._stage, limits, y, self.seed, self.progress).go()

    def _stage(self, simulations: Simulations, parts: Split | None = None) -> Core:
        """Train on so many simulations; each stage has checkpoints of its own."""
        own = self.training.below(f"{len(simulations)}-simulations")
        return replace(self, training=own).fit(simulations, parts)

    def _fresh(self, n: int, stage: int) -> Simulations:
        """Simulate for a stage; the first is what would have been simulated without others."""
        assert self.problem is not None
        seed = self.seed
        if stage:
            words = sequence(seed, Stream.GROWN_SIMULATIONS, stage).generate_state(1)
            seed = int(words[0])
        how = Execution(self.n_jobs, client=self.client)
        table = run(self.problem, n=n, how=how, seed=seed, progress=self.progress and not stage)
        return table.inferring(self.infer)


def _warn_if_diverged(fitted: Fitted) -> None:
    if fitted.history.stopped == "diverged":
        warnings.warn(
            f"the loss became infinite or NaN after {fitted.history.steps:,} steps: training ended "
            "there, with the best weights so far. A smaller Training(learning_rate=...) may help",
            stacklevel=4,
        )


def _say_errors(emulator: Emulator, columns: Sequence[str], progress: bool) -> None:
    """Say how well the observables are predicted; noise and steps cannot be."""
    errors = dict(zip(columns, emulator.residual, strict=False))
    said = ", ".join(f"{name} by {error:.2g}" for name, error in errors.items())
    if progress:
        print(f"the forward network misses {said} spreads")
    large = {name: error for name, error in errors.items() if error > LARGE_ERROR}
    if large:
        worst = max(large, key=large.__getitem__)
        warnings.warn(
            f"the forward network misses {worst} by {large[worst]:.2g} of its spread: the "
            "simulator is noisy or discontinuous there, or needs more simulations or training. "
            'For a noisy or discontinuous simulator, use method="cinn"',
            stacklevel=4,
        )


def _say_failures(simulations: Simulations, progress: bool) -> None:
    failed = len(simulations) - len(simulations.ok)
    if not (failed and progress):
        return
    where = where_failed(simulations)
    share = f"{failed / len(simulations):.1%}"
    what = (
        f"{share} of the prior's mass. It depends on {', '.join(where)}: where simulations fail, "
        "the posterior knows nothing"
        if where
        else f"{share}, all over the prior: the posterior is learned from the others"
    )
    print(
        f"{failed:,} of {len(simulations):,} simulations failed, {what}. "
        "See posterior.simulations.failures"
    )
