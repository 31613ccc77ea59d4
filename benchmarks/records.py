"""Rows of results: one CSV file a benchmark, in docs/results/.

Every row says where it comes from: the commit of the code that was measured, the date, the cores of
the machine, the threads and the seed. A row takes the place of an earlier row about the same thing.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

BENCHMARKS = Path(__file__).resolve().parent
RESULTS = BENCHMARKS.parent / "docs" / "results"
CACHE = BENCHMARKS / ".cache"  # what a benchmark can make again; git ignores it
MEASURED = ("sbi_inn", "simulators")  # a row names the last commit that changed one of these
HEX = {"commit": str, "source": str}  # 1234567 and 12e4567 are no numbers
SOURCE = ("commit", "date", "cores", "threads", "seed")


@dataclass(frozen=True)
class Records:
    """The rows of one benchmark.

    Attributes
    ----------
    name : str
        Of the file, without its ending.
    key : tuple of str
        Columns that, together with the seed, say what a row is about.
    folder : Path
    """

    name: str
    key: tuple[str, ...]
    folder: Path = RESULTS

    @property
    def file(self):
        return self.folder / f"{self.name}.csv"

    def read(self):
        """Read all rows; a file that is not there has none."""
        if not self.file.exists():
            return pd.DataFrame(columns=list(dict.fromkeys((*SOURCE, *self.key))))
        return pd.read_csv(self.file, dtype=HEX)

    def add(self, rows: Iterable[Mapping[str, Any]], *, seed, threads, **source):
        """Add rows, and say where they come from.

        Parameters
        ----------
        rows : iterable of mappings
            Column to value, all of the key's columns among them.
        seed, threads : int
        **source
            Commit, date or cores, where they are not those of this process.
        """
        here = {"commit": commit(), "date": today(), "cores": os.cpu_count()}
        start = here | {"threads": threads, "seed": seed} | source
        new = pd.DataFrame([start | dict(row) for row in rows])
        old = self.read()
        key = [*self.key, "seed"]
        replaced = set(_identities(new, key))
        kept = old[[one not in replaced for one in _identities(old, key)]]
        self.write(pd.concat([kept, new]) if len(kept) else new)

    def write(self, table):
        """Write the whole file, so that it is there whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.file.with_suffix(".part")
        _whole_numbers(table).to_csv(part, index=False)
        part.replace(self.file)

    def has(self, **about):
        """Say whether there is a row with these values, measured on the present code."""
        rows = self.read()
        columns = ["commit", *about]
        if not set(columns) <= set(rows):
            return False
        return (commit(), *map(_word, about.values())) in set(_identities(rows, columns))


def _identities(rows, columns):
    """Give the values of some columns of each row in a form that survives the file."""
    columns = rows.reindex(columns=columns).itertuples(index=False)
    return [tuple(map(_word, row)) for row in columns]


def _word(value):
    if pd.isna(value):
        return ""
    if isinstance(value, int | float | np.number) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _whole_numbers(table):
    """Write 1 rather than 1.0 in a column of whole numbers that has gaps."""
    floats = table.select_dtypes("float")
    whole = [n for n in floats if floats[n].dropna().mod(1).eq(0).all() and floats[n].notna().any()]
    return table.astype(dict.fromkeys(whole, "Int64"))


@cache
def commit():
    """Name the last commit that changed what is measured, with a plus if files differ from it."""
    found = _git("log", "-1", "--format=%h", "--abbrev=7", "--", *MEASURED)
    return found + "+" * bool(_git("status", "--porcelain", "--", *MEASURED))


def _git(*arguments):
    done = subprocess.run(
        ["git", *arguments], cwd=BENCHMARKS.parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def today():
    return datetime.now(UTC).date().isoformat()


def flat(nested, before=""):
    """Make one row of nested mappings and lists: names are joined by dots, entries count from 1.

    Examples
    --------
    >>> flat({"training": {"wall": 2.0}, "nll": [0.5, 0.6]})
    {'training.wall': 2.0, 'nll.1': 0.5, 'nll.2': 0.6}
    """
    if isinstance(nested, Mapping):
        pairs = nested.items()
    elif isinstance(nested, list | tuple):
        pairs = enumerate(nested, 1)
    else:
        return {before: nested}
    row = {}
    for name, value in pairs:
        row |= flat(value, f"{before}.{name}" if before else str(name))
    return row


# -- tables for the pages --------------------------------------------------------------------------


def add_options(parser):
    """Add the options that every benchmark has: where its rows are, and to print their table."""
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="DIR", help="folder of the CSV file of results"
    )
    parser.add_argument(
        "--table", action="store_true", help="measure nothing: print the tables of the results page"
    )


def headed(rows, table, *notes):
    """Write a table as markdown, below where its rows come from and what else is to be known."""
    return f"{' '.join([caption(rows), *notes])}\n\n{markdown(table)}"


def caption(rows):
    """Say in a line where rows come from; without their commit, where a table names it itself.

    Examples
    --------
    >>> row = {"commit": "abc", "date": "2026-11-26", "cores": 2, "seed": 1}
    >>> caption(pd.DataFrame([row]))
    'Commit `abc`, 2026-11-26, 2 cores, seed 1.'
    """
    dates = sorted(set(rows["date"].dropna()))
    named = [
        _listed("commit", [f"`{name}`" for name in rows.get("commit", pd.Series()).unique()]),
        " to ".join(dict.fromkeys((dates[0], dates[-1]))),
        _counted(rows, "cores"),
        _counted(rows, "threads"),
        _listed("seed", sorted({int(seed) for seed in rows["seed"].dropna()})),
    ]
    text = ", ".join(part for part in named if part)
    return f"{text[0].upper()}{text[1:]}."


def _listed(name, values):
    return f"{name}{'s' * (len(values) > 1)} {', '.join(map(str, values))}" if values else ""


def _counted(rows, name):
    numbers = sorted({int(n) for n in rows[name].dropna()}) if name in rows else []
    text = " or ".join(map(str, numbers))
    return f"{text} {name[:-1] if numbers == [1] else name}" if numbers else ""


def markdown(table):
    """Write a table of text as markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


SPREAD = "Medians over seeds, and in brackets the smallest and the largest."


def spread(values, form):
    """Write the median, and in brackets the smallest and the largest where there are several."""
    values = pd.Series(values, dtype=float).dropna()
    if values.empty:
        return "-"
    middle = form.format(values.median())
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(values.min())} to {form.format(values.max())})"
