"""Shares of the entries of sets below fixed limits."""

import numpy as np

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks.exact import Exact
from sbi_inn.summary_networks.shares import PARTS, Shares


def sets(values, sizes=None):
    values = np.asarray(values, float)
    values = values[:, :, None] if values.ndim == 2 else values
    sizes = np.full(len(values), values.shape[1]) if sizes is None else sizes
    return Observations(np.empty((len(values), 0)), {"n": PaddedSet(values, sizes)})


def test_they_are_those_that_numpy_counts():
    rng = np.random.default_rng(1)
    sizes = rng.integers(60, 101, 700)
    seen = sets(rng.normal(size=(700, 100)), sizes)
    shares = Shares.fit(seen, ["n"])
    limits = shares.limits["n"]
    assert len(limits) == PARTS - 1
    entries = seen.sets["n"].values[..., 0]
    expected = [
        (row[:k, None] <= limits).mean(axis=0) for row, k in zip(entries, sizes, strict=True)
    ]
    np.testing.assert_allclose(shares(seen), expected)


def test_missing_entries_count_for_nothing():
    shares = Shares({"n": np.array([0.0])})
    found = shares(sets([[-1.0, np.nan, 1.0, 1.0], [np.nan] * 4]))
    np.testing.assert_allclose(found[:, 0], [1 / 3, 0])


def test_equal_entries_have_one_limit():
    counts = np.random.default_rng(1).poisson(0.5, size=(300, 60))
    assert len(Shares.fit(sets(counts), ["n"]).limits["n"]) < 6


def test_sets_of_several_columns_have_none():
    pairs = sets(np.random.default_rng(1).normal(size=(300, 60, 2)))
    assert not Shares.fit(pairs, ["n"])


def test_they_survive_a_file():
    seen = sets(np.random.default_rng(1).normal(size=(300, 60)))
    exact = Exact.fit(seen, np.empty(0, np.int64), likelihood=True, alike=True)
    again = Exact.from_arrays(exact.to_arrays())
    assert again.shares
    np.testing.assert_array_equal(again(seen), exact(seen))
    assert again.width == exact.width == exact(seen).shape[1]


def test_files_of_before_have_none():
    seen = sets(np.random.default_rng(1).normal(size=(300, 60)))
    exact = Exact.fit(seen, np.empty(0, np.int64), likelihood=True)
    assert not Exact.from_arrays(exact.to_arrays()).shares
