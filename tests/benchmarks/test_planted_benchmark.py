"""The benchmark of the verdict: what it plants is there, and its sections count what they should.

How often the verdict finds what was planted takes 100 repetitions: that is the benchmark itself.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import run as command
import scipy.stats as st
import sections
from planted import VARIANCE, Planted, Study, posterior_of
from studies import LINE, exact_posterior

import sbi_inn as si
from sbi_inn.checks import Familiar


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Stay in this process, and count with fewer simulations."""
    monkeypatch.setattr(sections, "JOBS", 1)
    monkeypatch.setattr(sections, "TESTS", 500)


# -- what is planted -------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "correlation"), [(2, 0.5), (10, 0.0), (3, 0.5)])
def test_the_posterior_of_a_study_is_what_it_says(dim, correlation):
    """Theta - y has mean 0 and the stated covariance, and y says nothing of it."""
    study, n = Study(dim, correlation), 40_000
    table = si.simulate(study.problem, n=n, seed=1, n_jobs=1, progress=False)
    theta, y = table.prior.flatten(table.parameters()), table.observations().vector
    gap = theta - y
    error = 5 / np.sqrt(n)
    assert np.abs(theta.std(axis=0) - 1).max() < error
    assert np.abs(gap.mean(axis=0)).max() < error * np.sqrt(VARIANCE)
    assert np.abs(np.cov(gap, rowvar=False) - study.covariance).max() < 1.5 * error * VARIANCE
    assert np.abs(gap.T @ y / n).max() < error * np.sqrt(VARIANCE)


WRONG = {
    "exact": (Planted(Study(2, 0.5), 0.5), 0.0, 1.0, 0.5),
    "shift": (Planted(Study(2, 0.5), 0.5, shift=0.3), 0.3, 1.0, 0.5),
    "width": (Planted(Study(2, 0.5), 0.5, width=0.8), 0.0, 0.8, 0.5),
    "correlation": (Planted(Study(2, 0.5), 0.0), 0.0, 1.0, 0.0),
}


@pytest.mark.parametrize("name", WRONG)
def test_draws_and_density_are_wrong_as_planted(name):
    planted, shift, width, correlation = WRONG[name]
    posterior = posterior_of(planted, seed=1, tests=100)
    observations = posterior.schema.read_many([[0.5, -1.0], [3.0, 0.0]])
    latent = planted.sample(observations, 40_000, np.random.default_rng(1))
    sd, error = np.sqrt(VARIANCE), 5 / np.sqrt(40_000)
    mean = observations.vector + shift * sd
    assert np.abs((latent.mean(axis=1) - mean) / sd).max() < error
    assert np.abs(latent.std(axis=1) / (width * sd) - 1).max() < error
    assert abs(np.corrcoef(latent[0], rowvar=False)[0, 1] - correlation) < error
    covariance = width**2 * VARIANCE * np.array([[1, correlation], [correlation, 1]])
    pairs = zip(mean, latent[:, :5], strict=True)
    true = [st.multivariate_normal(m, covariance).logpdf(rows) for m, rows in pairs]
    found = planted.log_prob(latent[:, :5].reshape(10, 2), observations)
    assert np.allclose(found, np.concatenate(true), rtol=0, atol=1e-9)


def test_it_can_be_wrong_in_one_place_only():
    planted = Planted(Study(2, 0.5), 0.5, shift=1.0, width=0.5, near=1.0)
    exact = replace(planted, shift=0.0, width=1.0)
    observations = posterior_of(exact, seed=1, tests=100).schema.read_many([[0.5, 9.0], [2.0, 0.0]])
    draws, right = (p.sample(observations, 50, np.random.default_rng(1)) for p in (planted, exact))
    assert np.array_equal(draws[1], right[1])
    assert np.allclose(
        draws[0], observations.vector[0] + np.sqrt(VARIANCE) + (right[0] - [0.5, 9]) / 2
    )
    latent = right.reshape(-1, 2)
    found, true = (p.log_prob(latent, observations).reshape(2, -1) for p in (planted, exact))
    assert np.array_equal(found[1], true[1])
    assert np.abs(found[0] - true[0]).min() > 0


def test_its_test_simulations_are_as_many_as_asked_for():
    posterior = posterior_of(WRONG["exact"][0], seed=3, tests=120)
    assert len(posterior._subject().tests) == 120
    assert len(posterior.check(progress=False).records["calibration"].ranks) == 120


# -- the sections ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_power_counts_objections(monkeypatch):
    chosen = ("exact", "shift of .3 sd", "correlation .5, claims 0")
    monkeypatch.setattr(sections, "POWER", {name: sections.POWER[name] for name in chosen})
    table = sections.power(1)
    assert table.planted.to_list() == [*chosen, *chosen]
    assert table.parameters.to_list() == [2, 2, 2, 10, 10, 10]
    assert (table.of == 1).all()
    assert table.flagged.to_list() == [0, 1, 1, 0, 1, 1]
    found = table.set_index(["planted", "parameters"])
    assert (found.loc["shift of .3 sd", "calibration"] == 1).all()
    assert (found.loc["correlation .5, claims 0", "dependence"] == 1).all()


