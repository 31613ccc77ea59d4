"""A rough likelihood of draws: how far a right one may fall short of the best."""

import numpy as np
import pytest
from scipy.stats import chi2

from sbi_inn.posterior.refining.judging import ALIKE, SURE, Pool, _allowed


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_shortfalls_are_those_of_each_second_simulation(scale):
    # The squares are multiplied out; one by one they are the same, far from zero too.
    rng = np.random.default_rng(1)
    n, k = 400, 12
    place = rng.normal(size=(n, 3))
    mean = scale + place @ rng.normal(size=(3, k))
    first, second = mean + 0.3 * rng.normal(size=(2, n, k))
    second[150:] = np.nan
    log_variance = np.log(0.09) + 0.2 * rng.normal(size=(n, k))
    here = rng.normal(size=n)
    expected = [chi2.ppf(SURE, 3) / 2]
    for row in np.argsort(-here[:150])[:ALIKE]:
        squares = (second[row] - first) ** 2 / np.exp(log_variance)
        there = -0.5 * (squares / 2 + log_variance).sum(axis=1)
        expected.append(there.max() - there[row])
    found = _allowed(Pool(place, first, second, 150), here, first, second, log_variance)
    assert found == pytest.approx(max(expected), rel=1e-6)
