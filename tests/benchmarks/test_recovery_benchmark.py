"""The benchmarks of recovery: what they measure, and one small run of each."""

import argparse
import json
import sys

import curves
import levy_flight
import numpy as np
import pytest
import recovery
import ricker
import sir_stochastic
from scipy.stats import norm

import sbi_inn as si

STUDIES = [ricker.STUDY, sir_stochastic.STUDY, levy_flight.STUDY]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.problem)
def test_published_figures_stand_beside_the_parameters(study):
    names = set(si.get(study.problem).prior.names)
    for length in study.lengths.values():
        assert set(length.r2) == names
        assert set(length.least) <= names | {"mean"}
        assert set(length.given) <= set(si.get(study.problem).given)


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.problem)
def test_one_small_run(study, tmp_path, capsys):
    json_file = tmp_path / "found.json"
    options = argparse.Namespace(
        simulations=[150, 120], tests=60, steps=4, batch=32, seconds=None, seed=1, json=json_file
    )
    table, _ = recovery.simulated(study.problem, 150, 1)
    found = recovery.run(study, table, options)
    assert [fit["simulations"] for fit in found["fits"]] == [120, 150]
    assert json.loads(json_file.read_text()) == found
    said = capsys.readouterr().out
    for name, length in study.lengths.items():
        assert name in said
        for parameter in length.r2:
            assert f"{parameter} " in said
    if study.exact is not None:
        for each in found["exact"].values():
            assert all(0 < r2 <= 1 for r2 in each.values())


def test_fits_of_several_commands_stand_in_one_file(tmp_path):
    file = tmp_path / "found.json"
    assert recovery.earlier_fits(None) == recovery.earlier_fits(file) == []
    table, _ = recovery.simulated("ricker", 150, 1)
    for n, steps in ((150, 4), (120, 4), (150, 8)):
        options = argparse.Namespace(
            simulations=[n], tests=60, steps=steps, batch=32, seconds=None, seed=1, json=file
        )
        recovery.run(ricker.STUDY, table, options)
    fits = recovery.earlier_fits(file)
    assert [fit["simulations"] for fit in fits] == [120, 150]
    assert fits[1]["steps"] > fits[0]["steps"]


def test_curves_print_and_draw_what_was_found(tmp_path, capsys, monkeypatch):
    lengths = ("1,000 trials", "100 trials")
    names = levy_flight.NAMES
    fits = [
        {
            "simulations": n,
            "steps": 10,
            "training [s]": 1.0,
            "lengths": {length: {"R2": dict.fromkeys(names, r2)} for length in lengths},
        }
        for n, r2 in ((100, 0.123), (1_000, 0.789))
    ]
    file, figure = tmp_path / "found.json", tmp_path / "curves.png"
    file.write_text(json.dumps({"problem": "levy_flight", "fits": fits}))
    monkeypatch.setattr(sys, "argv", ["curves.py", str(file), "--figure", str(figure)])
    curves.main()
    said = capsys.readouterr().out
    assert all(word in said for word in (*lengths, *names, "0.123", "0.789", "published", "0.971"))
    assert figure.stat().st_size > 10_000


def test_r2_and_calibration_error_of_a_posterior_that_is_known():
    """Of y ~ N(mu, 1), mu ~ N(0, 1), the posterior is N(y / 2, 1 / 2): half is explained."""
    prior = si.Prior(mu=norm(0, 1))
    tests = si.simulate(
        lambda mu, rng: {"y": mu + rng.normal()}, prior, n=4_000, seed=3, n_jobs=1, progress=False
    )

    class Exact:
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
