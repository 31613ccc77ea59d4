"""Runs that go wrong: what is said, and what is kept."""

import asyncio
import re
import time

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.errors import PriorError
from sbi_inn.prior import Prior
from sbi_inn.simulation import tasks
from sbi_inn.simulation.apply_noise import apply_noise
from sbi_inn.simulation.results import Results
from sbi_inn.simulation.run import simulate
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.simulation.simulator import simulator

PRIOR = Prior(a=st.uniform(0, 1), b=st.norm(0, 1))


def fails(function, *, n=500, **settings):
    with pytest.raises(SimulationError) as caught:
        simulate(function, PRIOR, n=n, seed=1, n_jobs=1, progress=False, **settings)
    return caught.value


@pytest.mark.parametrize("batched", [False, True])
def test_a_simulator_that_always_raises(monkeypatch, batched):
    monkeypatch.setattr(tasks, "LARGEST", 256)  # rows that are handed out at once

    def broken(a):
        raise ZeroDivisionError("by nothing")

    error = fails(simulator(broken, batched=batched), n=1_000)
    done = len(error.simulations)
    assert 100 <= done < 1_000  # a run that has no chance ends early
    assert f"all of the first {done} simulations failed: {done} raised, 0 returned" in str(error)
    assert "in broken" in str(error)
    assert "by nothing" in str(error)
    assert len(error.simulations.failures) == done
    assert error.simulations.schema is None
    assert np.isfinite(error.simulations.dataset["a"].values).all()
    with pytest.raises(SimulationError, match="no simulation succeeded"):
        error.simulations.observations()


def test_a_simulator_that_never_returns_a_number():
    error = fails(lambda a: np.nan)
    assert "0 raised, 500 returned NaN" in str(error)
    assert "NaN or infinity" in error.simulations.failures["error"].iloc[0]


def test_an_exit_is_a_failure_of_the_row():
    def leaves(a):
        if a < 0.5:
            raise SystemExit(3)
        return a

    simulations = simulate(leaves, PRIOR, n=50, seed=1, n_jobs=1, progress=False)
    assert (simulations.dataset["a"].values[simulations.ok] >= 0.5).all()
    assert 0 < len(simulations.ok) < 50


WRONG = {
    "none": (lambda a: None, "expected numbers; got None"),
    "string": (lambda a: "high", r"expected numbers in y; got 'high' \(str"),
    "digits": (lambda a: {"q": "1.5"}, "expected numbers in q; got '1.5'"),
    "object": (lambda a: {"q": object()}, "expected numbers in q; got <object"),
    "complex": (lambda a: a + 1j, "expected numbers in y.*complex"),
    "ragged": (lambda a: [[1.0], [1.0, 2.0]], "expected numbers in y"),
    "empty dict": (lambda a: {}, "at least one observable"),
    "empty array": (lambda a: np.empty((0, 2)), r"y is empty, of shape \(0, 2\)"),
    "taken": (lambda a: {"b": a}, "observable 'b' has the name of a parameter"),
    "reserved": (lambda a: {"draw": a}, "'draw' is reserved"),
    "not a name": (lambda a: {3: a}, "must be Python identifiers"),
}


@pytest.mark.parametrize(("function", "message"), WRONG.values(), ids=list(WRONG))
def test_outputs_of_a_wrong_kind_stop_at_once(function, message):
    calls = []

    def counted(a):
        calls.append(a)
        return function(a)

    error = fails(counted, n=100_000)
    assert pytest.raises(SimulationError, match=message).matches(error)
    assert str(error).startswith("simulation 0: ")
    assert len(error.simulations) == 0
    assert len(calls) == 3  # one may be bad luck


def later(then, first=1.0):
    """Return `first`, but `then` at the 301st row of the run; rows are told apart by a."""
    table = simulate(lambda a: a, PRIOR, n=500, seed=1, n_jobs=1, progress=False).dataset
    strange = table["a"].values[300]
    return lambda a: then if a == strange else first


