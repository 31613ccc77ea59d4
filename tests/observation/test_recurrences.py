"""What each entry of a series owes to those before it, against least squares and known laws."""

import numpy as np
import pytest

from sbi_inn.observation.batch import PaddedSet
from sbi_inn.observation.recurrences import AT_ONCE, ORDER, WIDTH, recurrences

LENGTH = 400


def series(memory, echo, n=60, seed=1):
    """Level 2, and shocks of size .5, of which a share returns in the next entry."""
    rng = np.random.default_rng(seed)
    shocks = 0.5 * rng.normal(size=(n, LENGTH))
    values = np.zeros((n, LENGTH))
    for place in range(LENGTH):
        values[:, place] = 2 + shocks[:, place]
        if place:
            values[:, place] += memory * values[:, place - 1] + echo * shocks[:, place - 1]
    return values


def padded(values, sizes=None):
    """Put one column, or several along the last axis, into a padded set."""
    values = values if values.ndim == 3 else values[:, :, None]
    return PaddedSet(values, np.full(len(values), values.shape[1]) if sizes is None else sizes)


def by_numpy(values, order):
    """Regress one series on its own past: offset, slopes, log root mean square of what is left."""
    past = [values[order - lag : len(values) - lag] for lag in range(1, order + 1)]
    read = np.column_stack([np.ones(len(values) - order), *past])
    slope, *_ = np.linalg.lstsq(read, values[order:], rcond=None)
    left = values[order:] - read @ slope
    return np.append(slope, 0.5 * np.log(np.mean(left**2)))


def test_they_are_least_squares():
    values = series(0.6, 0.0, n=3)
    found = recurrences(padded(values))
    for one, told in zip(values, found, strict=True):
        np.testing.assert_allclose(told[: ORDER + 2], by_numpy(one, ORDER), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            told[ORDER + 2 : ORDER + 5], by_numpy(one, 1), rtol=1e-5, atol=1e-6
        )
        away = np.abs(one - one.mean())
        told = told[WIDTH:]
        np.testing.assert_allclose(told[: ORDER + 2], by_numpy(away, ORDER), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("memory", "echo"), [(0.5, 0.4), (0.8, -0.5), (-0.3, 0.6)])
def test_memory_and_echo_are_told_apart(memory, echo):
    """The two of an ARMA(1, 1) law, whose asymptotic errors are below .1 at 400 entries."""
    offset, told, again, size = recurrences(padded(series(memory, echo)))[:, WIDTH - 4 : WIDTH].T
    error = 4 * np.std([told, again], axis=1).max() / np.sqrt(len(told))
    # Six entries leave a little of the echo: Hannan and Rissanen's bias is echo^7.
    assert abs(told.mean() - memory) < error + 0.05
    assert abs(again.mean() - echo) < error + 0.05
    assert abs(offset.mean() / (1 - told.mean()) - 2 / (1 - memory)) < 0.25
    assert abs(np.exp(size).mean() - 0.5) < 0.02


def test_volatile_times_that_follow_each_other_are_told_by_distances():
    rng = np.random.default_rng(2)
    calm = rng.normal(size=(50, LENGTH))
    restless = np.empty_like(calm)
    size = np.ones(50)
    for place in range(LENGTH):
        restless[:, place] = size * calm[:, place]
        size = np.sqrt(0.4 + 0.6 * restless[:, place] ** 2)
    first = WIDTH + 1  # the slope on the last distance
    usual, more = (recurrences(padded(one))[:, first].mean() for one in (calm, restless))
    assert abs(usual) < 0.03
    assert more > 0.2


def test_padding_columns_and_parts_of_a_table_make_no_difference():
    values = series(0.6, 0.3, n=AT_ONCE + 2)[:, :50]
    found = recurrences(padded(values))
    longer = np.concatenate([values, np.full((len(values), 20), np.nan)], axis=1)
    some = padded(longer[-3:], np.full(3, 50))
    np.testing.assert_allclose(recurrences(some), found[-3:], rtol=1e-9, atol=1e-9)
    both = recurrences(padded(np.stack([values[:2], values[2:4]], axis=2)))
    np.testing.assert_allclose(both, np.hstack([found[:2], found[2:4]]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["constant", "short", "none", "gap"])
def test_series_without_a_past_give_finite_numbers(kind):
    values = series(0.6, 0.3, n=4)[:, :30]
    sizes = np.full(4, 30)
    if kind == "constant":
        values = np.full((4, 30), 3.7)
    elif kind == "gap":
        values[:, 7] = np.nan
    else:
        sizes[:] = 2 if kind == "short" else 0
    found = recurrences(padded(values, sizes))
    assert found.shape == (4, 2 * WIDTH)
    assert np.isfinite(found).all()
    if kind in ("constant", "short"):
        assert not found[:, 1 : ORDER + 1].any()
