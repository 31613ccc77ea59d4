"""Batches of observations and the networks that read them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks import Batch, DeepSet, Fusion, Scaling, SetBatch, VectorNet

COLUMNS = 2
FEATURES = 4

# The columns of what DeepSet passes on beside the learned features.
MEAN = slice(0, COLUMNS)
LOG_DEVIATION = slice(COLUMNS, 2 * COLUMNS)
LOG_SIZE = 2 * COLUMNS
LEARNED = slice(2 * COLUMNS + 1, None)


def seeded(build):
    """Build a network with weights of its own, in float64, as it is after training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().double().eval()


def deep_set(columns=COLUMNS):
    return seeded(lambda: DeepSet(columns, features=FEATURES, hidden=8))


def entries(size, seed=0, columns=COLUMNS):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, columns, generator=generator, dtype=torch.float64)


def together(sets):
    return SetBatch(torch.cat(sets), torch.tensor([len(s) for s in sets]))


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


sets_of_any_size = st.lists(st.integers(1, 6), min_size=1, max_size=6).map(
    lambda sizes: [entries(size, seed) for seed, size in enumerate(sizes)]
)
house = settings(derandomize=True, deadline=None, max_examples=40)


# -- batches ---------------------------------------------------------------------------------------


@house
@given(sets_of_any_size, st.data())
def test_choosing_sets_is_choosing_from_a_list(sets, data):
    rows = data.draw(st.lists(st.integers(0, len(sets) - 1), max_size=8))
    chosen = together(sets)[torch.tensor(rows, dtype=torch.int64)]
    slowly = [sets[row] for row in rows]
    assert chosen.sizes.tolist() == [len(s) for s in slowly]
    assert chosen.entries.tolist() == [e for s in slowly for e in s.tolist()]


def observations(n=20, seed=0):
    rng = np.random.default_rng(seed)
    sets = {}
    for name, columns in (("items", 2), ("m", 1)):
        sizes = rng.integers(1, 5, n)
        mask = np.arange(sizes.max()) < sizes[:, None]
        values = rng.normal(10, 3, (*mask.shape, columns))
        sets[name] = PaddedSet(np.where(mask[:, :, None], values, 0.0), sizes)
    return Observations(rng.normal(size=(n, 3)), sets)


def test_a_batch_holds_what_was_scaled():
    table = observations()
    scaling = Scaling.fit(table)
    batch = Batch.of(table, scaling)
    assert len(batch) == 20
    assert batch.vector.dtype == batch.sets["m"].entries.dtype == torch.float32
    assert np.array_equal(batch.vector.numpy(), scaling.features(table))
    for name, padded in table.sets.items():
        assert batch.sets[name].sizes.tolist() == padded.sizes.tolist()
        assert np.array_equal(
            batch.sets[name].entries.numpy(), scaling.entries(table.sets[name], name)
        )


@pytest.mark.parametrize("rows", [[3], [5, 5, 0], [], list(range(20))])
def test_choosing_rows_of_a_batch_is_choosing_observations(rows):
    table = observations()
    scaling = Scaling.fit(table)
    one = Batch.of(table, scaling)[torch.tensor(rows, dtype=torch.int64)]
    other = Batch.of(table[np.array(rows, dtype=np.int64)], scaling)
    assert torch.equal(one.vector, other.vector)
    for name in table.sets:
        assert torch.equal(one.sets[name].entries, other.sets[name].entries)
        assert torch.equal(one.sets[name].sizes, other.sets[name].sizes)


# -- deep sets -------------------------------------------------------------------------------------


@house
@given(sets_of_any_size)
def test_a_batch_of_sets_equals_its_members(sets):
    net = deep_set()
    close(net(together(sets)), torch.cat([net(together([s])) for s in sets]))


@house
@given(st.permutations(range(6)))
def test_the_order_of_a_set_does_not_matter(order):
    net, one = deep_set(), entries(6)
    close(net(together([one])), net(together([one[list(order)]])))


@pytest.mark.parametrize("size", [1, 2, 3, 100, 10_000])
def test_sets_of_any_size(size):
    features = deep_set()(together([entries(size)]))
    assert features.shape == (1, 2 * COLUMNS + 1 + FEATURES)
    assert features.isfinite().all()


def test_no_sets():
    net = deep_set()
    nothing = SetBatch(torch.empty(0, COLUMNS).double(), torch.empty(0, dtype=torch.int64))
    assert net(nothing).shape == (0, net.features)


def test_statistics_of_a_set_pass_beside_the_learned_features():
    one = entries(50)
    features = deep_set()(together([one]))[0]
    close(features[MEAN], one.mean(dim=0))
    deviation = (one.var(dim=0, correction=0) + 1e-6).sqrt()
    close(features[LOG_DEVIATION], deviation.log())
    assert features[LOG_SIZE].item() == pytest.approx(0.5 * np.log(50))


