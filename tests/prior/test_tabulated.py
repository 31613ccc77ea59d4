"""Smooth maps of the columns of a table: exact both ways, normalised, and close to the truth."""

import json

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.prior.curve import Curve
from sbi_inn.prior.tabulated import Tabulated

FREE = (-np.inf, np.inf)
CASES = {
    "normal": (st.norm(3, 2), FREE),
    "uniform": (st.uniform(2, 1), FREE),
    "uniform between bounds": (st.uniform(2, 1), (2, 3)),
    "beta piling up at its bounds": (st.beta(0.5, 0.5), (0, 1)),
    "above zero": (st.expon(), (0, np.inf)),
    "over many decades": (st.lognorm(3), (0, np.inf)),
    "many decades without bounds": (st.lognorm(3), FREE),
    "below a bound": (st.weibull_max(1.0), (-np.inf, 0)),
    "heavy tails": (st.cauchy(), FREE),
    "two clusters": (None, FREE),
}


def values(name, n=10_000):
    rng = np.random.default_rng(1)
    if name == "two clusters":
        return np.where(rng.random(n) < 0.3, rng.normal(-50, 1, n), rng.normal(50, 2, n))
    return CASES[name][0].rvs(n, random_state=rng)


@pytest.fixture(scope="module", params=CASES)
def case(request):
    rows = values(request.param)
    return request.param, rows, Tabulated.fit("x", rows, CASES[request.param][1])


def test_the_columns_become_normal(case):
    _, rows, component = case
    latent = component.to_latent(rows, {})
    # The map follows its own rows more closely than chance alone would have them.
    assert st.kstest(latent[:, 0], "norm").statistic < 0.01
    assert np.abs(latent).max() < 4.5


def test_the_map_is_exactly_invertible_and_rises(case):
    _, rows, component = case
    latent = np.linspace(-4, 4, 2_001)[:, None]
    there = component.from_latent(latent, {})
    assert (np.diff(there) > 0).all()
    assert np.allclose(component.to_latent(there, {}), latent, rtol=0, atol=1e-6)
    back = component.from_latent(component.to_latent(rows, {}), {})
    assert np.allclose(back, rows, rtol=1e-9, atol=1e-12)


def test_any_latent_gives_a_usable_value(case):
    _, _, component = case
    latent = np.array([-np.inf, -1e9, -37.5, -10, 0, 10, 37.5, 1e9, np.inf])[:, None]
    found = component.from_latent(latent, {})
    low, high = component.support
    assert np.isfinite(found).all()
    assert ((found > low) & (found < high)).all()
    assert np.isfinite(component.log_prob(found, {})).all()
    assert (np.diff(found) >= 0).all()


def test_the_density_integrates_to_one(case):
    _, _, component = case
    grid = component.from_latent(np.linspace(-8, 8, 200_001)[:, None], {})
    density = np.exp(component.log_prob(grid, {}))
    total = np.sum((density[1:] + density[:-1]) / 2 * np.diff(grid))
    assert total == pytest.approx(1, abs=1e-3)


def test_the_density_is_that_of_the_map(case):
    _, _, component = case
    latent = np.linspace(-3, 3, 41)[:, None] + 1e-3
    step = 1e-6
    ends = [component.from_latent(latent + sign * step, {}) for sign in (-1, 1)]
    slope = (ends[1] - ends[0]) / (2 * step)
    found = component.log_prob(component.from_latent(latent, {}), {})
    assert np.allclose(found, st.norm.logpdf(latent[:, 0]) - np.log(slope), rtol=0, atol=1e-4)


def test_the_density_comes_close_to_the_truth(case):
    name, _, component = case
    law = CASES[name][0]
    if law is None:
        pytest.skip("its law is written as draws only")
    fresh = law.rvs(20_000, random_state=np.random.default_rng(2))
    gap = law.logpdf(fresh) - component.log_prob(fresh, {})
    inside = np.isfinite(gap)
    assert inside.mean() > 0.999
    # The Kullback-Leibler divergence: about 20 knots from 10,000 rows cost some 20 / 20,000.
    assert -0.005 < gap[inside].mean() < 0.02


def test_draws_are_distributed_as_the_table(case):
    name, rows, component = case
    drawn = component.sample(20_000, np.random.default_rng(3), {})
    assert st.ks_2samp(drawn, rows).pvalue > 1e-3, name


def test_it_comes_back_from_a_file(case):
    _, rows, component = case
    prior = si.Prior(x=component)
    stored = json.loads(json.dumps(prior.to_config()))
    again = si.Prior.from_config(stored)
    assert again == prior
    assert np.array_equal(again.log_prob({"x": rows}), prior.log_prob({"x": rows}))


