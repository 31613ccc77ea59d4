"""Mixtures of Gaussians: their law against scipy's, their map against root finding."""

import json
import re

import numpy as np
import pytest
import scipy.stats as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import logsumexp, ndtri_exp

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.prior import Mixture, Prior

CORNERS = [(-2.4, 1), (-1, 2.4), (1, 2.4), (2.4, 1), (2.4, -1), (1, -2.4), (-1, -2.4), (-2.4, -1)]
TILTED = [[0.5, 0.4], [0.4, 0.9]], [[2.0, -1.2], [-1.2, 1.0]], [[0.1, 0.0], [0.0, 0.1]]

MIXTURES = {
    "two": Mixture([0.25, 0.75], [st.norm(-2, 0.3), st.norm(2, 0.3)]),
    "scales": Mixture([0.3, 0.5, 0.2], [st.norm(-9, 0.01), st.norm(0, 5), st.norm(3, 0.1)]),
    "eight": Mixture([1 / 8] * 8, [st.multivariate_normal(m, 0.04) for m in CORNERS]),
    "tilted": Mixture(
        [0.2, 0.3, 0.5],
        [st.multivariate_normal([i, -i], c) for i, c in enumerate(TILTED)],
    ),
    "chain": Mixture(
        [0.6, 0.4],
        [
            st.multivariate_normal(m * np.ones(4), s * (0.3 + 0.7 * np.eye(4)))
            for m, s in ((0, 1), (1.5, 0.2))
        ],
    ),
}


@pytest.fixture(params=MIXTURES)
def mixture(request):
    return MIXTURES[request.param]


def latents(mixture, n, seed=1):
    return np.random.default_rng(seed).standard_normal((n, mixture.dim))


def test_density_integrates_to_one():
    for name in ("two", "scales"):
        pieces = [-200, -9.2, -8.8, -4, 0, 2, 4, 200]
        density = MIXTURES[name]
        total = sum(
            quad(lambda x, density=density: np.exp(density.logpdf(x)), *ends, epsabs=1e-11)[0]
            for ends in zip(pieces[:-1], pieces[1:], strict=True)
        )
        assert abs(total - 1) < 1e-8
    for name, half in (("eight", 5.0), ("tilted", 9.0)):
        axis = np.linspace(-half, half, 401)  # the trapezoid rule is exact for what is analytic
        grid = np.stack(np.meshgrid(axis, axis), axis=-1)
        total = np.exp(MIXTURES[name].logpdf(grid)).sum() * (axis[1] - axis[0]) ** 2
        assert abs(total - 1) < 1e-6


def test_density_is_the_weighted_sum_of_its_components(mixture):
    x = mixture.rvs(200, 1)
    parts = [component.logpdf(x) for component in mixture.components]
    expected = logsumexp(parts, b=mixture.weights[:, None], axis=0)
    np.testing.assert_allclose(mixture.logpdf(x), expected, rtol=1e-12, atol=1e-12)
    assert mixture.logpdf(x[0]).shape == ()
    assert mixture.logpdf(x.reshape(10, 20, *mixture.shape)).shape == (10, 20)


def test_density_of_what_is_no_number():
    for bad in ([np.nan, 0], [np.inf, 0], [0, -np.inf], [np.inf, np.nan]):
        assert MIXTURES["tilted"].logpdf(bad) == -np.inf
    assert (MIXTURES["two"].logpdf([np.inf, -np.inf, np.nan]) == -np.inf).all()
    with pytest.raises(ValueError, match=r"expected x of shape \(..., 2\); got \(3,\)"):
        MIXTURES["tilted"].logpdf([1, 2, 3])


