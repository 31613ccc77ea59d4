"""The forest plot: what is drawn of each object, and where."""

from __future__ import annotations

import numpy as np
import pytest

from sbi_inn.draws import Column
from sbi_inn.errors import ShapeError
from sbi_inn.plots.forest import MOST_OBJECTS, plot_forest

AGE = Column("age", "age", "age", "Gyr", 10.0)
MASS = Column("mass", "mass", "stellar mass", "solar masses", 1.0)


def ends_of(n, d):
    middle = np.arange(n * d, dtype=float).reshape(n, d, 1)
    return middle + np.array([-2.0, -1.0, 0.0, 1.0, 2.0])


def test_each_object_has_a_row_and_each_parameter_a_panel():
    ends = ends_of(3, 2)
    figure = plot_forest(["Vega", "Deneb", "Altair"], ends, [AGE, MASS], truth={"age": [0, 1, 9]})
    age, mass = figure.axes
    assert [label.get_text() for label in age.get_yticklabels()] == ["Vega", "Deneb", "Altair"]
    assert age.get_ylim() == (2.5, -0.5)  # the first stands at the top
    assert (age.get_xlabel(), mass.get_xlabel()) == ("age [Gyr]", "stellar mass [solar masses]")
    wide, narrow = age.collections[:2]
    for lines, low, high in ((wide, 0, 4), (narrow, 1, 3)):
        drawn = np.array([path.vertices[:, 0] for path in lines.get_paths()])
        np.testing.assert_array_equal(drawn, ends[:, 0, [low, high]])
    assert age.get_xlim()[1] > 9 > mass.get_xlim()[0]  # the truth is shown, wherever it lies
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["median", "68 % intervals", "95 %", "truth"]


@pytest.mark.slow
@pytest.mark.parametrize("width_mm", [85, 180])
def test_sixty_objects_fit_a_page(width_mm):
    names = [f"HD {i}" for i in range(MOST_OBJECTS)]
    figure = plot_forest(names, ends_of(MOST_OBJECTS, 2), [AGE, MASS], width_mm=width_mm)
    assert figure.get_figwidth() == pytest.approx(width_mm / 25.4)
    assert figure.get_figheight() < 297 / 25.4


@pytest.mark.parametrize(("n", "d"), [(0, 1), (MOST_OBJECTS + 1, 1), (2, 7)])
def test_more_than_a_page_holds_is_refused(n, d):
    with pytest.raises(ShapeError, match=f"to be read on a page; got {n} and {d}: choose some"):
        plot_forest(list(range(n)), np.zeros((n, d, 5)), [AGE] * d)


def test_shapes_have_to_fit():
    with pytest.raises(ShapeError, match=r"expected intervals of shape \(2, 1, 5\); got \(2, 5\)"):
        plot_forest(["a", "b"], np.zeros((2, 5)), [AGE])
