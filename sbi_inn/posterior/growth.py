"""Double the simulations until the posterior can be trusted and more would not help much.

A calibrated posterior may still be wider than necessary. So there are two conditions: the check
says "trust", and the learning curve says that more simulations would not help much. The curve
costs little, as every stage is a point of it; all are scored with the same new simulations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np
import pandas as pd

from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.record import Verdict
from sbi_inn.errors import NoDensityError
from sbi_inn.methods.cinn.network import PRIOR_SHARE
from sbi_inn.methods.fitting import Split, split
from sbi_inn.observation.batch import Observations
from sbi_inn.planning.learning import curve
from sbi_inn.posterior import checking
from sbi_inn.posterior.core import Core
from sbi_inn.report.check import Check
from sbi_inn.simulation.failure import carry
from sbi_inn.simulation.joining import join
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import FloatArray, is_count

FIRST = 1_000
"""Simulations of the first stage, unless a number is asked for."""

MOST = 200_000
"""Simulations in all, unless a number is asked for."""

FEWEST = 100
"""Simulations of a stage, at least."""

PARTS = (0.25, 0.5)
"""Parts of the first stage that are fitted as well: a curve needs three points."""

SMALLEST = 50
"""Rows that such a part trains on at least; else the curve begins with later stages."""

POINTS = 3
"""Points of a curve, at least."""

TENTH = 0.005
"""Nats: what a tenth of a standard deviation costs in a parameter, 0.1^2 / 2."""

ENOUGH = 0.01
"""Nats in each parameter below which it stops where the check says "trust".

