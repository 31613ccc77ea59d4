"""Correlations that posteriors get wrong, and errors that are none of theirs."""

import numpy as np
import pytest
from studies import ExactLine, exact, surveyed

from sbi_inn.checks.dependence import Dependence
from sbi_inn.diagnostics.dependence import choose_pairs, product_ranks, with_right_marginals

COVARIANCE = exact([0.0, 0.0])[1]
TRUE = COVARIANCE[0, 1] / np.sqrt(COVARIANCE[0, 0] * COVARIANCE[1, 1])


def dependence(n=1_000, seed=5, **wrong):
    found = surveyed(ExactLine(**wrong), n, seed=seed)
    return Dependence(found.products, found.excess, (("a", "b"),))


@pytest.mark.parametrize("seed", [1, 2])
def test_an_exact_posterior_is_trusted(seed):
    found = dependence(seed=seed)
    assert found.verdict == "trust"
    assert found.value < 4 * found.error
    assert found.sentence == "posteriors get right how a and b go together"


@pytest.mark.parametrize("claimed", [0.3, -0.8])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_wrong_correlation_is_found_and_measured(claimed, seed):
    found = dependence(seed=seed, correlation=claimed)
    assert found.verdict == "do not trust"
    assert found.value == pytest.approx(abs(TRUE - claimed), abs=4 * found.error)
    assert "a and b" in found.sentence
    assert ("too high" if claimed > TRUE else "too low") in found.sentence


def test_a_smaller_one_is_a_reason_for_caution():
    found = dependence(correlation=0.0)
    assert found.verdict == "caution"
    assert found.value == pytest.approx(-TRUE, abs=4 * found.error)


@pytest.mark.parametrize("wrong", [{"shift": 1.0}, {"width": 0.5}, {"width": 2.0}], ids=str)
def test_a_wrong_location_or_width_is_not_taken_for_a_correlation(wrong):
    found = dependence(**wrong)
    assert found.p_values[0] < 1e-6  # the ranks see it
    assert found.value < 4 * found.error < 0.2
    assert found.verdict == "trust"


def test_a_correlation_is_measured_beside_a_wrong_width():
    found = dependence(width=0.5, correlation=0.5)
    assert found.value == pytest.approx(0.5 - TRUE, abs=4 * found.error)


def test_the_one_wrong_pair_among_many_is_named():
    rng = np.random.default_rng(1)
    ranks, excess = rng.random((1_000, 10)), rng.normal(size=(1_000, 10))
    ranks[:, 7], excess[:, 7] = ranks[:, 7] ** 0.6, excess[:, 7] + 0.4
    pairs = tuple((f"p{i}", f"q{i}") for i in range(10))
    found = Dependence(ranks, excess, pairs)
    assert found.verdict == "do not trust"
    assert "p7 and q7" in found.sentence
    assert found.table.index[found.table["p_value"].argmin()] == "p7 and q7"
    assert Dependence(ranks[:, :7], excess[:, :7], pairs[:7]).sentence.startswith(
        "posteriors get right how 7 pairs"
    )


def test_one_wild_draw_does_not_decide():
    excess = np.random.default_rng(1).normal(size=(1_000, 1))
    excess[0] = 1e6
    low, error = Dependence(np.full((1_000, 1), 0.5), excess, (("a", "b"),)).correlation
    assert abs(low[0]) < 0.15
    assert error[0] < 0.1


def test_right_marginals_where_all_truths_are_off_alike():
    excess = np.ones((50, 1))
    alike = np.column_stack([np.full(50, 2.0), np.full(50, 3.0)])
    pairs = np.array([[0, 1]])
    assert np.allclose(with_right_marginals(excess, alike, pairs), 1 - 6)


@pytest.mark.slow
def test_many_small_correlations_together():
    rng = np.random.default_rng(0)
    names = [f"x{i}" for i in range(20)]
    pairs = choose_pairs(20, 200, rng)
    named = tuple((names[i], names[j]) for i, j in pairs)
    claimed = rng.normal(size=(2_000, 40, 20))
    for correlation in (0.0, 0.05):
        covariance = (1 - correlation) * np.eye(20) + correlation
        truth = rng.multivariate_normal(np.zeros(20), covariance, size=2_000)
        found = Dependence(*product_ranks(truth, claimed, pairs, rng), named)
        assert found.passed == (correlation == 0)
    assert "how all 20 parameters go together" in found.sentence
    assert "too narrow" in found.sentence


def alike_in_size(correlation, n=1_000, m=200, seed=1):
    """Give truths and draws that go together in size, by a random sign, and rank them."""
    rng = np.random.default_rng(seed)

    def drawn(correlation, *size):
        x = rng.normal(size=(*size, 2))
        x[..., 1] = correlation * x[..., 0] + np.sqrt(1 - correlation**2) * x[..., 1]
        x[..., 1] *= rng.choice([-1, 1], size)
        return x

    truth, draws = drawn(0.9, n), drawn(correlation, n, m)
    plain, sizes = (product_ranks(truth, draws, [[0, 1]], rng, sizes=s) for s in (False, True))
    return Dependence(*plain, (("a", "b"),), *sizes)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_parameters_that_go_together_in_size_and_not_in_sign(seed):
    assert alike_in_size(0.9, seed=seed).verdict == "trust"
    found = alike_in_size(0.0, seed=seed)
    assert found.verdict == "do not trust"
    assert found.value == pytest.approx(0.78, abs=0.15)  # correlation of |a| and |b|
    assert "a and b go together: that both lie far from the middle" in found.sentence
    assert "too seldom" in found.sentence
