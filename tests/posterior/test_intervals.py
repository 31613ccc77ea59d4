"""Intervals and regions hold the truth as often as they are asked to, whatever the posterior is."""

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, ExactLine, briefly, exact, exact_posterior, quick_fit

import sbi_inn as si
from sbi_inn import checks
from sbi_inn.posterior.intervals import density_limits, interval_ends

Y = {"y": [0.4, -0.3]}
WRONG = [
    {},
    {"width": 0.5},
    {"width": 2.0},
    {"shift": 1.0},
    {"shift": 1.0, "beyond": 1.0},
    {"correlation": 0.5},
]


def held(posterior, level, n=2_000):
    """Give in how many of n cases intervals and regions hold the truth, and where y1 > 2."""
    table = si.simulate(LINE, n=n, seed=77, n_jobs=1, progress=False)
    truth, seen = checks.TestSet.of(table).truth, table.observations()
    core, subject = posterior.core, posterior._subject()
    low, high = interval_ends(core, subject, seen, level)
    limit = density_limits(core, subject, seen, level)
    log_prior = core.prior.log_prob(core.prior.unflatten(truth))
    density = log_prior + core.log_ratio(truth[:, None], seen, normalised=True)[:, 0]
    inside = np.column_stack([(low <= truth) & (truth <= high), density >= limit])
    return inside.mean(axis=0), inside[seen.vector[:, 0] > 2].mean(axis=0)


@pytest.mark.parametrize("wrong", WRONG)
def test_sets_hold_the_truth_as_often_as_asked(wrong):
    posterior = exact_posterior(1_200, 1_000, fitted=ExactLine(**wrong), simulator=False)
    found, where = held(posterior, 0.9)
    # Noise of the 500 that calibrate, and of the 2,000: .015; of those where y1 > 2, more.
    np.testing.assert_allclose(found, 0.9, atol=0.045)
    np.testing.assert_allclose(where, 0.9, atol=0.08)


def test_intervals_of_few_tests_hold_the_truth_on_average():
    wrong, n = ExactLine(width=0.5), 500
    found = [
        held(exact_posterior(200, 60, fitted=wrong, simulator=False, seed=s), 0.8, n)[0]
        for s in range(5)
    ]
    # Noise of the 60 that calibrate, each time, and of the same n cases.
    assert np.mean(found) > 0.8 - 3 * 0.4 * np.sqrt(1 / (60 * 5) + 1 / n)


def test_an_interval_is_a_table_and_close_to_the_exact_one():
    table = exact_posterior(1_200, 1_000, simulator=False).intervals(Y, level=0.68)
    mean, covariance = exact(Y["y"])
    sd = np.sqrt(np.diag(covariance))
    assert list(table.index) == ["a", "b"]
    assert list(table.columns) == ["units", "low", "high"]
    assert table.loc["a", "units"] == "m"
    assert table.attrs["tests"] == 500
    np.testing.assert_allclose(table["low"], mean - sd, atol=0.3 * sd.max())
    np.testing.assert_allclose(table["high"], mean + sd, atol=0.3 * sd.max())


def test_a_region_says_what_it_holds():
    posterior = exact_posterior(1_200, 1_000, fitted=ExactLine(width=0.5), simulator=False)
    region = posterior.regions(Y, level=0.9, n=500)
    mean, _ = exact(Y["y"])
    assert region.contains({"a": [mean[0], 9.0], "b": [mean[1], 9.0]}).values.tolist() == [
        True,
        False,
    ]
    assert region.contains(region.draws).all()
    assert region.share > 0.98  # the posterior is too narrow
    assert region.draws.sizes["draw"] == round(region.share * 500)


def test_whole_numbers_and_bounds():
    prior = si.Prior(k=st.poisson(3), p=st.uniform(0, 1))
    posterior = briefly(quick_fit(count, prior), 100)
    table = posterior.intervals({"seen": 3.0})
    assert (table.loc["k", ["low", "high"]] % 1 == 0).all()
    assert table.loc["k", "low"] >= 0
    assert 0 <= table.loc["p", "low"] < table.loc["p", "high"] <= 1


@si.simulator(batched=True)
def count(k, p, rng):
    return {"seen": k + p + rng.normal(0, 0.5, len(k))}


def test_bad_levels():
    posterior = exact_posterior(200, 60, simulator=False)
    with pytest.raises(ValueError, match="between 0 and 1"):
        posterior.intervals(Y, level=90)
    with pytest.raises(ValueError, match="takes at least 99 test simulations; there are 60"):
        posterior.intervals(Y, level=0.99)
    with pytest.raises(ValueError, match="takes at least 99"):
        posterior.regions(Y, level=0.99)
