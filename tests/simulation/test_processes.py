"""Simulations that take their process along, or never return."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.stats as st
import xarray as xr

from sbi_inn.prior import Prior
from sbi_inn.simulation import pilot, pool, processes, worker
from sbi_inn.simulation.run import simulate
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.simulation.simulator import simulator

PRIOR = Prior(a=st.uniform(0, 1))
A = simulate(lambda a: a, PRIOR, n=600, seed=1, n_jobs=1, progress=False).dataset["a"].values

ENDS = {
    "exit": lambda: os._exit(3),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "batched"), [("exit", False), ("segfault", False), ("kill", False), ("exit", True)]
)
def test_a_row_that_takes_its_process_along_costs_no_other(how, batched, monkeypatch):
    end, bad, seconds = ENDS[how], A[[300]] if batched else A[[0, 300]], 60

    def deadly(a, rng):
        if np.isin(bad, a).any():
            end()
        return a + rng.normal(size=np.shape(a))

    def harmless(a, rng):
        if np.isin(bad, a).any():
            raise ValueError
        return a + rng.normal(size=np.shape(a))

    alike = dict(n=600, seed=1, progress=False)
    one = simulate(simulator(harmless, batched=batched), PRIOR, n_jobs=1, **alike)
    monkeypatch.setattr(pool, "WORTH_IT", 0.0)
    two = simulate(simulator(deadly, batched=batched), PRIOR, timeout=seconds, n_jobs=2, **alike)
    assert np.array_equal(A[two.failures["simulation"]], bad)
    assert set(two.failures["status"]) == {"lost"}
    assert two.failures["error"][0] == "the process that simulated it died, 2 times"
    xr.testing.assert_equal(one.dataset.drop_vars("status"), two.dataset.drop_vars("status"))


def test_a_mark_read_while_it_is_written_says_nothing():
    """The process may be interrupted at any byte; what is then read must not blame a row."""
    old, new = worker.marked(17, 5.25), worker.marked(300, 1234.5)
    assert worker.read_mark(new) == (300, 1234.5)
    assert worker.read_mark(worker.marked(-1, 0.0)) == (-1, 0.0)
    for written in range(1, worker.MARK.size):
        before = new[:written] + old[written:]
        assert worker.read_mark(before) in (None, (17, 5.25), (300, 1234.5))
    assert worker.read_mark(b"") is None
    assert worker.read_mark(new[:8]) is None
    assert worker.read_mark(bytes(worker.MARK.size)) is None


def test_a_row_of_another_task_is_not_blamed(monkeypatch):
    """Whatever a dead process seems to have been at, no row is simulated twice for it."""

    def killed(a, rng):
        if a in A[[200, 590]]:
            os.kill(os.getpid(), signal.SIGKILL)
        return a + rng.normal()

    dead, at = [], processes.Worker.at

    def lies_of_the_third(self):
        """A dead process may be asked more than once: before its last reply is read, and then."""
        if not self.alive and self not in dead:
            dead.append(self)
        return (0, 0.0) if self in dead and dead.index(self) == 2 else at(self)

    monkeypatch.setattr(pool, "WORTH_IT", 0.0)
    monkeypatch.setattr(processes.Worker, "at", lies_of_the_third)
    table = simulate(killed, PRIOR, n=600, seed=1, n_jobs=2, timeout=60, progress=False)
    assert len(dead) == 5
    assert table.failures["simulation"].tolist() == [200, 590]


def test_a_process_killed_from_outside_costs_nothing(tmp_path, monkeypatch):
    """The first time it comes to a row it is killed; the second time it goes on."""

    def killed(a, rng):
        for i in (7, 400):
            if a == A[i] and not (tmp_path / str(i)).exists():
                (tmp_path / str(i)).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return a + rng.normal()

    monkeypatch.setattr(pool, "WORTH_IT", 0.0)
    table = simulate(killed, PRIOR, n=600, seed=1, n_jobs=2, timeout=60, progress=False)
    assert (tmp_path / "400").exists()
    assert len(table.ok) == 600
    calm = simulate(lambda a, rng: a + rng.normal(), PRIOR, n=600, seed=1, n_jobs=1, progress=False)
    xr.testing.assert_equal(table.dataset, calm.dataset)


@pytest.mark.slow
@pytest.mark.parametrize("batched", [False, True])
def test_a_simulation_that_never_returns_is_ended(batched):
    def hangs(a, rng):
        if np.isin(A[300], a).any():
            time.sleep(1000)
        return a + rng.normal(size=np.shape(a))

    table = simulate(
        simulator(hangs, batched=batched),
        PRIOR,
        n=400,
        seed=1,
        n_jobs=1,
        timeout=0.3,
        progress=False,
    )
    assert table.failures["simulation"].tolist() == [300]
    assert table.failures["status"].tolist() == ["timeout"]
    assert table.failures["error"][0] == "took longer than timeout=0.3 s"
    assert len(table.ok) == 399


def test_retries_are_tries(tmp_path, monkeypatch):
    def slow_at_first(a):
        if a == A[5]:
            tries = len(list(tmp_path.iterdir()))
            (tmp_path / str(tries)).touch()
            if tries < 2:
                time.sleep(1000)
        return a

    monkeypatch.setattr(pilot, "CHEAP", 0.0)  # no timing beforehand
    alike = dict(n=20, seed=1, n_jobs=1, timeout=0.3, progress=False)
    assert len(simulate(slow_at_first, PRIOR, retries=2, **alike).ok) == 20
    assert len(list(tmp_path.iterdir())) == 3
    for path in tmp_path.iterdir():
        path.unlink()
    once = simulate(slow_at_first, PRIOR, retries=1, **alike)
    assert once.failures["error"].tolist() == ["took longer than timeout=0.3 s, 2 times"]


def test_what_ends_every_process_is_an_error():
    with pytest.raises(SimulationError, match="all 2 simulations failed.*2 were lost"):
        simulate(lambda a: os._exit(1), PRIOR, n=2, seed=1, timeout=60, n_jobs=1, progress=False)


class Poison:
    """Ends a process that unpickles it."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_simulator_that_no_process_can_load_is_an_error():
    poison = Poison()
    with pytest.raises(SimulationError, match="they died before they simulated anything"):
        simulate(lambda a: (a, poison)[0], PRIOR, n=5, seed=1, timeout=60, n_jobs=1, progress=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timeout": 0}, "timeout is a number of seconds above 0, or None; got 0"),
        ({"timeout": -1.0}, "got -1.0"),
        ({"timeout": np.nan}, "got nan"),
        ({"timeout": "1s"}, "got '1s'"),
        ({"retries": -1}, "retries is a whole number of further tries, at least 0; got -1"),
        ({"retries": 0.5}, "got 0.5"),
    ],
)
def test_limits_that_are_none(settings, message):
    with pytest.raises(SimulationError, match=message):
        simulate(lambda a: a, PRIOR, n=5, progress=False, **settings)


