"""A likelihood that closes in on one observation, beside posteriors that are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.errors import NoDensityError
from sbi_inn.observation.batch import Observations
from sbi_inn.posterior.refining import local_likelihood, scouting
from sbi_inn.posterior.refining.closing_in import Closed, close_in
from sbi_inn.posterior.refining.local_likelihood import WARM, Readings, Rows
from sbi_inn.posterior.refining.probing import Probe
from sbi_inn.posterior.refining.region import Region
from sbi_inn.prior.box import Box
from sbi_inn.simulation.again import observe_again
from sbi_inn.simulation.seeds import Stream
from sbi_inn.simulation.simulations import SimulationError

PRIOR = si.Prior(a=st.norm(), b=st.norm())
NOISE = 0.05


@si.simulator(batched=True)
def line(a, b, rng):
    """Four points of a line, with noise."""
    t = np.array([-1.0, 0.0, 1.0, 2.0])
    return {"y": a[:, None] + b[:, None] * t + NOISE * rng.normal(size=(len(a), 4))}


@si.simulator(batched=True)
def square(a, b, rng):
    """The sign of a is not seen."""
    mean = np.column_stack([a**2, b])
    return {"y": mean + NOISE * rng.normal(size=mean.shape)}


class Study:
    """Simulations of a problem, and what makes more of them at one observation."""

    def __init__(self, simulator, y, n=2_000, **how):
        self.problem = si.Problem(simulator, PRIOR, **how)
        self.table = si.simulate(self.problem, n=n, seed=1, n_jobs=1, progress=False)
        self.observation = self.table.schema.read({"y": y})
        self.simulated = 0

    def simulate(self, latents):
        self.simulated += len(latents)
        _, again, ok = observe_again(
            self.problem,
            self.table.schema,
            PRIOR.flatten(PRIOR.from_latent(latents)),
            self.observation[np.zeros(len(latents), np.int64)],
            seed=self.simulated,
            stream=Stream.PROBED,
            n_jobs=1,
        )
        return again, ok

    def close_in(self, most=600):
        rows = self.table.ok
        latents = PRIOR.to_latent(self.table.parameters(rows))
        known = Rows(latents, self.table.observations(rows))
        rng = np.random.default_rng(1)
        start = rng.normal(size=(2_000, 2))  # a posterior that knows nothing
        return close_in(known, self.observation, start, self.simulate, 100, most, rng)


@pytest.fixture(scope="module")
def closed():
    study = Study(line, [0.5, 1.5, 2.5, 3.5])
    return study, study.close_in()


@pytest.mark.slow
def test_draws_are_those_of_the_exact_posterior_with_its_likelihood_tempered(closed):
    _, found = closed
    t = np.array([-1.0, 0.0, 1.0, 2.0])
    design = np.column_stack([np.ones(4), t])
    precision = np.eye(2) + design.T @ design / NOISE**2 / WARM
    covariance = np.linalg.inv(precision)
    mean = covariance @ design.T @ [0.5, 1.5, 2.5, 3.5] / NOISE**2 / WARM
    sd = np.sqrt(np.diag(covariance))
    assert abs((found.latents.mean(axis=0) - mean) / sd).max() < 0.4  # of few simulations
    np.testing.assert_allclose(found.latents.std(axis=0) / sd, 1, atol=0.25)
    correlation = covariance[0, 1] / sd.prod()
    assert np.corrcoef(found.latents.T)[0, 1] == pytest.approx(correlation, abs=0.15)


@pytest.mark.slow
def test_it_counts_what_it_simulates_and_gives_it(closed):
    study, found = closed
    assert found.n_simulations == study.simulated == len(found.rows.latents)
    assert len(found.rows.observations) == study.simulated
    assert 100 <= study.simulated <= 600


@pytest.mark.slow
def test_both_modes_are_kept():
    found = Study(square, [1.0, 0.3]).close_in()
    positive = (found.latents[:, 0] > 0).mean()
    assert 0.25 < positive < 0.75  # walkers, not draws, choose a side
    np.testing.assert_allclose(abs(found.latents[:, 0]).mean(), 1, atol=0.05)


def test_walkers_begin_at_all_modes_though_one_looks_a_little_likelier():
    places = np.repeat([[-0.5], [0.5]], 500, axis=0)

    def log_density(places):
        return np.where(places[:, 0] > 0, 0.0, -5.0)

    walkers = local_likelihood._likely(places, log_density, np.random.default_rng(1))
    assert 0.35 < (walkers > 0).mean() < 0.65


def test_walkers_leave_a_place_that_is_far_less_likely():
    places = np.repeat([[-0.5], [0.5]], 500, axis=0)

    def log_density(places):
        return np.where(places[:, 0] > 0, 0.0, -20.0)

    walkers = local_likelihood._likely(places, log_density, np.random.default_rng(1))
    assert (walkers > 0).all()


@pytest.mark.slow
def test_an_observation_that_nothing_explains_has_no_draws():
    assert Study(line, [3.0, -3.0, 3.0, -3.0]).close_in().latents is None


@pytest.mark.slow
def test_without_simulations_to_spend_it_reads_those_that_exist():
    study = Study(line, [0.5, 1.5, 2.5, 3.5])
    found = study.close_in(most=0)
    assert study.simulated == found.n_simulations == 0
    assert found.latents.std(axis=0).max() < 0.5
    again = study.close_in(most=0)  # with the same seed
    np.testing.assert_array_equal(again.latents, found.latents)


@si.simulator(batched=True)
def waits(a, b, rng):
    """Thirty waiting times in order, of which those above 1 are not seen to end."""
    times = np.exp(-a)[:, None] * rng.exponential(size=(len(a), 30))
    return {"y": np.sort(np.minimum(times, 1.0), axis=1)}


@pytest.mark.slow
def test_observables_that_are_nearly_always_the_same_do_not_make_it_sure():
    # With a = -1 two thirds are censored: columns of ones, of which a normal law is certain.
    y = np.sort(np.minimum(np.exp(1) * np.random.default_rng(5).exponential(size=30), 1.0))
    found = Study(waits, y).close_in(most=1_500).latents[:, 0]
    a = np.linspace(-4, 4, 4_001)
    density = np.exp((y < 1).sum() * a - np.exp(a) * y.sum() - a**2 / 2)
    density /= density.sum()
    mean = (density * a).sum()
    sd = np.sqrt((density * (a - mean) ** 2).sum())
    assert abs(found.mean() - mean) < 1.5 * sd
    assert 0.6 < found.std() / sd < 2


@si.simulator(batched=True)
def echoes(a, b, rng):
    """Sixty values around b, each with .8 of what the last one was off, and noise of e^a."""
    values = np.empty((len(a), 60))
    last = np.zeros(len(a))
    for place in range(60):
        last = 0.8 * last + np.exp(a) * rng.normal(size=len(a))
        values[:, place] = b + last
    return {"y": values}


@pytest.mark.slow
def test_how_a_curve_moves_tells_how_large_its_noise_is():
    # Its entries are mostly noise: a normal law of them knows next to nothing of a.
    y = echoes(np.array([-1.0]), np.array([0.5]), rng=np.random.default_rng(3))["y"][0]
    found = Study(echoes, y).close_in(most=1_500).latents
    a, b = (axis.ravel() for axis in np.meshgrid(np.linspace(-2, 0, 201), np.linspace(-3, 3, 201)))
    off = y - b[:, None]
    shocks = np.hstack([off[:, :1], off[:, 1:] - 0.8 * off[:, :-1]])
    density = st.norm.logpdf(shocks, scale=np.exp(a)[:, None]).sum(axis=1) - (a**2 + b**2) / 2
    weight = np.exp(density - density.max())
    weight /= weight.sum()
    for place, value in enumerate((a, b)):
        mean = (weight * value).sum()
        sd = np.sqrt((weight * (value - mean) ** 2).sum())
        assert abs(found[:, place].mean() - mean) < 1.5 * sd
        assert 0.8 < found[:, place].std() / sd < 2


HOURS = np.linspace(-1, 1, 8)


@si.simulator(batched=True)
def arrivals(a, b, rng):
    """Counts of eight hours."""
    return {"y": rng.poisson(np.exp(1 + 2 * a[:, None] + b[:, None] * HOURS)).astype(float)}


@pytest.mark.slow
@pytest.mark.parametrize("y", [(30, 32, 41, 40, 55, 52, 70, 68), (0, 0, 0, 1, 0, 0, 0, 0)])
def test_counts_are_closed_in_on_also_where_all_are_nearly_the_same(y):
    found = Study(arrivals, y).close_in(most=1_000).latents
    a, b = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-4, 4, 401)] * 2))
    log_rate = 1 + 2 * a[:, None] + b[:, None] * HOURS
    density = (np.array(y) * log_rate - np.exp(log_rate)).sum(axis=1) - (a**2 + b**2) / 2
    weight = np.exp(density - density.max())
    weight /= weight.sum()
    for place, value in enumerate((a, b)):
        mean = (weight * value).sum()
        sd = np.sqrt((weight * (value - mean) ** 2).sum())
        assert abs(found[:, place].mean() - mean) < 1.0 * sd
        assert 0.7 < found[:, place].std() / sd < 2


def test_too_few_simulations_and_gaps_are_left_alone():
    few = Study(line, [0.5, 1.5, 2.5, 3.5], n=250)
    assert few.close_in() == Closed(None)

    def gaps(y, rng):
        return {"y": np.where(rng.random(4) < 0.1, np.nan, y)}

    noisy = Study(line, [0.5, 1.5, 2.5, 3.5], noise=gaps)
    assert noisy.close_in() == Closed(None)
    assert not few.simulated
    assert not noisy.simulated


@pytest.mark.slow
def test_it_ends_where_all_simulations_fail():
    study = Study(line, [0.5, 1.5, 2.5, 3.5])

    def fails(latents):
        raise SimulationError("none succeeded")

    study.simulate = fails
    found = study.close_in()
    assert found.latents is None
    assert found.n_simulations == 100


# -- which region a round takes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "small", "taken"),
    [
        (2, 0.05, "closed"),  # ten times smaller
        (2, 1.5, "whole"),  # hardly smaller
        (1, 0.05, "whole"),  # the first round has yet to tell where
    ],
)
def test_a_likelihood_takes_over_where_it_closes_in(monkeypatch, number, small, taken):
    def region(_core, _observation, _rng, likely=None):
        return Region(_box(2.0 if likely is None else small), 0, cut=False)

    monkeypatch.setattr(scouting, "region", region)
    scout = scouting.Scout(None, None, 10_000, 1, lambda *_: None)
    scout.probe = Probe(None, 1.0, 0)
    closed = Closed(np.zeros((50, 1)), None, 900)
    monkeypatch.setattr(scout, "_close_in", lambda *_: closed)
    core = SimpleNamespace(prior=SimpleNamespace(box=None))
    found = scout.look(core, number, 5_000)
    assert found.region.box.high[0] == (small if taken == "closed" else 2.0)
    assert found.n_simulations == (0 if number == 1 else 900)
    assert scout.closed == (taken == "closed")


def test_once_closed_in_the_smaller_region_is_taken(monkeypatch):
    halves = iter([2.0, 1.5, 1.0, 1.5])

    def region(*_):
        return Region(_box(next(halves)), 0, cut=False)

    monkeypatch.setattr(scouting, "region", region)
    scout = scouting.Scout(None, None, 10_000, 1, lambda *_: None)
    scout.closed = True
    monkeypatch.setattr(scout, "_close_in", lambda *_: Closed(np.zeros((50, 1))))
    core = SimpleNamespace(prior=SimpleNamespace(box=None))
    assert scout.look(core, 3, 5_000).region.box.high[0] == 1.5  # of 2 and 1.5
    assert scout.look(core, 4, 5_000).region.box.high[0] == 1.0  # of 1 and 1.5


def _box(half):
    return Box(np.eye(1), np.array([-half]), np.array([half]), np.zeros(1, bool))


@pytest.mark.parametrize(("place", "excluded"), [(0.0, False), (2.5, False), (6.0, True)])
def test_a_place_that_the_posterior_excludes_is_not_closed_in_on(place, excluded):
    def log_ratio(flat, observation, *, normalised):
        return -0.5 * (flat**2).sum(axis=2)

    core = SimpleNamespace(prior=SimpleNamespace(whole=PRIOR), log_ratio=log_ratio)
    scout = scouting.Scout(None, None, 10_000, 1, lambda *_: None)
    rng = np.random.default_rng(1)
    closed = [place, 0.0] + 0.01 * rng.normal(size=(500, 2))
    assert scout._excludes(core, rng.normal(size=(4_000, 2)), closed) == excluded


def test_without_a_density_no_place_is_excluded():
    def log_ratio(flat, observation, *, normalised):
        raise NoDensityError("it can be drawn from only")

    core = SimpleNamespace(prior=SimpleNamespace(whole=PRIOR), log_ratio=log_ratio)
    scout = scouting.Scout(None, None, 10_000, 1, lambda *_: None)
    rows = np.random.default_rng(1).normal(size=(50, 2))
    assert not scout._excludes(core, rows, rows + 9)


def test_hundreds_of_observables_are_few_numbers_to_learn_of():
    rng = np.random.default_rng(1)
    latents = rng.normal(size=(400, 2))
    vector = latents @ rng.normal(size=(2, 300)) + 0.1 * rng.normal(size=(400, 300))
    known = Rows(latents, Observations(vector, {}))
    readings = Readings.of(known, known.observations[np.arange(1)])
    assert list(readings.widths) == ["observables"]
    assert readings.widths["observables"] < 30
