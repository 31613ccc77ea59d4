"""A process of its own that simulates: what runs in it, and what it is sent.

It reads messages from its standard input and writes replies to what was its standard output; what
a simulator prints goes to standard error. It ends when its input does: with the process that
started it, however that ended.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import queue
import signal
import struct
import sys
import threading
import zlib
from collections.abc import Sequence
from time import monotonic, perf_counter
from typing import IO, Any

import cloudpickle

from sbi_inn.simulation.blocks import Call

IDLE = 60.0
"""Seconds after which a worker that has nothing to do ends."""

GROWTH = 1e9
"""Bytes by which it may grow before it ends as one that leaks, and is replaced."""

MARK = struct.Struct("qdI")
"""The first row of the call that runs, or -1, since when, and a checksum of both."""

LENGTH = struct.Struct("q")

PR_SET_PDEATHSIG = 1


def marked(row: int, since: float) -> bytes:
    """Write down which row runs; the reverse of `read_mark`."""
    return MARK.pack(row, since, _checksum(row, since))


def read_mark(content: bytes) -> tuple[int, float] | None:
    """Read the row and since when it runs; None where the writer was interrupted in the middle."""
    if len(content) != MARK.size:
        return None
    row, since, checksum = MARK.unpack(content)
    return (row, since) if checksum == _checksum(row, since) else None


def _checksum(row: int, since: float) -> int:
    return zlib.crc32(struct.pack("qd", row, since))


def send(stream: IO[bytes], message: bytes) -> None:
    """Write one message."""
    stream.write(LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Read one message; None at the end."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    message = stream.read(length)
    return message if len(message) == length else None


def main(mark: str) -> None:
    """Simulate what comes, until nothing does; `mark` is the file in which it says what runs."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that was started
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    messages = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with open(mark, "r+b") as file:
        board = mmap.mmap(file.fileno(), MARK.size)
    send(replies, b"")
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(messages, inbox), daemon=True).start()
    _work(inbox, replies, board)
    os._exit(0)  # whatever threads a simulator has left behind


def end_with_parent() -> None:
    """Have the system kill this process when the thread that started it ends; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _read(messages: IO[bytes], inbox: queue.SimpleQueue[bytes]) -> None:
    """Hand on what comes; at the end of the input, end this process whatever it does."""
    while (message := receive(messages)) is not None:
        inbox.put(message)
    os._exit(0)


def _work(inbox: queue.SimpleQueue[bytes], replies: IO[bytes], board: mmap.mmap) -> None:
    calls: dict[str, Call] = {}
    before = _memory()
    while True:
        try:
            message = inbox.get(timeout=IDLE)
        except queue.Empty:
            return
        try:
            done = _done(pickle.loads(message), calls, board)
        except BaseException as error:  # not the simulator's, whose errors are in the blocks
            done = f"{type(error).__name__}: {error}"
        board[:] = marked(-1, 0.0)
        leaks = _memory() - before > GROWTH
        send(replies, pickle.dumps((done, leaks), protocol=5))
        if leaks:
            return


def _done(message: Sequence[Any], calls: dict[str, Call], board: mmap.mmap) -> Any:
    key, sent, inputs, task, layout = message
    if sent is not None:
        calls.clear()
        calls[key] = cloudpickle.loads(sent)

    def watch(row: int) -> None:
        board[:] = marked(row, monotonic())

    started = perf_counter()
    found = calls[key].run(inputs, task.start, layout, part=task.part, watch=watch)
    return list(found), perf_counter() - started


def _memory() -> float:
    """Count the bytes in use; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0.0
