"""A throw with drag: the path against its differential equation, the impact against brentq."""

import numpy as np
from sbi_inn.simulators import inverse_ballistics as ballistics
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import lambertw

from sbi_inn.simulation.registry import get


def throws(n, spread=1.0, seed=1):
    """Parameters (x1, x2, angle, speed), and the upward speed, of n draws from the prior."""
    prior = get("inverse_ballistics").prior
    draws = prior.from_latent(spread * np.random.default_rng(seed).standard_normal((n, 4)))
    return draws, draws["speed"] * np.sin(np.radians(draws["angle"]))


def test_the_time_of_impact_against_a_bracketing_root_finder():
    draws, rise = throws(300)
    found = ballistics.impact_time(draws["x2"], rise)
    for time, x2, up in zip(found, draws["x2"], rise, strict=True):
        peak = brentq(lambda t, up=up: ballistics.climb(t, up), 0, 100, xtol=1e-15)
        exact = brentq(lambda t, x=x2, up=up: ballistics.height(t, x, up), peak, 100, xtol=1e-15)
        assert time > peak
        assert np.isclose(time, exact, rtol=1e-13)


def test_the_time_of_impact_in_closed_form():
    """The larger root of a exp(-t) + t = b, in units of m / k, is b + W(-a exp(-b))."""
    draws, rise = throws(20_000, spread=2.0)
    g, k, m = 9.81, 0.25, 0.2
    a = 1 + k * rise / (g * m)
    b = a + k**2 * draws["x2"] / (g * m**2)
    exact = m / k * (b + lambertw(-a * np.exp(-b)).real)
    np.testing.assert_allclose(ballistics.impact_time(draws["x2"], rise), exact, rtol=1e-12)


def test_the_path_against_its_differential_equation():
    g, k, m = 9.81, 0.25, 0.2

    def move(t, state):
        _, y, across, up = state
        return [across, up, -k / m * across, -g - k / m * up]

    def ground(t, state):
        return state[1]

    ground.terminal, ground.direction = True, -1
    draws, _ = throws(20, seed=2)
    impact = ballistics.throw(**draws)["impact"]
    for i, (x1, x2, angle, speed) in enumerate(zip(*draws.values(), strict=True)):
        start = [x1, x2, speed * np.cos(np.radians(angle)), speed * np.sin(np.radians(angle))]
        path = solve_ivp(move, (0, 60), start, events=ground, rtol=1e-11, atol=1e-12)
        assert np.isclose(path.y_events[0][0, 0], impact[i], rtol=0, atol=1e-8)


def test_the_formulas_as_the_source_prints_them():
    g, k, m, t = 9.81, 0.25, 0.2, np.linspace(0, 3, 7)
    x2, rise = 1.3, 7.0
    e = np.exp(-k * t / m) - 1
    printed = x2 - m / k**2 * ((g * m + rise * k) * e + g * t * k)
    np.testing.assert_allclose(ballistics.height(t, x2, rise), printed, atol=1e-13)
    step = 1e-6
    after, before = (ballistics.height(t + sign * step, x2, rise) for sign in (1, -1))
    slope = (after - before) / (2 * step)
    np.testing.assert_allclose(ballistics.climb(t, rise), slope, atol=1e-7)


def test_the_prior_has_the_moments_of_the_source():
    draws = get("inverse_ballistics").prior.sample(100_000, np.random.default_rng(3))
    moments = {
        "x1": (0, 0.5),
        "x2": (1.5, 0.5),
        "angle": (45, 72 / 12**0.5),
        "speed": (15, 15**0.5),
    }
    for name, (mean, sd) in moments.items():
        cut = 0.003 if name == "x2" else 0  # what truncation moves
        assert abs(draws[name].mean() - mean) < 4 * sd / 100_000**0.5 + cut
        assert abs(draws[name].std() / sd - 1) < 4 / 100_000**0.5 + 3 * cut
    assert draws["x2"].min() > 0


def test_every_draw_of_the_prior_lands():
    prior = get("inverse_ballistics").prior
    corners = np.array(np.meshgrid(*[[-40.0, -8.0, 0.0, 8.0, 40.0]] * 4)).reshape(4, -1).T
    draws = prior.from_latent(corners)
    impact = ballistics.throw(**draws)["impact"]
    assert np.isfinite(impact).all()
    assert (impact >= draws["x1"]).all()
