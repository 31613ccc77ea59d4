"""Check that models have the same observables and givens: else these would tell them apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from scipy import stats

from sbi_inn.errors import ComparisonError
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import AnyArray, FloatArray

# P-value, over all givens and pairs of models, below which two samples have different laws.
DIFFERENT = 1e-4
# Share of the values by which distributions differ at least, where that matters.
APART = 0.02


def common_schema(tables: Mapping[str, Simulations]) -> Schema:
    """Give the schema of all models: the first one's, with the ranges of all.

    Raises
    ------
    ComparisonError
        If observables or givens differ in name, kind or shape, or a constant in its value.
    """
    (first, one), *others = tables.items()
    schemas = [_schema(one)]
    for name, table in others:
        schemas.append(_schema(table))
        difference = _difference(schemas[0], schemas[-1])
        if difference:
            raise ComparisonError(
                f"expected models with the same observables and givens; {first!r} and {name!r} "
                f"differ in {difference}"
            )
    trained = {
        name: (min(s.trained[name][0] for s in schemas), max(s.trained[name][1] for s in schemas))
        for name in schemas[0].trained
    }
    names = dict.fromkeys(name for schema in schemas for name in schema.missing)
    missing = {name: max(s.missing.get(name, 0.0) for s in schemas) for name in names}
    return replace(schemas[0], trained=trained, missing=missing)


def check_agree(tables: Mapping[str, Simulations], schema: Schema) -> list[str]:
    """Raise ComparisonError where givens or lengths of sets have another law in another model.

    Returns
    -------
    list of str
        Which were compared.
    """
    (first, one), *others = tables.items()
    compared: dict[str, None] = {}
    for name, table in others:
        for given, values, others_values in _givens(one, table, schema):
            compared[given] = None
            found = stats.ks_2samp(values, others_values)
            if found.pvalue < DIFFERENT and found.statistic > APART:
                raise ComparisonError(
                    f"the given {given} has other values in {name!r} than in {first!r} "
                    f"({_range(others_values)} against {_range(values)}): it would tell which "
                    "model it is. Draw it alike in all models; if it follows from the parameters, "
                    "let the simulator return it as an observable"
                )
    return list(compared)


def _schema(table: Simulations) -> Schema:
    assert table.schema is not None
    return table.schema


def _difference(one: Schema, other: Schema) -> str:
    """Say what differs between two schemas; empty where nothing does."""
    pairs: dict[str, tuple[object, object]] = {
        "the observables": (one.observables, other.observables),
        "the sets and series": (
            {n: set(c) for n, c in one.sets.items()},
            {n: set(c) for n, c in other.sets.items()},
        ),
        "the series": (set(one.series), set(other.series)),
        "the images": (set(one.images), set(other.images)),
        "the axis of their channels": (one.channels, other.channels),
        "the givens": (set(one.givens), set(other.givens)),
        "the shapes of givens": (one.given_shapes, other.given_shapes),
        "the constants": (one.constants, other.constants),
    }
    for what, (mine, theirs) in pairs.items():
        if mine != theirs:
            return f"{what}: {_written(mine)} and {_written(theirs)}"
    return ""


def _written(value: object) -> str:
    if isinstance(value, Mapping):
        parts = (f"{name} {about if about != () else 'number'}" for name, about in value.items())
        return ", ".join(parts) or "none"
    if isinstance(value, set):
        return ", ".join(sorted(map(str, value))) or "none"
    return str(value)


def _givens(
    one: Simulations, other: Simulations, schema: Schema
) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """Give every number of a given, and every length, of both tables."""
    for name in (*schema.givens, *(n for n in schema.sets if n in schema.trained)):
        mine, theirs = (
            np.asarray(t.dataset[name].values[t.ok], float).reshape(len(t.ok), -1)
            for t in (one, other)
        )
        for column, (values, others) in enumerate(zip(mine.T, theirs.T, strict=True)):
            label = name if mine.shape[1] == 1 else f"{name}[{column}]"
            yield label, values[~np.isnan(values)], others[~np.isnan(others)]


def _range(values: AnyArray) -> str:
    return f"{values.min():.4g} to {values.max():.4g}, median {np.median(values):.4g}"