def test_shares_of_the_modes():
    n, weights = 40_000, np.arange(1, 9) / 36
    uneven = Mixture(weights, MIXTURES["eight"].components)
    drawn = uneven.rvs(n, 1)
    mapped = Prior(x=uneven).from_latent(latents(uneven, n))["x"]
    for draws in (drawn, mapped):
        nearest = np.linalg.norm(draws[:, None] - np.array(CORNERS), axis=2).argmin(1)
        shares = np.bincount(nearest, minlength=8) / n
        assert (np.abs(shares - weights) < 4 * np.sqrt(weights * (1 - weights) / n)).all()


def test_moments(mixture):
    n = 40_000
    mapped = Prior(x=mixture).from_latent(latents(mixture, n))["x"]
    for draws in (mixture.rvs(n, 2), mapped):
        flat = draws.reshape(n, -1)
        cov = mixture.cov.reshape(mixture.dim, mixture.dim)
        assert draws.mean(0).shape == mixture.mean.shape
        error = np.sqrt(np.diag(cov) / n)
        assert (np.abs(flat.mean(0) - mixture.mean) < 4.5 * error).all()
        centred = flat - mixture.mean
        products = centred[:, :, None] * centred[:, None, :]
        error = products.std(0) / np.sqrt(n)
        assert (np.abs(products.mean(0) - cov) < 4.5 * error).all()


def test_latents_of_draws_are_uniform_and_independent(mixture):
    n = 20_000
    u = st.norm.cdf(Prior(x=mixture).to_latent({"x": mixture.rvs(n, 3)}))
    for column in u.T:
        assert st.kstest(column, "uniform").pvalue > 1e-3
    features = np.column_stack([u, np.abs(u - 0.5), np.cos(4 * np.pi * u)])
    pairs = np.corrcoef(features.T)[np.tril_indices(3 * mixture.dim, -1)]
    assert np.abs(pairs).max() < 4.5 / np.sqrt(n)


@pytest.mark.parametrize("reach", [3, 10, 37.5])
def test_from_latents_and_back(mixture, reach):
    prior = Prior(x=mixture)
    z = np.random.default_rng(4).uniform(-reach, reach, (5000, mixture.dim))
    values = prior.from_latent(z)
    assert np.isfinite(prior.log_prob(values)).all()
    np.testing.assert_allclose(prior.to_latent(values), z, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [13, 104, 136])
def test_rugged_mixtures(seed):
    """Scales from 1e-4 to 100: Newton's method alone creeps, for hundreds of steps."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    weights = rng.dirichlet(np.full(n, 0.3))
    wide = [rng.normal() * 10 ** rng.uniform(-1, 3) for _ in range(n)]
    parts = [st.norm(mean, 10 ** rng.uniform(-4, 2)) for mean in wide]
    prior, z = Prior(x=Mixture(weights, parts)), np.linspace(-10, 10, 2001)[:, None]
    np.testing.assert_allclose(prior.to_latent(prior.from_latent(z)), z, rtol=0, atol=1e-8)


def test_one_component_is_its_own_normal():
    one = st.multivariate_normal([1, -1], TILTED[0])
    z = latents(MIXTURES["tilted"], 500) * 5
    expected = Prior(x=one).from_latent(z)["x"]
    for same in (Mixture([1], [one]), Mixture([0.3, 0.7], [one, one])):
        np.testing.assert_allclose(Prior(x=same).from_latent(z)["x"], expected, atol=1e-13)


def log_cdf(x, log_weights, means, scales, sign):
    """Log probability of less than x (sign 1) or of more (sign -1)."""
    return logsumexp(log_weights + st.norm.logcdf(sign * (x - means) / scales))


@pytest.mark.parametrize("z", [-37.0, -20.0, -7.0, -1.0, -0.1, 0.3, 2.0, 8.5, 37.0])
def test_quantiles_against_root_finding_in_logarithms(z):
    mixture = MIXTURES["scales"]
    sign, target = -np.sign(z), st.norm.logcdf(-abs(z))

    def excess(x):
        arguments = np.log(mixture.weights), mixture.location[:, 0], mixture.scales[:, 0]
        return log_cdf(x, *arguments, sign) - target

    expected = brentq(excess, -300, 300, xtol=1e-13)
    assert np.isclose(Prior(x=mixture).from_latent([[z]])["x"], expected, rtol=1e-9)


@pytest.mark.parametrize("z", [(-1.0, 0.5), (0.4, -3.0), (2.0, 1.5), (-6.0, 6.0), (15.0, -20.0)])
def test_conditionals_against_numerical_ones(z):
    """P(x1 <= t | x0), from scipy's textbook formulas for a conditional normal."""
    mixture = MIXTURES["tilted"]
    x0, x1 = Prior(x=mixture).from_latent([z])["x"][0]
    log_weights, means, scales = [], [], []
    for weight, part in zip(mixture.weights, mixture.components, strict=True):
        cov = np.asarray(part.cov)
        log_weights.append(np.log(weight) + st.norm(part.mean[0], cov[0, 0] ** 0.5).logpdf(x0))
        means.append(part.mean[1] + cov[0, 1] / cov[0, 0] * (x0 - part.mean[0]))
        scales.append(np.sqrt(cov[1, 1] - cov[0, 1] ** 2 / cov[0, 0]))
    parts = log_weights - logsumexp(log_weights), np.array(means), np.array(scales)
    got = -np.sign(z[1]) * ndtri_exp(log_cdf(x1, *parts, -np.sign(z[1])))
    assert np.isclose(got, z[1], rtol=0, atol=1e-10)


