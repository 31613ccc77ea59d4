"""One set of draws at every test simulation, from which most checks are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.record import Sampler
from sbi_inn.checks.stopwatch import Stopwatch
from sbi_inn.diagnostics.calibration import ranks
from sbi_inn.diagnostics.dependence import choose_pairs, product_ranks, with_right_marginals
from sbi_inn.diagnostics.joint import density_ranks, tarp_ranks
from sbi_inn.draws import INTERVAL_68
from sbi_inn.errors import NoDensityError
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import spread, squarable
from sbi_inn.typing import FloatArray, IntArray

EVALUATIONS = 1_000_000  # evaluations of the network at most: about 10 s on two cores
DRAWS = 200  # draws a test observation
FEWER_DRAWS = 100  # draws where each takes many evaluations, or has many parameters
COSTLY = 8  # evaluations a draw, above which they are many
MANY = 10  # parameters, from which on they are many
KEPT = 20  # draws a test observation that are kept, to be simulated again
WITH_DENSITY = 50  # draws whose density is evaluated
FEWEST = 500  # test simulations that are looked at whatever it takes
PAIRS = 200  # pairs of parameters at most
SIZED = 15  # pairs at most, of which sizes are looked at too: all of six parameters
DENSITIES = 1_000  # test simulations at which densities are evaluated, at the most
PIECE = 2_000_000  # numbers held at once: 16 MB


@dataclass(frozen=True)
class Survey:
    """What the draws at n test simulations show; array shapes (n, columns) unless said.

    Attributes
    ----------
    tests : TestSet
        The n that were looked at.
    draws : int
        Posterior draws at each.
    kept : array, shape (n, 20 or fewer, dim)
        Some of these draws.
    truth : array
        Of the parameters, and what derives from them.
    ranks : array
        Rank of each true parameter, as a fraction.
    mean, sd, median, low, high : array
        Of the draws; the ends of the 68 % interval.
    pairs : array, shape (p, 2)
        Indices of parameters.
    products, excess : array, shape (n, p)
        Rank of the true centred product, and how far it exceeds the draws' mean product, were
        location and width right.
    sizes, size_excess : array, shape (n, p)
        The same of distances from the middle; of no pairs, where these are more than 15.
    tarp : array, shape (n,)
    density : array, shape (up to n,)
        Level of the region of highest density that just holds the truth; empty without densities.
    why_no_density : str
    """

    tests: TestSet
    draws: int
    kept: FloatArray
    truth: FloatArray
    ranks: FloatArray
    mean: FloatArray
    sd: FloatArray
    median: FloatArray
    low: FloatArray
    high: FloatArray
    pairs: IntArray
    products: FloatArray
    excess: FloatArray
    sizes: FloatArray
    size_excess: FloatArray
    tarp: FloatArray
    density: FloatArray
    why_no_density: str


def draws_each(sampler: Sampler) -> int:
    """Say how many draws a test observation there are: fewer, where each takes long."""
    costly = sampler.evaluations > COSTLY or sampler.prior.dim >= MANY
    return FEWER_DRAWS if costly else DRAWS


def affordable(sampler: Sampler, wanted: int) -> tuple[int, int]:
    """Say how many test simulations can be looked at, and with how many draws at each."""
    draws = draws_each(sampler)
    return min(wanted, max(FEWEST, EVALUATIONS // (draws * sampler.evaluations))), draws


def survey(
    sampler: Sampler,
    tests: TestSet,
    *,
    draws: int,
    rng: np.random.Generator,
    why_no_density: str = "",
    seconds: float = np.inf,
    tick: Callable[[float], object] = lambda share: None,
) -> Survey:
    """Draw at every test simulation and keep what the checks need.

    Parameters
    ----------
    sampler : Sampler
    tests : TestSet
        Simulations that training has never seen.
    draws : int
        Posterior draws an observation.
    rng : numpy.random.Generator
    why_no_density : str
        Why densities are not to be looked at, if so.
    seconds : float
        Of work of this process, after which it stops, if 500 test simulations were looked at.
    tick : callable
        Told, after each piece of the work, which share of it that was.
    """
    dim = tests.truth.shape[1]
    pairs = choose_pairs(dim, PAIRS, rng)
    piece = max(1, min(len(tests) // 10, PIECE // (draws * max(dim, len(pairs) // 2))))
    some = pairs if len(pairs) <= SIZED else pairs[:0]
    jitter = rng.spawn(1)[0]
    scale = spread(tests.truth)
    watch, done, parts, why = Stopwatch(), 0, [], why_no_density
    while done < len(tests) and (done < FEWEST or watch.seconds < seconds):
        here = slice(done, done + piece)
        truth, seen = tests.truth[here], tests.observations[here]
        drawn = sampler.draw(seen, draws, rng)
        # What derives from parameters is looked at one by one, beside them.
        all_true, all_drawn = sampler.extended(truth), sampler.extended(drawn)
        part = {
            # From first to last, should some method give them in an order; not a view of them all.
            "kept": drawn[:, :: -(-draws // KEPT)].copy(),
            "truth": all_true,
            "ranks": ranks(all_true, all_drawn, rng),
            **moments_of(all_drawn),
        }
        part["products"], part["excess"] = product_ranks(truth, drawn, pairs, rng)
        part["sizes"], part["size_excess"] = product_ranks(truth, drawn, some, jitter, sizes=True)
        references = sampler.prior.flatten(sampler.prior.sample(len(truth), rng))
        part["tarp"] = tarp_ranks(truth, drawn, references, rng, scale=scale)
        part["density"] = np.empty(0)
        if not why and done < DENSITIES:
            try:
                part["density"] = _density(sampler, truth, drawn[:, :WITH_DENSITY], seen, rng)
            except NoDensityError as error:
                why = str(error)
        parts.append(part)
        tick(len(truth) / len(tests))
        done += len(truth)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    looked = tests.head(done)
    standard = _standard(whole["truth"], whole["mean"], whole["sd"])
    whole["excess"] = with_right_marginals(whole["excess"], standard, pairs)
    return Survey(tests=looked, draws=draws, pairs=pairs, why_no_density=why, **whole)


def moments_of(drawn: FloatArray) -> dict[str, FloatArray]:
    """Mean, sd, median and ends of the 68 % interval of draws (n, draws, k), each (n, k)."""
    low, median, high = np.quantile(drawn, [INTERVAL_68[0], 0.5, INTERVAL_68[1]], axis=1)
    near = squarable(drawn)
    mean, sd = near.mean(axis=1), near.std(axis=1)
    return {"mean": mean, "sd": sd, "median": median, "low": low, "high": high}


def _standard(truth: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Write truths in standard deviations of the draws; 0 where these are all the same."""
    gap = truth - mean
    return np.divide(gap, sd, out=np.zeros_like(gap), where=sd > 0)


def _density(
    sampler: Sampler,
    truth: FloatArray,
    drawn: FloatArray,
    observations: Observations,
    rng: np.random.Generator,
) -> FloatArray:
    """Rank the density at the truth among those at the draws, in parameter units."""
    flat = np.concatenate([truth[:, None], drawn], axis=1)
    log_prior = sampler.prior.log_prob(sampler.prior.unflatten(flat.reshape(-1, flat.shape[2])))
    log_ratio = sampler.log_ratio(flat, observations, normalised=False)
    log_density = log_ratio + log_prior.reshape(log_ratio.shape)
    return density_ranks(log_density[:, 0], log_density[:, 1:], rng)
