"""The way in for observations: every form a user may type, and every mistake."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.observation.batch import Observations, join
from sbi_inn.observation.description import scalar_names
from sbi_inn.observation.schema import Schema

BARE = Schema({"y": (2,)}, {}, (), {}, {})
NUMBER = Schema({"y": ()}, {}, (), {}, {})
MIXED = Schema(
    observables={"rt": (), "choice": (2,), "image": (2, 2), "total": ()},
    sets={"n": ("rt", "choice")},
    givens=("sigma",),
    constants={"k": 4.0},
    trained={"sigma": (0.5, 2.0), "n": (1.0, 5.0)},
)


def mixed(n=3, **changes):
    rng = np.random.default_rng(n)
    y = {
        "rt": rng.normal(size=n),
        "choice": rng.normal(size=(n, 2)),
        "image": rng.normal(size=(2, 2)),
        "total": 7.0,
        "sigma": 1.0,
    }
    return y | changes


def same(one: Observations, other: Observations):
    return (
        np.array_equal(one.vector, other.vector)
        and one.sets.keys() == other.sets.keys()
        and all(np.array_equal(s.values, other.sets[n].values) for n, s in one.sets.items())
        and all(np.array_equal(s.sizes, other.sets[n].sizes) for n, s in one.sets.items())
    )


def test_names():
    assert scalar_names("x", (2, 2)) == ("x[0,0]", "x[0,1]", "x[1,0]", "x[1,1]")
    assert MIXED.fixed == ("image", "total")
    assert MIXED.asked == ("rt", "choice", "image", "total", "sigma")
    assert MIXED.columns == (*scalar_names("image", (2, 2)), "total", "sigma")
    assert MIXED.observable_columns() == 5


@pytest.mark.parametrize(
    "y", [[1, 2], np.array([1.0, 2.0]), {"y": (1, 2)}, xr.Dataset({"y": ("i", [1, 2])})]
)
def test_one_observable_in_every_form(y):
    assert np.array_equal(BARE.read(y).vector, [[1.0, 2.0]])


def test_a_number():
    assert NUMBER.read(3).vector.shape == NUMBER.read({"y": 3}).vector.shape == (1, 1)
    assert NUMBER.example() == "a number"


def test_a_set_with_fixed_observables_and_givens():
    y = mixed(3)
    read = MIXED.read(y)
    assert np.array_equal(read.vector[0], [*y["image"].ravel(), 7.0, 1.0])
    assert np.array_equal(read.sets["n"].sizes, [3])
    assert np.array_equal(read.sets["n"].values[0, :, 0], y["rt"])
    assert np.array_equal(read.sets["n"].values[0, :, 1:], y["choice"])
    assert same(read, MIXED.read(y | {"n": 3, "k": 4}))


def test_unstack_inverts_read():
    batch = join([MIXED.read(mixed(3)), MIXED.read(mixed(5))])
    for row, n in enumerate((3, 5)):
        written = MIXED.unstack(batch, row)
        assert all(np.array_equal(written[name], value) for name, value in mixed(n).items())
        assert same(MIXED.read(written), MIXED.read(mixed(n)))


def test_a_batch_of_ragged_sets_is_padded_with_zeros():
    batch = MIXED.read_many([mixed(2), mixed(5)])
    padded = batch.sets["n"]
    assert padded.values.shape == (2, 5, 3)
    assert (padded.values[0, 2:] == 0).all()
    assert np.array_equal(padded.mask.sum(axis=1), [2, 5])
    assert same(batch[:1], MIXED.read(mixed(2)))
    assert len(batch[np.array([True, False])]) == 1


def test_many_in_every_form():
    rows = np.arange(6.0).reshape(3, 2)
    expected = BARE.read_many(list(rows))
    assert np.array_equal(expected.vector, rows)
    dataset = xr.Dataset({"y": (("observation", "i"), rows)})
    frame = pd.DataFrame({"y[0]": rows[:, 0], "y[1]": rows[:, 1]})
    named = {name: {"y": row} for name, row in zip("abc", rows, strict=True)}
    for ys in (rows, dataset, frame, list(named.values()), named):
        assert same(BARE.read_many(ys), expected)


def test_a_padded_dataset_of_sets_is_cut_to_its_lengths():
    schema = Schema({"x": ()}, {"n": ("x",)}, (), {}, {})
    padded = np.array([[1.0, 2.0], [3.0, np.nan]])
    ys = xr.Dataset({"x": (("observation", "n_entry"), padded), "n": ("observation", [2, 1])})
    assert np.array_equal(schema.read_many(ys).sets["n"].sizes, [2, 1])


@pytest.mark.parametrize(
    ("schema", "y", "message"),
    [
        (BARE, [1, 2, 3], r"expected y of shape \(2,\); got \(3,\)"),
        (BARE, {"x": [1, 2]}, r"an array of shape \(2,\); got names x: y missing; x unknown"),
        (BARE, [1, np.nan], "expected finite numbers in y; got NaN"),
        (BARE, [1, np.inf], "expected finite numbers in y"),
        (BARE, "ab", "expected numbers in y; got 'ab'"),
        (BARE, None, "expected .*y"),
        (MIXED, [1.0], r"expected an observation like \{'rt': \(n,\), 'choice': \(n, ...\)"),
        (MIXED, {"rt": [1.0]}, "choice, image, total, sigma missing"),
        (MIXED, mixed(extra=1), "extra unknown"),
        (MIXED, mixed(rt=np.ones(2)), "same length of at least 1; got lengths"),
        (MIXED, mixed(0), "same length of at least 1"),
        (MIXED, mixed(rt=1.0), "same length of at least 1"),
        (MIXED, mixed(n=4) | {"n": 3}, "n = 3.* was given with 4 entries"),
        (MIXED, mixed(k=5), "k is 4 in every simulation; got 5"),
        (MIXED, mixed(rt=[1, np.nan, 2]), "expected finite numbers in rt"),
        (MIXED, mixed(choice=np.ones((3, 3))), "expected choice of shape"),
        (MIXED, mixed(sigma=[1.0, 2.0]), r"expected sigma of shape \(\)"),
    ],
)
def test_what_does_not_fit_is_said(schema, y, message):
    with pytest.raises(ShapeError, match=message):
        schema.read(y)


@pytest.mark.parametrize(
    ("ys", "message"),
    [
        ([], "at least one observation"),
        ({"y": [1, 2]}, r"expected many observations.*got dict of y, as one .* write \[y\]"),
        ({"a": {"y": [1, 2]}, "b": [1, 2]}, "expected a dict for each name.* got list for 'b'"),
        ({"a": {"y": [1, 2]}, "b": {"z": 1}}, "observation b: .*z unknown"),
        ({}, "at least one observation"),
        (3, "expected many observations.*got int"),
        ([[1, 2], [1]], r"observation 1: expected y of shape \(2,\)"),
        (xr.Dataset({"y": ("i", [1.0, 2.0])}), "expected a dim 'observation'"),
        (pd.DataFrame({"z": [1.0]}), "observation 0: .*z unknown"),
    ],
)
def test_many_that_do_not_fit(ys, message):
    with pytest.raises(ShapeError, match=message):
        BARE.read_many(ys)


def test_outside_the_trained_range_is_a_warning():
    with pytest.warns(UserWarning, match="sigma = 3 is outside the trained range 0.5 to 2"):
        MIXED.read(mixed(sigma=3.0))
    with pytest.warns(UserWarning, match="n = 6 is outside the trained range 1 to 5"):
        MIXED.read(mixed(6))
    with pytest.warns(UserWarning, match="sigma") as caught:
        MIXED.read_many([mixed(sigma=3.0)] * 4)
    assert len(caught) == 1


def test_stack_ignores_what_lies_beyond_a_size():
    values = {"x": np.array([[1.0, 2.0], [3.0, np.nan]])}
    schema = Schema({"x": ()}, {"n": ("x",)}, (), {}, {})
    batch = schema.stack(values, {"n": np.array([2, 1])})
    assert np.array_equal(batch.sets["n"].values[..., 0], [[1, 2], [3, 0]])
    with pytest.raises(ShapeError, match="finite numbers in x"):
        schema.stack(values, {"n": np.array([2, 2])})


def test_features_are_cut_into_observables_and_givens():
    vector = np.arange(12.0).reshape(2, 6)
    found = MIXED.fold(vector)
    assert list(found) == ["image", "total", "sigma"]
    assert np.array_equal(found["image"], vector[:, :4].reshape(2, 2, 2))
    assert np.array_equal(found["total"], vector[:, 4])
    assert np.array_equal(found["sigma"], vector[:, 5])
    # The observables alone, as a network predicts them.
    assert list(MIXED.fold(vector[:, :5])) == ["image", "total"]
    assert BARE.fold(vector[:0, :2])["y"].shape == (0, 2)


def test_observations_know_how_many_features_are_givens():
    read = MIXED.read(mixed())
    assert read.givens == 1
    assert read[[0, 0]].givens == 1
    assert join([read, read]).givens == 1
    assert BARE.read([1, 2]).givens == 0
