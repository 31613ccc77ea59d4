"""The exact posteriors of the benchmark of growing simulations, by weighing draws of the prior."""

import growing
import numpy as np
import pytest
import scipy.stats as st

LIKELIHOOD = {
    "parabola": lambda y, a, b, c: st.norm(np.column_stack([a, b, c]) @ growing.DESIGN, 0.5).logpdf(
        y
    ),
    "rate": lambda y, rate: st.poisson(rate[:, None]).logpmf(y),
    "spread": lambda y, mean, variance: st.norm(mean[:, None], np.sqrt(variance)[:, None]).logpdf(
        y
    ),
}
Y = {
    "parabola": 0.5 - growing.T,
    "rate": np.array([4.0, 7.0, 3.0, 6.0, 5.0]),
    "spread": np.array([0.3, -0.8, 1.4, 0.9, -0.2, 1.1, 0.4, 2.0]),
}


@pytest.mark.parametrize("name", growing.EXACT)
def test_exact_posteriors(name):
    problem, exact = growing.EXACT[name]
    draws = problem.prior.sample(200_000, np.random.default_rng(1))
    weight = LIKELIHOOD[name](Y[name], **draws).sum(axis=1)
    weight = np.exp(weight - weight.max())
    mean, sd = exact(Y[name])
    worth = weight.sum() ** 2 / (weight**2).sum()
    for values, m, s in zip(draws.values(), mean, sd, strict=True):
        found = np.average(values, weights=weight)
        spread = np.sqrt(np.average((values - found) ** 2, weights=weight))
        assert found == pytest.approx(m, abs=4 * s / np.sqrt(worth))
        assert spread == pytest.approx(s, rel=6 / np.sqrt(worth))
