"""Checks on posteriors that are exact, shifted, too narrow or too wide: they must tell which."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from studies import LINE, MIX, NOISE, ExactLine, exact, exact_posterior

import sbi_inn as si
from sbi_inn import checks
from sbi_inn.checks import calibrate, resimulate, resimulate_at
from sbi_inn.checks.record import VERDICTS
from sbi_inn.statistics import spread, statistics

EXACT = ExactLine()
SHIFTED = ExactLine(shift=0.5)
NARROW = ExactLine(width=0.7)
WIDE = ExactLine(width=1.4)
FAR = ExactLine(shift=20.0)


@pytest.fixture(scope="module")
def simulations():
    return si.simulate(LINE, n=3_000, seed=5, n_jobs=1, progress=False)


@pytest.fixture(scope="module")
def tests(simulations):
    return checks.TestSet.of(simulations, np.arange(2_000))


def sampler(fitted):
    return exact_posterior(n=300, test=50, fitted=fitted)


def calibration(fitted, tests):
    return calibrate(sampler(fitted), tests, draws=200, rng=np.random.default_rng(1))


# -- calibration -----------------------------------------------------------------------------------


def test_an_exact_posterior_is_trusted(tests):
    found = calibration(EXACT, tests)
    assert found.verdict == "trust"
    assert found.passed
    assert found.value < found.floor.pooled[1]
    assert "as often as they say" in found.sentence
    assert "2,000 test simulations" in found.sentence


@pytest.mark.parametrize(
    ("fitted", "words"),
    [
        (NARROW, "too narrow"),
        (WIDE, "too wide"),
        (SHIFTED, "off to one side, too high"),
        (ExactLine(shift=-0.5), "off to one side, too low"),
    ],
    ids=["narrow", "wide", "shifted up", "shifted down"],
)
def test_a_wrong_posterior_is_not(tests, fitted, words):
    found = calibration(fitted, tests)
    assert found.verdict != "trust"
    assert not found.passed
    assert found.value > found.threshold
    assert words in found.sentence


def test_intervals_hold_what_theory_says(tests):
    # An interval of 68 %, 0.7 as wide: 2 Phi(.7 * .9945) - 1 = .514; 1.4 as wide: .836.
    noise = 3 * np.sqrt(0.25 / 2_000)
    for fitted, held in ((EXACT, 0.68), (NARROW, 0.514), (WIDE, 0.836)):
        table = calibration(fitted, tests).table
        assert table.index.to_list() == ["a", "b"]
        assert np.abs(table["held68"] - held).max() < noise
        assert (table["held95"] > table["held68"]).all()


def test_the_worst_verdict_needs_a_large_effect(tests):
    assert calibration(ExactLine(width=0.4), tests).verdict == "do not trust"
    assert calibration(ExactLine(width=0.95), tests).verdict == "trust"


def test_one_wrong_parameter_among_many_is_found(tests):
    ranks = np.random.default_rng(1).random((2_000, 8))
    ranks[:, 3] = 0.5 + 0.6 * (ranks[:, 3] - 0.5)
    columns = tuple(f"p{i}" for i in range(8))
    found = checks.Calibration(ranks, columns)
    assert found.value < found.threshold  # pooled, it does not show
    assert found.verdict == "do not trust"
    assert "p3" in found.sentence
    assert "too wide" in found.sentence


def test_ranks_of_many_draws_are_the_quantiles_of_the_posterior(tests):
    few, draws = tests.head(20), 150_000  # more than are held in memory at once
    found = calibrate(sampler(EXACT), few, draws=draws, rng=np.random.default_rng(1))
    mean, covariance = exact(few.observations.vector)
    expected = st.norm(mean, np.sqrt(np.diag(covariance))).cdf(few.truth)
    assert np.abs(found.ranks - expected).max() < 5 * np.sqrt(0.25 / draws)


# -- re-simulation ---------------------------------------------------------------------------------


def simulate(flat, observations):
    rng = np.random.default_rng(len(flat))
    return flat @ MIX.T + NOISE * rng.normal(size=flat.shape)


def noiseless(flat, observations):
    return flat @ MIX.T


def resimulation(fitted, tests, simulate=simulate, draws=20):
    few = tests.head(200)
    schema = sampler(fitted).schema
    observed = statistics(few.observations, schema)
    return resimulate(
        sampler(fitted),
        few,
        simulate,
        observed=observed,
        scale=spread(observed),
        draws=draws,
        rng=np.random.default_rng(1),
    )


def test_resimulation_of_an_exact_posterior(tests):
    found = resimulation(EXACT, tests)
    assert found.verdict == "trust"
    assert found.errors.shape == found.scaled.shape == (200, 20)
    assert found.noise.shape == (200,)
    # Noise once more, and the posterior's own width: at most sqrt(2) of the noise.
    ratio = found.value / np.median(found.noise)
    assert 1 < ratio < 1.5
    assert "a new simulation at the truth" in found.sentence


@pytest.mark.parametrize("fitted", [FAR, ExactLine(width=8.0)], ids=["shifted", "wide"])
def test_resimulation_of_a_wrong_posterior(tests, fitted):
    found = resimulation(fitted, tests)
    assert found.verdict != "trust"
    assert not found.passed
    assert found.value > found.threshold


def test_resimulation_without_noise(tests):
    truth = tests.head(200).truth @ MIX.T

    class Knows:
        """Draws a fixed distance from the truth."""

        prior, schema, remark = LINE.prior, sampler(EXACT).schema, "as I know"

        def __init__(self, off):
            self.off = off

        def draw(self, observations, n, rng):
            flat = np.linalg.solve(MIX, observations.vector.T).T + self.off
            return np.repeat(flat[:, None], n, axis=1)

    few = tests.head(200)
    observations = sampler(EXACT).schema.stack({"y": truth}, {})
    for off, verdict in ((0.0, "trust"), (0.3, "caution"), (5.0, "do not trust")):
        found = resimulate(
            Knows(off),
            checks.TestSet(few.truth, observations),
            noiseless,
            observed=truth,
            scale=spread(truth),
            draws=3,
            rng=np.random.default_rng(1),
        )
        expected = np.linalg.norm(MIX @ [off, off] / spread(truth))
        assert np.allclose(found.noise, 0)
        assert np.allclose(found.scaled, expected, atol=1e-9)
        assert np.allclose(found.errors, np.linalg.norm(MIX @ [off, off]), atol=1e-9)
        assert found.verdict == verdict
        assert "no noise" in found.sentence
        assert found.remark == "as I know"


def test_the_figure_repeats_what_has_to_be_known_about_the_draws():
    errors = np.ones((3, 4))
    for remark in ("", "draws at tolerance 0"):
        found = checks.Resimulation(errors, errors, np.zeros(3), remark)
        fit = checks.Fit(errors[0], errors[0], remark)
        assert [r.plot().axes[0].get_title() for r in (found, fit)] == [remark, remark]
    plt.close("all")


def test_simulations_that_fail_are_left_out(tests):
    def fragile(flat, observations):
        rows = simulate(flat, observations)
        rows[::3] = np.nan
        return rows

    found = resimulation(EXACT, tests, fragile)
    assert found.verdict == "trust"
    assert np.isnan(found.scaled).mean() == pytest.approx(1 / 3, abs=0.01)
    assert found.table.notna().all(axis=None)


def at(fitted, tests, y):
    s = sampler(fitted)
    usual = resimulation(fitted, tests)
    observed = statistics(tests.head(200).observations, s.schema)
    observation = s.schema.read(y)
    return resimulate_at(
        s,
        observation,
        simulate,
        usual,
        observed=statistics(observation, s.schema),
        scale=spread(observed),
        draws=400,
        rng=np.random.default_rng(2),
    )


def test_the_fit_at_one_observation(tests):
    usual = at(EXACT, tests, [0.5, -1.0])
    assert usual.verdict == "trust"
    assert "stay below" in usual.sentence
    assert "may not explain" not in usual.sentence


@pytest.mark.parametrize(
    ("y", "verdict"), [([12.0, 0.0], "caution"), ([90.0, 0.0], "do not trust")]
)
def test_an_observation_the_simulator_does_not_make(tests, y, verdict):
    # The prior holds the draws back, so that they land short of it.
    found = at(EXACT, tests, y)
    assert found.verdict == verdict
    assert "the simulator may not explain this observation" in found.sentence


def test_an_observation_at_which_nothing_can_be_simulated(tests):
    found = checks.Fit(np.full(5, np.nan), np.ones(9))
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="All-NaN|mean of empty"):
        assert found.verdict == "do not trust"


# -- the record ------------------------------------------------------------------------------------


def test_every_check_has_the_face_of_a_record(tests):
    records = [
        calibration(EXACT, tests),
        resimulation(EXACT, tests),
        at(EXACT, tests, [0.5, -1.0]),
    ]
    for record in records:
        assert 0 <= record.value < record.threshold
        assert record.error > 0
        assert record.passed == (record.verdict == "trust")
        assert record.verdict in VERDICTS
        assert record.sentence
        assert isinstance(record.table, pd.DataFrame)
        assert record.plot().axes
    plt.close("all")


# -- the test set ----------------------------------------------------------------------------------


def test_held_out_rows_come_with_their_parameters(simulations):
    found = checks.TestSet.of(simulations, [3, 1])
    assert len(found) == 2
    data = simulations.dataset
    assert np.array_equal(found.truth[:, 1], data["b"].values[[3, 1]])
    assert np.array_equal(found.observations.vector, data["y"].values[[3, 1]])
    assert np.array_equal(found.head(1).truth, found.truth[:1])


def test_topped_up_with_fresh_simulations_where_that_is_cheap(simulations):
    held_out = checks.TestSet.of(simulations, np.arange(100))
    more = held_out.topped_up(400, LINE, seconds=1e-6, seed=5)
    assert len(more) == len(more.observations) == 400
    assert np.array_equal(more.truth[:100], held_out.truth)
    assert not set(more.truth[100:, 0]) & set(simulations.dataset["a"].values)
    gap = more.observations.vector - more.truth @ MIX.T
    assert abs(gap.std() / NOISE - 1) < 0.15
    assert held_out.topped_up(400, LINE, seconds=1.0, seed=5) is held_out
    assert held_out.topped_up(400, None, seconds=1e-6, seed=5) is held_out
    assert held_out.topped_up(50, LINE, seconds=1e-6, seed=5) is held_out
