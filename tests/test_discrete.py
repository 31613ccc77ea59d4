"""Posteriors of discrete parameters: probabilities that can be written down, and all that shows."""

from functools import cache

import numpy as np
import pytest
import scipy.stats as st
from normals import Normals, nothing
from studies import briefly, exact_posterior, quick_fit

import sbi_inn as si
from sbi_inn.errors import NoDensityError


def probability(prior, name, value, mean, sd):
    """Probability that a normal latent gives one value of a discrete parameter."""
    source = prior.to_config()
    (entry,) = [entry for entry in source["parameters"] if entry["name"] == name]
    frozen = getattr(st, entry["distribution"])(*entry["args"], **entry["kwds"])
    ends = st.norm.ppf(frozen.cdf([value - 1, value]))
    return np.diff(st.norm(mean, sd).cdf(ends))[0]


PRIOR = si.Prior(k=st.binom(3, 0.5), s=st.norm(1, 2))
MEAN, SD = (0.5, -0.3), (0.7, 0.5)
Y = {"y": 0.1}


@pytest.fixture(scope="module")
def posterior():
    return exact_posterior(problem=nothing(PRIOR), fitted=Normals(MEAN, SD))


def shares(value=slice(None)):
    return np.array([probability(PRIOR, "k", k, MEAN[0], SD[0]) for k in range(4)])[value]


def test_draws_are_integers_as_often_as_they_should(posterior):
    draws = posterior.sample(Y, 20_000)
    assert draws["k"].dtype == np.int64
    found = np.bincount(draws["k"].values, minlength=4) / 20_000
    np.testing.assert_allclose(found, shares(), atol=4 * np.sqrt(0.25 / 20_000))
    each = posterior.sample_each([Y, Y], 10)
    assert each["k"].dtype == np.int64
    assert each["k"].dims == ("observation", "draw")


def test_log_prob_is_the_probability_times_the_density(posterior):
    s = np.linspace(-5, 7, 7)
    density = st.norm(1 + 2 * MEAN[1], 2 * SD[1]).pdf(s)
    for k in range(4):
        found = np.exp(posterior.log_prob({"k": k, "s": s}, Y))
        np.testing.assert_allclose(found, shares(k) * density, rtol=2e-4)
    nowhere = posterior.log_prob({"k": [-1, 4, 1.5], "s": [0.0, 0.0, 0.0]}, Y)
    assert (nowhere == -np.inf).all()


def test_probabilities_and_densities_sum_to_one(posterior):
    s = np.linspace(-8, 9, 400)
    total = sum(np.trapezoid(np.exp(posterior.log_prob({"k": k, "s": s}, Y)), s) for k in range(4))
    assert total == pytest.approx(1, abs=1e-4)


def test_the_highest_is_found_among_the_values(posterior):
    found = posterior.map_estimate(Y)
    assert found["k"] == shares().argmax()
    assert isinstance(found["k"], int)
    assert found["s"] == pytest.approx(1 + 2 * MEAN[1], abs=0.01)


def test_discrete_parameters_alone():
    prior = si.Prior(k=st.binom(3, 0.5), j=st.bernoulli(0.3))
    posterior = exact_posterior(problem=nothing(prior), fitted=Normals(MEAN, SD))
    first = shares()
    second = [probability(prior, "j", j, MEAN[1], SD[1]) for j in (0, 1)]
    k, j = (axis.ravel() for axis in np.meshgrid(range(4), range(2), indexing="ij"))
    found = np.exp(posterior.log_prob({"k": k, "j": j}, Y).values)
    np.testing.assert_allclose(found, np.outer(first, second).ravel(), rtol=1e-3)
    assert posterior.map_estimate(Y) == {"k": first.argmax(), "j": np.argmax(second)}


@pytest.mark.parametrize(("count", "tolerance"), [(3, 3e-3), (4, 0.03), (6, 0.06)])
def test_several_discrete_parameters(count, tolerance):
    names = [f"k{i}" for i in range(count)]
    prior = si.Prior({name: st.binom(2, 0.5) for name in names})
    mean, sd = 0.3, 0.9
    fitted = Normals((mean,) * count, (sd,) * count)
    posterior = exact_posterior(problem=nothing(prior), fitted=fitted)
    mass = np.array([probability(prior, "k0", k, mean, sd) for k in range(3)])
    values = np.random.default_rng(1).integers(0, 3, (20, count))
    found = np.exp(posterior.log_prob(dict(zip(names, values.T, strict=True)), Y).values)
    np.testing.assert_allclose(found, mass[values].prod(axis=1), rtol=tolerance)


def test_too_many_discrete_parameters_have_draws_and_no_density():
    prior = si.Prior({f"k{i}": st.bernoulli(0.5) for i in range(9)})
    fitted = Normals((1.0,) * 9, (1.0,) * 9)
    posterior = exact_posterior(problem=nothing(prior), fitted=fitted)
    draws = posterior.sample(Y, 10)
    with pytest.raises(NoDensityError, match="9 discrete parameters.*draws are not affected"):
        posterior.log_prob(draws, Y)
    assert set(posterior.map_estimate(Y).values()) == {1}


