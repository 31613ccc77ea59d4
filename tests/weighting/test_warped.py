"""Proposals among the latents of a flow."""

import numpy as np
import pytest
import scipy.stats as st
from scipy.integrate import quad

from sbi_inn.weighting.importance import importance
from sbi_inn.weighting.proposal import PriorPart
from sbi_inn.weighting.warped import FAR, Warped, fitted_through

THIN = 0.01


class Bend:
    """A parabola: x0 = u0, x1 = u0^2 - 1 + width * u1. It overflows far out, as flows do."""

    def __init__(self, width):
        self.width = width

    def decode(self, latents):
        a, b = latents.T
        points = np.column_stack([a, a**2 - 1 + self.width * b])
        return np.where(np.abs(a[:, None]) < 100, points, np.nan)

    def encode(self, points):
        a, b = points.T
        latents = np.column_stack([a, (b - a**2 + 1) / self.width])
        lost = np.abs(a) >= 100
        latents[lost] = np.nan
        return latents, np.full(len(points), -np.log(self.width))


def parabola(points):
    """Prior times likelihood of the parabola, measured with little noise."""
    a, b = points.T
    return st.norm.logpdf(points).sum(axis=1) + st.norm(0, THIN).logpdf(b - a**2 + 1)


INTEGRAL = quad(lambda a: st.norm.pdf(a) * st.norm(a**2 - 1, np.hypot(1, THIN)).pdf(0), -9, 9)[0]


def test_the_density_of_what_is_drawn():
    warped = Warped(Bend(0.5), PriorPart(2))
    points = warped.draw(20_000, np.random.default_rng(1))
    expected = st.norm.logpdf(points[:, 0]) + st.norm(points[:, 0] ** 2 - 1, 0.5).logpdf(
        points[:, 1]
    )
    assert np.allclose(warped.log_prob(points), expected)
    assert points[:, 1].mean() == pytest.approx(0, abs=5 * 1.5 / np.sqrt(20_000))


def test_what_overflows_has_no_density():
    class Distant:
        def draw(self, n, rng):
            return np.full((n, 2), 1e3)

        def log_prob(self, points):
            return np.zeros(len(points))

    warped = Warped(Bend(0.5), Distant())
    points = warped.draw(3, np.random.default_rng(1))
    assert (points == FAR).all()
    assert np.isneginf(warped.log_prob(np.full((3, 2), 200.0))).all()
    seen = np.concatenate([np.random.default_rng(1).normal(size=(50, 2)), [[200.0, 0.0]]])
    found = fitted_through(Bend(0.5), seen, np.zeros(51), np.random.default_rng(1))
    assert np.isfinite(found.log_prob(seen[:50])).all()


@pytest.mark.parametrize("times", [1, 3, 10])
def test_a_thin_curve_of_which_the_network_knows_the_shape_alone(times):
    """Its width is wrong; without the flow, no mixture of ellipses would follow the curve."""
    flow, rng = Bend(times * THIN), np.random.default_rng(times)
    network = Warped(flow, PriorPart(2))
    near = rng.normal(size=(200, 2))
    found = importance(network, near, parabola, 4_000, rng, flow=flow)
    assert found.effective_share > 0.5
    assert found.pareto_k < 0.5
    assert found.network_share < 0.9
    assert abs(found.log_evidence - np.log(INTEGRAL)) < 4 * found.log_evidence_error
