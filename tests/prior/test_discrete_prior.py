"""Discrete parameters: one battery over many of them, then what is special to some."""

import json

import numpy as np
import pytest
import scipy.stats as st
from hypothesis import given, settings
from hypothesis import strategies as some

from sbi_inn.errors import NoDensityError, PriorError
from sbi_inn.prior import Prior
from sbi_inn.prior.quadrature import places

DISCRETE = {
    "bernoulli": st.bernoulli(0.1),
    "betabinom": st.betabinom(10, 2, 3),
    "binom": st.binom(10, 0.3),
    "boltzmann": st.boltzmann(0.2, 10),
    "dlaplace": st.dlaplace(0.5),
    "geom": st.geom(0.2),
    "geom_wide": st.geom(1e-3),
    "hypergeom": st.hypergeom(50, 10, 12),
    "logser": st.logser(0.9),
    "nbinom": st.nbinom(3, 0.2),
    "planck": st.planck(0.1),
    "poisson": st.poisson(3),
    "poisson_moved": st.poisson(2, loc=-3),
    "poisson_wide": st.poisson(1e8),
    "randint": st.randint(0, 5),
    "skellam": st.skellam(3, 5),
    "yulesimon": st.yulesimon(11),
    "zipfian": st.zipfian(1.2, 50),
    "values": st.rv_discrete(values=([1, 4, 10**9], [0.2, 0.3, 0.5])),
    "values_unsorted": st.rv_discrete(values=([7, 1, 4], [0.2, 0.3, 0.5])),
    "values_moved": st.rv_discrete(values=([1, 4, 7], [0.2, 0.3, 0.5]))(loc=3),
    "values_gap": st.rv_discrete(values=([0, 1, 2], [0.5, 0.0, 0.5])),
}


@pytest.fixture(params=list(DISCRETE))
def name(request):
    return request.param


@pytest.fixture
def prior(name):
    return Prior(x=DISCRETE[name])


def draws_of(prior, n=5000, seed=1):
    return prior.sample(n, np.random.default_rng(seed))["x"]


def test_draws_are_whole_numbers_of_the_right_frequency(name, prior):
    draws = draws_of(prior)
    assert draws.dtype == np.int64
    values, counts = np.unique(draws, return_counts=True)
    mass = DISCRETE[name].pmf(values)
    assert (mass > 0).all()
    error = np.sqrt(len(draws) * mass * (1 - mass))
    assert (np.abs(counts - len(draws) * mass) < 5 * error + 5).all()


def test_to_latents_and_back_wherever_in_the_cell(prior):
    draws = draws_of(prior)
    rng = np.random.default_rng(2)
    for within in (None, [[0.0]], [[1.0]], [[1e-12]], rng.random((len(draws), 1))):
        z = prior.to_latent({"x": draws}, within)
        assert np.isfinite(z).all()
        np.testing.assert_array_equal(prior.from_latent(z)["x"], draws)


def test_dequantised_draws_are_standard_normal(prior):
    draws = draws_of(prior)
    within = np.random.default_rng(3).random((len(draws), 1))
    assert st.kstest(prior.to_latent({"x": draws}, within)[:, 0], "norm").pvalue > 1e-4


def test_every_latent_gives_a_value_of_positive_probability(name, prior):
    z = np.concatenate([np.linspace(-40, 40, 999), [-np.inf, np.inf, 1e300]])[:, None]
    values = prior.from_latent(z)["x"]
    assert (np.diff(values[:-3]) >= 0).all()
    assert np.isfinite(prior.log_prob({"x": values})).all()
    low, high = prior.support["x"]
    assert low <= values.min()
    assert values.max() <= high


def test_a_cell_has_the_probability_of_its_value(name, prior):
    """The latents of a value lie between those of its neighbours, as far apart as they should."""
    values = np.unique(draws_of(prior, 300))
    ends = [prior.to_latent({"x": values}, [[v]])[:, 0] for v in (0.0, 1.0)]
    found = st.norm.cdf(ends[1]) - st.norm.cdf(ends[0])
    np.testing.assert_allclose(found, DISCRETE[name].pmf(values), rtol=1e-6, atol=1e-8)


def test_log_prob_is_that_of_scipy_and_none_between(name, prior):
    draws = draws_of(prior, 100)
    np.testing.assert_array_equal(prior.log_prob({"x": draws}), DISCRETE[name].logpmf(draws))
    nowhere = [draws[0] + 0.5, -1e12, np.nan, np.inf, -np.inf]
    assert (prior.log_prob({"x": nowhere}) == -np.inf).all()


def test_flat_and_back(prior):
    draws = {"x": draws_of(prior, 7)}
    flat = prior.flatten(draws)
    assert flat.dtype == np.float64
    again = prior.unflatten(flat)["x"]
    assert again.dtype == np.int64
    np.testing.assert_array_equal(again, draws["x"])


def test_config_round_trip(prior):
    assert prior.storable
    again = Prior.from_config(json.loads(json.dumps(prior.to_config())))
    assert again == prior
    z = np.linspace(-5, 5, 99)[:, None]
    np.testing.assert_array_equal(again.from_latent(z)["x"], prior.from_latent(z)["x"])


