"""What a Posterior of the bidirectional network promises beyond those of other methods."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats as st
from linear import OBSERVATIONS, linear
from studies import LINE, briefly, columns, exact_posterior, quick_fit

import sbi_inn as si

SMALL = si.INN(blocks=4, hidden=32, depth=1)
Y = OBSERVATIONS[0]


@pytest.fixture(scope="module")
def posterior():
    return quick_fit(linear(), method=SMALL, n=2_000, epochs=15)


def three(a, b):
    return {"y": a, "v": b, "w": a + b}


BOX = si.Prior(a=st.uniform(0, 1), b=st.uniform(-1, 2))
INSIDE = {"y": 0.3, "v": 0.5, "w": 0.8}


@pytest.fixture(scope="module", params=["likelihood", pytest.param("mmd", marks=pytest.mark.slow)])
def padded(request):
    settings = si.INN(loss=request.param, blocks=3, hidden=32, depth=1, width=8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the forward network misses")
        return quick_fit(three, BOX, method=settings, n=1_000, epochs=30)


# -- tolerance -------------------------------------------------------------------------------------


def test_another_tolerance_changes_the_draws_and_not_the_network(posterior):
    wide = posterior.at_tolerance(0.5)
    assert not wide.sample(Y, 50).equals(posterior.sample(Y, 50))
    assert wide.core.fitted.network is posterior.core.fitted.network
    parameters = posterior.sample(Y, 50)
    assert wide.emulate(parameters).equals(posterior.emulate(parameters))
    assert posterior.settings.tolerance is None
    assert wide.at_tolerance(None).sample(Y, 50).identical(posterior.sample(Y, 50))
    for name in ("simulations", "test_rows", "seed", "problem", "n_simulations"):
        assert getattr(wide.core, name) is getattr(posterior.core, name)
    again = wide.resimulate(Y, 2_000)
    # Two observables, each off by .5 spreads: a Rayleigh law of median .5 sqrt(2 log 2) = .59,
    # a little less where the prior holds back.
    assert 0.4 < again.scaled_error.median() < 0.65


def test_draws_at_exactly_the_observation_have_no_density(posterior):
    exactly = posterior.at_tolerance(0.0)
    draws = exactly.sample(Y, 50)
    with pytest.raises(TypeError, match=r"tolerance 0.*use posterior.at_tolerance\(...\)"):
        exactly.log_prob(draws, Y)
    assert np.isfinite(posterior.log_prob(draws, Y)).all()
    assert set(exactly.map_estimate(Y)) == set("abcd")


def test_checks_say_the_tolerance(posterior):
    check = briefly(posterior, 100).check(Y)
    for name in ("re-simulation", "re-simulation at y"):
        assert check.records[name].remark == posterior.core.remark
    figure = check.records["re-simulation at y"].plot()
    assert figure.axes[0].get_title() == posterior.core.remark
    plt.close("all")


# -- padding ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_padded_network_has_no_density(padded):
    assert padded.core.fitted.network.sides.padded
    with pytest.raises(TypeError, match='padding there is no density .*method="cinn"'):
        padded.log_prob({"a": 0.3, "b": 0.5}, INSIDE)


def test_without_a_density_the_highest_is_that_of_the_draws(padded):
    found = padded.map_estimate(INSIDE)
    draws = columns(padded.sample(INSIDE, 2_000))
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    at = np.array([found["a"], found["b"]])
    assert ((at > low) & (at < high)).all()
    assert 0 <= found["a"] <= 1
    assert -1 <= found["b"] <= 1
    assert found == padded.map_estimate(INSIDE)


def test_draws_of_a_padded_network_are_near_the_truth(padded):
    draws = padded.sample(INSIDE, 2_000)
    # Three noiseless observables of two parameters, and a second of training.
    assert abs(draws.a.median().item() - 0.3) < 0.15
    assert abs(draws.b.median().item() - 0.5) < 0.3
    assert draws.a.min() >= 0
    assert draws.a.max() <= 1


# -- the latent ------------------------------------------------------------------------------------


def test_the_latent_figure_has_a_panel_a_parameter(posterior):
    figure = posterior.plot_latent(Y, n=11)
    panels = [axes for axes in figure.axes if axes.get_xlabel() == "latent 1"]
    assert len(panels) == 4
    swapped = posterior.plot_latent(Y, axes=(1, 0), n=11)
    assert {axes.get_xlabel() for axes in swapped.axes} >= {"latent 2"}
    plt.close("all")


def test_the_grid_is_what_the_latents_stand_for(posterior):
    axis = np.array([-1.0, 0.0, 2.0])
    grid = posterior.latent_grid(Y, axis, (0, 1))
    assert grid.sizes == {"draw": 9}
    z = np.array([[a, b] for a in axis for b in axis])  # the second axis fastest
    found = posterior.core.fitted.decode(posterior.schema.read(Y), z)
    assert np.allclose(columns(grid), posterior.prior.flatten(posterior.prior.from_latent(found)))
    # Whatever the latent, the observation is the same: that is what the latent is.
    again = posterior.emulate(grid).y.values
    assert np.allclose(again, Y, atol=1e-2 * np.abs(posterior.core.scale))
    turned = posterior.latent_grid(Y, axis, (1, 0))
    order = np.arange(9).reshape(3, 3).T.ravel()
    assert np.allclose(columns(turned), columns(grid)[order])


@pytest.mark.parametrize("axes", [(0, 2), (1, 1), (-1, 0)])
def test_axes_that_are_not_there(posterior, axes):
    with pytest.raises(ValueError, match="two different axes of the 2 latents; got"):
        posterior.plot_latent(Y, axes=axes)


def test_one_latent_has_no_figure():
    posterior = quick_fit(
        lambda a, b: a + b, LINE.prior, method=si.INN(blocks=2, hidden=16), n=1_000, epochs=10
    )
    assert posterior.core.fitted.latent_dim == 1
    with pytest.raises(ValueError, match="two different axes of the 1 latents"):
        posterior.plot_latent(0.3)


def test_the_latent_of_other_methods():
    posterior = quick_fit(LINE)
    assert len(posterior.plot_latent([1.0, -0.5], n=9).axes) >= 2
    plt.close("all")
    grid = columns(posterior.latent_grid([1.0, -0.5], np.linspace(-3, 3, 41)))
    draws = columns(posterior.sample([1.0, -0.5], 4_000))
    # A grid over a latent maps to where the draws are, and around.
    assert (grid.min(axis=0) < np.quantile(draws, 0.05, axis=0)).all()
    assert (grid.max(axis=0) > np.quantile(draws, 0.95, axis=0)).all()


def test_methods_without_a_latent_say_so():
    with pytest.raises(TypeError, match="draws of the method exact do not come from latents"):
        exact_posterior(n=100, test=50).plot_latent([1.0, -0.5])
