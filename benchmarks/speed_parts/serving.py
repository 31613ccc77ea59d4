"""The measured side: a process that times a network whenever it is asked.

Libraries live in environments of their own, thus in processes of their own, which take turns: a
line of JSON on stdin asks for one measurement, a line on stdout answers it, and nothing else runs
meanwhile. This file is imported in every environment: it knows torch, and no library.

A network, as it is meant here, has

    weights                  how many
    step(batch, steps)       trains on batches of this size; gives the mean seconds of a step
    density(x, context)      of rows, each with observables of its own
    sample(n, context)       draws at one observation, a single row of observables
"""

import json
import sys
from contextlib import redirect_stdout
from time import perf_counter

import torch

from speed_parts.architecture import OBSERVABLES, PARAMETERS

PILOT = 5  # calls that warm up, and tell how many more fill the time


def main(makers):
    """Serve the process that started this one; what libraries print goes to stderr."""
    torch.set_num_threads(int(sys.argv[1]))
    replies = sys.stdout
    with redirect_stdout(sys.stderr):
        serve(makers, sys.stdin, replies)


def serve(makers, requests, replies):
    """Answer requests, one a line, until there are no more.

    Parameters
    ----------
    makers : dict
        Name to a callable without arguments that makes the network.
    requests, replies : text streams
    """
    made, paces = {}, {}
    for line in requests:
        request = json.loads(line)
        name, task = request["network"], request["task"]
        if name not in made:
            torch.manual_seed(1)
            made[name] = makers[name]()
        if task == "weights":
            found = made[name].weights
        else:
            rows, key = request["rows"], (name, task, request["rows"])
            if key not in paces:
                paces[key] = seconds_of(made[name], task, rows, PILOT)
            calls = max(PILOT, round(request["seconds"] / paces[key]))
            found = seconds_of(made[name], task, rows, calls)
        print(json.dumps(found), file=replies, flush=True)


def seconds_of(network, task, rows, calls):
    """Time a step, or one call, as the mean of this many."""
    if task == "step":
        return network.step(rows, calls)
    x, context = pairs(rows)
    arguments = {"density": (x, context), "sample": (rows, context[:1])}[task]
    call = getattr(network, task)
    with torch.inference_mode():
        started = perf_counter()
        for _ in range(calls):
            call(*arguments)
        return (perf_counter() - started) / calls


def pairs(rows):
    """Make parameters and observables to train on."""
    generator = torch.Generator().manual_seed(1)
    table = torch.randn(rows, PARAMETERS + OBSERVABLES, generator=generator)
    return table[:, :PARAMETERS].contiguous(), table[:, PARAMETERS:].contiguous()
