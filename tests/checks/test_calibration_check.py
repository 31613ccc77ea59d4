"""Calibration of posteriors that are exact, shifted, too narrow or too wide: it must tell which."""

import re

import numpy as np
import pytest
import scipy.stats as st
from studies import SAMPLE, ExactLine, ExactSample, exact, exact_posterior, subject_of, surveyed

from sbi_inn.checks import Calibration
from sbi_inn.checks.survey import survey
from sbi_inn.diagnostics.calibration import ranks

COLUMNS = ("a", "b")


def calibration(n=2_000, **wrong):
    return Calibration(surveyed(ExactLine(**wrong), n).ranks, COLUMNS)


def test_an_exact_posterior_is_trusted():
    found = calibration()
    assert found.verdict == "trust"
    assert found.passed
    assert found.value < found.floor.pooled[1]
    assert found.advice == ""
    assert "as often as they say" in found.sentence
    assert "2,000 test simulations" in found.sentence


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"width": 0.7}, "too narrow"),
        ({"width": 1.4}, "too wide"),
        ({"shift": 0.5}, "too high"),
        ({"shift": -0.5}, "too low"),
    ],
    ids=["narrow", "wide", "shifted up", "shifted down"],
)
def test_a_wrong_posterior_is_not(wrong, words):
    found = calibration(**wrong)
    assert found.verdict != "trust"
    assert not found.passed
    assert found.value > found.threshold
    assert words in found.sentence
    assert "Simulate more" in found.advice