def test_tails_belong_to_the_outermost_component():
    """P(<= x) = weight Phi((x - mean) / sd) far below, where the other component has nothing."""
    prior = Prior(x=MIXTURES["two"])
    low, high = prior.from_latent([[-12.0], [12.0]])["x"]
    tail = st.norm.logcdf(-12.0)
    assert np.isclose(low, -2 + 0.3 * ndtri_exp(tail - np.log(0.25)), rtol=1e-13)
    assert np.isclose(high, 2 - 0.3 * ndtri_exp(tail - np.log(0.75)), rtol=1e-13)


def test_the_empty_space_between_modes():
    """Flat from x to z and steep from z to x: draws are usable there too, and rise."""
    prior = Prior(x=Mixture([0.5, 0.5], [st.norm(-1e4, 1), st.norm(1e4, 1)]))
    z = np.concatenate([[0.0], np.logspace(-300, 0, 200)])
    for sign in (-1, 1):
        x = prior.from_latent(sign * z[:, None])["x"]
        assert np.isfinite(prior.log_prob({"x": x})).all()
        assert (np.diff(sign * x) >= 0).all()
        np.testing.assert_allclose(prior.to_latent({"x": x})[:, 0], sign * z, atol=1e-9)


def test_weights_of_zero_have_no_say():
    idle = Mixture([0, 0.25, 0.75], [st.norm(50, 9), *MIXTURES["two"].components])
    z = np.linspace(-37.5, 37.5, 301)[:, None]
    np.testing.assert_allclose(
        Prior(x=idle).from_latent(z)["x"], Prior(x=MIXTURES["two"]).from_latent(z)["x"], atol=1e-12
    )
    assert np.isclose(idle.logpdf(2.0), MIXTURES["two"].logpdf(2.0))


def test_weights_are_made_to_sum_to_one():
    parts = [st.norm(i, 1) for i in range(3)]
    single = Mixture(np.array([0.2, 0.3, 0.5], "float32"), parts)
    assert single.weights.dtype == np.float64
    assert abs(single.weights.sum() - 1) < 1e-15
    weights = np.random.default_rng(5).dirichlet(np.ones(3), 200).astype("float32")
    for row in weights:
        prior = Prior(x=Mixture(row, parts))
        assert Prior.from_config(json.loads(json.dumps(prior.to_config()))) == prior


