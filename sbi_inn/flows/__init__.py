"""Invertible networks: they know torch, and nothing of priors, simulators or posteriors."""

from sbi_inn.flows.actnorm import ActNorm
from sbi_inn.flows.bijection import Bijection
from sbi_inn.flows.channels import ChannelMixing, ChannelNorm
from sbi_inn.flows.convnet import ConvNet
from sbi_inn.flows.coupling import Affine, Coupling, Elementwise
from sbi_inn.flows.dropout import Dropout
from sbi_inn.flows.field_flow import FieldFlow, level_sizes, wavelets
from sbi_inn.flows.flow import MIXINGS, TRANSFORMS, coupling_flow
from sbi_inn.flows.gaussian_start import GaussianStart
from sbi_inn.flows.haar import Haar
from sbi_inn.flows.informed import Informed
from sbi_inn.flows.laplace_start import LaplaceStart
from sbi_inn.flows.latent import Mixture, Normal
from sbi_inn.flows.maps import Maps
from sbi_inn.flows.mixing import Orthogonal, Permutation
from sbi_inn.flows.on_part import OnPart
from sbi_inn.flows.pieces import Pieces
from sbi_inn.flows.regression import Regression
from sbi_inn.flows.spline import RationalQuadraticSpline
from sbi_inn.flows.stack import Stack
from sbi_inn.flows.subnet import MLP, Free

__all__ = [
    "MIXINGS",
    "MLP",
    "TRANSFORMS",
    "ActNorm",
    "Affine",
    "Bijection",
    "ChannelMixing",
    "ChannelNorm",
    "ConvNet",
    "Coupling",
    "Dropout",
    "Elementwise",
    "FieldFlow",
    "Haar",
    "Maps",
    "Free",
    "Mixture",
    "Normal",
    "OnPart",
    "Orthogonal",
    "Permutation",
    "Pieces",
    "RationalQuadraticSpline",
    "GaussianStart",
    "Informed",
    "LaplaceStart",
    "Regression",
    "Stack",
    "coupling_flow",
    "level_sizes",
    "wavelets",
]
