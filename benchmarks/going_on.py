"""Growing simulations: is a fit that goes on from the last one as good as one from the start?

    python benchmarks/going_on.py [--problems two_moons slcp ...] [--seeds 1 2] [--first 500]
    python benchmarks/going_on.py --table               the table of the results page

Simulations double twice, as the stages of `fit_posterior(until="trust")` do. One network is trained
on each table anew, or goes on from that of half the table by what `train_more` does, with as many
steps, or with half as many. Losses are of the same 4,000 fresh simulations, in nats: means, and the
standard error of the difference to the network that was trained anew. Seconds are those of the
processor, of one thread, without the simulations.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from records import SOURCE, Records, add_options, headed

import sbi_inn as si
from sbi_inn.methods import fitting
from sbi_inn.methods.fitting import Split, split
from sbi_inn.methods.protocols import Further
from sbi_inn.simulation.joining import join
from sbi_inn.training.side_by_side import one_thread

RECORDS = Records("going-on", ("problem", "simulations", "trained"))
TESTS = 4_000
ANEW = "anew"
WAYS = {"going on": 1.0, "going on, half the steps": 0.5}


def simulated(problem, n, seed):
    return si.simulate(problem, n=n, seed=seed, n_jobs=1, progress=False)


def longer(table, parts, problem, seed):
    """Double a table, as stages do: rows that were held out stay so."""
    fresh = simulated(problem, len(table), seed)
    own = split(fresh, seed)
    pairs = zip(vars(parts).items(), vars(own).values(), strict=True)
    both = {name: np.concatenate([a, b + len(table)]) for (name, a), b in pairs}
    return join([table, fresh]), Split(**both)


def trained(table, parts, method, training, seed):
    """Train, and give the seconds of the processor."""
    began = time.process_time()
    with one_thread():
        fitted, _ = fitting.fit(table, method, training, parts=parts, seed=seed, progress=False)
    return fitted, time.process_time() - began


def losses(fitted, tests):
    latents = tests.prior.to_latent(tests.parameters(), np.empty((TESTS, 0)))
    return -fitted.log_prob(latents, tests.observations())


def shortened(parts, share):
    """Give as long a training as a fit of these rows has, or a share of it."""
    whole = si.CINN().schedule(si.Training(), len(parts.train)).resolve(len(parts.train))
    assert whole.epochs is not None
    return replace(si.Training(), epochs=max(1, round(share * whole.epochs)))


def measure(name, first, seed):
    """Yield a row for each size and way."""
    problem = si.get(name)
    tests = simulated(problem, TESTS, seed + 1_000)
    table = simulated(problem, first, seed)
    parts = split(table, seed)
    start, _ = trained(table, parts, si.CINN(), si.Training(), seed)
    chains = dict.fromkeys(WAYS, start)
    for stage in (1, 2):
        table, parts = longer(table, parts, problem, seed + 100 * stage)
        anew, seconds = trained(table, parts, si.CINN(), si.Training(), seed)
        base = losses(anew, tests)
        about = {"problem": name, "simulations": len(table)}
        yield (
            about
            | {"trained": ANEW, "loss": base.mean(), "more": 0.0, "error": 0.0}
            | {"seconds": seconds}
        )
        for way, share in WAYS.items():
            training = shortened(parts, share)
            chains[way], seconds = trained(table, parts, Further(chains[way]), training, seed)
            found = losses(chains[way], tests)
            apart = found - base
            yield about | {
                "trained": way,
                "loss": found.mean(),
                "more": apart.mean(),
                "error": apart.std() / np.sqrt(TESTS),
                "seconds": seconds,
            }


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problems", nargs="*", default=["two_moons", "slcp", "gaussian_mixture"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--first", type=int, default=500)
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    for seed in [] if options.table else options.seeds:
        for name in options.problems:
            for row in measure(name, options.first, seed):
                print(pd.DataFrame([row]).round(3).to_string(index=False, header=False), flush=True)
                records.add([row], seed=seed, threads=1)
    print(table_of(records.read()))


def table_of(rows):
    """Write the rows, of all seeds."""
    shown = rows.drop(columns=[name for name in SOURCE if name != "seed"]).copy()
    for name, digits in {"loss": 3, "more": 3, "error": 3, "seconds": 1}.items():
        shown[name] = shown[name].map(f"{{:.{digits}f}}".format)
    return headed(rows, shown.astype(str))


if __name__ == "__main__":
    main()
