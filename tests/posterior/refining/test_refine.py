"""A posterior refined for the neighbourhood of one observation."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from linear_regression import Regression
from studies import briefly, quick_fit

import sbi_inn as si
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.refining import region as regions

SEEDS = 20


# -- a study that is a straight line only from near by ---------------------------------------------

NOISE, BEND = 0.02, 0.06
Y = {"y": np.array([1.0, 0.5])}


@si.simulator(batched=True)
def bent(a, b, rng):
    """Bend two parameters a little."""
    centre = _bent(a, b)
    return {"y": centre + NOISE * rng.standard_normal(centre.shape)}


def _bent(a, b):
    return np.column_stack([a + BEND * a**2, b + a + BEND * b**2])


BENT = si.Problem(bent, si.Prior(a=st.norm(), b=st.norm()))


def _straight(y):
    """Undo the bend."""
    return (np.sqrt(1 + 4 * BEND * y) - 1) / (2 * BEND)


def exact():
    """Give mean and sd of the posterior at `Y`, of which the prior is no part: it is flat there."""
    grid = np.linspace(-0.2, 0.2, 401)
    a0, b0 = (_straight(Y["y"][0]), _straight(Y["y"][1] - _straight(Y["y"][0])))
    a, b = (x.ravel() for x in np.meshgrid(a0 + grid, b0 + grid))
    gap = _bent(a, b) - Y["y"]
    weight = np.exp(-0.5 * (gap**2).sum(axis=1) / NOISE**2)
    moments = [(np.average(x, weights=weight), np.average(x**2, weights=weight)) for x in (a, b)]
    return {n: (m, np.sqrt(s - m**2)) for n, (m, s) in zip("ab", moments, strict=True)}


def fit(problem=BENT, n=500, **options):
    options = {"method": Regression(), "n_jobs": 1, "seed": 1, "progress": False} | options
    return si.fit_posterior(problem, n_simulations=n, **options)


def refined(posterior, y=Y, n=3_000, **options):
    return posterior.refine(y, n, **{"seed": 2, "n_jobs": 1, "progress": False} | options)


@pytest.fixture(scope="module")
def broad():
    return fit()


@pytest.fixture(scope="module")
def sharp(broad):
    return refined(broad)


def test_it_finds_a_posterior_that_the_first_round_could_not(broad, sharp):
    for name, (mean, sd) in exact().items():
        before, after = broad.sample(Y, 4_000)[name].values, sharp.sample(Y, 4_000)[name].values
        assert before.std() > 2 * sd
        assert abs(after.mean() - mean) < 0.15 * sd
        # One spread for the whole region is that of posteriors cut off by its faces, too.
        assert after.std() == pytest.approx(sd, rel=0.15)


def test_it_is_calibrated_where_it_holds(sharp):
    tests = sharp.core.problem
    assert tests.prior == sharp.prior
    assert sharp.calibration().value < 0.015


def test_its_region_does_not_cut_it_off(sharp):
    check = briefly(sharp).check(Y, progress=False)
    assert check.records["edges of the region"].verdict == "trust"


def test_its_density_integrates_to_one(sharp):
    """By importance sampling from the truncated prior."""
    prior = sharp.prior
    draws = prior.sample(200_000, np.random.default_rng(3))
    weight = np.exp(sharp.log_prob(draws, Y).values - prior.log_prob(draws))
    assert weight.mean() == pytest.approx(1, abs=0.02)


def test_its_evidence_is_that_of_the_whole_prior(sharp):
    """The evidence on a grid, and by weighting draws of the refined posterior."""
    grid = np.linspace(-0.2, 0.2, 401)
    a0 = _straight(Y["y"][0])
    a, b = (x.ravel() for x in np.meshgrid(a0 + grid, _straight(Y["y"][1] - a0) + grid))

    def log_likelihood(a, b, y):
        return st.norm(_bent(a, b), NOISE).logpdf(y).sum(axis=1)

    log_joint = log_likelihood(a, b, Y["y"]) + st.norm.logpdf(a) + st.norm.logpdf(b)
    expected = np.log(np.exp(log_joint).sum()) + 2 * np.log(grid[1] - grid[0])
    found = sharp.importance(Y, log_likelihood, n=4_000, batched=True, progress=False)
    # What the region leaves out, a thousandth or two, is missing.
    assert found.log_evidence == pytest.approx(expected, abs=0.01 + 4 * found.log_evidence_error)


def test_draws_stay_in_the_region(sharp):
    draws = sharp.sample(Y, 5_000)
    inside = sharp.prior.log_prob({n: draws[n].values for n in "ab"})
    assert np.isfinite(inside).all()
    assert sharp.prior.box.mass < 0.01


def test_it_was_learned_from_simulations_of_the_truncated_prior(broad, sharp):
    """The first ones among them: a sample that has rows of every round."""
    found, n = sharp.simulations.parameters(), len(sharp.simulations)
    for name, values in sharp.prior.sample(n, np.random.default_rng(4)).items():
        assert st.ks_2samp(found[name], values).pvalue > 0.001


def test_rounds_as_asked(broad):
    assert refined(broad, n=400, rounds=4).core.refined.rounds == 4
    one = refined(broad, n=400, rounds=1)
    assert one.core.refined.rounds == 1
    assert one.prior.box.mass > refined(broad, n=800, rounds=4).prior.box.mass


def test_the_same_seed_gives_the_same(broad):
    one, same, other = (
        refined(broad, n=500, rounds=1, seed=seed).sample(Y, 10) for seed in (2, 2, 3)
    )
    assert one.identical(same)
    assert not one.identical(other)


@pytest.mark.slow
def test_it_can_be_refined_again(sharp):
    again = refined(sharp, n=1_000)
    for name, (mean, sd) in exact().items():
        after = again.sample(Y, 4_000)[name].values
        assert abs(after.mean() - mean) < 0.2 * sd
        assert after.std() == pytest.approx(sd, rel=0.15)
    assert again.prior.whole == BENT.prior


def test_it_says_where_it_holds(sharp):
    assert "at y of shape (2,)" in repr(sharp)
    assert "of the prior's mass" in repr(sharp)


def test_it_says_what_it_does(broad, capsys):
    refined(broad, n=300, rounds=2, progress=True)
    said = capsys.readouterr().out
    assert "round 1: a region of" in said
    assert "of the prior's mass; 100 simulations" in said


# -- other observations ----------------------------------------------------------------------------


def test_another_observation_lies_outside(sharp):
    far = {"y": np.array([3.0, -1.0])}
    with pytest.warns(UserWarning, match="refined for observations like another one"):
        sharp.sample(far, 5)
    with pytest.warns(UserWarning, match="do not look like 2 of these"):
        sharp.sample_each([far, Y, far], 5)
    assert sharp.goodness_of_fit(far).p_value < 1e-3
    assert sharp.goodness_of_fit(Y).p_value > 0.01


def test_an_observation_beside_it_does_not(sharp):
    sharp.sample({"y": Y["y"] + NOISE}, 5)  # a warning would be an error


def test_an_observation_that_cannot_be(broad):
    with pytest.warns(UserWarning, match="hardly cover it.*would mean little"):
        refined(broad, {"y": np.array([9.0, -9.0])}, n=100, rounds=1)


def test_a_region_where_the_prior_has_nothing(broad):
    with (
        pytest.warns(UserWarning, match="would mean little"),
        pytest.raises(si.PriorError, match="nothing can be drawn from it") as caught,
    ):
        refined(broad, {"y": np.array([1e6, -1e6])}, n=100, rounds=1)
    assert len(caught.value.simulations) == 500


# -- what was cut off ------------------------------------------------------------------------------


@si.simulator(batched=True)
def square(a, b, rng):
    """Lose the sign of a."""
    centre = np.column_stack([a**2, b])
    return {"y": centre + 0.1 * rng.standard_normal(centre.shape)}


SQUARE = si.Problem(square, si.Prior(a=st.norm(), b=st.norm()))
TWO = {"y": np.array([1.0, 0.3])}


@dataclass(frozen=True)
class Positive:
    """The posterior of `SQUARE`, nearly, but for the mode of negative a."""

    sign: float = 1.0
    settings: Any = field(default_factory=Regression)

    def sample(self, observations, n, rng):
        a, b = np.sqrt(np.maximum(observations.vector, 0.01)[:, 0]), observations.vector[:, 1]
        noise = rng.standard_normal((len(a), n, 2))
        a = a[:, None] + 0.05 / a[:, None] * noise[..., 0]
        return np.stack([self.sign * a, b[:, None] + 0.1 * noise[..., 1]], axis=2)


def planted(fitted, seed, n=1_000):
    table = si.simulate(SQUARE, n=n, seed=seed, n_jobs=1, progress=False)
    return Core(fitted, table, np.arange(50), seed=seed, n_simulations=n, problem=SQUARE)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_mode_that_the_first_round_does_not_know_is_kept(sign):
    kept = 0
    for seed in range(SEEDS):
        core = planted(Positive(sign), seed)
        found = regions.region(core, core.read(TWO), np.random.default_rng(seed))
        modes = np.array([[1.0, 0.3], [-1.0, 0.3]])
        kept += found.box.inside(modes).all() and found.missed > 5
    assert kept >= 18


@pytest.mark.slow
def test_networks_learn_the_mode_that_the_first_round_did_not_know():
    """A network that has seen positive a only; benchmarks/refine_planted.py has 20 seeds."""
    table = si.simulate(SQUARE, n=400, seed=1, n_jobs=1, progress=False)
    positive = table.dataset.assign(a=np.abs(table.dataset["a"]))
    half = si.fit_posterior(
        replace(table, dataset=positive),
        method=si.CINN(blocks=3, hidden=32, depth=2),
        ensemble=1,
        seed=1,
        progress=False,
    )
    half = si.posterior.posterior.Posterior(replace(half.core, simulations=table, problem=SQUARE))
    assert (half.sample(TWO, 1_000)["a"].values < 0).mean() < 0.02
    sharp = refined(half, TWO, n=400)
    share = (sharp.sample(TWO, 2_000)["a"].values < 0).mean()
    assert 0.25 < share < 0.75


def test_nothing_is_added_where_nothing_was_missed(broad):
    """A linear posterior of a linear study: its region is as thin as can be."""

    @si.simulator(batched=True)
    def line(a, b, rng):
        return {"y": np.column_stack([a, b]) + 0.1 * rng.standard_normal((len(a), 2))}

    posterior = fit(si.Problem(line, si.Prior(a=st.norm(), b=st.norm())), n=1_000)
    found = regions.region(posterior.core, posterior.core.read(TWO), np.random.default_rng(1))
    assert found.missed <= 1
    assert not found.cut
    assert found.box.mass < 0.07


@pytest.mark.slow
def test_a_region_that_has_cut_off_the_posterior_is_opened(broad):
    """A box that ends at the posterior's mean along a."""
    sharp = refined(broad, n=1_000)
    box = sharp.prior.box
    centre = np.array([exact()[n][0] for n in "ab"])
    low = box.low.copy()
    low[0] = (centre @ box.axes)[0]
    cut = replace(box, low=low)
    table = si.simulate(
        replace(BENT, prior=BENT.prior.truncated(cut)), n=400, seed=1, n_jobs=1, progress=False
    )
    half = si.fit_posterior(table, method=Regression(), seed=1, progress=False)
    half = si.posterior.posterior.Posterior(
        replace(half.core, problem=replace(BENT, prior=table.prior))
    )
    found = regions.region(half.core, half.core.read(Y), np.random.default_rng(1))
    assert found.cut
    again = refined(half, n=1_500)
    for name, (mean, sd) in exact().items():
        draws = again.sample(Y, 4_000)[name].values
        assert abs(draws.mean() - mean) < 0.3 * sd
        assert draws.std() == pytest.approx(sd, rel=0.2)


