"""Shares of the entries of sets below fixed limits."""

import numpy as np

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks.exact import Exact
from sbi_inn.summary_networks.shares import PARTS, Shares
from sbi_inn.summary_networks.source import ENTRIES


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
    assert again.source.shares
    np.testing.assert_array_equal(again(seen), exact(seen))
    assert again.width == exact.width == exact(seen).shape[1]


def test_files_of_before_have_none():
    seen = sets(np.random.default_rng(1).normal(size=(300, 60)))
    exact = Exact.fit(seen, np.empty(0, np.int64), likelihood=True)
    assert not Exact.from_arrays(exact.to_arrays()).source.shares


def test_entries_between_limits_are_counted():
    rng = np.random.default_rng(1)
    sizes = rng.integers(60, 101, 300)
    seen = sets(rng.normal(size=(300, 100)), sizes)
    shares = Shares.fit(seen, ["n"])
    counts = np.expm1(shares.counts(seen))
    assert counts.shape == (300, shares.width) == (300, PARTS)
    np.testing.assert_allclose(counts.sum(axis=1), sizes)
    np.testing.assert_allclose(
        counts[:, 0],
        (seen.sets["n"].values[:, :, 0] <= shares.limits["n"][0]).sum(1, where=seen.sets["n"].mask),
    )


def test_beside_sets_of_several_columns_they_are_not():
    rng = np.random.default_rng(1)
    one, two = (PaddedSet(rng.normal(size=(300, 60, k)), np.full(300, 60)) for k in (1, 2))
    both = Observations(np.empty((300, 0)), {"n": one, "m": two})
    shares = Shares.fit(both, ["n", "m"])
    assert shares
    assert shares.width == shares.counts(both).shape[1] == 0


def test_a_likelihood_may_be_learned_of_what_lies_between_limits():
    """The observables of fixed shape and the counts, each once; neither moments nor the size."""
    rng = np.random.default_rng(1)
    entries = PaddedSet(rng.normal(size=(300, 60, 1)), rng.integers(50, 61, 300))
    seen = Observations(rng.normal(size=(300, 2)), {"n": entries})
    exact = Exact.fit(seen, np.arange(2), likelihood=True, alike=True)
    found = exact.ways()["entries"]
    assert len(found) == 2 + PARTS
    read = exact(seen)[:, list(found)]
    np.testing.assert_allclose(np.expm1(read[:, 2:]).sum(axis=1), entries.sizes, rtol=1e-5)
    assert abs(np.corrcoef(read[:, 0], seen.vector[:, 0])[0, 1]) > 0.9
    assert "entries" not in Exact.fit(seen, np.arange(2), likelihood=True).ways()


def test_files_with_shares_alone_count_nothing():
    seen = sets(np.random.default_rng(1).normal(size=(300, 60)))
    exact = Exact.fit(seen, np.empty(0, np.int64), likelihood=True, alike=True)
    arrays = exact.to_arrays()
    del arrays[ENTRIES]
    older = Exact.from_arrays(arrays)
    assert older.source.shares
    assert older.width == exact.width - PARTS
