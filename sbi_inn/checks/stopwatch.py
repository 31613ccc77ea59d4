"""A stopwatch that goes on while this process works, and stops while others do."""

from __future__ import annotations

from time import perf_counter, process_time


class Stopwatch:
    """Seconds of work since it was made: a check on a busy machine looks at as many tests.

    Processor time alone would count each of several threads.

    Examples
    --------
    >>> 0 <= Stopwatch().seconds < 1
    True
    """

    def __init__(self) -> None:
        self._began = perf_counter(), process_time()

    @property
    def seconds(self) -> float:
        """The shorter of the time that has passed, and the processor time of this process."""
        began, worked = self._began
        return min(perf_counter() - began, process_time() - worked)
