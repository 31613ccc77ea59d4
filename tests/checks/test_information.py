"""What one observation taught."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from studies import SPREAD, ExactLine, exact, exact_posterior, subject_of

from sbi_inn.checks.information import check_information
from sbi_inn.checks.subject import Here
from sbi_inn.errors import NoDensityError


def at(fitted, y=(0.5, -1.0)):
    subject = subject_of(exact_posterior(fitted=fitted, simulator=False))
    return check_information(Here(subject, subject.sampler.schema.read(list(y))))


def test_what_is_known_more_than_before():
    found = at(ExactLine())
    mean, covariance = exact([0.5, -1.0])
    times = SPREAD / np.sqrt(np.diag(covariance))
    assert found.narrower == pytest.approx(times, rel=0.1)
    assert found.contraction == pytest.approx(1 - 1 / times**2, abs=0.05)
    # KL of two Gaussians.
    prior = np.diag(SPREAD**2)
    trace = np.trace(np.linalg.solve(prior, covariance)) + mean @ np.linalg.solve(prior, mean)
    ratio = np.linalg.slogdet(prior)[1] - np.linalg.slogdet(covariance)[1]
    assert found.nats == pytest.approx(0.5 * (trace - 2 + ratio), abs=5 * found.nats_error)
    assert found.sentence.startswith("y taught 1.")
    assert "times as well as before" in found.sentence
    assert found.verdict == "trust"
    assert found.table.index.to_list() == ["a", "b"]
    assert found.plot().axes
    plt.close("all")


def test_the_prior_taught_nothing():
    class Nothing(ExactLine):
        def sample(self, observations, n, rng):
            return rng.standard_normal((len(observations), n, 2))

        def log_prob(self, latent, observations):
            raise NoDensityError("it can be drawn from only")

    found = at(Nothing())
    assert np.isnan(found.nats)
    assert found.narrower == pytest.approx([1, 1], abs=0.1)
    assert "nats" not in found.sentence


class Wide(ExactLine):
    """Calibrated on average it may be; it is three times as wide as it has to be."""

    def sample(self, observations, n, rng):
        draws = super().sample(observations, n, rng)
        return draws.mean(axis=1, keepdims=True) + 3 * (draws - draws.mean(axis=1, keepdims=True))


def simulated(fitted):
    subject = subject_of(exact_posterior(fitted=fitted))
    return check_information(Here(subject, subject.sampler.schema.read([0.5, -1.0])))


def test_how_much_sharper_it_could_be():
    found = simulated(Wide())
    assert found.attainable == pytest.approx([3, 3], rel=0.15)
    assert "posterior.refine(y) would make" in found.sentence
    assert "at least" in found.hint
    assert found.table["attainable"].tolist() == found.attainable.tolist()
    exact_one = simulated(ExactLine())
    assert exact_one.attainable == pytest.approx([1, 1], abs=0.1)
    assert exact_one.hint == ""
    assert "refine" not in exact_one.sentence


def test_what_the_simulations_do_not_cover_is_not_refined():
    subject = subject_of(exact_posterior(fitted=Wide()))
    for y, covered in (([0.5, -1.0], True), ([40.0, 40.0], False)):
        found = check_information(Here(subject, subject.sampler.schema.read(y)))
        assert found.covered == covered
        assert ("refine" in found.hint) == covered
        assert ("times as wide as it need be" in found.first) == covered