def test_among_other_parameters():
    prior = Prior(
        a=st.norm(),
        n=st.poisson(4),
        v=st.dirichlet([1.0, 2.0, 3.0]),
        k=st.randint(0, 2),
        b=lambda n, k: st.gamma(1 + n + k),
    )
    assert prior.discrete == ("n", "k")
    assert prior.discrete_latents.tolist() == [False, True, False, False, True, False]
    assert [axis for axis, _ in prior.pieces] == [1, 4]
    z = np.random.default_rng(1).standard_normal((2000, prior.latent_dim))
    draws = prior.from_latent(z)
    back = prior.to_latent(draws)
    smooth = ~prior.discrete_latents
    np.testing.assert_allclose(back[:, smooth], z[:, smooth], atol=1e-6)
    np.testing.assert_array_equal(prior.from_latent(back)["n"], draws["n"])
    expected = st.norm.logpdf(draws["a"]) + st.poisson(4).logpmf(draws["n"]) + np.log(0.5)
    expected = expected + st.dirichlet([1.0, 2.0, 3.0]).logpdf(draws["v"].T)
    expected = expected + st.gamma(1 + draws["n"] + draws["k"]).logpdf(draws["b"])
    np.testing.assert_allclose(prior.log_prob(draws), expected)


def test_functions_get_whole_numbers_to_look_up_with():
    means = np.array([-1.0, 0.0, 5.0])
    prior = Prior(k=st.randint(0, 3), x=lambda k: st.norm(means[k], 0.1))
    got = prior.log_prob({"k": [2.0, 1.0, 7.0], "x": [5.0, 0.0, 0.0]})
    top = st.norm(0, 0.1).logpdf(0) - np.log(3)
    np.testing.assert_allclose(got, [top, top, -np.inf])
    assert prior.to_latent({"k": [2, 1], "x": [5.0, 0.0]})[:, 1] == pytest.approx(0)


def test_pieces_are_the_cells_of_all_but_the_rarest_values():
    ((axis, cuts),) = Prior(k=st.binom(3, 0.5)).pieces
    assert axis == 0
    np.testing.assert_allclose(st.norm.cdf(cuts), [1 / 8, 1 / 2, 7 / 8])
    ((_, cuts),) = Prior(k=st.poisson(3)).pieces
    assert 1e-4 <= st.norm.cdf(cuts[0])
    assert st.norm.sf(cuts[-1]) >= 1e-4
    assert Prior(k=st.poisson(1e4)).pieces == ()
    assert Prior(x=st.norm()).pieces == ()


@settings(max_examples=40, deadline=None)
@given(
    mass=some.lists(some.floats(0.001, 1), min_size=2, max_size=12),
    start=some.integers(-1000, 1000),
    step=some.integers(1, 50),
    z=some.lists(some.floats(-45, 45), min_size=1, max_size=20),
    within=some.floats(0, 1),
)
def test_any_listed_values_map_back_and_forth(mass, start, step, z, within):
    values = start + step * np.arange(len(mass))
    shares = np.array(mass) / np.sum(mass)
    prior = Prior(k=st.rv_discrete(values=(values, shares)))
    drawn = prior.from_latent(np.array(z)[:, None])["k"]
    assert np.isin(drawn, values).all()
    back = prior.to_latent({"k": drawn}, [[within]])
    np.testing.assert_array_equal(prior.from_latent(back)["k"], drawn)
    assert np.exp(prior.log_prob({"k": values})).sum() == pytest.approx(1)


@pytest.mark.parametrize("discrete", range(9))
def test_places_have_the_mean_of_a_uniform(discrete):
    where, weights = places(discrete)
    assert weights.sum() == pytest.approx(1)
    assert ((where > 0) & (where < 1)).all()
    mean = weights @ np.exp(where.sum(axis=1))
    assert mean == pytest.approx((np.e - 1) ** discrete, rel=5e-3)


def test_too_many_places_are_refused():
    with pytest.raises(NoDensityError, match="9 discrete parameters.*8 at most"):
        places(9)


class TestMany:
    """Distributions whose table is large, or would be."""

    def test_a_hundred_thousand_listed_values(self):
        values = np.arange(100_000) * 3
        mass = np.linspace(1, 2, len(values))
        mass /= mass.sum()
        prior = Prior(a=st.rv_discrete(values=(values, mass)))
        drawn = prior.sample(20_000, np.random.default_rng(1))["a"]
        assert abs(drawn.mean() - values @ mass) < 4 * drawn.std() / np.sqrt(len(drawn))
        assert np.array_equal(prior.from_latent(prior.to_latent({"a": drawn}))["a"], drawn)
        expected = np.array([np.log(mass[1]), -np.inf, -np.inf, -np.inf, np.log(mass[-1])])
        found = prior.log_prob({"a": [3, 4, -3, 300_000, 299_997]})
        np.testing.assert_allclose(found, expected)
        assert Prior.from_config(prior.to_config()) == prior

    @pytest.mark.parametrize(
        "wide", [st.zipf(1.01), st.betabinom(10**8, 2, 3), st.betabinom(10**8, 0.3, 0.4)]
    )
    def test_what_no_table_holds_is_said_at_once(self, wide):
        with pytest.raises(PriorError, match="needs more than 200,000 values"):
            Prior(a=wide)

    @pytest.mark.parametrize("source", [st.zipf(4.0), st.betabinom(10**6, 2e5, 3e5)])
    def test_far_out_but_narrow(self, source):
        prior = Prior(a=source)
        drawn = prior.sample(4_000, np.random.default_rng(1))["a"]
        other = source.rvs(size=4_000, random_state=np.random.default_rng(2))
        assert st.ks_2samp(drawn, other, method="asymp").pvalue > 1e-3
