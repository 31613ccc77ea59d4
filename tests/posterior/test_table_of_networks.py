"""The table of the networks that a posterior is a mixture of."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.methods.ensemble.sides import Sides

PRIOR = si.Prior(size=st.uniform(1, 2), rate=st.uniform(0.1, 1))


def fading(size, rate, rng):
    return {"y": size * np.exp(-rate * np.linspace(0, 5, 24)) + rng.normal(0, 0.1, 24)}


@pytest.fixture(scope="module")
def posterior():
    return si.fit_posterior(
        fading,
        PRIOR,
        n_simulations=400,
        ensemble=3,
        training=si.Training(epochs=2),
        n_jobs=1,
        seed=1,
        progress=False,
    )


def test_weights_are_those_of_the_mixture(posterior):
    found = posterior.networks
    assert found["weight"].sum() == pytest.approx(1)
    assert (found["weight"] > 0).all()
    assert set(found["asked"]) == {"everywhere"}
    assert found.index.name == "network"
    assert set(found.index) <= {1, 2, 3}
    best = found["weight"].idxmax()
    assert found.loc[best, "validation_loss"] == min(posterior.history.validation_loss)


def test_a_network_that_reads_a_curve_says_so():
    alone = si.fit_posterior(
        fading,
        PRIOR,
        method=si.CINN(place=2),
        ensemble=1,
        n_simulations=400,
        training=si.Training(epochs=1),
        seed=1,
        progress=False,
    )
    (network,) = alone.networks["description"]
    assert network.endswith("reading 24 observables as series")
    assert alone.networks.index.tolist() == [3]


def test_of_a_recalibrated_posterior_they_are_those_below(posterior):
    again = posterior.recalibrate(200)
    assert again.networks.equals(posterior.networks)


def test_networks_that_are_asked_at_their_own_observations(posterior, tmp_path):
    """Of two observations one is narrower than the limit: its draws are the first network's."""
    fitted = posterior.core.fitted
    first, *others = fitted.members
    curves = [fading(size, 0.5, np.random.default_rng(1))["y"] for size in (1.0, 3.0)]
    seen = posterior.schema.stack({"y": np.stack(curves)}, {})
    volume = first.log_volume(seen)
    weights = np.zeros((2, len(fitted.members)))
    weights[0, 0], weights[1, 1:] = 1.0, 1 / len(others)
    sides = Sides((0, 0), float(volume.mean()), weights)
    parted = replace(fitted, sides=sides, weights=weights.mean(axis=0))
    one = si.Posterior(replace(posterior.core, fitted=parted))
    assert one.networks["asked"].tolist() == ["narrow", *["wide"] * len(others)]
    assert "where posteriors are narrow" in repr(one)
    one.save(tmp_path / "parted.sbi")
    again = si.load_posterior(tmp_path / "parted.sbi")
    alone = si.Posterior(
        replace(posterior.core, fitted=replace(fitted, members=(first,), weights=np.ones(1)))
    )
    for place, curve in enumerate(curves):
        y = {"y": curve}
        draws = one.sample(y, 50, seed=1)
        np.testing.assert_array_equal(again.sample(y, 50, seed=1)["rate"], draws["rate"])
        np.testing.assert_allclose(again.log_prob(draws, y), one.log_prob(draws, y), rtol=1e-6)
        narrow = volume[place] == volume.min()
        assert np.allclose(one.log_prob(draws, y), alone.log_prob(draws, y)) == narrow
        back = one.decode(one.encode(draws, y), y)
        np.testing.assert_allclose(back["rate"], draws["rate"], atol=1e-3)
