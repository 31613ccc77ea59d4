"""What a posterior of a field gives: maps, figures, files; and what it says to wrong input."""

from functools import cache

import numpy as np
import pytest
import scipy.stats as st
from small_fields import FIELD, HOLE, SIDE, TEXTURES, blurred, clean, detector, quick, squared

import sbi_inn as si

Y = {"seen": np.where(np.arange(64).reshape(8, 8) % 8 == 3, np.nan, 0.5)}


@pytest.fixture(scope="module")
def hole():
    return quick(HOLE, 800)


@pytest.fixture(scope="module")
def seen():
    table = si.simulate(HOLE, n=1, seed=5, n_jobs=1, progress=False).as_observed()
    return {"seen": table["seen"].values[0]}


@cache
def with_flow():
    return si.fit_posterior(
        si.simulator(images=["seen"])(squared),
        si.Prior(sky=FIELD),
        n_simulations=800,
        method=si.FieldCINN(hidden=4, features=4),
        training=si.Training(epochs=2),
        n_jobs=1,
        seed=1,
        progress=False,
    )


def test_a_field_is_fitted_without_a_word_on_the_method():
    posterior = si.fit_posterior(
        HOLE,
        n_simulations=700,
        n_jobs=1,
        seed=1,
        progress=False,
        training=si.Training(epochs=1),
    )
    assert posterior.settings.name == "field"
    assert "Gaussian field in closed form" in repr(posterior)


def test_maps_are_those_of_the_draws(hole, seen):
    found = hole.maps(seen, 400, quantiles=[0.1, 0.9], exceeds=0.3)
    draws = hole.sample(seen, 400).sky
    assert np.allclose(found["mean"], draws.mean("draw"))
    assert np.allclose(found["sd"], draws.std("draw", ddof=1))
    assert np.allclose(found["quantiles"].sel(quantile=0.9), draws.quantile(0.9, "draw"))
    assert np.allclose(found["exceeds"], (draws > 0.3).mean("draw"))
    assert found["mean"].dims == ("sky_y", "sky_x")
    unseen, others = found["contraction"].values[3, 3], found["contraction"].values[0, 0]
    assert unseen < others < 1


