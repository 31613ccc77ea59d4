"""Clusters of a cloud: the light against integrals, the exact posterior against rejection."""

import numpy as np
import pytest
from sbi_inn.simulators import star_counts as stars
from scipy import constants
from scipy.integrate import quad

from sbi_inn.simulation.registry import get
from sbi_inn.simulation.run import simulate

Y, ERROR = np.array([5.02, 6.40, 5.39, 1.10]), 0.06


def planck(x):
    return 15 / np.pi**4 * x**3 / np.expm1(x)


@pytest.mark.parametrize("x", [0.3, 1.0, 4.0, 12.0])
def test_a_black_body_against_its_integral(x):
    energy, _ = quad(planck, x, 60)
    photons, _ = quad(lambda t: planck(t) / t, x, 60)
    assert stars.black_body_energy(np.array([x]))[0] == pytest.approx(energy, rel=1e-8)
    assert stars.black_body_photons(np.array([x]))[0] == pytest.approx(photons, rel=1e-8)


def test_the_sun_as_it_is_known():
    luminosity, temperature = stars.main_sequence(np.array([1.0]))
    assert luminosity == 1
    assert 5_500 < temperature[0] < 5_800
    assert stars.lifetime(1.0) == pytest.approx(10_000, rel=1e-3)
    x = constants.h * constants.c / (constants.k * 1e-6)  # at a micrometre
    assert pytest.approx(x, rel=1e-6) == stars.HC_OVER_K / 1e-6


@pytest.mark.parametrize("age", [1.0, 4.0, 12.0])
def test_starlight_against_an_integral_over_the_stars(age):
    """Stars that live longer than the age shine; mass by mass, of one solar mass in all."""
    heaviest = min(stars.HEAVIEST, ((age - 2.5) / 1e4) ** -0.4 if age > 2.5 else np.inf)
    total, _ = quad(lambda m: m**-1.35, stars.LIGHTEST, stars.HEAVIEST)
    ends = (stars.LIGHTEST, heaviest)
    breaks = [m for m in (0.43, 1.66, 2.0, 55.0) if m < heaviest]
    found = stars.starlight(age)
    for band in range(3):

        def light(m, band=band):
            return m**-2.35 * stars.shining(np.array([m]))[band][0]

        exact, _ = quad(light, *ends, points=breaks, limit=200)
        assert found[band] == pytest.approx(exact / total, rel=2e-3)


def test_clusters_one_by_one():
    mass, sfe, age = 2e5, 0.12, 9.0
    gas, light = mass, np.zeros(3)
    for old in (9.0, 6.0, 3.0):
        light += sfe * gas * stars.starlight(old)
        gas *= 1 - sfe
    exact = np.log10([*light, stars.CO * gas])
    np.testing.assert_allclose(stars.log_luminosities(mass, sfe, age, 3)[0], exact, rtol=1e-12)
    single = np.log10([*(sfe * mass * stars.starlight(9.0)), stars.CO * mass * (1 - sfe)])
    np.testing.assert_allclose(stars.log_luminosities(mass, sfe, age, 1)[0], single, rtol=1e-12)


def test_light_is_in_proportion_to_the_mass_and_fades():
    ages = np.linspace(0.5, 30, 200)
    one, ten = (stars.log_luminosities(m, 0.1, ages, 2) for m in (1e5, 1e6))
    np.testing.assert_allclose(ten - one, 1.0, rtol=1e-12)
    assert (np.diff(one[:, :3], axis=0) <= 0).all()


def test_noise_has_the_stated_error():
    data = simulate("star_counts", n=20_000, seed=1, n_jobs=1, progress=False).dataset
    values = {n: data[n].values for n in ("mass", "sfe", "age", "clusters")}
    gap = data["luminosity"].values - stars.log_luminosities(**values)
    standard = gap / data["error"].values[:, None]
    assert abs(standard.std() - 1) < 4 / np.sqrt(2 * standard.size)
    assert set(np.unique(values["clusters"])) == {1, 2, 3}


@pytest.fixture(scope="module")
def enumerated():
    """The exact posterior, and prior draws weighted by their likelihood."""
    draws = get("star_counts").prior.sample(2_000_000, np.random.default_rng(1))
    gap = (Y - stars.log_luminosities(**draws)) / ERROR
    weight = np.exp(-(gap**2).sum(axis=1) / 2)
    return stars.posterior(Y, ERROR), draws, weight / weight.sum()


def test_probabilities_against_weighted_draws_of_the_prior(enumerated):
    exact, draws, weight = enumerated
    for number, probability in enumerate(exact.probabilities, 1):
        here = draws["clusters"] == number
        noise = np.sqrt((weight**2 * (here - probability) ** 2).sum())
        assert abs(weight[here].sum() - probability) < 4 * noise
    assert exact.probabilities.sum() == pytest.approx(1)


def test_parameters_given_the_number_against_weighted_draws(enumerated):
    exact, draws, weight = enumerated
    found = exact.sample(50_000, np.random.default_rng(2))
    for number in (1, 2):
        drawn, here = found["clusters"] == number, draws["clusters"] == number
        part = weight[here] / weight[here].sum()
        for name in ("mass", "sfe", "age"):
            values, ours = np.log(draws[name][here]), np.log(found[name][drawn])
            mean = part @ values
            sd = np.sqrt(part @ (values - mean) ** 2)
            noise = sd * np.sqrt((part**2).sum() + 1 / drawn.sum())
            assert abs(ours.mean() - mean) < 4 * noise
            assert ours.std() == pytest.approx(sd, rel=0.06)


def test_two_modes_in_age_that_the_number_tells_apart(enumerated):
    exact, _, _ = enumerated
    draws = exact.sample(20_000, np.random.default_rng(3))
    young, old = (draws["age"][draws["clusters"] == number] for number in (1, 2))
    assert exact.probabilities[:2].min() > 0.2
    assert np.quantile(young, 0.95) < np.quantile(old, 0.05)
