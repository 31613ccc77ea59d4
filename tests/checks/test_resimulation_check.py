"""Draws that are simulated again: of posteriors that are right, wrong, without noise, failing."""

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, MIX, NOISE, ExactLine, Settings, exact_posterior

import sbi_inn as si
from sbi_inn import checks
from sbi_inn.checks import Fit, Resimulation
from sbi_inn.checks.resimulation import RESIMULATION, check_resimulation_at, resimulate
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.observation.statistics import spread, statistics
from sbi_inn.simulation.seeds import Stream
from sbi_inn.training.history import History

EXACT = ExactLine()
FAR = ExactLine(shift=20.0)


def sampler(fitted=EXACT):
    return exact_posterior(n=300, test=50, fitted=fitted).core


@pytest.fixture(scope="module")
def tests():
    simulations = si.simulate(LINE, n=200, seed=5, n_jobs=1, progress=False)
    return checks.TestSet.of(simulations)


def simulate(flat, observations, stream=0):
    rng = np.random.default_rng([len(flat), stream])
    return flat @ MIX.T + NOISE * rng.normal(size=flat.shape)


def noiseless(flat, observations, stream=0):
    return flat @ MIX.T


@dataclass(frozen=True, eq=False)
class Planted(Subject):
    """Simulates by a function in place of a simulator."""

    simulator: Callable = simulate

    def simulated(self, flat, observations):
        yield np.arange(len(flat)), self.simulator(flat, observations, Stream.CHECK_SIMULATIONS)

    def simulate_described(self, flat, observations, stream=0):
        return self.simulator(flat, observations, stream)


def planted(sampler, tests, simulator=simulate):
    scale = spread(statistics(tests.observations, sampler.schema))
    simulations = exact_posterior(n=60, test=50).simulations
    return Planted(sampler, tests, simulations, scale, LINE, 0.0, 1, simulator=simulator)


def resimulation(fitted, tests, simulator=simulate, draws=20):
    drawing = fitted if isinstance(fitted, Knows) else sampler(fitted)
    drawn = drawing.draw(tests.observations, draws, np.random.default_rng(3))
    return resimulate(planted(drawing, tests, simulator), tests, drawn)


def test_resimulation_of_an_exact_posterior(tests):
    found = resimulation(EXACT, tests)
    assert found.verdict == "trust"
    assert found.errors.shape == found.scaled.shape == (200, 20)
    assert found.noise.shape == found.ranks.shape == (200,)
    # Truth and draws are exchangeable: one lands as far as the other.
    assert np.median(found.scaled) / np.median(found.noise) == pytest.approx(1, abs=0.15)
    assert found.value < 3 / np.sqrt(200)
    assert "a new simulation at the truth" in found.sentence
    assert found.table.index.to_list()[-1] == "in units of the noise"


@pytest.mark.parametrize("fitted", [FAR, ExactLine(width=8.0)], ids=["shifted", "wide"])
def test_resimulation_of_a_wrong_posterior(tests, fitted):
    found = resimulation(fitted, tests)
    assert found.verdict != "trust"
    assert not found.passed
    assert found.value > found.threshold
    assert "and not 50 %, land further from the observation than the truth does" in found.sentence


def test_draws_that_cling_to_the_observation_are_found(tests):
    # Those that fit it best land closer to it than the truth does.
    found = resimulation(Knows(0.0), tests)
    assert found.verdict == "do not trust"
    assert "land closer to the observation than the truth does" in found.sentence


def test_an_exact_posterior_has_uniform_ranks(tests):
    many = checks.TestSet.of(si.simulate(LINE, n=4_000, seed=7, n_jobs=1, progress=False))
    found = resimulation(EXACT, many)
    assert st.kstest(found.ranks, "uniform").pvalue > 0.01
    assert found.verdict == "trust"
    assert found.smallest == pytest.approx(0.07, abs=0.01)


