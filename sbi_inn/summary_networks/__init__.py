"""Conditioning networks: from observations to features (dissertation, sec. 3.4)."""

from sbi_inn.summary_networks.batch import Batch, SetBatch
from sbi_inn.summary_networks.decades import Decades
from sbi_inn.summary_networks.deepset import POOLINGS, DeepSet, Pooling
from sbi_inn.summary_networks.fusion import Fusion
from sbi_inn.summary_networks.image import ImageNet
from sbi_inn.summary_networks.pyramid import Pyramid
from sbi_inn.summary_networks.scaling import Scaling, not_pixels
from sbi_inn.summary_networks.screening import informative
from sbi_inn.summary_networks.series import SeriesNet
from sbi_inn.summary_networks.user_network import OwnNet, Parts
from sbi_inn.summary_networks.vector import VectorNet
from sbi_inn.summary_networks.widths import Widths

__all__ = [
    "POOLINGS",
    "Batch",
    "Decades",
    "DeepSet",
    "Fusion",
    "ImageNet",
    "OwnNet",
    "Parts",
    "Pyramid",
    "Pooling",
    "Scaling",
    "SeriesNet",
    "SetBatch",
    "VectorNet",
    "Widths",
    "informative",
    "not_pixels",
]
