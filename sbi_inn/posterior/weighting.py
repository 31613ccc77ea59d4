"""Draws of a posterior weighted by a likelihood that can be evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sbi_inn import weighting
from sbi_inn.diagnostics.weighted import systematic
from sbi_inn.draws import counted
from sbi_inn.errors import PriorError
from sbi_inn.methods.abc import nearest
from sbi_inn.methods.latents import latents
from sbi_inn.methods.protocols import Encoder
from sbi_inn.methods.row_generators import digests
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import statistics
from sbi_inn.posterior.core import Core
from sbi_inn.simulation.seeds import Stream
from sbi_inn.typing import FloatArray
from sbi_inn.weighting import Importance, Likelihood
from sbi_inn.weighting.importance import Weighted

NEAREST = 0.01  # share of the simulations that are close enough to start from,
FEWEST = 20  # and for each latent at least so many
REACH = 10.0  # latents, beyond which the prior has 1e-23 of its mass, and nothing is evaluated


@dataclass(frozen=True)
class _Network:
    """The trained method at one observation."""

    core: Core
    observation: Observations

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        return self.core.density.latent(self.observation, n, rng)[0]

    def log_prob(self, points: FloatArray) -> FloatArray:
        found = self.core.fitted.log_prob(points, self.observation)
        return np.nan_to_num(found, nan=-np.inf, neginf=-np.inf)  # NaN: too far out for it


@dataclass(frozen=True)
class _Flow:
    """The latents of a network at one observation."""

    encoder: Encoder
    observation: Observations

    def decode(self, latents: FloatArray) -> FloatArray:
        return self.encoder.decode(self.observation, latents)

    def encode(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self.encoder.encode(self.observation, points)


def importance(
    core: Core,
    y: Any,
    log_likelihood: Callable[..., Any],
    n: int = 10_000,
    *,
    batched: bool = False,
    n_jobs: int = -1,
    seed: int | None = None,
    progress: bool = True,
) -> Importance:
    """Weight draws to the exact posterior, if the likelihood can be evaluated.

    The network need not be accurate: the proposal also holds Gaussian mixtures, which adapt to the
    posterior in a few rounds, and a share of the prior. The weight of a draw is prior times
    likelihood, divided by the density of the whole proposal.

    Parameters
    ----------
    y : one observation
    log_likelihood : callable
        ln p(y | parameters). Its arguments are filled by name, as those of a simulator: parameters
        (or one vector of all of them), and the observables and givens of `y` that it names. It
        returns one number; -inf if the data are impossible.
    n : int
        Number of weighted draws. The rounds before them evaluate the likelihood too: n / 2 times if
        the network is accurate, up to 4 n times if it is far off; `evaluations` counts all of it.
    batched : bool
        The function takes arrays, (n,) for a parameter and (n, k) for a vector, and returns (n,).
        The observation is passed as it is in either case.
    n_jobs : int
        Processes, for a slow function of one row; -1 uses all cores.
    seed : int, optional
    progress : bool
        Show a progress bar if a function of one row takes long.

    Returns
    -------
    Importance
        `.draws`, resampled in proportion to the weights; `.log_evidence` and its error;
        `.effective_share` and `.pareto_k`, which decide `.verdict` and `.sentence`.

    Raises
    ------
    NoDensityError
        If the method has no density.
    PriorError
        If the posterior was learned from a table whose prior was not stated.
    SimulationError
        If the function has an argument that is neither a parameter nor in the observation, or a
        parameter that `infer=` left out.
    ShapeError
        If `y` does not fit; or if the function returns a wrong shape, NaN or +inf, or always -inf.

    References
    ----------
    Dax et al. (2023), arXiv:2210.05686 (importance sampling from a network). docs/importance.md
    says how the proposal adapts, and cites the methods it follows.
    """
    observation = core.read(y)
    n = counted(n)
    settings = {"batched": batched, "n_jobs": n_jobs, "progress": progress}
    likelihood = _likelihood(core, observation, log_likelihood, **settings)
    network = _Network(core, observation)
    network.log_prob(network.draw(1, np.random.default_rng(0)))  # raises NoDensityError early

    def target(points: FloatArray) -> FloatArray:
        heights = np.full(len(points), -np.inf)
        near = (np.abs(points) <= REACH).all(axis=1)
        if near.any():
            log_p = likelihood(core.prior.from_latent(points[near]))
            heights[near] = core.prior.log_density(points[near]) + log_p
        return heights

    rng = _rng(core, observation, seed)
    flow = _Flow(core.fitted, observation) if isinstance(core.fitted, Encoder) else None
    near = _near(core, observation)
    found = weighting.importance(network, near, target, n, rng, flow=flow)
    return _labelled(core, found, rng)


def _likelihood(
    core: Core, observation: Observations, function: Callable[..., Any], **settings: Any
) -> Likelihood:
    """Read the likelihood's signature, and fill in what was observed."""
    if not core.prior.stated:
        raise PriorError(
            "the prior of the table was never stated, and weights to the exact posterior need its "
            "density. Where it is known, state it: si.fit_posterior(simulations, si.Prior(...))"
        )
    schema = core.schema
    known: dict[str, Any] = {name: padded.sizes[0] for name, padded in observation.sets.items()}
    known |= schema.constants | schema.unstack(observation, 0)
    return Likelihood.of(function, core.prior, known, left_out=core.nuisances, **settings)


def _rng(core: Core, observation: Observations, seed: int | None) -> np.random.Generator:
    own = digests(observation, core.seed if seed is None else seed, Stream.IMPORTANCE)
    return np.random.default_rng(own[0].tolist())


def _near(core: Core, observation: Observations) -> FloatArray:
    """Give the parameters whose simulations came closest, on the latent side, shape (k, d)."""
    table, prior = core.simulations, core.prior
    rows = statistics(table.observations(), core.schema)
    few = min(len(rows), FEWEST * (prior.latent_dim + 1)) / len(rows)
    target = statistics(observation, core.schema)[0]
    closest, _ = nearest(rows, target, core.scale, quantile=max(NEAREST, few))
    return latents(table, table.ok[closest], seed=core.seed)


def _labelled(core: Core, found: Weighted, rng: np.random.Generator) -> Importance:
    """Put the weighted points into the parameters' own units, and resample them."""
    weights = np.exp(found.log_weights)
    size = found.effective_share * len(weights)
    raw = core.simulations.label(core.prior.from_latent(found.points))
    rows = rng.permutation(systematic(weights, rng, max(1, round(size))))
    return Importance(
        draws=raw.isel(draw=rows).assign_attrs(effective_sample_size=size),
        raw=raw,
        weights=weights,
        effective_share=found.effective_share,
        pareto_k=found.pareto_k,
        log_evidence=found.log_evidence + core.prior.log_mass,
        log_evidence_error=found.log_evidence_error,
        network_share=found.network_share,
        evaluations=found.evaluations,
        missed=found.missed,
    )
