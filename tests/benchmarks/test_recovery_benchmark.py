"""The benchmarks of recovery: what they measure, and one small run of each."""

import argparse
import sys
from dataclasses import replace
from functools import partial

import curves
import levy_flight
import numpy as np
import pytest
import recovery
import ricker
import sir_stochastic
from scipy.stats import norm

import sbi_inn as si

LENGTHS = ("1,000 trials", "100 trials")
STUDIES = [ricker.STUDY, sir_stochastic.STUDY, levy_flight.STUDY]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.problem)
def test_published_figures_stand_beside_the_parameters(study):
    names = set(si.get(study.problem).prior.names)
    for length in study.lengths.values():
        assert set(length.r2) == names
        assert set(length.given) <= set(si.get(study.problem).given)


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """Simulate and train here: processes take longer to start than so little takes."""
    for name in ("simulate", "fit_posterior"):
        monkeypatch.setattr(si, name, partial(getattr(si, name), n_jobs=1))


def options(tmp_path, *simulations, steps=4):
    return argparse.Namespace(
        simulations=simulations, tests=30, steps=steps, batch=32, seconds=None, seed=1, out=tmp_path
    )


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.problem)
def test_one_small_run(study, tmp_path):
    fewest = {"n1": 50, "n2": 50}  # trials; many of them take long to simulate
    lengths = {
        name: replace(length, given=fewest if "n1" in length.given else length.given)
        for name, length in study.lengths.items()
    }
    study = replace(study, lengths=lengths)
    table, _ = recovery.simulated(study.problem, 120, 1)
    recovery.run(study, table, options(tmp_path, 120))
    rows = replace(recovery.RECORDS, folder=tmp_path).read()
    ours, exact = (rows[(rows["network"] == recovery.EXACT) == known] for known in (False, True))
    assert len(ours) == sum(len(length.r2) for length in study.lengths.values())
    assert (ours["simulations"] == 120).all()
    assert len(exact) == (0 if study.exact is None else len(ours))
    assert exact["R2"].between(0, 1).all()
    said = recovery.tables(study, rows)
    for name, length in study.lengths.items():
        assert f"| {name} | steps | training | {' | '.join(length.r2)} |" in said


def test_fits_of_several_commands_stand_in_one_file(tmp_path):
    table, _ = recovery.simulated("ricker", 150, 1)
    for n, steps in ((150, 4), (120, 4), (150, 8)):
        recovery.run(ricker.STUDY, table, options(tmp_path, n, steps=steps))
    rows = replace(recovery.RECORDS, folder=tmp_path).read()
    steps = rows.groupby("simulations")["steps"].unique()
    assert list(steps.index) == [120, 150]
    assert steps[150] > steps[120]


def test_curves_draw_what_was_found(tmp_path, monkeypatch):
    found = {length: {"R2": dict.fromkeys(levy_flight.NAMES, 0.5)} for length in LENGTHS}
    records = replace(recovery.RECORDS, folder=tmp_path)
    for n in (100, 1_000):
        rows = recovery.rows(levy_flight.STUDY, found, simulations=n, network="ours")
        records.add(rows, seed=1, threads=1)
    figure = tmp_path / "curves.png"
    arguments = ["curves.py", "--out", str(tmp_path), "--figure", str(figure)]
    monkeypatch.setattr(sys, "argv", arguments)
    curves.main()
    assert figure.stat().st_size > 10_000


def test_r2_and_calibration_error_of_a_posterior_that_is_known():
    """Of y ~ N(mu, 1), mu ~ N(0, 1), the posterior is N(y / 2, 1 / 2): half is explained."""
    prior = si.Prior(mu=norm(0, 1))
    tests = si.simulate(
        lambda mu, rng: {"y": mu + rng.normal()}, prior, n=4_000, seed=3, progress=False
    )

    class Exact:
        core = property(lambda self: self)

        def draw(self, observations, n, rng):
            middle = observations.vector[:, :1, None] / 2
            return middle + rng.normal(0, 0.5**0.5, (len(observations), n, 1))

    found = recovery.measured(Exact(), tests, seed=1)
    assert found["R2"]["mu"] == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(4_000) + 0.01)
    assert found["calibration error"]["mu"] < 0.02


def test_a_schedule_is_the_usual_one_unless_it_is_bounded():
    usual = si.CINN().schedule(si.Training(), 8_000)
    assert recovery.schedule(10_000) == si.Training(
        batch_size=usual.batch_size, epochs=usual.epochs
    )
    few = recovery.schedule(10_000, 100, 64)
    assert few.batch_size == 64
    assert few.epochs * 8_000 / 64 == pytest.approx(100, rel=0.3)


def test_a_schedule_of_so_many_seconds_takes_them_whole():
    whole = recovery.schedule(10_000, seconds=30.0)
    assert whole.max_seconds == 30
    assert not whole.early_stopping
    assert whole.batch_size == recovery.schedule(10_000).batch_size
