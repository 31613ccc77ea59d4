"""One battery over a dict of named priors, then what is special to some of them."""

import json
import pickle

import cloudpickle
import joblib
import numpy as np
import pytest
import scipy.stats as st
from scipy.special import logsumexp, ndtr, ndtri

from sbi_inn.errors import LoadError
from sbi_inn.prior import Mixture, Prior

COV = np.array([[1.0, 0.6, 0.0], [0.6, 2.0, -0.3], [0.0, -0.3, 0.5]])

PRIORS = {
    "norm": Prior(x=st.norm(2, 0.5)),
    "uniform": Prior(x=st.uniform(-1, 3)),
    "expon": Prior(x=st.expon(scale=2)),
    "gumbel_r": Prior(x=st.gumbel_r(1, 2)),
    "gumbel_l": Prior(x=st.gumbel_l(1, 2)),
    "lognorm": Prior(x=st.lognorm(0.5, scale=0.4)),
    "lognorm_heavy": Prior(x=st.lognorm(3)),
    "pareto_heavy": Prior(x=st.pareto(1.1)),
    "gamma": Prior(x=st.gamma(15)),
    "gamma_small": Prior(x=st.gamma(0.4, scale=10)),
    "invgamma": Prior(x=st.invgamma(3, scale=2)),
    "beta": Prior(x=st.beta(2, 5)),
    "beta_arcs": Prior(x=st.beta(0.5, 0.5)),
    "t": Prior(x=st.t(3, 1, 2)),
    "cauchy": Prior(x=st.cauchy(0, 1)),
    "halfcauchy": Prior(x=st.halfcauchy(0, 2)),
    "halfnorm": Prior(x=st.halfnorm(0, 2)),
    "truncnorm": Prior(x=st.truncnorm(-1890 / 1020, np.inf, 1890, 1020)),
    "loguniform": Prior(x=st.loguniform(0.01, 1)),
    "triang": Prior(x=st.triang(0.3)),
    "laplace": Prior(x=st.laplace()),
    "logistic": Prior(x=st.logistic()),
    "weibull_min": Prior(x=st.weibull_min(1.5)),
    "dweibull": Prior(x=st.dweibull(2.0)),
    "vonmises_line": Prior(x=st.vonmises_line(1.0)),
    "robot": Prior({"height": st.norm(0, 0.25)}, shoulder=st.norm(0, 0.5), elbow=st.norm(0, 0.5)),
    "mixed": Prior([("b", st.expon()), ("a", st.uniform())], c=st.t(4)),
    "multivariate_normal": Prior(x=st.multivariate_normal([1, 2, 3], COV)),
    "multivariate_normal_1": Prior(x=st.multivariate_normal(1.0, 4.0)),
    "multivariate_t": Prior(x=st.multivariate_t([1, 2, 3], COV, df=4)),
    "multivariate_t_heavy": Prior(x=st.multivariate_t([0, 0], np.eye(2), df=1)),
    "dirichlet": Prior(x=st.dirichlet([1.0, 2.0, 3.0, 0.7])),
    "dirichlet_sparse": Prior(x=st.dirichlet([0.05, 0.05, 0.05])),
    "mixture": Prior(x=Mixture([0.3, 0.7], [st.norm(-1, 0.5), st.norm(2, scale=1.0)])),
    "mixture_1": Prior(x=Mixture([0.6, 0.4], [st.multivariate_normal(m, 1.0) for m in (0, 3)])),
    "mixture_correlated": Prior(
        x=Mixture([0.3, 0.7], [st.multivariate_normal([m] * 3, COV / (1 + m)) for m in (0, 2)])
    ),
    "dependent": Prior(beta=st.uniform(0.01, 0.99), gamma=lambda beta: st.uniform(0, beta)),
    "by_hand": Prior(
        beta=st.uniform(0.01, 0.99),
        gamma=lambda beta: st.uniform(0, np.interp(beta, [0, 1], [0, 1])),
    ),
    "chain": Prior(
        a=st.norm(),
        v=st.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]]),
        b=lambda v, a: st.gamma(1 + a**2, scale=np.exp(v[:, 1])),
        c=lambda b: st.norm(b, 0.1),
    ),
}
NAMES = list(PRIORS)
CODE = {"by_hand"}  # what no file can hold
LAMBDAS = {"dependent", "by_hand", "chain"}  # what pickle cannot


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def prior(name):
    return PRIORS[name]


