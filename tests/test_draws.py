"""Labelled draws: built, laid flat, summarised."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import xarray as xr

from sbi_inn.draws import by_name, columns_of, flat, make_draws, summary
from sbi_inn.errors import ShapeError


@pytest.fixture
def draws():
    rng = np.random.default_rng(1)
    return make_draws(
        {"elbow": rng.normal(2.0, 0.5, 20_000), "theta": rng.normal(size=(20_000, 2))},
        labels={"theta": "concentration"},
        units={"elbow": "rad"},
        prior_widths={"elbow": 4.0, "theta": [8.0, 16.0]},
        attrs={"acceptance_rate": 0.1},
    )


def test_make_draws_labels_variables_and_keeps_attrs(draws):
    assert draws.theta.dims == ("draw", "theta_dim")
    assert draws.elbow.dims == ("draw",)
    assert draws.elbow.attrs["label"] == "elbow"
    assert draws.elbow.attrs["units"] == "rad"
    assert draws.theta.attrs["label"] == "concentration"
    assert draws.theta.attrs["units"] == ""
    assert draws.attrs == {"acceptance_rate": 0.1}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3), "b": np.zeros(4)}, "same number of draws.*'a': 3.*'b': 4"),
        ({"a": np.zeros((3, 2, 2, 2))}, r"'a' must have shape.*\(3, 2, 2, 2\)"),
        ({"a": 1.0}, r"'a' must have shape.*\(\)"),
    ],
)
def test_make_draws_says_what_does_not_fit(arrays, message):
    with pytest.raises(ShapeError, match=message):
        make_draws(arrays)


def test_flat_keeps_order_and_values(draws):
    columns, array = flat(draws)
    assert columns == ("elbow", "theta[0]", "theta[1]")
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array[:, 0], draws.elbow)
    np.testing.assert_array_equal(array[:, 1:], draws.theta)


def test_flat_does_not_depend_on_the_order_of_dims(draws):
    np.testing.assert_array_equal(flat(draws.transpose(..., "draw"))[1], flat(draws)[1])


def test_flat_leaves_out_what_is_no_draw(draws):
    draws["answer"] = 42.0
    assert flat(draws)[0] == ("elbow", "theta[0]", "theta[1]")


def test_several_observations_are_refused_and_one_is_taken(draws):
    several = draws.expand_dims(observation=3)
    with pytest.raises(ShapeError, match=r"isel\(observation=0\)"):
        flat(several)
    np.testing.assert_array_equal(flat(several.isel(observation=1))[1], flat(draws)[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (xr.Dataset({"a": ("simulation", [1.0])}), "dim 'draw'.*simulation"),
        (xr.Dataset({"a": ("draw", ["x"])}), "must be numbers"),
        ({"a": [1.0]}, "must be an xarray.Dataset.*dict"),
    ],
)
def test_flat_says_what_it_needs(wrong, message):
    with pytest.raises(ShapeError, match=message):
        flat(wrong)


def test_summary_of_a_normal_agrees_with_theory(draws):
    row = summary(draws).loc["elbow"]
    # Monte-Carlo sd of a quantile: sqrt(p (1 - p) / m) / density; five of them are allowed.
    normal = st.norm(2.0, 0.5)
    for name, p in [
        ("low95", 0.025),
        ("low68", 0.16),
        ("median", 0.5),
        ("high68", 0.84),
        ("high95", 0.975),
    ]:
        error = np.sqrt(p * (1 - p) / 20_000) / normal.pdf(normal.ppf(p))
        assert row[name] == pytest.approx(normal.ppf(p), abs=5 * error)
    assert row["mean"] == pytest.approx(2.0, abs=5 * 0.5 / np.sqrt(20_000))
    assert row["sd"] == pytest.approx(0.5, abs=5 * 0.5 / np.sqrt(40_000))
    assert row["units"] == "rad"


def test_summary_columns_and_rows(draws):
    table = summary(draws)
    assert list(table.index) == ["elbow", "theta[0]", "theta[1]"]
    assert list(table) == [
        "units", "mean", "sd", "median", "low68", "high68", "low95", "high95", "width",
    ]  # fmt: skip


def test_width_is_relative_to_the_priors(draws):
    table = summary(draws)
    length = table.high95 - table.low95
    np.testing.assert_allclose(table.width, length / [4.0, 8.0, 16.0])


def test_derived_variables_have_no_width_unless_prior_draws_say(draws):
    rng = np.random.default_rng(2)
    prior = make_draws({"elbow": rng.uniform(0, 10, 50_000)})
    for one in (draws, prior):
        one["twice"] = 2 * one.elbow
    assert np.isnan(summary(draws).loc["twice", "width"])
    table = summary(draws, prior)
    assert table.loc["twice", "width"] == pytest.approx(4 * 1.96 * 0.5 / 19.0, rel=0.03)
    assert table.loc["elbow", "width"] == pytest.approx(2 * 1.96 * 0.5 / 4.0, rel=0.03)


def test_a_derived_variable_does_not_pose_as_its_parameter(draws):
    draws["elbow_deg"] = np.rad2deg(draws.elbow)
    draws["angle"] = np.rad2deg(draws.elbow)
    draws["angle"].attrs["units"] = "deg"
    about = {column.name: column for column in columns_of(draws)}
    assert about["elbow"].units == "rad"
    assert (about["elbow_deg"].label, about["elbow_deg"].units) == ("elbow_deg", "")
    assert (about["angle"].label, about["angle"].units) == ("angle", "deg")


def test_foreign_draws_without_attributes(draws):
    table = summary(xr.Dataset({"a": ("draw", [1.0, 2.0, 3.0])}))
    assert table.loc["a", "median"] == 2.0
    assert table.loc["a", "units"] == ""
    assert np.isnan(table.loc["a", "width"])


def test_summary_of_one_draw_and_of_none():
    assert np.isnan(summary(make_draws({"a": [1.0]})).loc["a", "sd"])
    with pytest.raises(ShapeError, match="at least one draw.*0 draws"):
        summary(make_draws({"a": []}))


def test_a_derived_variable_has_no_width_even_where_its_parameter_is_gone(draws):
    draws["elbow_deg"] = np.rad2deg(draws.elbow)
    assert np.isnan(summary(draws[["elbow_deg"]]).loc["elbow_deg", "width"])


def test_parameters_by_name_whatever_they_are_kept_in(draws):
    names = list(draws.data_vars)
    expected = {name: draws[name].to_numpy() for name in names}
    frame = pd.DataFrame(dict(zip(*_columns(draws), strict=True)))
    for form in (draws, draws.transpose(), frame, {**expected, "other": 3}):
        found = by_name(form, names)
        assert list(found) == names
        assert all(np.array_equal(found[name], expected[name]) for name in names)
    assert by_name({"x": 1}, ["y"]) == {}


def _columns(draws):
    names, array = flat(draws)
    return names, array.T


def test_a_map_has_dims_of_its_own_and_columns_by_row_and_column():
    draws = make_draws({"sky": np.arange(12.0).reshape(2, 2, 3)})
    assert draws.sky.dims == ("draw", "sky_y", "sky_x")
    names, array = flat(draws)
    assert names[4] == "sky[1,1]"
    assert array[1].tolist() == [6, 7, 8, 9, 10, 11]
