"""Simulations on a cluster of dask.distributed: futures of our own, so that results come singly."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sbi_inn.simulation.blocks import LOST, Call, one_failed
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.pool import POLL, Processes
from sbi_inn.simulation.processes import Sent
from sbi_inn.simulation.tasks import Drawn, Limits, Outcome, Task, around, given_up

AHEAD = 2
"""Tasks for each thread of the cluster that are sent ahead, so that none waits for its next one."""


@dataclass(frozen=True)
class Shifted:
    """Rows `start` and on, as if there were those before."""

    inputs: Inputs
    start: int

    def __len__(self) -> int:
        return self.start + len(self.inputs)

    def __getitem__(self, rows: slice) -> Inputs:
        return self.inputs[rows.start - self.start : rows.stop - self.start]


def on_worker(
    sent: Sent, inputs: Inputs, task: Task, layout: Layout | None, limits: Limits
) -> list[Outcome]:
    """Simulate a task on a worker of the cluster, in a process of its own."""
    engine = Processes(sent, 1, limits)
    return list(engine.run([task], Shifted(inputs, task.start), layout))


@dataclass(frozen=True)
class Cluster:
    """Simulates on the workers of a client.

    Attributes
    ----------
    sent : Sent
    client : dask.distributed.Client
    limits : Limits

    Raises
    ------
    SimulationError
        If the client is closed, or the simulator cannot be pickled.
    """

    sent: Sent
    client: Any
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, call: Call, client: Any, limits: Limits) -> Cluster:
        """Make ready what the workers are sent.

        Raises
        ------
        SimulationError
            If the client is closed, or the simulator cannot be pickled.
        """
        check_client(client)
        return cls(Processes.of(call, 1, limits).sent, client, limits)

    @property
    def threads(self) -> int:
        """How many simulations may run at once."""
        return max(1, sum(self.client.nthreads().values()))

    def run(
        self, tasks: Iterable[Task], inputs: Drawn, layout: Layout | None
    ) -> Generator[Outcome]:
        """Simulate tasks, and yield what they give in any order."""
        check_client(self.client)
        flock = _Flock(self, iter(tasks), inputs, layout)
        try:
            while flock.send():
                yield from flock.listen()
        finally:
            flock.end()


class _Flock:
    """Futures of one run."""

    def __init__(
        self, engine: Cluster, left: Iterator[Task], inputs: Drawn, layout: Layout | None
    ) -> None:
        self._engine, self._left, self._inputs, self._layout = engine, left, inputs, layout
        self._again: deque[Task] = deque()
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._tasks: dict[Any, Task] = {}
        client = engine.client
        self._sent = client.scatter(engine.sent, broadcast=True, hash=False)
        self._room = AHEAD * engine.threads

    def send(self) -> bool:
        """Send tasks ahead; whether any is out."""
        while len(self._tasks) < self._room:
            task = self._again.popleft() if self._again else next(self._left, None)
            if task is None:
                break
            rows = self._inputs[task.start : task.stop]
            engine = self._engine
            future = engine.client.submit(
                on_worker, self._sent, rows, task, self._layout, engine.limits, pure=False
            )
            self._tasks[future] = task
            future.add_done_callback(self._done.put)
        return bool(self._tasks)

    def listen(self) -> Iterator[Outcome]:
        """Wait for what is done, but not for long."""
        try:
            future = self._done.get(timeout=POLL)
        except queue.Empty:
            check_client(self._engine.client)
            self._room = AHEAD * self._engine.threads  # workers come and go
            return
        task = self._tasks.pop(future)
        if future.status == "finished":
            yield from future.result()
        else:
            yield from self._lost(future, task)

    def end(self) -> None:
        """Cancel what is out."""
        if self._engine.client.status == "running":
            self._engine.client.cancel([*self._tasks, self._sent])

    def _lost(self, future: Any, task: Task) -> Iterator[Outcome]:
        """Halve what has taken several workers along, until a row is to blame."""
        from distributed import KilledWorker

        error = future.exception() if future.status == "error" else None
        if not isinstance(error, KilledWorker):
            why = "cancelled" if error is None else f"{type(error).__name__}: {error}"
            raise SimulationError(f"the cluster stopped: {why}")
        call, limits = self._engine.sent.call, self._engine.limits
        block = call.seeds.block if call.simulator.batched else 1
        if not task.part and task.stop - task.start > block:
            middle = task.start + (task.stop - task.start) // 2 // block * block
            self._again += [Task(task.start, middle), Task(middle, task.stop)]
            return
        tasks, ended = around(task, task.start, call, LOST, limits)
        self._again += tasks
        if ended:
            failure = given_up(task.start, LOST, limits)
            yield Outcome(task, [one_failed(failure, self._layout)], 0.0)


def check_client(client: Any) -> None:
    """Raise SimulationError unless a client can be used.

    Raises
    ------
    SimulationError
        If it is no client of dask.distributed, or closed.
    """
    if not hasattr(client, "submit") or not hasattr(client, "nthreads"):
        raise SimulationError(f"client= is a dask.distributed.Client; got {client!r:.80}")
    if client.status != "running":
        raise SimulationError(f"client= is {client.status}: open a new one")