LATER = {
    "none": (None, 1.0, "got None"),
    "string": ("x", 1.0, "got 'x'"),
    "names": ({"p": 1}, {"q": 1}, "expected the observables q, as in the first simulations; got p"),
    "more axes": (
        np.ones((2, 2)),
        np.ones(2),
        r"y of shape \(2,\), as in the first simulations; got \(2, 2\)",
    ),
    "length": (np.ones(3), np.ones(2), r"got \(3,\).*@si.simulator\(sets=.*pad it to one length"),
}


@pytest.mark.parametrize(("then", "first", "message"), LATER.values(), ids=list(LATER))
def test_an_output_that_no_table_can_hold_is_a_failed_row(then, first, message):
    table = simulate(later(then, first), PRIOR, n=500, seed=1, n_jobs=1, progress=False)
    assert np.array_equal(table.failures["simulation"], [300])
    assert table.failures["status"].tolist() == ["failed"]
    assert re.search(message, table.failures["error"][0])
    assert np.array_equal(table.ok, np.delete(np.arange(500), 300))


def test_rows_of_several_wrong_kinds_are_all_found():
    a = simulate(lambda a: a, PRIOR, n=500, seed=1, n_jobs=1, progress=False).dataset["a"].values

    def drifting(a_row):
        p, q = 1 + (a_row == a[400]), 1 + (a_row == a[350])
        return {"p": np.ones(p), "q": np.ones(q)}

    table = simulate(lambda a: drifting(a), PRIOR, n=500, seed=1, n_jobs=1, progress=False)
    assert table.failures["simulation"].tolist() == [350, 400]
    assert "expected q" in table.failures["error"][0]
    assert "expected p" in table.failures["error"][1]


def test_a_run_whose_outputs_are_mostly_wrong_stops():
    calls = []

    def drifts(a):
        calls.append(a)
        return np.ones(2) if len(calls) < 400 else np.ones(3)

    error = fails(drifts, n=100_000)
    assert "outputs cannot be used. The first, simulation" in str(error)
    assert "pad it to one length" in str(error)
    assert len(calls) < 100_000


def test_a_failing_row_of_a_batch_is_found_by_halving():
    a = simulate(lambda a: a, PRIOR, n=512, seed=1, n_jobs=1, progress=False).dataset["a"].values
    calls = []

    @simulator(batched=True)
    def batch(a_row, rng):
        calls.append(len(a_row))
        if np.isin(a[[300, 301]], a_row).any():
            raise ValueError("one of these")
        return a_row[:, 0] + rng.normal(size=len(a_row))

    table = simulate(batch, PRIOR, n=512, seed=1, n_jobs=1, progress=False)
    assert table.failures["simulation"].tolist() == [300, 301]
    assert len(calls) - 3 == 1 + 2 * 8  # the pilot's two, the first block, the second and halves
    noise = table.dataset["y"].values - a
    assert len(np.unique(noise[np.isfinite(noise)])) == 510


def test_a_length_that_is_not_its_given():
    sets = simulator(lambda a, n: {"x": np.ones(n + (a > 0.99))}, sets={"n": ["x"]})
    given = {"n": st.randint(1, 5)}
    table = simulate(sets, PRIOR, n=500, given=given, seed=1, n_jobs=1, progress=False)
    assert np.array_equal(table.failures["a"] > 0.99, np.ones(len(table.failures), bool))
    assert table.failures["error"].str.contains("entries, the simulation's n; got shape").all()
    assert len(table.failures) > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (st.uniform(1, 9), "must be an integer.*discrete distribution"),
        (5.0, "must be an integer; got 5"),
        (st.randint(0, 3), "must be at least 1; got 0"),
    ],
)
def test_lengths_that_are_none(given, message):
    sets = simulator(lambda a, n: {"x": np.ones(int(n))}, sets={"n": ["x"]})
    assert pytest.raises(SimulationError, match=message).matches(fails(sets, given={"n": given}))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (lambda a, n: a.mean(), r"leading axis B = 256; got y of shape \(\)"),
        (lambda a, n: np.ones((3, 2)), r"leading axis B = 256; got y of shape \(3, 2\)"),
        (lambda a, n: np.ones((len(a), 2)), r"with L >= \d+, the largest n of the batch"),
        (lambda a, n: a, "y is a column of a set or series, but has no axis"),
        (lambda a, n: {"z": a}, "sets= or series= names 'y', but the simulator returns z"),
    ],
)
def test_batches_of_a_wrong_shape(output, message):
    batched = simulator(output, batched=True, sets={"n": ["y"]})
    error = fails(batched, given={"n": st.randint(1, 9)})
    assert pytest.raises(SimulationError, match=message).matches(error)


