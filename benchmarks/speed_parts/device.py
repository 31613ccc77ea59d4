"""Section `device`: our networks on a device, and the bare matrix products there."""

from functools import partial
from time import perf_counter

import pandas as pd
import torch

from speed_parts.ours import Ours, Products
from speed_parts.processes import Section
from speed_parts.serving import PILOT, pairs

TASKS = {
    "step of 1,024": ("step", 1_024),
    "step of 8,192": ("step", 8_192),
    "density of 10,000": ("density", 10_000),
    "sampling 10,000": ("sample", 10_000),
}


def device(options):
    """Time every task of every network; the rows of density and draws are on the device."""
    where = torch.device(options.device)
    makers = {
        "ours": partial(Ours, "affine", where),
        "ours, spline": partial(Ours, "spline", where),
        "matrix products": partial(Products, where),
    }
    rows = []
    for name, make in makers.items():
        torch.manual_seed(1)
        network = make()
        for task, (kind, size) in TASKS.items():
            pace = seconds_of(network, kind, size, PILOT, where)
            calls = max(PILOT, round(options.seconds / pace))
            found = 1e3 * seconds_of(network, kind, size, calls, where)
            rows.append(
                {"network": name, "task": task, "device": where.type, "milliseconds": found}
            )
    return pd.DataFrame(rows)


def seconds_of(network, kind, rows, calls, where):
    """Time a step, or one call, as the mean of this many, to the end of the last."""
    if kind == "step":
        return network.step(rows, calls)
    x, context = (part.to(where) for part in pairs(rows))
    arguments = {"density": (x, context), "sample": (rows, context[:1])}[kind]
    with torch.inference_mode():
        wait(where)
        started = perf_counter()
        for _ in range(calls):
            getattr(network, kind)(*arguments)
        wait(where)
        return (perf_counter() - started) / calls


def wait(where):
    """Let a device end what it was given."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def why_not(name):
    """Say why nothing can be measured on a device; empty where it can."""
    if torch.device(name).type == "cuda" and not torch.cuda.is_available():
        return f"--device {name}: torch has no CUDA device here, so nothing was measured"
    return ""


def table(rows):
    """Put the tasks beside each other, one row a network."""
    return rows.pivot(index="network", columns="task", values="milliseconds").reset_index()


DEVICE = Section("Milliseconds on the device.", device, table)
