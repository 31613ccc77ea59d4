"""The stopwatch of the checks: what it counts, and what it does not."""

import threading
import time

from sbi_inn.checks.stopwatch import Stopwatch


def busy(seconds):
    """Work for some seconds of processor time of this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_the_time_that_others_take_does_not_count():
    watch = Stopwatch()
    time.sleep(0.5)
    assert watch.seconds < 0.25


def test_two_threads_do_not_count_twice():
    began, watch = time.perf_counter(), Stopwatch()  # in this order: the watch counts no longer
    threads = [threading.Thread(target=busy, args=(0.2,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.2 <= watch.seconds <= time.perf_counter() - began
