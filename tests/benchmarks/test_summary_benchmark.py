"""The benchmark of summary networks: its exact posteriors, and one small run."""

import numpy as np
import pytest
import summary_networks
from summary_parts import tasks


@pytest.mark.parametrize("kind", [tasks.Autoregression, tasks.Change, tasks.Blob])
def test_what_is_exact_is_gained_on_average(kind):
    task = kind(20, 1)
    gain = task.gain(np.arange(20))
    assert gain.mean() > 1  # information cannot be negative on average


def test_the_likelihood_of_a_change_is_that_of_its_mean():
    task, u = tasks.Change(5, 1), np.random.default_rng(0).random((50, 2))
    x = task.seen(3)
    mean = task.mean(u, np.array([len(x)]))[:, : len(x)]
    slowly = -((x - mean) ** 2).sum(axis=1) / 2
    assert np.ptp(task.log_likelihood(u, 3) - slowly) < 1e-9


def test_a_finer_grid_by_factors_gives_the_same_posterior(monkeypatch):
    task = tasks.Oscillation(4, 1)
    monkeypatch.setattr(tasks, "GRID", 15)
    fine = task.gain(np.arange(4))
    monkeypatch.setattr(tasks, "EDGES", (np.arange(60) + 0.5) / 60)
    assert tasks.Gridded.gain(task, np.arange(4)) == pytest.approx(fine)


def test_the_evidence_of_edges_is_an_integral():
    task, rng = tasks.Edges(3, 1), np.random.default_rng(0)
    draws = np.stack([rng.random(400_000) - 1, rng.random(400_000) + 0.1])
    for row in range(3):
        x, n = task.x[row, :3], 3
        task.sizes[row] = n
        low, high = draws
        inside = (low < x.min()) & (high > x.max())
        weights = np.where(inside, (high - low) ** -float(n), 0.0)
        truth = (task.u[row, 1] + 0.1 - task.u[row, 0] + 1) ** -float(n)
        error = 4 * weights.std() / weights.mean() / len(weights) ** 0.5
        expected = np.log(truth / weights.mean())
        assert task.gain([row])[0] == pytest.approx(expected, abs=error)


def test_one_small_run(monkeypatch):
    few = {"mean": summary_networks.SETS["mean"]}
    monkeypatch.setitem(summary_networks.SECTIONS, "sets", (few, (tasks.Sample,)))
    table = summary_networks.section("sets", 0.05, 300)
    assert np.isfinite(table["excess"]).all()
    assert (table["steps"] >= 1).all()
