"""Pareto-smoothed weights."""

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy.special import logsumexp

from sbi_inn.diagnostics.pareto import pareto_smoothed
from sbi_inn.errors import ShapeError


@pytest.mark.parametrize("scale", [0.1, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("n", [60, 1_000, 20_000])
def test_the_same_as_arviz(scale, n):
    log_weights = 5.0 + scale * np.random.default_rng(n).standard_normal(n)
    smoothed, k = pareto_smoothed(log_weights)
    theirs, their_k = array_stats.psislw(-log_weights)
    assert k == pytest.approx(float(their_k), abs=1e-9)
    assert np.allclose(smoothed, theirs, atol=1e-9)


@pytest.mark.parametrize("k", [0.2, 0.5, 1.0])
def test_the_shape_of_pareto_weights(k):
    """Weights u^-k of uniform u are Pareto of shape k."""
    found = [
        pareto_smoothed(-k * np.log(np.random.default_rng(seed).random(10_000)))[1]
        for seed in range(20)
    ]
    # 300 weights in the tail: a standard error of (1 + k) / sqrt(300), of 20 of them a fifth;
    # the prior draws k towards .5 by a thirtieth of the gap.
    assert np.mean(found) == pytest.approx(
        k, abs=4 * (1 + k) / np.sqrt(300 * 20) + abs(k - 0.5) / 30
    )


def test_weights_sum_to_one_and_only_the_tail_changes():
    log_weights = np.random.default_rng(1).exponential(size=1_000)
    smoothed, _ = pareto_smoothed(log_weights)
    assert logsumexp(smoothed) == pytest.approx(0)
    order = np.argsort(log_weights)
    kept = order[: 1_000 - int(3 * np.sqrt(1_000))]
    gaps = np.diff((smoothed - log_weights)[kept])
    assert np.allclose(gaps, 0)
    assert (np.diff(smoothed[order]) >= 0).all()
    assert smoothed.max() - smoothed.min() <= log_weights.max() - log_weights.min() + 1e-12


def test_equal_weights_and_few_of_them():
    assert pareto_smoothed(np.zeros(100))[1] == -np.inf
    assert np.allclose(pareto_smoothed(np.zeros(100))[0], -np.log(100))
    smoothed, k = pareto_smoothed([0.0, 1.0, 2.0])
    assert np.isnan(k)
    assert np.allclose(np.exp(smoothed).sum(), 1)


def test_weights_of_zero():
    log_weights = np.random.default_rng(1).standard_normal(1_000)
    log_weights[::2] = -np.inf
    smoothed, k = pareto_smoothed(log_weights)
    assert np.isneginf(smoothed[::2]).all()
    assert np.isfinite(k)
    # Fewer than are in the tail are not zero: it begins at zero.
    log_weights[5:] = -np.inf
    assert np.isfinite(pareto_smoothed(log_weights)[0][1])


@pytest.mark.parametrize(
    ("log_weights", "message"),
    [
        (np.zeros((2, 3)), r"got \(2, 3\)"),
        ([], "m > 0"),
        ([0.0, np.nan], "1 NaN"),
        ([0.0, np.inf], r"1 \+inf"),
        ([-np.inf, -np.inf], "all are zero"),
    ],
)
def test_what_has_no_tail(log_weights, message):
    with pytest.raises(ShapeError, match=message):
        pareto_smoothed(log_weights)
