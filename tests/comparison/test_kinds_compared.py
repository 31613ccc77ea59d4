"""Observations of every kind can be compared: gaps, series, images, constants, one number."""

import numpy as np
import pytest
import scipy.stats as st
from pairs import quick

import sbi_inn as si

LEVEL = si.Prior(level=st.norm(0, 1))


def gaps(scale):
    def simulate(level, rng):
        return {"y": level + scale * rng.normal(size=3)}

    def camera(y, rng):
        return {"y": np.where(rng.random(3) < 0.2, np.nan, y)}

    return si.Problem(simulate, LEVEL, noise=camera), [0.1, np.nan, -0.2]


def series(scale):
    @si.simulator(series={"days": ["cases"]})
    def simulate(level, days, rng):
        return {"cases": level + scale * rng.normal(size=days)}

    return si.Problem(simulate, LEVEL, given={"days": st.randint(8, 20)}), np.zeros(9)


def images(scale):
    @si.simulator(images=["sky"])
    def simulate(level, rng):
        return {"sky": level + scale * rng.normal(size=(8, 8))}

    return si.Problem(simulate, LEVEL), np.zeros((8, 8))


def constant(scale):
    def simulate(level, exposure, rng):
        return {"y": np.array([level + scale * rng.normal(), 7.0])}

    return si.Problem(simulate, LEVEL, given={"exposure": st.uniform(1, 2)}), {
        "y": [0.3, 7.0],
        "exposure": 1.5,
    }


def number(scale):
    def simulate(level, rng):
        return {"y": level + scale * rng.normal()}

    return si.Problem(simulate, LEVEL), 0.4


def count(scale):
    def simulate(level, rng):
        return {"y": rng.poisson(np.exp(level)) + rng.poisson(scale)}

    return si.Problem(simulate, LEVEL), 3


@pytest.mark.parametrize("kind", [gaps, series, images, constant, number, count])
@pytest.mark.filterwarnings("ignore:.*outside the trained range")
def test_any_kind_of_observation(kind, tmp_path):
    (quiet, y), (loud, _) = kind(0.3), kind(2.0)
    comparison = quick({"quiet": quiet, "loud": loud}, n=150, epochs=1)
    table = comparison.table(y)
    assert table["probability"][:2].sum() == pytest.approx(1)
    assert np.isfinite(table["p_value"]).all()
    assert np.isfinite(table["error"][:2]).all()
    path = tmp_path / "kind.sbi"
    comparison.save(path)
    again = si.load_comparison(path).probabilities(y)
    np.testing.assert_array_equal(again, comparison.probabilities(y))


def test_observables_that_never_change_say_nothing():
    def simulate(level, rng):
        return {"y": np.array([1.0, 2.0])}

    same = si.Problem(simulate, LEVEL)
    comparison = quick({"a": same, "b": same}, n=150, epochs=1)
    assert comparison.probabilities([1.0, 2.0])["a"] == pytest.approx(0.5, abs=0.1)
    assert comparison.table([1.0, 2.0]).loc["none of them", "p_value"] > 0.01
    with pytest.raises(si.ComparisonError, match="no latent space"):
        comparison.similarity()
