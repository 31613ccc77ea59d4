"""Ten things that go wrong, in words that a physician understands.

What is asked of a sentence is what it says (which parameter, which way, how much), not its wording.
"""

import re

import numpy as np
import pytest
import scipy.stats as st
from studies import SAMPLE, ExactLine, ExactSample, briefly, exact, exact_posterior

from sbi_inn.report.check import MEANING

COVARIANCE = exact([0.0, 0.0])[1]
CORRELATION = COVARIANCE[0, 1] / np.sqrt(COVARIANCE[0, 0] * COVARIANCE[1, 1])
JARGON = re.compile(
    r"\b(SBC|ECDF|HPD|TARP|MMD|KS|MCMC|chi|null hypothesis|posterior predictive|quantile rank)\b"
    r"|p [<=>]|p-value|[a-z]_[a-z]"
)
PARTS = {"a tenth": 0.1, "a fifth": 0.2, "a quarter": 0.25, "a third": 0.33, "a half": 0.5}


def in_general(tests=1_000, **wrong):
    return exact_posterior(tests, tests, fitted=ExactLine(**wrong), simulator=False).check(
        progress=False
    )


def readable(check):
    """Whether a sentence begins with the verdict and can be read aloud."""
    sentence = check.sentence
    assert sentence.startswith(MEANING[check.verdict].format("posterior"))
    assert sentence.endswith(".")
    assert len(sentence) < 500
    assert not JARGON.search(sentence), sentence
    return sentence


def said_part(sentence):
    """Read "by about a quarter", "by about 40 %" or "by a factor of about 2.5"."""
    found = re.search(r"by about (?:(a \w+)|(\d+) %)|by a factor of about ([\d.]+)", sentence)
    assert found, sentence
    word, percent, factor = found.groups()
    return PARTS[word] if word else float(percent) / 100 if percent else float(factor) - 1


def number(pattern, sentence):
    found = re.search(pattern, sentence)
    assert found, sentence
    return float(found[1])


def held(sentence):
    """Read which intervals hold the truth in which share of cases."""
    found = re.search(r"(\d+) % intervals of (?:a|b) hold the truth in ([\d.]+) \+- ", sentence)
    assert found, sentence
    return float(found[1]) / 100, float(found[2]) / 100


def expected(level, width):
    """Share of truths inside a central interval of a normal that is `width` times as wide."""
    return 2 * st.norm.cdf(width * st.norm.isf((1 - level) / 2)) - 1


def test_a_posterior_that_is_right():
    sentence = readable(in_general())
    assert sentence.startswith("Trust")
    assert number(r"([\d,]+) test simulations", sentence.replace(",", "")) == 1_000
    assert number(r"calibration error ([\d.]+) ?%", sentence) < 2
    assert re.search(r"\d other checks agree", sentence)
    assert not re.search("too (high|low|narrow|wide)", sentence)


def test_too_narrow():
    sentence = readable(in_general(width=0.75))
    assert sentence.startswith("Do not trust")
    assert "too narrow" in sentence
    assert "too wide" not in sentence
    assert said_part(sentence) == pytest.approx(0.25, abs=0.07)
    level, share = held(sentence)
    assert share == pytest.approx(expected(level, 0.75), abs=0.05)


def test_too_wide():
    sentence = readable(in_general(width=1.5))
    assert sentence.startswith("Do not trust")
    assert "too wide" in sentence
    assert "too narrow" not in sentence
    assert said_part(sentence) == pytest.approx(0.5, abs=0.12)
    level, share = held(sentence)
    assert share == pytest.approx(expected(level, 1.5), abs=0.05)


@pytest.mark.parametrize(("shift", "side"), [(0.5, "high"), (-0.5, "low")])
def test_shifted(shift, side):
    sentence = readable(in_general(shift=shift))
    assert not sentence.startswith("Trust")
    assert re.search(f"too {side}", sentence)
    assert "together" not in sentence  # it is no wrong correlation
    assert number(r"by ([\d.]+) \+- ", sentence) == pytest.approx(0.5, abs=0.13)
    # The truth is below the median of a posterior half a sd too high in Phi(.5) = 69 % of cases.
    below = number(r"median in ([\d.]+) \+- ", sentence)
    assert below == pytest.approx(69.1 if side == "high" else 30.9, abs=6)


