"""How fast: networks beside those of other libraries, drawing, training against size.

    python benchmarks/speed.py                          all sections
    python benchmarks/speed.py core spline              some of them
    python benchmarks/speed.py core --rounds 30
    python benchmarks/speed.py core spline --table      tables of the results page
    python benchmarks/speed.py --device cuda            step, density and draws on a GPU
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
import os
import sys
from dataclasses import replace
from time import perf_counter

from records import SOURCE, Records, add_options, headed
from speed_parts.device import DEVICE, why_not
from speed_parts.interface import INTERFACE
from speed_parts.networks import CORE, SPLINES
from speed_parts.scaling import SCALING

SECTIONS = {"core": CORE, "spline": SPLINES, "interface": INTERFACE, "scaling": SCALING}
ON_DEVICE = "device"  # the section of --device
ALL = {**SECTIONS, ON_DEVICE: DEVICE}
SIMULATIONS = (1_000, 10_000, 100_000, 1_000_000)
DIMENSIONS = (2, 5, 10, 30, 100)
ABOUT = ("network", "task", "what", "call", "simulations", "parameters")  # whatever a section has
RECORDS = Records("speed", ("section", "threads", *ABOUT))


def main():
    options = read_options()
    records = replace(RECORDS, folder=options.out)
    chosen = options.sections or list(SECTIONS)
    if options.device != "cpu":
        chosen = [ON_DEVICE]
        if not options.table and (reason := why_not(options.device)):
            sys.exit(reason)
    for name in [] if options.table else chosen:
        started = perf_counter()
        rows = ALL[name].measure(options).assign(section=name)
        records.add(rows.to_dict("records"), seed=1, threads=options.threads)
        print(f"{name}: {perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    print(tables(records.read(), chosen))


def tables(rows, sections):
    """Make a table of each section and number of threads."""
    written = []
    for name in sections:
        for _, here in rows[rows["section"] == name].groupby("threads"):
            own = here.dropna(axis=1, how="all")
            section = ALL[name]
            table = section.table(own.drop(columns=[*SOURCE, "section"]))
            written.append(headed(own, table.map(cell), section.about))
    return "\n\n".join(written)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each process")
    parser.add_argument("--device", default="cpu", help="such as cuda: section device alone")
    parser.add_argument("--rounds", type=int, default=15, help="of what runs in turns")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement")
    sizes = {"type": int, "nargs": "*", "metavar": "N", "help": "of section scaling"}
    parser.add_argument("--simulations", default=SIMULATIONS, **sizes)
    parser.add_argument("--dimensions", default=DIMENSIONS, **sizes)
    add_options(parser)
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"expected sections among {', '.join(SECTIONS)}; got {', '.join(unknown)}")
    return options


def cell(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