# -- kinds of studies ------------------------------------------------------------------------------


def test_discrete_and_dependent_parameters():
    @si.simulator(batched=True)
    def counted(a, k, b, rng):
        centre = np.column_stack([a + b, a - b, k])
        return {"y": centre + 0.05 * rng.standard_normal(centre.shape)}

    prior = si.Prior(a=st.norm(), k=st.poisson(5), b=lambda a: st.norm(a, 1))
    broad = fit(si.Problem(counted, prior), n=1_000)
    y = {"y": np.array([1.0, 0.2, 4.0])}
    sharp = refined(broad, y, n=1_000)
    draws = sharp.sample(y, 2_000)
    assert draws["k"].dtype == np.int64
    assert set(np.unique(draws["k"])) <= {2, 3, 4, 5, 6}
    assert draws["a"].values.mean() == pytest.approx(0.6, abs=0.03)
    assert draws["b"].values.mean() == pytest.approx(0.4, abs=0.03)


def test_nuisances_givens_and_noise():
    """Nuisances vary as before, fresh simulations have the givens of y; noise is drawn anew."""

    def measured(a, nu, n):
        return {"y": a + 0 * nu, "z": nu}

    def noisy(y, n, rng):
        return {"y": y + 0.1 / np.sqrt(n) * rng.normal()}

    study = si.Problem(
        measured, si.Prior(nu=st.norm(), a=st.norm()), given={"n": st.randint(1, 5)}, noise=noisy
    )
    broad = fit(study, n=400, infer=["a"])
    y = {"y": 0.5, "z": 0.2, "n": 2}
    sharp = refined(broad, y, n=600)
    table = sharp.simulations
    assert sharp.prior.names == ("a",)
    assert sharp.nuisances == ("nu",)
    own = (table.dataset["n"] == 2).mean()
    assert 0.6 < own < 1.0  # what was simulated before, and lies inside, has others
    assert set(np.unique(table.dataset["n"])) == {1, 2, 3, 4}
    assert st.kstest(table.dataset["nu"].values, "norm").pvalue > 0.001
    assert (table.noisy["y"] != table.dataset["y"].values).all()
    assert sharp.sample(y, 2_000)["a"].values.mean() == pytest.approx(0.5, abs=0.05)


