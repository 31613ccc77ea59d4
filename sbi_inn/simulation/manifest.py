"""What a store holds, in JSON: enough to know a problem again and to read it without one."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sbi_inn.errors import LoadError
from sbi_inn.prior.families import continuous_config, discrete_config
from sbi_inn.prior.fingerprint import fingerprint
from sbi_inn.simulation.binding import Binding
from sbi_inn.simulation.declared import Declared
from sbi_inn.simulation.givens import Drawer
from sbi_inn.simulation.identity import identity
from sbi_inn.simulation.problem import Problem

FORMAT = 1
"""Of stores, that this version writes and reads."""

NAME = "manifest.json"

PROBED = 64
"""Numbers of a given that are compared."""

TOLERANCE = 1e-6
"""Relative and absolute, as other versions of scipy differ by less."""

COMPARED = {
    "seed": "seed",
    "prior": "prior",
    "probes": "prior",
    "given": "given",
    "given_probes": "given",
    "simulator": "simulator",
    "declared": "what the simulator declares",
    "noise": "noise",
}
"""What has to be alike, and what a user calls it."""


def manifest_of(problem: Problem, seed: int) -> dict[str, Any]:
    """Describe a problem and a seed."""
    names = (*problem.prior.names, *problem.given)
    return {
        "kind": "sbi_inn simulations",
        "format": FORMAT,
        "versions": {
            "sbi_inn": version("sbi-inn"),
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "scipy", "xarray", "zarr")},
        },
        "seed": seed,
        "name": problem.name,
        "prior": problem.prior.to_config(),
        "probes": fingerprint(problem.prior),
        "given": {name: _given(value) for name, value in problem.given.items()},
        "given_probes": _given_probes(problem),
        "simulator": identity(problem.simulator.function),
        "declared": Declared.of(problem).to_config() | {"batched": problem.simulator.batched},
        "random": _random(problem.binding),
        "noise": None if problem.noise is None else identity(problem.noise.function),
        "labels": {name: problem.labels.get(name, name) for name in names} | dict(problem.labels),
        "units": dict(problem.units),
        "layout": None,
        "seconds": None,
        "runs": [],
        "counts": {},
    }


def _random(binding: Binding) -> bool:
    return binding.rng or binding.seed


def _given(value: Any) -> Any:
    if hasattr(value, "rvs"):
        return continuous_config(value) or discrete_config(value) or {"kind": "code"}
    if callable(value) and not hasattr(value, "__array__"):
        return {"kind": "code", **identity(value)}
    array = np.asarray(value)
    if array.ndim == 0:
        return array.item()
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return {"kind": "table", "shape": list(array.shape), "source": digest}


def _given_probes(problem: Problem) -> dict[str, list[float]]:
    parameters = problem.prior.sample(16, np.random.default_rng(0))
    drawn = Drawer(problem.given)(parameters, 16, np.random.default_rng(0))
    return {n: v.reshape(-1)[:PROBED].astype(float).tolist() for n, v in drawn.items()}


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Say in what a problem differs from that of a store, one line each."""
    mine = json.loads(dumps(mine))
    found = {}
    for key, called in COMPARED.items():
        if called not in found and not _alike(mine[key], theirs.get(key)):
            found[called] = _said(called, mine[key], theirs.get(key))
    return list(found.values())


def _alike(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return mine.keys() == theirs.keys() and all(_alike(v, theirs[k]) for k, v in mine.items())
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(map(_alike, mine, theirs))
    if isinstance(mine, float) and isinstance(theirs, int | float):
        return bool(np.isclose(mine, theirs, TOLERANCE, TOLERANCE, equal_nan=True))
    return mine == theirs


def _said(called: str, mine: Any, theirs: Any) -> str:
    """Name the parts that differ, where there are parts."""
    if called == "prior" and "parameters" in mine and isinstance(theirs, dict):
        mine, theirs = ({e["name"]: e for e in p.get("parameters", ())} for p in (mine, theirs))
    if isinstance(mine, dict) and isinstance(theirs, dict) and called != "simulator":
        keys = [k for k in (mine | theirs) if not _alike(mine.get(k), theirs.get(k))]
        parts = [
            f"{k} is {_short(mine.get(k))} here and {_short(theirs.get(k))} there" for k in keys
        ]
        return f"{called}: {'; '.join(parts)}"
    return f"{called}: {_short(mine)} here and {_short(theirs)} there"


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict) and "distribution" in value:
        given = [f"{v:g}" if isinstance(v, float | int) else "..." for v in value["args"]]
        given += [f"{k}={v:g}" for k, v in value["kwds"].items() if isinstance(v, float | int)]
        return f"{value['distribution']}({', '.join(given)})"
    if isinstance(value, dict) and "source" in value:
        return f"{value.get('name', 'code')} (source {str(value['source'])[:8]})"
    return f"{value!r:.60}"


def dumps(manifest: Mapping[str, Any]) -> str:
    """Write it as JSON, in which NaN and infinity are numbers as Python writes them."""
    return json.dumps(manifest, indent=1)


def read(path: Path) -> dict[str, Any]:
    """Read the manifest of a store.

    Raises
    ------
    LoadError
        If there is none, or it is damaged or of a newer format.
    """
    file = path / NAME
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        raise LoadError(f"{path}: there is no store of simulations") from None
    except (OSError, ValueError, RecursionError) as error:
        raise LoadError(f"{file} cannot be read: {error}") from error
    if not isinstance(found, dict) or found.get("kind") != "sbi_inn simulations":
        raise LoadError(f"{file} is not of a store of simulations")
    if found.get("format") != FORMAT:
        raise LoadError(
            f"{path}: a store of format {found.get('format')!r}; the installed sbi_inn "
            f"{version('sbi-inn')} reads format {FORMAT}"
        )
    return found


def write(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write it, all or nothing."""
    beside = path / f".{NAME}.{os.getpid()}"
    beside.write_text(dumps(manifest))
    os.replace(beside, path / NAME)


@contextmanager
def locked(file: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock, which the system lets go of when this process ends, however it does.

    Raises
    ------
    BlockingIOError
        If another holds it, and this is not to wait.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a+") as handle:
        try:
            import fcntl
        except ImportError:  # elsewhere than on POSIX nothing is held
            yield
            return
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_UN)
