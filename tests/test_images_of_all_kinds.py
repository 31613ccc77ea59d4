"""Profiles, images of many channels, and givens that are images, from the simulator to a file."""

import numpy as np
import pytest
import scipy.stats as st
from small_fields import FIELD, NOISE, blurred

import sbi_inn as si

PRIOR = si.Prior(a=st.norm(0, 1))
QUICK = {"n_simulations": 300, "n_jobs": 1, "seed": 1, "progress": False}


def fitted(simulator, prior=PRIOR, **how):
    return si.fit_posterior(simulator, prior, **{"training": si.Training(epochs=2), **QUICK, **how})


def sees_the_same(posterior, y, tmp_path):
    """A file gives the same draws."""
    posterior.save(tmp_path / "images.sbi")
    again = si.load_posterior(tmp_path / "images.sbi")
    mine, theirs = (p.sample(y, 10).a for p in (posterior, again))
    assert np.allclose(mine, theirs, atol=1e-4)
    return again


@si.simulator(images=["spectrum"])
def star(a, rng):
    return {"spectrum": a * np.exp(-((np.arange(40) - 15) ** 2) / 20) + 0.3 * rng.normal(size=40)}


@pytest.mark.slow
def test_a_profile_is_read_as_an_image_of_height_one(tmp_path):
    posterior = fitted(star, training=si.Training(epochs=30))
    y = {"spectrum": np.exp(-((np.arange(40) - 15) ** 2) / 20)}
    draws = posterior.sample(y, 500).a
    assert abs(draws.mean() - 1) < 0.5
    assert draws.std() < 0.6
    assert "quarter 2 of spectrum" in " ".join(posterior.goodness_of_fit(y).names)
    sees_the_same(posterior, y, tmp_path)


@pytest.mark.parametrize("axis", ["first", "last"])
def test_five_channels(axis, tmp_path):
    shape = (5, 8, 8) if axis == "first" else (8, 8, 5)

    @si.simulator(images=["cube"], channels=axis)
    def cube(a, rng):
        return {"cube": a + rng.normal(size=shape)}

    posterior = fitted(cube)
    assert posterior.schema.grids["cube"].channels == 5
    again = sees_the_same(posterior, np.ones(shape), tmp_path)
    assert again.schema.grids["cube"] == posterior.schema.grids["cube"]


def test_how_channels_may_not_be_stated():
    with pytest.raises(si.SimulationError, match='must be "first" or "last"; got 1'):
        si.simulator(star.function, channels=1)
    with pytest.raises(si.SimulationError, match=r"c: expected an image.*first channels"):
        fitted(si.simulator(lambda a: {"c": np.ones((8, 8, 3))}, images="c", channels="first"))


# -- givens ----------------------------------------------------------------------------------------

EXPOSURES = np.random.default_rng(3).uniform(0.5, 2, (300, 8, 8))


@si.simulator(images=["photons", "exposure"])
def camera(a, exposure, rng):
    return {"photons": a * exposure + 0.3 * rng.normal(size=(8, 8))}


@pytest.mark.slow
def test_a_given_image_is_a_channel_and_no_loose_numbers(tmp_path):
    posterior = fitted(camera, given={"exposure": EXPOSURES, "t": st.uniform(1, 2)})
    scaling = posterior.core.fitted.best.scaling
    assert set(scaling.grids) == {"photons", "exposure"}
    assert posterior.schema.columns[scaling.read[0]] == "t"
    assert len(scaling.read) == 1
    y = {"photons": EXPOSURES[0], "exposure": EXPOSURES[0], "t": 2.0}
    names = posterior.goodness_of_fit(y).names
    assert "mean of exposure" in names
    assert "exposure[0,0]" not in names
    groups = posterior.calibration().groups
    assert not [name for name in groups if name.startswith("exposure[")]
    sees_the_same(posterior, y, tmp_path)
    with pytest.warns(UserWarning, match="outside the trained range") as caught:
        posterior.sample({**y, "exposure": np.full((8, 8), 9.0)}, 5)
    assert len(caught) == 1  # one of 64 pixels is enough


def test_a_given_image_with_gaps_has_flags():
    exposures = np.where(EXPOSURES > 1.9, np.nan, EXPOSURES)

    @si.simulator(images=["photons", "exposure"])
    def camera(a, exposure, rng):
        return {"photons": a * np.nan_to_num(exposure) + 0.3 * rng.normal(size=(8, 8))}

    posterior = fitted(camera, given={"exposure": exposures})
    assert posterior.core.fitted.best.scaling.image_gaps == ("exposure",)


def test_a_given_that_is_no_image():
    with pytest.raises(si.SimulationError, match=r"given 'exposure': expected an image.*\(3, 8\)"):
        fitted(camera, given={"exposure": np.ones((20, 3, 8))})


def test_the_flow_of_a_field_sees_a_given_image():
    @si.simulator(images=["seen", "exposure"])
    def telescope(sky, exposure, rng):
        return {"seen": blurred(sky) + NOISE / exposure * rng.normal(size=(8, 8))}

    posterior = fitted(
        telescope,
        si.Prior(sky=FIELD),
        given={"exposure": EXPOSURES},
        method=si.FieldCINN(hidden=4, features=4, flow=True),
        n_simulations=700,
        training=si.Training(epochs=3),
    )
    parts = posterior.core.fitted.parts
    if parts is not None:  # the means of field and noise, what is seen, and the exposure
        assert parts[2].channels == 4
    y = {"seen": np.zeros((8, 8)), "exposure": np.ones((8, 8))}
    assert np.isfinite(posterior.sample(y, 5).sky).all()