Widths that are off by 15 % cost about .02. Where each doubling gains half of what the last one did,
all that are to come gain twice as much as the next one."""

SCORED = 2_000
"""New simulations at which the fits are scored, at most."""

Stopped = Literal["trust", "learning curve", "max_simulations", "max_seconds", "interrupted"]

WHY: dict[Stopped, str] = {
    "trust": "it can be trusted, and more would not help much",
    "learning curve": "twice as many would hardly help",
    "max_simulations": "the simulations that were allowed are spent",
    "max_seconds": "another stage would take longer than was allowed",
    "interrupted": "training was interrupted",
}


@dataclass(frozen=True)
class Stage:
    """One stage: a number of simulations, a fit, and the verdict on it.

    Attributes
    ----------
    n : int
        Simulations so far.
    seconds : float
        Time of the stage: simulations, training and checks.
    verdict : {"trust", "cannot tell", "caution", "do not trust"}
    missing : str
        What the check finds wrong; empty at "trust".
    gain, high : float
        Nats that twice the simulations are expected to add, and the upper end of the 68 % interval:
        infinite while there are too few stages, and NaN if there is no density.
    """

    n: int
    seconds: float
    verdict: Verdict
    missing: str
    gain: float
    high: float

    @property
    def line(self) -> str:
        """Say what it cost, and what is missing."""
        more = (
            ""
            if not math.isfinite(self.gain)
            else f"; twice as many would add {self.gain:.2g} nats"
        )
        wrong = f", {self.missing}" if self.missing else ""
        return f"{self.n:,} simulations, {self.seconds:.0f} s: {self.verdict}{wrong}{more}"

    def gains_less(self, limit: float) -> bool:
        """Whether twice as many would bring less than so many nats; True if there is no density."""
        return math.isnan(self.gain) or (self.gain < limit and self.high < 2 * limit)


@dataclass(frozen=True)
class Grown:
    """How the simulations grew, and why they stopped.

    Attributes
    ----------
    stages : tuple of Stage
    stopped : {"trust", "learning curve", "max_simulations", "max_seconds", "interrupted"}
    """

    stages: tuple[Stage, ...]
    stopped: Stopped

    @property
    def brief(self) -> str:
        """Say it in a line."""
        n = len(self.stages)
        return f"grown in {n} stage{'s' if n > 1 else ''} ({self.stopped}): {WHY[self.stopped]}"

    @property
    def table(self) -> pd.DataFrame:
        """One row a stage, by the number of simulations."""
        return pd.DataFrame([vars(stage) for stage in self.stages]).set_index("n")


@dataclass(frozen=True)
class Limits:
    """How far simulations may grow.

    Attributes
    ----------
    first, most : int
        Simulations of the first stage, and of all.
    seconds : float
        In all.
    """

    first: int = FIRST
    most: int = MOST
    seconds: float = math.inf

    @classmethod
    def checked(cls, until: Any, first: Any, most: Any, seconds: Any) -> Limits:
        """Look at what is asked for, before anything is simulated.

        Raises
        ------
        ValueError
            If it is nothing that can be, or the budget is smaller than one stage.
        """
        if until != "trust":
            raise ValueError(f'expected until="trust" or None; got {until!r}')
        most = MOST if most is None else most
        if not is_count(most, least=FEWEST):
            raise ValueError(
                f"max_simulations must be a whole number, at least {FEWEST}; got {most!r}"
            )
        first = min(FIRST, most) if first is None else first
        if not FEWEST <= first <= most:
            raise ValueError(
                f"with until=, n_simulations is the first stage: expected {FEWEST} to "
                f"max_simulations={most:,}; got {first:,}"
            )
        seconds = math.inf if seconds is None else seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
            raise ValueError(f"max_seconds must be positive; got {seconds!r}")
        return cls(int(first), int(most), float(seconds))

    def after(self, n: int) -> int:
        """Give the number of simulations of the next stage; `n` again where they are spent."""
        following = min(2 * n, self.most)
        return following if following - n >= FEWEST else n


@dataclass
class Growth:
    """Grow simulations stage by stage.

    Parameters
    ----------
    simulate : callable
        From a number of simulations and that of the stage (from 0) to fresh ones.
    fit : callable
        From simulations and the rows that serve for what to a posterior's core.
    limits : Limits
    y : one observation or None
        To check at; None: in general.
    seed : int
    progress : bool
        Print a line for every stage.
    """

    simulate: Callable[[int, int], Simulations]
    fit: Callable[[Simulations, Split], Core]
    limits: Limits
    y: Any
    seed: int
    progress: bool
    stages: list[Stage] = field(default_factory=list)
    cores: list[Core] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def go(self) -> tuple[Core, Check]:
        """Go on until there is a reason to stop; give the last posterior, and its check."""
        started, n = perf_counter(), self.limits.first
        table, parts = self._first(n)
        while True:
            core, found, tests = self._stage(table, parts)
            seconds = perf_counter() - started
            self._note(core, found, tests, seconds - sum(stage.seconds for stage in self.stages))
            following = self.limits.after(n)
            stopped = self._stopped(following > n, seconds)
            if stopped:
                return replace(core, grown=Grown(tuple(self.stages), stopped)), found
            table, parts = self._longer(table, parts, following - n)
            n = following

    def _first(self, n: int) -> tuple[Simulations, Split]:
        table = self.simulate(n, 0)
        return table, split(table, self.seed)

    def _longer(self, table: Simulations, parts: Split, more: int) -> tuple[Simulations, Split]:
        """Add simulations; rows that were held out stay so, as earlier fits are scored there."""
        try:
            fresh = self.simulate(more, len(self.stages))
            cut = split(fresh, self.seed)
        except BaseException as error:
            _carry_all(error, table, getattr(error, "simulations", None))
            raise
        pairs = zip(vars(parts).items(), vars(cut).values(), strict=True)
        longer = {name: np.concatenate([a, b + len(table)]) for (name, a), b in pairs}
        return join([table, fresh]), Split(**longer)

    def _stage(self, table: Simulations, parts: Split) -> tuple[Core, Check, TestSet]:
        """Fit, and check; the first time parts of the table as well."""
        try:
            for part in self._smaller(parts):
                train, held = (r[: round(part * len(r))] for r in (parts.train, parts.validation))
                self._keep(
                    self.fit(table, Split(train, held, parts.test)), round(part * len(table))
                )
            core = self.fit(table, parts)
            self._keep(core, len(table))
            subject = checking.subject_of(core)
            y: Observations | None = None if self.y is None else core.schema.read(self.y)
            return core, checking.check(core, subject, y, progress=False), subject.tests
        except BaseException as error:
            # Not those that a check has simulated.
            _carry_all(error, table)
            raise

    def _smaller(self, parts: Split) -> tuple[float, ...]:
        """Give the parts of the first stage that are fitted as well."""
        return () if self.cores or len(parts.train) * PARTS[0] < SMALLEST else PARTS

    def _keep(self, core: Core, n: int) -> None:
        self.cores.append(core)
        self.counts.append(n)

    def _note(self, core: Core, found: Check, tests: TestSet, seconds: float) -> None:
        gain, high = self._gain(tests)
        missing = "" if found.verdict == "trust" else found.reasons
        stage = Stage(len(core.simulations), seconds, found.verdict, missing, gain, high)
        self.stages.append(stage)
        if self.progress:
            print(stage.line, flush=True)

    def _gain(self, tests: TestSet) -> tuple[float, float]:
        """Score all fits at simulations that none of them has seen, and predict what comes."""
        tests = tests.head(SCORED)
        try:
            scores = np.stack([_scores(one, tests) for one in self.cores], axis=1)
        except NoDensityError:
            return math.nan, math.nan
        if len(self.counts) < POINTS:
            return math.inf, math.inf
        found = curve(np.array(self.counts), scores, seed=self.seed)
        return found.gain[0], found.gain_high

    def _stopped(self, more: bool, seconds: float) -> Stopped | None:
        """Give the reason to stop, if there is one."""
        dim, last = self.cores[-1].prior.latent_dim, self.stages[-1]
        if last.verdict == "trust" and last.gains_less(ENOUGH * dim):
            return "trust"
        if self.cores[-1].fitted.history.stopped == "interrupted":
            return "interrupted"
        hardly = [stage.gains_less(TENTH * dim) for stage in self.stages[-2:]]
        if len(hardly) == 2 and all(hardly) and not math.isnan(last.gain):
            return "learning curve"
        if not more:
            return "max_simulations"
        # The next stage has twice the simulations.
        return "max_seconds" if seconds + 2 * last.seconds > self.limits.seconds else None


def _scores(core: Core, tests: TestSet) -> FloatArray:
    """Information gained at each test simulation, in nats, with a little of the prior mixed in."""
    ratio = core.log_ratio(tests.truth[:, None], tests.observations, normalised=True)[:, 0]
    ratio = np.nan_to_num(ratio, nan=-np.inf)
    return np.logaddexp(ratio + math.log1p(-PRIOR_SHARE), math.log(PRIOR_SHARE))


def _carry_all(error: BaseException, table: Simulations, fresh: Simulations | None = None) -> None:
    """Let an error carry all simulations: earlier ones, and what there is of fresh ones."""
    tables = [table]
    if fresh is not None and fresh.schema is not None:
        tables.append(replace(fresh, prior=table.prior))
    BaseException.__setattr__(error, "simulations", None)
    carry(error, join(tables))
