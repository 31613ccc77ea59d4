"""posterior.importance: exact draws and the evidence where the likelihood is known."""

import os
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st
from normals import Normals, nothing
from scipy.special import gammaln
from studies import (
    LINE,
    MIX,
    NOISE,
    SAMPLE,
    SPREAD,
    ExactLine,
    ExactSample,
    columns,
    exact,
    exact_posterior,
    quick_fit,
)

import sbi_inn as si
from sbi_inn.diagnostics.two_samples import c2st
from sbi_inn.prior import Prior
from sbi_inn.simulation import pool
from sbi_inn.weighting import likelihood as likelihood_module

Y = np.array([1.0, 0.5])
LOG_EVIDENCE = float(
    st.multivariate_normal([0, 0], MIX @ np.diag(SPREAD**2) @ MIX.T + NOISE**2 * np.eye(2)).logpdf(
        Y
    )
)


def likelihood(a, b, y):
    """Of one row, without scipy, which takes far longer for it than the arithmetic."""
    gap = (y - MIX @ [a, b]) / NOISE
    return -0.5 * gap @ gap - 2 * np.log(NOISE * np.sqrt(2 * np.pi))


def rows(a, b, y):
    """Of many rows."""
    return st.norm(np.column_stack([a, b]) @ MIX.T, NOISE).logpdf(y).sum(axis=1)


def weighted(posterior=None, function=rows, n=4_000, *, y=Y, batched=True, **settings):
    posterior = posterior or exact_posterior()
    return posterior.importance(y, function, n, batched=batched, **settings)


def close_to_the_line(found):
    """Whether draws are those of the exact posterior of `LINE`, and the evidence its evidence."""
    mean, covariance = exact(Y)
    sd, error = np.sqrt(np.diag(covariance)), 5 / np.sqrt(found.effective_sample_size)
    draws = columns(found.draws)
    assert len(draws) == round(found.effective_sample_size)
    assert np.abs((draws.mean(axis=0) - mean) / sd).max() < error
    assert np.abs(draws.std(axis=0) / sd - 1).max() < error
    correlation = np.corrcoef(draws, rowvar=False)[0, 1]
    assert abs(correlation - covariance[0, 1] / sd.prod()) < error
    assert abs(found.log_evidence - LOG_EVIDENCE) < 4 * found.log_evidence_error + 1e-3
    return True


