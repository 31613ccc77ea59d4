"""Whether to trust a posterior, and what would make it better, through the Posterior itself."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import xarray as xr
from studies import (
    LINE,
    MIX,
    NOISE,
    SPREAD,
    ExactLine,
    Settings,
    briefly,
    columns,
    exact_posterior,
    quick_fit,
)

import sbi_inn as si
from sbi_inn.checks import subject
from sbi_inn.planning.reweighting import reweight
from sbi_inn.training.history import History
from sbi_inn.training.progress import bar

Y = [1.0, -0.5]
# Seven standard deviations from all that is simulated, in one of the two observables.
FAR = [[0.0, 15.0], [15.0, 0.0], [-15.0, 0.0], [0.0, -15.0]]

WITHOUT = ["calibration", "conditional ranks", "dependence", "joint coverage", "recovery"]
GENERAL = [*WITHOUT, "re-simulation"]
SIMULATED = ["re-simulation at y", "posterior predictive"]
AT_Y = ["goodness of fit", "information at y", *SIMULATED, "conditional ranks at y"]
AT_Y += ["calibration at y"]


@pytest.fixture(scope="module")
def posterior():
    return exact_posterior()


@pytest.fixture(scope="module")
def trained():
    """Give a posterior of a network, which has learned summaries."""
    return quick_fit(LINE, n=800, epochs=3)


def observed(n, seed):
    """Simulate observations that no posterior here has seen, shape (n, 2)."""
    return si.simulate(LINE, n=n, seed=seed, n_jobs=1, progress=False).dataset["y"].values


# -- the verdict -----------------------------------------------------------------------------------


def test_a_check_in_general_and_at_an_observation():
    posterior = briefly(exact_posterior())
    general = posterior.check()
    assert list(general.records) == GENERAL
    assert general.verdict == posterior.last_verdict == "trust"
    here = posterior.check(Y)
    assert list(here.records) == GENERAL + AT_Y
    assert here.verdict == "trust"
    assert here.about == general.about
    assert posterior.calibration() is general.records["calibration"]
    assert posterior.recovery() is general.records["recovery"]
    for name in ("parameters", "method", "simulations", "seed"):
        assert general.about[name]


def test_a_check_is_the_same_every_time():
    one, other = (briefly(exact_posterior(), 200).check(Y, progress=False) for _ in range(2))
    assert one.table.equals(other.table)
    seeded = briefly(exact_posterior(seed=4), 200).check(Y, progress=False)
    assert not seeded.table.equals(one.table)


def test_an_observation_is_no_verdict_on_the_posterior():
    posterior = briefly(exact_posterior(), 1_000)
    assert posterior.check(FAR[0]).verdict == "do not trust"
    assert posterior.last_verdict == "trust"
    assert posterior.last_check.startswith("Trust this posterior: ")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        posterior.sample(FAR[0], 5)


def test_progress_is_shown_only_when_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(subject, "bar", lambda *args, delay, **kwargs: bar(*args, **kwargs))
    posterior = briefly(exact_posterior(), 200)
    posterior.check(Y, progress=False)
    assert capsys.readouterr() == ("", "")
    briefly(exact_posterior(), 200).check()
    shown = capsys.readouterr().err
    assert "check:   0%" in shown
    assert shown.endswith(" \r")  # the line is wiped


# -- drawing from what is not to be trusted --------------------------------------------------------


@pytest.fixture(scope="module")
def failed():
    posterior = briefly(exact_posterior(fitted=ExactLine(shift=1.0)))
    assert posterior.check(progress=False).verdict == "do not trust"
    return posterior


def said_by(call):
    """Give the warnings of a call that are about the last check."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [one for one in caught if "last check of this posterior" in str(one.message)]


DRAWING = {
    "sample": lambda posterior: posterior.sample(Y, 5),
    "sample_each": lambda posterior: posterior.sample_each([Y, Y], 5),
    "summary": lambda posterior: posterior.summary(Y, 50),
    "to_dataframe": lambda posterior: posterior.to_dataframe(Y, 5),
}


