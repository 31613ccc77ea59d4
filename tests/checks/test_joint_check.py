"""Regions of all parameters together, of posteriors that are right and wrong."""

import numpy as np
import pytest
from studies import ExactLine, surveyed

from sbi_inn.checks import JointCoverage
from sbi_inn.checks.joint import HIGHEST, TARP
from sbi_inn.errors import NoDensityError


class DrawsOnly(ExactLine):
    """Has no density."""

    def log_prob(self, latent, observations):
        raise NoDensityError("it can be drawn from only")


def joint(n=1_000, seed=5, **wrong):
    found = surveyed(ExactLine(**wrong), n, seed=seed)
    return JointCoverage({HIGHEST: found.density, TARP: found.tarp}, 2)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_exact_posterior_is_trusted(seed):
    found = joint(seed=seed)
    assert found.verdict == "trust"
    assert "all 2 parameters together" in found.sentence
    noise = 4 * np.sqrt(0.25 / 1_000)
    assert (found.table["held68"] - 0.68).abs().max() < noise
    assert (found.table["held95"] - 0.95).abs().max() < noise


@pytest.mark.parametrize(("width", "words"), [(0.8, "too narrow"), (1.25, "too wide")])
@pytest.mark.parametrize("seed", [1, 2])
def test_regions_of_highest_density_see_the_width(width, words, seed):
    found = joint(seed=seed, width=width)
    assert found.verdict != "trust"
    assert found.value == pytest.approx(abs(np.log(width)), abs=4 * found.error)
    assert found.measure == "log of the width ratio"
    assert words in found.sentence


def test_tarp_sees_levels_that_are_not_uniform():
    # Levels u^2 have the distribution function sqrt(l), which is off by sqrt(l) - l.
    n, levels = 2_000, np.arange(1, 100) / 100
    even = (np.arange(n) + 0.5) / n
    found = JointCoverage({TARP: even**2}, 3)
    assert found.verdict == "do not trust"
    assert found.value == pytest.approx(np.median(np.sqrt(levels) - levels), abs=1e-3)
    assert found.measure == "distance from nominal"
    assert "together" in found.sentence
    assert JointCoverage({TARP: even}, 3).verdict == "trust"


def test_a_posterior_without_a_density_has_tarp_only():
    found = surveyed(DrawsOnly(), 500)
    assert found.density.shape == (0,)
    assert found.why_no_density == "it can be drawn from only"
    assert found.tarp.shape == (500,)


def test_densities_may_be_of_fewer_simulations():
    levels = np.random.default_rng(1).random(1_000)
    found = JointCoverage({HIGHEST: levels[:200], TARP: levels}, 2)
    assert found.table["simulations"].to_list() == [200, 1_000]
    assert found.plot().axes
