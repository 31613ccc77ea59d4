"""Does the search for likely draws lose a part of the posterior? The region of a first round.

    python benchmarks/refine_search.py                            all problems, seeds 1 to 4
    python benchmarks/refine_search.py few_velocities --seeds 1
    python benchmarks/refine_search.py --table                    the table of the results page

Networks are fitted to 10,000 simulations, once for each problem (seed 1). At three observations it
is asked which of their draws are likely, and others are searched for, as `refine` does before its
first round. Held: share of a reference posterior inside the region around likely draws, .999 if all
is well. Two problems have several modes and are made for this: `few_velocities` (a planet's period
by eight velocities) and `either_sign` (30 velocities; an amplitude of either sign, which the phase
takes back, so that two modes have the same weight). The others are those of benchmarks/real.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.stats as st
from real.problems import load
from real.problems.radial_velocity import EPOCHS, radial_velocity
from records import Records, add_options, headed

import sbi_inn as si
from sbi_inn.posterior.refining import probing
from sbi_inn.posterior.refining.region import region

N = 10_000  # simulations of the fit, and those that refine would have
PAIRED = N // 40  # draws that are simulated twice
MOST = int(0.6 * N)  # simulations that the search may take
REAL = ("radial_velocity", "predator_prey", "pharmacokinetics", "epidemic", "mixture")
FEW = EPOCHS[[0, 3, 7, 11, 14, 18, 24, 28]]
KEY = ("problem", "observation")


def expected(period, amplitude, phase):
    """Give the eight velocities without noise, shape (n, 8)."""
    angle = 2 * np.pi * FEW / period[:, None] + phase[:, None]
    return amplitude[:, None] * np.cos(angle)


@si.simulator(batched=True)
def few_velocities(period, amplitude, phase, rng):
    """Eight velocities, which several periods explain."""
    mean = expected(period, amplitude, phase)
    return {"velocity": mean + 3 * rng.normal(size=mean.shape)}


class FewVelocities:
    """Its posterior by tempering: walkers go from the prior to the posterior and keep all modes."""

    problem = si.Problem(
        few_velocities,
        si.Prior(
            period=st.loguniform(2, 50),
            amplitude=st.loguniform(3, 60),
            phase=st.uniform(0, 2 * np.pi),
        ),
    )

    @cached_property
    def observations(self):
        truths = ((11.3, 25.0, 1.0), (5.2, 40.0, 4.0), (23.0, 30.0, 2.5))
        found = []
        for seed, truth in enumerate(truths):
            columns = (np.array([value]) for value in truth)
            found.append(
                {"velocity": few_velocities(*columns, np.random.default_rng(seed))["velocity"][0]}
            )
        return found

    def reference(self, number):
        y = self.observations[number]["velocity"]

        def log_likelihood(cube):
            return -0.5 * ((y - expected(*self.unfolded(cube).T)) ** 2).sum(axis=1) / 9

        return self.unfolded(tempered(log_likelihood, 3, np.random.default_rng(5)))[:5_000]

    def unfolded(self, cube):
        return np.column_stack([2 * 25 ** cube[:, 0], 3 * 20 ** cube[:, 1], 2 * np.pi * cube[:, 2]])


class EitherSign:
    """Its posterior from that of `radial_velocity`: weighed by the other prior, and mirrored."""

    problem = si.Problem(
        radial_velocity,
        si.Prior(
            period=st.loguniform(1, 100),
            amplitude=st.norm(0, 50),
            phase=st.uniform(0, 2 * np.pi),
            offset=st.norm(0, 50),
            jitter=st.loguniform(0.1, 20),
        ),
    )
    observations = load("radial_velocity").observations

    def reference(self, number):
        draws, rng = load("radial_velocity").reference(number), np.random.default_rng(0)
        weight = st.norm(0, 50).pdf(draws[:, 1]) * draws[:, 1]
        draws = draws[rng.choice(len(draws), len(draws), p=weight / weight.sum())].copy()
        turned = rng.random(len(draws)) < 0.5
        draws[turned, 1] *= -1
        draws[turned, 2] = (draws[turned, 2] + np.pi) % (2 * np.pi)
        return draws


def tempered(log_likelihood, dim, rng, n=40_000, moves=15):
    """Draw from the posterior of a uniform prior in a cube, (n, dim), in random order.

    The power of the likelihood rises so that half of the walkers are left each time. They move by
    differences between walkers that are near in the first axis, which has the modes.
    """
    place = rng.random((n, dim))
    score, power = log_likelihood(place), 0.0
    while power < 1:
        step = next_step(score, 1 - power)
        power += step
        weight = np.exp(step * (score - score.max()))
        kept = rng.choice(n, n, p=weight / weight.sum())
        place, score = place[kept], score[kept]
        for _ in range(moves):
            order = np.argsort(place[:, 0])
            rank = np.empty(n, int)
            rank[order] = np.arange(n)
            one, other = (order[np.clip(rank + rng.integers(-40, 41, n), 0, n - 1)] for _ in "ab")
            length = rng.choice([1.0, 0.5, 0.1], (n, 1))
            tried = place + length * (place[one] - place[other]) + 1e-6 * rng.normal(size=(n, dim))
            inside = ((tried > 0) & (tried < 1)).all(axis=1)
            found = np.full(n, -np.inf)
            found[inside] = log_likelihood(tried[inside])
            goes = np.log(rng.random(n)) < power * (found - score)
            place[goes], score[goes] = tried[goes], found[goes]
    return rng.permutation(place)


def next_step(score, most):
    """Find the step of the power that leaves half of the walkers, by bisection."""

    def left(step):
        weight = np.exp(step * (score - score.max()))
        return weight.sum() ** 2 / (weight**2).sum()

    low, high = 0.0, most
    if left(high) > len(score) / 2:
        return most
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if left(middle) > len(score) / 2 else (low, middle)
    return low


MADE = {"few_velocities": FewVelocities, "either_sign": EitherSign}


@dataclass(frozen=True)
class Asked:
    """A fitted problem, and where it is asked."""

    name: str
    study: object
    posterior: object

    @cached_property
    def references(self):
        """Reference draws at each observation, where the prior is N(0, I)."""
        prior = self.study.problem.prior
        draws = [self.study.reference(number) for number in range(3)]
        return [prior.to_latent(prior.unflatten(one)) for one in draws]

    def measure(self, number, seed):
        """Search once, and give a row."""
        core, latents = self.posterior.core, self.references[number]
        observation = core.schema.read(self.study.observations[number])
        rng = np.random.default_rng(seed)
        found = probing.probe(core, self.study.problem, observation, PAIRED, MOST, rng, 1)
        whole = region(core, observation, rng)
        narrow = whole if found.latents is None else region(core, observation, rng, found.latents)
        return {
            "problem": self.name,
            "observation": number + 1,
            "share": found.share,
            "settled": found.latents is not None,
            "cost": found.n_simulations,
            "held": narrow.box.inside(latents).mean(),
            "mass": narrow.box.mass,
            "whole": whole.box.mass,
        }


def fitted(name):
    """Fit a problem."""
    study = MADE[name]() if name in MADE else load(name)
    posterior = si.fit_posterior(study.problem, n_simulations=N, seed=1, n_jobs=1, progress=False)
    return Asked(name, study, posterior)


def table(rows):
    """One line a problem."""
    lines = []
    for name, group in rows.groupby("problem", sort=False):
        settled = group[group.settled]
        shrunk = (settled.mass / settled.whole).median()
        lines.append(
            {
                "problem": name,
                "likely at first": f"{group.share.min():.2f} to {group.share.max():.2f}",
                "searches": str(len(group)),
                "settled": str(len(settled)),
                "held, mean": f"{settled.held.mean():.3f}",
                "worst": f"{settled.held.min():.3f}",
                "below .99": str(int((settled.held < 0.99).sum())),
                "mass, beside a region around the posterior": f"{shrunk:.1g}",
                "simulations": f"{group.cost.mean():,.0f}",
            }
        )
    return type(rows)(lines)


def main():
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(made)
    names = (*MADE, *REAL)
    made.add_argument("problems", nargs="*", metavar="PROBLEM", help=f"of {', '.join(names)}")
    made.add_argument("--seeds", nargs="+", type=int, default=range(1, 5), metavar="SEED")
    options = made.parse_args()
    records = Records("refine_search", KEY, options.out)
    for name in () if options.table else options.problems or names:
        asked = fitted(name)
        for seed in options.seeds:
            found = [asked.measure(number, seed) for number in range(3)]
            records.add(found, seed=seed, threads=1)
            print(name, seed, *(f"{row['held']:.3f}" for row in found), flush=True)
    rows = records.read()
    print(headed(rows, table(rows)) if len(rows) else "no results yet")


if __name__ == "__main__":
    main()
