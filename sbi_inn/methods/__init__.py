"""Ways to get a posterior, one a file, all with the same face."""

from sbi_inn.methods.cinn import CINN
from sbi_inn.methods.ensemble import Ensemble, default_members
from sbi_inn.methods.fitted import (
    Decoder,
    Emulator,
    Fitted,
    Method,
    Summariser,
    Weigher,
)
from sbi_inn.methods.fitted_ensemble import FittedEnsemble
from sbi_inn.methods.inn import INN
from sbi_inn.methods.reading import from_arrays

__all__ = [
    "CINN",
    "INN",
    "Decoder",
    "Emulator",
    "Ensemble",
    "Fitted",
    "FittedEnsemble",
    "Method",
    "Summariser",
    "Weigher",
    "default_members",
    "from_arrays",
]
