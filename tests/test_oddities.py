"""Unusual studies: whatever they throw at the checks, the verdict is right and can be read."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, briefly, exact_posterior, quick_fit

import sbi_inn as si
from sbi_inn.checks import Calibration, Fit, GoodnessOfFit, JointCoverage, Recovery, Resimulation
from sbi_inn.checks.joint import TARP
from sbi_inn.diagnostics.dependence import product_ranks, with_right_marginals
from sbi_inn.diagnostics.joint import tarp_ranks
from sbi_inn.draws import Column, make_draws

TINY = si.CINN(blocks=2, hidden=16)
Y = {"y": [0.0, 0.0]}


# -- simulators that fail --------------------------------------------------------------------------


def broken(a, b, rng):
    """Fail whatever the parameters."""
    raise ValueError("no convergence")


def other(a, b, rng):
    """Return something that the posterior of `LINE` does not know."""
    return {"z": a}


def with_simulator(simulator, n=200):
    """Give the exact posterior of `LINE` another simulator."""
    good = exact_posterior(n, n // 2)
    return si.Posterior(replace(good.core, problem=si.Problem(simulator, LINE.prior)))


@pytest.mark.slow
def test_where_nothing_can_be_simulated_again_there_is_no_trust():
    check = with_simulator(broken).check(Y, progress=False)
    assert check.verdict == "do not trust"
    assert "no posterior draw could be simulated again" in check.sentence
    assert (
        check.records["calibration"].verdict == "cannot tell"
    )  # what needs no simulator is there all the same
    assert "simulator" in check.advice
    assert all("\n" not in why for why in check.skipped.values())


@pytest.mark.slow
def test_a_simulator_of_other_observables_is_an_error_that_names_them():
    with pytest.raises(si.SimulationError, match=r"\{'y': \(2,\)\}.*got \{'z': \(\)\}"):
        with_simulator(other).check(progress=False)


# -- observations that no simulator makes ----------------------------------------------------------


def test_an_observation_beyond_all_numbers_is_far_and_was_simulated_again():
    posterior = briefly(quick_fit(LINE, method=TINY), 200)
    check = posterior.check({"y": [1e300, 0.0]}, progress=False)
    assert check.verdict == "do not trust"
    assert check.records["re-simulation at y"].value > 1e90
    assert "could be simulated" not in check.sentence


def goodness(here):
    """Say how strange an observation of that score is among 1,000 between 0 and 1."""
    names, row = ("x", "y"), np.array([0.1, 0.2])
    usual = {"the observation": np.linspace(0, 1, 1_000)}
    return GoodnessOfFit(
        usual, {"the observation": here}, {"the observation": 1e-4}, names, row, row, 2
    )


def test_nothing_sticks_out_of_what_is_too_ordinary():
    assert "y = 0.2 sticks out" in goodness(2.0).sentence
    assert "sticks out" not in goodness(-1.0).sentence
    assert "closer to their middle" in goodness(-1.0).sentence


def test_of_many_statistics_none_may_stick_out():
    found = goodness(2.0)
    alone = ("a single statistic", "a statistic given the others")
    p_values = {**found.p_values, **dict.fromkeys(alone, 0.6)}
    assert "it is how they go together" in replace(found, p_values=p_values).sentence


def test_re_simulations_that_land_exactly_have_a_verdict():
    assert Fit(np.zeros(50), usual=np.zeros(20)).verdict == "trust"
    assert Fit(np.full(50, 0.1), usual=np.zeros(20)).verdict == "do not trust"


def test_one_observation_is_spoken_of_as_one():
    posterior = briefly(exact_posterior(), 200)
    together = posterior.goodness_of_fit_together
    assert together([Y]).sentence.startswith("the one observation looks like a ")
    assert "unlike a simulated one" in together([{"y": [9.0, 9.0]}]).worst.words
    assert "the 2 observations together look" in together([Y, Y]).well


# -- posteriors ------------------------------------------------------------------------------------


def test_a_posterior_without_width_is_far_too_narrow():
    ranks = np.repeat([0.0, 1.0], 100)[:, None]
    assert "they are far too narrow" in Calibration(ranks, ("a",)).sentence


def test_of_one_parameter_nothing_is_said_of_parameters_together():
    levels = np.random.default_rng(0).uniform(size=1_000)
    assert "together" not in JointCoverage({TARP: levels}, 1).sentence
    assert "together" not in JointCoverage({TARP: levels / 2}, 1).sentence
    assert "together" in JointCoverage({TARP: levels}, 2).sentence


def test_medians_that_are_worse_than_a_constant_explain_nothing():
    truth = np.random.default_rng(0).normal(size=(100, 1))
    found = recovery_of(truth, -truth)
    assert found.r_squared[0] < -1
    assert found.sentence == "the observations explain 0 % of a"


def recovery_of(truth, median):
    sd, columns = np.ones_like(truth), (Column("a", "a", "a", "", 1.0),)
    return Recovery(truth, median, sd, median, median - sd, median + sd, np.ones(1), columns)


# -- heavy tails: no single row decides ------------------------------------------------------------


def test_rank_correlation_does_not_see_the_scale():
    rng = np.random.default_rng(0)
    logs = rng.normal(0, 5, (500, 1))
    table = recovery_of(np.exp(logs), np.exp(logs + rng.normal(size=logs.shape))).table
    assert table["rank_correlation"].item() == pytest.approx(0.98, abs=0.01)
    assert table["R2"].item() < 0.9


def test_one_wild_truth_does_not_decide_on_a_correlation():
    rng, pairs = np.random.default_rng(0), np.array([[0, 1]])
    truth = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=1_000)
    draws = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=(1_000, 100))
    truth[0] = 200.0
    _, excess = product_ranks(truth, draws, pairs, rng)
    right = with_right_marginals(excess, (truth - draws.mean(1)) / draws.std(1), pairs)
    # One product of 1,000 has a standard deviation of about 1.3, but for the wild one.
    assert right[1:].mean() == pytest.approx(0, abs=4 * 1.3 / np.sqrt(1_000))


def test_one_wild_truth_does_not_take_a_parameter_out_of_tarp():
    rng = np.random.default_rng(0)
    truth, references = rng.normal(size=(2, 1_000, 2))
    narrow = np.stack([0.3 * rng.normal(size=(1_000, 50)), rng.normal(size=(1_000, 50))], axis=2)
    truth[0, 0] = 1e6
    levels = tarp_ranks(truth, narrow, references, rng)
    # Without the first parameter, whose width is wrong, they would be uniform.
    assert st.kstest(levels, "uniform").pvalue < 1e-3


def test_one_wild_row_does_not_excuse_re_simulations_that_miss():
    rng = np.random.default_rng(0)
    scaled = rng.uniform(3, 4, (200, 20))
    scaled[0] = 1e6
    found = Resimulation(scaled, scaled, rng.uniform(0.9, 1.1, 200))
    assert found.verdict == "do not trust"
    assert found.error < 0.1


# -- whole studies ---------------------------------------------------------------------------------


@si.simulator(batched=True)
def counts(rate, bias, rng):
    """Count, choose, return a constant, and something that is 0 in most simulations."""
    n = len(rate)
    rare = np.where(rng.random(n) < 0.03, rng.exponential(rate + 0.1), 0.0)
    choice = rng.binomial(1, bias)
    return {"k": rng.poisson(rate), "choice": choice, "same": np.full(n, 7.0), "rare": rare}


@si.simulator(sets={"n": ["x"], "m": ["t", "right"]})
def sets(mu, tau, n, m, rng):
    """Make two sets of one to three entries, one of them of pairs."""
    right = rng.integers(0, 2, m)
    return {"x": np.round(rng.normal(mu, 1, n)), "t": rng.exponential(tau, m), "right": right}


@dataclass(frozen=True)
class Study:
    """A simulator, its prior and givens, and an observation."""

    simulator: object
    prior: si.Prior
    y: dict
    given: dict


STUDIES = {
    "discrete, constant and rare": Study(
        counts,
        si.Prior(rate=st.uniform(0, 5), bias=st.beta(1, 1)),
        {"k": 2, "choice": 1, "same": 7.0, "rare": 0.0},
        {},
    ),
    "two small sets": Study(
        sets,
        si.Prior(mu=st.norm(0, 1), tau=st.lognorm(2.3)),
        {"x": [1.0], "t": [0.3, 0.2], "right": [1, 1]},
        {"n": st.randint(1, 4), "m": st.randint(1, 4)},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES.values(), ids=list(STUDIES))
def test_every_number_is_finite_and_every_figure_drawn(study):
    given = {"given": study.given} if study.given else {}
    posterior = briefly(quick_fit(study.simulator, study.prior, method=TINY, **given))
    check = posterior.check(study.y, progress=False)
    missing = check.table.isna()
    without = ["recovery", "information at y"]  # they have no verdict to give
    assert missing.index[missing["threshold"]].to_list() == without
    # What would have been seen is not known of every check.
    assert missing.drop(columns="smallest").to_numpy().sum() == len(without)
    for name, record in check.records.items():
        assert np.isfinite(record.table.select_dtypes("number")).to_numpy().all(), name
    assert len(check.figures) > len(check.records)


def test_what_is_simulated_again_fits_into_memory():
    judge = exact_posterior(100, 50)._subject()
    large = replace(judge.tests.observations, vector=np.zeros((50, 100_000)))
    assert replace(judge, tests=replace(judge.tests, observations=large)).affordable <= 500


@pytest.mark.slow
def test_a_constant_that_differs_is_not_covered_up():
    study = STUDIES["discrete, constant and rare"]
    posterior = briefly(quick_fit(study.simulator, study.prior, method=TINY))
    check = posterior.check({**study.y, "same": 8.0}, progress=False)
    assert check.verdict == "do not trust"
    assert "same" in check.sentence


def test_a_corner_of_many_parameters_is_as_wide_as_its_panels_need():
    rng = np.random.default_rng(0)
    draws = make_draws({f"p_{i}": rng.normal(size=20) for i in range(6)})
    figure = si.corner(draws, width_mm=30)
    assert figure.get_figwidth() == pytest.approx(36 / 25.4)


def test_another_prior_has_to_be_one():
    posterior = exact_posterior()
    with pytest.raises(si.PriorError, match="expected a Prior to reweight to; got str"):
        posterior.reweight(posterior.sample(Y, 10), "wide")
