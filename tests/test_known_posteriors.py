"""Whether short fits come close to posteriors that can be written down."""

import numpy as np
import pytest
import scipy.stats as st
from sbi_inn.simulators import normal_sample
from studies import LINE, columns, exact, quick_fit

import sbi_inn as si

OBSERVATIONS = [[1.0, 1.0], [-2.0, 1.5], [0.3, -3.0]]


@pytest.fixture(scope="module")
def line():
    return quick_fit(LINE, n=4_000, epochs=25)


@pytest.fixture(scope="module")
def moons():
    return quick_fit("two_moons", n=500)  # what is asked of it holds after any training


@pytest.mark.parametrize("y", OBSERVATIONS)
def test_moments_of_a_gaussian(line, y):
    mean, covariance = exact(y)
    sd = np.sqrt(np.diag(covariance))
    draws = columns(line.sample(y, 20_000))
    # 3,200 training rows leave about 1 / sqrt(3200) = .02 sd; the rest is room for a short fit.
    assert np.abs((draws.mean(axis=0) - mean) / sd).max() < 0.2
    assert np.abs(draws.std(axis=0) / sd - 1).max() < 0.1
    correlation = covariance[0, 1] / sd.prod()
    assert abs(np.corrcoef(draws, rowvar=False)[0, 1] - correlation) < 0.1


@pytest.mark.parametrize("y", OBSERVATIONS)
def test_the_density_of_a_gaussian(line, y):
    mean, covariance = exact(y)
    true = st.multivariate_normal(mean, covariance)
    points = true.rvs(2_000, random_state=1)
    gap = true.logpdf(points) - line.log_prob({"a": points[:, 0], "b": points[:, 1]}, y).values
    # The mean gap is the Kullback-Leibler divergence: its sampling error is about sqrt(2 KL / n).
    assert -0.02 < gap.mean() < 0.05


def test_the_density_of_a_gaussian_integrates_to_one(line):
    mean, covariance = exact(OBSERVATIONS[0])
    reach = 8 * np.sqrt(np.diag(covariance))
    axes = np.linspace(mean - reach, mean + reach, 201).T
    a, b = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    density = np.exp(line.log_prob({"a": a, "b": b}, OBSERVATIONS[0]).values)
    assert abs(density.sum() * cell - 1) < 0.01


def test_the_highest_density_of_a_gaussian_is_its_mean(line):
    for y in OBSERVATIONS:
        mean, covariance = exact(y)
        found = line.map_estimate(y)
        gap = (np.array([found["a"], found["b"]]) - mean) / np.sqrt(np.diag(covariance))
        assert np.abs(gap).max() < 0.4
        draws = line.sample(y, 2_000)
        assert line.log_prob(found, y).item() >= line.log_prob(draws, y).max().item()


class TestTwoMoons:
    """A box and two crescents: what cannot be right by accident."""

    y = (0.0, 0.0)

    def test_the_density_integrates_to_one_over_the_box(self, moons):
        middles = (np.arange(400) + 0.5) / 200 - 1
        t1, t2 = (g.ravel() for g in np.meshgrid(middles, middles, indexing="ij"))
        density = np.exp(moons.log_prob({"theta1": t1, "theta2": t2}, self.y).values)
        assert abs(density.sum() / 200**2 - 1) < 0.02
        # ... and says the same as the draws, in cells of a tenth.
        draws = columns(moons.sample(self.y, 100_000))
        counted, _, _ = np.histogram2d(*draws.T, bins=20, range=[[-1, 1], [-1, 1]])
        stated = density.reshape(20, 20, 20, 20).sum(axis=(1, 3)) / 200**2
        # Chance alone gives half the sum of sqrt(2 p / (pi n)): about .02 over all cells.
        assert 0.5 * np.abs(counted / 100_000 - stated).sum() < 0.03

    def test_exactly_nothing_outside(self, moons):
        edge = {"theta1": [-1.0001, 1.0001, 0.0, 5.0], "theta2": [0.0, 0.0, -1.0001, 5.0]}
        assert np.array_equal(moons.log_prob(edge, self.y).values, np.full(4, -np.inf))
        assert moons.log_prob({"theta1": 0.1, "theta2": 2.0}, self.y).values == [-np.inf]
        mixed = moons.log_prob({"theta1": [0.1, 3.0], "theta2": 0.1}, self.y).values
        assert np.array_equal(np.isfinite(mixed), [True, False])

    def test_every_draw_is_inside(self, moons):
        draws = columns(moons.sample(self.y, 200_000))
        assert np.abs(draws).max() <= 1
        assert np.isfinite(moons.log_prob(moons.sample(self.y, 10_000), self.y)).all()