class Knows:
    """Draws a fixed distance from the truth."""

    prior, schema, remark = LINE.prior, sampler(EXACT).schema, "as I know"
    evaluations = 1

    def __init__(self, off):
        self.off = off

    def draw(self, observations, n, rng):
        flat = np.linalg.solve(MIX, observations.vector.T).T + self.off
        return np.repeat(flat[:, None], n, axis=1)

    def extended(self, flat):
        return flat

    def log_ratio(self, flat, observations, *, normalised):
        raise si.NoDensityError("all draws are the same")


@pytest.mark.parametrize(
    ("off", "verdict"), [(0.0, "trust"), (0.3, "caution"), (5.0, "do not trust")]
)
def test_resimulation_without_noise(tests, off, verdict):
    truth = tests.truth @ MIX.T
    quiet = checks.TestSet(tests.truth, sampler(EXACT).schema.stack({"y": truth}, {}))
    drawn = Knows(off).draw(quiet.observations, 3, np.random.default_rng(3))
    found = resimulate(planted(Knows(off), quiet, noiseless), quiet, drawn)
    expected = np.linalg.norm(MIX @ [off, off] / spread(truth))
    assert np.allclose(found.noise, 0)
    assert np.allclose(found.scaled, expected, atol=1e-9)
    assert np.allclose(found.errors, np.linalg.norm(MIX @ [off, off]), atol=1e-9)
    assert found.verdict == verdict
    assert found.deterministic
    assert "no noise" in found.sentence
    assert found.remark == "as I know"


def test_the_figure_repeats_what_has_to_be_known_about_the_draws():
    errors = np.ones((3, 4))
    for remark in ("", "draws at tolerance 0"):
        found = Resimulation(errors, errors, np.zeros(3), remark)
        fit = Fit(errors[0], errors[0], remark)
        assert [r.plot().axes[0].get_title() for r in (found, fit)] == [remark, remark]
    plt.close("all")


def test_simulations_that_fail_are_left_out(tests):
    def fragile(flat, observations, stream):
        rows = simulate(flat, observations)
        rows[::3] = np.nan
        return rows

    found = resimulation(EXACT, tests, fragile)
    assert found.verdict == "trust"
    assert np.isnan(found.scaled).mean() == pytest.approx(1 / 3, abs=0.01)
    assert found.table.notna().all(axis=None)


def test_draws_at_which_nothing_can_be_simulated():
    found = Resimulation(np.full((9, 5), np.nan), np.full((9, 5), np.nan), np.ones(9))
    assert found.verdict == "do not trust"
    assert "no posterior draw" in found.sentence
    assert found.table.isna().all(axis=None)


# -- at one observation ----------------------------------------------------------------------------


def at(tests, y):
    posterior = sampler(EXACT)
    return check_resimulation_at(Here(planted(posterior, tests), posterior.schema.read(y)))


def test_the_fit_at_one_observation(tests):
    usual = at(tests, [0.5, -1.0])
    assert usual.verdict == "trust"
    assert "from a second simulation" in usual.sentence
    assert usual.value == pytest.approx(1, abs=0.2)
    assert "may not explain" not in usual.sentence
    assert usual.advice == ""


@pytest.mark.parametrize(
    ("y", "verdict"), [([18.5, 0.0], "caution"), ([90.0, 0.0], "do not trust")]
)
def test_an_observation_the_simulator_does_not_make(tests, y, verdict):
    # The prior holds the draws back, so that they land short of it.
    found = at(tests, y)
    assert found.verdict == verdict
    assert "the simulator may not explain this observation" in found.sentence
    assert "Look at the observation" in found.advice


def test_a_posterior_that_is_far_too_wide_at_y(tests):
    posterior = sampler(ExactLine(width=20.0))
    found = check_resimulation_at(Here(planted(posterior, tests), posterior.schema.read([0, 0])))
    assert found.verdict == "do not trust"
    assert "too wide here" in found.sentence


