"""Every kind of network on a device: the same weights, draws and densities as on the processor."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st
import torch
from elsewhere import elsewhere
from small_fields import HOLE
from torch import nn

import sbi_inn as si
from sbi_inn.methods import Ensemble
from sbi_inn.training import loop
from sbi_inn.training.device import device_of, placed

PRIOR = si.Prior(a=st.norm(0, 1), b=st.norm(0, 1), c=st.norm(0, 1))
WITH_COUNTS = si.Prior(a=st.norm(0, 1), k=st.randint(0, 4))


def vector(a, b, c, rng):
    return {"x": np.array([a + b, b * c, c - a]) + 0.1 * rng.normal(size=3)}


def jumps(a, k, rng):
    return {"x": np.array([a + k, a]) + 0.3 * rng.normal(size=2)}


@si.simulator(sets={"n": ["z"]})
def measured(a, b, n, rng):
    return {"z": a + np.exp(0.3 * b) * rng.normal(size=n)}


@si.simulator(series={"n": ["z"]})
def walked(a, b, n, rng):
    return {"z": a + np.cumsum(np.exp(0.3 * b) * rng.normal(size=n))}


@si.simulator(images=["seen"])
def seen(a, b, c, rng):
    return {
        "seen": a + np.outer(np.sin(b + np.arange(12)), np.arange(9)) + rng.normal(size=(12, 9))
    }


def with_gaps(seen, rng):
    return {"seen": np.where(rng.random(seen.shape) < 0.1, np.nan, seen)}


@si.simulator(images=["seen"], batched=True)
def bright(sky, rng):
    return {"seen": np.exp(sky) + 0.3 * rng.normal(size=sky.shape)}


def forwards(a, b, c):
    return {"x": np.array([a + b, b * c])}


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 4)

    def forward(self, given):
        there = given["n"].unsqueeze(2)
        return (self.layer(given["z"].unsqueeze(2)) * there).sum(dim=1) / there.sum(dim=1)


TWO = PRIOR.marginal(["a", "b"])
ENTRIES = {"n": st.randint(20, 60)}
SMALL = {"blocks": 2, "hidden": 16}
KINDS = {
    "vectors": (si.Problem(vector, PRIOR), si.CINN(**SMALL)),
    "splines": (si.Problem(vector, PRIOR), si.CINN(**SMALL, transform="spline")),
    "permutations": (si.Problem(vector, PRIOR), si.CINN(**SMALL, mixing="permutation")),
    "exact start": (si.Problem(vector, PRIOR), si.CINN(**SMALL, start="exact")),
    "discrete": (si.Problem(jumps, WITH_COUNTS), si.CINN(**SMALL)),
    "sets": (si.Problem(measured, TWO, given=ENTRIES), si.CINN(**SMALL)),
    "sets, attention": (
        si.Problem(measured, TWO, given=ENTRIES),
        si.CINN(**SMALL, pooling="attention", start="exact"),
    ),
    "series": (si.Problem(walked, TWO, given=ENTRIES), si.CINN(**SMALL)),
    "images": (si.Problem(seen, PRIOR), si.CINN(**SMALL)),
    "images with gaps": (si.Problem(seen, PRIOR, noise=with_gaps), si.CINN(**SMALL)),
    "own summary": (
        si.Problem(measured, TWO, given=ENTRIES),
        si.CINN(**SMALL, summary=Own()),
    ),
    "inn": (si.Problem(forwards, PRIOR), si.INN(**SMALL, loss="likelihood")),
    "inn, mmd": (si.Problem(forwards, PRIOR), si.INN(**SMALL, loss="mmd", width=6)),
    "fields": (si.Problem(bright, HOLE.prior), si.FieldCINN(features=4, hidden=4, flow=True)),
}


ROWS = {"fields": 700}
# The processor has a fused kernel for recurrent layers, which rounds otherwise.
ROUNDING = {"series": 1e-3}


def simulated(problem, n=300):
    return si.simulate(problem, n=n, seed=1, n_jobs=1, progress=False)


def fitted(table, method, device, members=1, **training):
    return si.fit_posterior(
        table,
        method=method,
        training=si.Training(epochs=2, device=device, **training),
        ensemble=members,
        seed=1,
        progress=False,
    )


def observed(posterior):
    return posterior.schema.unstack(posterior.simulations.observations(np.array([3])), 0)


def numbers(posterior):
    """What a posterior says: draws, and what can be computed of them."""
    y = observed(posterior)
    draws = posterior.sample(y, 40)
    found = dict(posterior.sample_each([y, y], 20)) | {f"{n} of one": draws[n] for n in draws}
    core = posterior.core
    observation, method = core.schema.read(y), core.fitted
    latent = np.random.default_rng(1).normal(size=(10, method.latent_dim))
    found["decoded"] = method.decode(observation, latent)
    if hasattr(method, "encode"):
        found["encoded"], found["log_det"] = method.encode(observation, found["decoded"])
    if hasattr(method, "summarise"):
        found["summary"] = method.summarise(observation)
    if hasattr(method, "emulate"):
        found["emulated"] = method.emulate(found["decoded"], np.empty((10, 0)))
    try:
        found["log_prob"] = posterior.log_prob(draws, y)
    except si.NoDensityError:
        pass
    return {name: np.asarray(value) for name, value in found.items()}


def networks(method):
    """Networks of a trained method."""
    if hasattr(method, "members"):
        return [network for member in method.members for network in networks(member)]
    parts = getattr(method, "parts", None)
    return [parts[0] if parts else method.network]


def same(one, other, rounding=0.0):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert np.allclose(value, other[name], rtol=rounding, atol=rounding, equal_nan=True), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the forward network misses")
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_is_trained_and_used_on_a_device_and_says_the_same(kind, tmp_path):
    problem, method = KINDS[kind]
    rounding = ROUNDING.get(kind, 0.0)
    table = simulated(problem, ROWS.get(kind, 300))
    here = fitted(table, method, "cpu")
    wanted = numbers(here)
    with elsewhere() as device:
        there = fitted(table, method, device)
        for network in networks(there.core.fitted):
            tensors = [*network.parameters(), *network.buffers()]
            assert all(tensor.device.type == device for tensor in tensors)
        losses = there.history.validation_loss, here.history.validation_loss
        assert np.allclose(*losses, rtol=rounding, atol=rounding)
        same(numbers(there), wanted, rounding)
        there.save(tmp_path / "there.sbi")
        same(numbers(there.to("cpu")), wanted, rounding)
        assert device_of(networks(there.core.fitted)[0]).type == device
        same(numbers(here.to(device)), wanted, rounding)
    if kind != "own summary":
        name = here.prior.names[0]
        draws = si.load_posterior(tmp_path / "there.sbi").sample(observed(here), 40)
        assert np.allclose(draws[name], wanted[f"{name} of one"], atol=max(rounding, 1e-5))


@pytest.mark.slow
def test_an_ensemble_is_trained_on_a_device_one_after_another():
    table = simulated(si.Problem(vector, PRIOR))
    with elsewhere() as device:
        long = si.Training(epochs=10_000, device=device)
        assert Ensemble(si.CINN(), 2, n_jobs=2).processes(long, 10_000) == 1
        there = fitted(table, si.CINN(**SMALL), device, members=2)
        found = numbers(there)
    same(numbers(fitted(table, si.CINN(**SMALL), "cpu", members=2)), found)


def test_a_recalibrated_posterior_goes_to_a_device():
    posterior = fitted(simulated(si.Problem(vector, PRIOR), 800), si.CINN(**SMALL), "cpu")
    new = si.simulate(si.Problem(vector, PRIOR), n=400, seed=2, n_jobs=1, progress=False)
    mended = posterior.recalibrate(new)
    y = observed(posterior)
    with elsewhere() as device:
        draws = mended.to(device).sample(y, 50)
    assert draws.equals(mended.sample(y, 50))


def test_more_training_goes_on_on_another_device():
    table, more = simulated(si.Problem(vector, PRIOR)), si.Problem(vector, PRIOR)
    new = si.simulate(more, n=300, seed=2, n_jobs=1, progress=False)
    posterior = fitted(table, si.CINN(**SMALL), "cpu")
    here = posterior.train_more(new, training=si.Training(epochs=1), progress=False)
    with elsewhere() as device:
        training = si.Training(epochs=1, device=device)
        there = posterior.train_more(new, training=training, progress=False)
        same(numbers(there), numbers(here))


def test_what_was_begun_on_the_processor_goes_on_on_a_device(tmp_path, monkeypatch):
    table, method = simulated(si.Problem(vector, PRIOR)), si.CINN(**SMALL)
    here = fitted(table, method, "cpu", checkpoint=tmp_path / "one")
    # It was done already: no step is taken again.
    monkeypatch.setattr(loop._Run, "_update", lambda *_: pytest.fail("it was trained again"))
    with elsewhere() as device:
        there = fitted(table, method, device, checkpoint=tmp_path / "one")
        same(numbers(there), numbers(here))


@pytest.mark.slow
def test_rows_are_streamed_to_a_device(tmp_path):
    problem, method = si.Problem(vector, PRIOR), si.CINN(**SMALL)
    si.simulate(problem, n=600, seed=1, n_jobs=1, progress=False, store=tmp_path / "a.zarr")
    table = si.read_simulations(tmp_path / "a.zarr")
    with elsewhere() as device:
        there = fitted(table, method, device)
        found = numbers(there)
    same(numbers(fitted(table, method, "cpu")), found)


@pytest.mark.parametrize("reads", ["observables", pytest.param("features", marks=pytest.mark.slow)])
def test_models_are_compared_on_a_device(reads):
    def wide(a, b, c, rng):
        return {"x": np.array([a + b, b * c, c - a]) + rng.normal(size=3)}

    models = {"narrow": si.Problem(vector, PRIOR), "wide": si.Problem(wide, PRIOR)}

    def compared(device):
        comparison = si.compare_models(
            models,
            n_simulations=300,
            method=si.IBINN(reads=reads, gamma=1.0),
            training=si.Training(epochs=2, device=device),
            ensemble=1,
            n_jobs=1,
            seed=1,
            progress=False,
        )
        y = {"x": np.array([0.5, -0.2, 1.0])}
        return comparison.probabilities(y), comparison.goodness_of_fit(y), comparison

    here, fit, comparison = compared("cpu")
    with elsewhere() as device:
        there, found, _ = compared(device)
        moved = comparison.to(device).probabilities({"x": np.array([0.5, -0.2, 1.0])})
    assert here.equals(there)
    assert here.equals(moved)
    assert repr(fit) == repr(found)


def test_a_device_that_is_not_there_shows_before_anything_is_simulated():
    def never(a, b, c):
        raise AssertionError

    with pytest.raises(ValueError, match="got 'nowhere'"):
        si.fit_posterior(never, PRIOR, training=si.Training(device="nowhere"))
    with pytest.raises(ValueError, match="must be a name"):
        si.Training(device=3)
    with pytest.raises(ValueError, match="double precision"):
        placed("meta")  # it has no numbers at all


def test_auto_is_the_processor_where_there_is_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert placed("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert placed("auto") == torch.device("cuda")


def test_a_method_that_stays_on_the_processor_says_so():
    posterior = fitted(simulated(si.Problem(vector, PRIOR)), si.CINN(**SMALL), "cpu")

    class Here:
        pass

    posterior.core = replace(posterior.core, fitted=Here())
    with elsewhere() as device, pytest.raises(TypeError, match=r"it needs to\(device\)"):
        posterior.to(device)


def test_the_pretended_device_objects_where_a_real_one_would():
    with elsewhere() as device:
        there = torch.ones(2, device=device)
        with pytest.raises(RuntimeError, match="on one device"):
            there + torch.ones(2)
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        with pytest.raises(RuntimeError, match="generator"):
            torch.randn(2, generator=torch.Generator(), device=device)
        assert (there + 1).sum().item() == 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is at hand")
@pytest.mark.filterwarnings("ignore:the forward network misses")
@pytest.mark.parametrize("kind", KINDS)
def test_a_real_device_says_the_same_within_rounding(kind):
    problem, method = KINDS[kind]
    posterior = fitted(simulated(problem, ROWS.get(kind, 300)), method, "cpu")
    there = numbers(posterior.to("cuda"))
    for name, value in numbers(posterior).items():
        assert np.allclose(value, there[name], rtol=1e-2, atol=1e-2), name
