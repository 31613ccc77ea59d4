"""Simulations on a cluster: the same table as on this machine, whoever is killed on the way."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import xarray as xr
from distributed import Client, LocalCluster
from linear_regression import Regression

import sbi_inn as si
from sbi_inn.simulation.simulator import simulator

PRIOR = si.Prior(a=st.uniform(0, 1))
A = si.simulate(lambda a: a, PRIOR, n=600, seed=1, n_jobs=1, progress=False).dataset["a"].values

# What distributed itself leaves open when workers are killed.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def alike(one, two):
    xr.testing.assert_equal(one.dataset, two.dataset)
    assert one.schema == two.schema
    pd.testing.assert_frame_equal(
        one.failures.drop(columns="traceback"), two.failures.drop(columns="traceback")
    )


@pytest.mark.parametrize("batched", [False, True])
def test_the_table_is_that_of_one_machine(batched, client):
    @simulator(batched=batched)
    def noisy(a, rng):
        if np.max(a) > 0.999:
            raise ValueError("too large")
        return {
            "y": a + rng.normal(size=np.shape(a)),
            "z": np.where(np.asarray(a) < 0.01, np.nan, a),
        }

    kept = dict(n=600, seed=1, progress=False)
    alike(
        si.simulate(noisy, PRIOR, n_jobs=1, **kept),
        si.simulate(noisy, PRIOR, client=client, **kept),
    )


def test_a_worker_killed_on_the_way_changes_nothing(client, tmp_path):
    def slow(a, rng):
        time.sleep(0.005)
        return a + rng.normal()

    calm = si.simulate(
        lambda a, rng: a + rng.normal(), PRIOR, n=600, seed=1, n_jobs=1, progress=False
    )
    victim = next(iter(client.run(os.getpid).values()))
    killer = threading.Timer(1.5, os.kill, (victim, signal.SIGKILL))
    killer.start()
    table = si.simulate(
        slow, PRIOR, n=600, seed=1, client=client, store=tmp_path / "a.zarr", progress=False
    )
    assert not killer.is_alive()
    assert victim not in client.run(os.getpid).values()
    xr.testing.assert_equal(calm.dataset, table.dataset.load())


def test_what_hangs_or_crashes_costs_its_row(client):
    def faulty(a):
        if a == A[20]:
            os._exit(1)
        if a == A[30]:
            time.sleep(1000)
        return a

    client.wait_for_workers(2)
    workers = set(client.run(os.getpid).values())
    table = si.simulate(faulty, PRIOR, n=100, seed=1, client=client, timeout=0.5, progress=False)
    assert table.failures["simulation"].tolist() == [20, 30]
    assert table.failures["status"].tolist() == ["lost", "timeout"]
    assert set(client.run(os.getpid).values()) == workers


def test_fit_posterior_takes_a_client(client):
    posterior = si.fit_posterior(
        lambda a, rng: a + rng.normal(),
        PRIOR,
        n_simulations=200,
        training=si.Training(epochs=1),
        ensemble=1,
        client=client,
        seed=1,
        progress=False,
    )
    calm = si.simulate(
        lambda a, rng: a + rng.normal(), PRIOR, n=200, seed=1, n_jobs=1, progress=False
    )
    xr.testing.assert_equal(posterior.simulations.dataset, calm.dataset)


@pytest.mark.slow
def test_the_stages_of_growing_simulations_take_a_client(client):
    how = dict(method=Regression(), n_simulations=100, max_simulations=400, seed=1, progress=False)

    def noisy(a, rng):
        return a + rng.normal(0, 0.1)

    grown = si.fit_posterior(noisy, PRIOR, until="trust", client=client, **how)
    alone = si.fit_posterior(noisy, PRIOR, until="trust", n_jobs=1, **how)
    assert len(grown.growth.stages) > 1
    xr.testing.assert_equal(grown.simulations.dataset, alone.simulations.dataset)
    closed = Client(client.scheduler.address)
    closed.close()
    with pytest.raises(si.SimulationError, match="client= is closed"):
        si.fit_posterior(noisy, PRIOR, until="trust", client=closed, **how)


def test_clients_that_are_none(client):
    with pytest.raises(si.SimulationError, match="is a dask.distributed.Client; got 'tcp"):
        si.simulate(lambda a: a, PRIOR, n=5, client="tcp://localhost", progress=False)
    other = Client(client.scheduler.address)
    other.close()
    with pytest.raises(si.SimulationError, match="client= is closed: open a new one"):
        si.simulate(lambda a: a, PRIOR, n=5, client=other, progress=False)


@pytest.mark.slow
def test_a_client_closed_on_the_way_keeps_the_table(client):
    def slow(a):
        time.sleep(0.02)
        return a

    other = Client(client.scheduler.address)
    threading.Timer(3, other.close).start()
    with pytest.raises(si.SimulationError, match="closed|cancelled") as caught:
        si.simulate(slow, PRIOR, n=3000, seed=1, client=other, progress=False)
    assert 0 < len(caught.value.simulations) < 3000
