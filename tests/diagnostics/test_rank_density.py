"""Smooth densities of ranks: they are densities, they mend, and they leave chance alone."""

import numpy as np
import pytest
from scipy import special, stats

from sbi_inn.diagnostics.rank_density import RankDensity, p_value, unevenness

WRONG = {"too narrow": (0.7, 0.7), "too wide": (1.5, 1.5), "too low": (1.3, 1.0)}


@pytest.mark.parametrize("shape", WRONG.values(), ids=WRONG)
def test_the_density_is_that_of_the_ranks(shape):
    rng = np.random.default_rng(1)
    found = RankDensity.fit(rng.beta(*shape, size=20_000), penalty=1.0)
    middle = (np.arange(2_000) + 0.5) / 2_000
    density = np.exp(found.log_density(middle))
    assert abs(density.mean() - 1) < 1e-3  # the sum over cells of both
    inside = (middle > 0.1) & (middle < 0.9)
    right = stats.beta.pdf(middle[inside], *shape)
    # Six coefficients from 20,000 ranks: a standard error of .02, and what a polynomial cannot do.
    assert np.abs(density[inside] / right - 1).max() < 0.08


@pytest.mark.parametrize("shape", WRONG.values(), ids=WRONG)
def test_the_curve_makes_ranks_uniform_and_has_its_slope(shape):
    rng = np.random.default_rng(2)
    curve = RankDensity.fit(rng.beta(*shape, size=5_000), penalty=4.0).curve()
    fresh = special.ndtri(rng.beta(*shape, size=5_000))
    mended, _ = curve.forward(fresh)
    before, after = (np.abs(np.sort(special.ndtr(z)) - _even(5_000)).max() for z in (fresh, mended))
    # Kolmogorov's 99 % point for two samples of 5,000 is .033; unmended ranks are far above it.
    assert after < 0.033 < before
    z = np.linspace(-3, 3, 601)
    x, log_slope = curve.forward(z)
    np.testing.assert_allclose(np.gradient(x, z)[1:-1], np.exp(log_slope)[1:-1], atol=0.01)
    np.testing.assert_allclose(curve.inverse(x), z, atol=1e-9)


def _even(n):
    return (np.arange(n) + 0.5) / n


def test_p_values_of_uniform_ranks_are_no_smaller_than_they_say():
    rng = np.random.default_rng(3)
    found = np.array([p_value(rng.random(1_000)) for _ in range(600)])
    # At most 5 % below .05: the 99.9 % point of Binomial(600, .05) is 48.
    assert (found < 0.05).sum() <= 48
    assert p_value(rng.beta(1.3, 1.3, size=1_000)) < 0.001


def test_unevenness_names_what_is_wrong():
    rng = np.random.default_rng(4)
    assert unevenness(rng.beta(1.3, 1.0, size=2_000)).argmax() == 0
    assert unevenness(rng.beta(0.7, 0.7, size=2_000)).argmax() == 1
    many = np.mean([unevenness(rng.random(500)) for _ in range(400)], axis=0)
    np.testing.assert_allclose(many, 1, atol=4 * np.sqrt(2 / 400))
