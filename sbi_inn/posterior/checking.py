"""Whether to trust a posterior."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from sbi_inn.checks import (
    Calibration,
    GoodnessOfFit,
    Recovery,
    Subject,
    TestSet,
    Together,
    goodness,
    look_together,
    run_checks,
)
from sbi_inn.checks.calibration import CALIBRATION
from sbi_inn.checks.fields import FIELD_CALIBRATION
from sbi_inn.checks.recovery import RECOVERY
from sbi_inn.checks.subject import Here
from sbi_inn.observation.batch import Observations
from sbi_inn.posterior.core import Core
from sbi_inn.report.check import Check
from sbi_inn.simulation.again import observe_again
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.tables import index_of

TEST_ROWS = 5_000  # test simulations that the checks look at, if there are or can be so many
TEST_FIELDS = 1_000  # the same of fields
TIMED = 10  # simulations whose time is taken, where it is not known


def subject_of(core: Core) -> Subject:
    """Put together what the checks share: test simulations, scales, the simulator."""
    seconds = seconds_of(core)
    return Subject(
        core,
        _tests(core, seconds),
        core.simulations,
        core.scale,
        core.problem,
        seconds,
        core.seed,
        core.why_not_again,
    )


def check(
    core: Core, subject: Subject, observation: Observations | None = None, *, progress: bool
) -> Check:
    """Run the checks, in general or at one observation too."""
    records, skipped = run_checks(subject, observation, progress=progress)
    notes = () if observation is None else tuple(core.schema.outside(observation))
    return Check(records, notes, skipped, _about(core))


def _tests(core: Core, seconds: float) -> TestSet:
    """Take simulations that training has never seen, and add fresh ones where they are cheap."""
    rows = TEST_FIELDS if core.prior.fields else TEST_ROWS
    held_out = TestSet.of(core.simulations, core.test_rows[:rows])
    # Only the table itself knows how parameters are distributed whose prior was not stated.
    return held_out.topped_up(
        rows,
        core.problem if core.prior.drawable else None,
        seconds,
        core.seed,
        schema=core.schema,
        infer=core.prior.names,
    )


def calibration(subject: Subject) -> Calibration:
    """Return the calibration over the test simulations: ranks, error, floor, table and plot.

    For a field: that of means over blocks, of power in bands, and of random projections.
    """
    kind = FIELD_CALIBRATION if subject.sampler.prior.fields else CALIBRATION
    return kind.record(subject)


def recovery(subject: Subject) -> Recovery:
    """Compare point estimates with the truth of the test simulations: R2, NRMSE, contraction."""
    return RECOVERY.record(subject)


def goodness_of_fit(subject: Subject, y: Any) -> GoodnessOfFit:
    """Test whether the simulations could have produced an observation.

    One that lies closer to the middle than they do is compared with its own posterior, simulated
    again: a prior that says little makes usual parameters, and small noise, look strange.

    Returns
    -------
    GoodnessOfFit
        `.p_value`, `.sticks_out`, `.sentence`, `.table`, `.plot()`.
    """
    return goodness.goodness_here(Here(subject, subject.sampler.schema.read(y)))


def goodness_of_fit_each(
    subject: Subject, ys: Any, *, false_discovery_rate: float = 0.05
) -> pd.DataFrame:
    """Test for each of many observations whether the simulations could have produced it.

    Parameters
    ----------
    ys : many observations
    false_discovery_rate : float
        Expected share of false alarms among the flagged observations (Benjamini and Hochberg 1995).

    Returns
    -------
    DataFrame
        One row per observation, with the catalogue's own index: `p_value` of `goodness_of_fit`;
        `flagged`; `sticks_out`, the statistic that differs most from the nearest simulations; and
        `sticks_out_by`, by how much, in units of the usual difference.

    Raises
    ------
    ValueError
        If the rate is not between 0 and 1.
    """
    if not 0 < false_discovery_rate < 1:
        raise ValueError(f"expected a rate between 0 and 1; got {false_discovery_rate}")
    found = goodness.goodness_of_fit(subject, subject.sampler.schema.read_many(ys))
    p_values = np.array([one.p_value for one in found])
    return pd.DataFrame(
        {
            "p_value": p_values,
            "flagged": stats.false_discovery_control(p_values) <= false_discovery_rate,
            "sticks_out": [one.sticks_out for one in found],
            "sticks_out_by": [one.sticks_out_by for one in found],
        },
        index=index_of(ys, len(found)),
    )


def goodness_of_fit_together(subject: Subject, ys: Any, *, seed: int | None = None) -> Together:
    """Test whether many observations, taken together, look like simulated ones.

    Each may pass by itself although all of them deviate to the same side (Schmitt et al. 2021).

    Parameters
    ----------
    ys : many observations
    seed : int, optional
        Seed of the random subsets that the test uses.

    Returns
    -------
    Together
        `.p_value`, `.verdict`, `.sentence`, `.table`, `.plot()`.
    """
    observations = subject.sampler.schema.read_many(ys)
    rng = generator(subject.seed if seed is None else seed, Stream.MANY_TOGETHER)
    return look_together(subject.sampler, subject.tests.observations, observations, rng)


def _about(core: Core) -> Mapping[str, str]:
    """Say what a report begins with."""
    history = core.fitted.history
    return {
        "parameters": ", ".join(core.prior.names),
        "observation": core.schema.example(),
        "method": core.fitted.describe(),
        "simulations": f"{core.n_simulations:,}",
        "training": f"{history.seconds:.0f} s, {history.steps:,} steps ({history.stopped})",
        "seed": str(core.seed),
    }


def seconds_of(core: Core) -> float:
    """Look up or measure what one simulation takes."""
    known = core.simulations.dataset.attrs.get("seconds_per_simulation")
    if known is not None:
        return float(known)
    if core.problem is None:
        return np.inf
    rows = core.test_rows[:TIMED]
    flat = core.prior.flatten(core.simulations.parameters(rows))
    started = perf_counter()
    with suppress(SimulationError):  # every one failed, which re-simulation says
        observe_again(
            core.problem,
            core.schema,
            flat,
            core.simulations.observations(rows),
            seed=core.seed,
            stream=Stream.TIMED_SIMULATIONS,
        )
    return (perf_counter() - started) / len(rows)
