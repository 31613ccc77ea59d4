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


def test_draws_are_labelled_like_the_simulations(simulations):
    draws = simulations.label({"a": [0.1, 0.2], "b": [[1, 2], [3, 4]]}, attrs={"epsilon": 0.5})
    assert draws.a.attrs["units"] == "m"
    assert draws.b.dims == ("draw", "b_dim")
    assert draws.attrs == {"epsilon": 0.5}
    # 95 % of a uniform distribution of width 1, and 2 * 1.96 sd of a normal one.
    assert draws.a.attrs["prior_width95"] == pytest.approx(0.95, abs=0.02)
    assert draws.b.attrs["prior_width95"] == pytest.approx([3.92, 3.92], rel=0.03)


def test_draws_of_many_observations(simulations):
    flat = np.arange(24.0).reshape(2, 4, 3)
    draws = simulations.label_each(flat)
    assert draws.a.dims == ("observation", "draw")
    assert draws.b.dims == ("observation", "draw", "b_dim")
    assert np.array_equal(draws.a, flat[..., 0])
    assert np.array_equal(draws.b, flat[..., 1:])


def test_draws_of_the_prior(simulations):
    draws = simulations.prior_draws
    assert draws.identical(simulations.prior_draws)
    assert 0 <= draws.a.min()
    assert draws.a.max() <= 1
    assert draws.a.mean().item() == pytest.approx(0.5, abs=0.01)


def test_rows_that_are_taken(simulations):
    few = simulations.take([5, 2, 9])
    assert np.array_equal(few.dataset["a"], simulations.dataset["a"].values[[5, 2, 9]])
    assert len(few) == 3
    assert few.schema == simulations.schema


def test_rows_that_are_chosen_keep_their_failures():
    def fragile(a):
        if a > 0:
            raise ValueError(f"no {a}")
        return {"y": a}

    table = simulate(fragile, Prior(a=st.norm()), n=40, seed=1, n_jobs=1, progress=False)
    failed = np.setdiff1d(np.arange(40), table.ok)
    chosen = np.array([table.ok[0], failed[3], table.ok[1], failed[1]])
    few = table.take(chosen)
    assert few.failures["simulation"].tolist() == [1, 3]
    for place, row in ((0, failed[3]), (1, failed[1])):
        known = table.failures[table.failures["simulation"] == row]
        assert few.failures["error"].iloc[place] == known["error"].item()
    assert len(table.take(table.ok).failures) == 0
