"""The tasks of the public benchmark: slow definitions, and facts of the reference posteriors."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.stats as st
from sbi_inn.simulators import (
    bernoulli_glm,
    gaussian_linear_uniform,
    gaussian_mixture,
    lotka_volterra,
    sir,
    slcp,
    slcp_distractors,
)
from scipy.special import log_expit, xlog1py, xlogy

from sbi_inn.simulation.registry import get
from sbi_inn.simulation.run import resimulate_rows, simulate
from sbi_inn.simulation.seeds import Stream

REFERENCE = Path(__file__).parents[2] / "benchmarks" / "reference" / "sbibm"
DATA = {  # how many numbers are observed
    "bernoulli_glm": 10,
    "bernoulli_glm_raw": 100,
    "gaussian_linear": 10,
    "gaussian_linear_uniform": 10,
    "gaussian_mixture": 2,
    "lotka_volterra": 20,
    "sir": 10,
    "slcp": 8,
    "slcp_distractors": 100,
    "two_moons": 2,
}
BY_CHANCE = 1e-4  # a p-value below it fails a test


def reference(task):
    with np.load(REFERENCE / f"{task}.npz") as arrays:
        return {name: arrays[name].astype(float) for name in arrays.files}


def simulated(task, n):
    return simulate(task, n=n, seed=1, n_jobs=1, progress=False).dataset


def parameters(task, n):
    problem = get(task)
    return problem.prior.flatten(problem.prior.sample(n, np.random.default_rng(2)))


class TestReference:
    """Observations, true parameters and reference draws as sbibm has them."""

    def test_all_ten_tasks_are_there(self):
        assert sorted(path.stem for path in REFERENCE.glob("*.npz")) == sorted(DATA)

    @pytest.mark.parametrize("task", DATA)
    def test_shapes_and_support(self, task):
        arrays, prior = reference(task), get(task).prior
        assert arrays["observation_number"].tolist() == [1, 2, 3, 4, 5]
        assert arrays["observation"].shape == (5, DATA[task])
        assert arrays["true_parameters"].shape == (5, prior.dim)
        assert arrays["reference_posterior"].shape == (5, 5000, prior.dim)
        assert simulated(task, 10)["y"].shape == (10, DATA[task])
        for theta in (
            arrays["true_parameters"],
            arrays["reference_posterior"].reshape(-1, prior.dim),
        ):
            assert np.isfinite(prior.log_prob(prior.unflatten(theta))).all()

    @pytest.mark.parametrize("task", DATA)
    def test_simulations_at_the_draws_bracket_the_observation(self, task):
        arrays, problem = reference(task), get(task)
        for observed, theta in zip(
            arrays["observation"], arrays["reference_posterior"], strict=True
        ):
            draws = problem.prior.unflatten(theta)
            values, ok = resimulate_rows(
                problem, draws, {}, seed=1, stream=Stream.SIMULATIONS, n_jobs=1
            )
            assert ok.all()
            below = (values["y"] <= observed + 1e-6).mean(axis=0)
            above = (values["y"] >= observed - 1e-6).mean(axis=0)
            assert np.minimum(below, above).min() > BY_CHANCE

    @pytest.mark.parametrize(
        ("hidden", "task"), [("slcp_distractors", "slcp"), ("bernoulli_glm_raw", "bernoulli_glm")]
    )
    def test_tasks_that_differ_in_their_data_alone(self, hidden, task):
        one, other = reference(hidden), reference(task)
        for name in ("true_parameters", "reference_posterior"):
            assert np.array_equal(one[name], other[name])
        assert get(hidden).prior == get(task).prior


def test_observations_of_slcp_stand_where_places_says():
    hidden = reference("slcp_distractors")["observation"]
    points = reference("slcp")["observation"]
    assert np.array_equal(hidden[:, slcp_distractors.places()[:8]], points)


def test_spikes_that_were_observed_have_the_summaries_that_were():
    raw, summaries = (reference(f"bernoulli_glm{kind}")["observation"] for kind in ("_raw", ""))
    assert np.isin(raw, [0, 1]).all()
    np.testing.assert_allclose(raw @ bernoulli_glm.design(), summaries, rtol=0, atol=1e-4)


def slcp_likelihood(theta, y):
    means, factors = theta[:, None, :2], slcp.factor(theta)
    standard = np.linalg.solve(factors, (y.reshape(4, 2) - means).transpose(0, 2, 1))
    spreads = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    return -(standard**2).sum(axis=(1, 2)) / 2 - 4 * spreads


def glm_likelihood(theta, y):
    drive = theta @ bernoulli_glm.design().T
    return (y * log_expit(drive) + (1 - y) * log_expit(-drive)).sum(axis=1)


def sir_likelihood(theta, y):
    share = sir.infected(*theta.T)
    return (xlogy(y, share) + xlog1py(1000 - y, -share)).sum(axis=1)


def lotka_volterra_likelihood(theta, y, error=0.1):
    return -(((np.log(y) - lotka_volterra.log_counts(*theta.T)) / error) ** 2).sum(axis=1) / 2


class TestSteinsIdentity:
    """E[gradient of log p(z | y)] = 0 and E[z gradient'] = -1, with z the latents of the prior.

    It holds at draws of the posterior of the right likelihood and prior, and of no other.
    """

    LIKELIHOODS = {
        "slcp": slcp_likelihood,
        "bernoulli_glm_raw": glm_likelihood,
        "sir": sir_likelihood,
        "lotka_volterra": lotka_volterra_likelihood,
    }

    def holds(self, task, likelihood, y, theta):
        prior = get(task).prior
        z = prior.to_latent(prior.unflatten(theta))
        gradient = -z
        for i, step in enumerate(1e-4 * np.eye(z.shape[1])):
            ends = [likelihood(prior.flatten(prior.from_latent(z + s)), y) for s in (step, -step)]
            gradient[:, i] += (ends[0] - ends[1]) / 2e-4
        products = -(z - z.mean(axis=0))[:, :, None] * gradient[:, None, :]
        for found, expected in ((gradient, 0), (products, np.eye(z.shape[1]))):
            error = found.std(axis=0) / np.sqrt(len(z))
            if not (np.abs(found.mean(axis=0) - expected) < 5 * error).all():
                return False
        return True

    @pytest.mark.parametrize(
        "task",
        [
            "slcp",
            "bernoulli_glm_raw",
            "sir",
            pytest.param("lotka_volterra", marks=pytest.mark.slow),
        ],
    )
    def test_at_the_reference_draws(self, task):
        arrays = reference(task)
        for y, theta in zip(arrays["observation"], arrays["reference_posterior"], strict=True):
            assert self.holds(task, self.LIKELIHOODS[task], y, theta[:2500])

    @pytest.mark.parametrize("wrong", [0.09, pytest.param(0.11, marks=pytest.mark.slow)])
    def test_an_error_that_is_slightly_wrong_does_not_pass(self, wrong):
        arrays = reference("lotka_volterra")
        y, theta = arrays["observation"][0], arrays["reference_posterior"][0]
        likelihood = partial(lotka_volterra_likelihood, error=wrong)
        assert not self.holds("lotka_volterra", likelihood, y, theta)


class TestGaussianLinearUniform:
    def test_noise(self):
        data = simulated("gaussian_linear_uniform", 5000)
        theta = np.stack([data[f"theta{i}"] for i in range(1, 11)], axis=1)
        noise = (data["y"].values - theta) / np.sqrt(0.1)
        assert st.kstest(noise.ravel(), st.norm.cdf).pvalue > BY_CHANCE
        assert np.abs(np.corrcoef(noise.T) - np.eye(10)).max() < 5 / np.sqrt(5000)

    def test_the_posterior_against_the_reference(self):
        arrays = reference("gaussian_linear_uniform")
        for y, draws in zip(arrays["observation"], arrays["reference_posterior"], strict=True):
            for exact, column in zip(gaussian_linear_uniform.posterior(y), draws.T, strict=True):
                assert st.kstest(column, exact.cdf).pvalue > BY_CHANCE


class TestGaussianMixture:
    def test_noise(self):
        n = 20_000
        theta = parameters("gaussian_mixture", n)
        noise = gaussian_mixture.gaussian_mixture(theta, np.random.default_rng(1)) - theta

        def cdf(x):
            return (st.norm.cdf(x) + st.norm.cdf(x / 0.1)) / 2

        for column in noise.T:
            assert st.kstest(column, cdf).pvalue > BY_CHANCE
        # Both coordinates are measured equally well: E[a^2 b^2] = (1 + 0.1^4) / 2, else 0.255.
        product = (noise**2).prod(axis=1)
        assert abs(product.mean() - 0.50005) < 4 * product.std() / np.sqrt(n)

    def test_the_posterior_against_the_reference(self):
        arrays = reference("gaussian_mixture")
        for y, draws in zip(arrays["observation"], arrays["reference_posterior"], strict=True):
            mine = gaussian_mixture.posterior(y).rvs(20_000, 3)
            mine = mine[(np.abs(mine) < gaussian_mixture.BOUND).all(axis=1)]
            for direction in ([1, 0], [0, 1], [1, 1], [1, -1]):
                assert st.ks_2samp(mine @ direction, draws @ direction).pvalue > BY_CHANCE


class TestSLCP:
    def test_covariances_row_by_row(self):
        theta = np.vstack([parameters("slcp", 50), [[1, 2, 0, 0, 3], [1, 2, 3, -3, -3]]])
        factors = slcp.factor(theta)
        for (_, _, t3, t4, t5), factor in zip(theta, factors, strict=True):
            correlation = (np.exp(2 * t5) - 1) / (np.exp(2 * t5) + 1)
            product = correlation * t3**2 * t4**2
            covariance = [[t3**4 + 1e-6, product], [product, t4**4 + 1e-6]]
            np.testing.assert_allclose(factor @ factor.T, covariance, rtol=1e-12, atol=1e-15)

    def test_points_are_four_independent_draws(self):
        theta = parameters("slcp", 5000)
        points = slcp.slcp(theta, np.random.default_rng(1)).reshape(5000, 4, 2)
        for mean, factor, row in zip(theta[:, :2], slcp.factor(theta), points, strict=True):
            row[:] = np.linalg.solve(factor, (row - mean).T).T
        assert st.kstest(points.ravel(), st.norm.cdf).pvalue > BY_CHANCE
        assert np.abs(np.corrcoef(points.reshape(5000, 8).T) - np.eye(8)).max() < 5 / 5000**0.5

    def test_declared_as_a_set_they_are_the_same_points(self):
        flat, declared = simulated("slcp", 300), simulated("slcp_set", 300)
        assert (declared["n"] == 4).all()
        assert declared["y"].shape == (300, 4, 2)
        assert np.array_equal(declared["y"].values.reshape(300, 8), flat["y"].values)


class TestDistractors:
    def test_constants_are_those_of_sbibm(self):
        """Numbers read off the files that sbibm 1.1.0 ships, in float32."""
        location, scale, order = slcp_distractors.constants()
        assert [location.shape, scale.shape, order.shape] == [(20, 92), (20, 92, 92), (100,)]
        found = [location[0, 0], location[19, 91], scale[0, 0, 0], scale[19, 91, 90]]
        assert np.allclose(found, [7.4507122, -3.121753, 3.4233248, 2.446532], rtol=1e-7, atol=0)
        sums = [location.sum(), scale.sum(), np.trace(scale, axis1=1, axis2=2).sum()]
        assert np.allclose(sums, [1203.93340, 9962.57740, 8947.59511], rtol=1e-8, atol=0)
        assert (scale == np.tril(scale)).all()
        assert order[:10].tolist() == [87, 47, 39, 9, 25, 21, 26, 94, 41, 30]
        assert order @ np.arange(100) == 260_850

    def test_the_law_of_any_projection(self):
        """It is a mixture of univariate t: of a' x with x = m + L t, at a' m with |L' a|."""
        location, scale, _ = slcp_distractors.constants()
        drawn = slcp_distractors.distractors(20_000, np.random.default_rng(1))
        for direction in np.random.default_rng(2).normal(size=(5, 92)):
            centres = location @ direction
            spreads = np.linalg.norm(scale.transpose(0, 2, 1) @ direction, axis=1)

            def cdf(x, centres=centres, spreads=spreads):
                return st.t.cdf((x[:, None] - centres) / spreads, 2).mean(axis=1)

            assert st.kstest(drawn @ direction, cdf).pvalue > BY_CHANCE

    def test_one_draw_is_scaled_as_a_whole(self):
        """Entries of a multivariate t share their denominator; scipy's draws, for comparison."""
        location, scale, _ = slcp_distractors.constants()
        rng = np.random.default_rng(3)
        slow = [
            st.multivariate_t(m, factor @ factor.T, df=2, allow_singular=True).rvs(
                100, random_state=rng
            )
            for m, factor in zip(location, scale, strict=True)
        ]
        mine = slcp_distractors.distractors(2000, rng)

        def ratio(draws):
            """Of the longest of four parts of a draw to the shortest, in each's own scale."""
            parts = np.abs(draws - np.median(mine, axis=0)).reshape(-1, 4, 23).mean(axis=2)
            return parts.max(axis=1) / parts.min(axis=1)

        assert st.ks_2samp(ratio(mine), ratio(np.vstack(slow))).pvalue > BY_CHANCE

    def test_the_points_are_those_of_slcp(self):
        theta = parameters("slcp", 100)
        hidden = slcp_distractors.slcp_distractors(theta, np.random.default_rng(1))
        plain = slcp.slcp(theta, np.random.default_rng(1))
        assert np.array_equal(hidden[:, slcp_distractors.places()[:8]], plain)


class TestBernoulliGLM:
    def test_summaries_are_the_count_and_a_correlation_with_the_stimulus(self):
        stimulus = np.random.RandomState(42).randn(100)
        theta = parameters("bernoulli_glm", 30)
        raw = bernoulli_glm.bernoulli_glm_raw(theta, np.random.default_rng(1))
        summaries = bernoulli_glm.bernoulli_glm(theta, np.random.default_rng(1))
        for spikes, row in zip(raw, summaries, strict=True):
            expected = [spikes.sum()]
            for lag in range(9):
                expected.append(sum(spikes[t] * stimulus[t - lag] for t in range(lag, 100)))
            np.testing.assert_allclose(row, expected, rtol=0, atol=1e-5)

    def test_chances_of_a_spike(self):
        """The logistic function of the offset and the filtered stimulus."""
        stimulus = np.random.RandomState(42).randn(100)
        theta = parameters("bernoulli_glm", 3)
        for row in theta:
            drive = row[0] + np.convolve(stimulus, row[1:])[:100]
            chance = 1 / (1 + np.exp(-drive))
            raw = bernoulli_glm.bernoulli_glm_raw(np.tile(row, (4000, 1)), np.random.default_rng(1))
            assert np.isin(raw, [0, 1]).all()
            error = np.sqrt(chance * (1 - chance) / 4000)
            assert (np.abs(raw.mean(axis=0) - chance) <= 5 * error + 1e-3).all()

    def test_the_prior_penalises_second_differences(self):
        prior = get("bernoulli_glm").prior
        theta = parameters("bernoulli_glm", 50)
        expected = np.zeros(50)
        for i, (offset, *bare) in enumerate(theta):
            filtered = [0.0, 0.0, *bare]
            rough = [
                filtered[j]
                - 2 * filtered[j - 1]
                + filtered[j - 2]
                + np.sqrt((j - 2) / 9) * filtered[j]
                for j in range(2, 11)
            ]
            expected[i] = -0.5 * (0.5 * offset**2 + np.square(rough).sum())
        found = prior.log_prob({"theta": theta})
        np.testing.assert_allclose(found - found[0], expected - expected[0], rtol=0, atol=1e-9)


class TestSIR:
    def test_counts_are_binomial(self):
        n = 4000
        beta, gamma = np.full(n, 0.4), np.full(n, 0.125)
        y = sir.sir(beta, gamma, np.random.default_rng(1))
        share = sir.infected(beta[:1], gamma[:1])[0]
        assert np.array_equal(y, y.round())
        for column, p in zip(y.T, share, strict=True):
            mean, variance = 1000 * p, 1000 * p * (1 - p)
            assert abs(column.mean() - mean) < 5 * np.sqrt(variance / n)
            if mean > 1:
                assert abs(column.var() / variance - 1) < 5 * np.sqrt((2 + 1 / variance) / n)

    def test_the_prior(self):
        draws = simulated("sir", 20_000)
        for name, median, spread in (("beta", 0.4, 0.5), ("gamma", 0.125, 0.2)):
            z = (np.log(draws[name]) - np.log(median)) / spread
            assert st.kstest(z, st.norm.cdf).pvalue > BY_CHANCE


class TestLotkaVolterra:
    def test_errors_are_lognormal_after_the_cut(self):
        theta = np.vstack([parameters("lotka_volterra", 2000), [[1, 0.01, 0.2, 1e-5]]])
        centre = lotka_volterra.log_counts(*theta.T)
        assert centre.min() == pytest.approx(np.log(1e-10))
        assert centre.max() == pytest.approx(np.log(1e4))
        y = lotka_volterra.lotka_volterra(*theta.T, np.random.default_rng(1))
        errors = (np.log(y) - centre) / 0.1
        assert st.kstest(errors.ravel(), st.norm.cdf).pvalue > BY_CHANCE

    def test_the_prior(self):
        draws = simulated("lotka_volterra", 5000)
        for name, centre in (("alpha", -0.125), ("beta", -3), ("gamma", -0.125), ("delta", -3)):
            z = (np.log(draws[name]) - centre) / 0.5
            assert st.kstest(z, st.norm.cdf).pvalue > BY_CHANCE