def rows_of(name):
    """So many that a battery stays short: a quantile of one of them is a search by scipy."""
    return 400 if name == "vonmises_line" else 2_000


def latents(prior, n, seed=1):
    return np.random.default_rng(seed).standard_normal((n, prior.latent_dim))


def test_latent_to_parameters_and_back(name, prior):
    z = latents(prior, rows_of(name))
    back = prior.to_latent(prior.from_latent(z))
    assert back.shape == z.shape
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, z, atol=1e-6)


def test_parameters_to_latent_and_back(name, prior):
    draws = prior.sample(rows_of(name), np.random.default_rng(2))
    back = prior.from_latent(prior.to_latent(draws))
    for key in prior.names:
        np.testing.assert_allclose(back[key], draws[key], rtol=1e-7, atol=1e-13)


def test_round_trips_far_in_both_tails(name, prior):
    if name in {"dirichlet_sparse", "beta_arcs"}:
        pytest.skip("their quantiles at 1e-12 are nearer to the end than float64 can tell")
    z = np.outer(ndtri([1e-12, 1e-9, 1e-6, 1e-3]), [1, -1]).ravel()
    for column in range(prior.latent_dim):
        far = np.zeros((len(z), prior.latent_dim))
        far[:, column] = z
        back = prior.to_latent(prior.from_latent(far))
        tails = ndtr(-np.abs(back[:, column])), ndtr(-np.abs(z))
        np.testing.assert_allclose(*tails, rtol=1e-3)
        np.testing.assert_array_equal(np.sign(back[:, column]), np.sign(z))


@pytest.mark.parametrize("size", [6, 8, 9, 38, 40, 1e3, 1e300, np.inf])
def test_every_latent_gives_a_usable_draw(prior, size):
    signs = np.array(np.meshgrid(*[[-1, 0, 1]] * prior.latent_dim)).reshape(prior.latent_dim, -1)
    z = np.where(signs == 0, 0.0, np.copysign(size, signs)).T
    draws = prior.from_latent(z)
    for key in prior.names:
        low, high = prior.support[key]
        assert np.isfinite(draws[key]).all()
        assert (draws[key] > low).all()
        # With both ends 1e-300 away, the one entry of a simplex that is left is 1 to rounding.
        assert (draws[key] < high).all() or "dirichlet" in repr(prior)
    assert np.isfinite(prior.log_prob(draws)).all()
    assert np.isfinite(prior.to_latent(draws)).all()


def test_draws_rise_with_their_latent(prior):
    z = np.repeat(np.linspace(-45, 45, 1801)[:, None], prior.latent_dim, 1)
    first = next(iter(prior.from_latent(z).values()))
    first = first if first.ndim == 1 else first[:, 0]
    assert (np.diff(first) >= -1e-14 * np.abs(first[1:])).all()


def test_nan_latents_are_an_error(prior):
    z = latents(prior, 3)
    z[1, 0] = np.nan
    with pytest.raises(ValueError, match="must not be nan; 1 rows are"):
        prior.from_latent(z)


def test_sample_and_latents_draw_from_the_same_distribution(name, prior):
    n = 2 * rows_of(name)
    direct = prior.flatten(prior.sample(n, np.random.default_rng(3)))
    mapped = prior.flatten(prior.from_latent(latents(prior, n, seed=4)))
    assert direct.shape == mapped.shape == (n, prior.dim)
    # Sums and differences see the dependence between columns that single columns do not.
    pairs = [(i, i) for i in range(prior.dim)] + [(i, i - 1) for i in range(1, prior.dim)]
    for i, j in pairs:
        for sign in (1, -1) if i != j else (0,):
            p = st.ks_2samp(direct[:, i] + sign * direct[:, j], mapped[:, i] + sign * mapped[:, j])
            assert p.pvalue > 1e-4


