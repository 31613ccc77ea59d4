"""Rao's score test of a likelihood, where the likelihood is known."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from sbi_inn.likelihoods import learning
from sbi_inn.likelihoods.learning import FOLDS, learned
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.score_test import OTHERS, statistic, told_apart, too_sure

SLOPE = torch.tensor([[1.0, 0.5, -1.0, 0.2], [0.0, 1.0, 1.0, -0.5]]).double()


def rows(n, seed=1, observables=4):
    """Parameters (n, 2), and observables that are linear in them, with noise of .3."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draw).double()
    slope = SLOPE.repeat(1, observables // 4)
    return x, x @ slope + 0.3 * torch.randn(n, observables, generator=draw).double()


def exact():
    """Give the likelihood that `rows` follow."""
    likelihood = Likelihood(2, 4)
    likelihood.slope[:2] = SLOPE
    likelihood.noise.fill_(0.3)
    return likelihood


def test_of_an_exact_likelihood_it_is_chi_squared():
    x, y = rows(2_000)
    found = statistic(exact(), x, y, x[:, :0]).numpy()
    assert kstest(found, "chi2", args=(2,)).pvalue > 0.01


@pytest.mark.parametrize("times", [2.0, 5.0])
def test_it_says_how_many_times_a_likelihood_is_too_sure(times):
    x, y = rows(2_000)
    likelihood = exact()
    likelihood.inverse *= times
    found = statistic(likelihood, x, y, x[:, :0]).numpy()
    assert np.mean(found) / 2 == pytest.approx(times, rel=4 / np.sqrt(2_000))


def test_slopes_of_variances_count():
    # All that is known of the parameter is how large the noise is.
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(3_000, 1, generator=draw).double()
    y = (0.5 * x).exp() * torch.randn(3_000, 8, generator=draw).double()
    _, folds = learned(x, y)
    assert too_sure(folds, x, y, x[:, :0]) == pytest.approx(1, abs=0.25)


@pytest.mark.slow
def test_of_many_rows_a_learned_likelihood_is_about_right():
    x, y = rows(3_000)
    _, folds = learned(x, y)
    assert too_sure(folds, x, y, x[:, :0]) == pytest.approx(1, abs=0.15)


def test_of_few_rows_with_many_observables_it_is_too_sure(monkeypatch):
    monkeypatch.setattr(learning, "without", lambda *args: math.inf)  # networks, come what may
    x, y = rows(150, observables=80)
    _, folds = learned(x, y)
    assert too_sure(folds, x, y, x[:, :0]) > 1.5


def test_where_regressions_alone_are_better_it_is_not_too_sure():
    x, y = rows(150, observables=80)
    _, folds = learned(x, y)
    assert too_sure(folds, x, y, x[:, :0]) < 1.2


def test_how_well_parameters_are_told_apart():
    x, y = rows(3_000)
    none = x[:, :0]
    folds = [exact()] * FOLDS
    sharp = told_apart(folds, x, y, none, 1.0)
    _, information = torch.linalg.slogdet(torch.eye(2).double() + SLOPE @ SLOPE.T / 0.09)
    assert 2.5 < sharp < min(0.5 * information, np.log(OTHERS + 1))
    # Ten times the noise, which the likelihood knows of.
    noisy = exact()
    noisy.noise.fill_(3.0)
    loud = y + (9 - 0.09) ** 0.5 * torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    assert 0 < told_apart([noisy] * FOLDS, x, loud, none, 1.0) < 0.2 * sharp
    others = y.roll(1, dims=0)
    assert told_apart(folds, x, others, none, 1.0) < -10
    assert -0.2 < told_apart(folds, x, others, none, 100.0) < 0
