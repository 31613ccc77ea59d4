"""What a posterior of a field gives: maps, figures, files; and what it says to wrong input."""

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


@pytest.mark.parametrize("kind", ["hole", "textures", "flow"])
def test_a_saved_posterior_gives_the_same_draws(kind, hole, seen, tmp_path):
    posterior, y = hole, seen
    if kind == "textures":
        posterior, y = quick(TEXTURES, 800), {"seen": np.zeros((8, 8))}
    if kind == "flow":
        training = si.Training(epochs=2)
        method = si.FieldCINN(hidden=4, features=4)
        simulator, prior = si.simulator(images=["seen"])(squared), si.Prior(sky=FIELD)
        posterior = si.fit_posterior(
            simulator,
            prior,
            n_simulations=800,
            method=method,
            training=training,
            n_jobs=1,
            seed=1,
            progress=False,
        )
        assert "wavelets" in repr(posterior)
        y = {"seen": np.ones((8, 8))}
    posterior.save(tmp_path / "field.sbi")
    again = si.load_posterior(tmp_path / "field.sbi")
    one, other = posterior.sample(y, 20), again.sample(y, 20)
    assert np.allclose(one.sky, other.sky, atol=1e-4)
    mine, theirs = (p.log_prob(one, y) for p in (posterior, again))
    assert np.allclose(mine, theirs, atol=1e-2)
    assert again.maps(y, 10)["mean"].shape == (8, 8)


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


def test_a_drawn_prior_cannot_be_reweighted():
    posterior = quick(TEXTURES, 300)
    y = {"seen": np.zeros((8, 8))}
    with pytest.raises(si.PriorError, match="never stated"):
        posterior.reweight(posterior.sample(y, 20), TEXTURES.prior)


def test_the_noise_of_a_problem_is_applied(hole):
    assert hole.problem.noise is not None
    assert detector(clean.function(np.zeros((8, 8)))["seen"], np.random.default_rng(1))


def test_refine_says_that_it_has_no_regions_of_fields(hole, seen):
    with pytest.raises(si.PriorError, match="no regions of fields; the prior has the field sky"):
        hole.refine(seen, 1_000, progress=False)
