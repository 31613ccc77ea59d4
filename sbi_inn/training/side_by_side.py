"""Train networks in parallel, in processes of one thread each.

Two threads hardly speed up one small network, and two Python threads hardly speed up two of them;
two processes double the speed.
"""

from __future__ import annotations

import pickle
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from loky import BrokenProcessPool

from sbi_inn.shared_work.in_threads import threads
from sbi_inn.training import workers
from sbi_inn.training.progress import Watch, progress_bar, watched

# Seconds between looks at how far the networks are.
POLL = 0.1


class Trained(Protocol):
    """What a training gives back."""

    @property
    def interrupted(self) -> bool:
        """Whether it was ended before its time."""
        ...


T = TypeVar("T", bound=Trained)


@dataclass(frozen=True)
class Board:
    """A file that trainings write their progress to, and look at to see whether to go on.

    Attributes
    ----------
    path : Path
        Shared by all processes.
    trainings : int
    """

    path: Path
    trainings: int

    @classmethod
    def new(cls, folder: str, trainings: int) -> Board:
        """Make an empty one."""
        board = cls(Path(folder) / "board", trainings)
        cells = np.memmap(board.path, np.float64, "w+", shape=(trainings + 1, 2))
        cells[:, 1] = np.nan
        return board

    def watch(self, place: int) -> Watch:
        """Give what the training at this place is watched by."""

        def tell(done: float, loss: float) -> bool:
            self._cells[place] = done, loss
            return not self.stopped

        return tell

    def finish(self, place: int) -> None:
        """Note that a training is over, early perhaps."""
        self._cells[place, 0] = 1.0

    def stop(self) -> None:
        """Ask all trainings to end."""
        self._cells[-1, 0] = 1.0

    @property
    def stopped(self) -> bool:
        """Whether they are asked to end."""
        return bool(self._cells[-1, 0])

    def show(self, bar: Watch) -> None:
        """Show the mean share that is over, and the best validation loss."""
        done, losses = np.array(self._cells[:-1]).T
        bar(done.mean(), np.nan if np.isnan(losses).all() else np.nanmin(losses))

    @cached_property
    def _cells(self) -> np.memmap[Any, Any]:
        """A row a training, its share and its loss; the last row asks them to end."""
        return np.memmap(self.path, np.float64, "r+", shape=(self.trainings + 1, 2))

    def __reduce__(self) -> tuple[Any, ...]:
        return Board, (self.path, self.trainings)  # a file that is sent would be a copy


def warm_up(processes: int) -> None:
    """Let workers start and load torch, a few seconds, while this process does something else."""
    try:
        for _ in range(processes):
            workers.pool(processes).submit(_ready)
    except workers.UNUSABLE:
        workers.forget()  # `train_all` will find out, and can do without


def train_all(
    jobs: Sequence[Callable[[], T]], processes: int, *, progress: bool = True, what: str = ""
) -> list[T]:
    """Train networks, each with one thread, whatever the number of processes.

    Parameters
    ----------
    jobs : sequence of callable
        Each trains a network by `training.fit`.
    processes : int
        1 stays in this one.
    progress : bool
        Show one bar for all of them.
    what : str
        What the bar says is trained; by default the number of networks.

    Returns
    -------
    list
        What the jobs gave, in their order. Ctrl-C ends those that run with their best weights so
        far, and leaves out those that have not begun.

    Raises
    ------
    Exception
        What a job raises; the others are ended.
    KeyboardInterrupt
        If nothing was trained before Ctrl-C, or at the second one.
    """
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        progress_bar(progress, f"training {what or f'{len(jobs)} networks'}") as bar,
    ):
        if processes > 1:
            try:
                return _elsewhere(jobs, processes, Board.new(folder, len(jobs)), bar)
            except _Unusable as error:
                warnings.warn(f"{error}: training goes on in this process", stacklevel=2)
        return _here(jobs, Board.new(folder, len(jobs)), bar)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread in this block: sums depend on how many there are.

    Where several threads of Python are in such blocks, until the last of them is done.
    """
    with _THREADS.lock:
        if not _THREADS.inside:
            _THREADS.before = torch.get_num_threads()
        _THREADS.inside += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _THREADS.lock:
            _THREADS.inside -= 1
            if not _THREADS.inside:
                torch.set_num_threads(_THREADS.before)


@dataclass
class _Threads:
    """How many blocks of `one_thread` are open, and how many threads torch had before."""

    lock: Any = field(default_factory=threading.Lock)
    inside: int = 0
    before: int = 1


_THREADS = _Threads()


class _Unusable(Exception):
    """Processes cannot be used here."""


def _here(jobs: Sequence[Callable[[], T]], board: Board, bar: Watch) -> list[T]:
    """Train one network after another."""
    found: list[T] = []
    for place, job in enumerate(jobs):
        try:
            with one_thread(), watched(_shown(board, place, bar)):
                found.append(job())
        except KeyboardInterrupt:  # before the training has begun, or after it
            if not found:
                raise
            break
        board.finish(place)
        if found[-1].interrupted:
            break
    board.show(bar)
    return found


def _shown(board: Board, place: int, bar: Watch) -> Watch:
    tell = board.watch(place)

    def watch(done: float, loss: float) -> bool:
        going = tell(done, loss)
        board.show(bar)
        return going

    return watch


def _elsewhere(
    jobs: Sequence[Callable[[], T]], processes: int, board: Board, bar: Watch
) -> list[T]:
    """Train in worker processes."""
    try:
        pool = workers.pool(processes)
        futures = [
            pool.submit(_work, job, board, place, processes) for place, job in enumerate(jobs)
        ]
    except workers.UNUSABLE as error:
        raise _unusable(error) from error
    interrupted = _follow(futures, board, bar)
    errors = [future.exception() for future in futures]
    for error in errors:
        if isinstance(error, BrokenProcessPool | pickle.PicklingError):
            if interrupted:
                raise KeyboardInterrupt
            raise _unusable(error) from error
    found = [future.result() for future in futures]
    begun = [result for result in found if result is not None]
    if not begun:
        raise KeyboardInterrupt
    return begun


def _follow(futures: Sequence[Future[Any]], board: Board, bar: Watch) -> bool:
    """Wait for all trainings; give whether Ctrl-C has ended them."""
    waiting, interrupted = set(futures), False
    while waiting:
        try:
            over, waiting = wait(waiting, timeout=POLL)
            board.show(bar)
            if any(future.exception() for future in over):
                board.stop()
        except KeyboardInterrupt:
            board.stop()
            if interrupted:  # they do not listen
                workers.forget()
                raise
            interrupted = True
    return interrupted


def _unusable(error: BaseException) -> _Unusable:
    workers.forget()
    return _Unusable(f"worker processes cannot be used ({type(error).__name__}: {error})")


def _ready() -> None:
    """Nothing: to be sent this is to load torch."""


def _work(job: Callable[[], T], board: Board, place: int, processes: int = 1) -> T | None:
    """Train one network; where it can use threads, it may use the cores that others leave idle."""
    if board.stopped:
        return None
    with one_thread(), threads(processes), watched(board.watch(place)):
        found = job()
    board.finish(place)
    return found
