"""Scaling: no unit, constant column or outlier ruins it."""

import numpy as np
import pytest

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.observation.schema import Schema
from sbi_inn.summary_networks import Scaling
from sbi_inn.summary_networks.scaling import Columns
from sbi_inn.summary_networks.scores import Scores

N = 2000


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def scaled(*columns):
    observations = Observations(np.column_stack(columns).astype(np.float64), {})
    return Scaling.fit(observations).vectors(observations)


def is_unit(column):
    """Whether the bulk has median 0 and the quartiles of a standard normal."""
    quartiles = np.quantile(column.astype(np.float64), [0.25, 0.5, 0.75])
    return np.allclose(quartiles[1], 0, atol=1e-5) and np.isclose(
        quartiles[2] - quartiles[0], 1.349, rtol=1e-3
    )


@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e9, 1e-30, 1e100])
def test_a_constant_column_is_zero(value):
    assert not scaled(np.full(N, value)).any()


def test_a_constant_up_to_rounding_is_zero(rng):
    shares = rng.random((N, 7))
    total = (shares / shares.sum(axis=1, keepdims=True)).sum(axis=1)
    assert np.ptp(total) > 0
    assert np.abs(scaled(total)).max() < 1e-6


@pytest.mark.parametrize("unit", [1e-30, 1e-12, 1e-3, 1.0, 1e6, 1e30])
def test_units_do_not_matter(rng, unit):
    x = rng.normal(size=N)
    np.testing.assert_allclose(scaled(unit * x), scaled(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("offset", [1e9, -1e9, 1e6])
def test_huge_offsets_keep_the_variation(rng, offset):
    x = rng.normal(size=N)
    np.testing.assert_allclose(scaled(offset + x), scaled(x), rtol=0, atol=1e-5)


def test_a_heavy_tail_is_drawn_in(rng):
    x = rng.standard_cauchy(N)
    assert np.abs(x).max() > 300
    values = scaled(x)[:, 0]
    assert np.isfinite(values).all()
    assert is_unit(values)
    assert np.abs(values).max() < 25
    # ... without losing the order.
    assert np.array_equal(np.argsort(values, kind="stable"), np.argsort(x, kind="stable"))


def test_an_outlier_leaves_the_others_alone(rng):
    x = rng.normal(size=N)
    spoilt = x.copy()
    spoilt[7] = 1e6
    before, after = np.delete(scaled(x), 7), np.delete(scaled(spoilt), 7)
    np.testing.assert_allclose(after, before, rtol=0, atol=0.01)
    assert scaled(spoilt)[7, 0] < 20


def test_integers_keep_their_steps(rng):
    counts = rng.poisson(20, N)
    values = scaled(counts)[:, 0]
    assert np.isfinite(values).all()
    assert len(np.unique(values)) == len(np.unique(counts))
    assert 0.8 < values.std() < 1.2


def test_a_mostly_constant_column_keeps_its_exceptions(rng):
    rare = (rng.random(N) < 0.02).astype(float)
    values = scaled(rare)[:, 0]
    assert not values[rare == 0].any()
    assert (values[rare == 1] > 1).all()
    assert (values[rare == 1] < 10).all()


def test_columns_do_not_touch_each_other(rng):
    x, y = rng.normal(size=N), 100 + 5 * rng.standard_cauchy(N)
    assert np.array_equal(scaled(x, y), np.hstack([scaled(x), scaled(y)]))


def test_small_values_pass_linearly_and_large_ones_like_a_logarithm():
    none = Scores.fit(np.zeros((9, 1)))
    scale, no_gaps = np.array([[10.0], [2.0]]), np.array([], np.int64)
    scaling = Scaling(scale, np.array([0]), Columns(scale, none, no_gaps), {})
    at = np.array([10.0, 12.0, 8.0, 20.0, 0.0, 10 + 2 * (5 + np.e - 1), 1e12])
    values = scaling.vectors(Observations(at[:, None], {}))[:, 0]
    np.testing.assert_allclose(values[:6], [0, 1, -1, 5, -5, 6], rtol=1e-6)
    assert 30 < values[6] < 35


def test_unscaling_undoes_it(rng):
    x = np.column_stack([rng.normal(1e4, 2, N), 1e-9 * rng.standard_cauchy(N), np.full(N, 7.0)])
    scaling = Scaling.fit(Observations(x, {}))
    scaled = scaling.vectors(Observations(x, {}))
    assert np.abs(scaled[:, 1]).max() > 5  # beyond the linear part
    gap = (scaling.unscale(scaled) - x) / scaling.vector[1]
    # Float32 holds a scaled value to 6e-8 of itself; beyond 5 that is as much of x itself.
    assert (np.abs(gap) < 1e-5 * (1 + np.abs((x - scaling.vector[0]) / scaling.vector[1]))).all()
    # The first features alone: the observables, without the givens.
    assert np.array_equal(scaling.unscale(scaled[:, :1])[:, 0], scaling.unscale(scaled)[:, 0])
    assert scaling.unscale(scaled[:0]).shape == (0, 3)


def test_new_observations_are_scaled_by_the_training_rows(rng):
    x = rng.normal(3, 2, N)
    scaling = Scaling.fit(Observations(x[:, None], {}))
    values = scaling.vectors(Observations(np.array([[3.0], [5.0]]), {}))
    np.testing.assert_allclose(values[:, 0], [0, 1], atol=0.1)


def test_no_vector_part():
    observations = Observations(np.empty((4, 0)), {})
    assert Scaling.fit(observations).vectors(observations).shape == (4, 0)


def test_sets_are_scaled_over_all_entries_and_without_the_padding(rng):
    sizes = rng.integers(1, 6, N)
    mask = np.arange(5) < sizes[:, None]
    entries = np.where(mask[:, :, None], rng.normal([100, -3], [5, 0.1], (N, 5, 2)), 0.0)
    observations = Observations(np.empty((N, 0)), {"n": PaddedSet(entries, sizes)})
    values = Scaling.fit(observations).entries(observations.sets["n"], "n")
    assert values.shape == (sizes.sum(), 2)
    assert is_unit(values[:, 0])
    assert is_unit(values[:, 1])
    first = entries[0, 0, 0], entries[1, 0, 0]
    assert (values[sizes[0], 0] > values[0, 0]) == (first[1] > first[0])


def series_of(values, sizes=None):
    """Observations that are one series each, of a column, with a schema that says so."""
    sizes = np.full(len(values), values.shape[1]) if sizes is None else sizes
    schema = Schema(
        {"x": ()}, {"t": ("x",)}, (), {}, {"t": (1.0, float(sizes.max()))}, series=("t",)
    )
    return Observations(
        np.empty((len(values), 0)), {"t": PaddedSet(values[:, :, None], sizes)}, schema=schema
    )


def test_what_grows_by_powers_of_ten_is_spread_evenly(rng):
    rates = rng.uniform(0.1, 0.6, (N, 1))
    counts = rng.poisson(np.exp(rates * np.arange(30))).astype(float)
    observations = series_of(counts, rng.integers(1, 31, N))
    scaling = Scaling.fit(observations)
    plain, scores = scaling.entries(observations.sets["t"], "t").T
    few = observations.sets["t"].values[observations.sets["t"].mask][:, 0] <= 20
    assert plain[few].std() < 0.3 * scores[few].std()
    # All entries: a standard normal, but for the ties of small counts.
    assert abs(np.median(scores)) < 0.3
    assert 0.8 < scores.std() < 1.1
    arrays = scaling.to_arrays()
    again = Scaling.from_arrays(arrays)
    assert np.array_equal(
        again.entries(observations.sets["t"], "t"), scaling.entries(observations.sets["t"], "t")
    )


def test_a_series_that_is_normal_is_left_as_it_is(rng):
    observations = series_of(rng.normal(3, 2, (N, 20)))
    scaling = Scaling.fit(observations)
    assert scaling.entries(observations.sets["t"], "t").shape == (20 * N, 1)
    back = Scaling.from_arrays(scaling.to_arrays())
    assert np.array_equal(
        back.entries(observations.sets["t"], "t"), scaling.entries(observations.sets["t"], "t")
    )


def test_own_networks_read_no_scores(rng):
    observations = series_of(rng.lognormal(0, 2, (N, 5)))
    assert (
        Scaling.fit(observations, scores=False).entries(observations.sets["t"], "t").shape[1] == 1
    )
