"""Simulations on all cores: rows are cut into tasks, which change nothing but the time it takes."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from sbi_inn.simulation.blocks import LOST, TIMEOUT, Call, one_failed
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.processes import Reply, Sent, Worker, give_back, take
from sbi_inn.simulation.tasks import Drawn, Limits, Outcome, Task, around, given_up, layout_of
from sbi_inn.training.workers import cores

# Seconds of work below which starting workers costs more than it saves.
WORTH_IT = 2.0
# Seconds between looks at what runs.
POLL = 0.5
# Workers that die before they simulate anything, one after another, until that is an error.
DEATHS = 3


class Engine(Protocol):
    """What simulates tasks."""

    def run(
        self, tasks: Iterable[Task], inputs: Drawn, layout: Layout | None
    ) -> Generator[Outcome]:
        """Simulate tasks, and yield what they give in any order."""
        ...


def processes(n_jobs: int, work: float) -> int:
    """Count the processes for `work` seconds on one core; `n_jobs` as in `cores`."""
    return 1 if work < WORTH_IT else cores(n_jobs)


def run_all(
    engine: Engine, tasks: Iterable[Task], inputs: Drawn, layout: Layout | None
) -> Generator[Outcome]:
    """Simulate tasks; what outputs look like is learned from the first row that worked.

    Parameters
    ----------
    engine : Engine
    tasks : iterable of Task
        In the order of their rows.
    inputs : Drawn
    layout : Layout or None
        What the outputs should look like, if that is known.

    Raises
    ------
    SimulationError
        If the workers cannot be used.
    """
    left = iter(tasks)
    while layout is None:
        task = next(left, None)
        if task is None:
            return
        with closing(engine.run([task], inputs, None)) as outcomes:
            for outcome in outcomes:
                layout = layout or layout_of(outcome.blocks)
                yield outcome
    with closing(engine.run(left, inputs, layout)) as outcomes:
        yield from outcomes


@dataclass(frozen=True)
class Here:
    """Simulates in this process."""

    call: Call

    def run(
        self, tasks: Iterable[Task], inputs: Drawn, layout: Layout | None
    ) -> Generator[Outcome]:
        """Simulate tasks, and yield block after block."""
        for task in tasks:
            started = perf_counter()
            rows = inputs[task.start : task.stop]
            for block in self.call.run(rows, task.start, layout, part=task.part):
                layout = layout or block.layout
                yield Outcome(task, [block], perf_counter() - started)


@dataclass(frozen=True)
class Processes:
    """Simulates in processes of its own, of which any may die or be killed.

    Attributes
    ----------
    sent : Sent
    jobs : int
        Processes.
    limits : Limits
    """

    sent: Sent
    jobs: int
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, call: Call, jobs: int, limits: Limits) -> Processes:
        """Make ready what the processes are sent.

        Raises
        ------
        SimulationError
            If the simulator cannot be pickled.
        """
        try:
            return cls(Sent.of(call), jobs, limits)
        except Exception as error:
            raise _stopped(f"{type(error).__name__}: {error}") from error

    def run(
        self, tasks: Iterable[Task], inputs: Drawn, layout: Layout | None
    ) -> Generator[Outcome]:
        """Simulate tasks, and yield what they give in any order."""
        crew = _Crew(self, iter(tasks), inputs, layout)
        try:
            while crew.hand_out():
                yield from crew.listen()
        finally:
            crew.end()


class _Crew:
    """Workers that share the tasks of one run."""

    def __init__(
        self, engine: Processes, left: Iterator[Task], inputs: Drawn, layout: Layout | None
    ) -> None:
        self._engine, self._left, self._inputs, self._layout = engine, left, inputs, layout
        self._again: deque[Task] = deque()
        self._inbox: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._workers: list[Worker] = []
        self._killed: dict[Worker, int] = {}
        self._deaths = 0

    def hand_out(self) -> bool:
        """Give every worker something to do; whether any has."""
        free = [worker for worker in self._workers if worker.task is None and worker.alive]
        while free or len(self._workers) < self._engine.jobs:
            task = self._again.popleft() if self._again else next(self._left, None)
            if task is None:
                break
            if not free:
                free = take(1, self._inbox, self._engine.jobs)
                self._workers += free
            rows = self._inputs[task.start : task.stop]
            free.pop().send(self._engine.sent, rows, task, self._layout)
        return any(worker.task is not None for worker in self._workers)

    def listen(self) -> Iterator[Outcome]:
        """Wait for replies, but not for long, and kill what takes too long."""
        timeout = self._engine.limits.timeout
        try:
            reply = self._inbox.get(timeout=min(POLL, POLL if timeout is None else timeout / 5))
        except queue.Empty:
            pass
        else:
            yield from self._heard(reply)
        if timeout is not None:
            self._kill_overdue(timeout)

    def end(self) -> None:
        """Keep those that are idle for later, and kill the others."""
        give_back(self._workers)

    def _heard(self, reply: Reply) -> Iterator[Outcome]:
        worker, content = reply.worker, reply.content
        if worker not in self._workers:  # it has ended before it was taken
            return
        task, worker.task = worker.task, None
        if content is None:
            self._workers.remove(worker)
            yield from self._died(worker, task)
        elif isinstance(content, str):
            raise _stopped(content)
        else:
            self._deaths = 0
            assert task is not None
            yield Outcome(task, *content)

    def _died(self, worker: Worker, task: Task | None) -> Iterator[Outcome]:
        row, _ = worker.at()
        worker.forget()
        meant = self._killed.pop(worker, row)
        if task is None:
            return
        # Not of a simulation of this task, or not of the one it was killed for.
        if row not in range(task.start, task.stop) or row != meant:
            self._deaths += 1
            if self._deaths >= DEATHS:
                raise _stopped("they died before they simulated anything")
            self._again.appendleft(task)
            return
        status = TIMEOUT if worker.overdue else LOST
        tasks, ended = around(task, row, self._engine.sent.call, status, self._engine.limits)
        self._again.extendleft(reversed(tasks))
        if ended:
            failure = given_up(row, status, self._engine.limits)
            yield Outcome(Task(row, row + 1), [one_failed(failure, self._layout)], 0.0)

    def _kill_overdue(self, timeout: float) -> None:
        for worker in self._workers:
            if worker.task is None or worker.overdue:
                continue
            row, seconds = worker.at()
            if row >= 0 and seconds > timeout:
                worker.overdue = True
                self._killed[worker] = row
                worker.kill()


def _stopped(why: str) -> SimulationError:
    return SimulationError(
        f"the worker processes stopped ({why}); n_jobs=1 simulates in this process"
    )
