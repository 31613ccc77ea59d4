"""Measure the parts of a benchmark with several seeds, and keep the rows of each as it ends.

Each part and seed is measured in a process of its own, one after the other, so that each has the
whole machine: as many cores and as much memory as any other. What was measured on the present code
already is not measured again, so that a command that was stopped can be taken up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
from records import Records, add_options

LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Benchmark:
    """What a command measures.

    Attributes
    ----------
    records : Records
        The first column of its key names the part.
    parts : collection of str
    measure : callable
        Options, with `part` and `seed`, to rows: a list of dicts.
    table : callable
        All rows, as a DataFrame, to the tables of the results page.
    settings : mapping of str to number
        Options that change what a row is about, and their defaults; each is a column of the key.
    once : collection of str
        Parts that are measured with the first seed alone.
    """

    records: Records
    parts: Collection[str]
    measure: Callable[[argparse.Namespace], list[dict[str, Any]]]
    table: Callable[[pd.DataFrame], str]
    settings: Mapping[str, float] = field(default_factory=dict)
    once: Collection[str] = ()


def parser(benchmark, description):
    """Make the command line that all these benchmarks have."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("--only", nargs="+", choices=benchmark.parts, default=benchmark.parts, metavar="PART")
    add("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED")
    for name, default in benchmark.settings.items():
        add(f"--{name}", type=type(default), default=default, help=f"{default:,} by default")
    add("--threads", type=int, default=os.cpu_count(), help="of a process; all cores by default")
    add("--again", action="store_true", help="measure again what was measured on this code")
    add_options(made)
    add("--part", choices=benchmark.parts, help=argparse.SUPPRESS)
    add("--seed", type=int, help=argparse.SUPPRESS)
    add("--found", type=Path, help=argparse.SUPPRESS)
    return made


def main(benchmark, description, **more):
    """Run the command: one part if this process is for one, else all that are missing.

    Parameters
    ----------
    benchmark : Benchmark
    description : str
    **more
        `figures=function` adds the option `--figures FOLDER`: draw what the rows show.
    """
    made = parser(benchmark, description)
    if "figures" in more:
        made.add_argument("--figures", type=Path, metavar="DIR", help="draw the figures there")
    options = made.parse_args()
    if options.part:
        options.found.write_text(json.dumps(benchmark.measure(options)))
        return
    records = replace(benchmark.records, folder=options.out)
    if not options.table and not getattr(options, "figures", None):
        run(benchmark, records, options)
    if getattr(options, "figures", None):
        if not records.file.exists():
            made.error(f"there are no rows to draw: {records.file} does not exist yet")
        more["figures"](records, options.figures)
    else:
        print(benchmark.table(chosen(benchmark, records.read(), options)))


def chosen(benchmark, rows, options):
    """Pick the rows of the parts and settings that the command names."""
    mine = rows[benchmark.records.key[0]].isin(list(options.only))
    for name in benchmark.settings:
        mine &= rows[name] == getattr(options, name)
    return rows[mine]


def run(benchmark, records, options):
    """Measure what is missing, and say how long it took."""
    settings = {name: getattr(options, name) for name in benchmark.settings}
    started = perf_counter()
    for seed in options.seeds:
        for part in options.only:
            if part in benchmark.once and seed != options.seeds[0]:
                continue
            about = {records.key[0]: part} | settings
            if not options.again and records.has(**about, seed=seed):
                continue
            print(f"{part}, seed {seed} ...", file=sys.stderr, end=" ", flush=True)
            began = perf_counter()
            rows = [about | row for row in in_a_process(part, seed, options.threads)]
            records.add(rows, seed=seed, threads=options.threads)
            print(f"{perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    print(f"{(perf_counter() - started) / 60:.1f} minutes", file=sys.stderr, flush=True)


def in_a_process(part, seed, threads):
    """Call this command again for one part and seed, and give the rows that it found."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        this = ["--part", part, "--seed", str(seed), "--found", str(found)]
        subprocess.run(
            [sys.executable, sys.argv[0], *sys.argv[1:], *this],
            check=True,
            env={**os.environ, **dict.fromkeys(LIMITS, str(threads))},
        )
        return json.loads(found.read_text())
