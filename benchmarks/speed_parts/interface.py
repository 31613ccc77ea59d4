"""Section `interface`: what the way from a network to labelled draws costs.

Run as a script, it measures in a process of its own.
"""

import json
import sys
from time import perf_counter

import inside
import numpy as np
import pandas as pd

from speed_parts.processes import Section, alone

PROBLEM = "inverse_kinematics"
Y = {"across": 1.6, "up": 0.1}  # m
DRAWS = 10_000  # at one observation
OBSERVATIONS = 10_000  # of sample_each
AT_ONCE = 1_000  # of these
DRAWS_EACH = 100


def interface(options):
    """Measure drawing at one observation, and at many: a row of each call."""
    script = "speed_parts/interface.py"
    rows = pd.DataFrame(alone(script, options.rounds, threads=options.threads))
    return rows.assign(call=rows.groupby("what").cumcount())


def table(rows):
    """Give the medians over calls."""
    sample, network = (median(rows, what) for what in ("posterior.sample", "the network alone"))
    each = median(rows, "posterior.sample_each")
    return pd.DataFrame(
        [
            {"what": f"posterior.sample(y, {DRAWS:,}) [ms]", "median": 1e3 * sample},
            {"what": "the network alone [ms]", "median": 1e3 * network},
            {"what": "the first over the second", "median": sample / network},
            {"what": "posterior.sample_each [draws / s]", "median": AT_ONCE * DRAWS_EACH / each},
        ]
    )


def median(rows, what):
    return float(rows[rows.what == what].seconds.median())


def measure(rounds):
    """Time a posterior that is trained for one epoch: how well it draws makes no difference."""
    import sbi_inn as si

    posterior = si.fit_posterior(
        PROBLEM,
        n_simulations=DRAWS,
        ensemble=1,  # its own network is timed beside it
        training=si.Training(epochs=1),
        seed=1,
        progress=False,
    )
    calls = {
        "posterior.sample": lambda: posterior.sample(Y, DRAWS),
        "the network alone": network_alone(posterior),
    }
    return in_turns(calls, rounds) + many(posterior)


def network_alone(posterior):
    """Make a call that draws as many from the latent and sends them through the blocks."""
    import torch

    observation = posterior.schema.read(Y)
    context = torch.from_numpy(inside.fitted(posterior).summarise(observation).astype(np.float32))
    network, generator = inside.fitted(posterior).network, torch.Generator().manual_seed(1)

    @torch.inference_mode()
    def draw():
        return network.flow.inverse(network.latent.sample(DRAWS, generator), context)

    return draw


def in_turns(calls, rounds):
    """Time each call in every round, after one round to warm up."""
    for call in calls.values():
        call()
    return [
        {"what": what, "seconds": seconds(call)}
        for _ in range(rounds)
        for what, call in calls.items()
    ]


def many(posterior):
    """Time draws at many different observations."""
    import sbi_inn as si

    table = si.simulate(PROBLEM, n=OBSERVATIONS, seed=2, n_jobs=1, progress=False)
    ys = table.dataset[list(Y)].rename(simulation="observation")
    parts = [
        ys.isel(observation=slice(start, start + AT_ONCE))
        for start in range(0, OBSERVATIONS, AT_ONCE)
    ]
    posterior.sample_each(parts[0], DRAWS_EACH)
    return [
        {
            "what": "posterior.sample_each",
            "seconds": seconds(lambda part=part: posterior.sample_each(part, DRAWS_EACH)),
        }
        for part in parts
    ]


def seconds(call):
    started = perf_counter()
    call()
    return perf_counter() - started


ABOUT = (
    f"{PROBLEM}, default network. sample_each: {OBSERVATIONS:,} different observations, "
    f"{AT_ONCE:,} a call, {DRAWS_EACH} draws each."
)
INTERFACE = Section(ABOUT, interface, table)

if __name__ == "__main__":
    print(json.dumps(measure(rounds=int(sys.argv[1]))))
