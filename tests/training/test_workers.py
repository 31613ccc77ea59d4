"""Worker processes: order, errors, ends that come early, and the workers that are kept."""

import os
import signal
import threading
import time
from functools import partial

import pytest
from loky import BrokenProcessPool, cpu_count

from sbi_inn.training import workers
from sbi_inn.training.workers import cores, in_order

TWO = 2


def mine(place, seconds=0.0):
    time.sleep(seconds)
    return place, os.getpid()


def tasks(seconds):
    return (partial(mine, place, s) for place, s in enumerate(seconds))


def test_results_come_in_order_from_two_workers_that_are_kept():
    seconds = [0.2, 0.0, 0.1, *[0.02] * 7]
    found = list(in_order(tasks(seconds), TWO))
    assert [place for place, _ in found] == list(range(10))
    processes = {process for _, process in found}
    assert os.getpid() not in processes
    assert len(processes) == TWO
    assert {process for _, process in in_order(tasks([0.05] * 4), TWO)} <= processes


def test_functions_of_any_kind_are_sent():
    offset = 3
    assert list(in_order((lambda i=i: i + offset for i in range(5)), TWO)) == [3, 4, 5, 6, 7]
    assert list(in_order([], TWO)) == []


def test_a_slow_task_does_not_keep_the_others_waiting():
    begin = time.perf_counter()
    list(in_order(tasks([0.6, *[0.05] * 12]), TWO))
    # One worker is busy for .6 s, the other for as long; in turns it would be .9 s.
    assert time.perf_counter() - begin < 0.9


def test_what_a_task_raises_is_raised_in_its_place():
    def work(i):
        if i == 2:
            raise ZeroDivisionError("two")
        return i

    found = []
    with pytest.raises(ZeroDivisionError, match="two"):  # noqa: PT012
        for value in in_order((partial(work, i) for i in range(20)), TWO):
            found.append(value)
    assert found == [0, 1]


def test_few_tasks_are_sent_ahead():
    asked = []

    def endless():
        while True:
            asked.append(len(asked))
            yield partial(mine, 0)

    found = in_order(endless(), TWO)
    next(found)
    found.close()
    assert len(asked) <= 2 * workers.AHEAD * TWO


def test_workers_that_are_done_soon_survive_an_early_end():
    processes = {process for _, process in in_order(tasks([0.05] * 4), TWO)}
    found = in_order(tasks([0.05] * 50), TWO)
    next(found)
    found.close()
    assert {process for _, process in in_order(tasks([0.05] * 4), TWO)} <= processes


@pytest.mark.parametrize("end", ["closed", "Ctrl-C"])
def test_a_long_task_is_killed_where_nobody_waits_for_it(end):
    list(in_order(tasks([0.05] * 4), TWO))  # the workers are there
    found = in_order(tasks([0.0, 60.0, 60.0, 60.0]), TWO)
    next(found)
    begin = time.perf_counter()
    if end == "closed":
        found.close()
    else:
        # Where the tests run in the background, Ctrl-C is ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT]).start()
        with pytest.raises(KeyboardInterrupt):
            next(found)
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - begin < 30
    assert len(list(in_order(tasks([0.0] * 3), TWO))) == 3  # on new ones


def test_workers_that_died_while_idle_are_replaced():
    for _, process in list(in_order(tasks([0.05] * 4), TWO)):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass  # one worker did several tasks
    time.sleep(0.5)
    assert [place for place, _ in in_order(tasks([0.0] * 3), TWO)] == [0, 1, 2]


def test_a_worker_that_dies_at_work_is_said():
    with pytest.raises(BrokenProcessPool):
        list(in_order([partial(os._exit, 1)] * 3, TWO))
    assert len(list(in_order(tasks([0.0] * 3), TWO))) == 3


def test_workers_leave_interrupts_to_this_process_and_share_the_cores():
    def look():
        return signal.getsignal(signal.SIGINT), os.environ["OPENBLAS_NUM_THREADS"]

    ((handler, threads),) = in_order([look], TWO)
    assert handler == signal.SIG_IGN
    assert threads == os.environ.get("OPENBLAS_NUM_THREADS", str(max(1, cpu_count() // TWO)))


def test_cores(monkeypatch):
    monkeypatch.setattr(workers, "cpu_count", lambda: 8)
    assert [cores(n) for n in (1, 3, 20, -1, -2, -8, -20)] == [1, 3, 20, 8, 7, 1, 1]
    with pytest.raises(ValueError, match="-1 for all cores; got 0"):
        cores(0)
