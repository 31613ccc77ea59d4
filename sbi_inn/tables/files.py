"""Tables on disk, read by pandas and xarray."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import xarray as xr

from sbi_inn.errors import LoadError, ShapeError

TEXT = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
PARQUET = (".parquet", ".pq")
NETCDF = (".nc", ".nc4", ".netcdf")
ZARR = (".zarr",)
SUFFIXES = (*TEXT, *PARQUET, *NETCDF, *ZARR)

INSTALL = {
    PARQUET: ("a Parquet file", "pyarrow"),
    NETCDF: ("this netCDF file", "h5netcdf"),
    ZARR: ("a Zarr store", "zarr"),
}


def has_table_suffix(path: object) -> bool:
    """Whether something is a path that ends like a table."""
    return isinstance(path, str | Path) and str(path).lower().endswith(SUFFIXES)


def read(path: str | Path) -> pd.DataFrame | xr.Dataset:
    """Read a table from a file; the end of its name says what it is.

    Raises
    ------
    LoadError
        If there is no such file, its name ends otherwise, or it cannot be read.
    ImportError
        If pandas or xarray need a package that is not there; the message says which.
    ShapeError
        If a column of a text file comes twice.
    """
    path = Path(path)
    if not path.exists():
        raise LoadError(f"{path}: there is no such file")
    name = path.name.lower()
    if not name.endswith(SUFFIXES):
        raise LoadError(
            f"{path}: expected a name that ends in {', '.join(SUFFIXES)}; read it yourself and "
            "pass the DataFrame or Dataset"
        )
    try:
        if name.endswith(tuple(TEXT)):
            return _read_text(path, next(TEXT[end] for end in TEXT if name.endswith(end)))
        if name.endswith(PARQUET):
            return pd.read_parquet(path)
        if name.endswith(ZARR):
            return _read_zarr(path)
        with xr.open_dataset(path) as dataset:
            return dataset.load()
    except (ShapeError, LoadError):
        raise
    except (ImportError, ValueError, OSError, UnicodeError) as error:
        raise _explained(path, name, error) from error


def _read_zarr(path: Path) -> xr.Dataset:
    """Read a store, consolidated or not; its variables come in no order, so they are sorted."""
    with xr.open_zarr(path, consolidated=False) as dataset:
        loaded = dataset.load()
    return loaded[sorted(loaded.data_vars, key=str)]


def _explained(path: Path, name: str, error: Exception) -> Exception:
    """Say what to install where an engine is missing, and what is wrong with the file otherwise."""
    for suffixes, (what, package) in INSTALL.items():
        if name.endswith(suffixes) and _is_missing(package, suffixes, error):
            return ImportError(
                f"{path}: to read {what}, a package is missing: pip install {package}, or, in a "
                f'copy of the repository, pip install ".[tables]" ({_first_line(error)})'
            )
    return LoadError(f"{path}: it cannot be read: {_first_line(error)}")


def _is_missing(package: str, suffixes: tuple[str, ...], error: Exception) -> bool:
    """Whether an error is that of a missing engine; xarray raises a ValueError then."""
    if isinstance(error, ImportError):
        return True
    from importlib.util import find_spec

    others = ("netCDF4",) if suffixes is NETCDF else ()
    return isinstance(error, ValueError) and not any(map(find_spec, (package, *others)))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    """Read a CSV; pandas would rename a column that comes twice."""
    read = partial(pd.read_csv, path, sep=separator, skipinitialspace=True, encoding="utf-8-sig")
    try:
        header = read(header=None, nrows=1, dtype=str).iloc[0].dropna()
    except pd.errors.EmptyDataError:
        raise LoadError(f"{path}: it is empty") from None
    twice = header[header.duplicated()].unique()
    if len(twice):
        raise ShapeError(f"{path}: columns must differ; {', '.join(map(repr, twice))} come twice")
    return read(low_memory=False)
