"""Which draws are likely, the search for others, and a region around these alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.posterior.refining import probing, scouting
from sbi_inn.posterior.refining.judging import Pool, judged
from sbi_inn.posterior.refining.probing import Probe
from sbi_inn.posterior.refining.region import Region
from sbi_inn.posterior.refining.search import Search
from sbi_inn.prior.box import Box

TIMES = np.array([0, 2.9, 7.3, 12.1, 24.9, 33.0, 47.2, 60.3, 63.7, 71.5, 80.1, 97.0])


def _wave(period, amplitude):
    return amplitude[:, None] * np.cos(2 * np.pi * TIMES / period[:, None])


def _pool(rng, n=400):
    period, amplitude, noise = rng.uniform(3, 30, n), rng.uniform(5, 15, n), rng.uniform(0.3, 3, n)
    period[:20] = 11.3 + rng.normal(0, 0.05, 20)
    mean = _wave(period, amplitude)
    first, second = mean + noise[:, None] * rng.normal(size=(2, n, len(TIMES)))
    return Pool(np.column_stack([period, amplitude, noise]), first, second, n)


@pytest.mark.parametrize("seed", range(5))
def test_likely_draws_have_the_right_period(seed):
    rng = np.random.default_rng(seed)
    pool = _pool(rng)
    one = _wave(np.array([11.3]), np.array([10.0]))[0] + rng.normal(0, 1, len(TIMES))
    found = judged(pool, one)
    assert abs(pool.latents[found.likely, 0] - 11.3).max() < 1
    assert found.likely[:20].any()
    assert found.fits[found.likely].mean() > 0.8


def test_where_all_are_right_nearly_all_are_likely():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(3, 400, 6))
    pool = Pool(rng.normal(size=(400, 2)), noise[0], noise[1], 400)
    found = judged(pool, noise[2, 0])
    assert found.likely.mean() > 0.95
    assert found.fits.mean() > 0.95


def test_draws_that_were_simulated_once_are_judged_as_surely():
    rng = np.random.default_rng(1)
    pool = _pool(rng)
    noise = rng.normal(size=(50, len(TIMES)))
    near = np.column_stack([rng.normal(11.3, 0.02, 50), rng.normal(10, 0.2, 50), np.ones(50)])
    more = pool.with_more(near, _wave(near[:, 0], near[:, 1]) + noise)
    one = _wave(np.array([11.3]), np.array([10.0]))[0] + rng.normal(0, 1, len(TIMES))
    found = judged(more, one)
    assert found.likely[400:].mean() > 0.9
    second = _wave(near[:, 0], near[:, 1]) + rng.normal(size=noise.shape)
    twice = judged(more.with_second(np.arange(400, 450), second), one)
    assert twice.likely[400:].mean() > 0.9


def _orbits(rng):
    """A period over a decade, and an amplitude whose sign the phase takes back: two equal modes."""

    def simulate(latents, times, seed=None):
        draws = rng if seed is None else np.random.default_rng(seed)
        period, amplitude = 10 * np.exp(0.7 * latents[:, 0]), 40 * latents[:, 1]
        angle = 2 * np.pi * TIMES / period[:, None] + np.pi * latents[:, 2:]
        mean = amplitude[:, None] * np.cos(angle)
        return list(mean + 3 * draws.normal(size=(times, *mean.shape)))

    return simulate


MODES = np.array([[0.2, 0.7, 0.3], [0.2, -0.7, -0.7]])


def _search(seed, most, places=MODES, n=200):
    rng = np.random.default_rng(seed)
    simulate = _orbits(rng)
    one = simulate(MODES[:1], 1)[0][0]
    vague = places[rng.integers(len(places), size=n)] + rng.normal(0, [0.3, 0.2, 0.2], (n, 3))
    return Search(simulate, Pool(vague, *simulate(vague, 2), n), one, most, rng)


@pytest.mark.parametrize("seed", range(4))
def test_a_search_finds_a_narrow_posterior_with_both_its_modes(seed):
    search = _search(seed, 4_000)
    assert search.run()
    assert search.cost <= 4_000
    likely = search.pool.latents[search.found.likely]
    for mode in MODES:
        near = likely[abs(likely[:, 1] - mode[1]) < 0.5]
        off = abs(near - mode)
        assert len(near) >= 10
        assert (off.max(axis=0) < [0.1, 0.6, 0.6]).all()
        assert (off.min(axis=0) < [0.01, 0.1, 0.1]).all()


def test_a_search_says_so_where_simulations_do_not_last():
    search = _search(0, 400)
    assert not search.run()
    assert search.cost <= 400


@pytest.mark.parametrize("seed", range(3))
def test_a_search_ends_where_likely_draws_are_everywhere(seed):
    """Data say nothing: no draw lies beyond the likely ones, from which to look further."""
    rng = np.random.default_rng(seed)

    def simulate(latents, times, seed=None):
        return list(rng.normal(size=(times, len(latents), 4)))

    places = rng.uniform(-1, 1, (200, 2))
    pool = Pool(places, *simulate(places, 2), 200)
    search = Search(simulate, pool, rng.normal(size=4), 4_000, rng)
    assert search.run()
    assert search.found.likely.mean() > 0.9


def test_a_search_says_so_where_nothing_fits():
    search = _search(0, 2_500)
    search.one = search.one + 100
    search.found = judged(search.pool, search.one)
    assert not search.run()


def test_a_simulator_without_noise_is_not_probed():
    @si.simulator(batched=True)
    def bare(a):
        return {"y": np.column_stack([a, a**2])}

    training = si.Training(epochs=2)
    posterior = si.fit_posterior(
        bare, si.Prior(a=st.norm()), n_simulations=500, training=training, n_jobs=1, progress=False
    )
    core = posterior.core
    y, rng = core.schema.read({"y": [0.5, 0.25]}), np.random.default_rng(1)
    found = probing.probe(core, core.simulator("to probe"), y, 150, 1_000, rng, 1)
    assert found.latents is None
    assert not found.few
    assert found.n_simulations == 300


# -- which region a round takes --------------------------------------------------------------------


def _taken(monkeypatch, before, whole, narrow, probe, *, was_narrow):
    """Let a scout choose between the region of all draws, that of likely ones, and the last box.

    Returns
    -------
    Region, and whether it is around likely draws alone
    """

    def region(half):
        return Region(_box(half), 0, cut=False)

    monkeypatch.setattr(scouting, "region", lambda *_: region(narrow))
    monkeypatch.setattr(scouting, "to_whole", lambda _, latents: latents)
    core = SimpleNamespace(prior=SimpleNamespace(box=None if before is None else _box(before)))
    scout = scouting.Scout(None, None, 10_000, 1, lambda *_: None)
    scout.narrow = was_narrow
    return scout._probed_region(core, 1, region(whole), probe), scout.narrow


def _box(half):
    return Box(np.eye(1), np.array([-half]), np.array([half]), np.zeros(1, bool))


FEW = Probe(np.zeros((60, 1)), 0.1, 0)
MANY = Probe(np.zeros((60, 1)), 0.9, 0)
LOST = Probe(None, 0.1, 0)


@pytest.mark.parametrize(
    ("before", "whole", "narrow", "probe", "was_narrow", "taken"),
    [
        (None, 2.0, 0.05, FEW, False, 0.05),  # ten times smaller: worth it
        (None, 2.0, 1.0, FEW, False, 2.0),  # hardly smaller
        (None, 2.0, 0.05, MANY, False, 2.0),  # nothing to mend
        (None, 2.0, 0.05, LOST, False, 2.0),  # the search did not settle
        (0.1, 0.5, 0.01, LOST, True, 0.1),  # a poor network does not widen it again
        (0.1, 0.05, 0.01, LOST, True, 0.05),  # but may shrink it
        (0.1, 0.5, 0.01, MANY, True, 0.5),  # and a good one may open it
    ],
)
def test_a_round_takes_the_region_that_it_may_trust(
    monkeypatch, before, whole, narrow, probe, was_narrow, taken
):
    found, is_narrow = _taken(monkeypatch, before, whole, narrow, probe, was_narrow=was_narrow)
    assert found.box.high[0] == taken
    assert is_narrow == (was_narrow or taken == narrow)
