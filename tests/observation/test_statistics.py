"""Observations as rows of numbers."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.observation.schema import Schema
from sbi_inn.observation.set_moments import QUANTILES
from sbi_inn.observation.statistics import (
    described,
    described_names,
    distance,
    names,
    shape_names,
    shapes,
    spread,
    statistics,
)

SCHEMA = Schema(
    observables={"flux": (2,), "rt": (), "at": (2,), "x": (), "age": ()},
    sets={"n_trials": ("rt", "at"), "m": ("x",)},
    givens=("sigma",),
    constants={},
    trained={"n_trials": (1, 40), "m": (1, 40), "sigma": (0, 1)},
)


def observation(rng, n, m):
    return {
        "flux": rng.normal(size=2),
        "age": rng.normal(),
        "rt": rng.gamma(2, size=n),
        "at": 1e6 + rng.normal(size=(n, 2)),
        "x": rng.integers(0, 3, m),
        "sigma": rng.random(),
    }


def slowly(y):
    """Describe one observation by numpy."""
    row = [*y["flux"], y["age"]]
    for entries in (np.column_stack([y["rt"], y["at"]]), y["x"][:, None].astype(float)):
        parts = [entries.mean(axis=0), entries.std(axis=0)]
        parts += [np.quantile(entries, q, axis=0) for q in QUANTILES]
        row += list(np.concatenate(parts))
    return row


def test_each_row_is_numpys():
    rng = np.random.default_rng(0)
    ys = [observation(rng, *rng.integers(1, 41, 2)) for _ in range(50)]
    ys += [observation(rng, 1, 40), observation(rng, 40, 1), observation(rng, 1, 1)]
    rows = statistics(SCHEMA.read_many(ys), SCHEMA)
    assert rows.shape == (53, 3 + 7 * 3 + 7)
    np.testing.assert_allclose(rows, [slowly(y) for y in ys], rtol=1e-9, atol=1e-9)


def test_givens_are_left_out():
    y = observation(np.random.default_rng(0), 5, 5)
    one, other = (statistics(SCHEMA.read(y | {"sigma": s}), SCHEMA) for s in (0.1, 0.9))
    assert np.array_equal(one, other)


def test_the_order_and_the_company_of_a_set_do_not_matter():
    rng = np.random.default_rng(1)
    y = observation(rng, 6, 3)
    order = rng.permutation(6)
    turned = y | {"rt": y["rt"][order], "at": y["at"][order]}
    alone = statistics(SCHEMA.read(y), SCHEMA)
    np.testing.assert_allclose(statistics(SCHEMA.read(turned), SCHEMA), alone, rtol=1e-12)
    company = statistics(SCHEMA.read_many([y, observation(rng, 40, 40)]), SCHEMA)
    np.testing.assert_allclose(company[:1], alone, rtol=1e-12)


def test_without_sets_the_vector_stands_as_it_is():
    schema = Schema({"a": (), "b": (2,)}, sets={}, givens=("g",), constants={}, trained={})
    observations = schema.read_many([{"a": 1, "b": [2, 3], "g": 9}, {"a": 4, "b": [5, 6], "g": 9}])
    assert statistics(observations, schema).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_sets_alone():
    schema = Schema({"x": ()}, sets={"n": ("x",)}, givens=(), constants={}, trained={})
    row = statistics(schema.read([2.0]), schema)
    assert row.tolist() == [[2, 0, 2, 2, 2, 2, 2]]


def test_each_column_has_the_name_of_what_stands_in_it():
    y = observation(np.random.default_rng(2), 7, 9)
    row = dict(zip(names(SCHEMA), statistics(SCHEMA.read(y), SCHEMA)[0], strict=True))
    assert len(row) == 3 + 7 * 3 + 7
    assert row["flux[1]"] == y["flux"][1]
    assert row["age"] == y["age"]
    assert row["mean of at[1]"] == pytest.approx(y["at"][:, 1].mean(), rel=1e-12)
    assert row["sd of rt"] == pytest.approx(y["rt"].std(), rel=1e-9)
    assert row["5 % quantile of rt"] == pytest.approx(np.quantile(y["rt"], 0.05), rel=1e-9)
    assert row["median of x"] == np.median(y["x"])
    assert "sigma" not in row


def slow_shapes(y):
    """Give the shapes of one observation by scipy."""
    row = []
    for entries in (np.column_stack([y["rt"], y["at"]]), y["x"][:, None].astype(float)):
        if len(entries) < 4:
            row += [0.0] * 4 * entries.shape[1]
            continue
        extremes = (entries.min(axis=0), entries.max(axis=0))
        parts = [st.skew(entries), st.kurtosis(entries)]
        parts += [(e - entries.mean(axis=0)) / entries.std(axis=0) for e in extremes]
        row += list(np.concatenate(parts))
    return row


def test_each_row_of_shapes_is_scipys():
    rng = np.random.default_rng(3)
    ys = [observation(rng, n, m) for n, m in rng.integers(2, 41, (50, 2))]
    ys += [observation(rng, n, 40) for n in (1, 2, 3, 4)]
    for y in ys:
        y["x"] = y["x"] + rng.normal(size=len(y["x"]))  # never constant, which scipy refuses
    found = shapes(SCHEMA.read_many(ys), SCHEMA)
    assert found.shape == (54, 4 * 3 + 4)
    np.testing.assert_allclose(found, [slow_shapes(y) for y in ys], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("entries", [[2.0] * 9, [0.1] * 10, [1e9] * 7, [5.0], [1.0, 2.0, 9.0]])
def test_constant_or_few_entries_have_no_shape(entries):
    schema = Schema({"x": ()}, sets={"n": ("x",)}, givens=(), constants={}, trained={})
    company = [{"x": entries}, {"x": np.arange(20.0)}]
    assert shapes(schema.read_many(company), schema)[0].tolist() == [0, 0, 0, 0]


def test_an_outlier_shows_in_the_shape_by_name():
    schema = Schema({"x": ()}, sets={"n": ("x",)}, givens=(), constants={}, trained={})
    entries = np.append(np.tile([-1.0, 1.0], 500), 30.0)
    row = dict(zip(shape_names(schema), shapes(schema.read([*entries]), schema)[0], strict=True))
    deviation, mean = entries.std(), entries.mean()
    assert row["largest x"] == pytest.approx((30 - mean) / deviation, rel=1e-9)
    assert row["smallest x"] == pytest.approx((-1 - mean) / deviation, rel=1e-9)
    assert row["skewness of x"] > 5
    assert row["kurtosis of x"] > 100


def test_described_is_statistics_and_shapes():
    rng = np.random.default_rng(4)
    ys = SCHEMA.read_many([observation(rng, 5, 6), observation(rng, 9, 8)])
    row = described(ys, SCHEMA)
    assert described_names(SCHEMA) == names(SCHEMA) + shape_names(SCHEMA)
    assert row.shape == (2, len(described_names(SCHEMA)))
    assert len(set(described_names(SCHEMA))) == row.shape[1]
    np.testing.assert_array_equal(row[:, :31], statistics(ys, SCHEMA))
    np.testing.assert_array_equal(row[:, 31:], shapes(ys, SCHEMA))


def test_without_sets_described_is_statistics():
    schema = Schema({"a": (), "b": (2,)}, sets={}, givens=("g",), constants={}, trained={})
    observations = schema.read_many([{"a": 1, "b": [2, 3], "g": 9}, {"a": 4, "b": [5, 6], "g": 9}])
    assert described(observations, schema).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert described_names(schema) == names(schema) == ("a", "b[0]", "b[1]")
    assert shapes(observations, schema).shape == (2, 0)
    assert shape_names(schema) == ()


def test_spread_is_the_standard_deviation_of_a_normal():
    rows = np.random.default_rng(0).normal([0, 1e6], [1e-9, 3.0], (100_000, 2))
    # The standard error of the median absolute deviation is 1.17 sd / sqrt(n).
    error = 1.17 / 100_000**0.5
    np.testing.assert_allclose(spread(rows), [1e-9, 3.0], rtol=4 * error)


def test_an_outlier_does_not_change_the_spread():
    rows = np.random.default_rng(0).normal(size=(1000, 1))
    spoilt = rows.copy()
    spoilt[0] = 1e6
    np.testing.assert_allclose(spread(spoilt), spread(rows), rtol=0.01)


def test_numbers_whose_square_is_none_are_no_trouble():
    rows = np.linspace(-1, 1, 101)[:, None]
    far = np.concatenate([rows, [[1e200]]])
    assert spread(far) == pytest.approx(spread(rows), rel=0.05)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e9, 1e-30])
def test_a_constant_column_has_spread_one(value):
    assert spread(np.full((3, 1), value)).tolist() == [1.0]


def test_a_mostly_constant_column_has_its_standard_deviation():
    rows = np.zeros((100, 1))
    rows[:4] = 5
    assert spread(rows) == pytest.approx(rows.std())


def test_distances_over_all_decades_are_numbers():
    gaps = np.array([[1e200, 1.0], [3.0, 4.0]])
    np.testing.assert_allclose(distance(gaps), [1e150, 5.0])
