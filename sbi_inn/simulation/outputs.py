"""Outputs of the simulator: whatever their kind, they become arrays of known shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sbi_inn.errors import ShapeError
from sbi_inn.names import check_names
from sbi_inn.observation.image import Channels, Grid
from sbi_inn.observation.plain import plain
from sbi_inn.typing import AnyArray, BoolArray, FloatArray, IntArray

Columns = Mapping[str, Sequence[str]]

BARE = "y"
"""The observable of a simulator that returns one array or number."""

UNCHANGING = frozenset({float, int, bool, np.float64, np.int64, np.bool_, str, type(None)})
"""Types of which nothing has to be copied."""


class WrongOutput(Exception):
    """An output no table can hold: of a wrong kind, or unlike the outputs before it.

    Attributes
    ----------
    row : int
        The simulation.
    message : str
        What is wrong with its output.
    """

    def __init__(self, row: int, message: str) -> None:
        super().__init__(f"simulation {row}: {message}")
        self.row, self.message = row, message


# Sides, at least, and channels, at most, of what may be an image although nobody has said so.
IMAGE_SIDE, COLOURS = 8, 3


@dataclass(frozen=True)
class Kinds:
    """Which observables are more than numbers and vectors, as the user has declared them.

    Attributes
    ----------
    lengths : dict of str to tuple of str
        The columns of each set or series whose length is a given, under the name of the length.
    fixed_series : dict of str to tuple of str
        The columns of each series that has as many entries in every simulation.
    images : tuple of str
    channels : {"first", "last"} or None
        Which of three axes of an image holds its channels.
    """

    lengths: Columns
    fixed_series: Columns
    images: Sequence[str]
    channels: Channels | None = None

    def check(self, named: Mapping[Any, Any], row: int) -> None:
        """Raise WrongOutput if an output lacks what was declared."""
        ordered = (*self.lengths.values(), *self.fixed_series.values())
        declared = {column: "sets= or series=" for columns in ordered for column in columns}
        declared |= {image: "images=" for image in self.images}
        for name, by in declared.items():
            if name not in named:
                known = ", ".join(map(str, named))
                raise WrongOutput(row, f"{by} names {name!r}, but the simulator returns {known}")

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]], row: int) -> None:
        """Raise WrongOutput if paired series differ in length, or an image has no such shape."""
        for length, columns in self.fixed_series.items():
            found = {name: shapes[name][0] for name in columns}
            if len(set(found.values())) > 1:
                raise WrongOutput(
                    row,
                    f"the columns {', '.join(columns)} are one series of {length} entries and need "
                    f"the same length; got lengths {found}",
                )
        for name in self.images:
            try:
                Grid(shapes[name], axis=self.channels)
            except ShapeError as error:
                raise WrongOutput(row, f"{name}: {error}") from None


@dataclass(frozen=True)
class Layout:
    """Names and shapes of the observables.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Of a column of a set or series whose length is a given, the shape of one entry.
    kinds : Kinds
    """

    shapes: dict[str, tuple[int, ...]]
    kinds: Kinds

    def length_of(self, name: str) -> str | None:
        """Name the given that is the length of `name`, if it is a column of a set or series."""
        return next((n for n, columns in self.kinds.lengths.items() if name in columns), None)

    def series_of(self, name: str) -> str | None:
        """Name the length of the series that `name` is a column of, if that is no given."""
        return next((n for n, columns in self.kinds.fixed_series.items() if name in columns), None)

    def fixed_length(self, length: str) -> int:
        """Give the length of a series that has as many entries in every simulation."""
        return self.shapes[self.kinds.fixed_series[length][0]][0]

    def describe(self, name: str) -> str:
        """Write an observable with its shape, as in `y (n, 2)`; a number is its name alone."""
        axes = [axis for axis in (self.length_of(name), *self.shapes[name]) if axis is not None]
        return f"{name} ({', '.join(map(str, axes))})" if axes else name

    def maybe_images(self) -> list[str]:
        """Name the observables that have the shape of an image, and were not declared."""
        kinds = self.kinds
        ordered = (*kinds.lengths.values(), *kinds.fixed_series.values())
        declared = {*kinds.images, *(name for columns in ordered for name in columns)}
        return [
            name
            for name, shape in self.shapes.items()
            if name not in declared
            and (len(shape) == 2 or (len(shape) == 3 and min(shape) <= COLOURS))
            and sorted(shape)[-2] >= IMAGE_SIDE
        ]

    def check_names(self, names: Iterable[Any], row: int) -> None:
        """Raise WrongOutput if an output has other names."""
        names = list(names)
        if set(names) != set(self.shapes):
            raise WrongOutput(
                row,
                f"expected the observables {', '.join(self.shapes)}, as in the first simulations; "
                f"got {', '.join(map(str, names)) or 'none'}",
            )

    def check_shape(self, name: str, found: tuple[int, ...], row: int) -> None:
        """Raise WrongOutput if an observable has another shape; a varying length is explained."""
        expected = self.shapes[name]
        if found == expected:
            return
        message = f"expected {name} of shape {expected}, as in the first simulations; got {found}"
        if len(found) == len(expected) > 0 and found[1:] == expected[1:]:
            series = self.series_of(name)
            if series is None:
                message += (
                    ". If its length varies because it is a set of exchangeable measurements, "
                    f"declare @si.simulator(sets={{'n': ['{name}']}}), or series= for a time "
                    "series, and draw the length, given={'n': st.randint(...)}; else pad it to one "
                    "length"
                )
            else:
                message += (
                    f". If the length of the series varies, draw it: given={{{series!r}: "
                    "st.randint(...)}"
                )
        raise WrongOutput(row, message)


def read_rows(
    outputs: Sequence[object], rows: Sequence[int], lengths: Mapping[str, IntArray], layout: Layout
) -> dict[str, FloatArray]:
    """Stack the outputs of single simulations.

    Parameters
    ----------
    outputs : sequence
        One a simulation.
    rows : sequence of int
        The number of each simulation, for messages.
    lengths : mapping of str to array of int, shape (simulations,)
        The length of every set or series whose length is a given.
    layout : Layout

    Returns
    -------
    dict of str to array, shape (simulations, ...)
        Sets and series of varying length are padded with NaN to their largest length.

    Raises
    ------
    WrongOutput
        At the first simulation whose output does not fit the layout.
    """
    named = [
        output if type(output) is dict else name_output(output, row)
        for output, row in zip(outputs, rows, strict=True)
    ]
    expected = layout.shapes.keys()
    for output, row in zip(named, rows, strict=True):
        if output.keys() != expected:
            layout.check_names(output, row)
    values: dict[str, FloatArray] = {}
    for name in layout.shapes:
        column = [output[name] for output in named]
        length = layout.length_of(name)
        if length is None:
            values[name] = _stack(name, column, rows, layout)
        else:
            values[name] = _stack_set(name, column, rows, layout, lengths[length])
    return values


def read_batch(
    output: object, row: int, size: int, lengths: Mapping[str, IntArray], layout: Layout
) -> dict[str, FloatArray]:
    """Read the output of a batched simulator; `row` is the first of its `size` simulations.

    Raises
    ------
    WrongOutput
        If names, the leading axis or the shapes do not fit.
    """
    named = name_output(output, row)
    layout.check_names(named, row)
    values = {}
    for name in layout.shapes:
        value = _batch_array(name, named[name], row, size)
        length = layout.length_of(name)
        if length is None:
            layout.check_shape(name, value.shape[1:], row)
            values[name] = value
            continue
        largest = int(lengths[length].max())
        if value.ndim < 2 or value.shape[1] < largest:
            raise WrongOutput(
                row,
                f"expected {name} of shape (B, L) with L >= {largest}, the largest {length} of the "
                f"batch; got {value.shape}",
            )
        layout.check_shape(name, value.shape[2:], row)
        values[name] = value[:, :largest]
        values[name][np.arange(largest) >= lengths[length][:, None]] = np.nan
    return values


def learn(
    output: object, row: int, kinds: Kinds, taken: Sequence[str], *, batch: int | None = None
) -> Layout:
    """Learn names and shapes from one output, or from that of a batch of `batch` rows.

    Raises
    ------
    WrongOutput
        If it holds no numbers, lacks what was declared, or has a name that is taken.
    """
    named = name_output(output, row)
    _check_free(named, row, taken)
    kinds.check(named, row)
    drawn = [column for columns in kinds.lengths.values() for column in columns]
    paired = [*drawn, *(column for columns in kinds.fixed_series.values() for column in columns)]
    shapes = {}
    for name, value in named.items():
        array = _array(name, value, row)
        if batch is not None:
            array = _batch_array(name, array, row, batch)[0]
        if name in paired and array.ndim == 0:
            raise WrongOutput(
                row, f"{name} is a column of a set or series, but has no axis for its entries"
            )
        if 0 in array.shape:
            raise WrongOutput(row, f"{name} is empty, of shape {array.shape}")
        shapes[name] = array.shape[1:] if name in drawn else array.shape
    kinds.check_shapes(shapes, row)
    return Layout(shapes, kinds)


def kept(output: Any) -> Any:
    """Copy an output, since the simulator may fill the same array, list or dict again.

    A view of something larger, such as the end of a trajectory, lets go of that too.
    """
    kind = type(output)
    if kind in UNCHANGING:
        return output
    if kind is np.ndarray:
        return np.array(output)
    output = plain(output)
    if kind is dict or isinstance(output, Mapping):
        return {n: v if type(v) in UNCHANGING else kept(v) for n, v in output.items()}
    try:
        array = np.array(output)
    except Exception:  # no array: what is wrong with it is said when it is read
        return output
    return array if array.dtype.kind in "biuf" else output


def finite(
    values: Mapping[str, FloatArray], lengths: Mapping[str, IntArray], layout: Layout
) -> BoolArray:
    """Say which rows are finite, within each set's own length; shape (rows,)."""
    good: Any = True
    for name, value in values.items():
        good = good & finite_rows(value, lengths.get(layout.length_of(name) or ""))
    return good


