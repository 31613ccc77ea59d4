"""Run the parts of a benchmark in processes of their own, one thread each, a few at a time."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def parser(description, parts, *, seconds, simulations):
    """Make a parser of what all these benchmarks take."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--only", nargs="+", choices=parts, default=list(parts), help="parts to run")
    made.add_argument("--seconds", type=float, default=seconds, help="training time of a method")
    made.add_argument("--simulations", type=int, default=simulations, help="shared by all methods")
    made.add_argument("--jobs", type=int, default=2, help="parts at a time, one thread each")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--earlier", type=Path, nargs="*", default=[], help="files of other parts")
    made.add_argument("--json", type=Path, help="write what was found to this file")
    made.add_argument("--figures", type=Path, help="write figures to this folder")
    made.add_argument("--part", choices=parts, help=argparse.SUPPRESS)
    return made


def run_all(options, run_one, show):
    """Run one part if this process is for one; else all of them, and show each as it ends.

    Parameters
    ----------
    options : Namespace
        Of `parser`.
    run_one : callable
        Options to what was found, as JSON would hold it.
    show : callable
        Name of the part and what was found.
    """
    if options.part:
        options.json.write_text(json.dumps(run_one(options)))
        return None

    def in_a_process(part):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "found.json"
            command = [sys.executable, sys.argv[0], "--part", part, "--json", str(file)]
            command += ["--seconds", str(options.seconds), "--seed", str(options.seed)]
            command += ["--simulations", str(options.simulations)]
            command += ["--figures", str(options.figures)] if options.figures else []
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run(command, check=True, env=environment)
            found = json.loads(file.read_text())
        show(part, found)
        return found

    with ThreadPoolExecutor(options.jobs) as pool:
        everything = dict(zip(options.only, pool.map(in_a_process, options.only), strict=True))
    for file in options.earlier:
        everything = {**json.loads(file.read_text()), **everything}
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2))
    return everything
