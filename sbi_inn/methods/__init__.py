"""Ways to get a posterior, one a file, all with the same face."""

from sbi_inn.methods.cinn import CINN
from sbi_inn.methods.fitted import Fitted, from_arrays

__all__ = ["CINN", "Fitted", "from_arrays"]
