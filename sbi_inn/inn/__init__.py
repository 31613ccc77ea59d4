"""Invertible networks: they know torch, and nothing of priors, simulators or posteriors."""

from sbi_inn.inn.actnorm import ActNorm
from sbi_inn.inn.bijection import Bijection
from sbi_inn.inn.coupling import Affine, Coupling, Elementwise
from sbi_inn.inn.dropout import Dropout
from sbi_inn.inn.flow import MIXINGS, TRANSFORMS, coupling_flow
from sbi_inn.inn.latent import Normal
from sbi_inn.inn.mixing import Orthogonal, Permutation
from sbi_inn.inn.pieces import Pieces
from sbi_inn.inn.regression import Regression
from sbi_inn.inn.spline import RationalQuadraticSpline
from sbi_inn.inn.stack import Stack
from sbi_inn.inn.subnet import MLP

__all__ = [
    "MIXINGS",
    "MLP",
    "TRANSFORMS",
    "ActNorm",
    "Affine",
    "Bijection",
    "Coupling",
    "Dropout",
    "Elementwise",
    "Normal",
    "Orthogonal",
    "Permutation",
    "Pieces",
    "RationalQuadraticSpline",
    "Regression",
    "Stack",
    "coupling_flow",
]
