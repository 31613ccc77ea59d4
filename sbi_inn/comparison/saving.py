"""Write a comparison to one file: JSON and arrays, never code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from sbi_inn import files
from sbi_inn.checks.candidates import Labelled
from sbi_inn.comparison.core import Core
from sbi_inn.observation.batch import Observations
from sbi_inn.typing import AnyArray

KIND = "comparison"
SET, SIZES = "set:", "sizes:"  # how the names of their arrays begin
NO_LABELS = np.zeros(0, np.int64)


def save(core: Core, path: str | Path, *, last_check: str, last_verdict: str) -> None:
    """Write networks, schema and simulations that were held out to one file."""
    method, arrays = core.fitted.to_arrays()
    registered = {n: p.name for n, p in core.problems.items() if p is not None and p.name}
    config = {
        "kind": KIND,
        "models": list(core.names),
        "problems": registered,
        "method": method,
        "schema": asdict(core.schema),
        "seed": core.seed,
        "n_simulations": core.n_simulations,
        "seconds": core.seconds,
        "last_check": last_check,
        "last_verdict": last_verdict,
    }
    parts = {
        "tests": core.tests,
        "usual": core.usual,
        "seen": Labelled(core.seen, NO_LABELS),
    }
    groups = {**arrays, **{name: as_arrays(part) for name, part in parts.items()}}
    files.write(path, config, groups | {"prior": {"log": core.log_prior}})


def as_arrays(rows: Labelled) -> Mapping[str, AnyArray]:
    """Give observations and their labels as named arrays."""
    observations: Observations = rows.observations
    found: dict[str, AnyArray] = {"vector": observations.vector, "labels": rows.labels}
    for name, padded in observations.sets.items():
        found |= {SET + name: padded.values, SIZES + name: padded.sizes}
    return found