def test_hidden_global_randomness_is_reported():
    for batched in (False, True):

        def hidden(a):
            return a + np.random.default_rng().normal()

        with pytest.warns(UserWarning, match="hidden global randomness"):
            simulate(simulator(hidden, batched=batched), PRIOR, n=20, n_jobs=1, progress=False)


def test_a_long_run_must_be_asked_for():
    def slow(a):
        time.sleep(0.07)
        return a

    with pytest.raises(SimulationError, match="for 10,000 on 1 core") as caught:
        simulate(slow, PRIOR, n_jobs=1, progress=False)
    one, all_of_them = map(float, re.findall(r"([\d.]+) m(?:s a|in)", str(caught.value)))
    assert one >= 70
    assert all_of_them == pytest.approx(one * 10_000 / 60_000, rel=0.01)
    assert not getattr(caught.value, "__notes__", [])  # nothing was lost
    assert len(simulate(slow, PRIOR, n=2, n_jobs=1, progress=False)) == 2


@pytest.mark.parametrize("n", [0, -5, 2.5])
def test_a_wrong_number_of_simulations(n):
    assert "at least 1" in str(fails(lambda a: a, n=n))


def stopped_by(error):
    """Raise at the 66th simulation: the pilot takes two, and a hundred three times for its time."""
    calls = []

    def stopped(a):
        calls.append(a)
        if len(calls) == 302 + 66:
            raise error
        return a

    return stopped


def test_control_c_keeps_the_table_so_far(capsys, monkeypatch):
    monkeypatch.setattr(tasks, "LARGEST", 10)
    with pytest.raises(KeyboardInterrupt) as caught:
        simulate(stopped_by(KeyboardInterrupt), PRIOR, n=500, seed=1, n_jobs=1, progress=False)
    kept = caught.value.simulations
    assert 0 < len(kept) == len(kept.ok) < 500
    assert f"stopped after {len(kept)} of 500 simulations" in capsys.readouterr().out


def test_the_run_goes_on_when_the_first_simulations_fail():
    rows = simulate(lambda a: a, PRIOR, n=500, seed=1, n_jobs=1, progress=False).dataset
    late = rows["a"].values[20:]

    def starts_late(a):
        if a not in late:
            raise ValueError("too early")
        return a

    simulations = simulate(starts_late, PRIOR, n=500, seed=1, n_jobs=1, progress=False)
    assert np.array_equal(simulations.ok, np.arange(20, 500))


