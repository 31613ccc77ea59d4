"""Counts whose log rate is linear in parameters with flat priors: the posterior is known."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.flows.laplace_start import LaplaceStart
from sbi_inn.methods.cinn import exact_start, method
from sbi_inn.training.settings import Training

# Of more than 16 counts no larger networks are tried, which would take long.
YEARS = np.linspace(-1, 1, 17)
LOW, HIGH = np.array([-5.0, -6.0]), np.array([10.0, 6.0])


@si.simulator(batched=True)
def pairs(level, slope, rng):
    return {"pairs": rng.poisson(np.exp(level[:, None] + slope[:, None] * YEARS))}


PRIOR = si.Prior(level=st.uniform(-5, 15), slope=st.uniform(-6, 12))


def exact(y):
    """Mean and widths of level and slope, on a grid around the likeliest place."""
    low, high = LOW, HIGH
    for _ in range(3):
        axes = [np.linspace(*ends, 201) for ends in zip(low, high, strict=True)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        log_rate = grid[:, :1] + grid[:, 1:] * YEARS
        log = (y * log_rate - np.exp(log_rate)).sum(axis=1)
        weight = np.exp(log - log.max())
        weight /= weight.sum()
        mean = weight @ grid
        sd = np.sqrt(weight @ (grid - mean) ** 2)
        step = np.array([axis[1] - axis[0] for axis in axes])
        low, high = mean - 6 * np.maximum(sd, step), mean + 6 * np.maximum(sd, step)
        low, high = np.maximum(low, LOW), np.minimum(high, HIGH)
    return mean, sd


def fitted(n, epochs):
    return si.fit_posterior(
        pairs,
        PRIOR,
        n_simulations=n,
        method=si.CINN(start="exact", place=1, blocks=2, hidden=8),
        training=Training(epochs=epochs),
        ensemble=1,
        seed=1,
        progress=False,
    )


def observed(level, slope, seed):
    rng = np.random.default_rng(seed)
    return rng.poisson(np.exp(level + slope * YEARS)).astype(float)


@pytest.mark.slow
def test_a_posterior_hundreds_of_times_narrower_than_the_prior():
    posterior = fitted(2_000, 4)
    for level, slope in ((4.0, 1.0), (2.0, -1.5), (6.0, 0.3)):
        y = observed(level, slope, 2)
        mean, sd = exact(y)
        draws = posterior.sample({"pairs": y}, 4_000, seed=3)
        found = np.stack([draws["level"], draws["slope"]], axis=1)
        assert np.abs((found.mean(axis=0) - mean) / sd).max() < 0.4
        np.testing.assert_allclose(np.log(found.std(axis=0) / sd), 0, atol=0.3)


@pytest.fixture(scope="module")
def watched():
    """A posterior of few simulations, the largest value that was read, and its start."""
    seen, starts = [], []
    fit = LaplaceStart.fit

    def chosen_and_seen(exact, data, beat):
        seen.append(data.observations.vector.max())
        return exact_start.with_likelihood(exact, data, beat)

    def fit_and_keep(self, *args):
        starts.append(self)
        return fit(self, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, "with_likelihood", chosen_and_seen)
        patch.setattr(LaplaceStart, "fit", fit_and_keep)
        posterior = fitted(800, 1)
    (start,) = starts
    return posterior, seen[0], start


@pytest.mark.slow
def test_it_is_saved_and_read_back(watched, tmp_path):
    posterior, _, _ = watched
    posterior.save(tmp_path / "pairs.sbi")
    again = si.load_posterior(tmp_path / "pairs.sbi")
    y = {"pairs": observed(3.0, 0.5, 4)}
    one, other = posterior.sample(y, 10), again.sample(y, 10)
    np.testing.assert_array_equal(one["level"], other["level"])
    np.testing.assert_allclose(posterior.log_prob(one, y), again.log_prob(one, y), rtol=1e-6)


def test_what_a_likelihood_is_learned_of_is_chosen_by_what_is_read(watched):
    """Counts that span decades are read by their logarithms."""
    _, largest, start = watched
    assert 5 < largest < np.log(1e8)
    assert start.inverts
    assert start.likelihood.counted.all()
    assert start.even.flat.all()
