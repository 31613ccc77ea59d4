"""Vector-valued, bounded and heavy-tailed parameters, from the prior to the file."""

from functools import cache

import numpy as np
import pytest
import scipy.stats as st
from normals import Normals, nothing
from studies import exact_posterior, quick_fit, subject_of

import sbi_inn as si
from sbi_inn.checks.calibration import CALIBRATION
from sbi_inn.checks.joint import JOINT_COVERAGE
from sbi_inn.checks.recovery import RECOVERY

COV = [[1.0, 0.6], [0.6, 2.0]]
KINDS = {
    "bounded": si.Prior(x=st.uniform(-1, 3), z=st.beta(0.5, 0.5)),
    "cauchy": si.Prior(x=st.cauchy(1, 2), z=st.halfcauchy(0, 3)),
    "lognorm": si.Prior(x=st.lognorm(3), z=st.pareto(1.1)),
    "vectors": si.Prior(x=st.multivariate_normal([0, 1], COV), z=st.norm()),
    "heavy vector": si.Prior(x=st.multivariate_t([0, 1], COV, df=1), z=st.expon()),
    "simplex": si.Prior(x=st.dirichlet([1.0, 2.0, 0.5])),
    "mixture": si.Prior(x=si.Mixture([0.3, 0.7], [st.norm(-2, 0.5), st.norm(2, 1)]), z=st.norm()),
    "dependent": si.Prior(x=st.lognorm(1), z=lambda x: st.uniform(0, x)),
}
Y = {"y": 0.3}
every = pytest.mark.parametrize("kind", KINDS)


@cache
def posterior_of(kind):
    """Make one whose latents are known: each N(.3, .8^2)."""
    width = KINDS[kind].latent_dim
    return exact_posterior(
        problem=nothing(KINDS[kind]), fitted=Normals((0.3,) * width, (0.8,) * width)
    )


@every
def test_draws_are_finite_inside_the_support_and_of_finite_density(kind):
    posterior = posterior_of(kind)
    draws = posterior.sample(Y, 2000)
    for name, (low, high) in posterior.prior.support.items():
        assert np.isfinite(draws[name]).all()
        assert (draws[name] > low).all()
        assert (draws[name] < high).all()
    assert np.isfinite(posterior.log_prob(draws, Y)).all()


@every
def test_log_prob_is_normalised(kind):
    """The mean of q / p over draws of the prior p is one, and so is that of p / q over draws of q.

    Only one of the two has a variance: here the posterior is narrower, and it is the first.
    """
    posterior = posterior_of(kind)
    parameters = posterior.prior.sample(20_000, np.random.default_rng(1))
    ratio = np.exp(posterior.log_prob(parameters, Y) - posterior.prior.log_prob(parameters))
    error = float(ratio.std()) / np.sqrt(20_000)
    assert float(ratio.mean()) == pytest.approx(1, abs=4 * error)
    assert error < 0.02


@every
def test_summaries_corners_and_tables(kind):
    posterior = posterior_of(kind)
    table = posterior.summary(Y)
    assert list(table.index) == list(posterior.prior.columns)
    assert np.isfinite(table["median"]).all()
    assert (table["low95"] <= table["high95"]).all()
    assert ((table["width"] > 0) & (table["width"] < 10)).all()
    d = posterior.prior.dim
    figure = posterior.corner(Y, 2000)
    assert len(figure.axes) == d * (d + 1) // 2
    figure.canvas.draw()
    assert r"\begin{tabular}" in posterior.latex_table(Y)
    found = posterior.map_estimate(Y)
    assert np.isfinite(posterior.log_prob(found, Y)).all()


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow if k == "mixture" else ()) for k in KINDS]
)
def test_an_exact_posterior_is_calibrated(kind):
    width = KINDS[kind].latent_dim
    fitted = Normals((0.0,) * width, (1.0,) * width)
    posterior = exact_posterior(500, 500, problem=nothing(KINDS[kind]), fitted=fitted)
    subject = subject_of(posterior)
    assert CALIBRATION.record(subject).verdict == "trust"
    assert JOINT_COVERAGE.record(subject).verdict == "trust"
    assert np.isfinite(RECOVERY.record(subject).table.to_numpy()).all()


@pytest.mark.parametrize("kind", ["cauchy", "lognorm", "heavy vector", "simplex"])
def test_trained_and_back_from_the_file(kind, tmp_path):
    posterior = quick_fit(nothing(KINDS[kind]))
    posterior.save(tmp_path / "kind.sbi")
    loaded = si.load_posterior(tmp_path / "kind.sbi")
    draws = posterior.sample(Y, 200)
    assert loaded.prior == posterior.prior
    assert loaded.sample(Y, 200).identical(draws)
    np.testing.assert_array_equal(loaded.log_prob(draws, Y), posterior.log_prob(draws, Y))
