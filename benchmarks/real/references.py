"""Reference posteriors of the real problems: long runs of walkers, from two kinds of starts.

    python benchmarks/real/references.py                    all that are missing
    python benchmarks/real/references.py cubic --again      one, anew
    python benchmarks/real/references.py --table            how well they have mixed

Half of the ensembles starts around the truth, half from draws of the prior that were taken to the
posterior through powers of the likelihood, and so from every mode that these have found. Most walk
on the latent side of the prior, where it is N(0, I). What is kept, 5,000 draws of each observation,
is spread evenly over all walkers. Where the posterior can be drawn from directly, its draws are
kept instead, and compared with the walk.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats
from records import Records, add_options, headed

from real.ensemble import tempered, walk
from real.problems import NAMES, load

RECORDS = Records("real-references", ("problem", "observation", "parameter"))
SEED, DRAWS = 1, 5_000
GROUPS, WALKERS = 2, 100  # groups of either start, and walkers in each
PARTICLES = 2_000
STEPS, BURN_IN, KEEP = 4_000, 1_000, 10
# Of those whose likelihood or prior takes long, and of those whose draws are exact anyway.
FEWER_STEPS = {
    "epidemic": 1_500,
    "mixture": 2_000,
    "logistic": 2_000,
    "regression": 1_000,
    "schools": 1_000,
    "counts": 1_500,
    "survival": 1_500,
    "returns": 1_500,
    "gaussian_process": 1_500,
    "shrubs": 1_500,
    "one_compartment": 400,
    "two_components": 600,
    "arma": 600,
    "hidden_states": 600,
    "wells": 600,
    "spectral_line": 1_500,
    "supernovae": 1_500,
    "decays": 3_000,
    "growth": 1_500,
    "star": 800,
    "votes": 300,
    "memory": 600,
    "seeds": 500,
    "dogs": 600,
}
BALL = 1e-3  # sd, on the latent side, of walkers around the truth


def rng_of(name, observation, what):
    """Give a generator of its own for each problem, observation and use."""
    return np.random.default_rng([SEED, zlib.crc32(f"{name} {observation} {what}".encode())])


def observe(real):
    """Simulate the fixed observations from the truths."""
    givens = getattr(real.module, "GIVENS", [{}] * len(real.truths))
    return [
        real.simulate(truth, given, rng_of(real.name, i, "observe"))
        for i, (truth, given) in enumerate(zip(real.truths, givens, strict=True))
    ]


def flat_truth(real, observation):
    truth = real.truths[observation]
    return real.prior.flatten({n: np.asarray(v, float)[None] for n, v in truth.items()})


class Space:
    """Where the walkers of a problem are: on the latent side of its prior, or where it says.

    Attributes
    ----------
    to, back : callable
        From flat parameters to points, and back.
    log_prior : callable
        Of points.
    """

    def __init__(self, real):
        self.prior = real.prior
        self.linear = hasattr(real.module, "to_walk")
        self.to = real.module.to_walk if self.linear else self._to_latent
        self.back = real.module.from_walk if self.linear else self._from_latent

    def _to_latent(self, flat):
        return self.prior.to_latent(self.prior.unflatten(flat))

    def _from_latent(self, points):
        return self.prior.flatten(self.prior.from_latent(points))

    def log_prior(self, points):
        if self.linear:
            return self.prior.log_prob(self.prior.unflatten(self.back(points)))
        return -0.5 * (points**2).sum(axis=1)


def densities(real, y):
    """Give the log-likelihood and the log-prior of points where the walkers are, (n, k)."""
    space = Space(real)

    def log_likelihood(points):
        return real.log_likelihood(space.back(points), y)

    return log_likelihood, space.log_prior


def explore(real, observation, y, *, steps=None, burn_in=BURN_IN, particles=PARTICLES):
    """Walk from both kinds of starts.

    Returns
    -------
    array, shape (2 groups of walkers, kept steps, k)
        Parameters, flat.
    """
    steps = steps or FEWER_STEPS.get(real.name, STEPS)
    space, (likelihood, prior) = Space(real), densities(real, y)
    rng = rng_of(real.name, observation, "walk")
    truth = space.to(flat_truth(real, observation))
    k = truth.shape[1]
    near = truth + BALL * rng.normal(size=(GROUPS * WALKERS, k))
    far = space.to(real.prior.flatten(real.prior.sample(particles, rng)))
    far = tempered(likelihood, prior, far, rng)
    far = far[rng.choice(particles, GROUPS * WALKERS, replace=False)]
    start = np.concatenate([near, far]).reshape(2 * GROUPS, WALKERS, k)
    found = walk(lambda z: likelihood(z) + prior(z), start, burn_in + steps, rng, keep=KEEP).points
    chains = found[burn_in // KEEP :].reshape(-1, 2 * GROUPS * WALKERS, k).swapaxes(0, 1)
    return space.back(chains.reshape(-1, k)).reshape(*chains.shape[:2], -1)


def mixing(chains):
    """Say how well chains (chains, draws, k) have mixed, for each column.

    Chains are short and many: R-hat is the nested one (Margossian et al. 2024, Bayesian Analysis),
    split and rank-normalised, of the ensembles; that of single walkers is kept beside it.
    """
    groups = np.repeat(np.arange(2 * GROUPS), len(chains) // (2 * GROUPS))
    columns = np.moveaxis(chains, -1, 0)
    return [
        {
            "rhat": float(array_stats.rhat_nested(column, superchain_ids=groups)),
            "rhat of walkers": float(array_stats.rhat(column)),
            "ess": float(array_stats.ess(column, method="bulk")),
        }
        for column in columns
    ]


def kept(real, observation, y, chains):
    """Give 5,000 draws, and where they are exact also by how much the walk differs from them."""
    rng = rng_of(real.name, observation, "keep")
    walked = chains.reshape(-1, chains.shape[-1])
    if not hasattr(real.module, "exact"):
        return rng.permutation(walked[:: len(walked) // DRAWS])[:DRAWS], [{}] * walked.shape[1]
    many = real.module.exact(y, 20 * DRAWS, rng)
    shift = (walked.mean(0) - many.mean(0)) / many.std(0)
    width = walked.std(0) / many.std(0)
    return many[:DRAWS], [
        {"walk - exact [sd]": s, "walk / exact": w} for s, w in zip(shift, width, strict=True)
    ]


def make(name, records, folder, **settings):
    """Make the observations and references of a problem, and rows about them."""
    real = replace(load(name), folder=folder)
    observations, draws, rows = observe(real), [], []
    for i, y in enumerate(observations):
        started = time.process_time()
        chains = explore(real, i, y, **settings)
        drawn, compared = kept(real, i, y, chains)
        draws.append(drawn)
        seconds = time.process_time() - started
        for column, mixed, other in zip(real.prior.columns, mixing(chains), compared, strict=True):
            about = {"problem": name, "observation": i + 1, "parameter": column}
            rows.append(about | mixed | other)
        worst = max(row["rhat"] for row in rows[-len(real.prior.columns) :])
        print(f"{name} {i + 1}: {seconds:.0f} s, R-hat {worst:.4f}", flush=True)
    stored = {f"y{i}.{n}": v for i, y in enumerate(observations, 1) for n, v in y.items()}
    truths = np.concatenate([flat_truth(real, i) for i in range(len(real.truths))])
    real.file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(real.file, draws=np.asarray(draws, np.float32), truths=truths, **stored)
    records.add(rows, seed=SEED, threads=1)


def table(rows):
    """Make the table of the page: of each problem, the worst of its observations."""
    if rows.empty:
        return ""
    lines = []
    for problem, here in rows.groupby("problem", sort=False):
        gap = here["walk - exact [sd]"].abs().max() if "walk - exact [sd]" in here else np.nan
        lines.append(
            {
                "problem": problem,
                "parameters": here["parameter"].nunique(),
                "R-hat, largest": f"{here['rhat'].max():.4f}",
                "effective size, smallest": f"{here['ess'].min():,.0f}",
                "walk beside exact draws, largest shift [sd]": "-"
                if pd.isna(gap)
                else f"{gap:.3f}",
            }
        )
    return headed(rows, pd.DataFrame(lines))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=", ".join(NAMES))
    parser.add_argument("--again", action="store_true", help="make anew what is there")
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    if not options.table:
        for name in options.problems or NAMES:
            if options.again or not load(name).file.exists():
                make(name, records, load(name).folder)
    print(table(records.read()))


if __name__ == "__main__":
    main()
