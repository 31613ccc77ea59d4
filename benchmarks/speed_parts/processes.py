"""The asking side: processes that are timed, one at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

BENCHMARKS = Path(__file__).resolve().parents[1]


class Served:
    """A process that answers requests, as in `serving`; a context manager that ends it.

    Parameters
    ----------
    command : list of str
        Interpreter and script.
    threads : int
    """

    def __init__(self, command, threads):
        self.name = Path(command[-1]).name
        self.process = subprocess.Popen(
            [*command, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads),
        )

    def ask(self, network, task, rows=0, seconds=0.0):
        """Give what the process measured."""
        request = {"network": network, "task": task, "rows": rows, "seconds": seconds}
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            reply = self.process.stdout.readline()
        except BrokenPipeError:
            reply = ""
        if not reply:
            raise RuntimeError(
                f"{self.name} ended with status {self.process.wait()} when asked for {task!r} of "
                f"{network!r}; what it said stands above"
            )
        return json.loads(reply)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.process.communicate()


def alone(script, *arguments, threads):
    """Run one of our scripts in a process of its own, and give the JSON that it prints last."""
    command = [sys.executable, str(BENCHMARKS / script), *map(str, arguments), str(threads)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment(threads)
    )
    return json.loads(done.stdout.splitlines()[-1])


def environment(threads):
    """Give a process this many threads, and the folder of the benchmarks on its path."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return {**os.environ, **counts, "PYTHONPATH": str(BENCHMARKS)}


@dataclass(frozen=True)
class Section:
    """A part of the benchmark.

    Attributes
    ----------
    about : str
        What stands above its table.
    measure : callable
        Options to rows, a DataFrame.
    table : callable
        Rows to a DataFrame to be read.
    """

    about: str
    measure: Callable[..., pd.DataFrame]
    table: Callable[[pd.DataFrame], pd.DataFrame]
