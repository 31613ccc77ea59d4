"""Nuisance parameters: simulated, not inferred, and averaged over."""

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, quick_fit

import sbi_inn as si

Y = {"y": [0.5, -0.2]}

# Of fits this small, sampling rightly warns once they were checked.
pytestmark = pytest.mark.filterwarnings("ignore:the last check of this posterior said")


@pytest.fixture(scope="module")
def posterior():
    return quick_fit(LINE, infer=["b"])


def test_only_what_is_asked_for_is_inferred(posterior):
    assert posterior.prior == si.Prior(b=st.norm(0, 2))
    assert posterior.nuisances == ("a",)
    draws = posterior.sample(Y, 20)
    assert list(draws.data_vars) == ["b"]
    assert posterior.log_prob(draws, Y).shape == (20,)
    assert list(posterior.summary(Y).index) == ["b"]
    assert len(posterior.corner(Y).axes) == 1
    assert list(posterior.map_estimate(Y)) == ["b"]
    assert "a" in posterior.simulations.dataset
    assert list(posterior.rejection_abc(Y).data_vars) == ["b"]
    assert list(posterior.rejection_abc(Y, n_simulations=400).data_vars) == ["b"]


def test_the_order_is_the_prior_s():
    posterior = quick_fit(LINE, infer=["b", "a"])
    assert posterior.prior == LINE.prior
    assert posterior.nuisances == ()


def test_checks_say_what_they_skip_and_why(posterior):
    for check, skipped in (
        (posterior.check(progress=False), ["re-simulation"]),
        (posterior.check(Y, progress=False), ["re-simulation at y", "posterior predictive"]),
    ):
        for name in skipped:
            assert "a was left out by infer=" in check.skipped[name]
        assert check.records["calibration"].columns == ("b",)
    with pytest.raises(si.SimulationError, match="every parameter is needed: a was left out"):
        posterior.resimulate(Y)
    assert "posterior_predictive" not in posterior.to_datatree(Y, 20)


def test_a_marginal_posterior_comes_back_from_its_file(posterior, tmp_path):
    path = tmp_path / "marginal.sbi"
    posterior.save(path)
    loaded = si.load_posterior(path)
    assert loaded.sample(Y, 20).identical(posterior.sample(Y, 20))
    loaded = si.load_posterior(path, simulator=LINE)
    assert loaded.nuisances == ("a",)
    assert list(loaded.rejection_abc(Y, n_simulations=400).data_vars) == ["b"]
    with pytest.raises(si.LoadError, match="prior of a, left out by infer=.*si.Problem"):
        si.load_posterior(path, simulator=lambda a, b: a + b)
    with pytest.raises(si.LoadError, match="expected a problem of b, a, as in the file"):
        si.load_posterior(path, simulator=si.Problem(lambda b: b, si.Prior(b=st.norm())))


def test_simulations_already_done_can_be_fitted_for_less():
    table = si.simulate(LINE, n=300, seed=1, progress=False)
    assert quick_fit(table, infer=["a"]).prior.names == ("a",)


@pytest.mark.parametrize(
    ("infer", "message"),
    [
        (["c"], "expected some of the parameters a, b; got 'c'"),
        (["B"], "got 'B'"),
        ([], "got none"),
    ],
)
def test_wrong_names(infer, message):
    with pytest.raises(si.PriorError, match=message):
        quick_fit(LINE, infer=infer)


def test_a_dependent_parameter_comes_with_its_parents():
    prior = si.Prior(beta=st.uniform(0.1, 1), gamma=lambda beta: st.uniform(0, beta), c=st.norm())

    def rates(beta, gamma, c, rng):
        return beta - gamma + c + rng.normal(0, 0.1)

    with pytest.raises(si.PriorError, match="add beta to what is inferred"):
        quick_fit(rates, prior, infer=["gamma"])
    posterior = quick_fit(rates, prior, infer=["gamma", "beta"])
    draws = posterior.sample({"y": 0.3}, 50)
    assert (draws["gamma"] <= draws["beta"]).all()


def test_the_marginal_is_that_of_the_whole():
    """Of two moons, theta1 alone: against draws of the whole posterior by rejection."""
    posterior = si.fit_posterior(
        "two_moons",
        n_simulations=3000,
        infer=["theta1"],
        ensemble=1,
        training=si.Training(epochs=15),
        seed=1,
        progress=False,
    )
    y = {"y": [0.0, 0.0]}
    found = posterior.sample(y, 4000)["theta1"].values
    abc = si.rejection_abc(si.simulate("two_moons", n=60_000, seed=2, progress=False), y)
    assert np.mean(found) == pytest.approx(abc["theta1"].values.mean(), abs=0.1)
    assert np.std(found) == pytest.approx(abc["theta1"].values.std(), rel=0.25)
