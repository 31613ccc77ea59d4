"""Simulations: the table and what is read from it."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import simulate
from sbi_inn.simulation.simulator import simulator


@pytest.fixture(scope="module")
def simulations():
    @simulator(sets={"n": ["x"]})
    def mixed(a, n, sd, rng):
        if a < 0.1:
            raise ValueError("too small")
        return {"x": rng.normal(a, sd, n), "z": np.nan if a > 0.9 else a}

    prior = Prior(a=st.uniform(0, 1), b=st.multivariate_normal([0, 0]))
    given = {"n": st.randint(1, 6), "sd": st.uniform(1, 2), "k": 3}
    problem = Problem(mixed, prior, given=given, units={"a": "m"})
    return simulate(problem, n=300, seed=1, n_jobs=1, progress=False)


def test_rows_that_succeeded(simulations):
    a = simulations.dataset["a"].values
    assert len(simulations) == 300
    assert np.array_equal(simulations.ok, np.flatnonzero((a >= 0.1) & (a <= 0.9)))
    assert 0 < len(simulations.ok) < 300
    assert np.array_equal(
        simulations.failures["simulation"], np.setdiff1d(np.arange(300), simulations.ok)
    )


def test_parameters(simulations):
    parameters = simulations.parameters()
    assert list(parameters) == ["a", "b"]
    assert parameters["b"].shape == (len(simulations.ok), 2)
    assert np.array_equal(simulations.parameters([7])["a"], simulations.dataset["a"].values[[7]])


def test_observations(simulations):
    data, ok = simulations.dataset, simulations.ok
    observations = simulations.observations()
    assert simulations.schema.columns == ("z", "sd")
    assert np.array_equal(
        observations.vector, np.column_stack([data["z"].values[ok], data["sd"].values[ok]])
    )
    assert np.array_equal(observations.sets["n"].sizes, data["n"].values[ok])
    one = simulations.observations(ok[3:4])
    row = simulations.schema.unstack(observations, 3)
    assert np.array_equal(simulations.schema.read(row).vector, one.vector)
    assert np.array_equal(row["x"], data["x"].values[ok[3], : data["n"].values[ok[3]]])


def test_labels_and_units(simulations):
    assert simulations.attrs(("a", "z")) == {
        "a": {"label": "a", "units": "m"},
        "z": {"label": "z", "units": ""},
    }


def test_repr_says_what_it_holds(simulations):
    text = repr(simulations)
    counts = simulations.failures["status"].value_counts()
    assert f"300 rows ({len(simulations.ok)} ok" in text
    assert f"{counts['failed']} failed" in text
    assert f"{counts['invalid']} invalid" in text
    assert "parameters: a, b" in text
    assert "{'x': (n,), 'z': number, 'sd': number}" in text
