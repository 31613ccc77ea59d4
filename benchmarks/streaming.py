"""Training from a table on disk, beside training from memory: throughput, loss, peak memory.

    python benchmarks/streaming.py [--rows 500000 ...] [--seconds 600] [--store /tmp/tables]
    python benchmarks/streaming.py --table              the table of the results page

A cheap problem of three parameters and five observables is written to a Zarr store, and one network
is trained on it for a pass: from disk, and up to `--memory` rows also from memory. Each run has a
process of its own with one thread, and ends after `--seconds`, within its pass where that is long.
Throughput counts seconds of the processor, so that other work on the machine matters little; the
seconds of the clock are there too. Losses are of the same 5,000 simulations, which no network has
seen.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats as st
import xarray as xr
from records import SOURCE, Records, add_options, headed

import sbi_inn as si

RECORDS = Records("streaming", ("rows", "from"))
PART, CHUNK = 2**18, 2**15  # rows that are simulated, and stored, at once
TESTS = 5_000
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


def peak():
    """Return the peak memory of this process so far, in GB."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def measure(path, rows, *, memory, seconds):
    """Train one network, and say what it took."""
    before = peak()
    table = opened(path, rows, memory=memory)
    training = si.Training(epochs=1, max_seconds=seconds, early_stopping=False)
    cpu, clock = time.process_time(), time.perf_counter()
    posterior = si.fit_posterior(
        table, training=training, ensemble=1, n_jobs=1, seed=1, progress=False
    )
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    trained = posterior.history.epoch[-1] * (rows - len(posterior.core.test_rows) - TESTS)
    tests = simulated(TESTS, seed=2**40)
    latents = tests.prior.to_latent(tests.parameters(), np.empty((TESTS, 0)))
    loss = -posterior.core.fitted.log_prob(latents, tests.observations()).mean()
    return {
        "rows": rows,
        "from": "memory" if memory else "disk",
        "passes": round(trained / rows, 3),
        "rows a second of processor": round(trained / cpu),
        "processor [s]": round(cpu, 1),
        "clock [s]": round(clock, 1),
        "loss [nats]": round(float(loss), 4),
        "peak memory [GB]": round(peak(), 2),
        "of which before [GB]": round(before, 2),
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
    parser.add_argument("--one", nargs=4, metavar=("PATH", "ROWS", "FROM", "SECONDS"))
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    if options.table:
        rows = records.read()
        print(headed(rows, rows.drop(columns=list(SOURCE))))
    elif options.one:
        path, rows, where, seconds = options.one
        found = measure(Path(path), int(rows), memory=where == "memory", seconds=float(seconds))
        print(json.dumps(found))
    else:
        found = []
        for rows in options.rows:
            path = options.store / f"bend-{rows}.zarr"
            write(path, rows)
            for where in ("memory", "disk") if rows <= options.memory else ("disk",):
                found.append(alone(path, rows, where, options.seconds))
                print(pd.DataFrame(found[-1:]).to_string(index=False), flush=True)
        records.add(found, seed=1, threads=1)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
