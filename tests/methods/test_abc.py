"""Rejection ABC: what is kept, how far away it is, and how well that does."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.methods.abc import nearest, rejection_abc


@pytest.fixture(scope="module")
def simulations():
    @si.simulator(batched=True)
    def both(a, rng):
        far = 1e6 * rng.normal(size=len(a))  # says nothing, in a unit that makes it large
        return {"far": far, "near": a + 0.1 * rng.normal(size=len(a))}

    prior = si.Prior(a=st.norm(0, 1))
    return si.simulate(both, prior, n=4_000, seed=1, n_jobs=1, progress=False)


@pytest.fixture(scope="module")
def distances(simulations):
    """Distances from `Y`, worked out by hand."""
    data = simulations.dataset
    columns = [(data[n].values - Y[n]) / _mad(data[n].values) for n in ("far", "near")]
    return np.hypot(*columns)


Y = {"far": 2e5, "near": 0.5}


def _mad(values):
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def test_a_quantile_keeps_the_closest(simulations, distances):
    draws = rejection_abc(simulations, Y, quantile=0.01)
    order = np.argsort(distances)[:40]
    assert np.array_equal(draws.a, simulations.dataset["a"].values[order])
    assert np.allclose(draws.distance, distances[order])
    assert draws.attrs == {
        "method": "rejection ABC",
        "acceptance_rate": 0.01,
        "epsilon": pytest.approx(distances[order[-1]]),
        "n_simulations": 4_000,
    }
    assert rejection_abc(simulations, Y).sizes["draw"] == 20


def test_a_threshold_keeps_all_within(simulations, distances):
    draws = rejection_abc(simulations, Y, epsilon=0.3)
    within = distances <= 0.3
    assert set(draws.a.values) == set(simulations.dataset["a"].values[within])
    assert draws.distance.max() <= 0.3
    assert (np.diff(draws.distance) >= 0).all()
    assert draws.attrs["epsilon"] == 0.3
    assert draws.attrs["acceptance_rate"] == within.mean()


def test_units_do_not_decide(simulations):
    # Unscaled, `far` would choose alone, and the draws would be those of the prior: sd 1.
    draws = rejection_abc(simulations, Y, quantile=0.01)
    exact_mean, exact_sd = 0.5 / 1.01, np.sqrt(0.01 / 1.01)
    assert abs(draws.a.mean().item() - exact_mean) < 0.1
    assert draws.a.std().item() < 2 * exact_sd


def test_everything_within_a_quantile_of_one(simulations):
    draws = rejection_abc(simulations, Y, quantile=1)
    assert draws.sizes["draw"] == 4_000
    assert draws.attrs["acceptance_rate"] == 1


def test_nothing_within_says_how_far_the_closest_is(simulations, distances):
    with pytest.raises(ValueError, match=f"epsilon = 1e-09.*of 4,000 is at {distances.min():.3g}"):
        rejection_abc(simulations, Y, epsilon=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantile": 0}, r"quantile in \(0, 1\]; got 0"),
        ({"quantile": -0.1}, r"quantile in \(0, 1\]; got -0.1"),
        ({"quantile": 1.01}, r"quantile in \(0, 1\]; got 1.01"),
        ({"epsilon": -1}, "epsilon >= 0; got -1"),
        ({"quantile": 0.1, "epsilon": 1}, "not both"),
    ],
)
def test_wrong_thresholds(simulations, settings, message):
    with pytest.raises(ValueError, match=message):
        rejection_abc(simulations, Y, **settings)


def test_failed_rows_are_passed_over():
    def sometimes(a, rng):
        return np.nan if a > 0 else a

    table = si.simulate(sometimes, si.Prior(a=st.norm()), n=300, seed=1, n_jobs=1, progress=False)
    draws = rejection_abc(table, 0.0, quantile=1)
    assert draws.sizes["draw"] == draws.attrs["n_simulations"] == len(table.ok)
    assert (draws.a <= 0).all()


def test_an_observation_that_does_not_fit(simulations):
    with pytest.raises(si.ShapeError, match="near missing"):
        rejection_abc(simulations, {"far": 1.0})


def test_givens_that_vary_must_be_fixed_first():
    def scaled(a, k, rng):
        return a * k + rng.normal()

    prior = si.Prior(a=st.norm())
    settings = {"n": 300, "seed": 1, "n_jobs": 1, "progress": False}
    varying = si.simulate(scaled, prior, given={"k": st.uniform(1, 2)}, **settings)
    with pytest.raises(si.ShapeError, match=r"given=\{'k': 1.5\} first"):
        rejection_abc(varying, {"y": 1.0, "k": 1.5})
    fixed = si.simulate(scaled, prior, given={"k": 1.5}, **settings)
    assert rejection_abc(fixed, {"y": 1.0, "k": 1.5}).sizes["draw"] == 2
    assert rejection_abc(fixed, 1.0).sizes["draw"] == 2


def test_the_nearest_rows():
    rows = np.array([[3.0, 0.0], [0.0, 8.0], [1.0, 1.0], [0.0, 0.0]])
    index, distance = nearest(rows, np.zeros(2), np.array([1.0, 4.0]), quantile=0.75)
    assert index.tolist() == [3, 2, 1]
    assert np.allclose(distance, [0, np.hypot(1, 0.25), 2])
    index, _ = nearest(rows, np.zeros(2), np.ones(2), quantile=1e-9)
    assert index.tolist() == [3]
    index, _ = nearest(rows, np.zeros(2), np.ones(2), epsilon=0)
    assert index.tolist() == [3]
