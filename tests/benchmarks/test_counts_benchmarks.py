"""The benchmarks of the epidemic and of the star clusters, with posteriors that are known."""

from types import SimpleNamespace

import covid
import numpy as np
import pytest
import star_counts as stars
import xarray as xr
from sbi_inn.simulators import star_counts as model

import sbi_inn as si

HISTORY = SimpleNamespace(steps=1, seconds=0.0)


class ExactStars:
    """The exact posterior, or one that believes in a single cluster too often."""

    history = HISTORY

    def __init__(self, believes=0.0):
        self.believes = believes
        self.rng = np.random.default_rng(1)

    def sample(self, y, n):
        exact = model.posterior(y["luminosity"], y["error"])
        found = exact.sample(n, self.rng)
        single = self.rng.random(n) < self.believes
        found["clusters"] = np.where(single, 1, found["clusters"])
        return xr.Dataset({name: ("draw", value) for name, value in found.items()})


@pytest.fixture(scope="module", autouse=True)
def enumerated_once():
    """Enumerate the exact posterior of each cloud once: two tests and their subject ask for it."""
    exact, known = model.posterior, {}

    def once(light, error):
        key = (light.tobytes(), error)
        if key not in known:
            known[key] = exact(light, error)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "posterior", once)
        yield


def options(tests):
    return SimpleNamespace(tests=tests, seed=1)


@pytest.mark.slow
def test_an_exact_posterior_of_the_stars_is_off_by_chance_alone():
    found = stars.measured(ExactStars(), options(20))
    # A share of 10,000 draws has a standard error of .005 at most; three of them are looked at.
    assert found["largest error of a probability, mean"] < 0.01
    for name, gap in found["distribution functions"].items():
        assert gap < 1.5 * found["of exact draws"][name]
    assert found["ambiguous"] > 3
    assert max(found["modes of age, off by [sd]"]) < 0.1


def test_a_wrong_one_is_found_out():
    found = stars.measured(ExactStars(believes=0.2), options(8))
    assert found["largest error of a probability, mean"] > 0.08
    assert found["modes of age, off by [sd]"][0] > 0.1  # old clouds among the single ones


@pytest.fixture(scope="module")
def epidemics():
    return covid.epidemics(300, 1)


class Prior:
    """Knows nothing: draws from the prior."""

    def __init__(self):
        table = si.simulate("covid", n=20, seed=1, n_jobs=1, progress=False)
        self.schema, self.prior, self.core = table.schema, table.prior, self

    def draw(self, observations, n, rng):
        draws = self.prior.flatten(self.prior.sample(len(observations) * n, rng))
        return draws.reshape(len(observations), n, -1)


def test_the_prior_is_calibrated_and_says_nothing(epidemics):
    found = covid.known_by(Prior(), 20, *epidemics, np.random.default_rng(1))
    assert found["calibration"] < 0.035  # of 300 exact ones: .014 by chance
    assert max(map(abs, found["correlation"].values())) < 0.3


class Oracle:
    """Knows the parameters, and simulates again what follows."""

    def __init__(self, truth, width=1.0):
        self.truth, self.width, self.row = truth, width, -1
        self.problem = si.get("covid")

    def resimulate(self, y, n, given):
        self.row += 1
        rows = np.repeat(self.truth[[self.row]], n, axis=0)
        values = self.problem.prior.unflatten(rows)
        values["dispersion"] = values["dispersion"] * self.width
        days = np.full(n, given["days"])
        found = self.problem.simulator(**values, days=days, rng=np.random.default_rng(self.row))
        return xr.Dataset({"cases": (("draw", "day"), found["cases"])})


def test_forecasts_of_who_knows_the_parameters(epidemics):
    truth, cases = epidemics
    found = covid.forecast(Oracle(truth), 60, cases[:60])
    # Counts are whole numbers, so that intervals hold a little more.
    assert 0.48 < found["in 50%"] < 0.58
    assert 0.88 < found["in 90%"] < 0.95
    narrow = covid.forecast(Oracle(truth, width=20.0), 60, cases[:60])
    assert narrow["in 90%"] < 0.6