PARENT = """
import os, sys, time
import scipy.stats as st
import sbi_inn as si

def busy(a):
    open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
    while True:
        pass

if __name__ == "__main__":
    si.simulate(busy, si.Prior(a=st.norm()), n=100, n_jobs=1, timeout=1000, progress=False)
"""


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path):
    script, pids = tmp_path / "parent.py", tmp_path / "pids"
    script.write_text(PARENT)
    pids.mkdir()
    parent = subprocess.Popen([sys.executable, script, pids])
    while not list(pids.iterdir()):
        time.sleep(0.05)
        assert parent.poll() is None
    (worker,) = (int(path.name) for path in pids.iterdir())
    os.kill(worker, 0)
    parent.kill()
    parent.wait()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the worker outlived its parent")


# Where one core is all there is, any idle worker does what is tried twice beforehand; their numbers
# differ, and a result that differs is warned of.
@pytest.mark.filterwarnings("ignore:hidden global randomness")
def test_workers_that_are_idle_serve_again(monkeypatch):
    monkeypatch.setattr(pool, "WORTH_IT", 0.0)

    def process(a):
        time.sleep(0.01)
        return os.getpid()

    first, second = (
        set(
            simulate(process, PRIOR, n=40, n_jobs=2, timeout=60, progress=False).dataset["y"].values
        )
        for _ in range(2)
    )
    assert len(first) == 2
    assert first & second
    assert os.getpid() not in first