@pytest.mark.parametrize("name", DRAWING)
def test_after_a_failed_check_the_first_draws_say_so(failed, name):
    failed.check(progress=False)
    first = said_by(lambda: DRAWING[name](failed))
    assert [str(one.message) for one in first] == [
        f"the last check of this posterior said: {failed.last_check}"
    ]
    assert first[0].category is UserWarning
    for other in DRAWING.values():
        assert said_by(lambda draw=other: draw(failed)) == []


@pytest.mark.parametrize("name", ["sample", "sample_each"])
def test_the_warning_points_to_who_drew(failed, name):
    failed.check(progress=False)
    assert said_by(lambda: DRAWING[name](failed))[0].filename == __file__


def test_a_new_check_that_fails_is_said_again(failed):
    for y in (None, Y):
        failed.check(y, progress=False)
        assert len(said_by(lambda: failed.sample(Y, 5))) == 1
        assert said_by(lambda: failed.sample(Y, 5)) == []


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "trust"), (0.25, "caution")])
def test_other_verdicts_are_not_said(shift, verdict):
    posterior = briefly(exact_posterior(fitted=ExactLine(shift)))
    assert said_by(lambda: posterior.sample(Y, 5)) == []  # not checked yet
    assert posterior.check(progress=False).verdict == verdict
    assert said_by(lambda: posterior.sample(Y, 5)) == []


# -- observations that were not simulated ----------------------------------------------------------


def test_goodness_of_fit_is_that_of_the_check(posterior):
    found = posterior.goodness_of_fit(Y)
    assert found.verdict == "trust"
    assert found.p_value > 0.05
    assert (
        briefly(exact_posterior(), 5_000)
        .check(Y)
        .records["goodness of fit"]
        .table.equals(found.table)
    )
    assert posterior.goodness_of_fit_each([Y]).p_value[0] == found.p_value
    strange = posterior.goodness_of_fit(FAR[0])
    assert strange.verdict == "do not trust"
    assert strange.p_value < 0.001
    assert strange.sticks_out == "y[1]"
    with pytest.raises(si.ShapeError, match=r"expected y of shape \(2,\)"):
        posterior.goodness_of_fit([1.0])


def test_of_many_clean_observations_few_are_flagged_and_strange_ones_are(posterior):
    clean = observed(500, seed=77)
    found = posterior.goodness_of_fit_each(np.vstack([clean, FAR]))
    assert found.index.name == "observation"
    assert found.columns.to_list() == ["p_value", "flagged", "sticks_out", "sticks_out_by"]
    assert found.flagged[:500].sum() <= 2  # 25 without a correction for so many looks
    assert found.flagged[500:].all()
    assert found.sticks_out[500:].to_list() == ["y[1]", "y[0]", "y[0]", "y[1]"]
    assert found.sticks_out_by[500:].min() > 10 * found.sticks_out_by[:500].median()


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_the_rate_of_false_discoveries_is_held(posterior, rate):
    rng = np.random.default_rng(5)
    shares = []
    for seed in range(60):
        ys = observed(60, seed=100 + seed)
        ys[:10] *= rng.uniform(3.0, 6.0, (10, 1))  # some of them strange, none beyond doubt
        found = posterior.goodness_of_fit_each(ys, false_discovery_rate=rate)
        shares.append(found.flagged[10:].sum() / max(found.flagged.sum(), 1))
    # Benjamini and Hochberg hold the mean share of false alarms among those flagged.
    assert np.mean(shares) < rate + 3 * np.std(shares) / np.sqrt(60)
    assert np.mean(shares) > rate / 20  # nor is it held by flagging nothing


