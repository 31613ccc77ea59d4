"""Write a posterior to one file: JSON and arrays, never code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sbi_inn import files
from sbi_inn.methods import to_arrays
from sbi_inn.posterior.core import Core
from sbi_inn.prior.fingerprint import fingerprint
from sbi_inn.typing import FloatArray

FIELDS = 500  # held-out simulations that are kept where parameters are fields
REFERENCES = 8  # held-out simulations whose summaries are kept


@dataclass(frozen=True)
class Last:
    """What the last general check said, in words and in numbers; empty before."""

    check: str
    verdict: str
    numbers: Mapping[str, Any]


def save(core: Core, path: str | Path, last: Last) -> None:
    """Write method, weights, prior, schema and held-out simulations to one file."""
    method, arrays = to_arrays(core.fitted)
    derived = core.simulations.derived
    rows = core.test_rows[:FIELDS] if core.prior.fields else core.test_rows
    held_out = core.simulations.as_observed().isel(simulation=rows)
    variables = {str(n): v for n, v in held_out.data_vars.items() if n != "status"}
    config = {
        "kind": "posterior",
        "name": core.problem.name if core.problem else "",
        "method": method,
        "prior": core.prior.to_config(),
        "probes": fingerprint(core.prior),
        "nuisances": list(core.nuisances),
        "schema": asdict(core.schema),
        "noise": core.simulations.noise is not None,
        "variables": {n: {"dims": v.dims, "attrs": v.attrs} for n, v in variables.items()},
        "attrs": held_out.attrs,
        "seed": core.seed,
        "n_simulations": core.n_simulations,
        "derived": [] if derived is None else [*derived.widths],
        "derived_words": {}
        if derived is None
        else {"labels": dict(derived.labels), "units": dict(derived.units)},
        "refined": core.refined and core.refined.to_config(),
        "training": asdict(core.training),
        "provenance": core.provenance.to_config(),
        "last_check": last.check,
        "last_verdict": last.verdict,
        "last_numbers": last.numbers,
    }
    held = {name: variable.values for name, variable in variables.items()}
    for place in core.prior.fields:
        held[place.name] = held[place.name].astype(np.float32)
    reference = {"scale": core.scale, "summaries": reference_summaries(core)}
    groups = {**arrays, "held_out": held, "reference": reference}
    if core.refined is not None:
        groups["refined"] = dict(core.refined.y)
    files.write(path, config, groups)


def reference_summaries(core: Core) -> FloatArray:
    """Sum up some held-out simulations by the network, (rows, features); (0, 0) if it cannot."""
    found = core.features(core.simulations.observations(core.test_rows[:REFERENCES]))
    return found if found.shape[1] else np.empty((0, 0))