@pytest.mark.parametrize("wrong", [{"shift": 0.3}, {"width": 0.8}, {"width": 1.25}], ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_small_errors_are_found_at_a_thousand_test_simulations(wrong, seed):
    found = Calibration(surveyed(ExactLine(**wrong), 1_000, seed=seed).ranks, COLUMNS)
    assert found.verdict != "trust"
    assert Calibration(surveyed(ExactLine(), 1_000, seed=seed).ranks, COLUMNS).verdict == "trust"


def test_intervals_hold_what_theory_says():
    # An interval of 68 %, 0.7 as wide: 2 Phi(.7 * .9945) - 1 = .514; 1.4 as wide: .836.
    noise = 3 * np.sqrt(0.25 / 2_000)
    for width, held in ((1.0, 0.68), (0.7, 0.514), (1.4, 0.836)):
        table = calibration(width=width).table
        assert table.index.to_list() == ["a", "b"]
        assert np.abs(table["held68"] - held).max() < noise
        assert (table["held95"] > table["held68"]).all()


def test_the_table_says_how_far_off_and_how_wide():
    # Standard errors at n = 2,000: 1 / sqrt(n) = .022 of a shift, width / sqrt(2 n) of a width.
    table = calibration(shift=0.5, width=0.8).table
    assert table["too_high_by_sd"].to_numpy() == pytest.approx(0.5 / 0.8, abs=4 * 0.022 / 0.8)
    assert table["relative_width"].to_numpy() == pytest.approx(0.8, abs=4 * 0.8 * 0.016)


def test_the_worst_verdict_needs_a_large_effect():
    assert calibration(width=0.4).verdict == "do not trust"
    assert calibration(width=0.95).verdict == "trust"


def test_a_significant_error_without_effect_is_trusted():
    even = (np.arange(20_000) + 0.5) / 20_000
    ranks = st.norm.cdf(st.norm.ppf(even)[:, None] / 0.97)
    found = Calibration(ranks, ("a",))
    assert found.verdict == "trust"
    assert min(finding.p_value for finding in found.findings) < 1e-6


def test_one_wrong_parameter_among_many_is_found():
    ranks = np.random.default_rng(1).random((2_000, 8))
    ranks[:, 3] = 0.5 + 0.6 * (ranks[:, 3] - 0.5)
    found = Calibration(ranks, tuple(f"p{i}" for i in range(8)))
    assert found.found.pooled < found.floor.pooled[0] + 0.01  # pooled, it does not show
    assert found.measure == "calibration error of one parameter"
    assert found.verdict == "do not trust"
    assert "p3" in found.sentence
    assert "too wide" in found.sentence
    title = found.plot().get_suptitle()
    assert "too small to matter" not in title
    assert "do not trust: " in title
    assert "p3" in title


def test_ranks_of_many_draws_are_the_quantiles_of_the_posterior():
    draws = 120_000  # more than are held in memory at once
    posterior = exact_posterior(20, 20, simulator=False)
    tests = subject_of(posterior).tests
    found = survey(posterior.core, tests, draws=draws, rng=np.random.default_rng(1))
    mean, covariance = exact(tests.observations.vector)
    expected = st.norm(mean, np.sqrt(np.diag(covariance))).cdf(tests.truth)
    assert np.abs(found.ranks - expected).max() < 5 * np.sqrt(0.25 / draws)


@pytest.mark.parametrize("width", [0.5, 0.8, 1.25, 2.0])
def test_the_sentence_gives_a_share_its_standard_error(width):
    even = (np.arange(1_000) + 0.5) / 1_000
    ranks = st.norm.cdf(st.norm.ppf(even)[:, None] / width)
    words = Calibration(ranks, ("a",)).findings[1].words
    level, share, error = map(
        float, re.search(r"(\d+) % intervals .* in ([\d.]+) \+- ([\d.]+) %", words).groups()
    )
    expected = 2 * st.norm.cdf(width * st.norm.isf((1 - level / 100) / 2)) - 1
    assert share == pytest.approx(100 * expected, abs=0.6)
    here = 100 * np.sqrt(expected * (1 - expected) / 1_000)
    usual = np.sqrt(level * (100 - level) / 1_000)
    assert error == pytest.approx(max(here, usual), abs=0.5)


# -- parts -----------------------------------------------------------------------------------------


def sample_calibration(fitted, n=900):
    posterior = exact_posterior(n, n, problem=SAMPLE, fitted=fitted, simulator=False)
    return posterior.calibration()


@pytest.mark.slow
def test_a_posterior_that_is_wrong_for_small_sets_only():
    found = sample_calibration(ExactSample(width=0.6, below=4))
    whole = Calibration(found.ranks, found.columns)
    assert found.verdict == "do not trust"
    assert whole.verdict != "do not trust"  # pooled over all sizes, it hardly shows
    assert "where n is 1 to" in found.sentence
    assert "mu" in found.sentence
    assert "too narrow" in found.sentence
    small, *others = found.groups
    width = found.table["relative_width"]
    assert width[f"mu | {small}"] < 0.85
    assert all(width[f"mu | {name}"] > 0.9 for name in others)
    assert width.filter(like="sigma").between(0.85, 1.15).all()


def test_an_exact_posterior_is_right_in_every_part():
    found = sample_calibration(ExactSample())
    assert len(found.groups) == 3
    assert found.verdict == "trust"
    assert len(found.table) == 2 * (1 + 3)


def test_tails_that_are_pulled_in_are_found():
    # The 99 % interval holds 96.8 %: what lies beyond 2.14 sd is drawn in to there.
    rng = np.random.default_rng(0)
    exact_ranks = rng.random((5_000, 2))
    edge = st.norm.ppf(0.984)
    truth = rng.normal(size=(5_000, 2))
    draws = np.clip(rng.normal(size=(5_000, 200, 2)), -edge, edge)
    pulled = ranks(truth, draws + 0.02 * rng.normal(size=draws.shape), rng)
    found = Calibration(pulled, COLUMNS)
    assert found.verdict != "trust"
    assert "the 99 % intervals of" in found.sentence
    assert "times as often as they should" in found.sentence
    assert Calibration(exact_ranks, COLUMNS).verdict == "trust"


def test_a_mode_of_one_per_cent_that_is_missing_lies_on_one_side():
    found = np.random.default_rng(0).random((5_000, 2))
    found[:50, 1] *= 0.005
    missing = Calibration(found, COLUMNS)
    assert missing.verdict == "caution"
    assert "truths lie below the 99 % intervals of b 3" in missing.sentence


def test_a_tail_with_hardly_a_truth_is_no_reason_for_distrust():
    # 3 in 5,000 lie below the 99 % interval, not 25: intervals are longer than they need to be.
    found = np.random.default_rng(0).uniform(0.0046, 1, (5_000, 2))
    empty = Calibration(found, COLUMNS)
    assert empty.verdict == "caution"
    assert "truths lie below the 99 % intervals of" in empty.sentence
    assert "0.098 times as often" in empty.sentence
    # The row of the table is about what decides, not about the pooled error, which is small.
    assert empty.measure == "log of the share outside"
    assert empty.value > empty.threshold
    assert empty.found.pooled < 0.01


@pytest.mark.slow
def test_many_parameters_that_are_each_hardly_off():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(2_000, 20))
    names = tuple(f"x{i}" for i in range(20))
    assert Calibration(st.norm.cdf(scores), names).verdict == "trust"
    found = Calibration(st.norm.cdf(scores - 0.1), names)
    assert found.verdict == "do not trust"
    assert "all 20 parameters together lie off" in found.sentence
    # Independent: sqrt(20) times .1 of a standard deviation.
    assert found.worst.effect == pytest.approx(0.447, abs=0.07)


@pytest.mark.parametrize(("n", "verdict"), [(100, "cannot tell"), (1_000, "trust")])
def test_few_tests_cannot_tell(n, verdict):
    found = Calibration(np.random.default_rng(1).random((n, 2)), COLUMNS)
    assert found.verdict == verdict
    if n == 100:
        assert "a shift below 0.49 sd or a width off by 41 % may not show" in found.sentence


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_gaussian_in_place_of_a_pointed_posterior_is_found(seed):
    """Its location and width are right, and 50 % intervals hold the truth in 61 % of cases."""
    truth = np.random.default_rng(seed).laplace(scale=np.sqrt(0.5), size=(600, 1))
    found = Calibration(st.norm.cdf(truth), ("theta",))
    assert found.verdict != "trust"
    assert "calibration error" in found.sentence
