"""Ways to get a posterior, one a file, all with the same face."""

from sbi_inn.methods.cinn import CINN
from sbi_inn.methods.fitted import (
    Decoder,
    Emulator,
    Fitted,
    Method,
    Summariser,
    Weigher,
    from_arrays,
)
from sbi_inn.methods.inn import INN

__all__ = [
    "CINN",
    "INN",
    "Decoder",
    "Emulator",
    "Fitted",
    "Method",
    "Summariser",
    "Weigher",
    "from_arrays",
]
