"""Processes that simulate, seen from the process that started them.

A call that hangs can be ended only by killing its process, and a call that kills its process must
not harm others. So each worker is a separate process, which reports what it is working on.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

import cloudpickle

from sbi_inn.simulation.blocks import Call
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout
from sbi_inn.simulation.tasks import Task
from sbi_inn.simulation.worker import marked, read_mark, receive, send
from sbi_inn.training.workers import THREADS, cpu_count

START = (
    "import sys; sys.path[:], sys.argv[:] = {path!r}, {argv!r}; "
    "from sbi_inn.simulation.worker import main; main({mark!r})"
)

_idle: list[Worker] = []
_lock = threading.Lock()


@dataclass(frozen=True)
class Sent:
    """A `Call`, made ready once for all that it is sent to: it may hold large tables."""

    call: Call
    content: bytes
    key: str

    @classmethod
    def of(cls, call: Call) -> Sent:
        """Make it ready; whatever the pickling raises is raised."""
        content = cloudpickle.dumps(call)
        return cls(call, content, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Reply:
    """What has come of a worker: what it has done, or why it cannot; None if it died."""

    worker: Worker
    content: Any


class Worker:
    """One process.

    Attributes
    ----------
    inbox : queue
        Where its replies go.
    task : Task or None
        What it is at.
    threads : int
        That numerical libraries may use in it.
    owner : int
        The process that started it.
    alive, overdue : bool
        Whether it takes tasks; whether it is killed as a simulation takes too long.
    """

    def __init__(self, threads: int) -> None:
        self.inbox: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self.task: Task | None = None
        self.threads, self.owner, self.alive = threads, os.getpid(), True
        self.overdue = False
        self._process: subprocess.Popen[bytes] | None = None
        self._known = ""
        handle, self._mark = tempfile.mkstemp(prefix="sbi_inn-")
        with os.fdopen(handle, "wb") as file:
            file.write(marked(-1, 0.0))
        self._started = threading.Event()
        # The thread lives as long as the process: on Linux one ends with the other.
        threading.Thread(target=self._live, daemon=True).start()
        self._started.wait()

    def send(self, sent: Sent, inputs: Inputs, task: Task, layout: Layout | None) -> None:
        """Hand it a task; where it has died, the reply says so."""
        self.task = task
        content = sent.content if self._known != sent.key else None
        self._known = sent.key
        message = pickle.dumps((sent.key, content, inputs, task, layout), protocol=5)
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(OSError):
            send(self._process.stdin, message)

    def at(self) -> tuple[int, float]:
        """Say the row that it is at, or -1, and the seconds since that call began."""
        found = None
        with suppress(OSError), open(self._mark, "rb") as file:
            found = read_mark(file.read())
        # It may be read while it is written: what does not hold together says nothing.
        return (-1, 0.0) if found is None else (found[0], monotonic() - found[1])

    def kill(self) -> None:
        """End it and what it has started, whatever it does."""
        if self._process is not None:
            with suppress(OSError):
                if os.name == "posix":
                    os.killpg(self._process.pid, signal.SIGKILL)
                else:
                    self._process.kill()

    def _live(self) -> None:
        process = self._start()
        if process is not None:
            assert process.stdout is not None
            with suppress(OSError, ValueError, EOFError):
                while (message := receive(process.stdout)) is not None:
                    if message:
                        done, leaks = pickle.loads(message)
                        self.alive = not leaks
                        self.inbox.put(Reply(self, done))
            self.alive = False
            self.kill()
            process.wait()
            process.stdout.close()
            with suppress(OSError):
                assert process.stdin is not None
                process.stdin.close()
        self.alive = False
        # Its mark stays until the reply was read: it says what it died of.
        self.inbox.put(Reply(self, None))

    def _start(self) -> subprocess.Popen[bytes] | None:
        env = {name: os.environ.get(name, str(self.threads)) for name in THREADS}
        code = START.format(path=sys.path, argv=sys.argv, mark=self._mark)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | env,
                start_new_session=True,
            )
        except OSError:
            self._process = None
        self._started.set()
        return self._process

    def forget(self) -> None:
        """Remove the file in which it says what it is at."""
        with suppress(OSError):
            os.unlink(self._mark)


def take(count: int, inbox: queue.SimpleQueue[Reply], processes: int) -> list[Worker]:
    """Give so many workers, of `processes` that will run: idle ones, and new ones."""
    threads = max(1, cpu_count() // processes)
    with _lock:
        fit = [w for w in _idle if w.alive and w.owner == os.getpid() and w.threads == threads]
        found = fit[:count]
        _idle[:] = [w for w in _idle if w not in found and w.alive]
    for worker in found:
        worker.inbox, worker.task = inbox, None
    # One that ends just now may have said so where nobody listens any more.
    found = [worker for worker in found if worker.alive]
    while len(found) < count:
        worker = Worker(threads)
        worker.inbox = inbox
        found.append(worker)
    return found


def give_back(workers: Iterable[Worker]) -> None:
    """Keep workers that have nothing to do for the next call; end the others."""
    for worker in workers:
        if worker.alive and worker.task is None:
            worker.inbox = queue.SimpleQueue()
            with _lock:
                _idle.append(worker)
        else:
            worker.kill()
            worker.forget()
