"""Simulations that double until the posterior can be trusted: where they stop, and whether rightly.

    python benchmarks/growing.py                            all problems, a minute or more for each
    python benchmarks/growing.py line --seeds 1 2 3
    python benchmarks/growing.py --table                    the tables of the results page

Three problems have exact posteriors, and are looked at in 20 observations that the network has not
seen. Five are tasks of the public benchmark, with reference draws at public observations. At each
stage means are compared with theirs in standard deviations, and widths by their ratio: root mean
square of the first, and mean of the second, of the worst parameter. A stage suffices where these
are below .3 and within 15 %.
"""

import argparse

import inside
import numpy as np
import scipy.stats as st
from accuracy_parts.tasks import TASKS, observations, reference_file
from records import Records, add_options, headed

import sbi_inn as si
from sbi_inn.posterior.growth import Growth
from sbi_inn.posterior.posterior import Posterior

OBSERVATIONS = 20
DRAWS = 4_000
SHIFT, WIDTH = 0.3, 0.15
HARD = ("two_moons", "gaussian_mixture", "bernoulli_glm", "sir", "slcp")


# -- problems with exact posteriors ----------------------------------------------------------------

T = np.linspace(-1, 1, 12)
DESIGN = np.stack([np.ones_like(T), T, T**2])


@si.simulator(batched=True)
def parabola(a, b, c, rng):
    """Give 12 points of a parabola, with noise."""
    return {"y": np.column_stack([a, b, c]) @ DESIGN + 0.5 * rng.standard_normal((len(a), 12))}


def exact_parabola(y):
    covariance = np.linalg.inv(np.eye(3) / 4 + DESIGN @ DESIGN.T / 0.25)
    return covariance @ DESIGN @ y / 0.25, np.sqrt(np.diag(covariance))


@si.simulator(batched=True)
def rate(rate, rng):
    """Count five times."""
    return {"y": rng.poisson(rate[:, None], (len(rate), 5)).astype(float)}


def exact_rate(y):
    posterior = st.gamma(2 + y.sum(), scale=1 / (0.2 + len(y)))
    return np.array([posterior.mean()]), np.array([posterior.std()])


@si.simulator(batched=True)
def spread(mean, variance, rng):
    """Draw eight times from a normal distribution."""
    noise = rng.standard_normal((len(mean), 8))
    return {"y": mean[:, None] + np.sqrt(variance)[:, None] * noise}


def exact_spread(y):
    """Integrate on a grid: priors of mean and variance are independent, which is not conjugate."""
    mean, log = np.meshgrid(np.linspace(-8, 8, 400), np.linspace(-4, 5, 400), indexing="ij")
    variance = np.exp(log)
    weight = st.norm(0, 2).logpdf(mean) + st.invgamma(3, scale=2).logpdf(variance) + log
    for value in y:
        weight += st.norm(mean, np.sqrt(variance)).logpdf(value)
    weight = np.exp(weight - weight.max())
    found = [
        (np.average(x, weights=weight), np.average(x**2, weights=weight)) for x in (mean, variance)
    ]
    first, second = np.transpose(found)
    return first, np.sqrt(second - first**2)


WIDE = st.norm(0, 2)
EXACT = {
    "parabola": (si.Problem(parabola, si.Prior(a=WIDE, b=WIDE, c=WIDE)), exact_parabola),
    "rate": (si.Problem(rate, si.Prior(rate=st.gamma(2, scale=5))), exact_rate),
    "spread": (
        si.Problem(spread, si.Prior(mean=WIDE, variance=st.invgamma(3, scale=2))),
        exact_spread,
    ),
}


def tests_of(name, seed):
    """Give observations, and means and standard deviations (rows, dim) of their posteriors."""
    if name in EXACT:
        problem, exact = EXACT[name]
        made = si.simulate(problem, n=OBSERVATIONS, seed=10_000 + seed, n_jobs=1, progress=False)
        means, sds = zip(*(exact(y) for y in made.dataset["y"].values), strict=True)
        return made.observations(), np.stack(means), np.stack(sds)
    with np.load(reference_file(name)) as file:
        draws = file["reference_posterior"]
        return observations(name, file["observation"]), draws.mean(axis=1), draws.std(axis=1)


