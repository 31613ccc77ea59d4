"""Training from a table on disk, beside training from memory: throughput, loss, peak memory.

    python benchmarks/streaming.py [--rows 500000 ...] [--seconds 600] [--store /tmp/tables]
    python benchmarks/streaming.py --table              the table of the results page

    python benchmarks/streaming.py --networks 4         an ensemble, on two processes

A cheap problem of three parameters and five observables is written to a Zarr store, and networks
are trained on it for a pass: from disk, and up to `--memory` rows also from memory. A run of one
network has one process with one thread; one of several networks starts two more. A run ends after
`--seconds`, within its pass where that is long. Throughput counts seconds of the processor, of all
processes, so that other work on the machine matters little; the seconds of the clock are there too.
Memory is that of all processes together; what they share counts once. Losses are of the same 5,000
simulations, which no network has seen.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import scipy.stats as st
import xarray as xr
from records import SOURCE, Records, add_options, headed

import sbi_inn as si

RECORDS = Records("streaming", ("rows", "from", "networks"))
PART, CHUNK = 2**18, 2**15  # rows that are simulated, and stored, at once
TESTS = 5_000
PROCESSES = 2  # that several networks train on
LOOK = 0.5  # seconds between two looks at the processes
MIX = np.random.default_rng(0).normal(size=(3, 5))


@si.simulator(batched=True)
def bend(a, b, c, rng):
    """Bend three parameters, and add noise."""
    theta = np.stack([a, b, c], axis=1)
    return {"y": np.tanh(theta @ MIX) + rng.normal(0, 0.2, (len(theta), 5))}


PROBLEM = si.Problem(
    bend, si.Prior(a=st.norm(0, 1), b=st.norm(0, 1), c=st.uniform(-1, 2)), units={"y": "V"}
)


def simulated(n, seed):
    return si.simulate(PROBLEM, n=n, seed=seed, n_jobs=1, progress=False)


def write(path, rows):
    """Simulate part by part into a store, unless it is there."""
    if (path / "whole").exists():
        return
    for start in range(0, rows, PART):
        table = simulated(min(PART, rows - start), seed=start + 1).dataset
        if start:
            table.drop_encoding().to_zarr(path, append_dim="simulation", consolidated=False)
        else:
            chunks = {n: {"chunks": (CHUNK, *v.shape[1:])} for n, v in table.data_vars.items()}
            table.to_zarr(path, zarr_format=2, consolidated=False, encoding=chunks)
    (path / "whole").touch()


def opened(path, rows, *, memory):
    """Give the table of a store."""
    dataset = xr.open_zarr(path, chunks=None, consolidated=False).isel(simulation=slice(rows))
    for name, variable in dataset.variables.items():
        variable.encoding["chunks"] = (CHUNK, *variable.shape[1:])
        assert name
    sample = simulated(1_000, seed=1)
    return replace(sample, dataset=dataset.load() if memory else dataset)


class Watched:
    """Processor time and peak memory of this process and of those that it starts."""

    def __init__(self):
        self.seconds, self.most, self.ended = {}, 0.0, threading.Event()
        self.look()
        self.before = self.most
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def look(self):
        """Add up what all processes hold; the time of one that has ended is kept."""
        held = 0
        this = psutil.Process()
        for process in (this, *this.children(recursive=True)):
            with suppress(psutil.Error):
                times = process.cpu_times()
                self.seconds[process.pid] = times.user + times.system
                held += process.memory_full_info().pss
        self.most = max(self.most, held / 1e9)

    def watch(self):
        while not self.ended.wait(LOOK):
            self.look()

    def __enter__(self):
        self.start = sum(self.seconds.values())
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()
        self.look()

    @property
    def cpu(self):
        """Seconds of the processor while it watched."""
        return sum(self.seconds.values()) - self.start


def measure(path, rows, networks, *, memory, seconds):
    """Train networks, and say what it took."""
    training = si.Training(epochs=1, max_seconds=seconds, early_stopping=False)
    watched, clock = Watched(), time.perf_counter()
    with watched:
        posterior = si.fit_posterior(
            opened(path, rows, memory=memory),
            training=training,
            ensemble=networks,
            n_jobs=1 if networks == 1 else PROCESSES,
            seed=1,
            progress=False,
        )
    clock = time.perf_counter() - clock
    seen = rows - len(posterior.core.test_rows) - TESTS
    trained = networks * posterior.history.epoch[-1] * seen
    tests = simulated(TESTS, seed=2**40)
    latents = tests.prior.to_latent(tests.parameters(), np.empty((TESTS, 0)))
    loss = -posterior.core.fitted.log_prob(latents, tests.observations()).mean()
    return {
        "rows": rows,
        "from": "memory" if memory else "disk",
        "networks": networks,
        "passes": round(trained / networks / rows, 3),
        "rows a second of processor": round(trained / watched.cpu),
        "processor [s]": round(watched.cpu, 1),
        "clock [s]": round(clock, 1),
        "loss [nats]": round(float(loss), 4),
        "peak memory [GB]": round(watched.most, 2),
        "of which before [GB]": round(watched.before, 2),
    }


def alone(*arguments):
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, nargs="*", default=[500_000])
    parser.add_argument("--memory", type=int, default=1_000_000, help="rows that fit in memory too")
    parser.add_argument("--seconds", type=float, default=3_600)
    parser.add_argument("--store", type=Path, default=Path(tempfile.gettempdir()) / "tables")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--networks", type=int, default=1)
    parser.add_argument("--one", nargs=5, metavar=("PATH", "ROWS", "NETWORKS", "FROM", "SECONDS"))
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    if options.table:
        rows = records.read()
        print(headed(rows, rows.drop(columns=list(SOURCE))))
    elif options.one:
        path, rows, networks, where, seconds = options.one
        found = measure(
            Path(path), int(rows), int(networks), memory=where == "memory", seconds=float(seconds)
        )
        print(json.dumps(found))
    else:
        found = []
        for rows in options.rows:
            path = options.store / f"bend-{rows}.zarr"
            write(path, rows)
            for where in ("memory", "disk") if rows <= options.memory else ("disk",):
                found.append(alone(path, rows, options.networks, where, options.seconds))
                print(pd.DataFrame(found[-1:]).to_string(index=False), flush=True)
        records.add(found, seed=1, threads=1)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
