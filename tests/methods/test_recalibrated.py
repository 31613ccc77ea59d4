"""The map between draws and normal scores, and the determinant of what is moved."""

import numpy as np
from scipy import special
from studies import LINE, ExactLine

import sbi_inn as si
from sbi_inn.methods.fitting import latents
from sbi_inn.methods.recalibrated.fitted import Recalibrated, recalibrated
from sbi_inn.methods.recalibrated.learning import learn_recalibration
from sbi_inn.methods.recalibrated.quantile_map import QuantileMap
from sbi_inn.methods.row_generators import RowGenerators


def test_the_map_is_smooth_monotone_and_inverted():
    rng = np.random.default_rng(1)
    draws = np.stack([rng.normal(size=(400, 2)), rng.exponential(size=(400, 2))])
    found = QuantileMap.of(draws)
    values = np.linspace(-6, 9, 3_001)[None, :, None] + np.zeros((2, 1, 2))
    z, log_slope = found.forward(values)
    assert (np.diff(z, axis=1) > 0).all()
    np.testing.assert_allclose(found.inverse(z), values, atol=1e-7)
    numeric = np.gradient(z, values[0, :, 0], axis=1)
    close = np.isclose(np.exp(log_slope), numeric, rtol=0.05, atol=0.02)
    assert close.mean() > 0.995  # but where it bends within a step


def test_the_map_takes_draws_to_normal_scores():
    rng = np.random.default_rng(2)
    found = QuantileMap.of(rng.gamma(3, size=(1, 5_000, 1)))
    z, _ = found.forward(rng.gamma(3, size=(1, 5_000, 1)))
    ranks = np.sort(special.ndtr(z.ravel()))
    assert np.abs(ranks - (np.arange(5_000) + 0.5) / 5_000).max() < 0.035


def test_draws_that_are_all_the_same_have_a_map():
    found = QuantileMap.of(np.full((1, 100, 1), 3.0))
    z, log_slope = found.forward(np.array([[[3.0], [4.0]]]))
    assert np.isfinite(z).all()
    assert np.isfinite(log_slope).all()


def test_the_determinant_is_that_of_the_map():
    table = si.simulate(LINE, n=800, seed=4, n_jobs=1, progress=False)
    truths = latents(table, table.ok, seed=1)
    inner = ExactLine(width=0.6, shift=0.5, beyond=0.0)
    how = learn_recalibration(inner, table.schema, truths, table.observations(), seed=1)
    made, seen = recalibrated(inner, how), table.observations()[:5]
    assert how.moved == [0, 1]
    reference = made._reference(seen)
    here = truths[:5, None]
    back, log_det = made._back(here, reference)
    np.testing.assert_allclose(made._moved(back, reference), here, atol=1e-6)
    step = 1e-5
    each = [
        (made._back(here + step * e, reference)[0] - back)[..., i] for i, e in enumerate(np.eye(2))
    ]
    np.testing.assert_allclose(np.log(each).sum(axis=0) - 2 * np.log(step), log_det, atol=0.02)


def test_files_from_before_keep_no_draws():
    table = si.simulate(LINE, n=800, seed=4, n_jobs=1, progress=False)
    truths = latents(table, table.ok, seed=1)
    inner = ExactLine(width=0.6, shift=0.5, beyond=0.0)
    how = learn_recalibration(inner, table.schema, truths, table.observations(), seed=1)
    assert how.kept == 0.01
    config, arrays = recalibrated(inner, how).to_arrays()
    del config["kept"]
    assert Recalibrated.read(config, arrays, lambda *_: inner).how.kept == 0


def test_of_no_observations_there_are_no_numbers():
    rng = RowGenerators(np.empty((0, 2), np.uint64))
    assert rng.random((0,)).shape == (0,)
    assert rng.random((0, 3)).shape == (0, 3)
