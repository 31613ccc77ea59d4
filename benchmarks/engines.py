"""Simulations on processes of our own, on joblib and on a cluster of dask, and with one killed.

    python benchmarks/engines.py            # measures, and writes docs/results/engines.csv
    python benchmarks/engines.py --table    # prints the table from there

A simulator that sleeps for 10 ms shows what the engines cost beside it, whatever the cores do; the
two moons, which are batched, show what they cost by themselves.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats as st
from joblib import Parallel, delayed
from records import Records, add_options, headed

import sbi_inn as si

RECORDS = Records("engines", ("what",))
PROCESSES = 4
PRIOR = si.Prior(a=st.norm(), b=st.norm())


def slow(a, b, rng):
    time.sleep(0.01)
    return {"y": a + b * rng.normal()}


def by_hand(a, b, seed):
    """Do what `slow` does, for joblib, which knows of no prior."""
    return slow(a, b, np.random.default_rng(seed))["y"]


def simulated(n, **settings):
    """Simulate, and give the table and the seconds that it took."""
    started = time.perf_counter()
    table = si.simulate(slow, PRIOR, n=n, seed=1, progress=False, **settings)
    return table, time.perf_counter() - started


def rates(n, client):
    """Compare simulations a second: warm processes, the better of two."""
    draws = PRIOR.sample(n, np.random.default_rng(1))
    jobs = [delayed(by_hand)(a, b, i) for i, (a, b) in enumerate(zip(*draws.values(), strict=True))]
    found = {}
    with Parallel(n_jobs=PROCESSES) as parallel:
        parallel(jobs[: 10 * PROCESSES])
        found["joblib"] = best(lambda: parallel(jobs))
    simulated(400, n_jobs=PROCESSES)
    found["processes"] = best(lambda: simulated(n, n_jobs=PROCESSES))
    simulated(400, client=client)
    found["dask"] = best(lambda: simulated(n, client=client))
    return {f"{name} [1/s]": round(n / seconds, 1) for name, seconds in found.items()}


def best(function):
    """Give the seconds of the better of two calls."""
    times = []
    for _ in range(2):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def killed(n, client):
    """Kill one worker of the cluster on the way, and compare the table with an undisturbed one."""
    alone, _ = simulated(n, n_jobs=PROCESSES)
    victim = next(iter(client.run(os.getpid).values()))
    killer = threading.Timer(0.3 * n * 0.01 / PROCESSES, os.kill, (victim, signal.SIGKILL))
    killer.start()
    with tempfile.TemporaryDirectory() as folder:
        table, seconds = simulated(n, client=client, store=Path(folder) / "a.zarr")
        same = table.dataset.load().equals(alone.dataset) and table.failures.equals(alone.failures)
    gone = victim not in client.run(os.getpid).values()
    return {
        "dask, a worker killed [1/s]": round(n / seconds, 1),
        "killed": bool(gone),
        "the same table": bool(same),
    }


def batched(n, client):
    """Measure what a batched simulator costs on the cluster beside this process."""
    times = {}
    for name, settings in {"here": {"n_jobs": 1}, "dask": {"client": client}}.items():
        times[name] = best(
            lambda settings=settings: si.simulate("two_moons", n=n, progress=False, **settings)
        )
    return {
        "batched, here [us a simulation]": round(1e6 * times["here"] / n, 2),
        "batched, dask [us a simulation]": round(1e6 * times["dask"] / n, 2),
    }


def stored(n):
    """Measure what a store costs a batched simulator, and reading it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zarr"
        started = time.perf_counter()
        si.simulate("two_moons", n=n, store=path, n_jobs=1, seed=1, progress=False)
        written = time.perf_counter() - started
        started = time.perf_counter()
        table = si.read_simulations(path, progress=False)
        table.observations(np.random.default_rng(1).permutation(n)[:1024])
        read = time.perf_counter() - started
    return {
        "stored, one process [us a simulation]": round(1e6 * written / n, 2),
        "open and read 1,024 rows of it [s]": round(read, 3),
    }


def measure(n, n_batched):
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=PROCESSES, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        found = rates(n, client) | batched(n_batched, client) | killed(n, client)
    return {
        "what": f"{n} of 10 ms, {n_batched} batched",
        **found,
        **stored(n_batched),
        "machine": f"{platform.machine()}, numpy {np.__version__}, {PROCESSES} processes",
    }


def shown(rows):
    """Make the table of the page."""
    if rows.empty:
        return ""
    names = [name for name in rows if name not in ("commit", "date", "cores", "threads", "seed")]
    lines = [{"": name, "found": str(rows[name].iloc[-1])} for name in names]
    return headed(rows, pd.DataFrame(lines))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slow", type=int, default=2_000, help="simulations of 10 ms")
    parser.add_argument("--batched", type=int, default=500_000, help="two moons")
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    if not options.table:
        records.add([measure(options.slow, options.batched)], seed=1, threads=1)
    print(shown(records.read()))


if __name__ == "__main__":
    main()
