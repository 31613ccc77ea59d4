"""Networks for series and images, and attention pooling."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sbi_inn.summary_networks import DeepSet, Fusion, ImageNet, SeriesNet, SetBatch
from sbi_inn.summary_networks.batch import Batch
from sbi_inn.summary_networks.pooling import Attention, rows_of
from sbi_inn.summary_networks.series import NEAR, Neighbours, patch_of

COLUMNS, FEATURES = 2, 4
few = settings(max_examples=10)


def seeded(build):
    """Build a network with weights of its own, in float64, as it is after training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().double().eval()


def entries(size, seed=0, columns=COLUMNS):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, columns, generator=generator, dtype=torch.float64)


def together(sets):
    return SetBatch(torch.cat(sets), torch.tensor([len(s) for s in sets]))


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def series_net(columns=COLUMNS, beside=1):
    return seeded(lambda: SeriesNet(columns, features=FEATURES, hidden=8, beside=beside))


def attention_set():
    return seeded(lambda: DeepSet(COLUMNS, features=FEATURES, hidden=8, pooling="attention"))


ragged = st.lists(st.integers(1, 30), min_size=1, max_size=5).map(
    lambda sizes: [entries(size, seed) for seed, size in enumerate(sizes)]
)


# -- series ----------------------------------------------------------------------------------------


@few
@given(ragged, st.sampled_from([0, 1]))
def test_a_batch_of_series_equals_its_members(series, beside):
    net = series_net(beside=beside)
    close(net(together(series)), torch.cat([net(together([s])) for s in series]))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100, 3_000])
def test_series_of_any_length(size):
    features = series_net()(together([entries(size)]))
    assert features.shape == (1, 4 * COLUMNS + 1 + FEATURES)
    assert features.isfinite().all()


def test_autocorrelations_pass_beside_the_learned_features():
    one = entries(50)
    found = series_net()(together([entries(2, seed=9), one, entries(1)]))
    centred = one - one.mean(dim=0)
    variance = centred.square().sum(dim=0) + 50e-6
    for place, lag in enumerate((1, 2)):
        first = (2 + place) * COLUMNS + 1
        expected = (centred[lag:] * centred[:-lag]).sum(dim=0) / variance
        close(found[1, first : first + COLUMNS], expected)
        assert not found[2, first : first + COLUMNS].any()


def test_neighbours_are_averaged_within_their_own_series():
    part = seeded(lambda: Neighbours(COLUMNS, hidden=5))
    series = [entries(40, 1), entries(NEAR - 1, 2), entries(NEAR, 3)]
    found = part(together(series))
    assert found.shape == (3, 5)
    assert not found[1].any()  # too short for three neighbours
    for place in (0, 2):
        one = series[place]
        centred = one - one.mean(dim=0)
        deviation = (centred.square().mean(dim=0) + 1e-6).sqrt()
        both = torch.cat([one, centred / deviation], dim=1)
        windows = [both[i : i + NEAR].flatten() for i in range(len(one) - NEAR + 1)]
        close(found[place], part.read(torch.stack(windows)).mean(dim=0))


@pytest.mark.parametrize(("beside", "seen"), [(0, [2]), (1, [1, 2, 3])])
def test_windows_reach_so_far_and_no_further(beside, seen):
    net, one = series_net(beside=beside), entries(20)
    swapped = one[[*range(8), 9, 8, *range(10, 20)]]  # in the third window of five
    _, windows, steps = net.windows(together([one, swapped]))
    assert steps.tolist() == [5, 5]
    moved = (windows[0] - windows[1]).abs().amax(dim=1) > 1e-9
    assert moved.nonzero().flatten().tolist() == seen


def test_longer_series_take_longer_steps():
    for longest in (1, 30, 256, 300, 1_000, 70_000):
        patch = patch_of(longest)
        assert longest <= 64 * patch
        assert patch == 4 or longest > 32 * patch


def test_no_series():
    net = series_net()
    nothing = SetBatch(torch.empty(0, COLUMNS).double(), torch.empty(0, dtype=torch.int64))
    assert net(nothing).shape == (0, net.features)


@few
@given(st.permutations(range(9)))
def test_the_order_of_a_series_matters(order):
    net, one = series_net(1), entries(9, columns=1)
    a, b = net(together([one, one[list(order)]]))
    close(a[:3], b[:3])  # mean, deviation and length know no order
    same = list(order) == list(range(9))
    assert torch.allclose(a[3:], b[3:], rtol=0, atol=1e-10) == same


