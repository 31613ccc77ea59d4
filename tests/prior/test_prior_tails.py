"""Both tails of the prior's map, against closed forms and far beyond the reach of 1 - cdf."""

import numpy as np
import pytest
import scipy.stats as st
from scipy.special import ndtr, ndtri

from sbi_inn.prior import Prior

P = 1e-12
TAILS = {  # distribution: (quantile at P, quantile at 1 - P), and from where a tail is measured
    "norm": (st.norm(), -7.034483825301132, 7.034483825301132, 0, 0),
    "uniform": (st.uniform(0, 4), 4 * P, 4 - 4 * P, 0, 4),
    "expon": (st.expon(), -np.log1p(-P), -np.log(P), 0, 0),
    "gumbel_r": (st.gumbel_r(), -np.log(-np.log(P)), -np.log(-np.log1p(-P)), 0, 0),
    "gumbel_l": (st.gumbel_l(), np.log(-np.log1p(-P)), np.log(-np.log(P)), 0, 0),
    "lognorm": (
        st.lognorm(2),
        np.exp(-2 * 7.034483825301132),
        np.exp(2 * 7.034483825301132),
        0,
        0,
    ),
    "gamma_one": (st.gamma(1, scale=3), -3 * np.log1p(-P), -3 * np.log(P), 0, 0),
    # F(x) = x^a / Gamma(a + 1) where x is small; gamma(1/2) is half a squared standard normal.
    "gamma_half": (
        st.gamma(0.5),
        (P * np.sqrt(np.pi) / 2) ** 2,
        ndtri(P / 2) ** 2 / 2,
        0,
        0,
    ),
    "beta_rising": (st.beta(2, 1), P**0.5, 1 - P / 2, 0, 1),
    "beta_falling": (st.beta(1, 3), P / 3, 1 - P ** (1 / 3), 0, 1),
    "t_two": (st.t(2), -1 / np.sqrt(2 * P), 1 / np.sqrt(2 * P), 0, 0),
    "cauchy": (st.cauchy(), -1 / (np.pi * P), 1 / (np.pi * P), 0, 0),
    "halfcauchy": (st.halfcauchy(), np.pi * P / 2, 2 / (np.pi * P), 0, 0),
    "truncnorm": (st.truncnorm(-np.inf, 1), ndtri(P * ndtr(1)), 1 - P * 3.477134, 0, 1),
    "loguniform": (
        st.loguniform(1e-3, 1e3),
        1e-3 * (1 + P * np.log(1e6)),
        1e3 * (1 - P * np.log(1e6)),
        1e-3,
        1e3,
    ),
    "logistic": (st.logistic(), np.log(P), -np.log(P), 0, 0),
    "weibull_min": (st.weibull_min(2), P**0.5, np.sqrt(-np.log(P)), 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("case", TAILS)
def test_quantiles_at_1e_12_against_closed_forms(case):
    distribution, low, high, below, above = TAILS[case]
    prior = Prior(x=distribution)
    z = np.array([[ndtri(P)], [-ndtri(P)]])
    got = prior.from_latent(z)["x"]
    np.testing.assert_allclose(got - [below, above], [low - below, high - above], rtol=1e-3)
    back = prior.to_latent({"x": [low, high]})[:, 0]
    np.testing.assert_allclose(ndtr([back[0], -back[1]]), P, rtol=1e-3)
    assert back[0] < 0 < back[1]


@pytest.mark.parametrize("case", ["norm", "expon", "gumbel_r", "lognorm", "gamma_half", "cauchy"])
def test_round_trips_where_the_cdf_has_long_rounded_to_one(case):
    prior = Prior(x=TAILS[case][0])
    z = np.linspace(-20, 20, 81)[:, None]
    np.testing.assert_allclose(prior.to_latent(prior.from_latent(z)), z, atol=1e-6)
    assert (np.diff(prior.from_latent(z)["x"]) > 0).all()
