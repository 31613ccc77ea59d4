"""What is measured of comparisons whose answers are known."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats as st
from sbi_inn.simulators import trend
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

import sbi_inn as si
from comparison_parts import baselines
from comparison_parts.pairs import PAIRS, Seen, simulated
from sbi_inn.checks.candidates import Candidates, Labelled
from sbi_inn.checks.compared import check_candidates
from sbi_inn.diagnostics.classification import class_calibration, class_calibration_floor
from sbi_inn.diagnostics.temperature import fitted_temperature, tempered
from sbi_inn.report.check import Check

JOBS = int(os.environ.get("JOBS", "-1"))  # processes to train on; results do not depend on it
NEAR = 5.0  # |ln Bayes factor| up to which its error is judged
BAYES_FACTORS = 500  # observations for errors of Bayes factors
OTHER_PRIOR = (0.75, 0.25)
REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "epidemics.csv"


def compared(models, n, seed):
    return si.compare_models(models, n_simulations=n, n_jobs=JOBS, seed=seed, progress=False)


# -- pairs -----------------------------------------------------------------------------------------


def pair(name, n, n_tests, seed):
    """Compare the comparison with the exact answers."""
    known = PAIRS[name]
    comparison = compared(known.models, n, seed)
    seen = simulated(known, n_tests, 1_000 * seed)
    found = comparison.log_bayes_factors_each(seen.ys, base=np.e)
    second = list(known.models)[1]
    value = found[second, "log_bayes_factor"].to_numpy()
    row = {"what": "comparison", "seconds": comparison.core.fitted.seconds}
    row |= against(value, seen, found[second, "error"].to_numpy())
    return [row | {"verdict": comparison.check().verdict}]


def others(name, n, n_tests, seed):
    """Train with another prior, train baselines on what the comparison reads, and BayesFlow."""
    known = PAIRS[name]
    comparison = compared(known.models, n, seed)
    seen = simulated(known, n_tests, 1_000 * seed)
    rows = [{"what": "another prior"} | other_prior(comparison, known, seen, seed)]
    for what, logits, seconds in baselines.all_of(comparison, seen.ys, seed):
        rows.append({"what": what, "seconds": seconds} | against(logits, seen))
    value, seconds = baselines.bayesflow(comparison, known.observable, seen.ys, seed)
    return [*rows, {"what": "BayesFlow", "seconds": seconds} | against(value, seen)]


def against(log_bayes_factor, seen, error=None):
    """Give errors of log Bayes factors, and of the probabilities that follow."""
    truth = seen.log_bayes_factor
    some = slice(BAYES_FACTORS)
    distance, near = np.abs(log_bayes_factor - truth)[some], (np.abs(truth) <= NEAR)[some]
    p = probability(log_bayes_factor)
    gap = np.abs(p - seen.probabilities())[:, 1]
    row = {
        "|ln BF| <= 5": float(near.mean()),
        "error of ln BF": float(np.median(distance[near])),
        "beyond 5": float(np.median(distance[~near])) if (~near).any() else np.nan,
        "mean error of p": float(gap.mean()),
        "90 % of p": float(np.quantile(gap, 0.9)),
    }
    if error is not None:
        row["error over stated"] = float(np.median(distance[near] / error[some][near]))
    return row | calibration(p, seen.labels)


def probability(log_bayes_factor):
    """Give probabilities (n, 2) of even prior probabilities."""
    second = 1 / (1 + np.exp(-np.clip(log_bayes_factor, -700, 700)))
    return np.stack([1 - second, second], axis=1)


def calibration(p, labels):
    """Give calibration errors and their floors."""
    found = class_calibration(p, labels)
    floor = class_calibration_floor(p, rng=np.random.default_rng(0), repetitions=500)
    row = {"temperature": fitted_temperature(p, labels).value}
    for name, attribute in (
        *(("ECE", "expected"), ("MCE", "maximum"), ("ICE", "integrated")),
        ("geometric mean", "geometric_mean"),
    ):
        row[name], row[f"{name}, floor"] = (
            getattr(found, attribute),
            float(getattr(floor, attribute)[0]),
        )
    return row


def other_prior(comparison, known, seen, seed):
    """Change the prior afterwards; compare with a comparison trained on as many of each."""
    some = seen.ys[:BAYES_FACTORS]
    names = list(known.models)
    prior = dict(zip(names, OTHER_PRIOR, strict=True))
    later = comparison.probabilities_each(some, prior)
    first, second = comparison.simulations.values()
    fewer = first.dataset.sizes["simulation"] * OTHER_PRIOR[1] / OTHER_PRIOR[0]
    tables = {names[0]: first, names[1]: si_first(second, int(fewer))}
    other = si.compare_models(tables, prior=prior, n_jobs=JOBS, seed=seed, progress=False)
    apart = np.abs(later - other.probabilities_each(some)).to_numpy()[:, 0]
    exact = seen.probabilities(OTHER_PRIOR)[:BAYES_FACTORS, 0]
    return {
        "other prior": float(apart.mean()),
        "other prior, 90 %": float(np.quantile(apart, 0.9)),
        "error of afterwards": float(np.abs(later.iloc[:, 0] - exact).mean()),
        "error of trained with it": float(
            np.abs(other.probabilities_each(some).iloc[:, 0] - exact).mean()
        ),
    }


def si_first(simulations, n):
    """Give the first rows of a table."""
    return replace(simulations, dataset=simulations.dataset.isel(simulation=slice(n)))


# -- epidemics -------------------------------------------------------------------------------------


def epidemics(n, seed):
    """Compare log Bayes factors of two epidemics with nested sampling, at 20 observations."""
    reference = pd.read_csv(REFERENCE)
    comparison = compared({"sir": "sir", "seir": "seir"}, n, seed)
    ys = [{"y": row} for row in reference[[f"y{k}" for k in range(1, 11)]].to_numpy(float)]
    found = comparison.log_bayes_factors_each(ys, base=np.e)
    value = found["seir", "log_bayes_factor"].to_numpy()
    rows = []
    for what, column in (
        ("nested sampling", "log_evidence"),
        ("importance sampling", "importance"),
    ):
        if f"{column}_seir" not in reference:
            continue
        truth = (reference[f"{column}_seir"] - reference[f"{column}_sir"]).to_numpy(float)
        there = np.isfinite(truth)
        if not there.any():
            continue
        distance, near = np.abs(value - truth)[there], np.abs(truth[there]) <= NEAR
        error = found["seir", "error"].to_numpy()[there]
        rows.append(
            {
                "what": f"comparison, against {what}",
                "seconds": comparison.core.fitted.seconds,
                "observations": int(there.sum()),
                "|ln BF| <= 5": float(near.mean()),
                "error of ln BF": float(np.median(distance)),
                "near": float(np.median(distance[near])),
                "beyond 5": float(np.median(distance[~near])) if (~near).any() else np.nan,
                "error over stated": float(np.median(distance / error)),
                "verdict": comparison.check().verdict,
            }
        )
    return rows


# -- none of them ----------------------------------------------------------------------------------

LEVELS = (0.05, 0.01)
TESTS_OF = {
    "all together": "p_value",
    "one-tailed": "likelihood, one-tailed",
    "typicality": "likelihood, typicality",
    "quantiles": "likelihood, two-tailed",
    "WAIC": "WAIC, two-tailed",
    "distance": "distance, two-tailed",
}
TEST_NAMES = tuple(TESTS_OF)


def strangers(n, rng):
    """Make observations of neither model, and the covariance of each kind (None: no such law)."""
    times, noise = trend.TIMES, rng.normal(0, trend.NOISE, (n, len(trend.TIMES)))
    level, slope, jump = rng.normal(size=(3, n, 1))
    step = np.where(times > 0, 0.5, -0.5)
    line = level + slope * times
    wrong = 2 * trend.NOISE * np.where(np.arange(len(times)) % 2, 1, -1)
    base = trend.predictive("line").cov
    twice = base + 3 * trend.NOISE**2 * np.eye(len(times))
    return {
        "a step": (line + 2 * jump * step + noise, base + 4 * np.outer(step, step)),
        "noise twice as large": (line + 2 * noise, twice),
        "off by two noise widths": (line + noise + wrong, None),
    }


def log_mixture(y):
    """Give the exact log density of both models together."""
    both = [trend.log_evidence(y, model) for model in ("line", "parabola")]
    return logsumexp(both, axis=0) - np.log(2)


def none_of_them(n, n_tests, seed):
    """Test candidates' own simulations, for false alarms, and observations of other simulators."""
    known = PAIRS["trend"]
    comparison = compared(known.models, n, seed)
    seen = simulated(known, n_tests, 1_000 * seed)
    usual = comparison.goodness_of_fit_each(seen.ys)
    rows = [{"what": "candidates"} | alarms(usual)]
    rng = np.random.default_rng(seed)
    y = np.array([one["y"] for one in seen.ys])
    density = log_mixture(y)
    for what, (other, covariance) in strangers(n_tests // 5, rng).items():
        found = comparison.goodness_of_fit_each(as_observations(other))
        row = {"what": what} | alarms(found)
        for test, column in TESTS_OF.items():
            row[f"{test}, AUC"] = area(-usual[column], -found[column])
        if covariance is not None:
            law = st.multivariate_normal(np.zeros(y.shape[1]), covariance)
            best = [law.logpdf(x) - log_mixture(x) for x in (y, other)]
            row["best possible, AUC"] = area(*best)
        middle = np.median(density)
        exact = [np.abs(x - middle) for x in (density, log_mixture(other))]
        row["exact likelihood, two-tailed, AUC"] = area(*exact)
        both = (seen.ys, as_observations(other))
        sure = [baselines.softmax_probabilities(comparison, ys) for ys in both]
        row["softmax confidence, AUC"] = area(*(-p.max(axis=1) for p in sure))
        row["softmax is sure"] = float((sure[1].max(axis=1) > 0.9).mean())
        rows.append(row)
    return rows


def as_observations(rows):
    return [{"y": row} for row in rows]


def alarms(found):
    """Give how often each test speaks at each level."""
    return {
        f"{test}, {level}": float((found[column] <= level).mean())
        for test, column in TESTS_OF.items()
        for level in LEVELS
    }


def area(usual, strange):
    """Give the area under the curve, of scores that are large where something is strange."""
    labels = np.repeat([0, 1], [len(usual), len(strange)])
    return float(roc_auc_score(labels, np.concatenate([usual, strange])))


# -- planted ---------------------------------------------------------------------------------------

PLANTED_TESTS = 2_000
REPETITIONS = int(os.environ.get("REPETITIONS", "34"))  # a seed: 102 over three


def planted(seed):
    """Hand exact probabilities, and tempered ones, to the checks of a comparison."""
    rng = np.random.default_rng(seed)
    schema, verdicts = None, {1.0: [], 0.5: [], 2.0: []}
    for _ in range(REPETITIONS):
        seen, observations, schema = trend_tests(rng)
        for temperature, said in verdicts.items():
            p = tempered(seen.probabilities(), temperature)
            candidates = Candidates(
                tuple(PAIRS["trend"].models),
                schema,
                Labelled(observations, seen.labels),
                p,
                rng.random(PLANTED_TESTS),
                np.empty((PLANTED_TESTS, 0)),
                PLANTED_TESTS,
                int(rng.integers(2**31)),
            )
            records, skipped = check_candidates(candidates)
            said.append(Check(records, (), skipped, {}, of="comparison").verdict)
    return [
        {
            "what": f"temperature {temperature:g}",
            "temperature": temperature,
            "rows": PLANTED_TESTS,
            "repetitions": REPETITIONS,
            "trusted": float(np.mean([one == "trust" for one in said])),
            "caution": float(np.mean([one == "caution" for one in said])),
            "distrusted": float(np.mean([one == "do not trust" for one in said])),
        }
        for temperature, said in verdicts.items()
    ]


def trend_tests(rng):
    """Draw tests of the trend pair straight from the laws of the measurements."""
    labels = np.arange(PLANTED_TESTS) % 2
    y = np.empty((PLANTED_TESTS, len(trend.TIMES)))
    for k, model in enumerate(("line", "parabola")):
        y[labels == k] = trend.predictive(model).rvs((labels == k).sum(), random_state=rng)
    evidences = np.stack([trend.log_evidence(y, m) for m in ("line", "parabola")], axis=1)
    table = si.simulate("trend_line", n=10, seed=1, n_jobs=1, progress=False)
    return Seen([], labels, evidences), table.schema.read_many(as_observations(y)), table.schema
