"""One epidemic: the network's posterior beside that of a Markov chain, day by day.

    python benchmarks/thesis/covid_exact.py FILE
    python benchmarks/thesis/covid_exact.py --table        the table of the results page

FILE is what `covid.py --saved FILE` wrote. The likelihood of this model can be written down: the
expected counts are deterministic, and the counts negative binomial. 200 chains that start at draws
of the network move by differences of each other (ter Braak 2006).
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
import scipy.stats as st
import torch
from covid import LAST, SHOWN
from sbi_inn.simulators import covid
from shared import Records, add_options, headed

import sbi_inn as si

DAYS = (20, 60, 100, 120)
CHAINS = 200
STEPS = 1_500  # of each chain, of which the first half is left out
KEPT_EVERY = 10  # steps
RECORDS = Records("thesis-covid-exact", ("day", "parameter"))
SCALES = (1.0, 0.5, 0.2)  # of a move, in those that are best for a normal law


def log_density(latent, cases):
    """Log of the posterior density on the prior's N(0, I) side, but for a constant, shape (B,)."""
    values = covid.problem.prior.from_latent(latent)
    psi = values.pop("dispersion")[:, None]
    mean = covid.expected(**values, days=len(cases))
    log_likelihood = st.nbinom.logpmf(cases, psi, psi / (psi + mean)).sum(axis=1)
    log_likelihood[np.isnan(log_likelihood)] = -np.inf
    return log_likelihood - (latent**2).sum(axis=1) / 2


def chain(cases, start, rng):
    """Follow the chains, and give draws of the parameters, by name."""
    latent, here, kept = start.copy(), log_density(start, cases), []
    best = 2.38 / np.sqrt(2 * start.shape[1])
    for step in range(STEPS):
        for moving in (np.arange(0, CHAINS, 2), np.arange(1, CHAINS, 2)):
            others = np.setdiff1d(np.arange(CHAINS), moving)
            a, b = latent[rng.choice(others, (2, len(moving)))]
            scale = best * rng.choice(SCALES, (len(moving), 1))
            proposed = latent[moving] + scale * (a - b) + 1e-3 * rng.standard_normal(a.shape)
            there = log_density(proposed, cases)
            taken = np.log(rng.random(len(moving))) < there - here[moving]
            latent[moving[taken]], here[moving[taken]] = proposed[taken], there[taken]
        if step >= STEPS // 2 and step % KEPT_EVERY == 0:
            kept.append(latent.copy())
    return covid.problem.prior.from_latent(np.concatenate(kept))


def compared(posterior, seed):
    """Compare medians and standard deviations of the network and the chains: a row of each."""
    rng = np.random.default_rng(seed)
    one = {name: np.array([value]) for name, value in SHOWN.items()}
    cases = covid.problem.simulator(**one, days=np.array([LAST]), rng=rng)["cases"][0]
    rows = []
    for day in DAYS:
        draws = posterior.sample({"cases": cases[:day]}, 5_000)
        found = {name: draws[name].values for name in posterior.prior.names}
        start = posterior.prior.to_latent({n: v[:CHAINS] for n, v in found.items()})
        exact = chain(cases[:day], start, rng)
        for name, values in found.items():
            row = {"day": day, "parameter": name}
            for who, draw in (("network", values), ("chain", exact[name])):
                row |= {f"{who} median": float(np.median(draw)), f"{who} sd": float(draw.std())}
            rows.append(row)
    return rows


def table(rows):
    """Make the table of the page, a column for each parameter."""
    if rows.empty:
        return ""
    lines = []
    for day, here in rows.groupby("day"):
        here = here.set_index("parameter")
        for who in ("network", "chain"):
            values = zip(here[f"{who} median"], here[f"{who} sd"], strict=True)
            cells = [f"{middle:.3g} ± {sd:.2g}" for middle, sd in values]
            lines.append({"day": day, "": who} | dict(zip(here.index, cells, strict=True)))
    return headed(rows, pd.DataFrame(lines), "Medians and standard deviations.")


def main():
    """Compare, keep the rows and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="of the posterior")
    parser.add_argument("--seed", type=int, default=1)
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    if not options.table:
        rows = compared(si.load_posterior(options.file), options.seed)
        records.add(rows, seed=options.seed, threads=torch.get_num_threads())
    print(table(records.read()))


if __name__ == "__main__":
    main()
