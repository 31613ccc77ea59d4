"""Tail p-values against exact ranks and known laws."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.tails import tail_p_value, two_tailed
from sbi_inn.errors import ShapeError


def test_few_reference_values_give_exact_ranks():
    reference = [1.0, 2.0, 2.0, 4.0]
    found = tail_p_value([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], reference)
    np.testing.assert_allclose(found, np.array([5, 4.5, 3, 2, 1.5, 1]) / 5, rtol=1e-12)


def test_many_reference_values_give_exact_ranks_where_ten_lie_beyond():
    reference = np.arange(1_000.0)
    found = tail_p_value([-1.0, 500.5, 989.5], reference)
    np.testing.assert_allclose(found, np.array([1_001, 500, 11]) / 1_001, rtol=1e-12)


@pytest.mark.parametrize("n", [100, 2_000])
@pytest.mark.parametrize("p_value", [tail_p_value, two_tailed])
def test_uniform_under_the_null(n, p_value):
    samples = np.random.default_rng(n).normal(size=(600, n + 1))
    found = [p_value(sample[:1], sample[1:])[0] for sample in samples]
    assert st.kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    "law",
    [st.expon(), *(pytest.param(law, marks=pytest.mark.slow) for law in (st.norm(), st.t(4)))],
)
def test_small_p_values_are_no_more_frequent_than_they_say(law):
    samples = law.rvs(size=(2_000, 501), random_state=np.random.default_rng(2))
    found = np.array([tail_p_value(sample[:1], sample[1:])[0] for sample in samples])
    for level in (0.003, 0.01, 0.02):  # the rank is trusted down to .022
        error = np.sqrt(level * (1 - level) / len(found))
        assert np.mean(found <= level) < level + 3 * error


def test_a_normal_tail_is_small_but_overestimated():
    rng = np.random.default_rng(3)
    deviations = np.array([4.0, 5.0, 6.0])
    for _ in range(50):
        found = tail_p_value(deviations, rng.normal(size=2_000))
        assert np.all(found > st.norm.sf(deviations) / 30)
        assert np.all(found < [1e-3, 1e-4, 2e-5])


@pytest.mark.parametrize("law", [st.norm(), st.weibull_min(1.5)])
def test_a_tail_that_falls_faster_than_an_exponential_is_continued_by_its_end(law):
    references = law.rvs(size=(100, 2_500), random_state=np.random.default_rng(7))
    found = np.log10([tail_p_value(law.isf([1e-6]), one)[0] for one in references])
    # By the whole tenth, which bends, medians were -4.3 and -4.9.
    assert -6 < np.median(found) < -4.6


@pytest.mark.parametrize("shape", [0.0, 0.25])
def test_an_exact_pareto_tail_is_continued(shape):
    law = st.genpareto(shape)
    value = law.isf([1e-5])
    references = law.rvs(size=(100, 2_000), random_state=np.random.default_rng(4))
    found = np.log10([tail_p_value(value, reference)[0] for reference in references])
    # 200 values in the fit: the shape's standard error of .1 is a factor of about 10 this far out.
    assert np.median(found) == pytest.approx(-5, abs=0.4)
    assert np.std(found) < 1.3


@pytest.mark.parametrize("law", [st.norm(), st.uniform(), st.poisson(3), st.cauchy()])
def test_never_increases_nor_reaches_zero(law):
    reference = np.sort(law.rvs(size=300, random_state=np.random.default_rng(4)).astype(float))
    values = np.concatenate([np.linspace(reference[0], 2 * reference[-1] + 5, 5_000), [np.inf]])
    found = tail_p_value(values, reference)
    assert np.all(np.diff(found) <= 0)
    assert found[-1] > 0


def test_continuous_where_the_rank_ends():
    reference = np.sort(np.random.default_rng(5).normal(size=300))
    joined = reference[-10]
    found = tail_p_value([joined - 1e-9, joined, joined + 1e-9], reference)
    np.testing.assert_allclose(found, 11 / 301, rtol=1e-6)


@pytest.mark.parametrize("n", [20, 200])
def test_a_constant_reference(n):
    found = tail_p_value([6.0, 7.0, 7.1], np.full(n, 7.0))
    np.testing.assert_allclose(found, np.array([n + 1, 1 + n / 2, 1]) / (n + 1), rtol=1e-12)


def test_two_tails_are_one_another_mirrored():
    rng = np.random.default_rng(6)
    values, reference = rng.normal(0, 3, 50), rng.gamma(2, size=400)
    np.testing.assert_array_equal(two_tailed(values, reference), two_tailed(-values, -reference))
    found = two_tailed([-0.5, np.median(reference), 40.0], reference)
    assert found[0] < 0.01
    assert found[1] == 1
    assert found[2] < 1e-4


@pytest.mark.parametrize(
    ("values", "reference", "message"),
    [
        (np.zeros((2, 1)), np.zeros(5), r"got \(2, 1\) and \(5,\)"),
        (np.zeros(2), np.zeros(0), "n > 0"),
        (np.array([np.nan]), np.zeros(5), "1 NaN in values"),
        (np.zeros(1), np.array([0.0, np.inf]), "1 values in reference"),
    ],
)
def test_says_what_does_not_fit(values, reference, message):
    with pytest.raises(ShapeError, match=message):
        tail_p_value(values, reference)
