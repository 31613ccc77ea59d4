"""Images among the features of an observation."""

import numpy as np
import pytest

from sbi_inn.errors import ShapeError
from sbi_inn.observation.image import Grid


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        ((4, 9), (1, 4, 9)),
        ((1, 8, 8), (1, 8, 8)),
        ((3, 16, 20), (3, 16, 20)),
        ((16, 20, 3), (3, 16, 20)),
        ((4, 4, 1), (1, 4, 4)),
        ((2, 4, 256), (2, 4, 256)),
        ((9,), (1, 1, 9)),
    ],
)
def test_which_axis_holds_the_channels(shape, read):
    grid = Grid(shape, start=2)
    assert (grid.channels, grid.height, grid.width) == read
    image = np.random.default_rng(0).normal(size=shape)
    vector = np.concatenate([[7.0, 8.0], image.ravel(), [9.0]])[None]
    (found,) = grid.cut(vector)
    assert found.shape == read
    expected = image if len(shape) == 3 else image.reshape(read)
    assert np.array_equal(found, expected.transpose(2, 0, 1) if grid.last else expected)
    assert vector[0, grid.features].size == image.size


@pytest.mark.parametrize(
    "shape",
    [(), (3,), (3, 9), (8, 8, 8), (3, 16, 3), (2, 16, 2), (4, 4, 4), (1, 1, 8, 8), (5, 8, 8)],
)
def test_what_is_no_image(shape):
    with pytest.raises(ShapeError, match=r"1 to 3 .*channels and sides of at least 4.*got shape"):
        Grid(shape)


def test_any_number_of_channels_where_their_axis_is_stated():
    image = np.random.default_rng(0).normal(size=(5, 6, 7))
    first, last = Grid((5, 6, 7), axis="first"), Grid((5, 6, 7), axis="last")
    assert (first.channels, first.height, first.width) == (5, 6, 7)
    assert (last.channels, last.height, last.width) == (7, 5, 6)
    assert np.array_equal(first.cut(image.reshape(1, -1))[0], image)
    assert np.array_equal(last.cut(image.reshape(1, -1))[0], image.transpose(2, 0, 1))
    assert Grid((8, 8), axis="last").channels == 1
    with pytest.raises(ShapeError, match=r"with last channels and sides.*got shape \(3, 8, 8\)"):
        Grid((3, 8, 8), axis="last")
