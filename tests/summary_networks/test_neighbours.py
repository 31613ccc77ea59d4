"""What the simulations that look most like an observation say of its parameters."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.methods.cinn.exact_start import as_rows_allow
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Scaling
from sbi_inn.summary_networks.neighbours import FEW, MANY, Neighbours

TIMES = np.linspace(0, 1, 25)


def waves(n, seed, noise=0.1):
    """Waves of unknown frequency, strength and phase: latents (n, 3) and what is seen of them."""
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(n, 3))
    frequency, strength = 6 + 2 * latents[:, :1], np.exp(2 * latents[:, 1:2])
    wave = np.cos(2 * np.pi * frequency * TIMES + latents[:, 2:])
    return latents, strength * (wave + noise * rng.normal(size=wave.shape))


def lines(n, seed):
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(n, 2))
    return latents, latents[:, :1] + latents[:, 1:] * TIMES + rng.normal(size=(n, len(TIMES)))


def told(neighbours, y):
    y = y.astype(np.float32)
    return neighbours(y, y)


def test_means_and_spreads_are_those_of_the_nearest():
    rng = np.random.default_rng(1)
    y = rng.normal(size=(300, 1))
    latents = rng.normal(size=(300, 2))
    here = np.array([[0.1]])
    found = told(Neighbours.of(y, y, latents), here)[0]
    distance = np.abs(y[:, 0] - here[0, 0])
    order = np.argsort(distance)
    for size, read in ((FEW, found[:2]), (MANY, found[2:4])):
        near, last = order[:size], distance[order[size]]
        weight = 1 - (distance[near] / last) ** 2
        expected = weight @ latents[near] / weight.sum()
        np.testing.assert_allclose(read, expected, atol=1e-3)
    centred = latents[near] - expected
    spread = np.sqrt(weight @ centred**2 / weight.sum())
    np.testing.assert_allclose(found[4:6], np.log(spread + 0.1), atol=1e-3)


def test_direction_does_not_see_how_strong_a_signal_is():
    latents, y = waves(3_000, 1)
    neighbours = Neighbours.of(y, y, latents)
    fresh, seen = waves(200, 2)
    by_direction = told(neighbours, seen)[:, 9:12]  # after 9 numbers by size
    stronger = told(neighbours, 7 * seen)[:, 9:12]
    # What is beyond five spreads is cut off: these are the same but for that.
    weak = (np.abs(7 * seen) < 5).all(axis=1)
    assert weak.sum() > 20
    np.testing.assert_allclose(stronger[weak], by_direction[weak], atol=1e-3)
    assert np.corrcoef(told(neighbours, seen)[:, 9], fresh[:, 0])[0, 1] > 0.8


def test_a_simulation_is_no_neighbour_of_itself():
    rng = np.random.default_rng(3)
    y, latents = rng.normal(size=(2_000, 4)), rng.normal(size=(2_000, 1))  # which say nothing
    found = told(Neighbours.of(y, y, latents), y)
    for column in (0, 1, 3, 4):
        assert abs(np.corrcoef(found[:, column], latents[:, 0])[0, 1]) < 0.1


@pytest.mark.parametrize("rows", [3, 10, 50])
def test_few_simulations_and_many_alike_give_numbers(rows):
    y = np.repeat([[0.0], [1.0]], [rows - 1, 1], axis=0)
    found = told(Neighbours.of(y, y, np.ones((rows, 1))), np.array([[0.0], [1.0], [2.0]]))
    assert np.isfinite(found).all()


def test_they_are_asked_where_that_helps_and_kept_in_files():
    def chosen(latents, y, **more):
        observations = Observations(y, {})
        rows = np.arange(len(y))
        data = TrainingData(latents, observations, rows, rows[:0], **more)
        scaling = Scaling.fit(observations, exact=True)
        return scaling, as_rows_allow(scaling.exact, data)

    scaling, exact = chosen(*waves(3_000, 4))
    assert exact.neighbours is not None
    observations = Observations(waves(50, 5)[1], {})
    again = type(exact).from_arrays(exact.to_arrays())
    assert np.array_equal(again(observations), exact(observations))
    assert exact(observations).shape == (50, exact.width)
    assert chosen(*lines(3_000, 4))[1].neighbours is None
    # A row with other noise would find itself.
    assert chosen(*waves(3_000, 4), renew=lambda rng: None)[1].neighbours is None


@pytest.mark.slow
def test_a_posterior_that_asks_them_is_saved_and_read(tmp_path):
    @si.simulator(batched=True)
    def wave(frequency, phase, rng):
        angle = 2 * np.pi * frequency[:, None] * TIMES + phase[:, None]
        return {"y": np.cos(angle) + 0.1 * rng.normal(size=angle.shape)}

    prior = si.Prior(frequency=st.uniform(3, 8), phase=st.uniform(0, 6))
    posterior = si.fit_posterior(
        wave,
        prior,
        n_simulations=2_000,
        method=si.CINN(place=1),  # which learns no likelihood: that takes longest
        ensemble=1,
        training=si.Training(epochs=2),
        seed=1,
        progress=False,
    )
    assert posterior.core.fitted.scaling.exact.neighbours is not None
    y = {"y": np.cos(2 * np.pi * 5 * TIMES + 1)}
    draws = posterior.sample(y, 500, seed=1)
    posterior.save(tmp_path / "wave.sbi")
    again = si.load_posterior(tmp_path / "wave.sbi").sample(y, 500, seed=1)
    assert np.array_equal(draws["frequency"], again["frequency"])
    assert abs(float(draws["frequency"].mean()) - 5) < 0.3
