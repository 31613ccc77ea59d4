"""What can go wrong, by name. Every message says where, what was expected and what came.

`SimulationError`, which carries a table, stands with it in `simulation/`.
"""


class PriorError(ValueError):
    """A prior that cannot be used: a wrong name, or something that is not a distribution."""


class ShapeError(ValueError):
    """An observation, or a simulator's output, whose names, shapes or values do not fit."""


class LoadError(ValueError):
    """A file that cannot be read back: truncated, of a newer format, or not ours."""


class ComparisonError(ValueError):
    """Models that cannot be compared, or prior probabilities that are none."""


class NoDensityError(TypeError):
    """A posterior that can be drawn from, but whose density cannot be evaluated."""
