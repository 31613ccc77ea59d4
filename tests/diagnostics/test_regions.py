"""Regions of several columns, parts that ties set apart, products, patterns: found, and rarely."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.column_products import MOST, best_products
from sbi_inn.diagnostics.patterns import Patterns
from sbi_inn.diagnostics.regions import FEWEST, find_regions
from sbi_inn.diagnostics.tied_values import MOST_PARTS, explained_within, likeliest, parts_by_ties


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("kind", ["corner", "centre"])
def test_a_region_of_two_columns_is_found_with_its_mean(kind):
    y = normal(5_000, 4)
    radius = np.hypot(y[:, 0], y[:, 2])
    inside = {
        "corner": (y[:, 0] > 0.94) & (y[:, 2] > 0.94),
        "centre": radius < 0.247,
    }[kind]
    assert inside.mean() == pytest.approx(0.03, abs=0.006)
    (found,) = find_regions(y, (1.2 * inside + normal(5_000, seed=1))[:, None])
    assert found.z > 4.5
    assert found.mean > 0.6
    assert (inside & found.inside).sum() > 0.5 * found.inside.sum()
    assert set(found.columns) & {0, 2}


def test_a_region_is_chosen_by_rows_that_do_not_say_what_is_in_it():
    y, scores = normal(400, 3), normal(400, 2_000, seed=1)
    z = np.array([found.z for found in find_regions(y, scores) if found is not None])
    assert len(z) > 1_500
    assert st.kstest(z, "norm").pvalue > 0.01


def test_few_rows_have_no_region():
    assert find_regions(normal(2 * FEWEST, 2), normal(2 * FEWEST, 3)) == [None] * 3
    assert find_regions(np.ones((500, 1)), normal(500, 1)) == [None]


def test_what_is_rarely_there_is_a_part():
    y = normal(1_000, 2)
    on = np.random.default_rng(1).random(1_000) < 0.1
    y[:, 1] *= on
    (part,) = parts_by_ties(y)
    assert (part.column, part.value, part.unusual) == (1, 0.0, True)
    assert np.array_equal(part.rows, on)
    told = np.where(on, y[:, 1], 0.0) + np.sqrt(1 - on * 0.9) * normal(1_000, seed=2)
    rms, p_value = explained_within(part, y, np.column_stack([told, normal(1_000, seed=3)]))
    assert rms[0] == pytest.approx(1, abs=0.2)
    assert p_value[0] < 1e-9
    assert p_value[1] > 0.01


@pytest.mark.parametrize("shift", [True, False])
def test_of_many_parts_those_that_tell_most_are_looked_at(shift):
    on = np.random.default_rng(1).random((2_000, 60)) < 0.1
    y = np.where(on, normal(2_000, 60), 0.0)
    parts = parts_by_ties(y)
    assert len(parts) == 60
    told = np.where(on[:, 41], 1.0 if shift else 1.5 * y[:, 41], 0.0)
    scores = np.column_stack([normal(2_000, 3, seed=3), told + normal(2_000, seed=2)])
    kept = likeliest(parts, y, scores)
    assert len(kept) == MOST_PARTS
    assert kept[0].column == 41
    assert likeliest(parts[:MOST_PARTS], y, scores) == parts[:MOST_PARTS]


def test_each_of_a_few_values_is_a_part_once():
    kind = np.arange(600) % 3.0
    found = parts_by_ties(np.column_stack([kind, 10 * kind, normal(600), np.ones(600)]))
    assert [(part.column, part.value, part.unusual) for part in found] == [
        (0, 0.0, False),
        (0, 1.0, False),
        (0, 2.0, False),
    ]


def test_false_alarms_in_parts_and_of_products_are_as_rare_as_they_say():
    y, scores = normal(400, 6), normal(400, 2_000, seed=1)
    y[:, 5] *= np.arange(400) % 8 == 0
    (part,) = parts_by_ties(y)
    _, p_value = explained_within(part, y, scores)
    assert st.kstest(p_value, "uniform").pvalue > 0.01
    found = best_products(y, scores)
    assert (2 * st.norm.sf(np.abs(found.z)) * found.looks < 0.05).mean() < 0.06


def test_an_interaction_of_two_among_many_columns_is_found():
    y = normal(1_000, 40)
    scores = np.sign(y[:, 3]) * y[:, 30] + normal(1_000, seed=1)
    found = best_products(y, scores[:, None])
    assert found.columns.tolist() == [[3, 30]]
    assert abs(found.z[0]) > 10
    assert found.looks == 40 * 41 / 2
    assert best_products(np.ones((20, 2)), normal(20, 1)).looks == 0


def test_too_many_products_are_not_looked_at():
    p = int(np.sqrt(MOST / 200)) + 1
    found = best_products(np.broadcast_to(0.0, (200, p)), normal(200, 1))
    assert (found.looks, found.z.tolist()) == (0, [0.0])


def test_patterns_of_large_images_and_of_missing_pixels():
    height = normal(300)
    picture = np.outer(np.sin(np.arange(40)), np.ones(40))
    pixels = height[:, None, None, None] * picture + 0.5 * normal(300, 1, 40, 40, seed=1)
    pixels[:, :, :2] = np.nan
    patterns = Patterns.of(pixels)
    assert patterns.axes.shape == (32 * 32, 12)
    found = patterns.of_images(pixels)[:, 0]
    assert abs(np.corrcoef(found, height)[0, 1]) > 0.95
    assert np.allclose(patterns.of_images(pixels[:1]), patterns.of_images(pixels)[:1])
    assert Patterns.of(np.ones((50, 1, 4, 4))).axes.shape == (16, 0)
