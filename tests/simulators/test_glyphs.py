"""Pictures of letters: where they stand, and what the parameters do."""

import numpy as np
import pytest
from sbi_inn.simulators import glyphs

from sbi_inn.simulation.run import simulate

FONTS = range(len(glyphs.FONTS))


def extent(picture):
    """Give how many rows and columns have ink."""
    ink = picture > 0.2
    return np.count_nonzero(ink.any(axis=1)), np.count_nonzero(ink.any(axis=0))


@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize("letter", glyphs.LETTERS)
def test_letters_stand_in_the_middle_at_full_height(letter, font):
    picture = glyphs.drawn(letter, 1.0, 0.0, 0.0, font)
    rows, columns = extent(picture)
    assert 11 <= rows <= 13
    edge = np.concatenate([picture[[0, -1]].ravel(), picture[:, [0, -1]].ravel()])
    assert edge.max() < 0.1
    ink = picture > 0.2
    above, below = ink.any(axis=1).argmax(), ink.any(axis=1)[::-1].argmax()
    assert abs(above - below) <= 1


def test_every_parameter_does_what_its_name_says():
    for font in FONTS:
        usual = glyphs.drawn("H", 1.0, 0.0, 0.2, font)
        assert extent(glyphs.drawn("H", 1.3, 0.0, 0.2, font))[1] > extent(usual)[1]
        assert glyphs.drawn("H", 1.0, 0.0, 1.2, font).sum() > 1.1 * usual.sum()
        right = glyphs.drawn("I", 1.0, 0.4, 0.2, font)
        columns = np.arange(glyphs.SIDE)
        top, bottom = (right[half] @ columns for half in (slice(3, 6), slice(10, 13)))
        shares = right[3:6].sum(), right[10:13].sum()
        lean = top.sum() / shares[0] - bottom.sum() / shares[1]
        assert 1.4 < lean < 5  # .4 of seven rows; the italic one leans by itself


def test_drawings_do_not_depend_on_those_before():
    first = glyphs.drawn("K", 1.1, 0.2, 0.5, 3)
    glyphs.drawn("Ω", 0.8, -0.3, 1.0, 1)
    assert np.array_equal(glyphs.drawn("K", 1.1, 0.2, 0.5, 3), first)


def test_a_letter_is_a_problem_of_its_own():
    problem = glyphs.letter("R")
    data = simulate(problem, n=400, seed=1, n_jobs=1, progress=False).dataset
    assert problem.prior.names == ("width", "slant", "stroke")
    pictures = np.asarray(data["image"].values)
    assert pictures.shape == (400, 16, 16)
    corner = pictures[:, 0, 0]
    assert abs(corner.std() / glyphs.NOISE - 1) < 4 / np.sqrt(800)


def test_the_letter_is_a_parameter_too():
    problem = glyphs.problem
    data = simulate(problem, n=400, seed=1, n_jobs=1, progress=False).dataset
    means = [data["image"].values[data["letter"].values == k].mean(axis=0) for k in range(10)]
    ways = [(width, 0.0, 0.6, font) for width in (0.7, 1.0, 1.3) for font in FONTS]
    typical = [np.mean([glyphs.drawn(c, *way) for way in ways], axis=0) for c in glyphs.LETTERS]
    likeness = np.corrcoef(np.reshape(means, (10, -1)), np.reshape(typical, (10, -1)))[:10, 10:]
    assert (likeness.argmax(axis=1) == np.arange(10)).all()
