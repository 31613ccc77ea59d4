"""What goes wrong with simulations; apart from their table, so that a worker starts quickly."""

from __future__ import annotations

from typing import Any


class SimulationError(RuntimeError):
    """The simulator cannot be used, simulations do not fit, or too few succeeded.

    Attributes
    ----------
    simulations : Simulations or None
        The simulations so far: nothing that was already simulated is lost.
    """

    def __init__(self, message: str, simulations: Any = None) -> None:
        super().__init__(message)
        self.simulations = simulations


class OutOfTime(Exception):
    """A simulation that took longer than it may: its row has the status "timeout"."""


def carry(error: BaseException, simulations: Any) -> None:
    """Let an error, Ctrl-C included, carry what was already simulated, unless it carries some.

    Parameters
    ----------
    error : BaseException
        Gets `.simulations`, and a note that says so.
    simulations : Simulations

    Examples
    --------
    >>> import scipy.stats as st
    >>> import sbi_inn as si
    >>> table = si.simulate(lambda a: a, si.Prior(a=st.norm()), n=100, progress=False)
    >>> error = ZeroDivisionError()
    >>> carry(error, table)
    >>> error.simulations is table, error.__notes__
    (True, ['the 100 simulations are kept in sys.last_value.simulations'])
    """
    if getattr(error, "simulations", None) is None:
        note = f"the {len(simulations):,} simulations are kept in sys.last_value.simulations"
        notes = [*getattr(error, "__notes__", ()), *([note] if len(simulations) else [])]
        for name, value in (("simulations", simulations), ("__notes__", notes)):
            BaseException.__setattr__(error, name, value)  # an error may be frozen