@pytest.mark.parametrize("beside", [0, 1])
@pytest.mark.parametrize("place", [0, 1, 37, 98, 99])
def test_every_entry_of_a_series_is_seen(place, beside):
    net = series_net(beside=beside)
    batch = SetBatch(entries(100).requires_grad_(), torch.tensor([100]))
    (slope,) = torch.autograd.grad(net(batch)[0, 4 * COLUMNS + 1 :].sum(), batch.entries)
    assert (slope[place] != 0).all()


@pytest.mark.parametrize("size", [1, 9])
def test_gradients_of_constant_series_are_finite(size):
    net = series_net()
    net(together([torch.ones(size, COLUMNS).double()])).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


# -- attention over sets ---------------------------------------------------------------------------


@few
@given(ragged)
def test_a_batch_with_attention_equals_its_members(sets):
    net = attention_set()
    close(net(together(sets)), torch.cat([net(together([s])) for s in sets]))


@few
@given(st.permutations(range(7)))
def test_the_order_of_a_set_does_not_matter_to_attention(order):
    net, one = attention_set(), entries(7)
    close(net(together([one])), net(together([one[list(order)]])))


def test_attention_is_the_softmax_of_its_scores():
    net = seeded(lambda: Attention(4, heads=2))
    one = entries(5, columns=4) * 300  # exponentials of such scores would overflow
    found = net(torch.cat([one, one[:1]]), rows_of(torch.tensor([5, 1])), torch.tensor([5, 1]))
    weights = net.score(one).softmax(dim=0)
    close(found[0], torch.cat([weights[:, 0] @ one[:, :2], weights[:, 1] @ one[:, 2:]]))
    close(found[1], one[0])


# -- images ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 11), (2, 4, 40), (1, 33, 64), (1, 256, 256)])
def test_images_of_any_size(shape):
    net = seeded(lambda: ImageNet(*shape, features=FEATURES, hidden=8))
    pixels = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)).double()
    features = net(pixels)
    assert features.shape == (3, net.features) == (3, 2 * shape[0] + FEATURES)
    close(features, torch.cat([net(pixels[[i]]) for i in range(3)]))
    close(features[:, : shape[0]], pixels.mean(dim=(2, 3)))
    assert net(pixels[:0]).shape == (0, net.features)
    (slope,) = torch.autograd.grad(net(pixels.requires_grad_())[:, 2:].sum(), pixels)
    assert (slope != 0).all()  # every pixel is seen


def test_where_something_is_in_an_image_matters():
    net = seeded(lambda: ImageNet(1, 32, 32, features=FEATURES, hidden=8))
    pixels = torch.zeros(2, 1, 32, 32).double()
    pixels[0, 0, 4:8, 4:8] = pixels[1, 0, 20:24, 8:12] = 3.0
    a, b = net(pixels)
    close(a[:2], b[:2])
    assert not torch.allclose(a[2:], b[2:], atol=1e-6)


def test_no_layer_looks_across_a_batch():
    net = Fusion(
        2, {"n": 1, "t": 1}, series={"t": 4}, images={"i": (1, 8, 8)}, features=4, hidden=8
    )
    assert not [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]


# -- all together ----------------------------------------------------------------------------------


def everything(n=4):
    sets = {
        name: together([entries(2 + 3 * row, 7 * row + columns, columns) for row in range(n)])
        for name, columns in (("n", 2), ("items", 1))
    }
    pixels = torch.randn(n, 1, 8, 12, generator=torch.Generator().manual_seed(3)).double()
    return Batch(entries(n, columns=3), sets, {"items": pixels})


def fused():
    return seeded(
        lambda: Fusion(
            3,
            {"n": 2, "items": 1},
            series={"items": 4},
            images={"items": (1, 8, 12)},
            features=FEATURES,
            hidden=8,
            pooling="attention",
        )
    )


@few
@given(st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_a_fused_batch_equals_its_members(rows):
    net, batch = fused(), everything()
    alone = [net(batch[torch.tensor([row])]) for row in rows]
    close(net(batch[torch.tensor(rows)]), torch.cat(alone))


def test_fusion_begins_with_the_vector_and_holds_no_pixels():
    net, batch = fused(), everything()
    features = net(batch)
    assert features.shape == (4, net.features)
    close(features[:, :3], batch.vector)
    pixels = set(np.round(batch.images["items"].flatten().tolist(), 9))
    assert not pixels & set(np.round(features.flatten().tolist(), 9))