def finite_rows(value: AnyArray, sizes: AnyArray | None) -> BoolArray:
    """Say which rows (rows, ...) are finite; of a set's column the entries up to its size."""
    fine = np.isfinite(value)
    if sizes is not None:
        beyond = np.arange(value.shape[1]) >= sizes[:, None]
        fine = fine | beyond.reshape(*beyond.shape, *(1,) * (value.ndim - 2))
    return np.asarray(fine.reshape(len(value), -1).all(axis=1))


def name_output(output: object, row: int) -> dict[Any, Any]:
    """Make a dict of any output: a mapping or Dataset by name, anything else the observable `y`."""
    if output is None:
        raise WrongOutput(
            row,
            "expected numbers; got None. Return the observables; to mark a failed simulation, "
            "raise an exception or return NaN",
        )
    return dict(output) if isinstance(output, Mapping) else {BARE: output}


def _check_free(named: Mapping[Any, Any], row: int, taken: Sequence[str]) -> None:
    if not named:
        raise WrongOutput(row, "expected at least one observable; got an empty dict")
    try:
        check_names(named, role="observable", error=ValueError)
    except ValueError as error:
        raise WrongOutput(row, str(error)) from None
    clash = [name for name in named if name in taken]
    if clash:
        raise WrongOutput(
            row,
            f"the observable {clash[0]!r} has the name of a parameter or given; rename one of them "
            "(a dict names the observables; a bare array is called y)",
        )