def test_latents_of_prior_draws_are_standard_normal(name, prior):
    z = prior.to_latent(prior.sample(4000, np.random.default_rng(5)))
    for column in z.T:
        assert st.kstest(column, "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(z.T, z[:, 0] ** 2) - np.eye(len(z.T) + 1)).max() < 0.09


def test_log_prob_agrees_with_scipy(name, prior):
    draws = prior.sample(500, np.random.default_rng(6))
    if name in {"dependent", "by_hand"}:
        expected = st.uniform(0.01, 0.99).logpdf(draws["beta"])
        expected = expected + st.uniform(0, draws["beta"]).logpdf(draws["gamma"])
    elif name == "chain":
        expected = st.norm().logpdf(draws["a"])
        expected = expected + st.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]]).logpdf(
            draws["v"]
        )
        gamma = st.gamma(1 + draws["a"] ** 2, scale=np.exp(draws["v"][:, 1]))
        expected = expected + gamma.logpdf(draws["b"])
        expected = expected + st.norm(draws["b"], 0.1).logpdf(draws["c"])
    elif "mixture" in name:
        entry = prior.to_config()["parameters"][0]
        weights, *arguments = (np.array(column) for column in entry["args"])
        parts = [getattr(st, entry["distribution"])(*each) for each in zip(*arguments, strict=True)]
        parts = [part.logpdf(draws["x"]) for part in parts]
        expected = logsumexp(parts, b=weights[:, None], axis=0)
    else:
        expected = sum(
            entry_source(entry).logpdf(
                draws[entry["name"]].T if "dir" in name else draws[entry["name"]]
            )
            for entry in prior.to_config()["parameters"]
        )
    got = prior.log_prob(draws)
    assert got.shape == (500,)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def entry_source(entry):
    return getattr(st, entry["distribution"])(*entry["args"], **entry["kwds"])


def test_change_of_variables(prior):
    """log |d theta / d z| = log N(z) - log p(theta), by central differences."""
    z, d = latents(prior, 200) * 0.8, prior.latent_dim
    z += 0.01 * (np.abs(z) < 0.01)
    step = 1e-5
    jacobian = np.empty((len(z), d, d))
    for j in range(d):
        move = step * np.eye(d)[j]
        ends = [prior.flatten(prior.from_latent(z + sign * move))[:, :d] for sign in (1, -1)]
        jacobian[:, :, j] = (ends[0] - ends[1]) / (2 * step)
    log_det = np.linalg.slogdet(jacobian)[1]
    expected = st.norm.logpdf(z).sum(1) - prior.log_prob(prior.from_latent(z))
    if prior is PRIORS["dirichlet_sparse"]:
        fine = prior.from_latent(z)["x"].min(1) > 1e-3
        assert fine.sum() >= 3
        log_det, expected = log_det[fine], expected[fine]
    np.testing.assert_allclose(log_det, expected, atol=2e-4)


def test_flatten_and_unflatten(prior):
    draws = prior.sample(7, np.random.default_rng(7))
    flat = prior.flatten(draws)
    assert flat.shape == (7, len(prior.columns))
    for key, value in prior.unflatten(flat).items():
        np.testing.assert_array_equal(value, draws[key])


def test_no_rows_and_one_row(prior):
    for n in (0, 1):
        draws = prior.sample(n, np.random.default_rng(8))
        assert prior.log_prob(draws).shape == (n,)
        assert prior.from_latent(prior.to_latent(draws)).keys() == draws.keys()


def test_same_generator_same_draws(prior):
    first, second = (prior.sample(5, np.random.default_rng(9)) for _ in range(2))
    for key in prior.names:
        np.testing.assert_array_equal(first[key], second[key])
        assert first[key].dtype == np.float64


def test_inputs_are_not_changed(prior):
    draws = prior.sample(5, np.random.default_rng(10))
    z = prior.to_latent(draws)
    kept = {key: value.copy() for key, value in draws.items()}, z.copy()
    prior.log_prob(draws), prior.to_latent(draws), prior.from_latent(z)
    np.testing.assert_array_equal(z, kept[1])
    for key in prior.names:
        np.testing.assert_array_equal(draws[key], kept[0][key])


