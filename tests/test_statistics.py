"""Observations as rows of numbers."""

import numpy as np
import pytest

from sbi_inn.schema import Schema
from sbi_inn.statistics import QUANTILES, spread, statistics

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


@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e9, 1e-30])
def test_a_constant_column_has_spread_one(value):
    assert spread(np.full((3, 1), value)).tolist() == [1.0]


def test_a_mostly_constant_column_has_its_standard_deviation():
    rows = np.zeros((100, 1))
    rows[:4] = 5
    assert spread(rows) == pytest.approx(rows.std())
