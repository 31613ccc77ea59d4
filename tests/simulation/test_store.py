"""Simulations on disk: the same table, whatever happened on the way."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import xarray as xr
import zarr.storage._local as local

import sbi_inn as si
from sbi_inn.errors import LoadError, ShapeError
from sbi_inn.prior import Prior
from sbi_inn.simulation import manifest as manifests
from sbi_inn.simulation import piece, tasks
from sbi_inn.simulation.run import simulate
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.simulation.simulator import simulator
from sbi_inn.simulation.store import Store, is_store, read_store

PRIOR = Prior(a=st.norm(0, 1), b=st.uniform(1, 2))
GIVEN = {"n": st.zipfian(1, 9), "sd": st.uniform(1, 1), "k": 4}


def by_row(a, b, sd, k, rng):
    if a > 1.5:
        raise ValueError("too large")
    return {"z": rng.normal(a, sd, k), "w": np.nan if b > 2.8 else b}


@simulator(sets={"n": ["x", "t"]})
def row_set(a, b, n, rng):
    return {"x": rng.normal(a, b, n), "t": rng.normal(size=(n, 2)), "y": a}


@simulator(batched=True)
def batch(a, b, rng):
    if (a > 2).any():
        raise ValueError("too large")
    return {"z": a + rng.normal(size=len(a)), "w": np.where(b > 2.8, np.inf, b)}


@simulator(series={"days": ["cases"]})
def series(a, b):
    return {"cases": a + b * np.arange(5)}


SIMULATORS = {"by row": by_row, "row set": row_set, "batch": batch, "series": series}
parametrize = pytest.mark.parametrize("function", SIMULATORS.values(), ids=list(SIMULATORS))


def alike(one, two):
    """Whether two tables are the same, bit for bit."""
    xr.testing.assert_identical(
        one.dataset.drop_attrs(deep=False), two.dataset.load().drop_attrs(deep=False)
    )
    assert list(one.dataset.data_vars) == list(two.dataset.data_vars)
    assert one.schema == two.schema
    pd.testing.assert_frame_equal(
        one.failures.drop(columns="traceback"), two.failures.drop(columns="traceback")
    )


def table(function, n, store=None, **settings):
    settings = dict(given=GIVEN, seed=3, n_jobs=1, progress=False) | settings
    return simulate(function, PRIOR, n=n, store=store, **settings)


@pytest.mark.slow
@parametrize
def test_a_store_holds_the_table_that_memory_would(function, tmp_path):
    stored = table(function, 600, tmp_path / "a.zarr")
    alike(table(function, 600), stored)
    alike(stored, read_store(tmp_path / "a.zarr", progress=False))
    manifest = json.loads((tmp_path / "a.zarr" / "manifest.json").read_text())
    assert manifest["counts"]["ok"] == len(stored.ok)
    assert sum(manifest["counts"].values()) == 600
    assert manifest["seed"] == 3


@pytest.mark.slow
@parametrize
def test_extended_or_in_parts_it_is_the_same(function, tmp_path):
    whole = table(function, 1000)
    for n in (300, 301, 1000):
        extended = table(function, n, tmp_path / "a.zarr")
    alike(whole, extended)
    for i in (3, 1, 2):
        table(function, 1000, tmp_path / "b.zarr", part=(i, 3))
    alike(whole, read_store(tmp_path / "b.zarr", progress=False))
    alike(table(function, 300), table(function, 300, tmp_path / "a.zarr"))


def test_nothing_is_simulated_twice(tmp_path):
    calls = tmp_path / "calls"

    def counted(a, b):
        with open(calls, "a") as file:
            file.write(".")
        return a + b

    table(counted, 400, tmp_path / "a.zarr", given=None)
    before = calls.stat().st_size
    table(counted, 400, tmp_path / "a.zarr", given=None)
    assert calls.stat().st_size == before
    table(counted, 500, tmp_path / "a.zarr", given=None)
    assert calls.stat().st_size == before + 100


def test_rows_are_read_and_no_others(tmp_path):
    stored = table(row_set, 600, tmp_path / "a.zarr")
    memory = table(row_set, 600)
    rows = np.array([599, 3, 3, 300])
    one, two = memory.observations(rows), stored.observations(rows)
    np.testing.assert_array_equal(one.vector, two.vector)
    np.testing.assert_array_equal(one.sets["n"].values, two.sets["n"].values)
    assert not isinstance(stored.dataset.variables["x"]._data, np.ndarray)
    np.testing.assert_array_equal(stored.take(rows).dataset["a"], memory.dataset["a"][rows])
    np.testing.assert_array_equal(stored.dataset["t"][5:9, 2:, 1], memory.dataset["t"][5:9, 2:, 1])
    np.testing.assert_array_equal(stored.dataset["t"][-1, 0], memory.dataset["t"][-1, 0])


def test_missing_parts_are_said_and_the_rest_is_read(tmp_path, capsys):
    for i in (1, 4):
        table(by_row, 400, tmp_path / "a.zarr", part=(i, 4))
    found = read_store(tmp_path / "a.zarr")
    assert "missing: 100 rows of part 2/4, 100 rows of part 3/4" in capsys.readouterr().out
    whole = table(by_row, 400)
    rows = np.r_[0:100, 300:400]
    np.testing.assert_array_equal(found.dataset["z"], whole.dataset["z"][rows])
    there = whole.failures[whole.failures["simulation"].isin(rows)]
    np.testing.assert_array_equal(found.failures["a"], there["a"])
    np.testing.assert_array_equal(rows[found.failures["simulation"]], there["simulation"])
    # A run of all that is missing makes it whole.
    alike(whole, table(by_row, 400, tmp_path / "a.zarr"))


def test_a_store_of_another_problem_is_refused_and_says_why(tmp_path):
    table(by_row, 50, tmp_path / "a.zarr")
    other = Prior(a=st.norm(0, 2), b=st.uniform(1, 2))
    cases = [
        (dict(seed=4), "seed: 4 here and 3 there"),
        (dict(given=GIVEN | {"k": 5}), "given: k is 5 here and 4 there"),
        (
            dict(given=GIVEN | {"sd": st.uniform(1, 2)}),
            r"sd is uniform\(1, 2\) here and uniform\(1, 1\)",
        ),
        (dict(noise=lambda z: {"z": z}), "noise: .*<lambda> .* here and none there"),
    ]
    for settings, message in cases:
        settings = dict(seed=3, given=GIVEN) | settings
        with pytest.raises(SimulationError, match=message):
            simulate(by_row, PRIOR, n=50, store=tmp_path / "a.zarr", progress=False, **settings)
    with pytest.raises(
        SimulationError, match=r"prior: a is norm\(0, 2\) here and norm\(0, 1\) there"
    ):
        simulate(by_row, other, n=50, store=tmp_path / "a.zarr", given=GIVEN, seed=3)
    with pytest.raises(SimulationError, match="simulator: row_set .* here and by_row .* there"):
        table(row_set, 50, tmp_path / "a.zarr")
    assert len(table(by_row, 50, tmp_path / "a.zarr", seed=None)) == 50  # the seed of the store


def test_a_closure_of_other_numbers_is_another_simulator(tmp_path):
    def with_scale(scale):
        return lambda a, b: scale * a

    table(with_scale(2.0), 50, tmp_path / "a.zarr")
    table(with_scale(2.0), 60, tmp_path / "a.zarr")
    with pytest.raises(SimulationError, match="simulator: "):
        table(with_scale(3.0), 50, tmp_path / "a.zarr")


@pytest.mark.parametrize("batched", [False, True])
def test_without_a_source_the_first_row_is_compared(batched, tmp_path):
    def made(power):
        found = {}
        exec(f"def f(a, b):\n    return a**{power}", found)
        return simulator(found["f"], batched=batched)

    table(made(2), 50, tmp_path / "a.zarr")
    assert len(table(made(2), 60, tmp_path / "a.zarr")) == 60
    with pytest.raises(SimulationError, match="simulation 0 gives another y now"):
        table(made(3), 60, tmp_path / "a.zarr")


def test_a_prior_that_is_code_is_given_again(tmp_path):
    def made(sd):
        return Prior(a=st.norm(0, 1), b=lambda a: [st.norm(0, sd)][int(a.size < 0)])

    simulate(lambda a, b: a + b, made(1), n=50, store=tmp_path / "a.zarr", seed=1, progress=False)
    with pytest.raises(LoadError, match="give the whole prior again"):
        read_store(tmp_path / "a.zarr", progress=False)
    assert len(read_store(tmp_path / "a.zarr", made(1), progress=False)) == 50
    with pytest.raises(LoadError, match="at the same quantiles b is"):
        read_store(tmp_path / "a.zarr", made(2), progress=False)


def test_noise_is_that_of_memory(tmp_path):
    def noise(z, rng):
        return {"z": z + rng.normal(size=z.shape)}

    stored = table(by_row, 300, tmp_path / "a.zarr", noise=noise)
    memory = table(by_row, 300, noise=noise)
    alike(memory, stored)
    np.testing.assert_array_equal(memory.noisy["z"], stored.noisy["z"])


def test_two_runs_into_one_store(tmp_path):
    table(by_row, 300, tmp_path / "a.zarr")
    store = Store.read(tmp_path / "a.zarr")
    (only,) = store.pieces()
    with manifests.locked(only.path / ".lock"):
        with pytest.raises(SimulationError, match="another run writes to .* now"):
            table(by_row, 300, tmp_path / "a.zarr")
    table(by_row, 300, tmp_path / "a.zarr")


@pytest.mark.slow
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    put, left = local._put, [40]

    def full(*args, **kwargs):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(*args, **kwargs)

    monkeypatch.setattr(piece, "FLUSH", 0.0)
    monkeypatch.setattr(tasks, "LARGEST", 100)
    with monkeypatch.context() as patch:
        patch.setattr(local, "_put", full)
        with pytest.raises(SimulationError, match="No space left on device.*goes on from there"):
            table(by_row, 3000, tmp_path / "a.zarr")
    (only,) = Store.read(tmp_path / "a.zarr").pieces()
    assert 0 < only.done().sum() < 3000
    alike(table(by_row, 3000), table(by_row, 3000, tmp_path / "a.zarr"))


def test_a_line_that_was_cut_off_is_not_done(tmp_path):
    table(by_row, 300, tmp_path / "a.zarr")
    (only,) = Store.read(tmp_path / "a.zarr").pieces()
    lines = only.path / "done.jsonl"
    lines.write_bytes(lines.read_bytes()[:-5])
    assert not only.done().any()
    alike(table(by_row, 300), table(by_row, 300, tmp_path / "a.zarr"))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ((5, 4), r"part i of k, with 1 <= i <= k; got \(5, 4\)"),
        ((0, 4), r"got \(0, 4\)"),
        ("1/4", "got '1/4'"),
        ((1, 900), "no more than 3 parts are of use; got part 1/900"),
    ],
)
def test_parts_that_are_none(part, message, tmp_path):
    with pytest.raises(SimulationError, match=message):
        table(batch, 600, tmp_path / "a.zarr", part=part)


def test_other_parts_than_the_store_has(tmp_path):
    table(by_row, 400, tmp_path / "a.zarr", part=(1, 4))
    with pytest.raises(SimulationError, match="its rows are divided into 4 parts; got part 1/5"):
        table(by_row, 400, tmp_path / "a.zarr", part=(1, 5))
    with pytest.raises(SimulationError, match="needs a store"):
        table(by_row, 400, part=(1, 5))


def test_what_is_no_store(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(SimulationError, match="exists already, and is not a store"):
        table(by_row, 40, tmp_path / "other")
    assert not is_store(tmp_path / "other")
    with pytest.raises(LoadError, match="there is no store"):
        read_store(tmp_path / "none")
    table(by_row, 40, tmp_path / "a.zarr")
    manifest = tmp_path / "a.zarr" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(LoadError, match="a store of format 9"):
        read_store(tmp_path / "a.zarr")
    manifest.write_text("{")
    with pytest.raises(LoadError, match="cannot be read"):
        read_store(tmp_path / "a.zarr")


def test_without_zarr_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r'pip install "\.\[scale\]"'):
        table(by_row, 40, tmp_path / "a.zarr")


def test_nothing_succeeded(tmp_path):
    with pytest.raises(SimulationError, match="all 30 simulations failed: 30 failed") as caught:
        table(lambda a, b: 1 / 0, 30, tmp_path / "a.zarr", given=None)
    assert len(caught.value.simulations.failures) == 30
    with pytest.raises(SimulationError, match="all 30 simulations failed"):
        table(lambda a, b: 1 / 0, 30, tmp_path / "a.zarr", given=None)


FAULTY = """
import sys, time
import numpy as np
import scipy.stats as st
import sbi_inn as si
from sbi_inn.simulation import piece, pool

