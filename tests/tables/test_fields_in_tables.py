"""Simulations of fields that were done elsewhere: maps and profiles as parameters of a table."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import xarray as xr
from small_fields import FIELD, HOLE, NOISE, SIDE, blurred

import sbi_inn as si

N = 800
SKY = HOLE.prior.sample(N, np.random.default_rng(1))["sky"]


def dataset(sky=SKY, dims=("simulation", "y", "x")):
    seen = blurred(sky) + np.random.default_rng(2).normal(0, NOISE, sky.shape)
    return xr.Dataset({"sky": (dims, sky), "seen": (dims, seen)})


def read(table, *, parameters=("sky",), progress=False, **options):
    return si.read_simulations(table, parameters=list(parameters), progress=progress, **options)


def fit(table, *prior):
    method = si.FieldCINN(flow=False)
    return si.fit_posterior(table, *prior, method=method, seed=1, progress=False)


def test_a_variable_of_two_axes_is_a_field(tmp_path):
    table = read(dataset())
    (place,) = table.prior.fields
    assert (place.name, place.shape) == ("sky", (SIDE, SIDE))
    assert table.dataset.sky.dims == ("simulation", "sky_y", "sky_x")
    assert not table.prior.stated
    assert not table.prior.drawable
    # The draws of the prior are rows of the table: pixels go together in them.
    drawn = table.prior_draws.sky.values
    assert np.corrcoef(drawn[:, 3, 3], drawn[:, 3, 4])[0, 1] > 0.5
    posterior = fit(table)
    truth = HOLE.prior.sample(40, np.random.default_rng(3))["sky"]
    y = blurred(truth) + np.random.default_rng(4).normal(0, NOISE, truth.shape)
    means = np.stack([posterior.sample(one, 100).sky.mean("draw") for one in y])
    # Exact means are off by .28, those of the prior by 1.
    assert np.sqrt(np.square(means - truth).mean()) < 0.4
    posterior.save(tmp_path / "table.sbi")
    again = si.load_posterior(tmp_path / "table.sbi")
    xr.testing.assert_allclose(again.sample(y[0], 20), posterior.sample(y[0], 20), atol=1e-3)


def test_profiles_are_named():
    rng = np.random.default_rng(5)
    rows = rng.lognormal(size=(300, 3)).repeat(4, axis=1) + 0.1 * rng.random((300, 12))
    columns = {f"p{i}": rows[:, i] for i in range(12)}
    frame = pd.DataFrame(columns | {"scale": rng.random(300), "y": rows.sum(axis=1)})
    wanted = {"profile": [f"p{i}" for i in range(12)], "scale": "scale"}
    how = {"observables": ["y"], "progress": False}
    plain = si.read_simulations(frame, parameters=wanted, **how)
    assert not plain.prior.fields
    within = {"profile": (0, np.inf)}
    for named in ("profile", ["profile"]):
        table = si.read_simulations(frame, parameters=wanted, fields=named, bounds=within, **how)
        (place,) = table.prior.fields
        assert (place.name, place.shape) == ("profile", (12,))
        assert table.prior.support["profile"] == (0, np.inf)
    with pytest.raises(si.ShapeError, match="fields= names 'scale'; expected .* are: profile"):
        si.read_simulations(frame, parameters=wanted, fields=["scale"], **how)


def test_pixels_that_are_always_the_same_are_no_reason_to_refuse():
    sky = SKY.copy()
    sky[:, 0] = 0.0
    assert read(dataset(sky)).prior.fields
    with pytest.raises(si.PriorError, match="'sky': all of 800 fields are the same"):
        read(dataset(np.ones_like(SKY)))


def test_fields_that_are_none():
    with pytest.raises(si.PriorError, match="'sky': expected a shape .* even sides"):
        read(dataset(SKY[:, :7]))
    with pytest.raises(si.PriorError, match=r"outside its bounds 0 to inf"):
        read(dataset(), bounds={"sky": (0, np.inf)})
    with pytest.raises(si.PriorError, match="expected fields= or prior="):
        read(dataset(), fields=["sky"], prior=HOLE.prior)


# -- with a prior that is stated -------------------------------------------------------------------


def test_a_stated_field_is_compared_by_what_sums_it_up():
    posterior = fit(read(dataset(), prior=HOLE.prior))  # warnings are errors here
    assert posterior.prior is HOLE.prior
    assert fit(dataset(), HOLE.prior).prior is HOLE.prior
    # The same variance of each pixel, of which others know nothing.
    alone = si.GaussianField((SIDE, SIDE), power=lambda k: np.ones_like(k))
    with pytest.warns(UserWarning, match=r"(power of sky|sky in rows|projection).* is not distr"):
        read(dataset(), prior=si.Prior(sky=alone))


def test_numbers_beside_a_stated_field_are_compared_too():
    table = dataset().assign(gain=("simulation", np.random.default_rng(6).normal(size=N)))
    right = si.Prior(gain=st.norm(0, 1), sky=FIELD)
    read(table, parameters=["gain", "sky"], prior=right)
    wrong = si.Prior(gain=st.norm(1, 1), sky=FIELD)
    with pytest.warns(UserWarning, match="gain is not distributed"):
        read(table, parameters=["gain", "sky"], prior=wrong)
