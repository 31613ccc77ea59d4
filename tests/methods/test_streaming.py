"""Training rows that stay on disk: as good a network as from memory."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st
import torch
import xarray as xr
from studies import LINE, exact

import sbi_inn as si
from sbi_inn.methods import streaming
from sbi_inn.methods.fitting import _data, split
from sbi_inn.methods.streaming import Streamed, StreamedRows, runs
from sbi_inn.training import checkpoint
from sbi_inn.training.progress import watched
from sbi_inn.training.settings import Training

SMALL = si.CINN(blocks=2, hidden=16, features=8)


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch):
    monkeypatch.setattr(streaming, "BUFFER", 2_048)
    monkeypatch.setattr(streaming, "PIECE", 256)


def on_disk(simulations, path, chunk=256):
    """Write a table to a Zarr store, and open it again without reading it."""
    dataset = simulations.dataset.drop_encoding()
    encoding = {n: {"chunks": (chunk, *v.shape[1:])} for n, v in dataset.data_vars.items()}
    dataset.to_zarr(path, zarr_format=2, encoding=encoding, consolidated=False)
    opened = xr.open_zarr(path, chunks=None, consolidated=False)
    return replace(simulations, dataset=opened)


def simulated(n, problem=LINE, seed=1):
    return si.simulate(problem, n=n, seed=seed, n_jobs=1, progress=False)


def fitted(simulations, epochs=4, **settings):
    settings = {"method": SMALL, "ensemble": 1, "n_jobs": 1} | settings
    training = settings.pop("training", Training(epochs=epochs, batch_size=128))
    return si.fit_posterior(simulations, training=training, seed=3, progress=False, **settings)


def loss(posterior):
    """Mean of the negative log-likelihood of fresh simulations, above the least possible."""
    table = simulated(4_000, seed=9)
    flat, y = table.prior.flatten(table.parameters()), table.observations()
    latents = table.prior.to_latent(table.parameters(), np.empty((4_000, 0)))
    mean, covariance = exact(y.vector)
    best = -st.multivariate_normal(np.zeros(2), covariance).logpdf(flat - mean).mean() - np.log(2)
    return -posterior.core.fitted.log_prob(latents, y).mean() - best


@pytest.fixture(scope="module")
def table():
    return simulated(8_000)


@pytest.fixture
def stored(table, tmp_path):
    return on_disk(table, tmp_path / "line.zarr")


@pytest.mark.slow
def test_a_table_on_disk_is_as_good_as_one_in_memory(table, stored):
    assert stored.on_disk
    assert not table.on_disk
    from_disk, from_memory = fitted(stored), fitted(table)
    assert loss(from_disk) == pytest.approx(loss(from_memory), abs=0.02)
    assert loss(from_disk) < 0.05
    assert from_disk.n_simulations == 8_000


@pytest.mark.slow
def test_it_stays_on_disk(stored):
    posterior = fitted(stored, epochs=1)
    posterior.sample([1.0, 0.0], 10)
    posterior.check(progress=False)
    assert stored.on_disk
    assert not any(v._in_memory for v in stored.dataset.data_vars.values())
    assert posterior.simulations.on_disk


@pytest.mark.slow
def test_it_is_saved_and_read_back(stored, tmp_path):
    posterior = fitted(stored, epochs=1)
    posterior.save(tmp_path / "line.sbi")
    loaded = si.load_posterior(tmp_path / "line.sbi")
    assert loaded.sample([1.0, 0.0], 20).identical(posterior.sample([1.0, 0.0], 20))
    assert not loaded.simulations.on_disk


@pytest.mark.slow
def test_an_ensemble_of_two_on_two_processes_reads_the_store(stored, monkeypatch):
    monkeypatch.setattr("sbi_inn.methods.ensemble.method.WORTH_IT", 0.0)
    one, two = (
        fitted(stored, epochs=1, ensemble=2, n_jobs=n).sample([1.0, 0.0], 20) for n in (1, 2)
    )
    # Workers know nothing of the small buffers of this test, and the rows come in another order.
    assert one.sizes == two.sizes
    assert np.isfinite(two["a"]).all()


def test_rows_of_a_pass_are_each_seen_once_and_not_in_their_order(stored):
    keep = np.ones(8_000, bool)
    keep[::7] = False
    streamed = Streamed(stored, keep, 1)
    rows = StreamedRows(streamed, lambda latents, observations: Plain(observations.vector))
    assert len(rows) == keep.sum()
    whole = stored.observations(np.flatnonzero(keep)).vector[:, 0]
    seen = []
    order = rows.order(torch.Generator().manual_seed(1), 64)
    for batch in order.split(64):
        seen.append(rows[batch].numbers[:, 0])
        assert len(rows._rows) <= 2_048 + 256
    seen = np.concatenate(seen)
    assert len(np.unique(seen)) == len(seen)
    assert np.isin(seen, whole).all()
    assert len(seen) > 0.95 * len(whole)
    places = np.searchsorted(np.sort(whole), np.sort(seen))
    assert len(np.unique(places)) == len(seen)
    position = {value: place for place, value in enumerate(whole)}
    first = [position[value] for value in seen[:64]]
    assert np.ptp(first) > 3_000  # of the table's whole length, not of one piece
    again = rows.order(torch.Generator().manual_seed(2), 64)
    assert not torch.equal(order, again)


class Plain:
    def __init__(self, numbers):
        self.numbers = numbers

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, rows):
        return Plain(self.numbers[rows.numpy()])


def test_rows_are_held_out_in_runs_and_never_trained_on(stored):
    parts = split(stored, seed=1)
    everything = np.concatenate([parts.train, parts.validation, parts.test])
    assert np.array_equal(np.sort(everything), np.arange(8_000))
    assert len(parts.test) == pytest.approx(800, abs=130)
    assert len(parts.validation) == pytest.approx(800, abs=130)
    data = _data(stored, SMALL, parts, 1)
    assert data.stream is not None
    assert np.array_equal(np.flatnonzero(data.stream.keep), parts.train)
    assert data.rows == len(parts.train)


def test_a_sample_is_learned_from(stored, monkeypatch):
    monkeypatch.setattr("sbi_inn.methods.fitting.SAMPLE", 1_000)
    monkeypatch.setattr("sbi_inn.methods.fitting.RUN", 128)
    data = _data(stored, SMALL, split(stored, seed=1), 1)
    assert 900 <= len(data.train) <= 1_200
    assert data.rows > 6_000


@pytest.mark.slow
def test_failed_rows_sets_givens_and_discrete_parameters(tmp_path):
    def trial(mean, kind, n, rng):
        if mean > 1.5:
            raise ValueError("too far")
        return {"x": rng.normal(mean + kind, 1.0, n)}

    problem = si.Problem(
        si.simulator(trial, sets={"n": ["x"]}),
        si.Prior(mean=st.norm(0, 1), kind=st.randint(0, 3)),
        given={"n": st.randint(2, 9)},
    )
    stored = on_disk(simulated(600, problem), tmp_path / "sets.zarr", chunk=64)
    posterior = fitted(stored, epochs=2, training=Training(epochs=2, batch_size=64))
    assert posterior.sample({"x": np.array([0.1, 0.3])}, 10).sizes == {"draw": 10}
    assert posterior.n_simulations < 600


@pytest.mark.slow
def test_noise_is_drawn_anew_in_every_pass(table, tmp_path):
    noisy = si.Problem(
        si.simulator(lambda a, b: {"y": np.stack([a + b, a - b], axis=1)}, batched=True),
        LINE.prior,
        noise=lambda y, rng: {"y": y + rng.normal(0, 0.5, y.shape)},
    )
    simulations = simulated(2_000, noisy)
    stored = replace(on_disk(simulations, tmp_path / "noise.zarr"), noisy={})
    data = _data(stored, SMALL, split(stored, seed=1), 1)
    rows = StreamedRows(data.stream, lambda latents, seen: Plain(seen.vector))
    generator = torch.Generator().manual_seed(1)
    passes = []
    for _ in range(2):
        order = rows.order(generator, 64)
        passes.append(np.sort(np.concatenate([rows[b].numbers[:, 0] for b in order.split(64)])))
    assert not np.isin(passes[0], passes[1]).any()
    plain = stored.dataset["y"].values[:, 0]
    assert passes[0].std() == pytest.approx(np.hypot(plain.std(), 0.5), rel=0.05)
    posterior = fitted(stored, epochs=1)
    assert posterior.sample([1.0, 0.0], 10).sizes == {"draw": 10}


class Killed(BaseException):
    pass


@pytest.mark.slow
def test_a_training_from_disk_goes_on_from_its_checkpoint(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)

    def trained(folder):
        training = Training(epochs=2, batch_size=128, checkpoint=folder)
        return fitted(stored, training=training)

    alone = trained(None)
    for share in (0.3, 0.7):

        def stop(done, _, share=share):
            if done > share:
                raise Killed
            return True

        with pytest.raises(Killed), watched(stop):
            trained(tmp_path / "kept")
    again = trained(tmp_path / "kept")
    one, other = (p.core.fitted.network.state_dict() for p in (again, alone))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_methods_that_do_not_stream_read_the_table(stored):
    with pytest.warns(UserWarning, match="misses y"):
        posterior = fitted(stored, epochs=1, method=si.INN(blocks=2, hidden=16))
    assert posterior.emulation.errors.shape[0] == 2


def test_runs():
    rng = np.random.default_rng(1)
    chosen = runs(np.arange(1_000), 130, 50, rng)
    assert chosen.sum() == 150
    assert np.diff(chosen.astype(int)).astype(bool).sum() <= 6
    assert runs(np.arange(5), 3, 50, rng).all()


def test_a_store_of_ours_is_streamed(tmp_path):
    path = tmp_path / "line.zarr"
    si.simulate(LINE, n=3_000, seed=1, n_jobs=1, progress=False, store=path)
    stored = si.read_simulations(path, progress=False)
    assert stored.on_disk
    assert isinstance(_data(stored, SMALL, split(stored, seed=1), 1).stream, Streamed)
    posterior = fitted(stored, epochs=6)
    assert loss(posterior) < 0.3
    assert posterior.simulations.on_disk
    posterior.save(tmp_path / "line.sbi")
    assert si.load_posterior(tmp_path / "line.sbi").n_simulations == 3_000