def test_config_round_trip(name, prior):
    config = json.loads(json.dumps(prior.to_config()))
    assert prior.storable == (name not in CODE)
    if prior.storable:
        again = Prior.from_config(config)
        assert again == prior
        assert hash(again) == hash(prior)
        z = latents(prior, 50)
        np.testing.assert_array_equal(
            again.flatten(again.from_latent(z)), prior.flatten(prior.from_latent(z))
        )
    else:
        with pytest.raises(LoadError, match="is code.*prior="):
            Prior.from_config(config)


def test_pickles(name, prior, tmp_path):
    again = [cloudpickle.loads(cloudpickle.dumps(prior))]
    if name not in LAMBDAS:
        joblib.dump(prior, tmp_path / "prior")
        again += [joblib.load(tmp_path / "prior"), pickle.loads(pickle.dumps(prior))]
    z = latents(prior, 10)
    for other in again:
        np.testing.assert_array_equal(
            other.flatten(other.from_latent(z)), prior.flatten(prior.from_latent(z))
        )


@pytest.mark.slow
def test_processes_get_the_prior():
    prior = PRIORS["dependent"]
    calls = (joblib.delayed(prior.sample)(3, np.random.default_rng(seed)) for seed in (1, 2))
    results = joblib.Parallel(n_jobs=2)(calls)
    np.testing.assert_array_equal(
        results[1]["gamma"], prior.sample(3, np.random.default_rng(2))["gamma"]
    )


def test_t_is_exact_and_not_a_scaled_normal():
    """The first coordinate of a multivariate t is a univariate t of its own latent alone."""
    prior, z = PRIORS["multivariate_t"], latents(PRIORS["multivariate_t"], 100)
    first = st.t(4, 1, 1).ppf(ndtr(z[:, 0]))
    np.testing.assert_allclose(prior.from_latent(z)["x"][:, 0], first, rtol=1e-9)


def test_names_columns_and_dimensions():
    prior = Prior([("p", st.dirichlet([1, 2, 3]))], m=st.multivariate_normal([0, 0]), a=st.norm())
    assert prior.names == ("p", "m", "a")
    assert prior.columns == ("p[0]", "p[1]", "p[2]", "m[0]", "m[1]", "a")
    assert (prior.dim, prior.latent_dim) == (6, 5)
    assert prior.support == {"p": (0, 1), "m": (-np.inf, np.inf), "a": (-np.inf, np.inf)}
    assert PRIORS["dependent"].support["beta"] == (0.01, 1.0)
    assert repr(prior) == (
        "Prior(\n    p=dirichlet([1, 2, 3]),\n"
        "    m=multivariate_normal of 2 entries,\n    a=norm(),\n)"
    )


def test_a_fixed_sum_over_a_dirichlet():
    draws = PRIORS["dirichlet"].from_latent(latents(PRIORS["dirichlet"], 1000))["x"]
    np.testing.assert_allclose(draws.sum(1), 1, rtol=1e-14)


def test_log_prob_is_minus_infinity_outside_and_never_an_error():
    prior = PRIORS["dependent"]
    gamma = [0.5, 0.1, -0.1, np.nan, np.inf, 0.1]
    got = prior.log_prob({"beta": [0.4, -3.0, 0.5, 0.5, 0.5, np.nan], "gamma": gamma})
    assert (got == -np.inf).all()
    simplex = PRIORS["dirichlet"]
    outside = [[0.5, 0.5, 0.5, 0.5], [1.2, -0.2, 0, 0], [np.nan, 0.3, 0.3, 0.4]]
    assert (simplex.log_prob({"x": outside}) == -np.inf).all()
    vector = PRIORS["multivariate_t"].log_prob({"x": [[np.nan, 0, 0], [np.inf, 0, 0]]})
    assert (vector == -np.inf).all()


