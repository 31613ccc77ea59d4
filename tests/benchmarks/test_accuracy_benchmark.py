"""The benchmark of accuracy: jobs and their files, scores of known draws, tables made by hand."""

import json
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import accuracy as command
import environments
import numpy as np
import pandas as pd
import pytest
import records
from accuracy_parts import jobs, report, rows, scores, tasks
from accuracy_parts.jobs import Job, Settings, done, planned, run
from accuracy_parts.settings import read
from peers import exchange
from records import Records, markdown

import sbi_inn as si
from sbi_inn.diagnostics.calibration import ranks

scores_of = scores.score
TASK, DIM, VARIANCE = "gaussian_linear", 10, 0.05  # the posterior is N(y / 2, .05)
DRAWN, TESTS = 400, 300

# A peer that knows the exact posterior.
EXACT = f"""
import sys
sys.path.insert(0, {str(Path(exchange.__file__).parent)!r})
from exchange import run
import numpy as np

class Exact:
    packages = ()
    def __init__(self, job, theta, y):
        self.n, self.rng = len(theta), np.random.default_rng(job["seed"])
        assert job["prior"]["parameters"][0]["distribution"] == "multivariate_normal"
        if self.n == 1:
            raise MemoryError("too few")
        assert np.corrcoef(theta[:, 0], y[:, 0])[0, 1] > 0.5
    def train(self):
        pass
    def sample(self, y, n):
        return y[:, None] / 2 + {VARIANCE} ** 0.5 * self.rng.normal(size=(len(y), n, {DIM}))
    def log_prob(self, theta, y):
        gap = ((theta - y / 2) ** 2).sum(axis=1)
        return -gap / 2 / {VARIANCE} - {DIM} / 2 * np.log(2 * np.pi * {VARIANCE})
    def about(self):
        return {{"method": "exact"}}

run(Exact)
"""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Small settings, a reference to compare with, and a peer that is run by this interpreter."""
    monkeypatch.setattr(environments, "python", lambda name: sys.executable)
    script = tmp_path / "exact.py"
    script.write_text(EXACT)
    return Settings(
        tmp_path / "cache",
        settings=("CINN(blocks=2, hidden=16)", "Training(epochs=2)"),
        reference=reference(tmp_path / "reference"),
        drawn=DRAWN,
        tests=TESTS,
        ranked=20,
        peers={"exact": (script, "none", {})},
        records=Records("accuracy", ("task", "budget", "method"), tmp_path / "out"),
    )


def reference(folder):
    """Write public observations and draws of the exact posteriors, and published results."""
    rng = np.random.default_rng(0)
    (folder / "sbibm").mkdir(parents=True)
    y = rng.normal(0, 0.4, (5, DIM))
    draws = y[:, None] / 2 + np.sqrt(VARIANCE) * rng.normal(size=(5, DRAWN, DIM))
    np.savez(
        folder / "sbibm" / f"{TASK}.npz",
        observation=y,
        true_parameters=draws[:, 0],
        reference_posterior=draws,
    )
    names = [*tasks.TASKS, *tasks.RERUN.values()]
    lines = [
        f"{name},{algorithm},500,{c2st},0.1,10"
        for name in names
        for algorithm, c2st in (("NPE", 0.9 if "rerun" in name else 0.7), ("NLE", 0.1))
    ]
    head = "task,algorithm,num_simulations,c2st_mean,c2st_std,n"
    (folder / "sbibm_published_c2st.csv").write_text("\n".join([head, *lines]))
    return folder


# -- jobs ------------------------------------------------------------------------------------------


def test_jobs_are_planned_for_whom_they_are_for():
    found = planned(["two_moons", "slcp_set"], [10, 20], [1], ["ours", "sbi_nsf"])
    assert [job.name for job in found] == [
        "two_moons-10-1-ours",
        "two_moons-10-1-sbi_nsf",
        "slcp_set-10-1-ours",
        "two_moons-20-1-ours",
        "two_moons-20-1-sbi_nsf",
        "slcp_set-20-1-ours",
    ]


@pytest.mark.slow
def test_a_job_leaves_its_draws_and_results(settings):
    ours, exact = (Job(TASK, 500, 1, method) for method in ("ours", "exact"))
    for job in (ours, exact):
        assert not done(job, settings)
        run(job, settings)
        assert done(job, settings)
    for job in (ours, exact):
        found = json.loads(settings.result_file(job).read_text())
        with np.load(settings.arrays_file(job)) as arrays:
            assert arrays["draws"].shape == (5, DRAWN, DIM)
            assert found["nll_tests"] == pytest.approx(arrays["nll_tests"].mean())
            assert ("ranks" in arrays) == (job is ours)
        assert found["asked"] == settings.asked(job)
        assert found["simulations"] == 500
        assert found["training"]["wall"] > 0
        assert found["memory_mb"] > 10
        assert found["finite"] == 1
        assert found["timed"]
    # Entropy of the exact posterior; 300 tests of 10 parameters are off by .13 by chance.
    entropy = DIM / 2 * np.log(2 * np.pi * np.e * VARIANCE)
    assert abs(found["nll_tests"] - entropy) < 0.5
    kept = json.loads(settings.result_file(ours).read_text())
    assert "2 affine" in kept["about"]["method"] or "blocks=2" in kept["about"]["settings"]
    assert kept["about"]["stopped"] == "finished"
    assert 0 < kept["calibration"]["pooled"] < 0.5
    assert len(kept["calibration"]["per_parameter"]) == DIM
    files = sorted(file.name for file in (settings.out / "simulations").iterdir())
    assert files == [f"{TASK}-500-1.npz"]


def test_what_was_asked_for_differently_is_run_again(settings):
    job, ours = Job(TASK, 200, 1, "exact"), Job(TASK, 200, 1, "ours")
    run(job, settings)
    assert done(job, replace(settings, settings=()))
    assert not done(job, replace(settings, drawn=10))
    assert not done(job, replace(settings, threads=2))
    assert not done(job, replace(settings, peer_calibration=True))
    assert not done(ours, settings)
    run(job, replace(settings, peer_calibration=True))
    assert done(job, settings)
    found = json.loads(settings.result_file(job).read_text())
    # An exact posterior shows a pooled error of about 1.5 % at 300 tests.
    assert found["calibration"]["pooled"] < 0.03
    asked = replace(settings, settings=("Training(epochs=1)",)).asked(ours)
    assert asked != settings.asked(ours)
    assert asked["settings"] == ["Training(epochs=1)"]


def test_running_again_forgets_the_scores_of_other_draws(settings):
    job, longer = Job(TASK, 200, 1, "exact"), Job(TASK, 200, 1, "exact-2")
    for one in (job, longer):
        (settings.scores_folder(one) / "50.json").write_text('{"1": 0.9}')
    run(job, settings)
    assert scores.scored(job, 50, settings) == {}
    assert scores.scored(longer, 50, settings) == {"1": 0.9}


def test_ours_trains_on_the_same_simulations():
    n = 20
    for task in (TASK, "slcp_set"):
        flat = tasks.simulated(task, n, 3)
        found = tasks.table(task, flat["theta"], flat["y"])
        made = si.simulate(task, n=n, seed=3, n_jobs=1, progress=False)
        assert found.dataset.equals(made.dataset)
        assert found.schema == made.schema
        for one, other in zip(parts(found.observations()), parts(made.observations()), strict=True):
            assert np.array_equal(one, other)
        observed = parts(tasks.observations(task, flat["y"]))
        for one, other in zip(observed, parts(made.observations()), strict=True):
            assert np.array_equal(one, other)


def parts(observations):
    sets = observations.sets.values()
    return [observations.vector, *(s.values for s in sets), *(s.sizes for s in sets)]


def test_ranks_are_those_of_the_diagnostics():
    rng = np.random.default_rng(1)
    theta, draws = rng.normal(size=(3, 2)), rng.normal(size=(3, 9, 2))
    draws[:, :4] = theta[:, None]  # ties

    class Given:
        def sample(self, y, n):
            assert n == 9
            return draws

    found = exchange.test_ranks(Given(), theta, np.zeros((3, 1)), {"seed": 5, "ranks": 9})
    assert np.allclose(found, ranks(theta, draws, np.random.default_rng(5)))


# -- scores ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_scores_of_known_draws(settings):
    job = Job(TASK, 500, 1, "exact")
    with np.load(tasks.reference_file(TASK, settings.reference)) as file:
        exact = file["reference_posterior"]
    noise = np.random.default_rng(1).normal(size=exact.shape)
    draws = exact.mean(axis=1, keepdims=True) + np.sqrt(VARIANCE) * noise
    draws[1] += 2  # nine standard deviations away
    draws[2, :300] = np.nan
    np.savez(settings.arrays_file(job), draws=draws)
    assert scores.missing([job], 150, [1, 2], settings) == []
    settings.result_file(job).write_text(json.dumps({"asked": settings.asked(job)}))
    said = []
    arguments = ([job], 150, [1, 2, 3], settings)
    scores.score(*arguments, at_once=1, say=lambda *found: said.append(found))
    found = scores.scored(job, 150, settings)
    # 300 labels: the accuracy is off by .03 by chance, and 10 dimensions are much for a classifier.
    assert abs(found["1"] - 0.5) < 0.1
    assert found["2"] > 0.99
    assert abs(found["3"] - 0.5) < 0.15
    assert sorted((j.name, o, v) for j, o, v in said) == [
        (job.name, int(o), v) for o, v in found.items()
    ]
    assert scores.missing(*arguments) == []
    assert scores.missing([job], 150, [4], settings) == [(job, 4)]
    assert scores.missing([job], 100, [1], settings) == [(job, 1)]


def test_draws_that_are_not_finite_lose():
    assert scores.compared(np.zeros((50, 2)), np.full((50, 2), np.nan), 50, 1) == 1.0


# -- tables ----------------------------------------------------------------------------------------

OTHER = "two_moons"
HAND = [  # task, seed, method, scores of two observations, seconds, NLL, calibration
    (TASK, 1, "ours", (0.6, 0.7), 10, -1.0, 0.01),
    (TASK, 2, "ours", (0.5, 0.5), 12, -2.0, 0.02),
    (TASK, 3, "ours", (0.5, 0.6), 30, -3.0, 0.03),
    (TASK, 1, "exact", (0.5, 0.53), 100, -4.0, None),
    (OTHER, 1, "ours", (0.51, 0.518), 4, 1.0, 0.04),
    (OTHER, 1, "exact", (0.51, 0.512), 8, 0.0, None),
    ("slcp_set", 1, "ours", (0.9, 0.9), 5, 1.0, 0.01),
]


@pytest.fixture
def by_hand(settings):
    listed = []
    for task, seed, method, values, seconds, nll, calibration in HAND:
        job = Job(task, 500, seed, method)
        listed.append(job)
        result = {
            "training": {"wall": seconds, "cpu": seconds / 2},
            "nll_tests": nll,
            "timed": True,
            "asked": {"threads": 1},
        }
        if calibration is not None:
            result["calibration"] = {"pooled": calibration}
        settings.result_file(job).write_text(json.dumps(result))
        kept = {"1": values[0], "2": values[1]}
        (settings.scores_folder(job) / "100.json").write_text(json.dumps(kept))
    rows.collect(listed, settings)
    listed.append(Job("sir", 500, 1, "ours"))  # not run yet
    return listed, settings


def found_by_hand(by_hand, observations=(1, 2)):
    listed, settings = by_hand
    line = tasks.published(settings.reference)
    return report.rows(settings.records.read(), listed, 100, observations, line)


def test_published_results():
    line = tasks.published(Path(tasks.REFERENCE))
    assert line[TASK, 1_000] == pytest.approx(0.695, abs=5e-4)
    assert line["gaussian_mixture", 10_000] == pytest.approx(0.615, abs=5e-4)
    assert line["slcp_set", 100_000] == line["slcp", 100_000] == pytest.approx(0.832, abs=5e-4)
    means = [np.mean([line[t, n] for t in tasks.TASKS]) for n in (10_000, 100_000)]
    assert means == pytest.approx([0.732, 0.653], abs=1e-3)


def test_the_table_of_results_made_by_hand(by_hand):
    table = report.shown(found_by_hand(by_hand), 500, "ours").set_index("task")
    assert list(table.index) == [TASK, OTHER, "slcp_set", "mean of 2"]
    assert table.loc[TASK].to_dict() == {
        "published": "0.700",
        "ours": "0.550",
        "exact": "0.515",
        "ours [s]": "12.0",
        "exact [s]": "100.0",
        "ours / exact": "0.12",
        "calibration ours": "2.00%",
        "NLL ours": "-2.000",
        "NLL exact": "-4.000",
    }
    assert table.loc["slcp_set", ["published", "ours", "exact"]].to_list() == [
        "0.700",
        "0.900",
        "-",
    ]
    mean = table.loc["mean of 2", ["published", "ours", "exact", "ours [s]", "calibration ours"]]
    assert mean.to_list() == ["0.700", "0.532", "0.513", "8.0", "3.00%"]


def test_wins_are_counted(by_hand):
    found = found_by_hand(by_hand)
    published, exact = report.wins(found, 500, "ours")
    assert published == (
        "ours against published: won 2 of 2, mean -0.168, worst -0.150 (gaussian_linear)"
    )
    # The second task is lost by .003, but at .515 there is nothing left to gain.
    assert exact == "ours against exact: won 1 of 2, mean +0.019, worst +0.035 (gaussian_linear)"
    assert report.wins(found, 500, "other") == []


def test_a_mean_needs_all_observations(by_hand):
    found = found_by_hand(by_hand, (1, 2, 3))
    assert found.c2st.isna().all()
    table = report.shown(found, 500, "ours")
    assert "mean" not in " ".join(table.task)
    assert table.ours.to_list() == ["-", "-", "-"]


def test_time_of_the_processor_where_something_ran_beside(by_hand):
    listed, settings = by_hand
    assert report.remarks(found_by_hand(by_hand)) == []
    file = settings.result_file(listed[0])
    file.write_text(json.dumps(json.loads(file.read_text()) | {"timed": False}))
    rows.collect(listed[:1], settings)
    found = found_by_hand(by_hand)
    assert found.training.to_list() == [seconds / 2 for _, _, _, _, seconds, _, _ in HAND]
    (beside,) = report.remarks(found)
    assert beside.startswith("Something else ran beside 1 of 7 jobs")


def test_a_row_stays_valid_without_the_cache(settings):
    job = Job(TASK, 200, 1, "exact")
    settings.result_file(job).write_text(
        json.dumps({"asked": settings.asked(job), "nll_tests": 1.5, "commit": "abc", "cores": 3})
    )
    (settings.scores_folder(job) / "50.json").write_text('{"2": 0.9, "1": 0.8}')
    rows.collect([job], settings)
    assert done(job, settings)
    shutil.rmtree(settings.out)
    assert done(job, settings)
    assert not done(job, replace(settings, drawn=10))
    assert scores.scored(job, 50, settings) == {"1": 0.8, "2": 0.9}
    assert scores.missing([job], 50, [1, 2, 3], settings) == [(job, 3)]
    row = jobs.kept_row(job, settings)
    kept = {name: row[name] for name in ("commit", "cores", "nll_tests", "seed", "asked.draws")}
    assert kept == {"commit": "abc", "cores": 3, "nll_tests": 1.5, "seed": 1, "asked.draws": DRAWN}


def test_markdown():
    table = pd.DataFrame({"task": ["a", "b"], "ours": ["1", "-"]})
    assert markdown(table) == "| task | ours |\n| --- | --- |\n| a | 1 |\n| b | - |"


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["CINN(", "CINN(8)", "open(name='x')", "CINN(blocks=f())", "CINN", "CINN(**{})"]
)
def test_settings_are_constants_only(text):
    with pytest.raises(ValueError, match="expected"):
        read([text])


def test_settings_are_read():
    chosen = read(["CINN(blocks=4)", "Training(epochs=2, early_stopping=False)"])
    assert chosen == {
        "method": si.CINN(blocks=4),
        "training": si.Training(epochs=2, early_stopping=False),
    }
    assert read([]) == {}


def call(monkeypatch, settings, *more):
    """Run the command on one small task."""
    monkeypatch.setattr(jobs, "PEERS", settings.peers)
    monkeypatch.setattr(command, "PEERS", settings.peers)
    monkeypatch.setattr(
        command, "Settings", lambda out, given, **kwds: replace(settings, out=out, settings=given)
    )
    # Starting processes takes longer than so few scores.
    monkeypatch.setattr(command.scores, "score", partial(scores_of, at_once=1))
    monkeypatch.setattr(command, "planned", lambda *a: planned(*a, peers=settings.peers))
    where = ["--cache", str(settings.out), "--reference", str(settings.reference)]
    small = ["--tasks", TASK, "--seeds", "1", "--draws", "100", "--observations", "1", "2"]
    monkeypatch.setattr("sys.argv", ["accuracy.py", *where, *small, *more])
    command.main()


def test_the_command_runs_what_is_missing_and_no_more(settings, monkeypatch, capsys):
    arguments = ["--budgets", "500", "--peers", "exact", "--no-ours"]
    call(monkeypatch, settings, *arguments)
    said = capsys.readouterr().out
    assert f"{TASK}-500-1-exact ..." in said
    assert "observation 2: C2ST 0." in said
    call(monkeypatch, settings, *arguments)
    said = capsys.readouterr().out
    assert "..." not in said
    assert "observation 2" not in said
    assert "### 500 simulations, C2ST on 100 draws at public observations 1, 2" in said
    assert "| gaussian_linear | 0.700 |" in said
    (row,) = settings.records.read().to_dict("records")
    assert abs(row["c2st.100.1"] - 0.5) < 0.2
    assert row["about.method"] == "exact"
    assert row["date"] == records.today()


@pytest.mark.slow
def test_results_and_scores_stay_valid_without_their_draws(settings, monkeypatch, capsys):
    arguments = ["--budgets", "200", "--peers", "exact", "--no-ours"]
    call(monkeypatch, settings, *arguments)
    settings.arrays_file(Job(TASK, 200, 1, "exact")).unlink()
    capsys.readouterr()
    call(monkeypatch, settings, *arguments)
    assert "..." not in capsys.readouterr().out
    call(monkeypatch, settings, *arguments, "--draws", "90")  # no score of these
    said = capsys.readouterr().out
    assert f"{TASK}-200-1-exact ..." in said
    assert "observation 1: C2ST 0." in said


def test_a_job_that_fails_is_named_and_the_others_run(settings, monkeypatch, capsys):
    arguments = ["--budgets", "1", "200", "--peers", "exact", "--no-ours"]
    with pytest.raises(SystemExit, match=f"failed: {TASK}-1-1-exact; see .*logs"):
        call(monkeypatch, settings, *arguments)
    assert "### 200 simulations" in capsys.readouterr().out
    assert "too few" in (settings.out / "logs" / f"{TASK}-1-1-exact.log").read_text()


def test_the_command_refuses_what_it_cannot_do(settings, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        call(monkeypatch, settings, "--settings", "CINN(blocks=-1)")
    assert "must be positive" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        call(monkeypatch, settings, "--label", "exact")
    assert "exact is a peer" in capsys.readouterr().err
    call(monkeypatch, settings, "--table")
    assert capsys.readouterr().out == "no results yet\n"