@pytest.mark.parametrize(("claimed", "side"), [(0.5, "high"), (-0.9, "low")])
def test_a_wrong_correlation(claimed, side):
    sentence = readable(in_general(correlation=claimed))
    assert sentence.startswith("Do not trust")
    assert re.search(r"\ba and b\b", sentence)
    off = number(rf"too {side} by ([\d.]+) \+- ", sentence)
    assert off == pytest.approx(abs(claimed - CORRELATION), abs=0.15)
    assert not re.search("too (narrow|wide)", sentence.split(";")[0])


def test_wrong_only_in_a_third_of_a_given():
    wrong = ExactSample(width=0.6, below=4)
    check = exact_posterior(900, 900, problem=SAMPLE, fitted=wrong, simulator=False).check(
        progress=False
    )
    sentence = readable(check)
    assert sentence.startswith("Do not trust")
    low, high = re.search(r"n is (\d+) to (\d+)", sentence).groups()
    assert int(low) == 1
    assert int(high) < 10
    assert re.search(r"\bmu\b", sentence)
    assert not re.search(r"\bsigma\b", sentence)
    assert "too narrow" in sentence
    assert 0.15 < said_part(sentence) < 0.4


# -- at an observation -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def line():
    return briefly(exact_posterior(), 1_000)


@pytest.fixture(scope="module")
def sample():
    return briefly(exact_posterior(300, 300, problem=SAMPLE, fitted=ExactSample()), 300)


def test_an_observation_like_the_simulated_ones(line):
    sentence = readable(line.check([0.5, -1.0], progress=False))
    assert sentence.startswith("Trust")
    assert 1 < number(r"(\d+) % are as strange", sentence) <= 100


def test_a_far_observation(line):
    check = line.check([1.0, 30.0], progress=False)
    sentence = readable(check)
    assert sentence.startswith("Do not trust")
    assert re.search(r"y\[1\] (=|is) 30\b", sentence)
    assert "y[0]" not in sentence
    assert re.search(r"of 1,000 simulated observations (fewer than 1|\d)\b", sentence)
    # What the prior lets re-simulated draws do falls short of 30.
    high = number(r"95 % of re-simulated draws give [-\d.]+ to ([\d.]+)", sentence)
    assert high < 30
    assert "observation" in check.advice


def test_outliers_in_a_set(sample):
    y = np.random.default_rng(1).normal(1.0, 0.5, 200)
    y[:10] += 6 * 0.5 * np.where(np.arange(10) % 2, 1, -1)
    sentence = readable(sample.check({"y": y}, progress=False))
    assert sentence.startswith("Do not trust")
    name, value = re.search(
        r"(kurtosis of y|largest y|smallest y) is ([-\d.]+),", sentence
    ).groups()
    low, high = re.search(r"give ([-\d.]+) to ([-\d.]+)", sentence).groups()
    assert not float(low) <= float(value) <= float(high)
    assert name == "kurtosis of y"
    assert float(value) > 2


def test_a_given_outside_the_range_of_training(sample):
    y = np.random.default_rng(1).normal(1.0, 0.5, 520)
    with pytest.warns(UserWarning, match="outside the trained range"):
        check = sample.check({"y": y}, progress=False)
    sentence = readable(check)
    assert sentence.startswith("Use this posterior with caution")
    assert re.search(r"\bn = 520\b", sentence)
    assert re.search(r"1 to (500|49\d)\b", sentence)
    assert "givens" in check.advice


@pytest.mark.parametrize(("shift", "side"), [(1.0, "high"), (-1.0, "low")])
def test_wrong_only_near_y(shift, side):
    posterior = briefly(exact_posterior(fitted=ExactLine(shift=shift, beyond=4.0)), 1_000)
    check = posterior.check([5.5, 1.0], progress=False)
    sentence = readable(check)
    assert not sentence.startswith("Trust")
    assert "near this observation" in sentence
    assert re.search(rf"of (a|b) (lie|are) too {side}", sentence)
    assert 0.3 < number(r"by ([\d.]+) \+- ", sentence) < 1.5
    assert "where the observation lies" in check.advice
    elsewhere = posterior.check([0.0, -1.0], progress=False).records
    assert all(elsewhere[f"{name} at y"].passed for name in ("calibration", "conditional ranks"))
