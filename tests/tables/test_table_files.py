"""Tables on disk: round trips, and what is said of files that cannot be read."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

import sbi_inn as si
from sbi_inn.tables import files


def installed(*packages):
    return pytest.mark.skipif(
        not any(map(find_spec, packages)), reason=f"{' or '.join(packages)} is not installed"
    )


WRITE = {
    "table.csv": lambda t, path: t.to_csv(path, index=False),
    "table.CSV": lambda t, path: t.to_csv(path, index=False),
    "table.csv.gz": lambda t, path: t.to_csv(path, index=False),
    "table.tsv": lambda t, path: t.to_csv(path, index=False, sep="\t"),
    # Classic netCDF, which scipy writes and reads.
    "table.nc": lambda t, path: (
        t.to_xarray().rename(index="simulation").to_netcdf(path, engine="scipy")
    ),
    "hdf5.nc": lambda t, path: t.to_xarray().rename(index="simulation").to_netcdf(path),
    "table.parquet": lambda t, path: t.to_parquet(path),
    "table.zarr": lambda t, path: (
        t.to_xarray().rename(index="simulation").to_zarr(path, consolidated=False)
    ),
}
NEEDS = {
    "hdf5.nc": installed("netCDF4", "h5netcdf"),
    "table.parquet": installed("pyarrow", "fastparquet"),
    "table.zarr": installed("zarr"),
}


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    return pd.DataFrame({name: rng.normal(size=200) for name in ("mass", "f1", "f2")})


@pytest.mark.parametrize("name", [pytest.param(n, marks=NEEDS.get(n, ())) for n in WRITE])
def test_round_trips(table, tmp_path, name):
    path = tmp_path / name
    WRITE[name](table, path)
    for given in (path, str(path)):
        simulations = si.read_simulations(given, parameters=["mass"], progress=False)
        assert np.allclose(simulations.dataset.mass, table.mass, rtol=1e-12)
        assert np.allclose(simulations.dataset.f2, table.f2, rtol=1e-12)
        assert list(simulations.schema.observables) == ["f1", "f2"]
    ys = si.read_observations(path, observables=["f2", "f1"], progress=False)
    assert np.allclose(ys.f1, table.f1, rtol=1e-12)


def test_units_come_back_from_netcdf(table, tmp_path):
    dataset = table.to_xarray().rename(index="simulation")
    dataset.mass.attrs["units"] = "Msun"
    dataset.to_netcdf(tmp_path / "table.nc", engine="scipy")
    read = si.read_simulations(tmp_path / "table.nc", parameters=["mass"], progress=False)
    assert read.dataset.mass.attrs["units"] == "Msun"


def test_columns_of_a_csv_that_come_twice(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("mass, f1, mass\n1, 2, 3\n")
    with pytest.raises(si.ShapeError, match=r"table\.csv: columns must differ; 'mass' come twice"):
        si.read_simulations(path, parameters=["mass"])


def test_blanks_after_commas_and_a_byte_order_mark_do_no_harm(tmp_path):
    path = tmp_path / "table.csv"
    rows = "\n".join(f"{i}, {i % 7}, x" for i in range(30))
    path.write_text(f"\ufeffmass, f1, note\n{rows}\n", encoding="utf-8")
    read = si.read_simulations(path, parameters=["mass"], observables=["f1"], progress=False)
    assert read.dataset.mass.values.tolist() == list(range(30))


def test_text_in_a_csv_is_named(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("mass,f1\n" + "1,2\n" * 25 + "1,two\n" + "1,\n")
    with pytest.raises(si.ShapeError, match=r"column 'f1': expected numbers; got 'two' in row 25$"):
        si.read_simulations(path, parameters=["mass"], observables=["f1"])


BAD = {
    "none.csv": (None, "there is no such file"),
    "table.xls": ("", r"expected a name that ends in \.csv"),
    "empty.csv": ("", "it is empty"),
    "broken.nc": ("no netCDF at all", "it cannot be read|a package is missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_cannot_be_read(tmp_path, name):
    text, message = BAD[name]
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises((si.LoadError, ImportError), match=message):
        si.read_simulations(tmp_path / name, parameters=["mass"])


ENGINES = {
    "table.parquet": ("pyarrow", "read_parquet", ImportError("Unable to find a usable engine")),
    "table.nc": ("h5netcdf", "open_dataset", ValueError("found no matching engine")),
    "table.zarr": ("zarr", "open_zarr", ImportError("No module named 'zarr'")),
}


@pytest.mark.parametrize("name", ENGINES)
def test_a_missing_engine_is_named(tmp_path, name, monkeypatch):
    package, function, error = ENGINES[name]

    def missing(path, **settings):
        raise error

    module = files.pd if function == "read_parquet" else files.xr
    monkeypatch.setattr(module, function, missing)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / name).write_text("anything")
    with pytest.raises(
        ImportError, match=rf'pip install {package}, or.*pip install "\.\[tables\]"'
    ):
        si.read_simulations(tmp_path / name, parameters=["mass"])
