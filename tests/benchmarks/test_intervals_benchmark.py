"""The benchmark of intervals: its parts count what they should, and its tables say it."""

import intervals as command
import numpy as np
import pandas as pd
import pytest
from studies import LINE, exact, exact_posterior

import sbi_inn as si


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(command, "TESTS", 600)


@pytest.mark.parametrize("case", ["exact", "width x .7"])
def test_a_planted_posterior_is_compared_before_and_after(case):
    found = command.planted(case, 1)
    assert found["error.after"] < 0.02
    if case == "exact":
        assert found["gain"] == 0
        assert found["said"] == "nothing had to be changed"
    else:
        assert found["error.before"] > 0.08
        assert found["gain"] > 5 * found["noise"]


def test_coverage_of_an_exact_posterior_is_right(monkeypatch, tmp_path):
    table = si.simulate(LINE, n=3, seed=8, n_jobs=1, progress=False)
    y = table.observations()
    mean, covariance = exact(y.vector)
    rng = np.random.default_rng(1)
    reference = mean[:, None] + rng.multivariate_normal(np.zeros(2), covariance, (3, 2_000))
    np.savez(tmp_path / "line.npz", observation=y.vector, reference_posterior=reference)
    posterior = exact_posterior(600, 400)
    monkeypatch.setattr(command, "fitted", lambda *about: posterior)
    monkeypatch.setattr(command, "reference_file", lambda task, folder: folder / f"{task}.npz")
    monkeypatch.setattr(command, "observations", lambda task, rows: y)
    found = command.coverage("line", 600, 1, tmp_path)
    assert found["tests"] == 400
    for what in ("one", "all"):
        assert found[f"{what}.naive"] < 0.03
        assert found[f"{what}.held-out"] < 0.06
        assert found[f"{what}.5,000 tests"] < 0.04


def test_tables():
    about = {"commit": "abc", "date": "2026-11-26", "cores": 2, "threads": 1, "seed": 1}
    found = {"one.naive": 0.1, "all.naive": 0.3}
    rows = pd.DataFrame(
        [
            about | {"part": "coverage", "case": case, "budget": 1_000} | found
            for case in ("sir", "slcp")
        ]
    )
    table = command.table_of_coverage(rows)
    assert table["task"].tolist() == ["sir", "slcp", "**mean of 2**"]
    assert table["all together, naive"].tolist() == ["0.300"] * 3
    mended = {"error.before": 0.1, "error.after": 0.01, "gain": 0.2, "noise": 0.01, "said": "all"}
    rows = pd.DataFrame([about | {"part": "planted", "case": "x"} | mended])
    assert command.table_of_recalibrated(rows)["after"].tolist() == ["1.0 %"]
