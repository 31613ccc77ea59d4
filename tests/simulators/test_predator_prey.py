"""The solver of the benchmark's two differential equations, against scipy and what is conserved."""

import numpy as np
import pytest
from sbi_inn.simulators import _predator_prey as solver
from sbi_inn.simulators import lotka_volterra, sir
from scipy.integrate import solve_ivp

from sbi_inn.simulation.registry import get

ACCURACY = 1e-6  # relative: what is asked of the solver


def parameters(name, draws=12, corner=4.0):
    """Draws of the prior, and its corners: four standard deviations out in every direction."""
    prior = get(name).prior
    inside = np.random.default_rng(1).normal(size=(draws, prior.dim))
    corners = np.array(np.meshgrid(*[[-corner, corner]] * prior.dim)).reshape(prior.dim, -1).T
    return list(prior.from_latent(np.vstack([inside, corners])).values())


def scipy_path(derivative, start, times):
    exact = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-13}
    return solve_ivp(derivative, (0, times[-1]), start, t_eval=times, **exact).y


def test_an_epidemic_in_people():
    beta, gamma = parameters("sir")
    found = sir.infected(beta, gamma)
    for row, b, g in zip(found, beta, gamma, strict=True):

        def derivative(_, people, b=b, g=g):
            susceptible, infected, _ = people
            new, over = b * susceptible * infected / 1e6, g * infected
            return [-new, new - over, over]

        people = scipy_path(derivative, [1e6 - 1, 1.0, 0.0], 17.0 * np.arange(10))
        # Few are left of the shortest epidemics: scipy's absolute tolerance bounds what it says.
        np.testing.assert_allclose(row, people[1] / 1e6, rtol=ACCURACY, atol=1e-15)


def test_predators_and_prey():
    rates = parameters("lotka_volterra")
    found = lotka_volterra.log_counts(*rates)
    for row, (a, b, c, d) in zip(found, np.transpose(rates), strict=True):

        def derivative(_, z, a=a, b=b, c=c, d=d):
            return [a - b * np.exp(z[1]), d * np.exp(z[0]) - c]

        path = scipy_path(derivative, np.log([30.0, 1.0]), 2.1 * np.arange(10))
        expected = np.concatenate(path).clip(np.log(1e-10), np.log(1e4))
        np.testing.assert_allclose(row, expected, rtol=0, atol=ACCURACY)


@pytest.mark.parametrize("growth", [0.0, 1.0])
def test_what_is_conserved(growth):
    """It is delta x - gamma log x + beta y - alpha log y, here at 2,000 draws."""
    rates = np.exp(np.random.default_rng(2).normal(0, 0.5, (4, 2000)))
    rates[0] *= growth
    alpha, beta, gamma, delta = rates
    path = solver.log_populations(*rates, start=(1.0, 2.0), interval=3.0, times=5)
    prey, predators = path[:, 0], path[:, 1]
    constant = delta * np.exp(prey) - gamma * prey + beta * np.exp(predators) - alpha * predators
    assert np.median(np.ptp(prey, axis=0)) > 1
    assert (np.abs(constant - constant[0]) < 1e-8 * (1 + gamma * np.abs(prey))).all()


def test_rows_do_not_see_each_other():
    rates = np.array(parameters("lotka_volterra"))
    together = lotka_volterra.log_counts(*rates)
    alone = np.vstack([lotka_volterra.log_counts(*row[:, None]) for row in rates.T])
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-7)


def test_rows_that_would_take_for_ever_are_nan_and_the_others_are_not():
    rates = np.ones((4, 3))
    rates[:, 1] = 1e4  # thousands of cycles in an interval
    path = solver.log_populations(*rates, start=(1.0, 2.0), interval=1.0, times=3)
    assert np.isnan(path[1:, :, 1]).all()
    assert np.isfinite(path[:, :, [0, 2]]).all()
    assert np.array_equal(path[:, :, 0], path[:, :, 2])
