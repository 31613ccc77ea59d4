"""From the columns of a table to arrays by name, one row an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from sbi_inn.errors import ShapeError
from sbi_inn.names import check_names
from sbi_inn.tables.groups import Groups, Sets, lengths
from sbi_inn.tables.source import Columns, Source, Spec, as_columns, columns_in
from sbi_inn.typing import AnyArray


@dataclass(frozen=True)
class Wanted:
    """What is to be read, by our names.

    Attributes
    ----------
    parameters, observables, given : dict of str to str or tuple of str
        Column or columns of each; `observables` holds the columns of sets too.
    sets : dict of str to tuple of str
        The name of a length, and the observables that are paired columns of that set.
    by : str or None
        The column that says which rows are one object.
    """

    parameters: dict[str, Columns]
    observables: dict[str, Columns]
    given: dict[str, Columns]
    sets: dict[str, tuple[str, ...]]
    by: str | None

    @classmethod
    def of(
        cls,
        source: Source,
        parameters: Spec | str | None,
        observables: Spec | str | None,
        given: Spec | str | None,
        sets: Sets | None,
        by: str | None,
    ) -> Wanted:
        """Understand what a user asked for; by default every other column of numbers is observed.

        Raises
        ------
        ShapeError
            If a name is no identifier, is reserved or comes twice, or sets and `by` do not go
            together.
        """
        paired = _sets(sets)
        inferred = source.find(as_columns(parameters, "parameters"))
        known = source.find(as_columns(given, "given"))
        seen = source.find(as_columns(observables, "observables"))
        seen |= {c: c for columns in paired.values() for c in columns if c not in seen}
        if observables is None and not paired:
            seen = source.numeric(besides={*columns_in(inferred, known), by})
        if not seen:
            raise ShapeError(f"{source.title}: expected at least one observable; got none")
        if by is not None and len(paired) != 1:
            raise ShapeError(
                f"by={by!r} makes one set of the rows of an object: expected its columns, such as "
                f"sets={{'n_visits': ['mag', 'phase']}}; got {len(paired)} sets"
            )
        wanted = cls(inferred, seen, known, paired, by)
        wanted._check_names()
        return wanted

    @property
    def columns(self) -> list[str]:
        """All columns that are used."""
        lengths = {name: name for name in self.sets}
        ours = columns_in(self.parameters, self.given, self.observables, lengths)
        return [*([self.by] if self.by else []), *ours]

    def length_of(self, name: str) -> str | None:
        """Name the length of the set that an observable is a column of, if it is."""
        return next((n for n, columns in self.sets.items() if name in columns), None)

    def _check_names(self) -> None:
        roles = {"parameter": self.parameters, "observable": self.observables, "given": self.given}
        for role, named in roles.items():
            odd = [name for name in named if not name.isidentifier()]
            if odd:
                raise ShapeError(
                    f"{role} names must be Python identifiers, such as 'flux'; got {odd[0]!r}: "
                    f"give it a name, as in {{'flux': {odd[0]!r}}}"
                )
        names = [*self.parameters, *self.observables, *self.given, *self.sets]
        check_names(names, role="parameter, observable and given", error=ShapeError)


@dataclass(frozen=True)
class Contents:
    """What a table holds, one row an object.

    Attributes
    ----------
    values : dict of str to array, shape (objects, ...)
        Columns of a set are padded with NaN to the largest.
    sizes : dict of str to array, shape (objects,)
        The size of every set.
    index : pandas.Index
        The objects.
    """

    values: dict[str, AnyArray]
    sizes: dict[str, AnyArray]
    index: pd.Index


def contents(source: Source, wanted: Wanted) -> Contents:
    """Read what is wanted.

    Raises
    ------
    ShapeError
        If a column is missing or holds text, or the rows of an object disagree.
    """
    wide = [name for name, c in wanted.given.items() if source.take(c, "givens").ndim > 1]
    if wide:
        raise ShapeError(f"expected one number a row for the given {wide[0]!r}; got several")
    groups = None if wanted.by is None else Groups.of(source, wanted.by)
    values = {}
    for role in ("parameters", "given", "observables"):
        for name, columns in getattr(wanted, role).items():
            rows = source.take(columns, role)
            if groups is not None:
                paired = wanted.length_of(name) is not None
                rows = groups.padded(rows) if paired else groups.one_each(rows, name)
            values[name] = rows
    if groups is not None:
        (length,) = wanted.sets
        return Contents(values, {length: groups.sizes.astype(float)}, groups.keys)
    sizes = {}
    for length, columns in wanted.sets.items():
        stated = source.take(length, "lengths") if length in source.columns else None
        paired = {c: values[c] for c in columns}
        sizes[length] = lengths(paired, stated, f"{source.title}: {length}")
    return Contents(values, sizes, source.index)


def said(source: Source, wanted: Wanted, unused: Sequence[str], objects: int) -> str:
    """Say in lines what was read, and what was passed over."""
    rows = f"{len(source):,} rows"
    if wanted.by is not None:
        rows += f", {objects:,} of {wanted.by}"
    known = f" | {', '.join([*wanted.given, *wanted.sets])}" if wanted.given or wanted.sets else ""
    seen = ", ".join(_described(n, c, wanted) for n, c in wanted.observables.items())
    inferred = ", ".join(_described(n, c, wanted) for n, c in wanted.parameters.items())
    lines = [
        f"{source.title}: {rows}",
        f"{inferred}{known} -> {seen}" if inferred else seen + known,
    ]
    if unused:
        some = ", ".join(unused[:20])
        more = f", ... ({len(unused):,} in all)" if len(unused) > 20 else ""
        lines.append(f"ignored: {some}{more}")
    return "\n".join(lines)


def _described(name: str, columns: Columns, wanted: Wanted) -> str:
    length = wanted.length_of(name)
    axes = [length] if length else []
    axes += [] if isinstance(columns, str) else [str(len(columns))]
    return f"{name} ({', '.join(axes)})" if axes else name


def unused(source: Source, wanted: Wanted, besides: Sequence[str] = ()) -> list[str]:
    """Name the columns that are passed over."""
    used = {*wanted.columns, *besides}
    return [name for name in source.columns if name not in used]


def _sets(sets: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    paired = {str(n): (c,) if isinstance(c, str) else tuple(c) for n, c in (sets or {}).items()}
    empty = [name for name, columns in paired.items() if not columns]
    if empty:
        raise ShapeError(f"sets= names no columns for the length {empty[0]!r}")
    return paired
