"""Invertible networks: they know torch, and nothing of priors, simulators or posteriors."""

from sbi_inn.inn.actnorm import ActNorm
from sbi_inn.inn.bijection import Bijection
from sbi_inn.inn.coupling import Affine, Coupling, Elementwise
from sbi_inn.inn.flow import TRANSFORMS, coupling_flow
from sbi_inn.inn.latent import Normal
from sbi_inn.inn.mixing import Orthogonal
from sbi_inn.inn.spline import RationalQuadraticSpline
from sbi_inn.inn.stack import Stack
from sbi_inn.inn.subnet import MLP

__all__ = [
    "MLP",
    "TRANSFORMS",
    "ActNorm",
    "Affine",
    "Bijection",
    "Coupling",
    "Elementwise",
    "Normal",
    "Orthogonal",
    "RationalQuadraticSpline",
    "Stack",
    "coupling_flow",
]
