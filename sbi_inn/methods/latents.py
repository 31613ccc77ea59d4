"""Parameters of a table, mapped to the latent space in which a method is trained."""

from __future__ import annotations

from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import FloatArray, IntArray


def latents(simulations: Simulations, rows: IntArray, *, seed: int) -> FloatArray:
    """Map the parameters of rows to where a method is trained, shape (rows, latent_dim).

    Discrete parameters are dequantised: each goes to a random place among the latents that its
    value owns.
    """
    prior = simulations.prior
    within = generator(seed, Stream.DISCRETE_PARAMETERS).random((len(rows), len(prior.discrete)))
    return prior.to_latent(simulations.parameters(rows), within)
