"""Runs that go well: the same table however it is computed."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import scipy.stats as st
import xarray as xr

from sbi_inn.prior import Prior
from sbi_inn.simulation import pool, tasks
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import resimulate_rows, run, simulate
from sbi_inn.simulation.seeds import Seeds, Stream
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.simulation.simulator import simulator

PRIOR = Prior(a=st.norm(0, 1), b=st.uniform(1, 2))
GIVEN = {"n": st.zipfian(1, 9), "sd": st.uniform(1, 1), "k": 4}


def by_row(a, b, sd, k, rng):
    if a > 1.5:
        raise ValueError("too large")
    return {"z": rng.normal(a, sd, k), "w": np.nan if b > 2.8 else b}


@simulator(sets={"n": ["x", "t"]})
def row_set(a, b, n, rng):
    return {"x": rng.normal(a, b, n), "t": rng.normal(size=(n, 2)), "y": a}


@simulator(batched=True, sets={"n": ["x", "t"]})
def batch_set(a, b, n, rng):
    shape = (len(a), n.max() + 1)
    return {"x": rng.normal(size=shape), "t": rng.normal(size=(*shape, 2)), "y": a}


@simulator(batched=True)
def batch(a, b, rng):
    if (a > 1.5).any():
        raise ValueError("too large")
    return {"z": a + rng.normal(size=len(a)), "w": np.where(b > 2.8, np.inf, b)}


SIMULATORS = {
    "by row": by_row,
    "row set": row_set,
    "batch": batch,
    "batch set": batch_set,
    "seed": lambda a, seed: {"y": a, "s": seed},
    "vector": lambda theta, rng: theta + rng.normal(size=2),
}
parametrize = pytest.mark.parametrize("function", SIMULATORS.values(), ids=list(SIMULATORS))


def table(function, n, *, jobs=1, seed=3):
    return simulate(
        function, PRIOR, n=n, given=GIVEN, n_jobs=jobs, seed=seed, progress=False
    ).dataset


@parametrize
def test_a_longer_run_begins_with_the_shorter_one(function):
    short, long = table(function, 300), table(function, 700).isel(simulation=slice(300))
    if "n_entry" in short.sizes:
        long = long.isel(n_entry=slice(short.sizes["n_entry"]))
    xr.testing.assert_equal(short, long)
    assert not short.equals(table(function, 300, seed=4))


@pytest.mark.slow
@parametrize
def test_workers_and_tasks_change_nothing(function, monkeypatch):
    alone = simulate(function, PRIOR, n=600, given=GIVEN, n_jobs=1, seed=3, progress=False)
    monkeypatch.setattr(pool, "WORTH_IT", 0.0)
    monkeypatch.setattr(tasks, "LARGEST", 37)
    monkeypatch.setattr(tasks, "TASK", 1e9)
    many = simulate(function, PRIOR, n=600, given=GIVEN, n_jobs=2, seed=3, progress=False)
    xr.testing.assert_equal(alone.dataset, many.dataset)
    assert alone.schema == many.schema
    assert alone.failures.drop(columns="traceback").equals(many.failures.drop(columns="traceback"))


def test_processes_change_nothing_and_never_load_torch(monkeypatch):
    scale = 2.0

    def closure(a, rng):
        return {"y": scale * a + rng.normal(), "torch": "torch" in sys.modules}

    alone = simulate(closure, PRIOR, n=300, n_jobs=1, seed=3, progress=False).dataset
    monkeypatch.setattr(pool, "WORTH_IT", 0.0)
    many = simulate(closure, PRIOR, n=300, n_jobs=2, seed=3, progress=False).dataset
    xr.testing.assert_equal(alone["y"], many["y"])
    assert not many["torch"].any()


def test_what_cannot_be_sent_to_workers_is_said(monkeypatch):
    lock = threading.Lock()
    monkeypatch.setattr(pool, "WORTH_IT", 0.0)

    def closure(a):
        return a + lock.locked()

    with pytest.raises(SimulationError, match="n_jobs=1 simulates in this process") as caught:
        simulate(closure, PRIOR, n=300, n_jobs=2, progress=False)
    assert len(caught.value.simulations) == 0


def test_the_table():
    problem = Problem(by_row, PRIOR, given=GIVEN, labels={"a": "first"}, units={"a": "m", "z": "s"})
    simulations = simulate(problem, n=400, seed=5, n_jobs=1, progress=False)
    data = simulations.dataset
    assert data["z"].dims == ("simulation", "z_dim")
    assert data["z"].shape == (400, 4)
    assert all(data[name].dtype == np.float64 for name in ("a", "b", "z", "w", "sd"))
    assert data["n"].dtype == data["k"].dtype == np.int64
    assert data["a"].attrs == {"label": "first", "units": "m"}
    assert data["z"].attrs == {"label": "z", "units": "s"}
    assert data.attrs["seed"] == 5
    assert 0 < data.attrs["seconds_per_simulation"] < 0.1
    failed, invalid = data["a"].values > 1.5, data["b"].values > 2.8
    expected = np.where(failed, "failed", np.where(invalid, "invalid", "ok"))
    assert np.array_equal(data["status"].values, expected)
    assert set(expected) == {"ok", "failed", "invalid"}
    assert np.isnan(data["z"].values[failed]).all()
    assert np.isfinite(data["z"].values[~failed]).all()


def test_failures_can_be_repeated():
    failures = simulate(
        by_row, PRIOR, n=400, given=GIVEN, seed=5, n_jobs=1, progress=False
    ).failures
    first = failures[failures["status"] == "failed"].iloc[0]
    assert first["error"] == "ValueError: too large"
    assert "in by_row" in first["traceback"]
    assert "blocks.py" not in first["traceback"]


def test_a_failed_row_can_be_run_alone():
    def noisy(a, rng):
        draw = rng.normal()
        if a > 1:
            raise ValueError(str(draw))
        return draw

    def noisy_batch(a, rng):
        draws = rng.normal(size=len(a))
        if (a > 1).any():
            raise ValueError(str(draws[0]))
        return draws

    for function in (noisy, simulator(noisy_batch, batched=True)):
        failures = simulate(function, PRIOR, n=300, seed=5, n_jobs=1, progress=False).failures
        row = failures.iloc[-1]
        again = np.random.default_rng(row["seed"]).normal()
        assert row["error"] == f"ValueError: {again}"


def test_the_schema_of_a_set():
    simulations = simulate(row_set, PRIOR, n=400, given=GIVEN, seed=5, n_jobs=1, progress=False)
    schema, data = simulations.schema, simulations.dataset
    assert schema.observables == {"x": (), "t": (2,), "y": ()}
    assert schema.sets == {"n": ("x", "t")}
    assert schema.givens == ("sd",)
    assert schema.constants == {"k": 4.0}
    assert schema.trained["n"] == (1.0, 9.0)
    assert schema.trained["sd"] == (1.0, 2.0)
    assert data["t"].dims == ("simulation", "n_entry", "t_dim")
    entries = np.arange(9) < data["n"].values[:, None]
    assert np.array_equal(np.isfinite(data["x"].values), entries)
    padded = simulations.observations().sets["n"]
    assert np.array_equal(padded.values[..., 0], np.nan_to_num(data["x"].values))


def test_a_set_of_constant_length():
    simulations = simulate(row_set, PRIOR, n=50, given={"n": 6}, seed=1, n_jobs=1, progress=False)
    assert simulations.schema.constants == {"n": 6.0}
    assert simulations.schema.trained == {"n": (6.0, 6.0)}
    assert simulations.observations().sets["n"].values.shape == (50, 6, 3)


@pytest.mark.parametrize(
    ("output", "shapes"),
    [
        (lambda a: a, {"y": ()}),
        (lambda a: [a, 1], {"y": (2,)}),
        (lambda a: {"p": True, "q": np.float32(a)}, {"p": (), "q": ()}),
        (lambda a: xr.Dataset({"d": ("x", np.full(3, a))}), {"d": (3,)}),
        (lambda a: xr.DataArray(np.full((2, 2), a)), {"y": (2, 2)}),
    ],
)
def test_outputs_of_many_kinds(output, shapes):
    simulations = simulate(output, PRIOR, n=20, seed=1, n_jobs=1, progress=False)
    assert simulations.schema.observables == shapes
    assert len(simulations.ok) == 20


def test_a_seed_is_drawn_and_recorded():
    one = simulate(by_row, PRIOR, n=20, given=GIVEN, n_jobs=1, progress=False).dataset
    two = simulate(by_row, PRIOR, n=20, given=GIVEN, n_jobs=1, progress=False).dataset
    assert not one.equals(two)
    xr.testing.assert_equal(one, table(by_row, 20, seed=one.attrs["seed"]))


def test_streams_of_one_seed_are_independent():
    problem = Problem(by_row, PRIOR, given=GIVEN)
    kept = dict(n=20, n_jobs=1, seed=1, progress=False)
    one, two = run(problem, **kept), run(problem, **kept, stream=Stream.TEST_SIMULATIONS)
    assert not np.isin(one.dataset["a"].values, two.dataset["a"].values).any()


def test_seeds_differ_between_rows_and_purposes():
    seeds = Seeds(seed=1)
    rows = seeds.rows(0, 1000)
    assert len(set(rows)) == 1000
    assert rows[300:700] == seeds.rows(300, 700)
    assert seeds.batch(0) not in rows
    assert max(rows) < 2**63


def test_discrete_givens_follow_their_distribution():
    n = (
        simulate(
            lambda a, n: a,
            PRIOR,
            n=20_000,
            given={"n": st.binom(5, 0.3)},
            seed=1,
            n_jobs=1,
            progress=False,
        )
        .dataset["n"]
        .values
    )
    counts = np.bincount(n, minlength=6)
    assert st.chisquare(counts, 20_000 * st.binom(5, 0.3).pmf(np.arange(6))).pvalue > 1e-3
    wide = (
        simulate(
            lambda a, n: a,
            PRIOR,
            n=5_000,
            given={"n": st.poisson(4)},
            seed=1,
            n_jobs=1,
            progress=False,
        )
        .dataset["n"]
        .values
    )
    assert abs(wide.mean() - 4) < 4 * 2 / np.sqrt(5_000)


class TestResimulation:
    """resimulate_rows: stated parameters and givens."""

    def test_rows_and_batches(self):
        parameters = {"a": np.linspace(0, 2, 9), "b": np.full(9, 1.5)}
        for function in (by_row, batch):
            problem = Problem(function, PRIOR, given=GIVEN)
            values, ok = resimulate_rows(problem, parameters, {"n": 3, "sd": 0.1}, seed=1)
            assert np.array_equal(ok, parameters["a"] <= 1.5)
            assert np.isnan(values["z"][~ok]).all()
            assert np.array_equal(values["w"][ok], parameters["b"][ok])

    @pytest.mark.parametrize("function", [row_set, batch_set])
    def test_sets_take_their_lengths_from_givens(self, function):
        lengths = np.array([2.0, 5.0, 1.0])
        problem = Problem(function, PRIOR, given=GIVEN)
        values, ok = resimulate_rows(
            problem, {"a": np.zeros(3), "b": np.ones(3)}, {"n": lengths, "sd": 1}, seed=1
        )
        assert ok.all()
        assert values["x"].shape == (3, 5)
        assert np.array_equal(np.isfinite(values["x"]).sum(axis=1), lengths)

    def test_seed_and_cores(self, monkeypatch):
        problem = Problem(SIMULATORS["vector"], PRIOR)
        parameters = {"a": np.zeros(100), "b": np.ones(100)}
        one, _ = resimulate_rows(problem, parameters, seed=1)
        other, _ = resimulate_rows(problem, parameters, seed=2)
        monkeypatch.setattr(pool, "WORTH_IT", 0.0)
        many, _ = resimulate_rows(problem, parameters, seed=1, n_jobs=2)
        assert np.array_equal(one["y"], many["y"])
        assert not np.array_equal(one["y"], other["y"])
        assert len(np.unique(one["y"])) == 200

    def test_bad_input(self):
        problem = Problem(by_row, PRIOR, given=GIVEN)
        with pytest.raises(SimulationError, match="b, n, sd missing"):
            resimulate_rows(problem, {"a": np.zeros(3)}, seed=1)
        with pytest.raises(SimulationError, match="all 3 simulations failed: 3 raised"):
            resimulate_rows(
                problem, {"a": np.full(3, 9.0), "b": np.ones(3)}, {"n": 1, "sd": 1}, seed=1
            )
        with pytest.raises(SimulationError, match="simulation 0: expected numbers; got None"):
            resimulate_rows(Problem(lambda a: None, PRIOR), {"a": [0.0], "b": [1.0]}, seed=1)


NOTEBOOK = """
import cloudpickle, pickle
import scipy.stats as st
import sbi_inn as si
from sbi_inn.simulation import pool, tasks

def simulator(a, rng):
    return {"y": a + rng.normal(), "names": len(si.__all__)}

if __name__ == "__main__":
    pool.WORTH_IT = 0.0
    prior = si.Prior(a=st.norm())
    table = si.simulate(simulator, prior, n=200, n_jobs=2, seed=1, progress=False)
    assert pickle.loads(cloudpickle.dumps(si)) is si
    assert pickle.loads(cloudpickle.dumps(lambda: si.Prior))() is si.Prior
    print(len(table.ok), table.dataset["names"].values.min() == len(si.__all__))
"""


@pytest.mark.slow
def test_a_function_of_a_notebook_that_mentions_si_reaches_the_workers(tmp_path):
    script = tmp_path / "notebook.py"
    script.write_text(NOTEBOOK)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["200", "True"], done.stderr
