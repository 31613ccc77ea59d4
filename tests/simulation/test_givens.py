"""Givens of every kind: numbers, distributions, rows of arrays, functions of the others."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.errors import PriorError
from sbi_inn.simulation.givens import Drawer
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulations import SimulationError

ROWS = 4_000
PRIOR = si.Prior(a=st.norm(0, 1))


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def drawn(rng, parameters=None, **given):
    return Drawer(given)(parameters or {}, ROWS, rng)


def test_rows_of_an_array_are_drawn_evenly(rng):
    table = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, np.nan]])
    found = drawn(rng, sigma=table)["sigma"]
    assert found.shape == (ROWS, 2)
    counts = np.bincount((found[:, 0] / 2).astype(int), minlength=3)
    assert st.chisquare(counts).pvalue > 1e-3
    np.testing.assert_array_equal(np.isnan(found[:, 1]), found[:, 0] == 4)


def test_arrays_of_one_length_share_their_row(rng):
    found = drawn(rng, one=np.arange(50), other=10.0 * np.arange(50), third=np.arange(49))
    np.testing.assert_array_equal(found["other"], 10 * found["one"])
    assert (found["third"] != found["one"]).any()


def test_a_function_takes_parameters_earlier_givens_and_rng(rng):
    found = drawn(
        rng,
        {"a": np.arange(ROWS)},
        exposure=st.uniform(1, 2),
        sigma=lambda a, exposure: a / exposure,
        scatter=lambda sigma, rng: rng.normal(size=(len(sigma), 3)),
        count=lambda exposure: st.poisson(10 * exposure),
        fixed=lambda: 3.0,
    )
    np.testing.assert_allclose(found["sigma"], np.arange(ROWS) / found["exposure"])
    assert found["scatter"].shape == (ROWS, 3)
    error = np.sqrt(20 / ROWS)
    assert found["count"].mean() == pytest.approx(20, abs=4 * error)
    assert (found["fixed"] == 3).all()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda b: b, "'b' is not a parameter or earlier given.*known: a, rng"),
        ([[1.0, 2.0], [1.0]], r"array of numbers.*got an array of object, shape \(2,\)"),
        (np.array(["x"]), "array of numbers.*got an array of str"),
        (np.empty((0, 2)), "at least one row.*shape \\(0, 2\\)"),
        (np.array([1.0, np.inf]), "finite, or NaN where missing; got infinity"),
        ("many", "must be a number; a frozen scipy distribution.*got 'many'"),
    ],
)
def test_givens_that_cannot_be_drawn(value, message):
    with pytest.raises(PriorError, match=message):
        Problem(lambda a: a, PRIOR, given={"sigma": value})


@pytest.mark.parametrize(
    "function",
    [lambda a: a[:3], lambda a: ["x"] * len(a), lambda a: np.where(a > 0, np.inf, a)],
    ids=["rows", "text", "infinity"],
)
def test_a_function_that_gives_something_else(function):
    with pytest.raises(PriorError, match="expected 256 rows of finite numbers from its function"):
        si.simulate(lambda a: a, PRIOR, given={"b": function}, n=300, seed=1, progress=False)


def test_a_vector_given_reaches_the_simulator_and_the_schema():
    def bands(a, sigma, rng):
        return {"flux": a + sigma * rng.normal(size=3)}

    errors = np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])
    table = si.simulate(bands, PRIOR, given={"sigma": errors}, n=300, seed=1, progress=False)
    schema = table.schema
    assert schema.givens == ("sigma",)
    assert schema.given_shapes == {"sigma": (3,)}
    assert schema.trained["sigma[2]"] == (0.3, 3.0)
    assert schema.columns[-3:] == ("sigma[0]", "sigma[1]", "sigma[2]")
    y = {"flux": [0.0, 0.0, 0.0], "sigma": [0.1, 0.2, 0.3]}
    assert schema.read(y).givens == 3
    again = schema.unstack(schema.read(y), 0)
    assert again["sigma"].tolist() == y["sigma"]
    with pytest.warns(UserWarning, match=r"sigma\[1\] = 9 is outside the trained range 0.2 to 2"):
        schema.read({"flux": [0.0] * 3, "sigma": [0.1, 9.0, 0.3]})
    with pytest.raises(si.ShapeError, match=r"expected sigma of shape \(3,\)"):
        schema.read({"flux": [0.0] * 3, "sigma": 0.1})


def test_the_length_of_a_set_is_one_integer():
    @si.simulator(sets={"n": ["y"]})
    def sample(a, n, rng):
        return {"y": rng.normal(a, size=n)}

    lengths = np.array([3, 5])
    table = si.simulate(sample, PRIOR, given={"n": lengths}, n=300, seed=1, progress=False)
    assert set(np.unique(table.dataset["n"])) == {3, 5}
    with pytest.raises(SimulationError, match="must be one integer; got shape"):
        si.simulate(sample, PRIOR, given={"n": np.array([[3, 5]])}, n=300, seed=1, progress=False)
