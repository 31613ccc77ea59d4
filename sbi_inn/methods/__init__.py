"""Methods to get a posterior, one per folder, all with the same interface."""

from sbi_inn.methods.bidirectional.method import INN
from sbi_inn.methods.cinn.method import CINN
from sbi_inn.methods.ensemble.fitted import FittedEnsemble
from sbi_inn.methods.ensemble.method import Ensemble
from sbi_inn.methods.fields.method import FieldCINN
from sbi_inn.methods.loading import from_arrays, to_arrays, with_fields
from sbi_inn.methods.protocols import (
    Decoder,
    Emulator,
    Fitted,
    Method,
    RowWise,
    Summariser,
    TrainingData,
    Weigher,
)
from sbi_inn.methods.registry import METHODS, choose, for_prior

__all__ = [
    "CINN",
    "INN",
    "METHODS",
    "Decoder",
    "Emulator",
    "Ensemble",
    "FieldCINN",
    "Fitted",
    "FittedEnsemble",
    "Method",
    "RowWise",
    "Summariser",
    "TrainingData",
    "Weigher",
    "choose",
    "for_prior",
    "from_arrays",
    "to_arrays",
    "with_fields",
]