def test_draws_depend_on_the_generator_alone():
    mixture = MIXTURES["tilted"]
    np.testing.assert_array_equal(mixture.rvs(5, 1), mixture.rvs(5, np.random.default_rng(1)))
    assert (mixture.rvs(5, 1) != mixture.rvs(5, 2)).all()
    assert mixture.rvs().shape == (1, 2)
    assert (mixture.rvs(5) != mixture.rvs(5)).all()


def test_a_number_is_not_a_vector_of_one():
    number = Mixture([1], [st.norm(3, 2)])
    vector = Mixture([1], [st.multivariate_normal(3, 4)])
    assert (number.shape, vector.shape) == ((), (1,))
    assert (float(number.mean), float(number.cov)) == (3, 4)
    assert (vector.mean.tolist(), vector.cov.tolist()) == ([3], [[4]])
    assert number.rvs(4, 1).shape == (4,)
    assert vector.rvs(4, 1).shape == (4, 1)
    assert Prior(x=vector).columns == ("x[0]",)


NORM, PLANE = st.norm(0, 1), st.multivariate_normal([0, 0])
SINGULAR = st.multivariate_normal([0, 0], np.ones((2, 2)), allow_singular=True)
BAD = {
    "nothing": ([], [], r"weights of shape \(0,\) and 0 components"),
    "too few": ([1], [NORM, NORM], r"weights of shape \(1,\) and 2 components"),
    "a table": ([[1]], [NORM], r"weights of shape \(1, 1\) and 1 components"),
    "negative": ([1.5, -0.5], [NORM, NORM], r">= 0 and sum to 1; got \[ 1.5 -0.5\] of sum 1"),
    "all zero": ([0, 0], [NORM, NORM], "of sum 0"),
    "percent": ([50, 50], [NORM, NORM], "of sum 100"),
    "nan": ([np.nan, 1], [NORM, NORM], "of sum nan"),
    "mixed": ([0.5, 0.5], [NORM, PLANE], r"one size.*got the shapes \(\), \(2,\)"),
    "dims": ([0.5, 0.5], [st.multivariate_normal([0]), PLANE], r"shapes \(1,\), \(2,\)"),
    "expon": ([0.5, 0.5], [NORM, st.expon()], "component 1 .*norm or multivariate.*got expon"),
    "t": ([1], [st.multivariate_t([0, 0])], "got multivariate_t_frozen"),
    "unfrozen": ([1], [st.norm], "component 0 .*a frozen norm.*got norm_gen"),
    "number": ([1], [3.0], "got float"),
    "nested": ([1], [MIXTURES["tilted"]], "got Mixture"),
    "arrays": ([1], [st.norm([0, 1], 1)], r"of two finite numbers.*got norm\(\[0. 1.\], 1.0\)"),
    "sd": ([1], [st.norm(0, -1)], r"sd > 0; got norm\(0.0, -1.0\)"),
    "singular": ([1], [SINGULAR], "component 0 of a Mixture: cov must be positive definite"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_mixtures(case):
    weights, components, message = BAD[case]
    with pytest.raises(PriorError, match=re.compile(message, re.DOTALL)):
        Mixture(weights, components)


LOADS = {
    "expon": ("expon", [[1], [0], [1]], "got 'mixture' 'expon'"),
    "lengths": ("norm", [[0.5, 0.5], [0], [1]], "'x', norm: a Mixture needs one weight"),
    "unpaired": ("norm", [[1], [0], [1, 2]], "'x', norm"),
    "numbers": ("norm", [1, 0, 1], "'x', norm"),
    "too few": ("norm", [[1], [0]], "'x', norm"),
    "text": ("norm", [["1"], [0], [1]], "must be numbers"),
    "weights": ("norm", [[2], [0], [1]], "sum to 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOADS)
def test_bad_mixtures_in_files(case):
    distribution, args, message = LOADS[case]
    entry = {"name": "x", "kind": "mixture", "distribution": distribution, "args": args, "kwds": {}}
    with pytest.raises(LoadError, match=re.compile(message, re.DOTALL)):
        Prior.from_config({"parameters": [entry]})
