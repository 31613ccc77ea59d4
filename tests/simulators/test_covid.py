"""An epidemic with a reporting delay: against a slow one, the differential equation, moments."""

import numpy as np
import pytest
from sbi_inn.simulators import covid
from scipy.integrate import solve_ivp

from sbi_inn.simulation.registry import get
from sbi_inn.simulation.run import simulate

CALM = {"contact": 0.4, "recovery": 0.125, "infected": 40.0}


def slowly(contact, recovery, delay, infected, days):
    """Follow one epidemic day by day, and put every infection on the day of its report."""
    susceptible, ill, reports = covid.POPULATION - infected, infected, np.zeros(days + 40)
    for day in range(days):
        new = infected if day == 0 else contact * ill * susceptible / covid.POPULATION
        if day > 0:
            susceptible, ill = susceptible - new, ill + new - recovery * ill
        late = delay % 1
        reports[day + int(delay)] += (1 - late) * new
        reports[day + int(delay) + 1] += late * new
    return reports[:days]


def test_many_at_once_as_one_after_another():
    draws = get("covid").prior.sample(40, np.random.default_rng(1))
    draws.pop("dispersion")
    together = covid.expected(**draws, days=150)
    for row, found in enumerate(together):
        one = {name: float(value[row]) for name, value in draws.items()}
        np.testing.assert_allclose(found, slowly(**one, days=150), rtol=1e-9, atol=1e-6)


def test_early_growth_is_geometric():
    new = covid.infections(**CALM, days=20)[0]
    exact = 40 * 0.4 * 1.275 ** np.arange(19)
    # Of the 83 million, 4,000 are not susceptible any more at the end.
    np.testing.assert_allclose(new[1:], exact, rtol=2e-4)


def test_slow_epidemics_follow_the_differential_equation():
    slow = {"contact": 0.02, "recovery": 0.006, "infected": 1e6}
    new = covid.infections(**slow, days=1_500)[0]

    def move(t, state):
        s, i = state
        return [-0.02 * i * s / covid.POPULATION, 0.02 * i * s / covid.POPULATION - 0.006 * i]

    times = np.arange(1_500)
    start = [covid.POPULATION - 1e6, 1e6]
    path = solve_ivp(move, (0, 1_500), start, t_eval=times, rtol=1e-9, atol=1e-3)
    # Steps of a day miss by about half a rate: .01 of a growth of 83.
    np.testing.assert_allclose(new.cumsum(), covid.POPULATION - path.y[0], rtol=0.03)
    assert new.cumsum()[-1] > 0.85 * covid.POPULATION  # it has passed


def test_nobody_is_infected_twice():
    new = covid.infections(np.array([5.0]), np.array([0.1]), np.array([100.0]), 60)
    assert new.min() >= 0
    assert new.sum() == pytest.approx(covid.POPULATION)


def test_a_delay_shifts_the_series():
    early, late = (covid.expected(delay=d, days=90, **CALM)[0] for d in (8.3, 11.3))
    assert not early[:8].any()
    assert early[8] == pytest.approx(0.7 * 40)
    np.testing.assert_allclose(late[3:], early[:-3], rtol=1e-12)
    assert not late[:3].any()


def test_a_delay_between_two_days_shares_the_reports():
    whole, next_day, between = (
        covid.expected(delay=d, days=60, **CALM)[0] for d in (8.0, 9.0, 8.25)
    )
    np.testing.assert_allclose(between, 0.75 * whole + 0.25 * next_day, rtol=1e-12)


def test_mean_and_variance_of_the_counts():
    rng, n = np.random.default_rng(1), 50_000
    ones = np.ones(n)
    given = {name: value * ones for name, value in CALM.items()}
    days = np.full(n, 30)
    mean = covid.expected(delay=8.0, days=30, **CALM)[0, -1]
    for psi in (0.5, 5.0):
        cases = covid.covid(**given, delay=8 * ones, dispersion=psi * ones, days=days, rng=rng)
        last = cases["cases"][:, -1]
        variance = mean + mean**2 / psi
        assert abs(last.mean() - mean) < 4 * np.sqrt(variance / n)
        # The fourth central moment of a gamma, nearly: 3 + 6 / psi variances squared.
        assert abs(last.var() / variance - 1) < 4 * np.sqrt((2 + 6 / psi) / n)


def test_series_of_every_length():
    data = simulate("covid", n=3_000, seed=1, n_jobs=1, progress=False).dataset
    days, cases = data["days"].values, data["cases"].values
    assert (days.min(), days.max()) == (1, 150)
    inside = np.arange(cases.shape[1]) < days[:, None]
    assert np.isfinite(cases[inside]).all()
    assert np.isnan(cases[~inside]).all()
    assert (cases[inside] == np.rint(cases[inside])).all()
    first = data["delay"].values.astype(int)[:, None] > np.arange(cases.shape[1])
    assert not cases[inside & first].any()