def test_without_a_density_the_most_frequent_values_are_the_highest():
    fitted = Normals(MEAN, SD, density=False)
    posterior = exact_posterior(problem=nothing(PRIOR), fitted=fitted)
    found = posterior.map_estimate(Y)
    assert found["k"] == shares().argmax()
    assert found["s"] == pytest.approx(1 + 2 * MEAN[1], abs=0.25)


def test_an_exact_posterior_of_discrete_parameters_is_calibrated():
    """Ranks are randomised among ties; a planted wrong posterior is seen."""
    prior = si.Prior(k=st.binom(3, 0.5), b=st.bernoulli(0.1), s=st.norm())
    right = exact_posterior(2000, 2000, problem=nothing(prior), fitted=Normals((0,) * 3, (1,) * 3))
    check = briefly(right, 2000).check(progress=False)
    assert check.verdict == "trust", check.sentence
    wrong = exact_posterior(
        2000, 2000, problem=nothing(prior), fitted=Normals((0.5, 0, 0), (1,) * 3)
    )
    check = briefly(wrong, 2000).check(progress=False)
    assert check.verdict != "trust"
    assert "k" in check.sentence


def test_summary_and_corner_show_discrete_parameters(posterior):
    table = posterior.summary(Y)
    assert table.loc["k", "mode"] == shares().argmax()
    assert np.isnan(table.loc["s", "mode"])
    for column in ("median", "low68", "high68", "low95", "high95"):
        assert table.loc["k", column] in range(4)
    assert list(table.columns)[:5] == ["units", "mean", "sd", "median", "mode"]
    figure = posterior.corner(Y, truth={"k": 1, "s": 0.0})
    assert len(figure.axes) == 3
    assert r"\begin{tabular}" in posterior.latex_table(Y)


def test_simulators_get_integers_to_look_up_with():
    rates = np.array([1.0, 3.0, 6.0])

    def counts(k, s, rng):
        return {"n": float(rng.poisson(s * rates[k]))}

    problem = si.Problem(counts, si.Prior(k=st.randint(0, 3), s=st.gamma(20, scale=1 / 20)))
    fitted = Normals((0, 0), (1, 1))
    posterior = exact_posterior(problem=problem, fitted=fitted)
    assert posterior.simulations.dataset["k"].dtype == np.int64
    again = posterior.resimulate({"n": 2.0}, 50)
    assert np.isfinite(again["error"]).all()
    abc = posterior.rejection_abc({"n": 2.0}, quantile=0.1)
    assert abc["k"].dtype == np.int64


# -- trained ---------------------------------------------------------------------------------------

HEADS = st.beta(2, 2)


@si.simulator(batched=True)
def tosses(n, p, rng):
    """Toss a coin n times, and see heads, and a hint of n."""
    return {"heads": rng.binomial(n, p).astype(float), "hint": n + rng.normal(0, 1.5, len(n))}


TOSSES = si.Problem(tosses, si.Prior(n=st.randint(1, 6), p=HEADS))


def exact(heads, hint):
    """Give the probability of n = 1 ... 5: of heads it is beta-binomial."""
    n = np.arange(1, 6)
    mass = st.betabinom(n, 2, 2).pmf(heads) * st.norm(n, 1.5).pdf(hint)
    return mass / mass.sum()


@cache
def trained():
    return quick_fit(TOSSES)


@pytest.mark.slow
def test_a_trained_posterior_knows_the_probabilities():
    posterior, errors = quick_fit(TOSSES, n=8000, epochs=25), []
    for heads, hint in ((0, 1.0), (1, 2.5), (2, 3.0), (4, 4.5), (5, 6.0)):
        draws = posterior.sample({"heads": heads, "hint": hint}, 4000)
        found = np.bincount(draws["n"].values, minlength=6)[1:] / 4000
        errors.append(np.abs(found - exact(heads, hint)).max())
    assert np.mean(errors) < 0.06, errors


def test_a_trained_posterior_is_normalised_and_agrees_with_its_draws():
    y, p = {"heads": 2.0, "hint": 3.0}, np.linspace(1e-4, 1 - 1e-4, 300)
    mass = np.array(
        [np.trapezoid(np.exp(trained().log_prob({"n": n, "p": p}, y)), p) for n in range(1, 6)]
    )
    assert mass.sum() == pytest.approx(1, abs=5e-3)
    found = np.bincount(trained().sample(y, 20_000)["n"].values, minlength=6)[1:] / 20_000
    np.testing.assert_allclose(found, mass, atol=0.02)


def test_a_trained_posterior_comes_back_from_its_file(tmp_path):
    y = {"heads": 2.0, "hint": 3.0}
    trained().save(tmp_path / "tosses.sbi")
    loaded = si.load_posterior(tmp_path / "tosses.sbi")
    draws = trained().sample(y, 200)
    assert loaded.sample(y, 200).identical(draws)
    np.testing.assert_array_equal(loaded.log_prob(draws, y), trained().log_prob(draws, y))
    assert loaded.prior == TOSSES.prior
    assert loaded.core.fitted.cuts == TOSSES.prior.pieces


def test_other_methods_take_discrete_parameters_too():
    with pytest.warns(UserWarning, match="the forward network misses"):  # as coins do
        posterior = quick_fit(TOSSES, method=si.INN(blocks=2, hidden=16))
    draws = posterior.sample({"heads": 2.0, "hint": 3.0}, 20)
    assert draws["n"].dtype == np.int64
    assert draws["n"].isin(range(1, 6)).all()