@si.simulator(batched=True)
def level(mu, noise, rng):
    """Measure a level sixty times, with a noise that is not known."""
    return {"y": mu[:, None] + noise[:, None] * rng.normal(size=(len(mu), 60))}


LEVEL = si.Problem(level, si.Prior(mu=st.norm(0, 10), noise=st.halfcauchy(0, 5)))


@dataclass(frozen=True)
class Level:
    """The posterior of a level and a noise under flat priors, the noise being so many times it."""

    times: float = 1.0
    settings: Settings = Settings()
    history: History = EXACT.history

    def sample(self, observations, n, rng):
        y = observations.vector[:, None]
        free = y.shape[2] - 1
        size = y.std(axis=2, ddof=1) * np.sqrt(free / rng.chisquare(free, (len(y), n)))
        noise = self.times * size
        mu = y.mean(axis=2) + noise / np.sqrt(free + 1) * rng.normal(size=noise.shape)
        flat = {"mu": mu.ravel(), "noise": noise.ravel()}
        return LEVEL.prior.to_latent(flat).reshape(len(y), n, 2)

    def log_prob(self, latent, observations):
        raise si.NoDensityError("it is drawn from only")

    def to_arrays(self):
        return {"name": "level"}, {}


def of_level(times, y):
    posterior = exact_posterior(300, 100, problem=LEVEL, fitted=Level(times))
    core = posterior.core
    held_out = checks.TestSet.of(si.simulate(LEVEL, n=100, seed=5, n_jobs=1, progress=False))
    scale = spread(statistics(held_out.observations, core.schema))

    def again(flat, observations, stream=0):
        rng = np.random.default_rng([len(flat), stream])
        return level.function(*flat.T, rng)["y"]

    subject = Planted(core, held_out, posterior.simulations, scale, LEVEL, 0.0, 1, simulator=again)
    return check_resimulation_at(Here(subject, core.schema.read({"y": y})))


@pytest.mark.parametrize("noise", [0.1, 1.0, 20.0])
def test_a_noise_that_is_taken_for_larger_than_it_is(noise):
    """Draws then land on both sides of y, and closer to it than to each other."""
    y = 2 + noise * np.random.default_rng(1).normal(size=60)
    assert of_level(1.0, y).verdict == "trust"
    for times, verdict in ((2.5, "caution"), (8.0, "do not trust")):
        found = of_level(times, y)
        assert found.verdict == verdict
        assert times / 2 < found.value < 1.2 * times  # levels scatter, too: it seems less
        assert "takes noise for larger than it is here" in found.sentence
        assert "refine" in found.advice


def test_exact_posteriors_land_as_far_from_y_as_from_each_other():
    rng = np.random.default_rng(2)
    for noise in rng.lognormal(0, 2, size=20):
        assert of_level(1.0, noise * rng.normal(size=60)).verdict == "trust"


def test_without_noise_what_is_usual_is_the_yardstick(tests):
    quiet = checks.TestSet(tests.truth, sampler(EXACT).schema.stack({"y": tests.truth @ MIX.T}, {}))
    subject = planted(Knows(0.01), quiet, noiseless)
    found = check_resimulation_at(Here(subject, quiet.observations[:1]))
    assert found.beside is None
    assert "stay below" in found.sentence


def test_an_observation_at_which_nothing_can_be_simulated():
    found = Fit(np.full(5, np.nan), np.ones(9))
    assert found.verdict == "do not trust"
    assert found.value == np.inf
    assert "no draw" in found.sentence


def test_held_out_observations_of_which_every_simulation_failed_do_not_count(tests):
    subject = planted(sampler(EXACT), tests)
    RESIMULATION.record(subject).scaled[:50] = np.nan
    found = check_resimulation_at(Here(subject, tests.observations[:1]))
    assert np.isnan(found.usual[:50]).all()
    assert np.isfinite(found.threshold)
    assert len(RESIMULATION.record(subject).ranks) == len(tests) - 50