@pytest.mark.parametrize("n", [20, 100, 100_000])
def test_any_number_of_rows(n):
    rows = np.random.default_rng(4).normal(size=n)
    component = Tabulated.fit("x", rows)
    assert component.log_prob(np.zeros(1), {})[0] == pytest.approx(
        st.norm.logpdf(0), abs=4 / np.sqrt(n) + 0.05
    )


def test_values_on_a_bound_are_placed_beside_it():
    rows = np.repeat([0.0, 0.25, 0.5, 0.75, 1.0], 200)
    component = Tabulated.fit("x", rows, (0, 1))
    latent = component.to_latent(np.unique(rows), {})[:, 0]
    assert (np.diff(latent) > 0.4).all()
    assert np.abs(latent).max() < 2
    assert np.isfinite(component.log_prob(rows, {})).all()
    assert (component.log_prob(np.array([-0.1, 1.1, np.nan, np.inf]), {}) == -np.inf).all()


def test_vectors_are_mapped_entry_by_entry():
    rng = np.random.default_rng(5)
    rows = np.column_stack([rng.normal(0, 1, 2_000), rng.normal(100, 10, 2_000)])
    prior = si.Prior(theta=Tabulated.fit("theta", rows), b=st.norm(0, 1))
    assert prior.columns == ("theta[0]", "theta[1]", "b")
    latent = prior.to_latent({"theta": rows, "b": np.zeros(2_000)})
    assert np.abs(latent.mean(axis=0)).max() < 0.02
    assert np.allclose(prior.from_latent(latent)["theta"], rows)
    density = prior.log_prob({"theta": rows[:5], "b": 0.0})
    alone = [Tabulated.fit("x", rows[:, i]).log_prob(rows[:5, i], {}) for i in range(2)]
    assert np.allclose(density, sum(alone) + st.norm.logpdf(0))


def test_a_prior_knows_whether_it_was_stated():
    rows = np.random.default_rng(6).normal(size=100)
    assert si.Prior(a=st.norm(0, 1)).stated
    assert not si.Prior(a=st.norm(0, 1), b=Tabulated.fit("b", rows)).stated
    assert "68 % in" in repr(si.Prior(b=Tabulated.fit("b", rows)))


BAD = {
    "constant": (np.full(50, 2.0), FREE, "the same value in all 50 rows"),
    "outside": (np.arange(50.0), (0, 10), "39 of 50 rows lie outside its bounds 0 to 10"),
    "no interval": (np.arange(50.0), (1, 1), r"expected bounds \(low, high\); got \(1, 1\)"),
    "all on the bounds": (np.repeat([0.0, 1.0], 25), (0, 1), "different values between its bounds"),
}


@pytest.mark.parametrize("name", BAD)
def test_columns_that_cannot_be_mapped(name):
    rows, bounds, message = BAD[name]
    with pytest.raises(si.PriorError, match=message):
        Tabulated.fit("x", rows, bounds)


DAMAGED = {
    "no knots": {"args": [], "kwds": {"shape": [], "bounds": [0, 1]}},
    "falling": {"args": [[[1, 0], [0, 1], [1, 1]]], "kwds": {"shape": [], "bounds": [0, 2]}},
    "flat": {"args": [[[0, 1], [0, 1], [0, 1]]], "kwds": {"shape": [], "bounds": [0, 2]}},
    "ragged": {"args": [[[0, 1], [0, 1, 2], [1, 1]]], "kwds": {"shape": [], "bounds": [0, 2]}},
    "no bounds": {"args": [[[0, 1], [0, 1], [1, 1]]], "kwds": {"shape": []}},
    "wrong shape": {"args": [[[0, 1], [0, 1], [1, 1]]], "kwds": {"shape": [2], "bounds": [0, 2]}},
    "text": {"args": [[["a", "b"], [0, 1], [1, 1]]], "kwds": {"shape": [], "bounds": [0, 2]}},
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_are_recognised(damage):
    entry = {"name": "x", "kind": "table", "distribution": "columns", **damage}
    with pytest.raises(si.LoadError, match="its stored column is damaged"):
        si.Prior.from_config({"parameters": [entry]})


def test_knots_keep_their_distance_in_the_tails():
    curve = Curve.fit(np.random.default_rng(7).normal(size=1_000))
    beyond = st.norm.sf(np.abs(curve.latents[1:-1])) * 1_000
    assert beyond.min() >= 10
    assert (np.diff(curve.latents) > 0.09).all()


def test_a_gap_gets_knots_of_its_own():
    rows = values("two clusters")
    curve = Curve.fit(rows)
    edges = rows[rows < 0].max(), rows[rows > 0].min()
    inside = (curve.values > edges[0] + 5) & (curve.values < edges[1] - 5)
    assert not inside.any()
    assert np.diff(curve.values).max() > edges[1] - edges[0] - 10
