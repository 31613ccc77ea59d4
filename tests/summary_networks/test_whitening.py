"""Components by their own spread, and large sets by their quantiles."""

import numpy as np

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks import Batch, Scaling
from sbi_inn.summary_networks.condensed import LARGE, QUANTILES, condensed
from sbi_inn.summary_networks.described import profiled_sets
from sbi_inn.summary_networks.exact import Exact
from sbi_inn.summary_networks.whitening import Whitened

X = np.linspace(-2, 3, 40)


def lines(n, seed):
    """Points along lines of vague slope, with noise over two decades."""
    rng = np.random.default_rng(seed)
    noise = 10 ** rng.uniform(-2, 0, n)
    line = rng.normal(0, 100, (n, 1)) + rng.normal(0, 100, (n, 1)) * X
    return line + noise[:, None] * rng.normal(size=line.shape), noise


def test_what_is_small_stands_by_itself():
    table, noise = lines(2_000, 1)
    whitened = Whitened.fit(table)
    fresh, noise = lines(500, 2)
    found = whitened(fresh)
    sizes = found[:, -2 * whitened.sizes.shape[1] :]
    # What is left beyond four components is the noise, whose size 36 of them tell within 12 %.
    assert np.corrcoef(sizes[:, 3], np.log(noise))[0, 1] > 0.98
    assert np.isfinite(found).all()


def test_rows_far_out_do_not_turn_the_axes():
    table, _ = lines(2_000, 1)
    table[:5] = 1e9 * np.random.default_rng(3).normal(size=(5, 40))
    whitened = Whitened.fit(table)
    fresh, noise = lines(500, 2)
    sizes = whitened(fresh)[:, -2 * whitened.sizes.shape[1] :]
    assert np.corrcoef(sizes[:, 3], np.log(noise))[0, 1] > 0.98


def test_heavy_tails_do_not_overflow():
    table, _ = lines(500, 1)
    table[3], table[9, ::2] = 1e200, -1e300
    exact = Exact.fit(Observations(table, {}), np.arange(40))
    assert np.isfinite(exact(Observations(table, {}))).all()


def test_missing_values_and_constants_stay_finite():
    table, _ = lines(200, 1)
    table[::7, 3], table[:, 5] = np.nan, 2.0
    exact = Exact.fit(Observations(table, {}), np.arange(40))
    found = exact(Observations(table, {}))
    assert found.shape == (200, exact.width)
    assert np.isfinite(found).all()


def test_files_hold_all_of_it():
    table, _ = lines(200, 1)
    observations = Observations(table, {"n": large_sets(200)})
    scaling = Scaling.fit(observations, exact=True, likelihood=True)
    assert scaling.exact is not None
    assert scaling.exact.source.profiled == ("n",)
    again = Scaling.from_arrays(scaling.to_arrays())
    one, other = (Batch.of(observations, s) for s in (scaling, again))
    assert one.exact is not None
    assert other.exact is not None
    assert np.array_equal(one.exact, other.exact)
    assert np.array_equal(one.vector, other.vector)
    assert np.array_equal(one.sets["n"].entries, other.sets["n"].entries)


def test_givens_and_sizes_are_no_observables():
    table, _ = lines(200, 1)
    observations = Observations(table, {"n": large_sets(200)}, givens=2)
    exact = Exact.fit(observations, np.arange(40))
    features = exact(observations)
    # Beside the last two of the vector the log size, which follows 11 statistics.
    assert exact.givens.tolist() == [38, 39, 51]
    sizes = np.log(observations.sets["n"].sizes)
    assert np.corrcoef(features[:, 51], sizes)[0, 1] > 0.99
    columns = exact.columns
    hidden = set(exact.givens) | {
        len(columns.scale[0]) + place
        for place, column in enumerate(columns.scores.columns)
        if column in exact.givens
    }
    assert len(exact.observables) == 40 - 2 + 11
    assert not hidden & set(exact.observables)


def test_few_entries_have_no_profile():
    table, _ = lines(200, 1)
    few = PaddedSet(np.ones((200, 8, 1)), np.full(200, 8))
    observations = Observations(table, {"n": few, "many": large_sets(200)})
    exact = Exact.fit(observations, np.arange(40), likelihood=True)
    assert exact.source.profiled == ("many",)


def large_sets(n):
    rng = np.random.default_rng(4)
    sizes = rng.integers(LARGE // 2, 3 * LARGE, n)
    values = rng.normal(size=(n, 3 * LARGE, 1)) * (np.arange(3 * LARGE) < sizes[:, None])[..., None]
    return PaddedSet(values, sizes)


def test_large_sets_are_their_quantiles_and_small_ones_stay():
    padded = large_sets(50)
    found = condensed(padded)
    small = padded.sizes <= LARGE
    assert np.array_equal(found.sizes, np.where(small, padded.sizes, QUANTILES))
    assert small.any()
    for row in range(50):
        entries = padded.values[row, : padded.sizes[row], 0]
        read = found.values[row, : found.sizes[row], 0]
        if small[row]:
            assert np.array_equal(read, entries)
        else:
            np.testing.assert_allclose(read, np.quantile(entries, np.linspace(0, 1, QUANTILES)))


def test_sizes_are_told_beside_the_quantiles():
    observations = Observations(np.empty((50, 0)), {"n": large_sets(50)})
    batch = Batch.of(observations, Scaling.fit(observations))
    assert batch.vector.shape == (50, 1)
    order = np.argsort(observations.sets["n"].sizes)
    assert (np.diff(batch.vector[order, 0].numpy()) >= 0).all()


def test_large_sets_of_single_numbers_are_read_by_their_statistics_alone():
    observations = Observations(np.empty((50, 0)), {"n": large_sets(50)})
    scaling = Scaling.fit(observations, statistics=True)
    batch = Batch.of(observations, scaling)
    assert not batch.sets
    assert batch.vector.shape[1] >= profiled_sets(observations, ["n"]).shape[1]
    again = Batch.of(observations, Scaling.from_arrays(scaling.to_arrays()))
    assert np.array_equal(again.vector.numpy(), batch.vector.numpy())


def test_the_order_of_a_large_set_says_nothing():
    padded = large_sets(50)
    turned = padded.values.copy()
    for row, size in enumerate(padded.sizes):
        turned[row, :size] = turned[row, :size][::-1]
    there, back = (
        Observations(np.empty((50, 0)), {"n": PaddedSet(values, padded.sizes)})
        for values in (padded.values, turned)
    )
    scaling = Scaling.fit(there, statistics=True)
    read, again = (Batch.of(each, scaling).vector.numpy() for each in (there, back))
    np.testing.assert_allclose(read, again, atol=1e-4)


def test_small_sets_are_read_entry_by_entry():
    values = np.random.default_rng(5).normal(size=(20, LARGE, 1))
    observations = Observations(np.empty((20, 0)), {"n": PaddedSet(values, np.full(20, LARGE))})
    batch = Batch.of(observations, Scaling.fit(observations, statistics=True))
    assert batch.sets["n"].entries.shape[0] == 20 * LARGE
    assert batch.vector.shape[1] == 0


def test_labels_of_which_most_leave_nothing_are_whitened():
    labels = np.eye(4)[np.random.default_rng(4).choice(4, 500, p=[0.7, 0.1, 0.1, 0.1])]
    assert np.isfinite(Whitened.fit(labels)(labels)).all()
