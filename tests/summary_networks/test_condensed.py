"""Large sets of several columns as groups of neighbours."""

import numpy as np
import pytest

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks import Batch, Scaling
from sbi_inn.summary_networks.condensed import GROUPS, LARGE, condensable, condensed

LARGEST = 1_000


def pairs(n, seed=1):
    """Pairs of numbers that depend on each other, in sets of different sizes."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, LARGEST + 1, n)
    first, noise = rng.normal(size=(2, n, LARGEST))
    values = np.stack([first, 2 * first + 0.1 * noise], axis=2)
    return PaddedSet(np.where(np.arange(LARGEST)[:, None] < sizes[:, None, None], values, 0), sizes)


def test_groups_have_the_means_and_covariances_of_neighbours():
    padded = pairs(40)
    found = condensed(padded)
    large = np.flatnonzero(padded.sizes > LARGE)
    assert len(large) > 10
    for row in large:
        entries = padded.values[row, : padded.sizes[row]]
        entries = entries[np.argsort(entries[:, 0])]
        each = -(-len(entries) // GROUPS)
        groups = [entries[start : start + each] for start in range(0, len(entries), each)]
        assert found.sizes[row] == len(groups)
        for group, read in zip(groups, found.values[row], strict=False):
            np.testing.assert_allclose(read[:2], group.mean(axis=0))
            if len(group) > 1:
                (one, both), (_, other) = np.cov(group.T)
                wanted = [one, other, both]
                np.testing.assert_allclose(read[2:] * np.abs(read[2:]), wanted, atol=1e-12)


def test_of_small_sets_each_entry_is_a_group():
    padded = pairs(40)
    found = condensed(padded)
    small = np.flatnonzero(padded.sizes <= LARGE)
    assert len(small) > 3
    for row in small:
        size = padded.sizes[row]
        entries = padded.values[row, :size]
        assert found.sizes[row] == size
        read = found.values[row, :size]
        np.testing.assert_allclose(read[:, :2], entries[np.argsort(entries[:, 0])])
        assert not read[:, 2:].any()


def test_the_order_of_entries_says_nothing():
    padded = pairs(10)
    mixed = padded.values.copy()
    rng = np.random.default_rng(2)
    for row, size in enumerate(padded.sizes):
        mixed[row, :size] = padded.values[row, rng.permutation(size)]
    found, again = condensed(padded), condensed(PaddedSet(mixed, padded.sizes))
    np.testing.assert_allclose(found.values, again.values, atol=1e-9)


def test_where_the_first_column_is_the_same_the_next_says_who_is_a_neighbour():
    rng = np.random.default_rng(1)
    choice, time = rng.integers(0, 2, (1, 640)).astype(float), rng.normal(size=(1, 640))
    found = condensed(PaddedSet(np.stack([choice, time], axis=2), np.array([640])))
    scatter = found.values[0, : found.sizes[0], 3]
    assert np.median(scatter) < 0.05  # of all times it is 1


@pytest.mark.parametrize("statistics", [False, True])
def test_groups_and_log_sizes_are_read(statistics):
    observations = Observations(np.empty((50, 0)), {"n": pairs(50)})
    scaling = Scaling.fit(observations, statistics=statistics)
    batch = Batch.of(observations, scaling)
    assert batch.sets["n"].entries.shape[1] >= 5
    assert batch.sets["n"].sizes.max() <= LARGE
    order = np.argsort(observations.sets["n"].sizes)
    assert (np.diff(batch.vector[order, 0].numpy()) >= 0).all()
    again = Batch.of(observations, Scaling.from_arrays(scaling.to_arrays()))
    assert (batch.sets["n"].entries == again.sets["n"].entries).all()
    assert (batch.vector == again.vector).all()


def test_a_set_of_single_numbers_beside_one_of_pairs_is_read_by_its_statistics():
    many = pairs(50)
    numbers = PaddedSet(many.values[:, :, :1], many.sizes)
    observations = Observations(np.empty((50, 0)), {"n": many, "m": numbers})
    scaling = Scaling.fit(observations, statistics=True)
    assert scaling.entrywise == ("n",)
    batch = Batch.of(observations, scaling)
    assert list(batch.sets) == ["n"]
    assert batch.vector.shape[1] > 10


def test_gaps_small_sets_and_many_columns_are_read_entry_by_entry():
    padded = pairs(5)
    gaps = padded.values.copy()
    gaps[0, 0, 0] = np.nan
    small = PaddedSet(padded.values[:, :LARGE], np.minimum(padded.sizes, LARGE))
    many = PaddedSet(np.repeat(padded.values, 5, axis=2), padded.sizes)
    sets = {"n": PaddedSet(gaps, padded.sizes), "m": small, "of ten columns": many}
    assert condensable(Observations(np.empty((5, 0)), sets)) == ()
