"""What the dissertation compares its networks with in ch. 4: one competitor a file.

Each is a record of settings that `sbi_inn.fit_posterior(..., method=...)` takes like a method of
its own; what it returns draws, and has no density.
"""

from competitors.cgan import CGAN
from competitors.cvae import CVAE
from competitors.dropout import Dropout
from competitors.fitted import FittedCompetitor
from competitors.mmd_generator import MMDGenerator

__all__ = ["CGAN", "CVAE", "Dropout", "FittedCompetitor", "MMDGenerator"]
