"""Programs as simulators: what is written, what is read, and what goes wrong."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.simulation.identity import identity

PRIOR = si.Prior(a=st.norm(), x=st.multivariate_normal(np.zeros(2)))

SCRIPT = """#!{python}
import json, os, subprocess, sys, time
given = json.load(open("in.json"))
print("reads", file=sys.stdout)
if given["a"] > 1:
    print("a is too large", file=sys.stderr)
    sys.exit(3)
if given["a"] < -1:
    child = subprocess.Popen(["sleep", "1000"])
    open(os.path.join(sys.argv[3], str(child.pid)), "w").close()
    time.sleep(1000)
if given["nested"]["x"][1] > 1.5:
    sys.exit(0)
with open("out.txt", "w") as out:
    out.write("rubbish" if given["nested"]["x"][1] < -1.5 else f"{{given['a']}} {{sys.argv[2]}}")
"""

TEMPLATE = '{"a": {a}, "nested": {"x": [{x[0]:.3f}, {x[1]}]}}'


@pytest.fixture
def blade(tmp_path, monkeypatch):
    script = tmp_path / "blade"
    script.write_text(SCRIPT.format(python=sys.executable))
    script.chmod(0o755)
    (tmp_path / "children").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(here):
    return dict(zip("ys", np.loadtxt(here / "out.txt"), strict=True))


def make(folder, **settings):
    command = f"./blade --seed {{seed}} '{folder}/children'"
    return si.program(command, files={"in.json": TEMPLATE}, read=read, **settings)


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


@pytest.mark.slow
def test_a_program_is_a_simulator(blade):
    simulator = make(blade, timeout=1.5, keep="failed")
    table = si.simulate(simulator, PRIOR, n=15, seed=1, n_jobs=1, progress=False)
    data, failures = table.dataset, table.failures
    a, x = data["a"].values, data["x"].values[:, 1]
    expected = np.select([a > 1, a < -1, np.abs(x) > 1.5], ["failed", "timeout", "failed"], "ok")
    np.testing.assert_array_equal(data["status"], expected, str(failures["error"].tolist()))
    assert {"failed", "timeout", "ok"} == set(expected)
    np.testing.assert_array_equal(data["y"].values[table.ok], a[table.ok])
    assert len(np.unique(data["s"].values[table.ok])) == len(table.ok)
    errors = dict(zip(failures["simulation"], failures["error"], strict=True))
    for row, error in errors.items():
        if a[row] > 1:
            assert error == "RuntimeError: blade exited with 3. It said: a is too large"
        elif a[row] < -1:
            assert error == "OutOfTime: blade took longer than timeout=1.5 s"
        elif x[row] > 1.5:
            assert "read= raised FileNotFoundError" in error
            assert "files that are not empty: in.json, stdout.txt" in error
        else:
            assert "read= raised ValueError" in error
    assert len(list((blade / "failed").iterdir())) >= len(failures)
    time.sleep(0.1)
    assert all(gone(int(child.name)) for child in (blade / "children").iterdir())


def test_retries_are_tries_of_a_run(tmp_path):
    tries = tmp_path / "tries"

    def third_time(here):
        if tries.stat().st_size < 3:
            raise ValueError
        return float((here / "stdout.txt").read_text())

    command = [sys.executable, "-c", f"open('{tries}', 'a').write('.'); print({{a}})"]
    assert si.program(command, read=third_time, retries=2)(a=0.1) == 0.1
    assert tries.stat().st_size == 3
    tries.unlink()
    with pytest.raises(RuntimeError, match="read= raised ValueError"):
        si.program(command, read=third_time, retries=1)(a=0.1)


def test_a_program_is_known_by_what_it_runs(blade):
    assert identity(make(blade)) == identity(make(blade))
    assert identity(make(blade))["source"] is not None
    before = identity(make(blade))
    with open("blade", "a") as script:
        script.write("# another version")
    assert identity(make(blade)) != before


@pytest.mark.parametrize(
    ("command", "settings", "message"),
    [
        ("./no_such_program {a}", {}, "./no_such_program: there is no such program"),
        ("no_such_program", {}, "looked in PATH"),
        ("", {}, "expected a command"),
        ("ls", {"timeout": 0}, "timeout is a number of seconds above 0"),
        ("ls", {"retries": -1}, "retries is a whole number"),
        ("ls", {"read": "out.txt"}, "read= takes a folder"),
        ("ls", {"files": {"../in.txt": ""}}, "in the folder of a run; got '../in.txt'"),
    ],
)
def test_programs_that_cannot_be(command, settings, message):
    with pytest.raises(si.SimulationError, match=message):
        si.program(command, **{"read": lambda here: 1.0} | settings)


def test_a_name_that_is_none():
    program = si.program("echo {mass}", read=lambda here: 1.0)
    with pytest.raises(si.SimulationError, match="'mass' is not a parameter or given"):
        si.simulate(program, PRIOR, n=5, progress=False)
