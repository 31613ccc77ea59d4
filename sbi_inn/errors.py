"""Errors of the package. Every message says where, what was expected and what came.

`SimulationError`, which carries a table of simulations, is defined in `simulation/`.
"""


class PriorError(ValueError):
    """A prior cannot be used, such as for a wrong name, or a value that is not a distribution."""


class ShapeError(ValueError):
    """Names, shapes or values of an observation, or of a simulator's output, do not fit."""


class LoadError(ValueError):
    """A file cannot be read: it is truncated, of a newer format, or not one of this package."""


class ComparisonError(ValueError):
    """Models cannot be compared, or prior probabilities are not probabilities."""


class NoDensityError(TypeError):
    """The density of a posterior cannot be evaluated, although draws are possible."""