def test_an_inn_keeps_standard_normal_latents():
    training = si.Training(epochs=2)
    with pytest.warns(UserWarning, match="the forward network misses"):
        broad = fit(n=300, method=si.INN(), training=training)
    sharp = refined(broad, n=200, rounds=1)
    assert not sharp.prior.box.flat.any()
    assert np.isfinite(sharp.prior.log_prob(dict(sharp.sample(Y, 50)))).all()


def test_a_deterministic_simulator_has_no_end_of_regions():
    """The posterior is a point: regions stay as wide as can be drawn from."""
    problem = si.Problem(si.simulator(batched=True)(lambda a: {"y": 2 * a}), si.Prior(a=st.norm()))
    sharp = refined(fit(problem, n=300), {"y": 1.0}, n=700, rounds=7)
    assert sharp.sample({"y": 1.0}, 100)["a"].values == pytest.approx(np.full(100, 0.5), abs=1e-5)


# -- in files --------------------------------------------------------------------------------------


def test_a_refined_posterior_in_a_file_and_back(sharp, tmp_path):
    sharp.save(tmp_path / "sharp.sbi")
    again = si.load_posterior(tmp_path / "sharp.sbi", simulator=BENT, method=Regression())
    draws = sharp.sample(Y, 100)
    assert again.sample(Y, 100).identical(draws)
    assert np.array_equal(again.log_prob(draws, Y), sharp.log_prob(draws, Y))
    assert again.prior == sharp.prior
    assert again.problem.prior == sharp.prior
    assert repr(again) == repr(sharp)
    assert refined(again, n=300).prior.whole == BENT.prior
    with pytest.warns(UserWarning, match="refined for observations like"):
        again.sample({"y": np.array([3.0, -1.0])}, 5)


