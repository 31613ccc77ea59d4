"""Trainings that are killed again and again, beside the same ones left alone: equal weights?

    python benchmarks/checkpoints.py [--kills 3] [--seed 1]
    python benchmarks/checkpoints.py --table             the table of the results page

One network, an ensemble of two, whose second member starts from a Gaussian in closed form, and a
network of images, which is trained in two stages. Each is trained by a process of its own, which
writes its checkpoint after every step and is killed by SIGKILL at a random moment, also in the
middle of writing; the next process goes on. Weights are compared bit for bit.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.stats as st
import torch
from records import SOURCE, Records, add_options, headed

import sbi_inn as si
from sbi_inn.training import checkpoint
from sbi_inn.training.side_by_side import one_thread

RECORDS = Records("checkpoints", ("trained",))
PATIENCE = 300.0  # seconds to wait for the first checkpoint of a process


@si.simulator(batched=True, images=["picture"])
def blob(where, width, rng):
    """Draw a blurred spot."""
    x = np.linspace(-1, 1, 8)
    squared = (x[:, None] - where[:, None, None]) ** 2 + x[None, None, :] ** 2
    picture = np.exp(-squared / (2 * width[:, None, None] ** 2))
    return {"picture": picture + rng.normal(0, 0.1, picture.shape)}


@si.simulator(batched=True)
def line(a, b, rng):
    """Measure a sum and a difference."""
    return {"y": np.stack([a + b, a - b], axis=1) + rng.normal(0, 0.5, (len(a), 2))}


LINES = si.Problem(line, si.Prior(a=st.norm(0, 1), b=st.norm(0, 2)))
BLOBS = si.Problem(blob, si.Prior(where=st.uniform(-1, 2), width=st.uniform(0.2, 0.5)))
KINDS = {"one network": (LINES, 1, 8), "ensemble of 2": (LINES, 2, 6), "images": (BLOBS, 1, 4)}


def trained(kind, folder):
    """Fit, with checkpoints in a folder."""
    problem, members, epochs = KINDS[kind]
    with one_thread():
        return si.fit_posterior(
            problem,
            n_simulations=600,
            method=si.CINN(blocks=2, hidden=16, features=8),
            training=si.Training(epochs=epochs, checkpoint=folder),
            ensemble=members,
            n_jobs=1,
            seed=4,
            progress=False,
        )


def killed(kind, folder, rng, longest=0.3):
    """Train in a process, and kill it within so many seconds of its work; False if it was done."""
    before = written(folder)
    process = subprocess.Popen([sys.executable, __file__, "--one", kind, str(folder)])
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and before == written(folder) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(rng.uniform(0, longest))
    running = process.poll() is None
    if running:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return running


def written(folder):
    """Say when each checkpoint was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")}


def networks(posterior):
    """List the networks of a posterior."""
    fitted = posterior.core.fitted
    return [member.network for member in getattr(fitted, "members", (fitted,))]


def same(one, other):
    """Compare all weights and buffers, bit for bit."""
    pairs = zip(networks(one), networks(other), strict=True)
    states = [[net.state_dict() for net in pair] for pair in pairs]
    return all(torch.equal(a[name], b[name]) for a, b in states for name in a)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "FOLDER"))
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    if options.table:
        rows = records.read()
        print(headed(rows, rows.drop(columns=list(SOURCE))))
        return
    if options.one:
        checkpoint.EVERY, checkpoint.SHARE = 0.0, 1e9
        trained(*options.one)
        return
    rng, found = np.random.default_rng(options.seed), []
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "kept"
            kills = sum(killed(kind, folder, rng) for _ in range(options.kills))
            stages = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.ckpt"))
            equal = same(trained(kind, folder), trained(kind, None))
        found.append({"trained": kind, "killed": kills, "weights equal": equal})
        print(found[-1], stages, flush=True)
    records.add(found, seed=options.seed, threads=1)


if __name__ == "__main__":
    main()
