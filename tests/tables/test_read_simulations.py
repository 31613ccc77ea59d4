"""Simulations from tables: what is read, what is passed over, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import xarray as xr

import sbi_inn as si

N = 400


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"id": [f"s{i}" for i in range(N)], "mass": rng.normal(size=N)})
    frame["age"] = rng.random(N)
    for i in range(3):
        frame[f"f{i}"] = frame.mass * (i + 1) + frame.age + rng.normal(size=N)
    frame["period"] = frame.age**2
    return frame


def read(table, *, parameters=("mass", "age"), progress=False, **options):
    return si.read_simulations(table, parameters=parameters, progress=progress, **options)


FLUX = {"flux": ["f0", "f1", "f2"], "period": "period"}


# -- what is read ----------------------------------------------------------------------------------


def test_columns_become_parameters_and_observables(table, capsys):
    simulations = read(table, observables=FLUX, progress=True)
    assert capsys.readouterr().out == (
        "the table: 400 rows\nmass, age -> flux (3), period\nignored: id\n"
    )
    assert simulations.prior.names == ("mass", "age")
    assert simulations.schema.observables == {"flux": (3,), "period": ()}
    assert simulations.dataset.flux.dims == ("simulation", "flux_dim")
    assert np.array_equal(simulations.dataset.flux, table[["f0", "f1", "f2"]])
    assert np.array_equal(simulations.parameters()["age"], table.age)
    assert len(simulations.ok) == N
    assert simulations.failures.empty


def test_by_default_every_other_column_of_numbers_is_observed(table):
    simulations = read(table, given=["period"])
    assert list(simulations.schema.observables) == ["f0", "f1", "f2"]
    assert simulations.schema.givens == ("period",)
    low, high = simulations.schema.trained["period"]
    assert 0 <= table.period.min() - low < 0.1 * np.ptp(table.period)
    assert 0 <= high - table.period.max() < 0.1 * np.ptp(table.period)


def test_a_given_of_one_value_is_a_constant(table):
    simulations = read(table.assign(exposure=30.0), observables=FLUX, given={"t": "exposure"})
    assert simulations.schema.constants == {"t": 30.0}
    assert simulations.schema.givens == ()


def test_names_can_be_given(table):
    odd = table.rename(columns={"mass": "M [Msun]", "f0": "F(0)"})
    simulations = read(odd, parameters={"mass": "M [Msun]"}, observables={"flux": ["F(0)", "f1"]})
    assert simulations.prior.names == ("mass",)
    assert np.array_equal(simulations.dataset.mass, table.mass)


def test_vectors_in_numbered_columns_are_found(table):
    wide = table.rename(columns={"f0": "flux[0]", "f1": "flux[1]", "f2": "flux[2]"})
    for options in ({}, {"observables": ["flux", "period"]}):
        simulations = read(wide, **options)
        assert simulations.schema.observables == {"flux": (3,), "period": ()}
        assert np.array_equal(simulations.dataset.flux, table[["f0", "f1", "f2"]])


def test_vectors_of_parameters(table):
    both = read(table, parameters={"theta": ["mass", "age"]}, observables=FLUX)
    assert both.prior.columns == ("theta[0]", "theta[1]")
    stated = si.Prior(theta=st.multivariate_normal([0, 0.5], np.diag([1, 1])))
    with pytest.warns(UserWarning, match=r"theta\[1\] is not distributed"):
        read(table, parameters={"theta": ["mass", "age"]}, observables=FLUX, prior=stated)


def test_labels_and_units(table):
    simulations = read(table, observables=FLUX, units={"mass": "Msun"}, labels={"flux": "$F$"})
    assert simulations.dataset.mass.attrs == {"label": "mass", "units": "Msun"}
    assert simulations.dataset.flux.attrs == {"label": "$F$", "units": ""}
    with pytest.raises(si.ShapeError, match="units= names 'masss'; expected names among mass"):
        read(table, observables=FLUX, units={"masss": "Msun"})


def test_booleans_integers_and_nullable_columns_are_numbers(table):
    table["f0"] = (table.f0 > 0).astype(object)
    table["f1"] = table.f1.round().astype("Int64")
    table["f2"] = table.f2.astype("Float64")
    table["period"] = table.period > 0.3
    simulations = read(table, observables=FLUX)
    assert len(simulations.ok) == N
    assert set(np.unique(simulations.dataset.period)) == {0.0, 1.0}


def test_rows_that_are_not_finite_are_marked(table, capsys):
    table.loc[3, "f1"] = np.nan
    table.loc[5, "age"] = np.inf
    table.loc[7, ["f0", "f1"]] = None
    simulations = read(table, observables=FLUX, progress=True)
    assert "3 rows hold NaN or infinity and are left out: age in 1, flux in 2" in (
        capsys.readouterr().out
    )
    assert np.array_equal(np.setdiff1d(np.arange(N), simulations.ok), [3, 5, 7])
    assert (simulations.dataset.status.values[[3, 5, 7]] == "invalid").all()
    assert simulations.failures.simulation.to_list() == [3, 5, 7]
    assert simulations.failures.mass.to_list() == table.mass[[3, 5, 7]].to_list()
    assert np.isfinite(simulations.observations().vector).all()


def test_one_row_that_is_not_finite_is_said_in_the_singular(table, capsys):
    table.loc[3, "f1"] = np.nan
    read(table, observables=FLUX, progress=True)
    assert "1 row holds NaN or infinity and is left out: flux in 1" in capsys.readouterr().out


# -- Datasets --------------------------------------------------------------------------------------


def test_a_dataset_keeps_shapes_labels_and_units():
    rng = np.random.default_rng(2)
    mass = rng.normal(size=N)
    dataset = xr.Dataset(
        {
            "mass": ("model", mass, {"units": "Msun", "long_name": "stellar mass"}),
            "image": (("y", "x", "model"), rng.normal(size=(3, 2, N)) + mass, {"units": "Jy"}),
            "wavelength": ("x", [1.0, 2.0]),
        }
    )
    simulations = read(dataset, parameters=["mass"], observables=["image"])
    assert simulations.schema.observables == {"image": (3, 2)}
    assert np.array_equal(simulations.dataset.image[7], dataset.image[:, :, 7])
    assert simulations.dataset.mass.attrs == {"label": "stellar mass", "units": "Msun"}
    assert simulations.dataset.image.attrs["units"] == "Jy"
    other = read(dataset, parameters=["mass"], observables=["image"], units={"mass": "kg"})
    assert other.dataset.mass.attrs["units"] == "kg"


def test_a_dataset_of_our_own_simulations_is_read_back():
    once = si.simulate("two_moons", n=200, seed=1, n_jobs=1, progress=False)
    again = read(once.dataset.drop_vars("status"), parameters=["theta1", "theta2"])
    assert again.schema == once.schema
    for name in once.schema.observables:
        assert again.dataset[name].equals(once.dataset[name])


def test_a_dataset_without_rows_that_can_be_told():
    dataset = xr.Dataset({"a": ("m", np.arange(30.0))})
    with pytest.raises(si.ShapeError, match="expected a dim 'simulation' or 'observation'"):
        read(dataset, parameters=["b"], observables=["a"])


# -- sets ------------------------------------------------------------------------------------------


@pytest.fixture
def visits():
    rng = np.random.default_rng(3)
    sizes = rng.integers(2, 9, size=N)
    codes = rng.permutation(np.repeat(np.arange(N), sizes))
    mu = rng.normal(size=N)
    mag, phase = mu[codes] + rng.normal(size=len(codes)), rng.random(len(codes))
    frame = pd.DataFrame(
        {"object_id": [f"star {c}" for c in codes], "mu": mu[codes], "mag": mag, "phase": phase}
    )
    return frame.assign(airmass=mu[codes] ** 2), sizes


SET = {"sets": {"n_visits": ["mag", "phase"]}, "by": "object_id", "parameters": ["mu"]}


def test_rows_are_grouped_into_sets(visits, capsys):
    frame, sizes = visits
    simulations = read(frame, **SET, given=["airmass"], progress=True)
    said = capsys.readouterr().out
    assert f"{len(frame):,} rows, 400 of object_id" in said
    assert "mu | airmass, n_visits -> mag (n_visits), phase (n_visits)" in said
    schema = simulations.schema
    assert schema.sets == {"n_visits": ("mag", "phase")}
    assert schema.trained["n_visits"] == (sizes.min(), sizes.max())
    assert schema.givens == ("airmass",)
    # Objects come in the order of their first rows, and entries in that of theirs.
    names = frame.object_id.unique()
    for row in (0, 17, 399):
        mine = frame[frame.object_id == names[row]]
        n = int(simulations.dataset.n_visits[row])
        assert n == len(mine)
        assert np.array_equal(simulations.dataset.mag[row, :n], mine.mag)
        assert np.isnan(simulations.dataset.mag[row, n:]).all()
        assert float(simulations.dataset.mu[row]) == mine.mu.iloc[0]


def test_sets_of_a_dataset_are_padded_with_nan(visits):
    frame, sizes = visits
    grouped = read(frame, **SET)
    dataset = grouped.dataset[["mu", "mag", "phase"]]
    options = {"parameters": ["mu"], "sets": SET["sets"]}
    counted = read(dataset, **options)
    assert np.array_equal(counted.dataset.n_visits, grouped.dataset.n_visits)
    assert counted.schema == grouped.schema
    stated = read(grouped.dataset[["mu", "mag", "phase", "n_visits"]], **options)
    assert stated.schema == grouped.schema


def test_a_measurement_that_is_missing_makes_its_object_invalid(visits):
    frame, _ = visits
    frame.loc[11, "phase"] = np.nan
    simulations = read(frame, **SET)
    (bad,) = simulations.failures.simulation
    assert frame.object_id.unique()[bad] == frame.object_id[11]


def test_rows_of_one_object_have_to_agree(visits):
    frame, _ = visits
    frame.loc[11, "mu"] = 77.0
    with pytest.raises(si.ShapeError, match=r"one value of mu an object; object_id = 'star \d+'"):
        read(frame, **SET)


# -- what is refused -------------------------------------------------------------------------------

BAD = {
    "missing": (lambda t: t.drop(columns="f1"), {}, r"expected observables in f1.*it has id, mass"),
    "close": (lambda t: t.rename(columns={"age": " Age"}), {}, r"did you mean ' Age'"),
    "empty": (lambda t: t[:0], {}, "expected rows; got none"),
    "constant": (lambda t: t.assign(age=3.0), {}, "parameter age is 3 in every row.*given="),
    "text": (
        lambda t: t.assign(f1=["1.0", "n/a?", *t.f1[2:].astype(str)]),
        {},
        r"column 'f1': expected numbers; got 'n/a\?' in row 1$",
    ),
    "dates": (
        lambda t: t.assign(f1=pd.date_range("2020", periods=N)),
        {},
        "column 'f1': expected numbers; got datetime64",
    ),
    "complex": (lambda t: t.assign(f1=1j * t.f1), {}, "expected numbers; got complex128"),
    "no parameter": (lambda t: t, {"parameters": []}, "at least one parameter; got none"),
    "no observable": (lambda t: t, {"observables": []}, "at least one observable; got none"),
    "no column": (lambda t: t, {"observables": {"f": []}}, "a column for the observables 'f'"),
    "twice used": (lambda t: t, {"observables": ["f0", "f0"]}, "observables must differ"),
    "clash": (lambda t: t, {"observables": {"mass": "f0"}}, "'mass' given twice"),
    "reserved": (lambda t: t, {"observables": {"status": "f0"}}, "'status' is reserved"),
    "no identifier": (
        lambda t: t.rename(columns={"f0": "f 0"}),
        {"observables": ["f 0"]},
        r"got 'f 0': give it a name, as in \{'flux': 'f 0'\}",
    ),
    "wide given": (lambda t: t, {"given": {"g": ["f0", "f1"]}}, "one number a row for the given"),
    "by without sets": (lambda t: t, {"by": "id"}, "expected its columns, such as sets="),
    "sets without by": (lambda t: t, {"sets": {"n": ["f0"]}}, "by='object_id'"),
}


@pytest.mark.parametrize("name", BAD)
def test_tables_that_cannot_be_used(table, name):
    change, options, message = BAD[name]
    with pytest.raises(si.ShapeError, match=message):
        read(change(table), **{"observables": FLUX, **options})


def test_columns_that_come_twice(table):
    double = pd.concat([table, table[["age"]]], axis=1)
    with pytest.raises(si.ShapeError, match="columns must differ; age come twice"):
        read(double, observables=FLUX)


def test_text_is_passed_over_where_it_is_not_used(table, capsys):
    read(table.assign(note="x"), observables=FLUX, progress=True)
    assert "ignored: id, note" in capsys.readouterr().out


def test_too_few_rows(table):
    with pytest.raises(
        si.SimulationError, match="at least 20 rows.*, and 100 to fit; got 12 of 12"
    ):
        read(table[:12], observables=FLUX)
    simulations = read(table[:50], observables=FLUX)
    with pytest.raises(si.SimulationError, match="at least 100 successful simulations"):
        si.fit_posterior(simulations, progress=False)


@pytest.mark.parametrize("thing", [None, 3, [1, 2], {"a": [1.0]}])
def test_what_is_no_table(thing):
    with pytest.raises(si.ShapeError, match="expected a DataFrame, a Dataset, or the path"):
        read(thing, parameters=["a"])


def test_a_grid_is_warned_of(table):
    table["age"] = np.round(table.age, 1)
    with pytest.warns(UserWarning, match="age has only 11 different values in 400 rows"):
        read(table, observables=FLUX)
