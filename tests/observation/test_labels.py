"""An observation is read by its labels, whatever it is kept in."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sbi_inn.errors import ShapeError
from sbi_inn.observation.schema import Schema

VECTOR = Schema({"flux": (3,)}, {}, (), {}, {})
STAR = Schema({"flux": (3,), "period": ()}, {}, ("sigma",), {}, {"sigma": (0.0, 9.0)})
TRIALS = Schema({"rt": (), "choice": (2,)}, {"n": ("rt", "choice")}, (), {}, {"n": (1, 99)})
BESIDE = Schema({"rt": (), "total": ()}, {"n": ("rt",)}, (), {}, {"n": (1, 99)})
SET = Schema({"x": ()}, {"n": ("x",)}, (), {}, {"n": (1, 99)})
DAYS = Schema({"cases": ()}, {"days": ("cases",)}, (), {}, {"days": (1, 99)}, series=("days",))
IMAGE = Schema({"sky": (4, 5)}, {}, (), {}, {}, images=("sky",))

FLUX = np.array([1.0, 2.0, 3.0])
ROW = {"sigma": 0.5, "flux[2]": 3.0, "period": 7.0, "flux[0]": 1.0, "flux[1]": 2.0}
STARS = pd.DataFrame([ROW, {name: -value for name, value in ROW.items()}], index=["a", "b"])


def test_a_series_of_one_observable_in_another_order():
    flux = pd.Series({"flux[2]": 3.0, "flux[0]": 1.0, "flux[1]": 2.0})
    np.testing.assert_array_equal(VECTOR.read(flux).vector, [FLUX])
    # Places are labels, too: pandas keeps them when it sorts.
    turned = pd.Series(FLUX).sort_values(ascending=False)
    np.testing.assert_array_equal(VECTOR.read(turned).vector, [FLUX])
    np.testing.assert_array_equal(IMAGE.read(pd.Series(np.arange(20.0))).vector[0], np.arange(20))


@pytest.mark.parametrize(
    "y",
    [
        STARS.iloc[0],
        STARS.loc["a"],
        STARS.loc[["a"]],
        STARS.iloc[[0]],
        STARS.assign(note="x").drop(columns="note").iloc[0].astype(object),
        ROW,
        {"flux": pd.Series(FLUX, index=list("xyz")), "period": 7.0, "sigma": 0.5},
        STARS.to_xarray().rename(index="observation").isel(observation=0),
        STARS.to_xarray().rename(index="observation").isel(observation=[0]),
    ],
)
def test_a_row_of_a_catalogue_in_every_form(y):
    np.testing.assert_array_equal(STAR.read(y).vector, [[1.0, 2.0, 3.0, 7.0, 0.5]])


def test_what_many_are_one_is():
    many = STAR.read_many(STARS.abs()).vector
    for y, row in zip([STARS.iloc[0], STARS.abs().iloc[[1]]], many, strict=True):
        np.testing.assert_array_equal(STAR.read(y).vector[0], row)
    rows = [STARS.abs().iloc[0], STARS.abs().iloc[[1]], ROW]
    np.testing.assert_array_equal(STAR.read_many(rows).vector[:2], many)


def test_a_row_of_padded_sets_is_cut_to_its_length():
    padded = xr.Dataset(
        {
            "x": (("observation", "n_entry"), [[1.0, 2.0], [3.0, np.nan]]),
            "n": ("observation", [2, 1]),
        }
    )
    for row, entries in enumerate([[1.0, 2.0], [3.0]]):
        read = SET.read(padded.isel(observation=row))
        np.testing.assert_array_equal(read.sets["n"].values[0, :, 0], entries)


def test_a_table_with_the_columns_of_a_set_is_that_set():
    table = pd.DataFrame({"choice[1]": [0, 1, 0], "rt": [0.3, 0.5, 0.4], "choice[0]": [1, 0, 1]})
    for y in (table, table.set_index(pd.Index([5, 3, 9]))):
        read = TRIALS.read(y).sets["n"]
        np.testing.assert_array_equal(read.values[0], table[["rt", "choice[0]", "choice[1]"]])
    assert TRIALS.read(table.iloc[[1]]).sets["n"].sizes == 1
    both = TRIALS.read_many([table, table.iloc[:2]])
    np.testing.assert_array_equal(both.sets["n"].sizes, [3, 2])


def test_a_series_of_the_only_column_of_a_set():
    rt = pd.Series([0.3, 0.5], index=[17, 4])
    np.testing.assert_array_equal(SET.read(rt).sets["n"].values[0, :, 0], rt)
    days = pd.Series([5.0, 8.0, 6.0], index=pd.date_range("2020-03-01", periods=3))
    np.testing.assert_array_equal(DAYS.read(days).sets["days"].values[0, :, 0], days)


def test_a_table_of_pixels_is_an_image():
    pixels = np.arange(20.0).reshape(4, 5)
    np.testing.assert_array_equal(IMAGE.read(pd.DataFrame(pixels)).vector[0], np.arange(20))


@pytest.mark.parametrize(
    ("schema", "y", "message"),
    [
        (VECTOR, pd.Series(FLUX, index=list("abc")), r"labels flux\[0\], .*got a, b, c"),
        (VECTOR, pd.Series(FLUX, index=[5, 6, 7]), r"labels flux\[0\], .*got 5, 6, 7"),
        (VECTOR, pd.Series(FLUX[:2]), r"labels flux\[0\], .*got 0, 1"),
        (VECTOR, pd.Series(FLUX, index=["flux[0]", "flux[0]", "flux[1]"]), "labels that differ"),
        (VECTOR, pd.Series(FLUX[:2], index=["flux[0]", "flux[1]"]), r"flux missing; .*unknown"),
        (STAR, STARS.iloc[0].drop("sigma"), "sigma missing"),
        (STAR, STARS.iloc[0].rename({"sigma": "error"}), "sigma missing; error unknown"),
        (STAR, pd.Series(np.arange(5.0)), "flux, period, sigma missing; 0, 1, 2, 3, 4 unknown"),
        (STAR, STARS, "a DataFrame of 2 rows. Choose one, such as table.iloc"),
        (STAR, STARS.assign(note="x").iloc[[0]], "got note too. read_observations"),
        (STAR, STARS.to_xarray().rename(index="observation"), "a Dataset of 2. .*isel"),
        (IMAGE, pd.DataFrame(np.ones((4, 5)), columns=list("vwxyz")), "a DataFrame of 4 rows"),
        (
            SET,
            pd.Series([1.0, 2.0], index=["flux[0]", "sigma"]),
            "labels x .*got flux.0., sigma",
        ),
        (DAYS, pd.Series([1.0, 2.0, 3.0], index=[2, 0, 1]), "sort_index"),
        (BESIDE, pd.DataFrame({"rt": [0.3, 0.5]}), "total missing"),
        (
            BESIDE,
            pd.DataFrame({"rt": [0.3, 0.5], "total": [1, 1]}),
            r"columns of a set \(rt\).*2 rows of rt, total",
        ),
        (TRIALS, pd.DataFrame({"rt": [0.3, 0.5]}), "choice missing"),
    ],
)
def test_labels_that_do_not_fit(schema, y, message):
    with pytest.raises(ShapeError, match=message):
        schema.read(y)


def test_missing_pixels_stay_nan():
    sky = np.arange(20.0).reshape(4, 5)
    sky[1, 2] = np.nan
    schema = Schema(
        {"sky": (4, 5)}, {}, (), {}, {}, missing={"sky": 0.5, "observation": 0.5}, images=("sky",)
    )
    np.testing.assert_array_equal(schema.read(sky).vector, [sky.ravel()])
