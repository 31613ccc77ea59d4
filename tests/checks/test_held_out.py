"""Simulations that training has never seen."""

import numpy as np
import pytest
from studies import LINE, MIX, NOISE

import sbi_inn as si
from sbi_inn import checks


@pytest.fixture(scope="module")
def simulations():
    return si.simulate(LINE, n=3_000, seed=5, n_jobs=1, progress=False)


def test_held_out_rows_come_with_their_parameters(simulations):
    found = checks.TestSet.of(simulations, [3, 1])
    assert len(found) == 2
    data = simulations.dataset
    assert np.array_equal(found.truth[:, 1], data["b"].values[[3, 1]])
    assert np.array_equal(found.observations.vector, data["y"].values[[3, 1]])
    assert np.array_equal(found.head(1).truth, found.truth[:1])


def test_topped_up_with_fresh_simulations_where_that_is_cheap(simulations):
    held_out = checks.TestSet.of(simulations, np.arange(100))
    more = held_out.topped_up(400, LINE, seconds=1e-6, seed=5, schema=simulations.schema)
    assert len(more) == len(more.observations) == 400
    assert np.array_equal(more.truth[:100], held_out.truth)
    assert not set(more.truth[100:, 0]) & set(simulations.dataset["a"].values)
    gap = more.observations.vector - more.truth @ MIX.T
    assert abs(gap.std() / NOISE - 1) < 0.15
    assert held_out.topped_up(400, LINE, seconds=1.0, seed=5, schema=simulations.schema) is held_out
    assert (
        held_out.topped_up(400, None, seconds=1e-6, seed=5, schema=simulations.schema) is held_out
    )
    some = held_out.topped_up(400, LINE, seconds=0.05, seed=5, schema=simulations.schema)
    assert len(some) == 300  # as many as ten seconds allow
    assert np.array_equal(some.truth, more.truth[:300])
    assert held_out.topped_up(50, LINE, seconds=1e-6, seed=5, schema=simulations.schema) is held_out
