"""A first round that lacks one of two modes: is it noticed, and repaired?

    python benchmarks/refine_planted.py                 20 seeds
    python benchmarks/refine_planted.py --seeds 1 2
    python benchmarks/refine_planted.py --table         the table of the results page

The data are a^2 and b with noise, so that the sign of a is lost: the posterior at (1, 0.3) has two
modes of the same weight. A network is trained on simulations whose a was made positive, and knows
one mode only. `refine` gets that posterior with the honest simulations. Noticed: the region of the
first round holds both modes. Repaired: so does the last one, and the refined posterior gives either
mode a quarter of its draws at least.
"""

import argparse
from dataclasses import replace

import numpy as np
import scipy.stats as st
from records import Records, add_options, headed

import sbi_inn as si
from sbi_inn.posterior.posterior import Posterior
from sbi_inn.posterior.refining import scouting

N = 500  # simulations of the first round, and fresh ones
DRAWS = 4_000
Y = {"y": np.array([1.0, 0.3])}
MODES = np.array([[1.0, 0.3], [-1.0, 0.3]])


@si.simulator(batched=True)
def square(a, b, rng):
    """Lose the sign of a."""
    centre = np.column_stack([a**2, b])
    return {"y": centre + 0.1 * rng.standard_normal(centre.shape)}


STUDY = si.Problem(square, si.Prior(a=st.norm(), b=st.norm()))


def planted(seed, ensemble):
    """Give a posterior that knows positive a only, with honest simulations."""
    table = si.simulate(STUDY, n=N, seed=seed, n_jobs=1, progress=False)
    positive = np.abs(table.dataset["a"])
    half = replace(table, dataset=table.dataset.assign(a=positive))
    fitted = si.fit_posterior(half, ensemble=ensemble, n_jobs=1, seed=seed, progress=False)
    return Posterior(replace(fitted.core, simulations=table, problem=STUDY))


def measure(seed, ensemble):
    """Refine, and look at both modes."""
    regions = []
    found = scouting.region

    def watched(*args):
        regions.append(found(*args))
        return regions[-1]

    scouting.region = watched
    try:
        broken = planted(seed, ensemble)
        sharp = broken.refine(Y, N, seed=seed, n_jobs=1, progress=False)
    finally:
        scouting.region = found
    before, after = (p.sample(Y, DRAWS)["a"].values for p in (broken, sharp))
    share = float((after < 0).mean())
    return {
        "before": float((before < 0).mean()),
        "after": share,
        "missed": regions[0].missed,
        "noticed": bool(regions[0].box.inside(MODES).all()),
        "repaired": bool(regions[-1].box.inside(MODES).all() and 0.25 < share < 0.75),
    }


def table(rows):
    """Count them."""
    line = {
        "seeds": str(rows.seed.nunique()),
        "noticed": str(int(rows.noticed.sum())),
        "repaired": str(int(rows.repaired.sum())),
        "share of the missing mode, before": f"{rows.before.max():.2f} at most",
        "after": f"{rows.after.min():.2f} to {rows.after.max():.2f}",
    }
    return type(rows)([line])


def main():
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(made)
    made.add_argument("--seeds", nargs="+", type=int, default=range(1, 21), metavar="SEED")
    made.add_argument("--ensemble", type=int, default=2, help="networks, or twice as many")
    options = made.parse_args()
    records = Records("refine_planted", ("seed",), options.out)
    if not options.table:
        for seed in options.seeds:
            row = measure(seed, options.ensemble)
            records.add([row], seed=seed, threads=1)
            print(seed, row, flush=True)
    rows = records.read()
    print(headed(rows, table(rows)) if len(rows) else "no results yet")


if __name__ == "__main__":
    main()
