"""Mixtures of Student's t."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.weighting.student import DEGREES, StudentMixture, fitted

MEANS = np.array([[1.0, -2.0], [-3.0, 0.5]])
FACTORS = np.array([[[1.0, 0.0], [0.5, 0.3]], [[0.2, 0.0], [-0.1, 2.0]]])
TWO = StudentMixture(np.array([0.3, 0.7]), MEANS, FACTORS)


def laws():
    return [
        st.multivariate_t(mean, factor @ factor.T, df=DEGREES)
        for mean, factor in zip(MEANS, FACTORS, strict=True)
    ]


def test_the_density_is_that_of_scipy():
    points = np.random.default_rng(1).normal(0, 3, (50, 2))
    expected = np.log(sum(s * law.pdf(points) for s, law in zip(TWO.shares, laws(), strict=True)))
    assert np.allclose(TWO.log_prob(points), expected)


def test_draws_follow_the_density():
    draws = TWO.draw(100_000, np.random.default_rng(1))
    # The expectation of f / q over draws of q is the integral of f, here of another mixture.
    narrow = StudentMixture(np.array([0.5, 0.5]), MEANS, 0.7 * FACTORS)
    ratio = np.exp(narrow.log_prob(draws) - TWO.log_prob(draws))
    assert ratio.mean() == pytest.approx(1, abs=4 * ratio.std() / np.sqrt(len(draws)))


def test_a_fit_finds_what_was_drawn_from():
    found = fitted(
        TWO.draw(20_000, np.random.default_rng(1)), np.zeros(20_000), np.random.default_rng(2)
    )
    assert len(found.shares) == 2
    order = np.argsort(found.shares)
    assert np.abs(found.shares[order] - TWO.shares).max() < 0.02
    # 6,000 draws of the smaller: .013 of its scale; five of these, and some for the tails.
    assert np.abs(found.means[order] - MEANS).max() < 0.15
    scales = found.factors[order] @ found.factors[order].transpose(0, 2, 1)
    expected = FACTORS @ FACTORS.transpose(0, 2, 1)
    size = np.sqrt(np.einsum("kii->ki", expected))
    assert np.abs((scales - expected) / (size[:, :, None] * size[:, None])).max() < 0.1


def test_weights_take_the_place_of_draws():
    """Draws of N(0, 4), weighted to N(1, 1/4)."""
    points = np.random.default_rng(1).normal(0, 2, (20_000, 1))
    log_weights = st.norm(1, 0.5).logpdf(points[:, 0]) - st.norm(0, 2).logpdf(points[:, 0])
    found = fitted(points, log_weights, np.random.default_rng(2))
    assert found.shares @ found.means[:, 0] == pytest.approx(1, abs=0.05)
    spread = np.std(found.draw(100_000, np.random.default_rng(3)))
    # A fit of t to a normal is somewhat wider: here sqrt(5/3) times its scale.
    assert 0.5 < spread < 0.6


def test_one_component_where_there_is_one():
    points = np.random.default_rng(1).normal(size=(2_000, 3))
    assert len(fitted(points, np.zeros(2_000), np.random.default_rng(2)).shares) == 1


def test_points_without_weight_have_no_say():
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.normal(0, 1, (500, 2)), rng.normal(50, 1, (500, 2))])
    log_weights = np.repeat([0.0, -np.inf], 500)
    found = fitted(points, log_weights, np.random.default_rng(2))
    alone = fitted(points[:500], np.zeros(500), np.random.default_rng(2))
    assert np.allclose(found.means, alone.means)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_points_and_equal_ones_give_something_to_draw_from(count):
    points = np.repeat([[1.0, 2.0]], count, axis=0)
    for mixture in (
        fitted(points, np.zeros(count), np.random.default_rng(1)),
        StudentMixture.around(points, np.zeros(count)),
    ):
        draws = mixture.draw(100, np.random.default_rng(1))
        assert np.isfinite(draws).all()
        assert np.isfinite(mixture.log_prob(draws)).all()