@pytest.mark.slow
def test_one_network_serves_sets_of_every_size():
    posterior = quick_fit("normal_sample", n=4_000, epochs=15)
    rng = np.random.default_rng(1)
    for n in (5, 50):
        gaps, ratios = [], []
        for _ in range(10):
            y = rng.normal(0.5, 1.2, n)
            true = normal_sample.posterior(y)
            draws = posterior.sample({"y": y}, 2_000)
            for name, law in true.items():
                gaps.append((draws[name].mean().item() - law.mean()) / law.std())
                ratios.append(draws[name].std().item() / law.std())
        assert np.abs(gaps).mean() < 0.4
        assert 0.75 < np.mean(ratios) < 1.35
        assert (draws.sigma > 0).all()


def test_one_parameter():
    def weigh(mass, rng):
        return mass + rng.normal(0, 1)

    posterior = quick_fit(weigh, si.Prior(mass=st.norm(0, 1)), n=2_000, epochs=15)
    draws = posterior.sample(1.0, 10_000)
    assert abs(draws.mass.mean().item() - 0.5) < 0.15
    assert abs(draws.mass.std().item() / np.sqrt(0.5) - 1) < 0.15
    grid = np.linspace(-8, 8, 2_001)
    density = np.exp(posterior.log_prob({"mass": grid}, 1.0))
    assert abs(density.sum().item() * 0.008 - 1) < 0.01
    assert list(posterior.map_estimate(1.0)) == ["mass"]


@pytest.mark.slow
def test_a_vector_of_means():
    posterior = quick_fit("gaussian_linear", n=2_000, epochs=10)
    y = np.linspace(-0.5, 0.5, 10)
    draws = posterior.sample(y, 5_000)
    assert draws.theta.dims == ("draw", "theta_dim")
    # Half the observation, give or take sqrt(.05): far from both prior mean and observation.
    assert np.abs(draws.theta.mean("draw").values - y / 2).max() < 0.15
    assert np.abs(draws.theta.std("draw").values / np.sqrt(0.05) - 1).max() < 0.2
    assert posterior.summary(y).index.to_list() == [f"theta[{i}]" for i in range(10)]
    assert posterior.map_estimate(y)["theta"].shape == (10,)


def test_a_vector_of_shares():
    @si.simulator(batched=True)
    def counts(share, rng):
        return rng.multinomial(50, share / share.sum(axis=1, keepdims=True))

    prior = si.Prior(share=st.dirichlet([1.0, 2.0, 3.0]))
    posterior = quick_fit(counts, prior, n=2_000, epochs=15)
    y = np.array([10, 10, 30])
    draws = posterior.sample(y, 5_000)
    true = st.dirichlet(np.array([1.0, 2.0, 3.0]) + y)
    assert np.allclose(draws.share.sum("share_dim"), 1)
    assert (draws.share >= 0).all()
    gap = (draws.share.mean("draw").values - true.mean()) / np.sqrt(true.var())
    assert np.abs(gap).max() < 0.4
    points = true.rvs(500, random_state=1)
    kl = true.logpdf(points.T) - posterior.log_prob({"share": points}, y).values
    assert -0.05 < kl.mean() < 0.15
    off = posterior.log_prob({"share": [[0.5, 0.5, 0.5], [0.2, 0.2, 0.6]]}, y)
    assert np.array_equal(np.isfinite(off), [False, True])
