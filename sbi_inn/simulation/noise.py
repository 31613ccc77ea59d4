"""Noise: what is done to observables after the simulator, such as measurement errors and gaps.

If simulations are expensive and without noise, noise is cheap: every training epoch draws it anew,
so that a few simulations serve for many observations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.binding import asked
from sbi_inn.simulation.outputs import Kinds, Layout, WrongOutput, kept, read_batch, read_rows
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.simulation.simulator import Simulator
from sbi_inn.typing import AnyArray

Values = Mapping[str, AnyArray]


@dataclass(frozen=True)
class _Rows:
    """Simulations, as the function gets them."""

    known: Values  # observables, parameters and givens
    sizes: Mapping[str, AnyArray]  # of sets, by the name of the length
    layout: Layout

    def __len__(self) -> int:
        return len(next(iter(self.known.values())))

    def each(self, names: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Give one simulation after another, each set's columns at their own length."""
        lengths = {name: self.layout.length_of(name) for name in names}
        for row in range(len(self)):
            values = {name: self.known[name][row] for name in lengths}
            yield {
                name: value if (n := lengths[name]) is None else value[: self.sizes[n][row]]
                for name, value in values.items()
            }


@dataclass(frozen=True)
class Noise:
    """A function from observables, parameters, givens and `rng` to changed observables.

    Attributes
    ----------
    function : callable
        It names the observables, parameters (such as a jitter) and givens that it needs, and `rng`.
        It returns the observables that it has changed, by name, or a bare array where there is one
        observable; their shapes stay. NaN is a missing value.
    batched : bool
        Whether one call serves many rows: arrays come and go with a leading axis B.

    Raises
    ------
    SimulationError
        If the function cannot be called.
    """

    function: Callable[..., Any]
    batched: bool = False

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise SimulationError(
                f"expected noise= a function of observables, givens and rng; got "
                f"{self.function!r:.80}"
            )

    def __call__(
        self, observables: Values, known: Values, schema: Schema, rng: np.random.Generator
    ) -> dict[str, AnyArray]:
        """Apply it to rows of simulations, one after another.

        Parameters
        ----------
        observables : mapping of str to array, shape (rows, ...)
            Columns of a set padded to one length.
        known : mapping of str to array, shape (rows, ...)
            Parameters and givens, constants and the sizes of sets among them.
        schema : Schema
        rng : numpy.random.Generator

        Returns
        -------
        dict of str to array, shape (rows, ...)
            All observables. Columns of a set are NaN beyond a row's own length.

        Raises
        ------
        SimulationError
            If the function asks for what is unknown, raises, or returns other
            names, other shapes or infinity.
        """
        taken = self._taken((*observables, *known))
        if not len(next(iter(observables.values()))):
            return {name: value.copy() for name, value in observables.items()}
        layout = _layout(schema)
        sizes = {name: np.asarray(known[name], np.int64) for name in layout.kinds.lengths}
        rows = _Rows({**observables, **known}, sizes, layout)
        call = self._at_once if self.batched else self._each
        try:
            changed = call(rows, taken, rng)
        except WrongOutput as error:
            raise SimulationError(f"noise: {error}") from None
        for name, value in changed.items():
            if np.isinf(value).any():
                raise SimulationError(
                    f"noise: expected finite numbers in {name}, or NaN where it is missing; got "
                    "infinity"
                )
        return changed

    def _taken(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """List what is handed over, by name, and `rng` if it is asked for."""
        taken, strangers = asked(self.function, known)
        if strangers:
            raise SimulationError(
                f"noise: the argument {', '.join(map(repr, strangers))} is not an "
                f"observable, parameter or given "
                f"(known: {', '.join((*known, 'rng'))})"
            )
        return taken

    def _at_once(
        self, rows: _Rows, taken: tuple[str, ...], rng: np.random.Generator
    ) -> dict[str, AnyArray]:
        filled = {n: rng if n == "rng" else rows.known[n].copy() for n in taken}
        output = self._call(filled, rows.layout)
        rest = {n: rows.known[n] for n in rows.layout.shapes if n not in output}
        return read_batch({**rest, **output}, 0, len(rows), rows.sizes, rows.layout)

    def _each(
        self, rows: _Rows, taken: tuple[str, ...], rng: np.random.Generator
    ) -> dict[str, AnyArray]:
        observed = tuple(rows.layout.shapes)
        outputs = []
        for row in rows.each((*observed, *(n for n in taken if n != "rng"))):
            # Copies, so that a function that writes to its arguments does not change the table.
            filled = {n: rng if n == "rng" else np.copy(row[n])[()] for n in taken}
            output = {n: kept(v) for n, v in self._call(filled, rows.layout).items()}
            if len(output) < len(observed):
                output = {n: row[n] for n in observed} | output
            outputs.append(output)
        return read_rows(outputs, range(len(outputs)), rows.sizes, rows.layout)

    def _call(self, filled: dict[str, Any], layout: Layout) -> dict[Any, Any]:
        try:
            output = self.function(**filled)
        except Exception as error:
            raise SimulationError(f"noise raised {type(error).__name__}: {error}") from error
        if isinstance(output, Mapping):
            return dict(output)
        if output is None or len(layout.shapes) != 1:
            raise SimulationError(
                "noise: expected a dict of the observables that it has changed, among "
                f"{', '.join(layout.shapes)}; got {type(output).__name__}"
            )
        return {next(iter(layout.shapes)): output}


def as_noise(function: Noise | Simulator | Callable[..., Any] | None) -> Noise | None:
    """Make a record of a function; `@si.simulator(batched=True)` says that one call serves many."""
    if function is None or isinstance(function, Noise):
        return function
    if isinstance(function, Simulator):
        return Noise(function.function, function.batched)
    return Noise(function)


def _layout(schema: Schema) -> Layout:
    """Give the layout of the observables as they stand in a table."""
    fixed = {n: columns for n, columns in schema.sets.items() if n in schema.lengths}
    varying = {n: columns for n, columns in schema.sets.items() if n not in fixed}
    length_of = {name: schema.lengths[n] for n, columns in fixed.items() for name in columns}
    shapes = {
        name: (length_of[name], *shape) if name in length_of else shape
        for name, shape in schema.observables.items()
    }
    return Layout(shapes, Kinds(varying, fixed, tuple(schema.seen_grids), schema.channels))
