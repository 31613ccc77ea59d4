"""Posteriors of tables whose answer can be written down, with and without a stated prior."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from studies import columns, quick_fit

import sbi_inn as si

# Two correlated parameters, seen through three bands with noise.
MEAN, COVARIANCE = np.array([1.0, 50.0]), np.array([[1.0, 9.0], [9.0, 100.0]])
MIX = np.array([[1.0, 0.05], [0.5, -0.05], [-0.5, 0.1]])
NOISE = 0.8
Y = MIX @ MEAN + [1.0, 0.8, -1.0]


def exact(prior_covariance):
    """Give mean and covariance of the posterior at Y."""
    precision = np.linalg.inv(prior_covariance) + MIX.T @ MIX / NOISE**2
    covariance = np.linalg.inv(precision)
    return MEAN + covariance @ (MIX.T @ (Y - MIX @ MEAN) / NOISE**2), covariance


def table(covariance, n=4_000):
    rng = np.random.default_rng(1)
    theta = rng.multivariate_normal(MEAN, covariance, n)
    bands = theta @ MIX.T + rng.normal(0, NOISE, (n, 3))
    return pd.DataFrame(np.column_stack([theta, bands]), columns=["mass", "age", "f1", "f2", "f3"])


OPTIONS = {
    "parameters": ["mass", "age"],
    "observables": {"flux": ["f1", "f2", "f3"]},
    "progress": False,
}
INDEPENDENT = np.diag(np.diag(COVARIANCE))
STATED = si.Prior(mass=st.norm(1, 1), age=st.norm(50, 10))
CASES = {
    "correlated columns, no prior": (COVARIANCE, None),
    "independent columns, no prior": (INDEPENDENT, None),
    "independent columns, stated prior": (INDEPENDENT, STATED),
}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            case, marks=pytest.mark.slow if case == "independent columns, no prior" else ()
        )
        for case in CASES
    ],
)
def study(request):
    covariance, prior = CASES[request.param]
    simulations = si.read_simulations(table(covariance), prior=prior, **OPTIONS)
    return quick_fit(simulations, epochs=25), covariance


def test_moments(study):
    posterior, prior_covariance = study
    mean, covariance = exact(prior_covariance)
    sd = np.sqrt(np.diag(covariance))
    draws = columns(posterior.sample(Y, 20_000))
    # As for a simulator (test_known_posteriors): 3,200 training rows, and room for a short fit.
    assert np.abs((draws.mean(axis=0) - mean) / sd).max() < 0.25
    assert np.abs(draws.std(axis=0) / sd - 1).max() < 0.12
    correlation = covariance[0, 1] / sd.prod()
    assert abs(np.corrcoef(draws, rowvar=False)[0, 1] - correlation) < 0.1


def test_the_density(study):
    posterior, prior_covariance = study
    mean, covariance = exact(prior_covariance)
    true = st.multivariate_normal(mean, covariance)
    points = true.rvs(2_000, random_state=1)
    found = posterior.log_prob({"mass": points[:, 0], "age": points[:, 1]}, Y).values
    # The mean gap is the Kullback-Leibler divergence, in the parameters' own units.
    assert -0.02 < (true.logpdf(points) - found).mean() < 0.08


def test_the_density_integrates_to_one(study):
    posterior, prior_covariance = study
    mean, covariance = exact(prior_covariance)
    reach = 8 * np.sqrt(np.diag(covariance))
    axes = np.linspace(mean - reach, mean + reach, 201).T
    mass, age = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    density = np.exp(posterior.log_prob({"mass": mass, "age": age}, Y).values)
    assert abs(density.sum() * cell - 1) < 0.01


def test_the_two_answers_differ():
    """A table's own distribution matters: the tests above would tell one from the other."""
    (one, covariance), (other, _) = exact(COVARIANCE), exact(INDEPENDENT)
    assert np.abs((one - other) / np.sqrt(np.diag(covariance))).max() > 0.5


def test_it_is_calibrated_and_comes_back_from_a_file(study, tmp_path):
    posterior, _ = study
    check = posterior.check(progress=False)
    assert check.verdict != "do not trust", check.sentence
    posterior.save(tmp_path / "table.sbi")
    loaded = si.load_posterior(tmp_path / "table.sbi")
    assert loaded.prior == posterior.prior
    draws = posterior.sample(Y, 100)
    assert loaded.sample(Y, 100).identical(draws)
    assert np.array_equal(loaded.log_prob(draws, Y), posterior.log_prob(draws, Y))
    assert loaded.check(progress=False).verdict == check.verdict


def test_bounds_are_never_left():
    rng = np.random.default_rng(2)
    fraction = rng.beta(1, 8, 1_000)
    frame = pd.DataFrame({"fraction": fraction, "y": fraction + rng.normal(0, 0.3, 1_000)})
    options = {"parameters": ["fraction"], "progress": False}
    posterior = quick_fit(si.read_simulations(frame, bounds={"fraction": (0, 1)}, **options))
    draws = posterior.sample(-1.0, 20_000).fraction
    assert ((draws > 0) & (draws < 1)).all()
    assert posterior.log_prob({"fraction": [-0.1, 1.2]}, -1.0).values.tolist() == [-np.inf] * 2
    free = quick_fit(si.read_simulations(frame, **options))
    assert np.isfinite(free.log_prob({"fraction": [-0.1]}, -1.0)).all()
