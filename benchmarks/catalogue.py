"""How long a catalogue takes: summaries of every object, beside the network's own time.

    python benchmarks/catalogue.py [--objects 50000] [--draws 1000]
    python benchmarks/catalogue.py --table              the table of the results page

A table of four parameters and ten bands, whose prior is not stated; a network trained for 20
epochs; then `summary_each`, and the draws alone. Times are of the processor, all threads together,
so that other work on the machine matters little; memory is the peak of the process.
"""

import argparse
import platform
import resource
import time
from dataclasses import replace

import inside
import numpy as np
import pandas as pd
import torch
from records import Records, add_options, headed

import sbi_inn as si

RECORDS = Records("catalogue", ("objects", "draws"))

PARAMETERS, BANDS, ROWS = 4, 10, 10_000


def table(rows, seed):
    """Make parameters that go together, and ten bands of them."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(rows, PARAMETERS)) @ (np.eye(PARAMETERS) + 0.3)
    mix = np.random.default_rng(0).normal(size=(PARAMETERS, BANDS))
    bands = np.tanh(theta @ mix / 2) + rng.normal(0, 0.1, (rows, BANDS))
    names = [*(f"p{i}" for i in range(PARAMETERS)), *(f"band{i}" for i in range(BANDS))]
    return pd.DataFrame(np.hstack([theta, bands]), columns=names)


def timed(function):
    """Return the result, and the seconds of the processor and of the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    result = function()
    return result, time.process_time() - cpu, time.perf_counter() - clock


def peak():
    """Return the peak memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure(objects, draws):
    """Fit, summarise a catalogue, and draw without looking at the draws."""
    bands = {"flux": [f"band{i}" for i in range(BANDS)]}
    parameters = [f"p{i}" for i in range(PARAMETERS)]
    simulations = si.read_simulations(
        table(ROWS, 1), parameters=parameters, observables=bands, progress=False
    )
    posterior = si.fit_posterior(
        simulations, training=si.Training(epochs=20), n_jobs=1, seed=1, progress=False
    )
    ys, reading, _ = timed(
        lambda: si.read_observations(table(objects, 2), observables=bands, progress=False)
    )
    observations, understanding, _ = timed(lambda: posterior.schema.read_many(ys))
    before = peak()
    found, whole, clock = timed(lambda: posterior.summary_each(ys, draws, progress=False))
    after = peak()
    _, network, _ = timed(lambda: network_alone(posterior, observations, draws))
    return {
        "objects": objects,
        "draws": draws,
        "reading [s]": round(reading + understanding, 2),
        "summary_each [s of processor]": round(whole, 1),
        "summary_each [s]": round(clock, 1),
        "network alone [s of processor]": round(network, 1),
        "ratio": round(whole / network, 3),
        "peak memory [GB]": round(after, 3),
        "of which before [GB]": round(before, 3),
        "objects with several modes": int((found.filter(like="_modes") > 1).any(axis=1).sum()),
        "machine": f"{platform.machine()}, torch {torch.__version__}, numpy {np.__version__}",
    }


def network_alone(posterior, observations, draws):
    """Draw on the latent side, block by block, and keep nothing."""
    rng = np.random.default_rng(1)
    size = max(1, 2**18 // draws)
    for first in range(0, len(observations), size):
        inside.fitted(posterior).sample(observations[first : first + size], draws, rng)


def shown(rows):
    """Make the table of the page, a column for each run."""
    if rows.empty:
        return ""
    names = [name for name in rows if name not in ("commit", "date", "cores", "threads", "seed")]
    runs = [dict(zip(names, map(str, row), strict=True)) for row in rows[names].to_numpy()]
    lines = [{"": name} | {str(i): run[name] for i, run in enumerate(runs, 1)} for name in names]
    return headed(rows, pd.DataFrame(lines))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=50_000)
    parser.add_argument("--draws", type=int, default=1_000)
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    if not options.table:
        found = measure(options.objects, options.draws)
        records.add([found], seed=1, threads=torch.get_num_threads())
    print(shown(records.read()))


if __name__ == "__main__":
    main()