def test_figures_of_a_map_and_of_a_profile(hole, seen):
    figure = hole.plot_field(seen, 50, truth=np.zeros((SIDE, SIDE)))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["seen", "true sky", "mean of sky", "sd of sky", "draw 1", "draw 2", "draw 3"]

    def smoothed(profile, rng):
        return {"y": np.convolve(profile, np.ones(3) / 3, "same") + rng.normal(0, 0.1, 16)}

    prior = si.Prior(profile=si.GaussianField(16, power=lambda k: (1 + k) ** -2.0))
    posterior = quick(si.Problem(smoothed, prior), 500)
    figure = posterior.plot_field(np.zeros(16), 50, truth={"profile": np.ones(16)})
    assert [axes.get_title() for axes in figure.axes] == ["observed", "profile"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hole", "textures", "flow"])
def test_a_saved_posterior_gives_the_same_draws(kind, hole, seen, tmp_path):
    posterior, y = hole, seen
    if kind == "textures":
        posterior, y = quick(TEXTURES, 800), {"seen": np.zeros((8, 8))}
    if kind == "flow":
        posterior, y = with_flow(), {"seen": np.ones((8, 8))}
        assert "wavelets" in repr(posterior)
    posterior.save(tmp_path / "field.sbi")
    again = si.load_posterior(tmp_path / "field.sbi")
    one, other = posterior.sample(y, 20), again.sample(y, 20)
    assert np.allclose(one.sky, other.sky, atol=1e-4)
    mine, theirs = (p.log_prob(one, y) for p in (posterior, again))
    assert np.allclose(mine, theirs, atol=1e-2)
    assert again.maps(y, 10)["mean"].shape == (8, 8)


@pytest.mark.slow
def test_other_parameters_beside_a_field(tmp_path):
    def level(brightness, sky, rng):
        return {"seen": brightness + blurred(sky) + rng.normal(0, 0.3, sky.shape)}

    prior = si.Prior(
        brightness=st.norm(0, 3),
        length=st.uniform(1, 3),
        sky=si.GaussianField((8, 8), power=lambda k, length: (1 + (k * length / 2) ** 2) ** -2),
    )
    posterior = si.fit_posterior(
        si.simulator(images=["seen"])(level),
        prior,
        n_simulations=700,
        method=si.FieldCINN(flow=False),
        training=si.Training(epochs=8),
        n_jobs=1,
        seed=1,
        progress=False,
    )
    y = {"seen": np.full((8, 8), 4.0)}
    draws = posterior.sample(y, 200)
    assert set(draws) == {"brightness", "length", "sky"}
    assert abs(draws.brightness.mean() - 4) < 1.5
    # Where the level is drawn too high, the map is drawn too low.
    assert np.corrcoef(draws.brightness, draws.sky.mean(("sky_y", "sky_x")))[0, 1] < -0.3
    assert np.isfinite(posterior.log_prob(draws, y)).all()
    top = posterior.map_estimate(y)
    assert abs(top["brightness"] - draws.brightness.mean()) < 2 * draws.brightness.std()
    assert np.isfinite(top["sky"]).all()


@pytest.mark.parametrize("flow", [False, True])
def test_latents_of_a_field(flow, hole, seen):
    posterior, y = hole, seen
    if flow:
        posterior, y = with_flow(), {"seen": np.ones((8, 8))}
    draws = posterior.sample(y, 200)
    latents = posterior.encode(draws, y)
    assert latents.dims == ("draw", "latent")
    assert np.allclose(posterior.decode(latents, y).sky, draws.sky, atol=1e-3)
    assert abs(float(latents.std()) - 1) < 0.05
    assert np.allclose(posterior.decode(latents, y, levels=[0, 1, 2]).sky, draws.sky, atol=1e-3)
    coarse = posterior.decode(latents, y, levels=[0]).sky - posterior.decode(0 * latents, y).sky
    fine = posterior.decode(latents, y, levels=[-1]).sky - posterior.decode(0 * latents, y).sky
    rough = [float(np.square(np.diff(one, axis=2)).mean() / one.var()) for one in (coarse, fine)]
    assert rough[0] < rough[1] / 2
    if not flow:  # at temperature 0 there is the mean alone, and in between all goes in proportion
        mean = posterior.decode(latents[:1], y, temperature=0).sky
        half = posterior.decode(latents, y, temperature=0.5).sky
        assert np.allclose(half, mean.values + (draws.sky - mean.values) / 2, atol=1e-4)


def test_the_field_of_highest_density(hole, seen):
    found = hole.map_estimate(seen)["sky"]
    mean = hole.decode(np.zeros(64), seen).sky.values[0]
    assert np.allclose(found, mean, atol=1e-5)
    posterior, y = with_flow(), {"seen": np.ones((8, 8))}
    best = posterior.log_prob(posterior.map_estimate(y), y).item()
    assert best > posterior.log_prob(posterior.sample(y, 200), y).max()
    assert best > posterior.log_prob(posterior.decode(np.zeros(64), y), y).item()


def test_the_highest_density_of_a_field_that_is_bent():
    spread = 0.5

    def logged(sky, rng):
        return {"seen": np.log(sky) / spread + rng.normal(0, 0.3, sky.shape)}

    field = si.GaussianField((8, 8), power=FIELD.power, marginal=st.lognorm(spread))
    posterior = quick(si.Problem(si.simulator(images=["seen"])(logged), si.Prior(sky=field)), 600)
    y = {"seen": np.ones((8, 8))}
    found = np.log(posterior.map_estimate(y)["sky"]).ravel() / spread
    # log exp(spread f) of a Gaussian f is linear: the mode moves by the covariance times -spread.
    straight = [
        np.log(posterior.decode(z, y).sky.values).reshape(-1, 64) / spread
        for z in (np.zeros((1, 64)), np.eye(64))
    ]
    slopes = straight[1] - straight[0]
    expected = straight[0][0] - spread * (slopes.T @ slopes).sum(axis=1)
    assert np.allclose(found, expected, atol=1e-3)


def test_latents_that_do_not_fit(hole, seen):
    with pytest.raises(si.ShapeError, match=r"shape \(draws, 64\); got shape \(1, 3\)"):
        hole.decode(np.zeros(3), seen)
    with pytest.raises(ValueError, match="temperature of 0 or more; got -1"):
        hole.decode(np.zeros(64), seen, temperature=-1)
    with pytest.raises(ValueError, match="levels among 0 to 2, 0 the coarsest; got 3"):
        hole.decode(np.zeros(64), seen, levels=[3])


# -- wrong input -----------------------------------------------------------------------------------


def test_methods_that_are_not_for_fields():
    for method, message in (
        ("inn", "not for the 64 numbers of sky"),
        (si.CINN(blocks=2), "FieldC"),
    ):
        with pytest.raises(si.PriorError, match=message):
            si.fit_posterior(HOLE, n_simulations=200, method=method, progress=False)
    two = si.Prior(sky=FIELD, ground=FIELD)
    with pytest.raises(si.PriorError, match="with one field"):
        si.fit_posterior(
            lambda sky, ground, rng: {"y": sky[0, 0] + ground[0, 0] + rng.normal()},
            two,
            n_simulations=200,
            n_jobs=1,
            progress=False,
        )
    with pytest.raises(si.PriorError, match="with one field"):
        si.fit_posterior(
            lambda a, rng: {"y": a + rng.normal()},
            si.Prior(a=st.norm()),
            method=si.FieldCINN(),
            n_simulations=200,
            n_jobs=1,
            progress=False,
        )


@pytest.mark.parametrize(
    ("lift", "message"),
    [
        (lambda y: y["seen"][:4], r"shape \(8, 8\); got shape \(4, 8\)"),
        (lambda y: y["seen"], "not finite"),
    ],
)
def test_a_lift_of_another_shape(lift, message):
    with pytest.raises(si.SimulationError, match=message):
        quick(HOLE, 300, lift=lift, flow=True)


def test_a_lift_is_given_again_on_loading(tmp_path):
    def filled(y):
        return np.nan_to_num(y["seen"])

    method = si.FieldCINN(hidden=4, features=4, lift=filled)
    posterior = si.fit_posterior(
        HOLE,
        n_simulations=700,
        method=method,
        training=si.Training(epochs=1),
        n_jobs=1,
        seed=1,
        progress=False,
    )
    posterior.save(tmp_path / "lifted.sbi")
    with pytest.raises(si.LoadError, match="trained with lift="):
        si.load_posterior(tmp_path / "lifted.sbi")
    assert si.load_posterior(tmp_path / "lifted.sbi", method=si.FieldCINN(lift=filled))


def test_observations_of_another_shape_and_pixels_that_are_all_missing(hole):
    with pytest.raises(si.ShapeError, match=r"seen of shape \(8, 8\)"):
        hole.sample({"seen": np.ones((8, 4))}, 3)
    with pytest.warns(UserWarning, match="100% of the seen is missing"):
        draws = hole.sample({"seen": np.full((8, 8), np.nan)}, 300)
    # Nothing was seen: these are draws of the prior.
    assert abs(draws.sky.std() - 1) < 0.1


def test_maps_of_what_is_no_field(hole, seen):
    with pytest.raises(si.PriorError, match="one of sky; got moon"):
        hole.maps(seen, name="moon")
    with pytest.raises(ValueError, match="quantiles between 0 and 1"):
        hole.maps(seen, quantiles=[2])
    with pytest.raises(si.ShapeError, match="true field of shape"):
        hole.plot_field(seen, 5, truth=np.zeros(3))


@pytest.mark.slow
def test_a_drawn_prior_cannot_be_reweighted():
    posterior = quick(TEXTURES, 300)
    y = {"seen": np.zeros((8, 8))}
    with pytest.raises(si.PriorError, match="never stated"):
        posterior.reweight(posterior.sample(y, 20), TEXTURES.prior)


def test_the_noise_of_a_problem_is_applied(hole):
    assert hole.problem.noise is not None
    assert detector(clean.function(np.zeros((8, 8)))["seen"], np.random.default_rng(1))


def test_refine_says_that_it_has_no_regions_of_fields(hole, seen):
    with pytest.raises(
        si.PriorError, match="cannot be used for fields; the prior has the field sky"
    ):
        hole.refine(seen, 1_000, progress=False)