def _stack(name: str, column: list[object], rows: Sequence[int], layout: Layout) -> FloatArray:
    shape = layout.shapes[name]
    try:
        array = np.array(column)
    except (ValueError, TypeError):  # ragged, or nothing numpy knows: find the row that differs
        array = None
    if array is not None and array.dtype.kind in "biuf" and array.shape[1:] == shape:
        return array.astype(np.float64, copy=False)
    single = []
    for value, row in zip(column, rows, strict=True):
        single.append(_array(name, value, row))
        layout.check_shape(name, single[-1].shape, row)
    return np.stack(single)


def _stack_set(
    name: str, column: list[object], rows: Sequence[int], layout: Layout, lengths: IntArray
) -> FloatArray:
    padded = np.full((len(column), int(lengths.max()), *layout.shapes[name]), np.nan)
    for index, (value, row) in enumerate(zip(column, rows, strict=True)):
        array = _array(name, value, row)
        if array.ndim == 0 or len(array) != lengths[index]:
            raise WrongOutput(
                row,
                f"expected {name} with {lengths[index]} entries, the simulation's "
                f"{layout.length_of(name)}; got shape {array.shape}",
            )
        layout.check_shape(name, array.shape[1:], row)
        padded[index, : len(array)] = array
    return padded


def _batch_array(name: str, value: object, row: int, size: int) -> FloatArray:
    array = _array(name, value, row, copy=True)  # the simulator may fill the same array again
    if array.ndim == 0 or len(array) != size:
        raise WrongOutput(
            row,
            f"a batched simulator must return arrays with leading axis B = {size}; got {name} of "
            f"shape {array.shape}",
        )
    return array


def _array(name: str, value: object, row: int, *, copy: bool = False) -> FloatArray:
    try:
        array = np.asarray(plain(value))
    except (ValueError, TypeError, RuntimeError) as error:
        raise WrongOutput(row, f"expected numbers in {name}; got {value!r:.80} ({error})") from None
    if array.dtype.kind not in "biuf":
        raise WrongOutput(
            row, f"expected numbers in {name}; got {value!r:.80} ({array.dtype.name})"
        )
    return array.astype(np.float64, copy=copy)
