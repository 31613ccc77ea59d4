"""The failures plot: shares along parameters, in the order in which they say most."""

import numpy as np
import pytest
import scipy.stats as st
from matplotlib.figure import Figure

import sbi_inn as si
from sbi_inn.errors import ShapeError


def steps(ax):
    """Height of each step of the first kind of failure, and its ends."""
    stairs = next(p for p in ax.patches if not p.get_fill())
    return stairs.get_data().values, stairs.get_data().edges


def simulated(n=4_000):
    def fails(mass, spin, tilt, rng):
        if tilt > 0.8:
            raise ValueError("too steep")
        return np.nan if rng.random() < 0.05 else mass + spin

    prior = si.Prior(mass=st.norm(), spin=st.uniform(), tilt=st.uniform())
    problem = si.Problem(fails, prior, labels={"tilt": "angle"}, units={"tilt": "rad"})
    return si.simulate(problem, n=n, seed=1, n_jobs=1, progress=False)


@pytest.mark.slow
def test_what_matters_comes_first_and_shares_are_right():
    figure = simulated().plot_failures()
    first = figure.axes[0]
    assert first.get_xlabel() == "angle [rad]"
    shares, edges = steps(first)
    assert (shares[edges[:-1] > 0.82] == 1).all()
    assert (shares[edges[1:] < 0.78] == 0).all()
    flat, _ = steps(figure.axes[1])
    assert abs(flat - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / 200)  # 20 bins of 200
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[0].startswith("failed: 2")
    assert texts[1].startswith("invalid: ")
    assert texts[2] == "all of them"


def test_a_place_of_ones_own_and_a_table_without_failures():
    place = Figure()
    assert simulated(300).plot_failures(fig=place) is place
    fine = si.simulate(lambda a: a, si.Prior(a=st.norm()), n=30, seed=1, progress=False)
    with pytest.raises(ShapeError, match="no simulation failed"):
        fine.plot_failures()
