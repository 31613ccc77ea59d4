"""C2ST against sets whose best possible accuracy is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.two_samples import c2st
from sbi_inn.errors import ShapeError

M = 1_000
NOISE = 0.5 / np.sqrt(2 * M)  # sd of an accuracy over 2 M draws


def test_same_distribution_cannot_be_told_apart():
    rng = np.random.default_rng(0)
    found = c2st(rng.normal(size=(M, 2)), rng.normal(size=(M, 2)), rng=rng)
    assert abs(found - 0.5) < 4 * NOISE


def test_shifted_gaussians_reach_the_best_accuracy():
    rng = np.random.default_rng(1)
    reference, draws = rng.normal(size=(M, 2)), rng.normal(size=(M, 2)) + [1.5, 0]
    found = c2st(reference, draws, rng=rng)
    assert found == pytest.approx(st.norm.cdf(0.75), abs=4 * NOISE)


def test_a_wrong_correlation_is_found():
    rng = np.random.default_rng(2)
    reference = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=M)
    assert c2st(reference, rng.normal(size=(M, 2)), rng=rng) > 0.65


def test_scale_of_the_parameters_does_not_matter():
    rng = np.random.default_rng(3)
    reference, draws = rng.normal(size=(500, 2)), rng.normal(size=(500, 2)) + 0.5
    scaled = [np.array([1024.0, 2.0**-20]) * one for one in (reference, draws)]
    same = c2st(reference, draws, rng=np.random.default_rng(7))
    assert c2st(*scaled, rng=np.random.default_rng(7)) == same


def test_a_constant_parameter_is_no_obstacle():
    rng = np.random.default_rng(4)
    sets = rng.normal(size=(2, 400, 2))
    sets[..., 1] = 3.0
    assert 0.4 < c2st(*sets, rng=rng) < 0.6


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        (np.zeros((9, 2)), r"same shape.*\(10, 2\) and \(9, 2\)"),
        (np.zeros((10, 3)), "same shape"),
        (np.full((10, 2), np.inf), "finite"),
    ],
)
def test_sets_that_do_not_fit(draws, message):
    with pytest.raises(ShapeError, match=message):
        c2st(np.zeros((10, 2)), draws, rng=np.random.default_rng(0))


def test_without_scikit_learn_the_message_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        c2st(np.zeros((10, 2)), np.zeros((10, 2)), rng=np.random.default_rng(0))