def test_functions_never_see_parents_outside_their_support():
    def strict(beta):
        if (beta <= 0).any() or np.isnan(beta).any():
            raise ValueError("beta must be positive")
        return st.uniform(0, beta)

    prior = Prior(beta=st.uniform(), gamma=strict)
    got = prior.log_prob({"beta": [-1.0, 0.5, np.nan], "gamma": 0.25})
    np.testing.assert_allclose(got, [-np.inf, np.log(2), -np.inf])
    assert np.isfinite(prior.to_latent({"beta": [-1.0, 0.5], "gamma": 0.25})).all()


def test_latents_of_values_outside_are_those_of_the_nearest_end():
    prior = PRIORS["uniform"]
    low, high = prior.to_latent({"x": [-5.0, 5.0]})[:, 0]
    assert low == prior.to_latent({"x": -1.0})[0, 0] < -8
    assert high == prior.to_latent({"x": 2.0})[0, 0] > 8


def test_log_prob_broadcasts():
    prior = Prior(a=st.norm(), v=st.multivariate_normal([0, 0]))
    assert prior.log_prob({"a": 0, "v": [0, 1]}).shape == (1,)
    assert prior.log_prob({"v": [0, 1], "a": [0.0, 1, 2]}).shape == (3,)
    assert prior.log_prob({"a": 0, "v": np.zeros((4, 2), "float32")}).dtype == np.float64


def test_endpoints_never_come_out_of_sample():
    prior = Prior(x=st.beta(0.01, 0.01))
    draws = prior.sample(2000, np.random.default_rng(1))["x"]
    assert (st.beta(0.01, 0.01).rvs(2000, random_state=np.random.default_rng(1)) == 1).any()
    assert draws.min() > 0
    assert draws.max() < 1
    assert np.isfinite(prior.log_prob({"x": draws})).all()


def test_dependent_defaults_and_vectors():
    prior = Prior(a=st.norm(), b=lambda a, scale=2.0: st.norm(a, scale))
    z = np.ones((4, 2))
    np.testing.assert_allclose(prior.from_latent(z)["b"], 3.0)
    constant = Prior(a=st.norm(), b=lambda a: st.gamma(2.0))
    np.testing.assert_allclose(constant.from_latent(z)["b"], st.gamma(2).ppf(ndtr(1.0)))


def test_equality():
    def one(a):
        return st.norm(a)

    def other(a):
        return st.norm(a)

    assert Prior(a=st.norm(), b=one) == Prior(a=st.norm(), b=one)
    assert Prior(a=st.norm(), b=one) == Prior(a=st.norm(), b=other)  # one expression
    assert Prior(a=st.norm(), b=one) != Prior(a=st.norm(), b=lambda a: st.norm(2 * a))
    by_hand, again = (lambda a: st.norm(np.interp(a, [0, 1], [0, 1])) for _ in range(2))
    assert Prior(a=st.norm(), b=by_hand) == Prior(a=st.norm(), b=by_hand)
    assert Prior(a=st.norm(), b=by_hand) != Prior(a=st.norm(), b=again)
    assert Prior(a=st.norm(), b=st.norm()) != Prior(b=st.norm(), a=st.norm())
    assert Prior(a=st.norm()) != Prior(a=st.norm(0, 2))
    assert Prior(a=st.norm()) != "a"


class Ramp(st.rv_continuous):
    def _pdf(self, x):
        return 2 * x

    def _cdf(self, x):
        return x**2

    def _ppf(self, q):
        return np.sqrt(q)


def test_a_distribution_of_ones_own():
    prior = Prior(x=Ramp(a=0, b=1, name="norm")())  # a public name does not make it scipy's
    assert not prior.storable
    assert prior.to_config() == {"parameters": [{"name": "x", "kind": "code", "width": 1}]}
    np.testing.assert_allclose(prior.from_latent([[0.0]])["x"], np.sqrt(0.5))
    np.testing.assert_allclose(prior.log_prob({"x": 0.25}), np.log(0.5))


def test_the_density_on_the_latent_side():
    prior = Prior(a=st.norm(3, 2), b=st.gamma(2))
    points = np.random.default_rng(1).normal(0, 2, (50, 2))
    expected = st.multivariate_normal(np.zeros(2), np.eye(2)).logpdf(points)
    assert np.allclose(prior.log_density(points), expected)
    assert prior.log_mass == 0