def test_a_catalogue_in_every_form(posterior):
    ys = np.vstack([observed(4, seed=5), FAR[:2]])
    expected = posterior.goodness_of_fit_each(ys)
    frame = pd.DataFrame({"y[0]": ys[:, 0], "y[1]": ys[:, 1]})
    dataset = xr.Dataset({"y": (("observation", "y_dim"), ys)})
    for form in (list(ys), [{"y": y} for y in ys], frame, dataset):
        pd.testing.assert_frame_equal(posterior.goodness_of_fit_each(form), expected)
    stars = pd.Index([f"star {i}" for i in range(6)], name="star")
    found = posterior.goodness_of_fit_each(frame.set_index(stars))
    assert found.index.equals(stars)
    assert found.index.name == "star"
    assert found.loc["star 4", "flagged"]
    assert np.array_equal(found.p_value.to_numpy(), expected.p_value.to_numpy())


def test_summaries_that_were_learned_are_looked_at(trained, posterior):
    assert set(trained.goodness_of_fit(Y).p_values) == {"the observation", "its learned summary"}
    assert set(posterior.goodness_of_fit(Y).p_values) == {"the observation"}


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, np.nan])
def test_rates_that_cannot_be(posterior, rate):
    with pytest.raises(ValueError, match="a rate between 0 and 1; got"):
        posterior.goodness_of_fit_each([Y], false_discovery_rate=rate)


def test_which_observation_does_not_fit(posterior):
    for call in (posterior.goodness_of_fit_each, posterior.goodness_of_fit_together):
        with pytest.raises(si.ShapeError, match=r"observation 1: expected y of shape \(2,\)"):
            call([Y, [1.0]])


def test_each_may_pass_where_all_together_do_not(posterior):
    ys = observed(100, seed=80)
    usual = posterior.goodness_of_fit_together(ys)
    assert usual.verdict == "trust"
    assert usual.p_value > 0.05
    narrow = posterior.goodness_of_fit_together(ys / 2)
    assert not posterior.goodness_of_fit_each(ys / 2).flagged.any()
    assert narrow.verdict == "do not trust"
    assert narrow.p_value < 0.01
    assert "the 100 observations together are unlike 100 simulated ones" in narrow.sentence


def test_the_test_of_all_together_has_a_seed(posterior):
    ys = observed(30, seed=79)
    found = posterior.goodness_of_fit_together(ys)
    assert found.table.equals(posterior.goodness_of_fit_together(ys, seed=posterior.seed).table)
    assert not found.table.equals(posterior.goodness_of_fit_together(ys, seed=9).table)


# -- what would make it better ---------------------------------------------------------------------


@pytest.mark.slow
def test_a_learning_curve_ends_at_the_posterior_itself(trained):
    curve = trained.learning_curve((1 / 4, 1 / 2), progress=False)
    assert curve.n.tolist() == [200, 400, 800]
    assert curve.table.index.to_list() == [200, 400, 800, 1_600, 3_200]
    tests = trained._subject().tests.head(80)
    assert len(tests) == len(trained.core.test_rows) == 80
    ratio = trained.core.log_ratio(tests.truth[:, None], tests.observations, normalised=True)
    # The score mixes in 1/1000 of the prior, which such wide posteriors hardly feel.
    assert curve.score[-1] == pytest.approx(ratio.mean(), abs=0.01)
    again = trained.learning_curve((1 / 4, 1 / 2), training=si.Training(epochs=3), progress=False)
    assert again.table.equals(curve.table)  # by default it trains as the posterior was trained
    longer = trained.learning_curve((1 / 4, 1 / 2), training=si.Training(epochs=9), progress=False)
    assert longer.score[-1] == curve.score[-1]
    assert (longer.score[:-1] != curve.score[:-1]).all()
    other = trained.learning_curve((1 / 4, 1 / 2), seed=2, progress=False)
    assert (other.score[:-1] != curve.score[:-1]).all()


@si.simulator(batched=True)
def blurred(a, k, rng):
    return a + k * rng.standard_normal(len(a))


