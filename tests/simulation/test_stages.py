"""Simulations drawn in stages, made a sample of one part of the prior."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.prior.box import Box
from sbi_inn.simulation.joining import join
from sbi_inn.simulation.run import run
from sbi_inn.simulation.stages import Stages

PROBLEM = si.Problem(
    si.simulator(batched=True)(lambda a, b: {"y": a + b}), si.Prior(a=st.norm(), b=st.norm())
)


def square(low, high):
    return Box(np.eye(2), np.full(2, low), np.full(2, high), np.ones(2, bool))


def fill(stages, box, n, seed):
    rng = np.random.default_rng(seed)
    level = stages.level(box, n, rng)
    table = run(replace(PROBLEM, prior=stages.lacking(box, level)), n=n, seed=seed, progress=False)
    return stages.filled(box, level, table), level


def test_rows_are_even_whatever_boxes_came_before():
    """A box that overlaps the ones before, of which one is denser than the last."""
    stages = Stages.of(run(PROBLEM, n=2_000, seed=1, progress=False))
    stages, _ = fill(stages, square(0.0, 1.0), 3_000, 2)
    stages, _ = fill(stages, square(0.5, 2.0), 300, 3)
    last = square(-0.5, 1.5)
    stages, level = fill(stages, last, 1_000, 4)
    table = stages.inside(last, level, np.random.default_rng(5))
    assert len(table) == pytest.approx(level * last.mass, abs=4 * np.sqrt(level * last.mass))
    assert table.prior.box is last
    exact = table.prior.sample(len(table), np.random.default_rng(6))
    for name, values in table.parameters().items():
        assert st.ks_2samp(values, exact[name]).pvalue > 0.001
    # The three parts with densities of their own have their share of the rows.
    a, b = table.parameters().values()
    for part in (square(0.0, 0.5), square(0.5, 1.0), square(1.0, 1.5)):
        share, n = part.mass / last.mass, len(table)
        found = part.inside(np.column_stack([a, b])).mean()
        assert found == pytest.approx(share, abs=4 * np.sqrt(share / n))


def test_a_level_that_is_there_already_takes_no_row():
    stages = Stages.of(run(PROBLEM, n=2_000, seed=1, progress=False))
    stages, level = fill(stages, square(0.0, 1.0), 3_000, 2)
    draws = stages.lacking(square(-1.0, 1.0), level).sample(2_000, np.random.default_rng(3))
    inside = square(0.0, 1.0).inside(np.column_stack([draws["a"], draws["b"]]))
    assert not inside.any()


def test_draws_of_a_truncated_prior_begin_as_such():
    prior = PROBLEM.prior.truncated(square(0.0, 1.0))
    stages = Stages.of(run(replace(PROBLEM, prior=prior), n=500, seed=1, progress=False))
    assert stages.done[0].level == pytest.approx(500 / square(0.0, 1.0).mass)
    assert stages.density(np.array([[0.5, 0.5], [2.0, 0.5]]))[1] == 0


# -- one table of several --------------------------------------------------------------------------


@si.simulator(sets={"n": ["x"]})
def few(a, n, rng):
    return {"x": rng.normal(a, 1, n), "m": a}


def gaps(m, rng):
    return {"m": np.where(rng.random() < 0.2, np.nan, m)}


def test_tables_of_sets_and_noise_are_joined():
    small, large = (
        si.Problem(few, si.Prior(a=st.norm()), given={"n": n}, noise=gaps)
        for n in (st.randint(1, 4), st.randint(5, 9))
    )
    tables = [run(p, n=60, seed=s, progress=False) for s, p in enumerate([small, large])]
    whole = join(tables)
    assert len(whole) == 120
    assert whole.dataset["x"].shape == (120, 8)
    assert whole.schema.trained["n"] == (1.0, 8.0)
    for table, start in zip(tables, (0, 60), strict=True):
        one, other = table.observations(), whole.observations(np.arange(start, start + 60))
        assert np.array_equal(one.vector, other.vector, equal_nan=True)
        assert np.array_equal(one.sets["n"].values, other.sets["n"].values)


def test_failures_keep_their_rows():
    def fragile(a):
        if a > 1:
            raise ValueError("too large")
        return a

    problem = si.Problem(fragile, si.Prior(a=st.norm()))
    whole = join([run(problem, n=50, seed=s, progress=False) for s in (1, 2)])
    rows = whole.failures["simulation"].to_numpy()
    assert sorted(rows) == np.flatnonzero(whole.dataset["a"].values > 1).tolist()
    assert whole.failures["a"].to_numpy() == pytest.approx(whole.dataset["a"].values[rows])
