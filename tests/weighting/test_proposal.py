"""Mixtures of parts, and their shares."""

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.weighting.proposal import PriorPart, Proposal


@dataclass(frozen=True)
class Normal:
    """One dimension."""

    mean: float
    sd: float = 1.0

    def draw(self, n, rng):
        return rng.normal(self.mean, self.sd, (n, 1))

    def log_prob(self, points):
        return st.norm(self.mean, self.sd).logpdf(points[:, 0])


def test_each_part_gives_its_share():
    proposal = Proposal([Normal(-100), Normal(0), Normal(100)], np.array([0.2, 0.3, 0.5]))
    draws = proposal.draw(1_000, np.random.default_rng(1))
    counts, _ = np.histogram(draws, [-200, -50, 50, 200])
    assert np.abs(counts - [200, 300, 500]).max() <= 1
    # ... in random order: the first hundred have them all.
    counts, _ = np.histogram(draws[:100], [-200, -50, 50, 200])
    assert np.abs(counts - [20, 30, 50]).max() < 20


def test_shares_are_right_on_average():
    proposal = Proposal([Normal(-100), Normal(100)], np.array([0.35, 0.65]))
    rng = np.random.default_rng(1)
    found = [(proposal.draw(1, rng) > 0).mean() for _ in range(2_000)]
    assert np.mean(found) == pytest.approx(0.65, abs=4 * 0.5 / np.sqrt(2_000))


def test_the_density_of_a_mixture():
    proposal = Proposal([Normal(1, 2), PriorPart(1)], np.array([0.4, 0.6]))
    points = np.linspace(-3, 3, 7)[:, None]
    expected = 0.4 * st.norm(1, 2).pdf(points) + 0.6 * st.norm.pdf(points)
    assert np.allclose(np.exp(proposal.log_prob(points)), expected[:, 0])