class TestWhatComesBack:
    @pytest.mark.parametrize(
        "fitted",
        [ExactLine(), ExactLine(width=5.0), ExactLine(width=0.4), ExactLine(shift=3.0)],
        ids=["exact", "wide", "narrow", "off"],
    )
    def test_exact_draws_whatever_the_network(self, fitted):
        found = weighted(exact_posterior(fitted=fitted))
        assert close_to_the_line(found)
        assert found.verdict == "trust"
        assert found.effective_share > 0.5
        assert found.log_evidence_error < 0.02
        assert (found.network_share > 0.99) == (fitted == ExactLine())

    def test_the_raw_draws_go_with_their_weights(self):
        found = weighted(exact_posterior(fitted=ExactLine(width=3.0)))
        assert found.weights.sum() == pytest.approx(1)
        raw, (mean, covariance) = columns(found.raw), exact(Y)
        gap = (found.weights @ raw - mean) / np.sqrt(np.diag(covariance))
        assert np.abs(gap).max() < 5 / np.sqrt(found.effective_sample_size)
        assert found.draws.attrs["effective_sample_size"] == found.effective_sample_size
        # Every draw is one of the raw ones, and comes as often as its weight says, up to one.
        place = {tuple(row): i for i, row in enumerate(raw)}
        drawn = columns(found.draws)
        counts = np.bincount([place[tuple(row)] for row in drawn], minlength=4_000)
        assert np.abs(counts - len(drawn) * found.weights).max() < 1
        # They come in random order: the first of them are a fair sample too.
        half = drawn[: len(drawn) // 2]
        assert np.abs((half.mean(axis=0) - mean) / np.sqrt(np.diag(covariance))).max() < 0.15

    def test_labels_go_along_into_tables_and_figures(self):
        found = weighted(n=500)
        assert found.draws["a"].attrs["label"] == "intercept"
        table = si.summary(found.draws)
        assert table.loc["a", "units"] == "m"
        assert 0 < table.loc["a", "width"] < 1
        figure = si.corner({"weighted": found.draws, "network": exact_posterior().sample(Y, 500)})
        assert len(figure.axes) >= 3

    def test_in_words(self):
        found = weighted(exact_posterior(fitted=ExactLine(width=5.0)))
        assert found.sentence.startswith("the draws follow the exact posterior: 4,000 weighted")
        said = repr(found)
        assert said.startswith("trust: ")
        assert f"ln evidence {found.log_evidence:.3f} +- " in said
        assert f"{found.evaluations:,} evaluations of the likelihood" in said

    def test_every_evaluation_is_counted(self):
        seen = []

        def counted(a, b, y):
            seen.append(len(a))
            return rows(a, b, y)

        found = weighted(function=counted)
        assert sum(seen) <= found.evaluations < 1.01 * sum(seen)  # far tails are not asked for

    def test_nothing_is_asked_where_the_prior_has_no_mass(self):
        furthest = []

        def noted(a, b, y):
            furthest.append(max(np.abs(a / SPREAD[0]).max(), np.abs(b / SPREAD[1]).max()))
            return rows(a, b, y)

        weighted(function=noted)
        assert 3 < max(furthest) <= 10

    def test_the_seed_decides(self):
        one, same, other = (weighted(n=500, seed=seed) for seed in (1, 1, 2))
        assert one.draws.identical(same.draws)
        assert one.log_evidence == same.log_evidence
        assert not one.draws.equals(other.draws)
        assert weighted(n=500).draws.identical(weighted(n=500).draws)


class TestHowTheLikelihoodIsCalled:
    def test_one_row_at_a_time_gives_what_batches_give(self):
        one = weighted(function=likelihood, n=300, batched=False, n_jobs=1)
        many = weighted(n=300)
        assert np.allclose(one.weights, many.weights)
        assert np.allclose(columns(one.draws), columns(many.draws))

    def test_a_vector_of_all_parameters(self):
        def vector(theta, y):
            return likelihood(*theta, y)

        def vectors(theta, y):
            return st.norm(theta @ MIX.T, NOISE).logpdf(y).sum(axis=1)

        expected = weighted(n=300).weights
        assert np.allclose(weighted(function=vectors, n=300).weights, expected)
        found = weighted(function=vector, n=300, batched=False, n_jobs=1)
        assert np.allclose(found.weights, expected)

    def test_the_data_may_be_its_own(self):
        found = weighted(function=lambda a, b: rows(a, b, Y), n=300)
        assert np.allclose(found.weights, weighted(n=300).weights)

    @pytest.mark.slow
    def test_a_slow_one_runs_on_several_processes(self, monkeypatch, tmp_path):
        monkeypatch.setattr(pool, "WORTH_IT", 0.0)

        def slow(a, b, y):
            (tmp_path / str(os.getpid())).touch()
            return likelihood(a, b, y)

        found = weighted(function=slow, n=300, batched=False, n_jobs=2)
        assert np.allclose(found.weights, weighted(n=300).weights)
        assert len(list(tmp_path.iterdir())) > 1

    def test_a_slow_one_shows_how_far_it_is(self, capsys, monkeypatch):
        monkeypatch.setattr(likelihood_module, "PATIENCE", 0.0)
        weighted(function=likelihood, n=300, batched=False, n_jobs=1)
        assert "log_likelihood" in capsys.readouterr().err
        weighted(function=likelihood, n=300, batched=False, n_jobs=1, progress=False)
        assert capsys.readouterr().err == ""

    def test_one_bad_row_ends_it_at_once(self):
        called = []

        def breaks(a, b, y):
            called.append(a)
            return np.nan if len(called) > 50 else likelihood(a, b, y)

        with pytest.raises(si.ShapeError, match="got nan for a = "):
            weighted(function=breaks, batched=False, n_jobs=1)
        assert len(called) == 51

    def test_what_it_raises_says_where(self):
        def broken(a, b, y):
            raise ZeroDivisionError("oops")

        with pytest.raises(ZeroDivisionError, match="oops") as caught:
            weighted(function=broken, batched=False)
        assert "log_likelihood was called with a = " in caught.value.__notes__[0]


BAD_LIKELIHOODS = {
    "NaN": (lambda a, b: np.full(len(a), np.nan), si.ShapeError, r"-inf from .*; got nan for a = "),
    "inf": (lambda a, b: np.where(a > 0, np.inf, 0.0), si.ShapeError, "got inf for a = "),
    "nothing": (lambda a, b: np.full(len(a), -np.inf), si.ShapeError, "not always -inf"),
    "scalar": (lambda a, b: 0.0, si.ShapeError, r"got shape \(\)\. If it takes one row at a time"),
    "matrix": (lambda a, b: np.zeros((len(a), 2)), si.ShapeError, r"got shape \(\d+, 2\)"),
    "stranger": (lambda a, slope: a, si.SimulationError, "log_likelihood's argument 'slope'"),
    "no parameter": (lambda y: 0.0, si.SimulationError, "takes none of the parameters"),
    "random": (lambda a, rng: a, si.SimulationError, "asks for random numbers"),
    "no function": ("logpdf", si.SimulationError, "can be called; got 'logpdf'"),
}


class TestWhatDoesNotFit:
    @pytest.mark.parametrize("name", BAD_LIKELIHOODS)
    def test_a_likelihood(self, name):
        function, error, message = BAD_LIKELIHOODS[name]
        with pytest.raises(error, match=message):
            weighted(function=function)

    def test_a_likelihood_of_one_row(self):
        with pytest.raises(si.ShapeError, match=r"got shape \(2,\)\. Sum over the data"):
            weighted(function=lambda a, b, y: y - a, batched=False)
        with pytest.raises(si.ShapeError, match="got nan for a = "):
            weighted(function=lambda a: np.nan, batched=False)

    def test_an_observation(self):
        with pytest.raises(si.ShapeError, match="expected y of shape"):
            weighted(y=[1.0, 2.0, 3.0])

    def test_a_number_of_draws(self):
        with pytest.raises(ValueError, match="whole number"):
            weighted(n=0)

    def test_a_method_that_has_no_density(self):
        called = []
        problem = nothing(si.Prior(a=st.norm(), b=st.norm()))
        fitted = Normals((0, 0), (1, 1), density=False)
        posterior = exact_posterior(problem=problem, fitted=fitted)
        with pytest.raises(si.NoDensityError, match="draws only"):
            weighted(posterior, called.append, y=0.0)
        assert not called  # what may take hours is not begun

    def test_a_prior_that_was_never_stated(self):
        table = exact_posterior().simulations
        frame = table.dataset[["a", "b"]].to_dataframe()
        frame[["y0", "y1"]] = table.dataset["y"].values
        read = si.read_simulations(frame, parameters=["a", "b"], observables=["y0", "y1"])
        posterior = quick_fit(read)
        with pytest.raises(si.PriorError, match="was never stated"):
            posterior.importance({"y0": 1.0, "y1": 0.5}, lambda a, b: 0.0)


class TestVerdicts:
    def test_a_few_draws_cannot_tell(self):
        found = weighted(n=50)
        assert found.verdict == "cannot tell"
        assert "too few draws to judge the weights by: 50 weighted draws" in found.sentence

    @pytest.mark.slow
    def test_weights_that_are_too_uneven(self):
        """A ring of a thousandth of its radius, by a network that knows nothing."""
        problem = nothing(si.Prior(a=st.norm(), b=st.norm()))
        posterior = exact_posterior(problem=problem, fitted=Normals((0, 0), (1, 1)))
        found = weighted(posterior, lambda a, b: st.norm(2, 1e-3).logpdf(np.hypot(a, b)), y=0.0)
        assert found.verdict == "do not trust"
        assert "Fit with more simulations" in found.sentence
        assert "exact" not in found.sentence

    def test_a_part_that_is_missed(self):
        found = replace(weighted(), missed=True)
        assert found.verdict == "do not trust"
        assert "a part of the posterior was seen that the draws do not reach" in found.sentence

    def test_between_the_limits(self):
        assert replace(weighted(), pareto_k=0.6).verdict == "caution"
        assert replace(weighted(), pareto_k=0.8).verdict == "do not trust"
        few = replace(weighted(), effective_share=300 / 4_000)
        assert few.verdict == "caution"
        assert "fewer than 400 effective draws are left" in few.sentence
        assert replace(weighted(), effective_share=90 / 4_000).verdict == "do not trust"


# -- priors and parameters of every kind -----------------------------------------------------------


def test_proposals_lie_beyond_all_that_was_simulated():
    posterior, asked = exact_posterior(), []
    simulated = np.abs(posterior.core.simulations.dataset["a"].values).max()

    def recorded(a, b, y):
        asked.append(a)
        return np.where(np.abs(a) > simulated, -np.inf, rows(a, b, y))

    assert close_to_the_line(weighted(posterior, recorded))  # whose posterior ends before
    far = np.abs(np.concatenate(asked)) > simulated
    assert 0 < far.mean() < 0.1

    def undefined(a, b, y):
        return np.where(np.abs(a) > simulated, np.nan, rows(a, b, y))

    with pytest.raises(si.ShapeError, match="got nan for a = .* Where the data are impossible"):
        weighted(posterior, undefined)


def test_sets_and_a_prior_of_dependent_parameters():
    """Mean and spread of a sample: the evidence of the normal-inverse-gamma model."""
    y = np.random.default_rng(2).normal(0.5, 1.2, 30)
    posterior = exact_posterior(problem=SAMPLE, fitted=ExactSample(width=2.0))

    def of_sample(mu, sigma, y, n):
        assert n == 30
        return st.norm(mu[:, None], sigma[:, None]).logpdf(y).sum(axis=1)

    found = weighted(posterior, of_sample, y={"y": y})
    n, mean = len(y), y.mean()
    rate = 3 + (((y - mean) ** 2).sum() + n / (1 + n) * mean**2) / 2
    expected = gammaln(3 + n / 2) - gammaln(3) + 3 * np.log(3) - (3 + n / 2) * np.log(rate)
    expected -= 0.5 * np.log(1 + n) + 0.5 * n * np.log(2 * np.pi)
    assert found.verdict == "trust"
    assert abs(found.log_evidence - expected) < 4 * found.log_evidence_error + 1e-3
    sigma = found.draws["sigma"].values
    law = st.gengamma(3 + n / 2, -2, scale=np.sqrt(rate))
    error = 5 / np.sqrt(found.effective_sample_size)
    assert abs((sigma.mean() - law.mean()) / law.std()) < error


def test_discrete_parameters():
    """One of four rates times a scale: probabilities and evidence by enumeration."""
    rates = np.array([1.0, 3.0, 6.0, 10.0])
    prior = si.Prior(k=st.randint(0, 4), scale=st.gamma(20, scale=1 / 20))
    posterior = exact_posterior(problem=nothing(prior), fitted=Normals((0, 0), (1, 1)))

    def counts(k, scale):
        assert k.dtype.kind == "i"
        return st.poisson(rates[k] * scale).logpmf(5)

    found = weighted(posterior, counts, n=10_000, y=0.0)
    grid = np.linspace(0.05, 4, 4_000)
    mass = [
        np.trapezoid(st.gamma(20, scale=1 / 20).pdf(grid) * st.poisson(r * grid).pmf(5) / 4, grid)
        for r in rates
    ]
    assert abs(found.log_evidence - np.log(np.sum(mass))) < 4 * found.log_evidence_error
    shares = np.bincount(found.draws["k"].values, minlength=4) / found.draws.sizes["draw"]
    error = 5 * 0.5 / np.sqrt(found.effective_sample_size)
    assert np.abs(shares - mass / np.sum(mass)).max() < error
    assert found.draws["k"].dtype.kind == "i"


def test_shares_that_sum_to_one():
    """A dirichlet has one latent fewer than entries: conjugate to multinomial counts."""
    prior = si.Prior(share=st.dirichlet([1.0, 2.0, 3.0]))
    posterior = exact_posterior(problem=nothing(prior), fitted=Normals((0, 0), (1, 1)))
    n = np.array([10, 4, 6])
    found = weighted(posterior, lambda share: (n * np.log(share)).sum(axis=1), y=0.0)

    def log_beta(alpha):
        return gammaln(alpha).sum() - gammaln(alpha.sum())

    alpha = np.array([1.0, 2.0, 3.0])
    expected = log_beta(alpha + n) - log_beta(alpha)
    assert abs(found.log_evidence - expected) < 4 * found.log_evidence_error
    law = st.dirichlet(alpha + n)
    gap = (found.draws["share"].values.mean(axis=0) - law.mean()) / np.sqrt(law.var())
    assert np.abs(gap).max() < 5 / np.sqrt(found.effective_sample_size)


@pytest.fixture(scope="module")
def only_a():
    """b is left out: y is MIX a, and what b and the noise add to it."""
    return quick_fit(LINE, n=2_000, epochs=5, infer=["a"])


def test_a_likelihood_of_all_parameters_where_some_were_left_out(only_a):
    with pytest.raises(si.SimulationError, match=r"asks for b, which infer= left out"):
        only_a.importance(Y, rows, batched=True)


def test_the_likelihood_of_what_is_inferred(only_a):
    covariance = SPREAD[1] ** 2 * np.outer(MIX[:, 1], MIX[:, 1]) + NOISE**2 * np.eye(2)

    def averaged(a, y):
        return st.multivariate_normal([0, 0], covariance).logpdf(y - a[:, None] * MIX[:, 0])

    found = only_a.importance(Y, averaged, 4_000, batched=True)
    assert found.verdict == "trust"
    assert abs(found.log_evidence - LOG_EVIDENCE) < 4 * found.log_evidence_error + 1e-3
    mean, exact_covariance = exact(Y)
    gap = (float(found.draws["a"].mean()) - mean[0]) / np.sqrt(exact_covariance[0, 0])
    assert abs(gap) < 5 / np.sqrt(found.effective_sample_size)


def test_the_evidence_is_that_of_the_whole_prior(monkeypatch):
    """Where the prior is what was left of a wider one, its share of that counts."""
    before = weighted(n=500).log_evidence
    monkeypatch.setattr(Prior, "log_mass", np.log(0.25))
    assert weighted(n=500).log_evidence == pytest.approx(before + np.log(0.25))


def test_after_loading(tmp_path):
    posterior = quick_fit(LINE)
    path = tmp_path / "line.sbi"
    posterior.save(path)
    found = weighted(si.load_posterior(path))
    assert close_to_the_line(found)
    assert found.verdict == "trust"


# -- networks that were trained, and one that misses a mode ----------------------------------------


def test_a_short_fit_becomes_exact():
    found = weighted(quick_fit(LINE, n=300, epochs=2), n=10_000)
    assert found.network_share < 0.95
    assert close_to_the_line(found)


@pytest.mark.slow
def test_a_classifier_cannot_tell_the_draws_from_exact_ones():
    """A network four times as wide: .5 for the same distribution, with a noise of .008."""
    posterior = exact_posterior(fitted=ExactLine(width=4.0))
    rng = np.random.default_rng(1)
    truth = rng.multivariate_normal(*exact(Y), 2_000)
    found = columns(weighted(posterior, n=8_000).draws)[:2_000]
    assert c2st(truth, columns(posterior.sample(Y, 2_000)), rng=rng) > 0.7
    assert c2st(truth, found, rng=rng) < 0.52


def test_a_network_that_was_learned_forwards():
    """One observable, and one latent beside it: no padding, and so a density."""

    @si.simulator(batched=True)
    def total(a, b):
        return a + b

    problem = si.Problem(total, si.Prior(a=st.norm(), b=st.norm()))
    method = si.INN(loss="likelihood", latent=1, blocks=4, hidden=32)
    posterior = quick_fit(problem, n=1_000, epochs=10, method=method)

    def noisy(a, b, y):
        return st.norm(a + b, 0.2).logpdf(y)

    found = posterior.importance(1.0, noisy, 4_000, batched=True)
    expected = st.norm(0, np.sqrt(2.04)).logpdf(1.0)
    assert abs(found.log_evidence - expected) < 4 * found.log_evidence_error + 1e-3
    assert found.verdict == "trust"


def test_a_network_with_padding_has_no_density():
    with pytest.warns(UserWarning, match="forward network misses"):
        posterior = quick_fit(LINE, method=si.INN(blocks=4, hidden=32))
    with pytest.raises(si.NoDensityError, match="with padding there is no density"):
        weighted(posterior)


@si.simulator(batched=True)
def squares(a, b, rng):
    """Measure two squares: their signs remain unknown."""
    return np.column_stack([a, b]) ** 2 + 0.1 * rng.standard_normal((len(a), 2))


SQUARED = np.array([1.0, 0.8])


@pytest.fixture(scope="module")
def four_modes():
    """Weight a network that knows one of four modes."""
    problem = si.Problem(squares, si.Prior(a=st.norm(), b=st.norm()))
    posterior = exact_posterior(5_000, problem=problem, fitted=Normals((1.0, 0.9), (0.05, 0.06)))

    def of_squares(a, b, y):
        return st.norm(np.column_stack([a, b]) ** 2, 0.1).logpdf(y).sum(axis=1)

    return posterior.importance(SQUARED, of_squares, 10_000, batched=True)


def test_modes_that_the_network_has_missed_are_found(four_modes):
    signs = np.sign(columns(four_modes.draws))
    _, counts = np.unique(signs, axis=0, return_counts=True)
    error = 5 * 0.5 / np.sqrt(four_modes.effective_sample_size)
    assert np.abs(counts / counts.sum() - 0.25).max() < error
    assert four_modes.verdict == "trust"


def test_the_evidence_of_four_modes_is_that_of_quadrature(four_modes):
    grid = np.linspace(-4, 4, 20_001)
    each = [np.trapezoid(st.norm.pdf(grid) * st.norm(grid**2, 0.1).pdf(y), grid) for y in SQUARED]
    gap = four_modes.log_evidence - np.log(each).sum()
    assert abs(gap) < 4 * four_modes.log_evidence_error
