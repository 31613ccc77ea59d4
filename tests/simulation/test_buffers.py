"""Simulators, noise and givens that return the same array, list or dict every time."""

import numpy as np
import pytest
import scipy.stats as st
import xarray as xr

from sbi_inn.prior import Prior
from sbi_inn.simulation import pool
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import resimulate_rows, simulate
from sbi_inn.simulation.simulator import simulator

PRIOR = Prior(a=st.norm(0, 1))
N = 1_000


def array():
    buffer = np.empty(2)

    def fill(a):
        buffer[:] = a, 2 * a
        return buffer

    return fill


def view():
    trajectory = np.empty((9, 2))

    def fill(a):
        trajectory[-1] = a, 2 * a
        return trajectory[-1]

    return fill


def values():
    numbers = [0.0, 0.0]

    def fill(a):
        numbers[:] = a, 2 * a
        return numbers

    return fill


def nested():
    one = np.empty(())
    numbers = [one, one]

    def fill(a):
        one[()] = a
        numbers[1] = 2 * a
        return numbers

    return fill


def names():
    found = {"y": np.empty(2)}

    def fill(a):
        found["y"][:] = a, 2 * a
        return found

    return fill


def replaced():
    found = {}

    def fill(a):
        found["y"] = (a, 2 * a)
        return found

    return fill


def dataset():
    found = xr.Dataset({"y": ("i", np.empty(2))})

    def fill(a):
        found["y"].values[:] = a, 2 * a
        return found

    return fill


MAKERS = [array, view, values, nested, names, replaced, dataset]
parametrize = pytest.mark.parametrize("make", MAKERS, ids=[make.__name__ for make in MAKERS])


def expected(table):
    return np.stack([table["a"].values, 2 * table["a"].values], axis=1)


@parametrize
def test_what_comes_back_is_copied(make):
    table = simulate(make(), PRIOR, n=N, seed=1, n_jobs=1, progress=False).dataset
    np.testing.assert_array_equal(table["y"], expected(table))


@parametrize
def test_noise_that_returns_the_same_object(make):
    fill = make()

    def noise(y):
        return fill(y[0])

    simulations = simulate(
        lambda a: np.array([a, 7.0]), PRIOR, noise=noise, n=N, seed=1, n_jobs=1, progress=False
    )
    np.testing.assert_array_equal(simulations.observations().vector, expected(simulations.dataset))


@pytest.mark.parametrize(("jobs", "sets"), [(1, False), (1, True), (2, False)])
def test_a_batch_in_place(jobs, sets, monkeypatch):
    buffer = np.empty((256, 2))

    def fill(a, n):
        buffer[: len(a)] = np.stack([a, 2 * a], axis=1)
        return {"y": buffer[: len(a)]}

    function = simulator(fill, batched=True, sets={"n": ["y"]} if sets else {})
    monkeypatch.setattr(pool, "WORTH_IT", 0.0)
    table = simulate(
        function, PRIOR, n=5_000, given={"n": 2}, seed=1, n_jobs=jobs, progress=False
    ).dataset
    np.testing.assert_array_equal(table["y"], expected(table))


def test_batched_noise_in_place():
    buffer = np.empty(N)

    @simulator(batched=True)
    def noise(y, rng):
        buffer[: len(y)] = y + 1
        return buffer[: len(y)]

    simulations = simulate(lambda a: a, PRIOR, noise=noise, n=N, seed=1, n_jobs=1, progress=False)
    noisy = simulations.observations().vector
    simulations.renewed(simulations.ok[::-1], np.random.default_rng(1))
    np.testing.assert_array_equal(noisy[:, 0], simulations.dataset["a"] + 1)


def test_hidden_randomness_of_a_batch_in_place_is_seen():
    buffer, hidden = np.empty(256), np.random.default_rng(1)

    @simulator(batched=True)
    def fill(a):
        hidden.standard_normal(out=buffer)
        return buffer[: len(a)]

    with pytest.warns(UserWarning, match="hidden global randomness"):
        simulate(fill, PRIOR, n=300, seed=1, n_jobs=1, progress=False)


def test_a_function_of_a_given_in_place():
    buffer = np.empty(256)

    def twice(a):
        np.multiply(a, 2, out=buffer[: len(a)])
        return buffer[: len(a)]

    table = simulate(
        lambda a, g: g, PRIOR, given={"g": twice}, n=N, seed=1, n_jobs=1, progress=False
    ).dataset
    np.testing.assert_array_equal(table["g"], 2 * table["a"])


def test_a_simulation_again():
    a = np.linspace(-1, 1, 50)
    for make in MAKERS:
        found, _ = resimulate_rows(Problem(make(), PRIOR), {"a": a}, seed=1)
        np.testing.assert_array_equal(found["y"], np.stack([a, 2 * a], axis=1))