def test_networks_in_a_file_and_back(tmp_path):
    sharp = refined(briefly(quick_fit(BENT, n=300, epochs=1)), n=200, rounds=1)
    sharp.save(tmp_path / "sharp.sbi")
    again = si.load_posterior(tmp_path / "sharp.sbi")
    assert again.sample(Y, 100).identical(sharp.sample(Y, 100))


def test_a_prior_that_is_code_is_given_again(tmp_path):
    scales = {0: 1.0, 1: 2.0}
    prior = si.Prior(a=st.norm(0, 2), b=lambda a: st.norm(0, [scales[int(x > 0)] for x in a]))
    study = si.Problem(bent, prior)
    sharp = refined(fit(study), n=300, rounds=1)
    sharp.save(tmp_path / "code.sbi")
    with pytest.raises(si.LoadError, match="code"):
        si.load_posterior(tmp_path / "code.sbi", method=Regression())
    again = si.load_posterior(tmp_path / "code.sbi", prior=prior, method=Regression())
    assert again.sample(Y, 100).identical(sharp.sample(Y, 100))


# -- what cannot be --------------------------------------------------------------------------------


def test_too_few_simulations(broad):
    with pytest.raises(si.SimulationError, match="at least 100 for each of 1 rounds; got 99"):
        refined(broad, n=99)
    with pytest.raises(si.SimulationError, match="for each of 3 rounds; got 200"):
        refined(broad, n=200, rounds=3)
    with pytest.raises(si.SimulationError, match="whole number"):
        refined(broad, n=300.5)
    with pytest.raises(ValueError, match="rounds must be a whole number"):
        refined(broad, rounds=0)


def test_another_kind_of_observation(broad):
    with pytest.raises(si.ShapeError, match=r"expected y of shape \(2,\)"):
        refined(broad, {"y": np.zeros(3)})


def test_a_table_has_no_simulator(broad):
    table = pd.DataFrame(np.random.default_rng(1).normal(size=(300, 2)), columns=["a", "y"])
    simulations = si.read_simulations(table, parameters=["a"], progress=False)
    posterior = si.fit_posterior(simulations, method=Regression(), progress=False)
    with pytest.raises(si.SimulationError, match="to refine, a simulator is needed"):
        refined(posterior, {"y": 0.0})
    posterior.problem = si.Problem(lambda a: {"y": a}, si.Prior(a=st.norm()))
    with pytest.raises(si.PriorError, match="never stated"):
        refined(posterior, {"y": 0.0})


def test_what_was_simulated_is_kept(broad):
    calls = []

    @si.simulator(batched=True)
    def breaks(a, b, rng):
        calls.append(len(a))
        if len(calls) > 4:
            raise KeyboardInterrupt
        return bent.function(a, b, rng)

    broken = si.posterior.posterior.Posterior(broad.core)
    broken.problem = si.Problem(breaks, BENT.prior)
    with pytest.raises(KeyboardInterrupt) as caught:
        refined(broken, n=3_000)
    assert len(caught.value.simulations) >= 800  # 500 of the fit, 300 of the first round
