"""What one observation taught."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats as st
from studies import SPREAD, ExactLine, exact, exact_posterior, subject_of

import sbi_inn as si
from sbi_inn.checks.information import Information, check_information
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


@pytest.mark.parametrize(
    ("narrower", "texts"),
    [
        ([1.02, 1.3], ["1", "1.1", "1.2", "1.3"]),
        ([0.9, 10.5], ["1", "2", "5", "10"]),
        ([1.0, 1.9], ["1", "1.2", "1.4", "1.6", "1.8"]),
        ([1.0, 1.0], ["0.96", "0.98", "1", "1.02", "1.04"]),
    ],
)
def test_ticks_are_plain_numbers_and_bars_begin_at_one(narrower, texts):
    times = np.array(narrower)
    ax = Information(times, 1 - 1 / times**2, 3.0, 0.1, ("a", "b")).plot().axes[0]
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == texts
    assert not ax.get_xticks(minor=True).size
    assert [bar.get_x() for bar in ax.patches] == [1, 1]
    assert [1 + bar.get_width() for bar in ax.patches] == pytest.approx(narrower)
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


def groups(differ, n, shift, rng):
    """Measure a difference and an unrelated shift, and count."""
    return {"y": np.array([4 * differ, shift, n]) + rng.normal(size=3)}


GROUPS = si.Problem(
    groups,
    si.Prior(differ=st.bernoulli(0.5), n=st.randint(0, 1_000), shift=st.norm(0, 5)),
)


@dataclass(frozen=True)
class Planted(ExactLine):
    """Latents of normal law, the same for every observation."""

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    spread: tuple[float, ...] = (1.0, 1.0, 1.0)

    def sample(self, observations, n, rng):
        noise = rng.standard_normal((len(observations), n, 3))
        return np.array(self.mean) + np.array(self.spread) * noise

    def log_prob(self, latent, observations):
        return st.norm(self.mean, self.spread).logpdf(latent).sum(axis=1)


def among_groups(mean=(0.0, 0.0, 0.0), spread=(1.0, 1.0, 1.0), y=(4.0, 1.0, 500.0)):
    fitted = Planted(mean=mean, spread=spread)
    subject = subject_of(exact_posterior(problem=GROUPS, fitted=fitted))
    return check_information(Here(subject, subject.sampler.schema.read(list(y))))


def test_a_yes_or_no_has_a_probability_and_no_width():
    found = among_groups(mean=(1.75, 0.0, 0.0), spread=(1.0, 0.05, 1.0))
    yes = found.likeliest["differ"]
    assert yes.value == 1
    # Of 1,000 draws, whose error is .006, and of some thousands of the prior.
    assert yes.probability == pytest.approx(st.norm.cdf(1.75), abs=0.02)
    assert yes.before == pytest.approx(0.5, abs=0.03)
    assert found.narrower[0] == pytest.approx(2 * yes.probability, rel=0.05)
    # Of 1,000 equally likely values, a latent's width of .05 leaves some 40 in 68 %.
    assert found.narrower[1] == pytest.approx(0.68 / (0.1 * st.norm.pdf(0)), rel=0.1)
    assert "n is known" in found.sentence  # what is known best comes first
    assert list(found.likeliest) == ["differ"]
    row = found.table.loc["differ"]
    assert row[["likeliest", "probability_before"]].tolist() == [1, yes.before]
    assert np.isnan(found.table.loc["shift", "probability"])
    plt.close(found.plot())


def test_the_sentence_says_what_is_likeliest():
    found = among_groups(mean=(1.75, 0.0, 0.0))
    share = found.likeliest["differ"].probability
    assert f"differ is 1 with probability {share:.2f} (before: 0.5" in found.sentence
    certain = among_groups(mean=(9.0, 0.0, 0.0), spread=(0.1, 1.0, 1.0))
    assert "differ is 1 with probability above 0.99 (before: 0." in certain.sentence
    assert certain.narrower[0] == pytest.approx(2, rel=0.05)


def test_one_of_many_values_is_known_by_its_probability():
    found = among_groups(spread=(1.0, 1e-3, 1.0))
    n = found.likeliest["n"]
    assert n.value in (499, 500)
    assert n.before < 0.01
    assert 300 < found.narrower[1] < 1_000
    assert f"n is {n.value:.0f} with probability" in found.sentence
    assert "before: below 0.01" in found.sentence


def test_a_yes_or_no_that_is_rightly_open_is_not_to_be_refined():
    # At y = 2 both are equally likely, although most other observations tell them apart.
    found = among_groups(spread=(1.0, 0.002, 0.2), y=(2.0, 0.0, 500.0))
    assert found.attainable is not None
    assert found.attainable.tolist() == pytest.approx([1, 1, 1], abs=0.1)
    assert found.hint == ""
    wide = among_groups(y=(2.0, 0.0, 500.0))  # as the prior, where data tell 5 times as much
    assert wide.attainable[0] == 1
    assert wide.attainable[2] == pytest.approx(np.sqrt(26), rel=0.1)
