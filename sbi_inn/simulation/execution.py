"""Where simulations run, and what one may cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from sbi_inn.simulation import pool
from sbi_inn.simulation.blocks import Call
from sbi_inn.simulation.cluster import Cluster, check_client
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.tasks import Limits
from sbi_inn.typing import is_count


def check_limits(timeout: Any, retries: Any) -> None:
    """Raise SimulationError unless they are seconds, or None, and a number of further tries."""
    number = isinstance(timeout, int | float | np.number) and not isinstance(timeout, bool)
    if timeout is not None and not (number and 0 < timeout < math.inf):
        raise SimulationError(f"timeout is a number of seconds above 0, or None; got {timeout!r}")
    if not is_count(retries, least=0):
        raise SimulationError(
            f"retries is a whole number of further tries, at least 0; got {retries!r}"
        )


@dataclass(frozen=True)
class Execution:
    """Where simulations run; nothing of it changes what comes out of those that return.

    Attributes
    ----------
    n_jobs : int
        Processes; -1 for all cores.
    timeout : float or None
        Seconds for one call of the simulator, which then runs in a process of its own.
    retries : int
        Further tries of what takes longer, or takes its process along.
    client : dask.distributed.Client or None
    isolated : bool
        Whether all of it runs in processes of its own, however quick it is.

    Raises
    ------
    SimulationError
        If one of them cannot be.
    """

    n_jobs: int = -1
    timeout: float | None = None
    retries: int = 0
    client: Any = None
    isolated: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.n_jobs, Integral) or self.n_jobs == 0:
            raise SimulationError(
                f"n_jobs is a number of processes, or -1 for all cores; got {self.n_jobs!r}"
            )
        check_limits(self.timeout, self.retries)
        if self.client is not None:
            check_client(self.client)

    @property
    def limits(self) -> Limits:
        """What one simulation may cost."""
        return Limits(self.timeout, self.retries)

    def jobs(self, seconds: float) -> int:
        """Count the processes for so many seconds of work."""
        if self.client is not None:
            return max(1, sum(self.client.nthreads().values()))
        return pool.processes(self.n_jobs, seconds)

    def engine(self, call: Call, jobs: int = 1) -> pool.Engine:
        """Give what simulates, with so many processes."""
        if self.client is not None:
            return Cluster.of(call, self.client, self.limits)
        if jobs == 1 and self.timeout is None and not self.isolated:
            return pool.Here(call)
        return pool.Processes.of(call, jobs, self.limits)
