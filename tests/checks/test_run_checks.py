"""Which checks run on a posterior, which are skipped, and what is said about that."""

from dataclasses import FrozenInstanceError, dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from studies import LINE, MIX, ExactLine, briefly, exact_posterior, subject_of

import sbi_inn as si
from sbi_inn.checks import CHECKS, run, run_checks
from sbi_inn.checks.kind import SIMULATOR, CheckKind, Need
from sbi_inn.checks.posterior_sbc import CALIBRATION_AT_Y, NO_NOISE
from sbi_inn.checks.record import Finding, Limits, Record
from sbi_inn.checks.region_edges import REGION_EDGES
from sbi_inn.checks.resimulation import RESIMULATION
from sbi_inn.checks.subject import NO_VOLUME, WITHOUT_SIMULATOR, Here
from sbi_inn.errors import NoDensityError
from sbi_inn.methods import Summariser

WITHOUT = ["calibration", "conditional ranks", "dependence", "joint coverage", "recovery"]
GENERAL = [*WITHOUT, "re-simulation"]
SIMULATED = ["re-simulation at y", "posterior predictive"]
RANKS = ["conditional ranks at y", "calibration at y"]
HERE = ["goodness of fit", "information at y", *SIMULATED, *RANKS]
ALWAYS = ["goodness of fit", "information at y", "conditional ranks at y"]
AT_Y = [*SIMULATED, "calibration at y"]
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
    """Make one whose checks look at n test simulations."""
    found = exact_posterior(n, n, problem=problem, fitted=fitted, simulator=simulator)
    return briefly(found, n)


def test_an_exact_posterior_is_trusted_in_general_and_at_an_observation():
    found = posterior()
    general, at = (found.check(y, progress=False) for y in (None, Y))
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
    assert list(check.records) == [*WITHOUT, *ALWAYS]
    assert check.skipped == dict.fromkeys(["re-simulation", *AT_Y], WITHOUT_SIMULATOR)


def test_a_simulator_that_takes_long():
    found = posterior()
    slow = replace(subject_of(found), seconds=1.0)
    records, skipped = run_checks(slow, found.schema.read(Y))
    assert list(records) == [*WITHOUT, *ALWAYS]
    assert set(skipped) == {"re-simulation", *AT_Y}
    assert "1 s" in skipped["re-simulation"]


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
    subject = replace(subject_of(found), problem=si.Problem(fragile, LINE.prior))
    records, skipped = run_checks(subject, found.schema.read([8.0, -1.0]))
    assert records["re-simulation at y"].verdict == "do not trust"
    assert records["re-simulation at y"].sentence.startswith("no draw at this observation could")
    assert skipped["posterior predictive"].endswith("re-simulations succeeded")
    assert "calibration at y" in skipped


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
    assert objections <= objecting | {"conditional ranks"}


# -- the list --------------------------------------------------------------------------------------


def test_the_list_is_what_a_check_shows():
    found = posterior()
    asked = [kind for kind in CHECKS if kind is not REGION_EDGES]
    assert [kind.name for kind in asked] == GENERAL + HERE
    assert list(found.check(Y, progress=False).records) == GENERAL + HERE
    assert [kind.name for kind in asked if kind.at_observation] == HERE
    for kind in CHECKS:
        assert kind.question.endswith("?")
        assert kind.explanation.endswith(".")


def test_the_page_on_checks_asks_the_same_questions_and_names_the_same_needs():
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    for kind in CHECKS:
        needs = ["an observation"] * kind.at_observation + [need.what for need in kind.needs]
        assert f"\n| {kind.name} | {', '.join(needs) or 'nothing more'} |\n" in page
        assert f"*{kind.question}*" in " ".join(page.split())


@dataclass(frozen=True, repr=False)
class HowMany(Record):
    """A record of somebody else's."""

    n: int

    @property
    def findings(self):
        return (Finding(float(self.n), 0.0, Limits("simulations", 1.0, 2.0), 0.0, "too many"),)

    @property
    def well(self):
        return "few"

    @property
    def table(self):
        return pd.DataFrame({"n": [self.n]})

    def plot(self, width_mm=180.0, fig=None):
        raise NotImplementedError


def test_a_further_check_is_one_object_in_the_list(monkeypatch):
    calls = []
    further = CheckKind(
        name="how many",
        question="How many test simulations are there?",
        explanation="They are counted.",
        run=lambda subject: calls.append(subject) or HowMany(len(subject.tests)),
        needs=(SIMULATOR,),
    )
    monkeypatch.setattr(run, "CHECKS", (*CHECKS, further))
    found = posterior()
    general, again = found.check(progress=False), found.check(Y, progress=False)
    assert general.records["how many"] is again.records["how many"]
    assert general.verdict == "do not trust"
    assert calls == [subject_of(found)]
    alone = posterior(simulator=False).check(progress=False)
    assert alone.skipped["how many"] == WITHOUT_SIMULATOR


def test_the_first_need_that_is_missing_is_why_a_check_is_skipped():
    here, missing = Need("this", lambda subject: ""), Need("that", lambda subject: "no that")
    also = Need("more", lambda subject: pytest.fail("it is not asked for any more"))
    kind = CheckKind("one", "One?", "One.", lambda subject: HowMany(0), (here, missing, also))
    subject = subject_of(posterior(simulator=False))
    assert kind.of(subject) == "no that"
    with pytest.raises(ValueError, match="no one: no that"):
        kind.record(subject)


def test_a_need_of_a_density_is_found_out_before_anything_is_simulated():
    found = posterior(DrawsOnly())
    simulated = []
    watched = replace(LINE, simulator=si.simulator(batched=True)(
        lambda a, b, rng: simulated.append(len(a)) or LINE.simulator(a=a, b=b, rng=rng)
    ))  # fmt: skip
    subject = replace(subject_of(found), problem=watched)
    here = Here(subject, found.schema.read(Y))
    RESIMULATION.of(subject)
    before = len(simulated)
    assert CALIBRATION_AT_Y.at(here) == "it can be drawn from only"
    assert len(simulated) == before


def test_what_checks_share_is_made_once_and_never_changed():
    subject = subject_of(posterior(simulator=False))
    assert subject.survey() is subject.survey(progress=True)
    assert replace(subject, seed=9).survey() is not subject.survey()
    with pytest.raises(FrozenInstanceError):
        subject.seed = 9
    assert set(vars(subject)) == {field.name for field in fields(subject)}
