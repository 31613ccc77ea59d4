"""Gradients written by hand against plain automatic differentiation.

    python benchmarks/gradients.py                      the spline: steps of training, in turn
    python benchmarks/gradients.py --before CHECKOUT    whole trainings here and there, in turn

The spline's gradient is written out; here it is compared with the same spline in plain operations.
CHECKOUT is a clone of this repository at another commit, such as the last one in which
perceptrons and affine maps had such gradients too. One network of default settings, 10,000
simulations. Processor time, so that other work on the machine counts little; with one thread.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from sbi_inn.flows import MLP, Normal, RationalQuadraticSpline, coupling_flow
from sbi_inn.flows.rational_quadratic import SMALLEST_BIN, to_slope

TASKS = ("two_moons", "slcp", "bernoulli_glm_raw")
DIM = 4
CONTEXT = 2
STEPS = 4  # of one spline, before the other has its turn

FIT = """
import json, sys, time, torch
import sbi_inn as si
task, threads, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
table = si.simulate(task, n=10_000, seed=1, progress=False)
wall, cpu = time.perf_counter(), time.process_time()
fitted = si.fit_posterior(table, ensemble=1, seed=seed, progress=False)
seconds = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"wall": seconds[0], "cpu": seconds[1], "steps": fitted.history.steps}))
"""


class PlainSpline(RationalQuadraticSpline):
    """The same spline in plain operations."""

    def forward(self, x, parameters):
        """Evaluate it (eqs. 4 and 5 of Durkan et al. 2019)."""
        dim, bins, bound = x.shape[1], self.bins, self.bound
        sizes, slopes = parameters.split([2 * dim * bins, dim * (bins - 1)], dim=1)
        shares = sizes.unflatten(1, (2, dim, bins)).softmax(dim=3)
        sizes = 2 * bound * (SMALLEST_BIN + (1 - SMALLEST_BIN * bins) * shares)
        knots = F.pad(sizes.cumsum(dim=3), (1, 0)) - bound
        slopes = to_slope(F.pad(slopes.unflatten(1, (dim, bins - 1)), (1, 1)))
        here = x.clamp(-bound, bound)
        low = (here[:, :, None] >= knots[:, 0, :, 1:-1]).sum(dim=2, keepdim=True)
        (x0, y0), (x1, y1) = (
            tuple(side.expand(len(x), -1, -1).gather(2, at)[..., 0] for side in knots.unbind(1))
            for at in (low, low + 1)
        )
        d0, d1 = (slopes.expand(len(x), -1, -1).gather(2, at)[..., 0] for at in (low, low + 1))
        s, t = (y1 - y0) / (x1 - x0), (here - x0) / (x1 - x0)
        u = t * (1 - t)
        d = s + (d0 + d1 - 2 * s) * u
        z = y0 + (y1 - y0) * (s * t**2 + d0 * u) / d
        log_slope = 2 * (s / d).log() + (d1 * t**2 + 2 * s * u + d0 * (1 - t) ** 2).log()
        inside = x.abs() < bound
        return torch.where(inside, z, x), (log_slope * inside).sum(dim=1)


def network(spline):
    """Eight blocks of splines of 8 bins, two hidden layers of 128."""
    torch.manual_seed(1)
    subnet = partial(MLP, context=CONTEXT, hidden=128, depth=2)
    flow = coupling_flow(DIM, 8, subnet, torch.Generator().manual_seed(1), transform="spline")
    for part in flow.bijections:
        if hasattr(part, "transform"):
            part.transform = spline
    return flow


def step(flow, x, context):
    """Differentiate the loss of one batch; gives the loss."""
    z, log_det = flow(x, context)
    loss = -(Normal(DIM).log_prob(z) + log_det).mean()
    torch.autograd.grad(loss, list(flow.parameters()), materialize_grads=True)
    return loss.item()


def splines(rounds):
    """Time a step with either spline, in milliseconds, medians over rounds."""
    torch.set_num_threads(1)
    flows = {"by hand": network(RationalQuadraticSpline()), "plain": network(PlainSpline())}
    for batch in (256, 1024):
        x, context = torch.randn(batch, DIM), torch.randn(batch, CONTEXT)
        one, other = (step(flow, x, context) for flow in flows.values())
        assert abs(one - other) < 1e-4, (one, other)
        spent = {name: [] for name in flows}
        for _ in range(rounds):
            for name, flow in flows.items():
                began = time.process_time()
                for _ in range(STEPS):
                    step(flow, x, context)
                spent[name].append((time.process_time() - began) / STEPS * 1e3)
        hand, plain = (np.median(times) for times in spent.values())
        print(f"step of {batch}: by hand {hand:.1f} ms, plain {plain:.1f} ms, {plain / hand:.2f}")


def trainings(before, tasks, threads, rounds):
    """Train here and there in turn, and print medians."""
    here = Path(__file__).resolve().parents[1]
    for task in tasks:
        spent = {here: [], before.resolve(): []}
        for seed in range(1, rounds + 1):
            for root, rows in spent.items():
                command = [sys.executable, "-W", "ignore", "-c", FIT, task, str(threads), str(seed)]
                found = subprocess.run(
                    command,
                    cwd=root,
                    env={**os.environ, "PYTHONPATH": str(root)},
                    check=True,
                    capture_output=True,
                    text=True,
                )
                rows.append(json.loads(found.stdout.splitlines()[-1]))
        for what in ("cpu", "wall"):
            now, then = (np.median([r[what] for r in rows]) for rows in spent.values())
            print(f"{task}, {what}: {now:.1f} s here, {then:.1f} s there, {now / then:.2f}")
        print("  steps", *([r["steps"] for r in rows] for rows in spent.values()), flush=True)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.before:
        trainings(options.before, options.tasks, options.threads, options.rounds)
    else:
        splines(10 * options.rounds)


if __name__ == "__main__":
    main()
