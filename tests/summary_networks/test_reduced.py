"""Hundreds of observables, as all networks read them: as what parameters change in them."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Scaling
from sbi_inn.summary_networks.reduced import MANY, Reduced

COLUMNS = 300
T = np.linspace(-1, 1, COLUMNS)
ORDER = np.random.default_rng(3).permutation(COLUMNS)  # so that no curve is seen


def lines(n, seed):
    """Give intercepts and slopes (n, 2), and noisy observables in any order; n is a given."""
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(n, 2))
    table = latents[:, :1] + latents[:, 1:] * T + 0.3 * rng.normal(size=(n, COLUMNS))
    return latents, table[:, ORDER]


@pytest.fixture(scope="module")
def simulated():
    return lines(2_000, 1)


def test_all_that_parameters_change_is_read(simulated):
    latents, table = simulated
    every = np.arange(COLUMNS)
    reduced = Reduced.fit(Observations(table, {}), every, latents)
    read = reduced(table)
    assert read.shape[1] < 60
    expected, fresh = lines(500, 2)
    one = np.ones((len(read), 1))
    slopes = np.linalg.lstsq(np.hstack([read, one]), latents, rcond=None)[0]
    left = np.hstack([reduced(fresh), one[:500]]) @ slopes - expected
    design = np.stack([np.ones(COLUMNS), T])
    least = np.sqrt(np.diag(np.linalg.inv(np.eye(2) + design @ design.T / 0.3**2)))
    assert (left.std(axis=0) < 1.2 * least).all()


def test_few_are_read_one_by_one(simulated):
    latents, table = simulated
    assert Reduced.fit(Observations(table[:, :MANY], {}), np.arange(MANY), latents) is None
    assert Reduced.fit(Observations(table, {}), np.arange(MANY), latents) is None
    assert Reduced.fit(Observations(table, {}), np.arange(COLUMNS), None) is None


def test_givens_stay_and_gaps_are_counted(simulated):
    latents, table = simulated
    given = np.linspace(5, 7, len(table))[:, None]
    table = np.where(np.arange(len(table))[:, None] % 2 == 0, table, np.nan)
    table[:, 100:] = simulated[1][:, 100:]
    whole = np.hstack([table, given])
    reduced = Reduced.fit(Observations(whole, {}, givens=1), np.arange(COLUMNS + 1), latents)
    assert reduced.known.sum() == 1
    found = reduced(whole)
    width = reduced.sufficient.width
    assert np.isfinite(found).all()
    assert np.corrcoef(found[:, width], given[:, 0])[0, 1] > 0.999
    assert len(np.unique(found[:, width + 1])) == 2


def test_it_survives_a_file(simulated):
    latents, table = simulated
    scaling = Scaling.fit(Observations(table, {}), latents=latents)
    assert scaling.reduced is not None
    again = Scaling.from_arrays(scaling.to_arrays())
    fresh = Observations(lines(50, 2)[1], {})
    np.testing.assert_array_equal(again.features(fresh), scaling.features(fresh))


@si.simulator(batched=True)
def spectrum(level, centre, noise, rng):
    """A line of a spectrum, whose pixels come in any order."""
    line = np.exp(-0.5 * ((T - centre[:, None]) / 0.2) ** 2)
    flux = level[:, None] - 2 * line + noise[:, None] * rng.normal(size=(len(level), COLUMNS))
    return {"flux": flux[:, ORDER]}


def test_a_network_learns_more_of_them_than_of_each_by_itself(monkeypatch):
    prior = si.Prior(level=st.norm(0, 3), centre=st.uniform(-0.8, 1.6), noise=st.uniform(0.2, 1))
    table = si.simulate(spectrum, prior, n=2_000, seed=1, progress=False, n_jobs=1)
    losses = []
    for many in (MANY, COLUMNS):
        monkeypatch.setattr("sbi_inn.summary_networks.reduced.MANY", many)
        method, training = si.CINN(start="trained"), si.Training(epochs=15)
        posterior = si.fit_posterior(
            table, method=method, training=training, ensemble=1, seed=1, progress=False
        )
        losses.append(min(posterior.history.validation_loss))
    assert losses[0] < losses[1] - 2
