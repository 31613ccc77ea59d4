"""The benchmark of model comparison: what it computes of known answers, and its tables."""

import comparison
import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import torch
from comparison_parts import baselines, measures, nested
from comparison_parts.pairs import PAIRS, Seen, simulated

import sbi_inn as si
from sbi_inn.diagnostics.temperature import tempered
from sbi_inn.methods.ib_inn.network import Numbers


@pytest.mark.parametrize("name", PAIRS)
def test_exact_probabilities_of_a_pair_are_calibrated(name):
    seen = simulated(PAIRS[name], 300, seed=1)
    row = measures.against(seen.log_bayes_factor, seen, np.ones(300))
    assert row["error of ln BF"] == row["mean error of p"] == row["error over stated"] == 0
    assert 0.8 < row["temperature"] < 1.25
    low = measures.against(2 * seen.log_bayes_factor, seen)
    assert low["temperature"] > 1.6
    assert low["error of ln BF"] > 0.3


def test_the_prior_shifts_exact_probabilities():
    seen = Seen([], np.array([0]), np.array([[0.0, np.log(3)]]))
    assert seen.probabilities()[0] == pytest.approx([0.25, 0.75])
    assert seen.probabilities((0.75, 0.25))[0] == pytest.approx([0.5, 0.5])


def test_strangers_have_the_laws_that_are_written_down():
    found = measures.strangers(20_000, np.random.default_rng(1))
    for y, covariance in found.values():
        if covariance is not None:
            error = np.abs(np.cov(y, rowvar=False) - covariance).max()
            assert error < 5 * covariance.max() * np.sqrt(2 / 20_000)
    wrong, _ = found["off by two noise widths"]
    assert np.abs(wrong.mean(axis=0)) == pytest.approx(1, abs=0.05)  # twice .5


def test_no_test_beats_the_best_possible_one():
    rng = np.random.default_rng(2)
    seen = simulated(PAIRS["trend"], 1_000, seed=2)
    usual = np.array([y["y"] for y in seen.ys])
    other, covariance = measures.strangers(1_000, rng)["noise twice as large"]
    law = measures.st.multivariate_normal(np.zeros(10), covariance)
    best = measures.area(*(law.logpdf(x) - measures.log_mixture(x) for x in (usual, other)))
    tailed = measures.area(*(-measures.log_mixture(x) for x in (usual, other)))
    assert 0.9 < tailed <= best


@pytest.mark.slow
def test_planted_temperatures_change_what_the_checks_say(monkeypatch):
    monkeypatch.setattr(measures, "REPETITIONS", 3)
    rows = {row["temperature"]: row for row in measures.planted(1)}
    assert rows[1.0]["distrusted"] == 0
    assert rows[0.5]["distrusted"] == rows[2.0]["distrusted"] == 1


def test_a_bottleneck_that_is_told_nothing_says_nothing():
    vib = baselines.VIB(3, 1)
    torch.nn.init.zeros_(vib.decoder.weight)
    torch.nn.init.zeros_(vib.decoder.bias)
    rows = Numbers(torch.randn(5, 3), torch.zeros(5, 1), torch.zeros(5, dtype=torch.int64))
    assert vib(rows).softmax(dim=1).detach().numpy() == pytest.approx(0.5)
    assert vib.loss(rows).shape == (5,)


def test_the_tables_name_what_was_measured():
    seen = simulated(PAIRS["trend"], 100, seed=3)
    about = {"commit": "abc", "date": "2026-11-26", "cores": 2, "threads": 1, "seed": 1}
    value = measures.against(seen.log_bayes_factor, seen, np.ones(100))
    pair = about | {"part": "trend", "what": "comparison", "seconds": 3.0}
    alarms = dict.fromkeys(
        (f"{test}, {level}" for test in measures.TEST_NAMES for level in measures.LEVELS), 0.05
    )
    areas = dict.fromkeys((f"{test}, AUC" for test in measures.TEST_NAMES), 0.9)
    others = ("best possible", "exact likelihood, two-tailed", "softmax confidence")
    areas |= dict.fromkeys((f"{name}, AUC" for name in others), 0.95)
    none = about | {"part": "none of them"}
    rows = [
        pair | value | {"verdict": "trust"},
        about
        | {"part": "trend, others", "what": "another prior", "other prior": 0.0123}
        | dict.fromkeys(("other prior, 90 %", "error of afterwards"), 0.02)
        | {"error of trained with it": 0.02},
        none | {"what": "candidates"} | alarms,
        none | {"what": "a step", "softmax is sure": 0.5} | alarms | areas,
        about
        | {"part": "planted", "what": "x", "temperature": 2.0, "rows": 9, "repetitions": 4}
        | {"trusted": 0.25, "caution": 0.0, "distrusted": 0.75},
    ]
    text = comparison.table(pd.DataFrame(rows))
    for expected in ("trend", "a step: AUC", "sure in 50%", "0.950", "75%", "0.0123"):
        assert expected in text


def test_tempered_bayes_factors_are_what_the_planted_part_hands_over():
    seen = simulated(PAIRS["trend"], 50, seed=4)
    p = measures.probability(seen.log_bayes_factor / 2)
    np.testing.assert_allclose(p, tempered(seen.probabilities(), 2), rtol=1e-9)


def test_the_reference_of_the_epidemics_agrees_with_another_method():
    table = pd.read_csv(measures.REFERENCE)
    assert len(table) == 20
    for model in ("sir", "seir"):
        assert (table[f"importance_error_{model}"] < 0.1).all()


def test_importance_sampling_finds_a_narrow_peak_of_known_evidence():
    prior = si.Prior(a=st.norm(0, 1), b=st.norm(0, 1))

    def log_likelihood(y, p):
        return st.norm(p["a"] + p["b"], 0.01).logpdf(y)

    value, error = nested.importance(1.3, prior, log_likelihood, seed=1)
    assert error < 0.1
    assert abs(value - st.norm(0, np.sqrt(2 + 1e-4)).logpdf(1.3)) < 4 * error


def test_both_integrators_of_the_epidemics_agree():
    rates = {"beta": 0.5, "gamma": 0.15, "sigma": 0.3}
    for model, names in (("sir", ("beta", "gamma")), ("seir", ("beta", "gamma", "sigma"))):
        y = np.array([0, 0, 3, 120, 260, 90, 20, 4, 1, 0.0])
        problem, log_likelihood = nested.MODELS[model]
        assert problem.prior.names == names
        values = [rates[name] for name in names]
        ways = st.binom(1_000, 0.5).logpmf(y).sum() + 1e4 * np.log(2)
        alone = nested.log_binomial(y, nested.share(values)) + ways
        many = log_likelihood(y, {n: np.array([rates[n]]) for n in names})[0]
        assert alone == pytest.approx(many, rel=1e-4)
