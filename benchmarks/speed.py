"""How fast: networks beside those of other libraries, drawing, training against size.

    python benchmarks/speed.py                          all sections
    python benchmarks/speed.py core spline              some of them
    python benchmarks/speed.py core --rounds 30 --json speed.json --markdown speed.md
    python benchmarks/speed.py scaling --simulations 1000 10000 --dimensions 2 10

Sections
    core        affine couplings beside FrEIA, nflows and zuko: training step, density, sampling
    spline      spline couplings beside nflows and zuko, and our affine ones
    interface   posterior.sample beside the network's own time; draws over 10,000 observations
    scaling     training time and memory against the number of simulations and of parameters

What is compared runs in turns, never at the same time: on a machine that is busy with other things
times vary, their ratios less so. The other libraries live in an environment of their own, which is
made on first use (benchmarks/environments.py).
"""

import argparse
import json
import os
from pathlib import Path
from time import perf_counter

import pandas as pd
from speed_parts.interface import interface
from speed_parts.networks import core, spline
from speed_parts.scaling import scaling

SECTIONS = {"core": core, "spline": spline, "interface": interface, "scaling": scaling}
SIMULATIONS = (1_000, 10_000, 100_000, 1_000_000)
DIMENSIONS = (2, 5, 10, 30, 100)


def main():
    options = read_options()
    found = {}
    for name in options.sections or SECTIONS:
        started = perf_counter()
        found[name] = SECTIONS[name](options)
        seconds = perf_counter() - started
        print(f"\n== {name}, {options.threads} threads, {seconds:.0f} s\n{found[name].about}")
        show(found[name].table)
        write(options, found)
    asked = verdicts(found)
    if len(asked):
        print("\n== asked for: at most")
        show(asked)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each process")
    parser.add_argument("--rounds", type=int, default=15, help="of what runs in turns")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement")
    sizes = {"type": int, "nargs": "*", "metavar": "N", "help": "of section scaling"}
    parser.add_argument("--simulations", default=SIMULATIONS, **sizes)
    parser.add_argument("--dimensions", default=DIMENSIONS, **sizes)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"expected sections among {', '.join(SECTIONS)}; got {', '.join(unknown)}")
    return options


def show(table):
    with pd.option_context("display.width", 250, "display.max_colwidth", 160):
        print(table.to_string(index=False, float_format="{:.3g}".format), flush=True)


def verdicts(found):
    """Put what is asked for beside what was measured."""
    return pd.DataFrame([asked.as_row() for one in found.values() for asked in one.asked])


def write(options, found):
    """Keep what was found so far, as numbers and as tables to be read."""
    if options.json:
        about = {"cores": os.cpu_count(), "threads": options.threads, "rounds": options.rounds}
        rows = {name: one.rows.to_dict("records") for name, one in found.items()}
        asked = verdicts(found).to_dict("records")
        options.json.write_text(json.dumps(about | {"sections": rows, "asked": asked}, indent=1))
    if options.markdown:
        parts = [f"## {n}\n\n{one.about}\n\n{markdown(one.table)}" for n, one in found.items()]
        parts.append(f"## asked for: at most\n\n{markdown(verdicts(found))}")
        options.markdown.write_text("\n".join(parts))


def markdown(table):
    lines = [list(table.columns), ["---"] * table.shape[1], *table.itertuples(index=False)]
    return "".join(f"| {' | '.join(map(cell, line))} |\n" for line in lines)


def cell(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