def test_repeating_a_set_changes_its_size_alone():
    net, one = deep_set(), entries(5)
    once, twice = net(together([one])), net(together([torch.cat([one, one])]))
    close(once[:, MEAN], twice[:, MEAN])
    close(once[:, LOG_DEVIATION], twice[:, LOG_DEVIATION])
    close(twice[:, LOG_SIZE] - once[:, LOG_SIZE], torch.tensor([0.5 * np.log(2)]))
    assert not torch.allclose(once[:, LEARNED], twice[:, LEARNED])  # they may read the size ...
    with torch.no_grad():
        net.rho[0].weight[:, LOG_SIZE] = 0
    once, twice = net(together([one])), net(together([torch.cat([one, one])]))
    close(once[:, LEARNED], twice[:, LEARNED])  # ... and nothing else that differs


def test_learned_features_see_more_than_the_statistics():
    # Equal mean, deviation and size; different shape.
    flat = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]]).double()
    peaked = torch.tensor([[-(2**0.5)], [0.0], [0.0], [2**0.5]], dtype=torch.float64)
    a, b = deep_set(1)(together([flat, peaked]))
    close(a[:3], b[:3])
    assert not torch.allclose(a[3:], b[3:], atol=1e-4)


def test_columns_of_a_set_stay_paired():
    one = entries(6)
    torn = torch.stack([one[:, 0], one[:, 1].roll(1)], dim=1)
    a, b = deep_set()(together([one, torn]))
    close(a[: LOG_SIZE + 1], b[: LOG_SIZE + 1])
    assert not torch.allclose(a[LEARNED], b[LEARNED], atol=1e-4)


@pytest.mark.parametrize("size", [1, 4])
def test_gradients_through_equal_entries_are_finite(size):
    net = deep_set()
    net(together([torch.ones(size, COLUMNS).double()])).sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


# -- vectors, and all together ---------------------------------------------------------------------


def test_vectors_pass_beside_the_learned_features():
    net = seeded(lambda: VectorNet(3, features=FEATURES, hidden=8))
    vector = entries(10, columns=3)
    features = net(vector)
    assert features.shape == (10, net.features) == (10, 3 + FEATURES)
    assert torch.equal(features[:, :3], vector)
    close(features, torch.cat([net(vector[i : i + 1]) for i in range(10)]))
    assert net(vector[:0]).shape == (0, net.features)


def fusion(vector=3, sets=None):
    sets = {"items": 2, "m": 1} if sets is None else sets
    return seeded(lambda: Fusion(vector, sets, features=FEATURES, hidden=8))


def small_batch(n=5):
    sets = {
        name: together([entries(1 + row, 10 * columns + row, columns) for row in range(n)])
        for name, columns in (("items", 2), ("m", 1))
    }
    return Batch(entries(n, columns=3), sets)


def test_fusion_puts_the_parts_side_by_side():
    net, batch = fusion(), small_batch()
    features = net(batch)
    widths = [3 + FEATURES, 5 + FEATURES, 3 + FEATURES]
    assert features.shape == (5, net.features) == (5, sum(widths))
    vector, items, m = features.split(widths, dim=1)
    assert torch.equal(vector[:, :3], batch.vector)
    for part, name in ((items, "items"), (m, "m")):
        first = batch.sets[name].entries[0]  # the first set has one entry, its own mean
        close(part[0, : len(first)], first)


def test_fusion_reads_sets_by_name():
    net, batch = fusion(), small_batch()
    turned = Batch(batch.vector, dict(reversed(batch.sets.items())))
    assert torch.equal(net(batch), net(turned))


@house
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_a_batch_of_observations_equals_its_members(rows):
    net, batch = fusion(), small_batch()
    alone = [net(batch[torch.tensor([row])]) for row in rows]
    close(net(batch[torch.tensor(rows)]), torch.cat(alone))


@pytest.mark.parametrize(
    ("vector", "sets"), [(3, {}), (0, {"items": 2}), (0, {"items": 2, "m": 1})]
)
def test_fusion_of_fewer_parts(vector, sets):
    net, batch = fusion(vector, sets), small_batch()
    assert net(batch).shape == (5, net.features)
    names = {name.split(".")[0] for name, _ in net.named_parameters()}
    assert names == {n for n, there in (("vector", vector), ("sets", sets)) if there}


@pytest.mark.parametrize("name", ["items", "keys", "forward", "train", "type", "n_trials"])
def test_any_name_may_be_that_of_a_set(name):
    net = fusion(0, {name: 1})
    batch = Batch(torch.empty(1, 0).double(), {name: together([entries(3, columns=1)])})
    assert net(batch).shape == (1, net.features)
    fusion(0, {name: 1}).load_state_dict(net.state_dict())
