"""Which checks run on a posterior, which are skipped, and what is said about that."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, MIX, ExactLine, exact_posterior

import sbi_inn as si
from sbi_inn.checks.run import AT_Y, NO_NOISE, NO_VOLUME, WITHOUT_SIMULATOR
from sbi_inn.errors import NoDensityError
from sbi_inn.methods import Summariser

GENERAL = ["calibration", "dependence", "joint coverage", "recovery", "re-simulation"]
HERE = ["goodness of fit", "re-simulation at y", "posterior predictive", "calibration at y"]
Y = [0.5, -1.0]


class DrawsOnly(ExactLine):
    """Has no density."""

    def log_prob(self, latent, observations):
        raise NoDensityError("it can be drawn from only")


class Learned(ExactLine):
    """Sums up an observation in one number."""

    def summarise(self, observations):
        return observations.vector @ [[1.0], [2.0]]


@dataclass(frozen=True)
class Alone(ExactLine):
    """Knows the first parameter only."""

    def moments(self, observations):
        mean, width, covariance = super().moments(observations)
        return mean[:, :1], width, covariance[:1, :1]

    def sample(self, observations, n, rng):
        mean, width, covariance = self.moments(observations)
        noise = rng.standard_normal((len(mean), n, 1)) * np.sqrt(covariance[0, 0])
        return mean[:, None] + width[:, None, None] * noise

    def log_prob(self, latent, observations):
        mean, _, covariance = self.moments(observations)
        mean = np.repeat(mean, len(latent) // len(mean), axis=0)
        return st.norm(mean, np.sqrt(covariance[0, 0])).logpdf(latent)[:, 0]


def posterior(fitted=None, n=600, problem=LINE, simulator=True):
    """Make one whose judge looks at n test simulations."""
    found = exact_posterior(n, n, problem=problem, fitted=fitted, simulator=simulator)
    found._shared = replace(found._subject(), tests=found._subject().tests.head(n))
    return found


def test_an_exact_posterior_is_trusted_in_general_and_at_an_observation():
    found = posterior()
    general, at = found._subject().check(), found._subject().check_at(found.schema.read(Y))
    assert list(general.records) == GENERAL
    assert list(at.records) == GENERAL + HERE
    assert general.skipped == at.skipped == {}
    assert general.verdict == at.verdict == "trust"
    assert all(at.records[name] is general.records[name] for name in GENERAL)


def test_the_same_checks_give_the_same_numbers():
    first, second = (posterior().check(Y, progress=False).table for _ in range(2))
    assert first.equals(second)


def test_facts_about_the_posterior():
    about = posterior().check(progress=False).about
    assert about["parameters"] == "a, b"
    assert about["method"] == "exact posterior"
    assert about["simulations"] == "600"
    assert about["seed"] == "3"


def test_one_parameter_has_no_dependence():
    @si.simulator(batched=True)
    def measure(a, rng):
        b, noise = rng.normal(0, 2, len(a)), rng.normal(0, 0.5, (len(a), 2))
        return {"y": np.column_stack([a, b]) @ MIX.T + noise}

    alone = si.Problem(measure, si.Prior(a=st.norm(0, 1)))
    check = posterior(Alone(), problem=alone).check(progress=False)
    assert check.verdict == "trust"
    assert "dependence" not in check.records
    assert check.skipped == {"dependence": "there is one parameter only"}


def test_without_a_density():
    check = posterior(DrawsOnly()).check(Y, progress=False)
    assert check.verdict == "trust"
    assert list(check.records["joint coverage"].levels) == ["TARP"]
    assert check.skipped == {
        "regions of highest density": "it can be drawn from only",
        "calibration at y": "it can be drawn from only",
    }


def test_without_a_simulator():
    check = posterior(simulator=False).check(Y, progress=False)
    assert check.verdict == "trust"
    assert list(check.records) == [*GENERAL[:-1], "goodness of fit"]
    assert check.skipped == dict.fromkeys(["re-simulation", *AT_Y], WITHOUT_SIMULATOR)


def test_a_simulator_that_takes_long():
    found = posterior()
    slow = replace(found._subject(), seconds=1.0)
    check = slow.check_at(found.schema.read(Y))
    assert list(check.records) == [*GENERAL[:-1], "goodness of fit"]
    assert set(check.skipped) == {"re-simulation", *AT_Y}
    assert "1 s" in check.skipped["re-simulation"]


def test_a_simulator_without_noise():
    @si.simulator(batched=True)
    def exactly(a, b):
        return {"y": np.column_stack([a, b]) @ MIX.T}

    without = si.Problem(exactly, LINE.prior)
    check = posterior(problem=without).check(Y, progress=False)
    assert check.skipped == {
        "regions of highest density": NO_VOLUME,
        "calibration at y": NO_NOISE,
    }
    assert check.records["re-simulation"].deterministic


def test_a_simulator_that_fails_at_y():
    @si.simulator(batched=True)
    def fragile(a, b, rng):
        y = np.column_stack([a, b]) @ MIX.T + rng.normal(0, 0.5, (len(a), 2))
        return {"y": np.where(a[:, None] > 1.9, np.nan, y)}

    # Where y is (8, -1), the posterior of a lies four standard deviations above 1.9.
    found = posterior()
    judge = replace(found._subject(), problem=si.Problem(fragile, LINE.prior))
    check = judge.check_at(found.schema.read([8.0, -1.0]))
    assert check.verdict == "do not trust"
    assert "no draw at this observation could be simulated" in check.sentence
    assert check.skipped["posterior predictive"].endswith("re-simulations succeeded")
    assert "calibration at y" in check.skipped


def test_learned_summaries_are_looked_at():
    assert isinstance(Learned(), Summariser)
    goodness = posterior(Learned()).check(Y, progress=False).records["goodness of fit"]
    assert list(goodness.p_values) == ["the observation", "its learned summary"]


@pytest.mark.parametrize(
    ("wrong", "objecting"),
    [
        ({"shift": 0.3}, {"calibration"}),
        ({"width": 0.8}, {"calibration", "joint coverage"}),
        ({"width": 1.25}, {"calibration", "joint coverage"}),
        ({"correlation": 0.5}, {"dependence", "joint coverage"}),
    ],
    ids=["shifted", "narrow", "wide", "correlated"],
)
def test_at_a_thousand_test_simulations_wrong_posteriors_are_found(wrong, objecting):
    check = posterior(ExactLine(**wrong), n=1_000, simulator=False).check(progress=False)
    objections = {name for name, record in check.records.items() if not record.passed}
    assert check.verdict != "trust"
    assert objections
    assert objections <= objecting
