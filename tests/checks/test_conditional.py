"""Posteriors that ignore what the observation says, in general and near one observation."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats as st
from planted import Planted, Study, posterior_of
from studies import LINE, MIX, SPREAD, ExactLine, ExactSample, briefly, exact_posterior, subject_of

import sbi_inn as si
from sbi_inn.checks.conditional import CONDITIONAL, seen_from
from sbi_inn.checks.conditional_at_y import CONDITIONAL_AT_Y, check_conditional_at
from sbi_inn.checks.conditional_parts import in_ties, outside
from sbi_inn.checks.predictors import (
    LEARNED,
    Predictors,
    Score,
    _likened,
    columns_at,
    drawn_at,
    predictors_of,
    scores_of,
)
from sbi_inn.checks.subject import Here
from sbi_inn.diagnostics.conditional_ranks import column_scores
from sbi_inn.diagnostics.tied_values import parts_by_ties
from sbi_inn.errors import NoDensityError

SAMPLE = si.get("normal_sample")


class Nothing(ExactLine):
    """Returns the prior."""

    def sample(self, observations, n, rng):
        return rng.standard_normal((len(observations), n, 2))


@dataclass(frozen=True)
class Reading(ExactSample):
    """Sums up a set in two features."""

    def summarise(self, observations):
        centre, _, _, rate = self.law(observations)
        return np.column_stack([centre, np.log(rate)])


@dataclass(frozen=True)
class One(ExactLine):
    """Reads the first of two observables only: its posterior is exact given that one."""

    def moments(self, observations):
        gain = MIX[:1] * SPREAD**2
        variance = float((MIX[0] ** 2) @ SPREAD**2) + 0.25
        mean = observations.vector[:, :1] @ gain / variance
        covariance = np.diag(SPREAD**2) - gain.T @ gain / variance
        latent = covariance / np.outer(SPREAD, SPREAD)
        return mean / SPREAD, np.ones(len(mean)), latent


def subject(fitted, n=1_000, problem=LINE, seed=3):
    found = exact_posterior(n, n, problem=problem, fitted=fitted, simulator=False, seed=seed)
    return subject_of(briefly(found, n))


def at(subject, y):
    found = CONDITIONAL_AT_Y.at(Here(subject, subject.sampler.schema.read(y)))
    assert not isinstance(found, str)
    return found


def test_an_exact_posterior_reads_everything():
    for seed in (1, 2, 3):
        exact = subject(ExactLine(), seed=seed)
        assert CONDITIONAL.record(exact).verdict == "trust"
        assert at(exact, [0.5, -1.0]).verdict == "trust"


def test_the_prior_is_calibrated_and_reads_nothing():
    found = CONDITIONAL.record(subject(Nothing()))
    assert found.verdict == "do not trust"
    assert "the network has not read all that y[" in found.sentence
    assert "Simulate more" in found.advice
    # The prior of b is 2 / .43 times as wide as its posterior.
    times = found.table.loc["location of b", "times_too_wide"]
    assert times == pytest.approx(4.7, rel=0.2)
    assert "times as wide as they need be" in found.sentence


def test_what_ignores_one_observable_is_told_by_its_name():
    posterior = briefly(exact_posterior(1_000, 1_000, fitted=One(), simulator=False), 1_000)
    check = posterior.check(progress=False)
    assert {n for n, record in check.records.items() if not record.passed} == {"conditional ranks"}
    assert check.verdict == "do not trust"
    assert "where y[1] is" in check.sentence
    # y[1] = a / 2 - b: where it is high, b is lower than the draws.
    assert check.sentence.count("the network has not read all that y[1] says") == 1
    b = CONDITIONAL.record(subject(One())).table.loc["location of b"]
    assert ("high" in b["most_where"]) == (b["mean_score_there"] < 0)


def test_an_error_in_a_part_is_found_there():
    # y[0] has the sd 2.29: it exceeds 4.3 in 3 % of the observations.
    found = CONDITIONAL.record(subject(ExactLine(shift=1.0, beyond=4.3), n=5_000))
    assert found.verdict != "trust"
    assert "where y[0] is high (above 4." in found.sentence
    assert "3 % of the observations" in found.sentence
    half = CONDITIONAL.record(subject(ExactLine(width=0.5, beyond=4.3), n=5_000))
    assert half.verdict != "trust"
    assert "too narrow" in half.sentence


def test_a_wrong_dependence_that_depends_on_y():
    @dataclass(frozen=True)
    class Turns(ExactLine):
        def sample(self, observations, n, rng):
            mean, _, covariance = self.moments(observations)
            first, second = rng.standard_normal((2, len(mean), n))
            side = 0.8 * np.sign(observations.vector[:, :1])
            noise = np.stack([first, side * first + 0.6 * second], axis=2)
            return mean[:, None] + noise * np.sqrt(np.diag(covariance))

    found = CONDITIONAL.record(subject(Turns(), n=2_000))
    assert found.verdict != "trust"
    assert "the correlation of a and b is too" in found.sentence


def test_a_simulator_without_noise_has_no_product_scores():
    @si.simulator(batched=True)
    def exactly(a, b):
        return {"y": np.column_stack([a, b]) @ MIX.T}

    _, about = scores_of(subject(ExactLine(), problem=si.Problem(exactly, LINE.prior)))
    assert {score.kind for score in about} == {"location", "width"}
    assert len(scores_of(subject(ExactLine()))[1]) == 5


@pytest.mark.slow
@pytest.mark.parametrize("width", [1.0, 2.0])
def test_sets_are_read_by_their_statistics(width):
    found = subject(ExactSample(width=width, below=100), problem=SAMPLE)
    predictors, _ = predictors_of(found)
    assert {"mean of y", "n"} <= set(predictors.names)
    assert CONDITIONAL.record(found).passed == (width == 1.0)


def test_discrete_parameters_and_gaps():
    @si.simulator(batched=True)
    def counted(k, rng):
        return {"y": k + rng.normal(size=len(k)), "z": rng.normal(size=len(k))}

    def lost(z, rng):
        return {"z": np.nan if rng.random() < 0.3 else z}

    prior = si.Prior(k=st.randint(0, 4))

    @dataclass(frozen=True)
    class Counts(ExactLine):
        blind: bool = False

        def sample(self, observations, n, rng):
            y = 0 * observations.vector[:, :1] if self.blind else observations.vector[:, :1]
            log_p = -0.5 * (y - np.arange(4)) ** 2 * (not self.blind)
            p = np.exp(log_p) / np.exp(log_p).sum(axis=1, keepdims=True)
            k = (rng.random((len(y), n, 1)) > p.cumsum(axis=1)[:, None, :-1]).sum(axis=2)
            return prior.to_latent({"k": k.ravel()}).reshape(*k.shape, 1)

        def log_prob(self, latent, observations):
            raise NoDensityError("it can be drawn from only")

    problem = si.Problem(counted, prior, noise=lost)
    right, wrong = (subject(Counts(blind=blind), problem=problem) for blind in (False, True))
    assert "a gap in z" in predictors_of(right)[0].names
    assert CONDITIONAL.record(right).verdict == "trust"
    assert CONDITIONAL.record(wrong).verdict == "do not trust"
    assert "all that y says" in CONDITIONAL.record(wrong).sentence


def test_near_an_observation():
    wrong = subject(ExactLine(shift=1.0, beyond=0.0), n=2_000)
    there, elsewhere = at(wrong, [3.0, -1.0]), at(wrong, [-3.0, -1.0])
    assert there.verdict == "do not trust"
    assert "near this observation posteriors of" in there.sentence
    assert "too high by" in there.sentence
    assert "narrower prior" in there.advice
    assert elsewhere.predicted["100 nearest"][:2] == pytest.approx([0, 0], abs=0.4)


def test_a_fit_to_all_is_drawn_back_by_what_it_is_off_near_the_observation():
    # A line through widths that are wrong on one side alone says that they are wrong on the other.
    wrong = subject(ExactLine(width=14.0, beyond=0.0), n=5_000)
    right, elsewhere = at(wrong, [-1.5, -0.3]), at(wrong, [1.5, -0.3])
    width = right.about.index(Score("width", "a"))
    assert right.predicted["linear"][width] < -0.3
    assert abs(right.believed["linear"][width]) < 0.25
    assert right.verdict == "trust"
    assert elsewhere.verdict == "do not trust"


def test_a_mean_over_many_is_drawn_back_by_what_it_is_off_near_the_observation():
    # Of 1,000 tests the 400 nearest reach far into the place where posteriors are wrong.
    wrong = posterior_of(Planted(Study(2, 0.5), 0.5, shift=1.0, near=1.0), seed=1, tests=1_000)
    for y, reaches in ((2.0, True), (0.0, False)):
        here = Here(wrong._subject(), wrong.schema.read({"y": np.array([y, 0.0])}))
        found = check_conditional_at(here)
        shift, believed = (
            said["400 nearest"][found.about.index(Score("location", "x1"))]
            for said in (found.predicted, found.believed)
        )
        assert shift < -0.5
        assert believed == pytest.approx(-0.25, abs=0.1) if reaches else believed == shift


def test_a_factor_is_what_it_is():
    found = at(subject(ExactLine(width=14.0), n=2_000), [0.5, -1.0])
    width = next(f for f in found.findings if "width" in f.limits.measure)
    assert np.exp(width.effect) == pytest.approx(14, rel=0.4)
    assert "too wide by a factor of about" in width.words


def test_too_few_tests_cannot_tell():
    few = subject(ExactLine(), n=60)
    found = CONDITIONAL.record(few)
    assert found.verdict == "cannot tell"
    assert "that depends on the observation may not show" in found.sentence
    assert found.enough > 150


def test_where_words_say():
    columns = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0], [3.0, np.nan]])
    some = Predictors(columns, ("y", "a gap in z"), 2, np.arange(2))
    assert some.where(0, np.array([2.0, 3.0])) == "y is high (above 2)"
    assert some.where(0, np.array([0.0, 1.0])) == "y is low (below 1)"
    assert some.where(0, np.array([1.0, 2.0])) == "y lies between 1 and 2"
    assert some.where(0, np.array([1.0, 1.0])) == "y is 1"
    assert some.where(0, np.array([np.nan])) == "y is missing"
    assert some.where(1, np.array([1.0, 1.0])) == "z is missing"


def test_what_mean_scores_say():
    assert Score("location", "a").words(0.4) == "posteriors of a are too low by 0.40 sd"
    assert Score("location", "a").words(-0.4, 0.1) == (
        "posteriors of a are too high by 0.40 +- 0.10 sd"
    )
    assert Score("width", "a").words(1.04) == "posteriors of a are too narrow by about a half"
    assert Score("dependence", "a and b").words(-0.38) == (
        "the correlation of a and b is too high by 0.40"
    )


def test_figures_and_tables():
    wrong = subject(Nothing())
    found, near = CONDITIONAL.record(wrong), at(wrong, [0.5, -1.0])
    assert found.plot().axes[0].get_xlabel() == "y[1]: share below [%]"
    assert near.plot(85).axes
    rows = ["location of a", "location of b", "width of a", "width of b", "dependence of a and b"]
    assert found.table.index.to_list() == near.table.index.to_list() == rows
    plt.close("all")


def test_what_is_wrong_elsewhere_is_said_to_be_elsewhere():
    wrong = subject(ExactLine(shift=1.0, beyond=4.3), n=5_000)
    general = CONDITIONAL.record(wrong)
    for y, elsewhere in (([0.5, -1.0], True), ([5.0, 0.0], False)):
        found = seen_from(general, Here(wrong, wrong.sampler.schema.read(y)))
        assert found.elsewhere == elsewhere
        assert found.verdict == general.verdict
        assert found.sentence.startswith("elsewhere, where y[0] is") == elsewhere
        assert found.findings is general.findings  # which took long
    assert not general.elsewhere


def test_learned_features_have_plain_names():
    found = subject(Reading(), problem=SAMPLE)
    predictors, _ = predictors_of(found)
    second = "a feature that the network learned from the set (number 2"
    assert any(name.startswith(second) for name in predictors.names)
    assert all("number" not in name.split("(")[0] for name in predictors.names)


def test_learned_features_are_named_by_what_they_go_with():
    rng = np.random.default_rng(1)
    mean, sd = rng.normal(size=(2, 500))
    learned = [f"{LEARNED} the set (number {i})" for i in (1, 2)]
    columns = np.stack([mean, sd, -np.exp(mean), rng.normal(size=500)], axis=1)
    names = _likened(
        column_scores(columns, columns),
        ("mean of y", "n", "sd of y", *learned),
        np.array([True, False, True, True, True]),  # n is always the same
    )
    assert names[:3] == ("mean of y", "n", "sd of y")
    assert names[3] == f"{LEARNED} the set (number 1, which goes with mean of y)"
    assert names[4] == learned[1]


@dataclass(frozen=True)
class Corner(ExactLine):
    """Is wrong where both observables are high only."""

    def sample(self, observations, n, rng):
        y = observations.vector
        off = ((y[:, 0] > 2.6) & (y[:, 1] < -1.6))[:, None, None]
        return super().sample(observations, n, rng) + 0.5 * off * np.ones(2)


def test_a_region_of_two_observables_is_found_and_missed_elsewhere():
    wrong = subject(Corner(), n=5_000)
    general = CONDITIONAL.record(wrong)
    assert general.verdict != "trust"
    found = max(general.parts, key=lambda part: (part.finding.level, part.finding.share))
    assert found.finding.level >= 1
    inside = wrong.survey().tests.observations.vector[found.rows]
    assert ((inside[:, 0] > 2.6) & (inside[:, 1] < -1.6)).mean() > 0.5
    for y, missed in (([-2.0, 2.0], True), (np.median(inside, axis=0), False)):
        here = Here(wrong, wrong.sampler.schema.read(y))
        assert found.misses(columns_at(here, drawn_at(here)), general.predictors) == missed


def test_whether_a_value_lies_outside():
    values, others = np.array([-2.0, 3.0]), np.array([0.0])
    assert outside(0.0, values, others)
    assert outside(4.0, values, others)
    assert not outside(1.0, values, others)
    assert outside(np.nan, values, others)
    assert not outside(np.nan, np.array([np.nan]), others)


def test_what_is_rarely_seen_and_not_read():
    """Of a parameter's good observable, which is 0 in nine of ten cases."""
    rng = np.random.default_rng(0)
    names, n = ("y[0]", "y[1]"), 1_000
    theta, first, second = rng.normal(size=(3, n))
    on = rng.random(n) < 0.1
    columns = np.column_stack([theta + first, np.where(on, theta + 0.3 * second, 0.0)])
    scores = ((theta - columns[:, 0] / 2) / np.sqrt(0.5))[:, None]
    predictors = Predictors(columns, names, 2, np.arange(2))
    about = (Score("location", "theta"),)
    ranked = predictors.scores()
    (found,) = in_ties(scores, about, predictors, ranked, 1, parts_by_ties(ranked))
    assert found.finding.level == 1
    assert found.finding.words.startswith("where y[1] is not 0, 1")
    assert "posteriors of theta are off by 0.9" in found.finding.words
    assert found.misses(np.array([0.0, 0.0]), predictors)
    assert not found.misses(np.array([0.0, 0.5]), predictors)


def test_how_far_off_is_said_of_each_kind_of_score():
    assert Score("width", "a").off_by(np.log(1.5)).endswith("too narrow by about a half")
    assert Score("dependence", "a and b").off_by(0.7) == "correlations of a and b are off by 0.70"
    for kind, size in (("location", 0.6), ("width", 0.4), ("dependence", 0.6)):
        score = Score(kind, "a")
        assert [score.size(mean) for mean in score.means(size)] == pytest.approx([size] * 2, 1e-2)
