"""What goes wrong with simulations; apart from their table, so that a worker starts quickly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class SimulationError(RuntimeError):
    """The simulator cannot be used, or every simulation failed.

    Attributes
    ----------
    simulations : Simulations or None
        The table so far: nothing that was already simulated is lost.
    """

    def __init__(self, message: str, simulations: Any = None) -> None:
        super().__init__(message)
        self.simulations = simulations


def carry(error: BaseException, simulations: Any) -> None:
    """Let an error carry, as `.simulations`, what was already simulated; unless it carries some."""
    if getattr(error, "simulations", None) is None:
        # Past the __setattr__ of exceptions that are frozen.
        BaseException.__setattr__(error, "simulations", simulations)
        where = "sys.last_value.simulations"
        error.add_note(f"the {len(simulations):,} simulations are kept in {where}")


@contextmanager
def keeping(simulations: Any) -> Iterator[None]:
    """Have whatever is raised in this block, Ctrl-C included, carry the simulations.

    >>> import scipy.stats as st
    >>> import sbi_inn as si
    >>> table = si.simulate(lambda a: a, si.Prior(a=st.norm()), n=100, progress=False)
    >>> try:
    ...     with keeping(table):
    ...         1 / 0
    ... except ZeroDivisionError as error:
    ...     print(error.simulations is table, error.__notes__)
    True ['the 100 simulations are kept in sys.last_value.simulations']
    """
    try:
        yield
    except BaseException as error:
        carry(error, simulations)
        raise
