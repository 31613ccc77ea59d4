"""Ways to get a posterior, one a file, all with the same face."""

from sbi_inn.methods.bidirectional.settings import INN
from sbi_inn.methods.cinn.settings import CINN
from sbi_inn.methods.ensemble.fitted import FittedEnsemble
from sbi_inn.methods.ensemble.settings import Ensemble, default_members
from sbi_inn.methods.loading import from_arrays
from sbi_inn.methods.protocols import (
    Decoder,
    Emulator,
    Fitted,
    Method,
    Mixture,
    RowWise,
    Summariser,
    Weigher,
)

__all__ = [
    "CINN",
    "INN",
    "Decoder",
    "Emulator",
    "Ensemble",
    "Fitted",
    "FittedEnsemble",
    "Method",
    "Mixture",
    "RowWise",
    "Summariser",
    "Weigher",
    "default_members",
    "from_arrays",
]
