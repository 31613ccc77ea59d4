"""Novelty on clouds whose outside is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.novelty import Novelty
from sbi_inn.errors import ShapeError


def gaussian(k):
    """Draw from a Gaussian with correlated columns of very different scale."""
    mix = np.random.default_rng(k).normal(size=(k, k)) * np.geomspace(1e-3, 1e3, k)
    return lambda rng, n: rng.normal(size=(n, k)) @ mix + 5


def ring(rng, n):
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.1, (n, 2))


def arm(rng, n):
    """Return across and up of the robot arm: a bent cloud."""
    height, shoulder, elbow, wrist = rng.normal(size=(4, n)) * [[0.25], [0.5], [0.5], [0.5]]
    angles = (shoulder, elbow - shoulder, wrist - shoulder - elbow)
    across = sum(r * np.cos(a) for r, a in zip((0.5, 0.5, 1), angles, strict=True))
    up = height + sum(r * np.sin(a) for r, a in zip((0.5, 0.5, 1), angles, strict=True))
    return np.column_stack([across, up])


@pytest.mark.parametrize(
    ("cloud", "fits"),
    [(gaussian(2), 100), (gaussian(20), 100), (gaussian(100), 40), (ring, 100)],
    ids=["2", "20", "100", "ring"],
)
def test_p_values_of_held_out_rows_are_uniform(cloud, fits):
    found = []
    for seed in range(fits):  # those of one fit share its noise: a few of each
        rng = np.random.default_rng(seed)
        found.extend(Novelty.fit(cloud(rng, 400)).p_value(cloud(rng, 500 // fits)))
    assert st.kstest(found, "uniform").pvalue > 0.01


def test_five_standard_deviations_away_is_novel():
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        angle = rng.uniform(0, 2 * np.pi)
        away = [[5 * np.cos(angle), 5 * np.sin(angle)]]
        found.append(Novelty.fit(rng.normal(size=(5_000, 2))).p_value(away)[0])
    assert np.median(found) < 1e-3
    assert max(found) < 2e-3


def test_the_middle_of_a_ring_is_novel_though_inside_every_range():
    novelty = Novelty.fit(ring(np.random.default_rng(1), 2_000))
    angle = np.linspace(0, 6, 50)
    on_it = novelty.p_value(np.column_stack([np.cos(angle), np.sin(angle)]))
    assert novelty.p_value([[0.0, 0.0]])[0] < 1e-3
    assert np.median(on_it) > 0.1


def test_breaking_a_correlation_is_novel():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2_000, 1))
    novelty = Novelty.fit(np.hstack([x, x + 0.05 * rng.normal(size=x.shape)]))
    assert novelty.p_value([[1.0, -1.0]])[0] < 1e-3
    assert novelty.p_value([[1.0, 1.0]])[0] > 0.05


def test_leaving_the_surface_of_a_deterministic_simulator_is_novel():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 2_000))
    novelty = Novelty.fit(np.column_stack([x, y, 100 * (x + y)]))
    assert novelty.p_value([[0.5, 0.5, 110.0]])[0] < 1e-3
    assert novelty.p_value([[0.5, 0.5, 100.0]])[0] > 0.05


@pytest.mark.parametrize(("row", "column"), [((4.0, 0.0), 0), ((0.0, 2.3), 1)])
def test_what_the_arm_cannot_reach(row, column):
    for seed in range(10):
        novelty = Novelty.fit(arm(np.random.default_rng(seed), 1_000))
        assert novelty.p_value([row])[0] < 0.01
        assert novelty.sticking_out([row])[0].argmax() == column


@pytest.mark.parametrize("k", [2, 20, 100])
def test_the_column_that_sticks_out_is_named(k):
    rng = np.random.default_rng(4)
    scale = np.geomspace(1e-3, 1e3, k)
    novelty = Novelty.fit(rng.normal(size=(1_000, k)) * scale)
    rows = rng.normal(size=(k, k))
    rows[np.arange(k), np.arange(k)] = 7.0
    found = novelty.sticking_out(rows * scale)
    assert np.array_equal(found.argmax(axis=1), np.arange(k))


def test_rows_of_many_columns():
    # 600 columns that follow from 20: a place off that surface, and one far out on it.
    rng = np.random.default_rng(0)
    surface = rng.normal(size=(20, 600))
    rows = rng.normal(size=(1_000, 20)) @ surface
    novelty = Novelty.fit(rows[:-1])
    off = rows[-1] + 0.5 * rng.normal(size=600)
    p_value = novelty.p_value([rows[-1], off, 12 * surface[0]])
    assert p_value[0] > 0.01
    assert (p_value[1:] < 0.003).all()


def test_a_gap_of_one_is_usual():
    rng = np.random.default_rng(5)
    novelty = Novelty.fit(rng.normal(size=(2_000, 5)))
    gaps = novelty.sticking_out(rng.normal(size=(1_000, 5)))
    np.testing.assert_allclose(np.sqrt(np.mean(gaps**2, axis=0)), 1, rtol=0.15)


def test_more_typical_than_any_simulation_is_novel_too():
    novelty = Novelty.fit(np.random.default_rng(6).normal(size=(1_000, 40)))
    assert novelty.score(np.zeros((1, 40)))[0] < novelty.own.min()
    assert 0 < novelty.p_value(np.zeros((1, 40)))[0] < 1e-3


def test_rows_that_occur_often_are_no_obstacle():
    rng = np.random.default_rng(7)
    novelty = Novelty.fit(rng.poisson(2, size=(1_000, 2)).astype(float))
    assert np.isfinite(novelty.own).all()
    common, far = novelty.p_value([[2.0, 2.0], [30.0, 2.0]])
    assert common > 0.5
    assert far < 1e-2
    assert novelty.sticking_out([[30.0, 2.0]])[0].argmax() == 0


def test_a_constant_column_counts_if_it_is_left():
    rng = np.random.default_rng(8)
    rows = np.column_stack([rng.normal(size=1_000), np.full(1_000, 3.0)])
    novelty = Novelty.fit(rows)
    stayed, left = novelty.p_value([[0.0, 3.0], [0.0, 4.0]])
    assert stayed > 0.05
    assert left < 1e-3
    assert novelty.sticking_out([[0.0, 4.0]])[0].argmax() == 1
    constant = Novelty.fit(np.zeros((50, 2)))
    assert constant.p_value([[0.0, 0.0]])[0] == 1
    assert constant.p_value([[0.0, 1.0]])[0] < 0.1


def test_one_column_and_absurd_values():
    novelty = Novelty.fit(np.random.default_rng(9).normal(size=(500, 1)))
    rows = [[1e300], [-1e300]]
    assert np.isfinite(novelty.score(rows)).all()
    assert np.all(novelty.p_value(rows) < 1e-6)
    assert np.all(novelty.sticking_out(rows) > 1e100)


def test_fewer_rows_than_neighbours():
    novelty = Novelty.fit(np.random.default_rng(10).normal(size=(5, 2)), neighbours=8)
    assert novelty.neighbours == 4
    assert novelty.p_value([[0.0, 0.0]]).shape == (1,)
    assert novelty.sticking_out([[0.0, 0.0]]).shape == (1, 2)


def test_units_do_not_matter():
    rng = np.random.default_rng(11)
    rows, new = arm(rng, 500), arm(rng, 20)
    units = np.array([1024.0, 2.0**-20])
    one, other = Novelty.fit(rows), Novelty.fit(rows * units)
    np.testing.assert_allclose(other.score(new * units), one.score(new), rtol=1e-6)
    np.testing.assert_allclose(other.sticking_out(new * units), one.sticking_out(new), rtol=1e-6)
    np.testing.assert_allclose(other.whitening.scale, one.whitening.scale * units, rtol=1e-12)


@pytest.mark.parametrize(
    "rows", [np.zeros(5), np.zeros((3, 2)), np.zeros((9, 0)), np.full((9, 1), np.nan)]
)
def test_rows_that_cannot_be_fitted(rows):
    with pytest.raises(ShapeError, match=r"Novelty\.fit: .*n > 3 and k > 0; got \("):
        Novelty.fit(rows)


@pytest.mark.parametrize("rows", [np.zeros(2), np.zeros((1, 3)), np.full((1, 2), np.inf)])
def test_rows_that_do_not_fit_the_fitted(rows):
    novelty = Novelty.fit(np.random.default_rng(12).normal(size=(9, 2)))
    for method in (novelty.score, novelty.p_value, novelty.sticking_out):
        with pytest.raises(ShapeError, match=r"shape \(m, 2\); got \("):
            method(rows)


def test_a_row_whose_square_is_no_number_hides_nothing():
    rows = np.random.default_rng(1).normal(size=(201, 2))
    rows[0, 1] = 1e200
    fitted = Novelty.fit(rows)
    assert np.isfinite(fitted.own_largest).all()
    near, far = fitted.largest(np.array([[0.0, 0.0], [0.0, 30.0]]))
    assert near < np.log(5) < np.log(10) < far
