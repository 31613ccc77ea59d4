"""Laws near products of two posteriors."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.diagnostics.products import FREEDOM, ProductLaws


def draws(rng, widths, turn, rows):
    """Draws of a normal law at 0 with these widths along turned axes, (rows, 40_000, d)."""
    return rng.normal(size=(rows, 40_000, len(widths))) * widths @ turn


@pytest.mark.parametrize("widths", [(0.5, 0.5), (0.5, 1e-3), (1e-5, 1.0)])
def test_widths_may_be_as_different_as_they_like(widths):
    rng = np.random.default_rng(1)
    widths = np.array(widths)
    turn = st.ortho_group.rvs(2, random_state=3)
    laws = ProductLaws(draws(rng, widths, turn, 1)[0], draws(rng, widths, turn, 2))
    found = laws.draw(40_000, rng) @ turn.T  # back to the axes in which they are independent
    expected = np.sqrt(1 / (2 / widths**2 - 1) * FREEDOM / (FREEDOM - 2))
    np.testing.assert_allclose(found.std(axis=1) / expected, 1, atol=0.03)


def test_the_density_is_that_of_the_law():
    rng = np.random.default_rng(2)
    turn = st.ortho_group.rvs(3, random_state=3)
    widths = np.array([0.5, 0.3, 0.1])
    laws = ProductLaws(draws(rng, widths, turn, 1)[0] + 0.2, draws(rng, widths, turn, 2) + 0.2)
    points = laws.draw(50, rng)
    precision = turn.T @ np.diag(2 / widths**2 - 1) @ turn
    place = np.linalg.solve(precision, turn.T @ np.diag(2 / widths**2) @ turn @ np.full(3, 0.2))
    exact = st.multivariate_t(place, np.linalg.inv(precision), df=FREEDOM).logpdf(points)
    # 40,000 draws give a variance within 1 %.
    np.testing.assert_allclose(laws.log_density(points), exact, atol=0.1)