def test_local_objects_only_where_it_is_wrong(monkeypatch):
    chosen = ("exact", "1 sd off within |y| < 1")
    monkeypatch.setattr(sections, "LOCAL", {name: sections.LOCAL[name] for name in chosen})
    table = sections.local(1)
    assert table[["planted", "y", "flagged"]].values.tolist() == [
        [chosen[0], 0.0, 0],
        [chosen[0], 2.0, 0],
        [chosen[1], 0.0, 1],
        [chosen[1], 2.0, 0],
    ]


def test_repetitions_are_counted_one_by_one():
    found = sections._counted(lambda seed, odd: [odd] * (seed % 2) + ["flagged"], 5, "odd")
    assert found == {"of": 5, "flagged": 5, "odd": 3}
    assert sections._counted(lambda seed: [], 3) == {"of": 3, "flagged": 0}


def test_strange_observations_are_asked_for_again_and_again():
    posterior = exact_posterior()
    row = sections._asked("far", posterior, 2, sections._far(posterior))
    assert row == {"observation": "far", "of": 2, "goodness of fit": 2} | {
        name: row[name] for name in ("posterior predictive", "either", "check(y)")
    }
    assert row["either"] == row["check(y)"] == 2
    usual = sections._asked("usual", posterior, 2, lambda rng: rng.normal(0, 1, 2))
    assert usual["goodness of fit"] == usual["either"] == 0


def test_far_observations_are_five_standard_deviations_away():
    posterior = exact_posterior()
    seen = posterior.simulations.observations().vector
    make = sections._far(posterior)
    ys = np.array([make(np.random.default_rng(seed)) for seed in range(20)])
    distance = np.linalg.norm((ys - seen.mean(axis=0)) / seen.std(axis=0), axis=1)
    assert np.allclose(distance, 5)
    assert len(np.unique(ys[:, 0])) == 20


def test_outliers_are_the_share_asked_for():
    @si.simulator(sets={"n": ["y"]})
    def sample(mu, sigma, n, rng):
        return {"y": rng.normal(mu, sigma, n)}

    class WithPrior:
        prior = si.Prior(mu=st.norm(0, 1), sigma=st.uniform(1, 1))

    make = sections._outliers(WithPrior, 0.2)
    clean = sections._outliers(WithPrior, 0.0)
    for seed in range(5):
        dirty, usual = (m(np.random.default_rng(seed))["y"] for m in (make, clean))
        sigma = WithPrior.prior.sample(1, np.random.default_rng(seed))["sigma"][0]
        assert np.allclose(dirty[:40] - usual[:40], 6 * sigma)
        assert np.array_equal(dirty[40:], usual[40:])
        assert len(usual) == 200


def test_p_values_of_held_out_simulations_are_tested_for_uniformity(monkeypatch):
    posterior = exact_posterior()
    row = sections._uniform("line", posterior)
    assert row["observation"] == "line, held out"
    assert row["smallest KS p"] > 0.01
    wide = replace(LINE, prior=si.Prior(a=st.norm(0, 3), b=st.norm(0, 6)))

    def learn_elsewhere(posterior, seed, n=500):
        others = si.simulate(wide, n=500, seed=seed, n_jobs=1, progress=False)
        return Familiar.of(posterior.core, others.observations())

    monkeypatch.setattr(sections, "_familiar", learn_elsewhere)
    assert sections._uniform("line", posterior)["smallest KS p"] < 1e-8


def test_a_fit_is_judged_in_general_and_at_an_observation():
    row = sections._judged(exact_posterior())
    assert row["check()"] == row["check(y)"] == "trust"
    assert row["sentence"].startswith("Trust this posterior: ")
    assert 0 < row["check(y) [s]"] < 60


# -- the command -----------------------------------------------------------------------------------


def test_rows_of_a_part_name_their_case(monkeypatch):
    table = pd.DataFrame([{"planted": "exact", "y": 2.0, "of": 3, "flagged": np.nan}])
    monkeypatch.setattr(command, "SECTIONS", {"local": lambda repetitions: table})
    (row,) = command.measure(SimpleNamespace(part="local", repetitions=3, seed=1))
    assert row == {"case": "exact, 2.0", "planted": "exact", "y": 2.0, "of": 3, "flagged": None}


def test_the_table_shows_what_a_part_has_found():
    start = {"commit": "abc", "date": "2026-11-26", "cores": 2, "threads": 2, "repetitions": 3}
    rows = pd.DataFrame(
        [
            start | {"seed": 1, "part": "power", "case": "a, 2", "planted": "a", "of": 3},
            start | {"seed": 1, "part": "fits", "case": "b, c", "fit": "b", "check()": "trust"},
        ]
    )
    said = command.table(rows)
    assert "| planted | repetitions |\n| --- | --- |\n| a | 3 |" in said
    assert "| seed | fit | check() |\n| --- | --- | --- |\n| 1 | b | trust |" in said
