"""The shipped problems: facts that can be computed in another way."""

import numpy as np
import pytest
import scipy.stats as st
from sbi_inn.simulators import (
    gaussian_linear,
    inverse_kinematics,
    inverse_kinematics_cumulative,
    levy_flight,
    normal_sample,
    two_moons,
)

from sbi_inn.simulation.registry import get
from sbi_inn.simulation.run import simulate

NAMES = [
    "bernoulli_glm",
    "bernoulli_glm_raw",
    "counts_negative_binomial",
    "counts_poisson",
    "covid",
    "gaussian_linear",
    "gaussian_linear_uniform",
    "gaussian_mixture",
    "glyphs",
    "inverse_ballistics",
    "inverse_kinematics",
    "inverse_kinematics_cumulative",
    "levy_flight",
    "lotka_volterra",
    "mixture_of_eight",
    "mixture_of_eight_eight_classes",
    "mixture_of_eight_one_class",
    "normal_sample",
    "ricker",
    "seir",
    "sir",
    "sir_stochastic",
    "slcp",
    "slcp_distractors",
    "slcp_set",
    "star_counts",
    "t_test_alternative",
    "t_test_null",
    "trend_line",
    "trend_parabola",
    "two_moons",
    "xray_pose",
    "xray_pose_asymmetric",
]


def simulated(name, n, **settings):
    return simulate(name, n=n, seed=1, n_jobs=1, progress=False, **settings)


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_runs_and_is_described(name, monkeypatch):
    monkeypatch.setattr(levy_flight, "MOST_STEPS", 20)  # the last of many walks takes long
    simulations = simulated(name, 300)
    assert len(simulations.ok) == 300
    assert len(simulations.observations()) == 300
    problem = get(name)
    assert problem.source
    known = {*simulations.dataset.data_vars}
    assert {*problem.labels, *problem.units} <= known


class TestInverseKinematics:
    """Eqs. 4.3 and 4.4 of the thesis."""

    def test_the_arm_straight_out(self):
        end = inverse_kinematics.arm(0.3, 0.0, 0.0, 0.0)
        assert (end["across"], end["up"]) == (2.0, 0.3)

    def test_the_equations_as_printed(self):
        x1, x2, x3, x4 = np.random.default_rng(1).normal(size=(4, 50))
        end = inverse_kinematics.arm(x1, x2, x3, x4)
        y1 = x1 + 0.5 * np.sin(x2) + 0.5 * np.sin(x3 - x2) + 1.0 * np.sin(x4 - x2 - x3)
        y2 = 0.5 * np.cos(x2) + 0.5 * np.cos(x3 - x2) + 1.0 * np.cos(x4 - x2 - x3)
        assert np.allclose(end["up"], y1, rtol=0, atol=1e-14)
        assert np.allclose(end["across"], y2, rtol=0, atol=1e-14)

    def test_moments_of_the_prior_predictive(self):
        # For x ~ N(0, s^2): E cos x = exp(-s^2 / 2), E sin x = 0.
        data = simulated("inverse_kinematics", 100_000).dataset
        across = 0.5 * np.exp(-0.125) + 0.5 * np.exp(-0.25) + np.exp(-0.375)
        for name, mean in (("across", across), ("up", 0.0)):
            values = data[name].values
            assert abs(values.mean() - mean) < 4 * values.std() / np.sqrt(100_000)


class TestInverseKinematicsCumulative:
    """A chain of rotations, each about the end of the segment before it."""

    def test_a_chain_of_turns(self):
        height, *angles = np.random.default_rng(1).normal(size=(4, 50))
        direction, end = np.ones(50, complex), 1j * height
        for length, angle in zip((0.5, 0.5, 1.0), angles, strict=True):
            direction = direction * np.exp(1j * angle)
            end = end + length * direction
        found = inverse_kinematics_cumulative.arm(height, *angles)
        assert np.allclose(found["across"] + 1j * found["up"], end, rtol=0, atol=1e-14)

    def test_the_same_study_but_for_the_arm(self):
        other, printed = get("inverse_kinematics_cumulative"), get("inverse_kinematics")
        assert other.prior == printed.prior
        assert (other.labels, other.units) == (printed.labels, printed.units)
        assert other.source != printed.source


