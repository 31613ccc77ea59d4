"""Rows that belong together: many rows an object, one row a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sbi_inn.errors import ShapeError
from sbi_inn.tables.source import Source
from sbi_inn.typing import AnyArray, IntArray

Sets = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Groups:
    """Which object each row belongs to.

    Attributes
    ----------
    keys : pandas.Index
        The objects, in the order of their first rows.
    codes : array of int, shape (rows,)
        The object of each row, by its place in `keys`.
    title : str
        For messages.
    """

    keys: pd.Index
    codes: IntArray
    title: str

    @classmethod
    def of(cls, source: Source, by: str) -> Groups:
        """Group rows by a column, text or numbers.

        Raises
        ------
        ShapeError
            If there is no such column, or it is empty somewhere.
        """
        source.need([by], "the object of each row")
        column = source.columns[by]
        codes, keys = pd.factorize(np.asarray(column.to_numpy()), use_na_sentinel=True)
        lost = int((codes < 0).sum())
        if lost:
            raise ShapeError(f"{source.title}: {by!r} is empty in {lost:,} rows")
        return cls(pd.Index(keys, name=by), codes.astype(np.int64), source.title)

    @property
    def sizes(self) -> IntArray:
        """How many rows each object has."""
        return np.bincount(self.codes, minlength=len(self.keys))

    def one_each(self, values: AnyArray, name: str) -> AnyArray:
        """Give what all rows of an object agree on, shape (objects, ...).

        Raises
        ------
        ShapeError
            If they do not.
        """
        first = np.unique(self.codes, return_index=True)[1]
        found = values[first]
        same = (values == found[self.codes]) | (np.isnan(values) & np.isnan(found[self.codes]))
        wrong = np.flatnonzero(~same.reshape(len(values), -1).all(axis=1))
        if wrong.size:
            row = wrong[0]
            raise ShapeError(
                f"{self.title}: expected one value of {name} an object; "
                f"{self.keys.name} = {self.keys[self.codes[row]]!r} has "
                f"{found[self.codes[row]]} and {values[row]}. What differs between the rows of an "
                "object is a column of sets="
            )
        return found

    def padded(self, values: AnyArray) -> AnyArray:
        """Lay the rows of an object side by side, NaN beyond them: (objects, largest, ...)."""
        sizes = self.sizes
        order = np.argsort(self.codes, kind="stable")
        place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        laid = np.full((len(sizes), int(sizes.max()), *values.shape[1:]), np.nan)
        laid[self.codes[order], place] = values[order]
        return laid


def lengths(columns: Mapping[str, AnyArray], stated: AnyArray | None, where: str) -> AnyArray:
    """Find how many entries each row has of paired columns that are padded with NaN.

    Parameters
    ----------
    columns : mapping of str to array, shape (rows, largest, ...)
    stated : array, shape (rows,), optional
        Where the table has a column that says it.
    where : str
        For messages.

    Raises
    ------
    ShapeError
        If a column has no axis for its entries, or they differ in it.
    """
    widths = {name: values.shape[1] if values.ndim > 1 else 0 for name, values in columns.items()}
    if len(set(widths.values())) > 1 or not all(widths.values()):
        raise ShapeError(
            f"{where}: expected the columns of a set to have one axis of entries beside the rows, "
            f"of one length; got lengths {widths}. With one row a measurement, say which rows "
            "belong together: by='object_id'"
        )
    largest = next(iter(widths.values()))
    if stated is not None:
        if not ((stated >= 1) & (stated <= largest) & (stated == np.rint(stated))).all():
            raise ShapeError(
                f"{where}: expected lengths from 1 to {largest}; got {stated.min():g} to "
                f"{stated.max():g}"
            )
        return stated
    there = np.zeros((len(next(iter(columns.values()))), largest), bool)
    for values in columns.values():
        there |= ~np.isnan(values.reshape(*values.shape[:2], -1)).all(axis=2)
    return np.where(there.any(axis=1), largest - there[:, ::-1].argmax(axis=1), 1).astype(float)