BLURRED = si.Problem(blurred, si.Prior(a=st.norm(0, 1)), given={"k": st.uniform(0.5, 2)})


@dataclass(frozen=True)
class ExactBlurred:
    """The exact posterior of `BLURRED`: N(y, k^2) / (1 + k^2)."""

    settings: Settings = Settings()
    history: History = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)

    def sample(self, observations, n, rng):
        y, k = observations.vector.T[:, :, None]
        return ((y + k * np.hypot(1, k) * rng.standard_normal((len(y), n))) / (1 + k**2))[..., None]

    def describe(self):
        return "exact posterior"


@pytest.mark.parametrize("simulator", [True, False])
def test_a_plan_says_how_wide_intervals_will_be(simulator):
    posterior = exact_posterior(
        4_000, 2_000, problem=BLURRED, fitted=ExactBlurred(), simulator=simulator
    )
    values = np.array([0.6, 1.5, 2.4])
    for level in (0.95, 0.5):
        plan = posterior.plan("k", values, level=level)
        assert plan.table.index.to_list() == values.tolist()
        expected = 2 * st.norm.ppf((1 + level) / 2) * values / np.hypot(1, values)
        assert np.allclose(plan.table["a"], expected, rtol=0.01 if simulator else 0.05)
    again = posterior.plan("k", values, level=0.5, seed=posterior.seed)
    assert again.table.equals(plan.table)
    with pytest.raises(ValueError, match="n_trials"):
        posterior.plan("n_trials", [80, 900])


def test_another_prior_by_weights(posterior):
    sd, centre = np.array([0.8, 1.0]), np.array([0.5, -0.5])
    new = si.Prior(a=st.norm(centre[0], sd[0]), b=st.norm(centre[1], sd[1]))
    draws = posterior.sample(Y, 20_000)
    found = posterior.reweight(draws, new)
    assert found.identical(reweight(draws, posterior.prior, new, seed=posterior.seed))
    assert not found.identical(posterior.reweight(draws, new, seed=99))
    covariance = np.linalg.inv(np.diag(sd**-2) + MIX.T @ MIX / NOISE**2)
    mean = covariance @ (centre / sd**2 + MIX.T @ np.array(Y) / NOISE**2)
    gap = (columns(found).mean(axis=0) - mean) / np.sqrt(np.diag(covariance))
    assert np.abs(gap).max() < 5 / np.sqrt(found.attrs["effective_sample_size"])
    assert found.a.attrs["units"] == "m"
    with pytest.raises(si.PriorError, match="expected a prior of the parameters a, b"):
        posterior.reweight(draws, si.Prior(a=st.norm()))


def test_a_prior_that_the_draws_hardly_cover(posterior):
    far = si.Prior(a=st.norm(5, 0.1), b=st.norm(0, SPREAD[1]))
    with pytest.warns(UserWarning, match="hardly cover") as caught:
        posterior.reweight(posterior.sample(Y, 1_000), far)
    assert caught[0].filename == __file__


# -- what the checks share -------------------------------------------------------------------------


def test_test_simulations_are_topped_up_where_a_simulator_is_at_hand(posterior):
    tests = posterior._subject().tests.head(800)
    held_out = posterior.simulations.parameters(posterior.core.test_rows)
    assert len(tests) == 800
    assert np.array_equal(tests.truth[:500], posterior.prior.flatten(held_out))
    assert not set(tests.truth[500:, 0]) & set(posterior.simulations.dataset["a"].values)
    assert len(posterior._subject().tests.head(300)) == 300
    assert len(exact_posterior(simulator=False)._subject().tests.head(800)) == 500


def test_features_are_what_was_learned(trained, posterior):
    observations = trained.schema.read_many(observed(3, seed=1))
    learned = trained.core.fitted.summarise(observations)
    assert np.array_equal(trained.core.features(observations), learned)
    assert posterior.core.features(observations).shape == (3, 0)
    assert trained.core.evaluations == posterior.core.evaluations == 1
