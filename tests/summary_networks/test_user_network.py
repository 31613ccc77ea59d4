"""A summary network of the user's own."""

import numpy as np
import pytest
import scipy.stats as st
import torch
from studies import LINE, columns, quick_fit
from torch import nn

import sbi_inn as si
from sbi_inn.errors import LoadError
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.summary_networks import Batch, Parts, Scaling
from sbi_inn.summary_networks.user_network import reset

TINY = si.CINN(blocks=2, hidden=16)
PRIOR = si.Prior(a=st.norm(0, 1))


class Flat(nn.Module):
    """Two features of one observable of shape (2,)."""

    def __init__(self, width=8, sign=1.0):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, 2))
        self.sign = sign

    def forward(self, y):
        return self.sign * self.net(y)


class ByName(nn.Module):
    """One linear layer over sums of whatever there is."""

    def __init__(self):
        super().__init__()
        self.net = nn.LazyLinear(4)

    def forward(self, y):
        n = y["n"].float()
        parts = [y["b"][:, None], y["g"][:, None], y["sky"].flatten(1), n.sum(1, keepdim=True)]
        parts += [(y["w"] * n).sum(1, keepdim=True), y["x"].mean(dim=1), y["v"].flatten(1)]
        return self.net(torch.cat(parts, dim=1))


@si.simulator(sets={"n": ["w"]}, series={"days": ["x"]}, images=["sky"])
def everything(a, n, g, rng):
    return {
        "b": rng.normal(a, 1),
        "w": rng.normal(a, 1, n),
        "sky": rng.normal(a, 1, (8, 8, 3)),
        "x": rng.normal(a + g, 1, (5, 2)),
        "v": rng.normal(a, 1, (3, 2)),
    }


GIVEN = {"n": st.randint(1, 6), "g": st.norm(0, 1)}


def test_one_line_and_its_file(tmp_path):
    mine = Flat()
    before = [p.clone() for p in mine.parameters()]
    posterior = quick_fit(LINE, method=TINY, summary=mine)
    assert all(map(torch.equal, before, mine.parameters()))  # copies are trained
    assert len(posterior.core.fitted.network.regression.slope) == 0
    assert "Flat" in repr(posterior)
    posterior.save(tmp_path / "own.sbi")
    y = {"y": [1.0, -1.0]}
    back = si.load_posterior(tmp_path / "own.sbi", summary=Flat())
    assert np.array_equal(columns(back.sample(y, 9)), columns(posterior.sample(y, 9)))
    assert back.settings.summary is not None
    for other, message in (
        (None, r"Flat is code.*load_posterior\(path, summary=Flat\(...\)\); got None"),
        (Flat(9), "the summary network that was saved, Flat; got Flat, whose weights differ"),
        (nn.Linear(2, 2), "saved, Flat; got Linear"),
        (Flat(sign=-1.0), "gives other features than it did"),
    ):
        with pytest.raises(LoadError, match=message):
            si.load_posterior(tmp_path / "own.sbi", summary=other)
    quick_fit(LINE, method=TINY).save(tmp_path / "ours.sbi")
    with pytest.raises(LoadError, match="one of ours; got Flat"):
        si.load_posterior(tmp_path / "ours.sbi", summary=Flat())


def test_members_of_an_ensemble_start_from_weights_of_their_own(tmp_path):
    posterior = quick_fit(everything, PRIOR, given=GIVEN, method=TINY, summary=ByName(), ensemble=2)
    first, second = (m.network.summary.module.net.weight for m in posterior.core.fitted.members)
    assert not torch.equal(first, second)
    posterior.save(tmp_path / "two.sbi")
    back = si.load_posterior(tmp_path / "two.sbi", summary=ByName())
    y = posterior.schema.unstack(posterior.simulations.observations(), 0)
    assert np.array_equal(columns(back.sample(y, 9)), columns(posterior.sample(y, 9)))


def test_what_it_is_given():
    table = si.simulate(everything, PRIOR, n=40, given=GIVEN, seed=1, n_jobs=1, progress=False)
    observations = table.observations()
    scaling = Scaling.fit(observations, scores=False)
    given = Parts.of(observations).tensors(Batch.of(observations, scaling))
    longest = int(observations.sets["n"].sizes.max())
    assert {name: tuple(tensor.shape) for name, tensor in given.items()} == {
        "b": (40,),
        "sky": (40, 8, 8, 3),
        "v": (40, 3, 2),
        "g": (40,),
        "w": (40, longest),
        "n": (40, longest),
        "x": (40, 5, 2),
        "days": (40, 5),
    }
    mask = given["n"]
    assert mask.dtype == torch.bool
    assert np.array_equal(mask.sum(dim=1), observations.sets["n"].sizes)
    assert not given["w"][~mask].any()
    for name in ("b", "sky", "v", "x"):
        raw, scaled = table.dataset[name].values, given[name].numpy()
        for channel in range(3 if name == "sky" else 1):
            part = (..., channel) if name == "sky" else ...
            if name == "b":
                assert np.corrcoef(raw, scaled)[0, 1] > 0.99
            assert np.median(scaled[part]) == pytest.approx(0, abs=0.5)
        assert np.corrcoef(raw.ravel(), scaled.ravel())[0, 1] > 0.9  # in the same order


def test_the_only_observable_is_no_dict():
    schema = Schema({"y": (2, 3)}, {}, (), {}, {})
    observations = schema.stack({"y": np.arange(24.0).reshape(4, 2, 3)}, {})
    batch = Batch.of(observations, Scaling.fit(observations, scores=False))
    assert Parts.of(observations).tensors(batch).shape == (4, 2, 3)


def test_layers_are_drawn_anew_and_frozen_ones_kept():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(4, 2)
            self.last = nn.Linear(4, 4)

        def reset_parameters(self):
            nn.init.zeros_(self.last.weight)  # the outer module has the last word

    mine, frozen = Mine(), nn.Linear(2, 2).requires_grad_(False)
    before = mine.inner.in_proj_weight.clone(), frozen.weight.clone()
    reset(nn.ModuleList([mine, frozen]))
    assert not torch.equal(mine.inner.in_proj_weight, before[0])
    assert not mine.last.weight.any()
    assert torch.equal(frozen.weight, before[1])


class Wrong(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, y):
        return self.answer(y)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(5, 2), r"Linear failed on a tensor of shape \(3, 2\): RuntimeError"),
        (
            Wrong(lambda y: y.sum(dim=1)),
            r"shape \(batch, features\).*got shape \(3,\) from a tensor",
        ),
        (Wrong(lambda y: y[:1]), r"for a batch of 3; got shape \(1, 2\)"),
        (Wrong(lambda y: y / 0), "expected finite features"),
        (Wrong(lambda y: [y]), "got <class 'list'>"),
    ],
)
def test_networks_that_do_not_fit(network, message):
    with pytest.raises(SimulationError, match=message):
        quick_fit(LINE, method=TINY, summary=network)


def test_what_is_no_network():
    with pytest.raises(ValueError, match=r"such as summary=MyNet\(\); got <class"):
        si.CINN(summary=Flat)
    with pytest.raises(ValueError, match="summary= is for method=.cinn."):
        quick_fit(LINE, method="inn", summary=Flat())
