"""Whether to trust a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sbi_inn.checks.candidates import Candidates, Labelled
from sbi_inn.checks.compared import check_candidates
from sbi_inn.comparison.core import Core
from sbi_inn.observation.batch import join
from sbi_inn.report.check import Check
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream, sequence
from sbi_inn.simulation.simulations import SimulationError

TEST_ROWS = 5_000  # of all models together, if there are or can be so many
TESTS = 1  # the key of their seeds, beside those that training has seen
SECONDS = 10.0  # that simulating more may take, for each model


def candidates_of(core: Core) -> Candidates:
    """Put together what the checks share: test simulations, and probabilities at them."""
    tests = _topped_up(core)
    evidence = core.evidence(tests.observations).log
    shares = np.bincount(tests.labels, minlength=len(core.names)) / len(tests)
    joint = evidence + np.log(shares)
    p = np.exp(joint - joint.max(axis=1, keepdims=True))
    strange = core.strangeness
    p_values = strange.p_value(strange.scored(tests.observations))
    learned = core.fitted.learned
    features = core.fitted.features(tests.observations) if learned else np.empty((len(tests), 0))
    return Candidates(
        core.names,
        core.schema,
        tests,
        p / p.sum(axis=1, keepdims=True),
        p_values,
        features,
        len(core.usual),
        core.seed,
    )


def check(core: Core, candidates: Candidates) -> Check:
    """Run the checks."""
    records, skipped = check_candidates(candidates)
    return Check(records, (), skipped, _about(core), of="comparison")


def _topped_up(core: Core) -> Labelled:
    """Add fresh simulations where they are cheap."""
    each = TEST_ROWS // len(core.names)
    parts = [core.tests]
    for label, name in enumerate(core.names):
        problem = core.problems.get(name)
        missing = each - int((core.tests.labels == label).sum())
        if missing > 0 and problem is not None and missing * core.seconds < SECONDS:
            parts += _fresh(core, problem, label, missing)
    observations = join([part.observations for part in parts])
    return Labelled(observations, np.concatenate([part.labels for part in parts]))


def _fresh(core: Core, problem: Problem, label: int, n: int) -> list[Labelled]:
    """Simulate anew; nothing, where every simulation fails."""
    seed = int(sequence(core.seed, Stream.COMPARED_MODELS, label, TESTS).generate_state(1)[0])
    try:
        table = run(problem, n=n, seed=seed, progress=False)
    except SimulationError:
        return []
    observations = replace(table, schema=core.schema).observations()
    return [Labelled(observations, np.full(len(observations), label))]


def _about(core: Core) -> Mapping[str, str]:
    """Say what a report begins with."""
    return {
        "models": ", ".join(core.names),
        "observation": core.schema.example(),
        "method": core.fitted.describe(),
        "simulations": f"{core.n_simulations:,}",
        "training": f"{core.fitted.seconds:.0f} s",
        "seed": str(core.seed),
    }