def away(core, y, means, sds):
    """Give how far means and widths are off, of the worst parameter."""
    drawn = inside.draw(Posterior(core), y, DRAWS, np.random.default_rng(1))
    width = (drawn.std(axis=1) / sds).mean(axis=0)
    shift = np.sqrt((((drawn.mean(axis=1) - means) / sds) ** 2).mean(axis=0))
    return shift.max(), width[np.abs(np.log(width)).argmax()]


# -- what is measured ------------------------------------------------------------------------------


def measure(name, seed, most, seconds):
    """Let simulations grow, and give a row for each stage."""
    problem = EXACT[name][0] if name in EXACT else name
    cores, keep = [], Growth._keep

    def kept(self, core, n):
        cores.append(core)
        keep(self, core, n)

    Growth._keep = kept
    try:
        posterior = si.fit_posterior(
            problem,
            until="trust",
            max_simulations=most,
            max_seconds=seconds,
            seed=seed,
            n_jobs=1,
            progress=False,
        )
    finally:
        Growth._keep = keep
    grown = posterior.growth
    stages = cores[-len(grown.stages) :]
    tests = tests_of(name, seed)
    found = [away(core, *tests) for core in stages]
    return [
        {
            "problem": name,
            "simulations": stage.n,
            "verdict": stage.verdict,
            "gain": stage.gain,
            "high": stage.high,
            "shift": s,
            "width": w,
            "last": stage is grown.stages[-1],
            "stopped": grown.stopped,
            "seconds": stage.seconds,
        }
        for stage, (s, w) in zip(grown.stages, found, strict=True)
    ]


def runs(rows):
    """Make a row of each problem and seed: where it stopped, and what would have sufficed."""
    found = []
    for (problem, seed), here in rows.groupby(["problem", "seed"], sort=False):
        last = here[here["last"]].iloc[0]
        good = here[(here["shift"] < SHIFT) & (np.abs(here["width"] - 1) < WIDTH)]
        found.append(
            {
                "problem": problem,
                "seed": seed,
                "stopped": last["stopped"],
                "simulations": last["simulations"],
                "enough": good["simulations"].min(),  # NaN: no stage was
                "good": last["simulations"] in set(good["simulations"]),
                "shift": last["shift"],
                "width": last["width"],
                "seconds": here["seconds"].sum(),
            }
        )
    return type(rows)(found)


def table(rows):
    """Make a line of each problem."""
    lines = []
    for problem, here in runs(rows).groupby("problem", sort=False):
        trusted = here["stopped"] == "trust"
        furthest = here["width"].iloc[np.abs(np.log(here["width"])).argmax()]
        lines.append(
            {
                "problem": problem,
                "seeds": len(here),
                "stopped by": ", ".join(
                    f"{k}: {n}" for k, n in here["stopped"].value_counts().items()
                ),
                "simulations": spanned(here["simulations"]),
                "enough": spanned(here["enough"]),
                "at most twice": int((here["simulations"] <= 2 * here["enough"]).sum()),
                '"trust", but off': int((trusted & ~here["good"]).sum()),
                "shift, worst": f"{here['shift'].max():.2f}",
                "width, worst": f"{furthest:.2f}",
                "[s]": f"{here['seconds'].median():.0f}",
            }
        )
    return type(rows)(lines)


def spanned(numbers):
    """Write the median of numbers of simulations, and the range if they differ."""
    numbers = numbers.dropna()
    if not len(numbers):
        return "-"
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low:,}" if low == high else f"{numbers.median():,.0f} ({low:,} to {high:,})"


def main():
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(made)
    names = (*EXACT, *HARD)
    made.add_argument("problems", nargs="*", metavar="PROBLEM", help=f"of {', '.join(names)}")
    made.add_argument("--seeds", nargs="+", type=int, default=[1], metavar="SEED")
    made.add_argument("--most", type=int, default=64_000, help="simulations")
    made.add_argument("--seconds", type=float, default=1_800, help="for each problem and seed")
    options = made.parse_args()
    if unknown := set(options.problems) - {*EXACT, *TASKS}:
        made.error(f"expected problems of {', '.join(names)}; got {', '.join(sorted(unknown))}")
    records = Records("growing", ("problem", "simulations"), options.out)
    if not options.table:
        for name in options.problems or names:
            for seed in options.seeds:
                rows = measure(name, seed, options.most, options.seconds)
                records.add(rows, seed=seed, threads=1)
                print(runs(records.read()).tail(1).to_string(), flush=True)
    rows = records.read()
    print(headed(rows, table(rows)) if len(rows) else "no results yet")


if __name__ == "__main__":
    main()
