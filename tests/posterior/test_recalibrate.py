"""What a posterior's ranks have wrong is mended, and what is right stays."""

from functools import cache

import numpy as np
import pytest
from studies import LINE, ExactLine, exact_posterior, quick_fit

import sbi_inn as si
from sbi_inn import checks
from sbi_inn.diagnostics.calibration import calibration_error, ranks
from sbi_inn.simulation.simulations import SimulationError

Y = {"y": [0.4, -0.3]}


@cache
def fresh(n, seed):
    return si.simulate(LINE, n=n, seed=seed, n_jobs=1, progress=False)


@cache
def mended(**wrong):
    posterior = exact_posterior(300, 100, fitted=ExactLine(**wrong))
    return posterior, posterior.recalibrate(fresh(1_000, 11))


def error_and_log_score(posterior):
    table = fresh(2_000, 12)
    truth, seen = checks.TestSet.of(table).truth, table.observations()
    rng = np.random.default_rng(1)
    found = ranks(truth, posterior.core.draw(seen, 200, rng), rng)
    score = posterior.core.log_ratio(truth[:, None], seen, normalised=True)[:, 0]
    return calibration_error(found).pooled, score


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0.7},
        {"width": 1.4},
        {"shift": 0.3},
        {"shift": 0.6, "beyond": 1.0},
        {"correlation": 0.5},
    ],
)
def test_what_is_wrong_is_mended(wrong):
    before, after = map(error_and_log_score, mended(**wrong))
    gain = after[1] - before[1]
    assert after[0] < 0.015
    assert gain.mean() > 2 * gain.std() / np.sqrt(len(gain))


def test_an_exact_posterior_stays_as_it_is():
    posterior, again = mended()
    assert "nothing had to be changed" in repr(again)
    assert again.sample(Y, 50).equals(posterior.sample(Y, 50))
    assert again.log_prob({"a": 0.1, "b": 0.2}, Y).equals(
        posterior.log_prob({"a": 0.1, "b": 0.2}, Y)
    )


@pytest.mark.parametrize("wrong", [{"width": 0.7}, {"shift": 0.3}, {"correlation": 0.5}])
def test_density_is_normalised_and_that_of_the_draws(wrong):
    _, after = mended(**wrong)
    drawn = after.sample(Y, 4_000)
    sharp = after.prior.sample(100_000, np.random.default_rng(1))
    integral = np.exp(after.log_prob(sharp, Y).values - after.prior.log_prob(sharp))
    # What weights are divided by comes from 512 draws.
    divided = 0.2 if after.core.fitted.how.weighted else 0.02
    assert abs(integral.mean() - 1) < 4 * integral.std() / np.sqrt(len(integral)) + divided
    for name in ("a", "b"):  # means by draws, and by the density
        mean = float(np.average(sharp[name], weights=integral))
        worth = integral.sum() ** 2 / (integral**2).sum()
        noise = float(drawn[name].std()) * np.sqrt(1 / 4_000 + 1 / worth)
        assert abs(float(drawn[name].mean()) - mean) < 5 * noise


def test_no_truth_becomes_a_hundred_times_less_likely():
    before, after = mended(width=1.4)  # which makes it narrower
    sharp = before.prior.sample(2_000, np.random.default_rng(1))
    gain = after.log_prob(sharp, Y).values - before.log_prob(sharp, Y).values
    assert gain.min() == pytest.approx(np.log(0.01), abs=1e-6)  # reached far out
    same = np.asarray(after.sample(Y, 4_000).a == before.sample(Y, 4_000).a)
    assert abs(same.sum() - 40) < 4 * np.sqrt(40)


def test_repr_says_it_and_the_old_posterior_is_as_it_was():
    before, after = mended(width=0.7)
    assert "recalibrated by 1,000 simulations (2 of 2 marginals)" in repr(after)
    assert "recalibrated" not in repr(before)


def test_where_nothing_can_be_simulated_half_of_those_held_out_stay_for_the_checks():
    posterior = exact_posterior(1_000, 600, fitted=ExactLine(width=0.6), simulator=False)
    again = posterior.recalibrate()
    assert again.core.fitted.how.n == 300
    assert not np.isin(again.core.test_rows, posterior.core.test_rows[:300]).any()
    assert abs(again.sample(Y, 4_000).a.std() / exact_sd() - 1) < 0.15
    assert posterior.check(progress=False).verdict == "do not trust"
    assert again.check(progress=False).verdict in ("trust", "cannot tell")


def exact_sd():
    return float(exact_posterior(100, 50).sample(Y, 4_000).a.std())


def test_it_can_be_saved_and_loaded(tmp_path):
    posterior = quick_fit(LINE)
    again = posterior.recalibrate(500)
    assert again.core.fitted.how.moved  # a network after one epoch is wrong
    again.save(tmp_path / "again.sbi")
    read = si.load_posterior(tmp_path / "again.sbi", simulator=LINE)
    assert read.sample(Y, 20).equals(again.sample(Y, 20))
    assert read.log_prob({"a": 0.1, "b": 0.2}, Y).equals(again.log_prob({"a": 0.1, "b": 0.2}, Y))
    assert "recalibrated by 500 simulations" in repr(read)


def test_draws_of_one_observation_are_those_of_it_among_others():
    _, after = mended(width=0.7)
    both = after.sample_each([Y, {"y": [1.0, 2.0]}], 30)
    alone = after.sample(Y, 30)
    np.testing.assert_allclose(both.a[0], alone.a, rtol=1e-9)


def test_bad_material():
    posterior = exact_posterior(300, 100)
    with pytest.raises(SimulationError, match="at least 50"):
        posterior.recalibrate(fresh(30, 13))
    with pytest.raises(SimulationError, match="trained on"):
        posterior.recalibrate(posterior.simulations)
    with pytest.raises(TypeError, match="number of at least 50"):
        posterior.recalibrate(7)
    with pytest.raises(SimulationError, match="expected simulations of a, b"):
        posterior.recalibrate(si.simulate("two_moons", n=60, seed=1, n_jobs=1, progress=False))
    with pytest.raises(SimulationError, match="a simulator is needed"):
        exact_posterior(300, 100, simulator=False).recalibrate(100)