def test_two_lines_say_what_was_understood(capsys):
    @simulator(sets={"n": ["x"]})
    def both(a, b, n):
        return {"x": np.ones((n, 2)), "z": a}

    simulate(both, PRIOR, n=10, given={"n": st.randint(1, 9)}, seed=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a, b | n -> x (n, 2), z"
    assert lines[1].endswith("for 10 on 1 core")
    assert len(lines) == 2


def test_what_may_be_an_image_is_asked_for(capsys):
    def sees(a):
        return {"sky": np.ones((9, 8)), "table": np.ones((7, 20)), "rgb": np.ones((3, 8, 8))}

    simulate(sees, PRIOR, n=10, seed=1)
    asked = [line for line in capsys.readouterr().out.splitlines() if "image" in line]
    assert [line.split()[1] for line in asked] == ["sky", "rgb"]
    assert asked[0].endswith("@si.simulator(images=['sky'])")
    simulate(simulator(sees, images=["sky", "rgb"]), PRIOR, n=10, seed=1)
    assert "image" not in capsys.readouterr().out


class Stopped(BaseException):
    """What no `except Exception` catches, as asyncio.CancelledError."""


@pytest.mark.parametrize("error", [Stopped, asyncio.CancelledError, GeneratorExit])
def test_whatever_stops_a_run_carries_the_table(error, monkeypatch):
    monkeypatch.setattr(tasks, "LARGEST", 10)
    with pytest.raises(error) as caught:
        simulate(stopped_by(error), PRIOR, n=500, seed=1, n_jobs=1, progress=False)
    assert 0 < len(caught.value.simulations.ok) < 500


def test_running_out_of_memory_between_blocks_carries_the_table(monkeypatch):
    add = Results.add

    def full(self, block):
        if self.done > 100:
            raise MemoryError
        add(self, block)

    monkeypatch.setattr(tasks, "LARGEST", 50)
    monkeypatch.setattr(Results, "add", full)
    with pytest.raises(MemoryError) as caught:
        simulate(lambda a: a, PRIOR, n=500, seed=1, n_jobs=1, progress=False)
    assert len(caught.value.simulations.ok) == 150


@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError, KeyboardInterrupt])
def test_noise_that_fails_late_loses_nothing(error):
    def noise(y, rng):
        if y > 0.99:
            raise error
        return y + rng.normal()

    expected = SimulationError if issubclass(error, Exception) else error
    with pytest.raises(expected) as caught:
        simulate(lambda a: a, PRIOR, noise=noise, n=500, seed=1, n_jobs=1, progress=False)
    table = caught.value.simulations
    assert len(table.ok) == 500
    np.testing.assert_array_equal(table.dataset["y"], table.dataset["a"])
    assert table.noise is None
    # With noise that can be applied, they serve as they are.
    assert apply_noise(table, noise=lambda y, rng: y, seed=1).noise is not None


def test_what_is_kept_has_its_noise(monkeypatch):
    monkeypatch.setattr(tasks, "LARGEST", 10)
    with pytest.raises(Stopped) as caught:
        simulate(
            stopped_by(Stopped),
            PRIOR,
            noise=lambda y: y + 1,
            n=500,
            seed=1,
            n_jobs=1,
            progress=False,
        )
    table = caught.value.simulations
    np.testing.assert_array_equal(table.noisy["y"], table.dataset["a"] + 1)
    assert table.noise is not None


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n": 1.5}, SimulationError, "n is a number of simulations, at least 1; got 1.5"),
        ({"n": "many"}, SimulationError, "got 'many'"),
        ({"n": np.inf}, SimulationError, "got inf"),
        ({"n_jobs": 0}, SimulationError, "n_jobs is a number of processes, .*got 0"),
        ({"n_jobs": 1.5}, SimulationError, "got 1.5"),
        ({"seed": -1}, ValueError, "seed must not be negative; got -1"),
        ({"seed": 0.5}, ValueError, "got 0.5"),
        ({"seed": "one"}, ValueError, "got 'one'"),
        ({"given": {"a": 3}}, PriorError, "'a' given twice"),
        ({"given": {"g": "x"}}, PriorError, "'g' must be"),
        ({"noise": 3}, SimulationError, "expected noise= a function"),
    ],
)
def test_settings_are_looked_at_before_anything_is_simulated(settings, error, message):
    calls = []
    settings = {"n": 500, "n_jobs": 1, "seed": 1} | settings
    with pytest.raises(error, match=message):
        simulate(lambda a: calls.append(a), PRIOR, progress=False, **settings)
    assert calls == []


def test_noise_is_tried_before_a_long_run():
    calls = []

    def counted(a):
        calls.append(a)
        return a

    with pytest.raises(SimulationError, match="'scale' is not an observable, parameter or given"):
        simulate(counted, PRIOR, noise=lambda y, scale: y, n=100_000, n_jobs=1, progress=False)
    assert len(calls) <= 302  # the pilot


@pytest.mark.parametrize("n", [10**13, 10**25])
def test_more_than_any_memory_holds_is_said_at_once(n):
    started = time.perf_counter()
    error = fails(lambda a: a, n=n)
    assert time.perf_counter() - started < 5
    assert "of memory at least; this machine has" in str(error)
    assert "store=" in str(error)
