"""Conditioning networks: from observations to features (dissertation, sec. 3.4)."""

from sbi_inn.summary.batch import Batch, SetBatch
from sbi_inn.summary.deepset import DeepSet
from sbi_inn.summary.fusion import Fusion
from sbi_inn.summary.scaling import Scaling
from sbi_inn.summary.screening import informative
from sbi_inn.summary.vector import VectorNet

__all__ = ["Batch", "DeepSet", "Fusion", "Scaling", "SetBatch", "VectorNet", "informative"]
