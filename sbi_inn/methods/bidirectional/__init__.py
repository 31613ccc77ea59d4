"""The parts of the bidirectional INN (dissertation, ch. 4)."""

from sbi_inn.methods.bidirectional.layout import Layout, categorical, latents_for
from sbi_inn.methods.bidirectional.losses import TERMS, Likelihood, MeanDiscrepancy
from sbi_inn.methods.bidirectional.network import Network, Pairs
from sbi_inn.methods.bidirectional.noise import Noise

__all__ = [
    "TERMS",
    "Layout",
    "Likelihood",
    "MeanDiscrepancy",
    "Network",
    "Noise",
    "Pairs",
    "categorical",
    "latents_for",
]