piece.FLUSH = 0.2
pool.WORTH_IT = 0.0

def faulty(a, u, rng):
    draw = rng.normal()
    time.sleep(0.002)
    if u < 0.02:
        raise ValueError(f"u is {u}")
    if u < HANGS:
        time.sleep(1000)
    return np.nan if u < 0.04 else a + draw

if __name__ == "__main__":
    store, part = sys.argv[1], sys.argv[2]
    part = None if part == "-" else tuple(map(int, part.split("/")))
    prior = si.Prior(a=st.norm(), u=st.uniform())
    si.simulate(
        faulty, prior, n=500, seed=5, store=store, part=part, timeout=TIMEOUT, retries=1,
        n_jobs=JOBS, progress=False,
    )
"""
"""Of all simulations 2 % raise, 1 % never return, and 1 % return NaN.

A busy machine may hold a good one up for longer than the timeout: it is tried again.
"""


def killed_at_random(script, store, part, moments):
    """Run a script, killed at random moments, and then to its end."""
    for moment in moments:
        process = subprocess.Popen([sys.executable, script, store, part], start_new_session=True)
        end = time.monotonic() + moment
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.02)
        with suppress(ProcessLookupError):  # it may have come to its end
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run([sys.executable, script, store, part], check=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faulty")
    text = FAULTY.replace("HANGS", "0.03").replace("TIMEOUT", "0.8").replace("JOBS", "2")
    (folder / "faulty.py").write_text(text)
    subprocess.run([sys.executable, folder / "faulty.py", folder / "one.zarr", "-"], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 4])
def test_killed_three_times_it_ends_with_the_same_table(parts, undisturbed, tmp_path):
    script, store = undisturbed / "faulty.py", tmp_path / "two.zarr"
    rng = np.random.default_rng(parts)
    for i in range(1, parts + 1):
        moments = rng.uniform(1, 6, 3) if i == 1 else []
        killed_at_random(script, store, "-" if parts == 1 else f"{i}/{parts}", moments)
    one, two = (read_store(path, progress=False) for path in (undisturbed / "one.zarr", store))
    one.dataset.load()
    alike(one, two)
    u = one.dataset["u"].values
    expected = np.select(
        [u < 0.02, u < 0.03, u < 0.04], ["failed", "timeout", "invalid"], default="ok"
    )
    np.testing.assert_array_equal(one.dataset["status"], expected)
    assert set(expected) == {"failed", "timeout", "invalid", "ok"}
    np.testing.assert_array_equal(one.failures["simulation"], np.flatnonzero(expected != "ok"))


@pytest.mark.slow
def test_a_store_is_read_and_fitted_by_its_path(tmp_path):
    path = tmp_path / "a.zarr"
    stored = si.simulate(by_row, PRIOR, n=300, store=path, given=GIVEN, seed=3, progress=False)
    alike(stored, si.read_simulations(str(path), progress=False))
    with pytest.raises(ShapeError, match="which holds its parameters"):
        si.read_simulations(path, parameters=["a"])
    training = si.Training(epochs=1)
    posterior = si.fit_posterior(path, training=training, ensemble=1, seed=1, progress=False)
    read = si.read_simulations(path, progress=False)
    other = si.fit_posterior(read, training=training, ensemble=1, seed=1, progress=False)
    y = {"z": np.zeros(4), "w": 1.5, "n": 3, "sd": 1.5}
    xr.testing.assert_equal(posterior.sample(y, 5), other.sample(y, 5))
    posterior.save(tmp_path / "a.sbi")