class TestTwoMoons:
    """Two moons of Greenberg et al."""

    def test_the_shift_in_its_own_words(self):
        kept = np.array([[0.3, 0.5], [-0.5, -0.3]])  # mirror images: one shift
        moon = two_moons.two_moons(*kept.T, np.random.default_rng(1))
        base = two_moons.two_moons(np.zeros(2), np.zeros(2), np.random.default_rng(1))
        expected = np.array([-0.8, 0.2]) / np.sqrt(2)
        assert np.allclose(moon - base, expected, rtol=0, atol=1e-14)

    def test_the_half_circle(self):
        zero = np.zeros(20_000)
        y = two_moons.two_moons(zero, zero, np.random.default_rng(1)) - [0.25, 0.0]
        radius, angle = np.hypot(*y.T), np.arctan2(y[:, 1], y[:, 0])
        assert st.kstest(radius, st.norm(0.1, 0.01).cdf).pvalue > 1e-3
        assert st.kstest(angle, st.uniform(-np.pi / 2, np.pi).cdf).pvalue > 1e-3


class TestGaussianLinear:
    """The joint law of parameters and data is Gaussian: regress one on the other."""

    def test_the_posterior_is_what_regression_finds(self):
        data = simulated("gaussian_linear", 100_000).dataset
        theta, y = data["theta"].values, data["y"].values
        _, covariance = gaussian_linear.posterior(np.zeros(10))
        means = np.array([gaussian_linear.posterior(row)[0] for row in y[:5]])
        assert np.array_equal(means, y[:5] / 2)
        slope = (theta.T @ y) / (y**2).sum(axis=0)  # theta_i on y_j
        spread = np.sqrt(0.1 / 0.2 / 100_000)  # of a slope, at most
        assert np.abs(slope - np.eye(10) / 2).max() < 5 * spread
        found = np.cov(theta - y / 2, rowvar=False)
        assert np.abs(found - covariance).max() < 5 * 0.05 * np.sqrt(2 / 100_000)


class TestNormalSample:
    """Normal-inverse-gamma, against importance sampling from the prior."""

    @pytest.mark.parametrize("y", [[1.3], [0.2, -0.9, 2.5], [1.0, 1.2, 0.7, 1.5, 0.3, 1.1]])
    def test_the_posterior_against_importance_sampling(self, y):
        draws = get("normal_sample").prior.sample(400_000, np.random.default_rng(1))
        log_weight = st.norm(draws["mu"][:, None], draws["sigma"][:, None]).logpdf(y).sum(axis=1)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        for name, exact in normal_sample.posterior(y).items():
            values = draws[name]
            mean = weight @ values
            error = np.sqrt(weight**2 @ (values - mean) ** 2)
            assert abs(mean - exact.mean()) < 4 * error
            squares = (values - exact.mean()) ** 2
            error = np.sqrt(weight**2 @ (squares - weight @ squares) ** 2)
            assert abs(weight @ squares - exact.var()) < 4 * error
            for level in (0.1, 0.5, 0.9):
                below = values < exact.ppf(level)
                error = np.sqrt(weight**2 @ (below - level) ** 2)
                assert abs(weight @ below - level) < 4 * error

    def test_the_law_of_sigma_is_accurate_in_both_tails(self):
        # sigma^2 = rate / gamma(shape): sigma's lower tail is the gamma's upper one.
        sigma, gamma = normal_sample.spread(3, 3), st.gamma(3)
        for p in (1e-12, 1e-6, 0.3, 0.9):
            assert np.isclose(sigma.ppf(p), np.sqrt(3 / gamma.isf(p)), rtol=1e-8)
            assert np.isclose(sigma.isf(p), np.sqrt(3 / gamma.ppf(p)), rtol=1e-8)
            assert np.isclose(sigma.cdf(sigma.ppf(p)), p, rtol=1e-8)
            assert np.isclose(sigma.sf(sigma.isf(p)), p, rtol=1e-8)

    def test_sizes_are_log_uniform_and_entries_standardise(self):
        data = simulated("normal_sample", 20_000).dataset
        n, y = data["n"].values, data["y"].values
        assert (n.min(), n.max()) == (1, 500)
        share = (n <= 22).mean()  # about the middle of 1 to 500 in logarithm
        exact = (1 / np.arange(1, 23)).sum() / (1 / np.arange(1, 501)).sum()
        assert abs(share - exact) < 4 * np.sqrt(exact * (1 - exact) / 20_000)
        scaled = (y - data["mu"].values[:, None]) / data["sigma"].values[:, None]
        entries = scaled[np.arange(y.shape[1]) < n[:, None]]
        assert len(entries) == n.sum()
        assert st.kstest(entries[:50_000], st.norm.cdf).pvalue > 1e-3
        assert np.isnan(scaled[np.arange(y.shape[1]) >= n[:, None]]).all()
