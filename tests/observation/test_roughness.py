"""How rough series are for their level, against the noise that was put in."""

import numpy as np
import pytest

from sbi_inn.observation.batch import PaddedSet
from sbi_inn.observation.roughness import EACH, SMALLEST, roughness

LENGTH = 3_000
# Of an entry and half of each neighbour: standard errors of what is left of white noise.
SIZE = np.sqrt(1.5)


def padded(values, sizes=None):
    values = values if values.ndim == 3 else values[:, :, None]
    return PaddedSet(values, np.full(len(values), values.shape[1]) if sizes is None else sizes)


def levels(n=1):
    """Rise from 20 to 20,000 without a kink."""
    return np.broadcast_to(20 * np.exp(np.linspace(0, 7, LENGTH)), (n, LENGTH))


def test_counts_are_as_rough_in_their_roots_at_every_level():
    rng = np.random.default_rng(1)
    low, high = (np.full((1, LENGTH), mean) for mean in (30.0, 3_000.0))
    of_roots = [roughness(padded(rng.poisson(m).astype(float)))[0, 0] for m in (low, high)]
    # The square root of a Poisson number has a standard deviation of 1/2.
    assert np.exp(of_roots) == pytest.approx(0.5 * SIZE, rel=0.05)


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_noise_in_proportion_shows_in_logs_and_relative_to_the_level(noise):
    rng = np.random.default_rng(2)
    found = roughness(padded(levels() * np.exp(noise * rng.normal(size=(1, LENGTH)))))
    assert np.exp(found[0, 1:]) == pytest.approx(noise * SIZE, rel=0.05)


def test_a_unit_changes_roots_alone():
    values = np.random.default_rng(3).gamma(4, size=(5, 40))
    found, in_other_units = roughness(padded(values)), roughness(padded(1e6 * values))
    np.testing.assert_allclose(in_other_units[:, 0], found[:, 0] + np.log(1e3), rtol=1e-9)
    np.testing.assert_allclose(in_other_units[:, 1:], found[:, 1:], rtol=1e-9)


def test_columns_padding_and_missing_entries():
    rng = np.random.default_rng(4)
    values = rng.gamma(3, size=(3, 12, 2))
    found = roughness(padded(values))
    assert found.shape == (3, EACH * 2)
    for column in range(2):
        alone = roughness(padded(values[:, :, [column]]))
        np.testing.assert_allclose(found[:, column::2], alone, rtol=1e-9)
    longer = np.pad(values, ((0, 0), (0, 5), (0, 0)), constant_values=7.0)
    np.testing.assert_allclose(roughness(padded(longer, np.full(3, 12))), found, rtol=1e-9)
    # What is beside a missing entry is left out: the two parts of the series remain.
    values[:, 5] = np.nan
    parts = [roughness(padded(part)) for part in (values[:, :5], values[:, 6:])]
    relative = [np.exp(2 * part[:, 4:]) for part in parts]  # means of 3 and 4 squares
    expected = 0.5 * np.log((3 * relative[0] + 4 * relative[1]) / 7)
    np.testing.assert_allclose(roughness(padded(values))[:, 4:], expected, rtol=1e-6)


def test_nothing_to_compare_and_nothing_there():
    smooth = np.linspace(1, 2, 9)[None]
    assert (roughness(padded(smooth))[:, [0, 1]] < -4).all()
    assert roughness(padded(smooth))[0, 2] < -25
    for values in (np.zeros((2, 9)), np.full((2, 9), np.nan), np.ones((2, 2))):
        found = roughness(padded(values))
        assert np.isfinite(found).all()
        assert (found < -25).all()
    assert roughness(PaddedSet(np.ones((2, 0, 1)), np.zeros(2, int))).shape == (2, EACH)


def test_negative_and_tiny_entries_count_as_nothing_and_as_small():
    values = np.array([[8.0, 4.0, 0.0, 4.0, 8.0]])
    below = values.copy()
    below[0, 2] = -3.0
    np.testing.assert_array_equal(roughness(padded(values)), roughness(padded(below)))
    smallest = np.where(values == 0, 8 * SMALLEST, values)
    np.testing.assert_array_equal(
        roughness(padded(values))[:, 1], roughness(padded(smallest))[:, 1]
    )
