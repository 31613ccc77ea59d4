"""One set of draws at every test simulation: what it keeps, and what it may cost."""

from dataclasses import dataclass

import numpy as np
import pytest
from studies import ExactLine, exact, exact_posterior, subject_of

from sbi_inn.checks import subject as shared
from sbi_inn.checks.survey import affordable, moments_of, survey


@dataclass(frozen=True)
class Costly(ExactLine):
    """A draw takes as many evaluations of the network as an INN with a tolerance."""

    evaluations: int = 64

    def log_weight(self, latent, observations):
        return self.log_prob(latent, observations) + 7.0


def posterior(n=700, fitted=None):
    return exact_posterior(n, n, fitted=fitted, simulator=False)


def look(found, draws=100, **settings):
    rng = np.random.default_rng(1)
    return survey(found.core, subject_of(found).tests, draws=draws, rng=rng, **settings)


def test_moments_of_the_draws_are_those_of_the_posterior():
    draws = 10_000
    found = look(posterior(50), draws)
    mean, covariance = exact(found.tests.observations.vector)
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((found.mean - mean) / sd).max() < 5 / np.sqrt(draws)
    assert np.abs(found.sd / sd - 1).max() < 5 / np.sqrt(2 * draws)
    assert np.abs((found.median - mean) / sd).max() < 5 * 1.2533 / np.sqrt(draws)
    # Ends of the 68 % interval: .9945 sd away, with a standard error of .151^(1/2) / phi.
    assert np.abs((found.high - mean) / sd - 0.9945).max() < 5 * 1.51 / np.sqrt(draws)
    assert np.abs((mean - found.low) / sd - 0.9945).max() < 5 * 1.51 / np.sqrt(draws)


def test_everything_has_a_row_a_test_simulation():
    found = look(posterior())
    assert found.draws == 100
    assert found.ranks.shape == found.mean.shape == found.low.shape == (700, 2)
    assert found.kept.shape == (700, 20, 2)
    assert found.products.shape == found.excess.shape == (700, 1)
    assert found.tarp.shape == found.density.shape == (700,)
    assert found.why_no_density == ""


def test_draws_that_are_kept_are_spread_over_all():
    # Should a method give them in order, the first would be no fair sample.
    @dataclass(frozen=True)
    class InOrder(ExactLine):
        def sample(self, observations, n, rng):
            return np.sort(super().sample(observations, n, rng), axis=1)

    found = look(posterior(300, InOrder()), 200)
    assert found.kept.shape == (300, 20, 2)
    middle = np.median(found.kept[:, :, 0], axis=1)
    sd = np.sqrt(exact(found.tests.observations.vector)[1][0, 0])
    assert np.abs((middle - found.median[:, 0]) / sd).max() < 0.3


def test_few_draws_are_all_kept():
    assert look(posterior(60), 7).kept.shape == (60, 7, 2)
    assert look(posterior(60), 30).kept.shape == (60, 15, 2)


def test_densities_of_a_costly_network_are_weights_up_to_a_constant():
    plain, costly = look(posterior(300)), look(posterior(300, Costly()))
    assert np.array_equal(plain.density, costly.density)


def test_time_is_up():
    found = look(posterior(2_000), draws=10, seconds=0.0)
    assert 500 <= len(found.tests) == len(found.ranks) <= 700
    assert np.array_equal(
        found.tests.truth, subject_of(posterior(2_000)).tests.truth[: len(found.tests)]
    )


def test_progress_adds_up_to_the_whole():
    shares = []
    look(posterior(730), draws=4, tick=shares.append)
    assert len(shares) >= 10
    assert sum(shares) == pytest.approx(1)


def test_what_is_affordable():
    assert affordable(posterior(60).core, 5_000) == (5_000, 200)
    assert affordable(posterior(60, Costly(evaluations=8)).core, 5_000) == (625, 200)
    assert affordable(posterior(60, Costly()).core, 5_000) == (500, 100)
    assert affordable(posterior(60, Costly()).core, 80) == (80, 100)


def test_a_costly_network_is_looked_at_less():
    check = posterior(1_000, Costly()).check(progress=False)
    assert check.records["calibration"].ranks.shape == (500, 2)
    assert check.skipped["some test simulations"].startswith("looked at 500 of 1,000")
    assert check.verdict == "trust"


def test_a_check_that_takes_long_stops(monkeypatch):
    monkeypatch.setattr(shared, "DRAWING", 0.0)
    check = posterior(2_000).check(progress=False)
    looked = len(check.records["calibration"].ranks)
    assert 500 <= looked <= 700
    assert f"looked at {looked} of 2,000" in check.skipped["some test simulations"]


def test_moments_of_tails_over_all_decades_are_numbers():
    drawn = np.random.default_rng(1).normal(size=(3, 400, 2))
    drawn[:, 0] = 1e200
    found = moments_of(drawn)
    assert all(np.isfinite(value).all() for value in found.values())
    np.testing.assert_allclose(found["median"], 0, atol=0.25)  # 4 sd of a median of 400
