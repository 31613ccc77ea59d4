"""What networks are told of curves beside their entries."""

import numpy as np
import pytest

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.summary_networks import Scaling
from sbi_inn.summary_networks.described import width_of_curves
from sbi_inn.summary_networks.ordered import FARTHEST, Ordered


def seen(values):
    schema = Schema({"y": values.shape[1:]}, sets={}, givens=(), constants={}, trained={})
    return Observations(values, {}, schema=schema)


def walks(n):
    rng = np.random.default_rng(1)
    return rng.normal(size=(800, n)).cumsum(axis=1)


def test_short_ones_are_told_by_how_much_they_change():
    values = walks(11)
    ordered = Ordered.fit(seen(values))
    assert ordered is not None
    changes = np.log(np.sqrt((np.diff(values, axis=1) ** 2).mean(axis=1)))
    assert ordered.columns.scale.shape[1] == 6
    assert np.corrcoef(ordered(seen(values))[:, 0], changes)[0, 1] == pytest.approx(1, abs=0.02)


def test_long_ones_by_all_that_describes_a_series():
    ordered = Ordered.fit(seen(walks(40)))
    assert ordered is not None
    assert ordered.columns.scale.shape[1] == width_of_curves([np.arange(40)[:, None]])


@pytest.mark.parametrize("n", [10, 40])
def test_without_order_there_is_nothing_to_tell(n):
    assert Ordered.fit(seen(np.random.default_rng(1).normal(size=(800, n)))) is None


def test_points_in_a_plane_are_no_curve():
    """Entries of one row: x and y of four points, around one centre."""
    rng = np.random.default_rng(1)
    centre, spread = rng.normal(size=(2_000, 1, 2)), rng.lognormal(0, 1, size=(2_000, 1, 2))
    points = centre + spread * rng.normal(size=(2_000, 4, 2))
    assert Ordered.fit(seen(points.reshape(-1, 8))) is None


def test_they_survive_a_file():
    observations = seen(walks(30))
    scaling = Scaling.fit(observations, ordered=True)
    again = Scaling.from_arrays(scaling.to_arrays())
    assert again.ordered is not None
    np.testing.assert_array_equal(again.features(observations), scaling.features(observations))
    assert scaling.features(observations).shape[1] > 40


def test_a_flat_curve_is_not_far_from_all_others_unless_a_file_is_old():
    """Steep lines have nearly the same shape. Noise has another."""
    rng = np.random.default_rng(1)
    slopes = 1_000 * rng.normal(size=(800, 1))
    steep = slopes * np.linspace(-1, 1, 40) + rng.normal(size=(800, 40))
    ordered = Ordered.fit(seen(steep))
    assert ordered is not None
    flat = seen(rng.normal(size=(1, 40)))
    assert np.abs(ordered(flat)).max() == FARTHEST
    arrays = ordered.to_arrays()
    del arrays["farthest"]
    assert np.abs(Ordered.from_arrays(arrays)(flat)).max() > 2 * FARTHEST
