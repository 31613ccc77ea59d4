"""The table of the networks that a posterior is a mixture of."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si

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
