"""Worker processes, for simulations and trainings alike, which are kept for the next call.

This module loads no torch, so that workers which only simulate start quickly.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from loky import BrokenProcessPool, ProcessPoolExecutor, cpu_count

from sbi_inn.training.stated import check_jobs

# Seconds after which workers that have nothing to do end.
IDLE = 60
# Seconds that tasks which nobody waits for any more have to end, before their workers are killed.
GRACE = 1.0
# Seconds between looks at tasks that run: where a wait cannot be interrupted, Ctrl-C comes then.
POLL = 0.5
# Tasks for each worker that are sent ahead, so that none waits for its next one.
AHEAD = 2
# Bytes by which a worker may grow before it is replaced as one that leaks: torch, which is loaded
# when the first training comes, takes a third of this.
GROWTH = 1e9
# What loky reads this number from.
LEAK = "LOKY_MAX_MEMORY_LEAK_SIZE"
# What says that processes cannot be started, died, or cannot be sent the work.
UNUSABLE = (BrokenProcessPool, pickle.PicklingError, NotImplementedError, OSError)
# What numerical libraries read their number of threads from.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)

T = TypeVar("T")


def cores(n_jobs: int) -> int:
    """Count the processes that are meant: -1 stands for all cores that may be used, -2 all but one.

    >>> cores(3), cores(-10_000)
    (3, 1)
    """
    check_jobs(n_jobs)
    if multiprocessing.current_process().daemon:  # it may have no children
        return 1
    return n_jobs if n_jobs > 0 else max(1, cpu_count() + 1 + n_jobs)


def pool(processes: int) -> ProcessPoolExecutor:
    """Give so many workers, those of the last call if they are as many, and alive."""
    try:
        found = _pool(processes, os.getpid())
        found.submit(int)
    except BrokenProcessPool:  # they died while nobody used them
        forget()
        found = _pool(processes, os.getpid())
    return found


def forget() -> None:
    """Have the next call start new workers."""
    _pool.cache_clear()


def in_order(tasks: Iterable[Callable[[], T]], processes: int) -> Generator[T]:
    """Do tasks on workers, and yield what they give in their order.

    Only a few are sent ahead. Where the generator is closed before its end, those that have not
    begun never do, and workers that are not done within a second are killed.
    """
    workers, left = pool(processes), iter(tasks)
    sent: deque[Future[T]] = deque()
    busy: set[Future[T]] = set()
    try:
        while True:
            busy = {future for future in busy if not future.done()}
            new = [workers.submit(task) for task in islice(left, AHEAD * processes - len(busy))]
            sent.extend(new)
            busy.update(new)
            if not sent:
                return
            if sent[0].done():
                yield sent.popleft().result()
            else:
                wait(busy, timeout=POLL, return_when=FIRST_COMPLETED)
    finally:
        _end(workers, busy)


def _end(workers: ProcessPoolExecutor, tasks: set[Future[T]]) -> None:
    """Wait for tasks no longer than `GRACE`."""
    begun = {task for task in tasks if not task.cancel()}
    if wait(begun, timeout=GRACE).not_done:
        forget()
        workers.shutdown(wait=False, kill_workers=True)


@lru_cache(maxsize=2)  # an ensemble may have fewer members than there are cores to simulate on
def _pool(processes: int, process: int) -> ProcessPoolExecutor:
    """Start workers; a process that was forked needs its own."""
    threads = str(max(1, cpu_count() // processes))
    env = {name: os.environ.get(name, threads) for name in THREADS}
    env |= {LEAK: os.environ.get(LEAK, str(GROWTH))}
    return ProcessPoolExecutor(processes, timeout=IDLE, initializer=_leave_interrupts, env=env)


def _leave_interrupts() -> None:
    """Leave Ctrl-C, which reaches all processes of a terminal, to the one that was started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
