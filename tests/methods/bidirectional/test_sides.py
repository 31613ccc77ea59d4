"""How wide the two sides of a network are, and how many latents there should be."""

import numpy as np
import pytest

from sbi_inn.methods.bidirectional.sides import Sides, latents_for

N = 1_000


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_padding_fills_both_sides():
    sides = Sides(parameters=2, observables=4, latent=2, givens=1, width=16)
    assert sides.padding == (14, 10)
    assert sides.padded
    exact = Sides(parameters=4, observables=2, latent=2, givens=0, width=4)
    assert exact.padding == (0, 0)
    assert not exact.padded


@pytest.mark.parametrize(
    ("widths", "words"),
    [
        ((4, 2, 2, 4), "4 parameters to 2 observables and 2 latents"),
        ((1, 1, 1, 2), "1 parameter to 1 observable and 1 latent, parameters padded to 2"),
        ((4, 2, 1, 4), "4 parameters to 2 observables and 1 latent, outputs padded to 4"),
        ((2, 3, 2, 9), "2 parameters to 3 observables and 2 latents, both padded to 9"),
    ],
)
def test_what_is_said(widths, words):
    parameters, observables, latent, width = widths
    assert Sides(parameters, observables, latent, 0, width).describe() == words


@pytest.mark.parametrize(
    ("latent", "width", "message"),
    [
        (0, 5, "at least one latent and a width of at least 4; got 0 and 5"),
        (2, 3, "a width of at least 4; got 2 and 3"),
        (4, 5, "a width of at least 6; got 4 and 5"),
    ],
)
def test_sides_that_cannot_be(latent, width, message):
    with pytest.raises(ValueError, match=message):
        Sides(parameters=4, observables=2, latent=latent, givens=0, width=width)


# -- how many latents ------------------------------------------------------------------------------


def circle(angles):
    return np.column_stack([np.cos(angles), np.sin(angles)])


def test_continuous_observables_of_lower_dimension(rng):
    plane = rng.standard_normal((N, 2))
    assert latents_for(4, plane) == 2
    assert latents_for(5, plane) == 3
    assert latents_for(2, plane[:, :1]) == 1
    # A copy in another unit, and a sum, say nothing new: the rank counts.
    wide = np.column_stack([plane, 3 * plane[:, 0], plane.sum(axis=1)])
    assert latents_for(4, wide) == 2


def test_constant_columns_do_not_count(rng):
    plane = rng.standard_normal((N, 2))
    assert latents_for(4, np.column_stack([plane, np.zeros(N)])) == 2
    assert latents_for(4, np.zeros((N, 2))) == 4


def test_categories_say_too_little(rng):
    plane = rng.standard_normal((N, 2))
    labels = np.eye(3)[rng.integers(3, size=N)]
    assert latents_for(8, labels) == 8
    assert latents_for(8, np.column_stack([plane, labels[:, :1]])) == 8
    assert latents_for(4, rng.integers(20, size=(N, 1)).astype(float)) == 4
    assert latents_for(4, rng.integers(400, size=(N, 1)).astype(float)) == 3


def test_a_curved_manifold_has_a_lower_dimension_than_its_rank(rng):
    on = circle(rng.uniform(0, 2 * np.pi, N))
    assert latents_for(4, on) == 4
    # ... whereas a disc fills the plane.
    assert latents_for(4, on * np.sqrt(rng.random((N, 1)))) == 2


def test_as_many_observables_as_parameters_or_more(rng):
    for observables in (2, 3, 4, 6):
        assert latents_for(3, rng.standard_normal((N, observables))) == 3
    assert latents_for(1, rng.standard_normal((N, 1))) == 1
