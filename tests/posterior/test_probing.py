"""Which draws are likely, and a region around these alone."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.posterior import probing
from sbi_inn.posterior.judging import Pool, judged

TIMES = np.array([0, 2.9, 7.3, 12.1, 24.9, 33.0, 47.2, 60.3, 63.7, 71.5, 80.1, 97.0])


def _wave(period, amplitude):
    return amplitude[:, None] * np.cos(2 * np.pi * TIMES / period[:, None])


def _pool(rng, n=400):
    period, amplitude, noise = rng.uniform(3, 30, n), rng.uniform(5, 15, n), rng.uniform(0.3, 3, n)
    period[:20] = 11.3 + rng.normal(0, 0.05, 20)
    mean = _wave(period, amplitude)
    first, second = mean + noise[:, None] * rng.normal(size=(2, n, len(TIMES)))
    return Twice(np.column_stack([period, amplitude, noise]), first, second)


@pytest.mark.parametrize("seed", range(5))
def test_likely_draws_have_the_right_period(seed):
    rng = np.random.default_rng(seed)
    pool = _pool(rng)
    one = _wave(np.array([11.3]), np.array([10.0]))[0] + rng.normal(0, 1, len(TIMES))
    found = judged(pool, one, len(pool.latents))
    assert abs(pool.latents[found.likely, 0] - 11.3).max() < 1
    assert found.likely[:20].any()


def test_where_all_are_right_nearly_all_are_likely():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(3, 400, 6))
    pool = Twice(rng.normal(size=(400, 2)), noise[0], noise[1])
    assert judged(pool, noise[2, 0], 400).likely.mean() > 0.95


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
    assert probing.probe(core, core.simulator("to probe"), y, 150, rng, 1) is None


def test_the_search_costs_what_it_may():
    assert probing.dearest(250) == 2 * (250 + probing.BATCHES * 125)
