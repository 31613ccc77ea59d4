"""Conditioning networks: from observations to features (dissertation, sec. 3.4)."""

from sbi_inn.summary.batch import Batch, SetBatch
from sbi_inn.summary.deepset import POOLINGS, DeepSet, Pooling
from sbi_inn.summary.fusion import Fusion
from sbi_inn.summary.image import ImageNet
from sbi_inn.summary.own import OwnNet, Parts
from sbi_inn.summary.scaling import Scaling, not_pixels
from sbi_inn.summary.screening import informative
from sbi_inn.summary.series import SeriesNet, patch_of
from sbi_inn.summary.vector import VectorNet

__all__ = [
    "POOLINGS",
    "Batch",
    "DeepSet",
    "Fusion",
    "ImageNet",
    "OwnNet",
    "Parts",
    "Pooling",
    "Scaling",
    "SeriesNet",
    "SetBatch",
    "VectorNet",
    "informative",
    "not_pixels",
    "patch_of",
]
