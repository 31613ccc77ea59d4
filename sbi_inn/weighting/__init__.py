"""Exact draws if the likelihood is known: importance sampling with an adaptive proposal."""

from sbi_inn.weighting.importance import importance
from sbi_inn.weighting.likelihood import Likelihood
from sbi_inn.weighting.record import Importance

__all__ = ["Importance", "Likelihood", "importance"]
