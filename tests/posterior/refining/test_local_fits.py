"""Fits from many places: where they end, what they move, and when they give up."""

import numpy as np
import pytest

from sbi_inn.posterior.refining.judging import Pool, judged
from sbi_inn.posterior.refining.local_fits import CHANGES, STEPS, Fitter, starts
from sbi_inn.posterior.refining.search import Search
from sbi_inn.simulation.simulations import SimulationError

SLOPES = np.random.default_rng(0).normal(size=(2, 12))
TRUE = np.array([3.0, -2.0])
SPREAD = 3.0  # of the draws that a fit may start from
NOISE = 0.5


def _line(latents, seed=None, *, noise=NOISE):
    """Twelve numbers that are linear in the first two latents; a third one widens their noise."""
    rng = np.random.default_rng(seed)
    width = noise * np.exp(0.3 * latents[:, 2:3]) if latents.shape[1] > 2 else noise
    return latents[:, :2] @ SLOPES + width * rng.normal(size=(len(latents), 12))


def _fitter(simulate, dim, seed, n=200):
    rng = np.random.default_rng(seed)
    places = SPREAD * rng.normal(size=(n, dim))
    first, second = (simulate(places, int(rng.integers(2**31))) for _ in range(2))
    one = TRUE @ SLOPES + NOISE * rng.normal(size=12)
    return Fitter(simulate, Pool(places, first, second, n), one, rng), places


def _normal(fitter):
    """Mean and standard deviations of the posterior, where the prior says nothing."""
    slopes = fitter.turned.in_noise(SLOPES)
    covariance = np.linalg.inv(slopes @ slopes.T)
    return covariance @ slopes @ fitter.target, np.sqrt(np.diag(covariance))


@pytest.mark.parametrize("seed", range(3))
def test_fits_end_apart_by_as_much_as_the_posterior_is_wide(seed):
    fitter, places = _fitter(_line, 2, seed)
    assert fitter.finds_a_way(places[:12])
    assert fitter.change == CHANGES[0]
    # One by one, so that none is chosen by how near its own noise has led it.
    ends = np.concatenate([fitter.fit(place[None], STEPS, 10**6).places for place in places[:150]])
    mean, sd = _normal(fitter)
    off = (ends - mean) / sd
    assert abs(off.mean(axis=0)).max() < 4 / np.sqrt(150)
    # A fit may end before the noise of its last step has moved it by all that it would.
    assert (off.std(axis=0) > 0.6).all()
    assert (off.std(axis=0) < 1.3).all()


def test_a_latent_that_changes_the_noise_alone_stays_or_is_drawn_anew():
    fitter, places = _fitter(_line, 4, 1)  # the fourth one changes nothing
    assert fitter.finds_a_way(places[:12])
    assert fitter.moves.tolist() == [True, True, False, False]
    assert fitter.noises.tolist() == [False, False, True, False]
    ends = fitter.fit(places[:60], STEPS, 10**6).places
    assert abs(ends[:20, :2] - TRUE).max() < 6 * NOISE
    assert np.isin(ends[::2, 2], places[:60, 2]).all()
    assert not np.isin(ends[1::2, 2], places[:60, 2]).any()
    assert np.isin(ends[:, 3], places[:60, 3]).all()


def test_a_larger_change_is_tried_where_random_numbers_cannot_be_repeated():
    rng = np.random.default_rng(1)

    def simulate(latents, seed):
        return latents[:, :2] @ SLOPES + 0.05 * rng.normal(size=(len(latents), 12))

    fitter, places = _fitter(simulate, 2, 1)
    assert fitter.finds_a_way(places[:12])
    assert fitter.change == CHANGES[1]
    assert abs(fitter.fit(places[:30], STEPS, 10**6).places[:10] - TRUE).max() < 0.7


def test_no_way_is_found_where_observables_say_nothing():
    fitter, places = _fitter(lambda latents, seed: _line(0 * latents, seed), 2, 1)
    assert not fitter.finds_a_way(places[:12])


def test_fits_cost_what_they_count_and_no_more_than_they_may():
    counted = 0

    def simulate(latents, seed):
        nonlocal counted
        counted += len(latents)
        return _line(latents, seed)

    fitter, places = _fitter(simulate, 2, 1)
    counted = 0
    assert fitter.finds_a_way(places[:12])
    n = fitter.affords(500)
    fitter.fit(places[:n], STEPS, fitter.cost + 500)
    assert fitter.cost == counted
    assert fitter.cost <= 12 * (2 * 3 + fitter.price) + 500


def test_a_place_where_simulations_fail_is_left():
    def simulate(latents, seed):
        return np.where(latents[:, :1] > 6, np.nan, _line(latents, seed))

    fitter, places = _fitter(lambda latents, seed: simulate(np.minimum(latents, 5), seed), 2, 1)
    fitter.simulate = simulate
    places = np.concatenate([np.full((3, 2), 6.5), places[:40]])
    assert fitter.finds_a_way(places[:12])
    assert abs(fitter.fit(places, STEPS, 10**6).places[:10] - TRUE).max() < 3


TIMES = np.array([0.0, 2.9, 7.3, 12.1, 24.9, 33.0, 47.2, 60.3, 63.7, 71.5, 80.1, 97.0])


def _wave(latents, seed):
    """A wave of any level, strength, period and phase, as of a planet."""
    level, strength, period, phase = latents.T
    angle = 2 * np.pi * TIMES / (10 * np.exp(0.7 * period))[:, None] + np.pi * phase[:, None]
    mean = 50 * level[:, None] + 30 * np.exp(0.5 * strength)[:, None] * np.cos(angle)
    return mean + 2 * np.random.default_rng(seed).normal(size=mean.shape)


MODE = np.array([[0.3, 0.5, 0.2, 0.4]])


@pytest.mark.parametrize("seed", range(5))
def test_a_simulation_with_the_same_pattern_leads_a_search_to_the_mode(seed):
    """None of the posterior's draws has the period, and one simulation of another level has it."""
    rng = np.random.default_rng(seed)

    def simulate(latents, times, seed=None):
        seeds = rng.integers(2**31, size=times) if seed is None else [seed] * times
        return [_wave(latents, int(one)) for one in seeds]

    one = _wave(MODE, 100 + seed)[0]
    vague = rng.normal([0.3, 0.5, -1.0, 0], [0.2, 0.3, 0.3, 0.6], (200, 4))
    pool = Pool(vague, *simulate(vague, 2), 200)
    known = rng.normal(size=(2_000, 4))
    known = known[abs(known[:, 2] - MODE[0, 2]) > 0.3]
    known[0] = MODE + [-1.0, -0.8, 0.005, 0.1]
    pool = pool.with_more(known, *simulate(known, 1))
    chosen = starts(pool, judged(pool, one), one, 60, rng)
    assert (chosen == known[0]).all(axis=1).any()
    search = Search(simulate, pool, one, 5_000, rng)
    assert search.run()
    assert search.cost <= 5_000
    likely = search.pool.latents[search.found.likely]
    assert abs(likely - MODE)[:, 2].max() < 0.05


def test_a_search_goes_on_where_all_simulations_of_a_step_fail():
    def fails(latents, times, seed=None):
        raise SimulationError("every simulation failed")

    rng = np.random.default_rng(1)
    places = rng.normal(size=(200, 2))
    pool = Pool(places, _line(places, 1), _line(places, 2), 200)
    search = Search(fails, pool, _line(TRUE[None], 3)[0], 4_000, rng)
    search._fit()
    assert len(search.pool.latents) == 200
    assert search.cost > 0
