"""Series and images as a few numbers each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbi_inn.observation import set_moments as moments
from sbi_inn.observation.batch import PaddedSet
from sbi_inn.observation.image import Grid
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import SHORT, described, described_names, names, statistics


def padded(series):
    sizes = np.array([len(s) for s in series])
    values = np.zeros((len(series), sizes.max(), series[0].shape[1]))
    for row, one in enumerate(series):
        values[row, : len(one)] = one
    return PaddedSet(values, sizes)


def ragged(sizes, columns=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(3, 2, (size, columns)) for size in sizes]


@pytest.mark.parametrize("rows", [0, 1, 7, 2_001])
def test_in_pieces_each_row_is_what_it_is_among_all(rows):
    rng = np.random.default_rng(rows)
    sizes = rng.integers(1, 41, rows)
    values = rng.normal(size=(rows, 40, 3)) * (np.arange(40) < sizes[:, None])[:, :, None]
    padded = PaddedSet(values, sizes)
    for summary in (moments.describe, moments.shape, moments.order, moments.correlations):
        np.testing.assert_array_equal(moments.in_pieces(padded, summary), summary(padded))


def test_autocorrelations_and_quarters():
    series = ragged([8, 41, 4])
    found = moments.order(padded(series))
    assert found.shape == (3, 2 * len(moments.ORDER))
    for row, one in enumerate(series):
        centred = one - one.mean(axis=0)
        for place, lag in enumerate(moments.LAGS):
            together = (centred[lag:] * centred[:-lag]).sum(axis=0) if lag < len(one) else 0.0
            expected = together / (centred**2).sum(axis=0)
            assert found[row, 2 * place : 2 * place + 2] == pytest.approx(expected)
        for quarter in range(4):
            own = [v for i, v in enumerate(one) if i * 4 // len(one) == quarter]
            place = 2 * (len(moments.LAGS) + quarter)
            assert found[row, place : place + 2] == pytest.approx(np.mean(own, axis=0))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_padding_and_company_change_nothing(sizes):
    series = ragged(sizes, seed=len(sizes))
    together, alone = padded(series), [padded([one]) for one in series]
    for describe in (moments.describe, moments.shape, moments.order):
        rows = np.concatenate([describe(one) for one in alone])
        assert describe(together) == pytest.approx(rows)


def test_constant_and_shortest_series_have_no_autocorrelation():
    found = moments.order(padded([np.full((9, 1), 0.1), np.array([[5.0]])]))
    assert not found[:, : len(moments.LAGS)].any()
    assert found[0, len(moments.LAGS) :] == pytest.approx(0.1)
    assert found[1, len(moments.LAGS) :] == pytest.approx(5.0)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 14), (2, 4, 5)])
def test_images(shape):
    pixels = np.random.default_rng(1).normal(size=(5, *shape))
    found, labels = moments.image(pixels), moments.image_names("sky", Grid(shape, axis="first"))
    assert found.shape == (5, len(labels)) == (5, 23 * shape[0])
    last = "sky" if shape[0] == 1 else f"sky[{shape[0] - 1}]"
    for label, expected in (
        (f"mean of {last}", pixels[:, -1].mean(axis=(1, 2))),
        (f"sd of {last}", pixels[:, -1].std(axis=(1, 2))),
        (f"95 % quantile of {last}", np.quantile(pixels[:, -1], 0.95, axis=(1, 2))),
        (
            f"mean of block [0,3] of {last}",
            pixels[:, -1, : shape[1] // 4, 3 * shape[2] // 4 :].mean(axis=(1, 2)),
        ),
    ):
        assert found[:, labels.index(label)] == pytest.approx(expected), label


def kinds(length):
    """One short or long series of fixed length, one that varies, a set, an image, a number."""
    return Schema(
        observables={"x": (), "v": (2,), "w": (), "sky": (4, 5, 2), "r": (), "b": ()},
        sets={"n": ("w",), "days": ("x",), "hours": ("v", "r")},
        givens=("g",),
        constants={"days": float(length)},
        trained={"n": (1.0, 9.0), "hours": (2.0, 9.0), "g": (0.0, 1.0)},
        series=("days", "hours"),
        images=("sky",),
    )


@pytest.mark.parametrize("length", [3, SHORT, SHORT + 1])
def test_names_fit_the_statistics(length):
    schema, rng = kinds(length), np.random.default_rng(0)
    y = {
        "x": rng.normal(size=length),
        "v": rng.normal(size=(6, 2)),
        "r": rng.normal(size=6),
        "w": rng.normal(size=4),
        "sky": rng.normal(size=(4, 5, 2)),
        "b": 3.0,
        "g": 0.5,
    }
    row = dict(zip(names(schema), statistics(schema.read(y), schema)[0], strict=True))
    assert row["b"] == 3.0
    assert "sky[0,0,0]" not in row
    assert row["mean of sky[1]"] == pytest.approx(y["sky"][:, :, 1].mean())
    assert row["mean of v[1]"] == pytest.approx(y["v"][:, 1].mean())
    assert "autocorrelation at lag 1 of v[0]" in row
    assert "autocorrelation at lag 1 of w" not in row  # a set has no order
    if length <= SHORT:
        assert row[f"x at {length - 1}"] == y["x"][-1]
        assert "mean of x" not in row
    else:
        assert row["mean of x"] == pytest.approx(y["x"].mean())
    everything = described(schema.read(y), schema)
    assert everything.shape == (1, len(described_names(schema)))
    assert len(set(described_names(schema))) == everything.shape[1]
    back = schema.unstack(schema.read(y), 0)
    assert all(np.array_equal(back[name], y[name]) for name in y)


def test_a_profile_has_one_shape_at_every_place_and_width():
    rng = np.random.default_rng(6)
    values = rng.gamma(2, size=(4, 60, 2))
    there = moments.profile(PaddedSet(values, np.full(4, 60)))
    moved = moments.profile(PaddedSet(5 + 1e-3 * values, np.full(4, 60)))
    np.testing.assert_allclose(moved[:, :2], 5 + 1e-3 * there[:, :2])
    np.testing.assert_allclose(moved[:, 2:4], there[:, 2:4] + np.log(1e-3))
    np.testing.assert_allclose(moved[:, 4:], there[:, 4:], atol=1e-8)


def test_a_profile_is_made_of_quantiles_of_what_is_there():
    values = np.random.default_rng(7).normal(size=(1, 90, 1))
    values[0, 40:50] = np.nan
    found = moments.profile(PaddedSet(values, np.array([80])))[0]
    there = np.concatenate([values[0, :40, 0], values[0, 50:80, 0]])
    quantiles = np.quantile(there, (np.arange(16) + 0.5) / 16)
    middle, spread = np.median(quantiles), quantiles.std()
    np.testing.assert_allclose(found, [middle, np.log(spread), *(quantiles - middle) / spread])


def test_profiles_of_constant_and_of_empty_sets():
    found = moments.profile(PaddedSet(np.full((2, 9, 1), 3.0), np.array([9, 0])))
    assert np.isfinite(found[0]).all()
    assert (found[0, 2:] == 0).all()
    assert np.isnan(found[1]).all()
