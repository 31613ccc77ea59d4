"""The network between two sides, and the noise that is drawn for its losses."""

import numpy as np
import pytest
import torch

from sbi_inn.methods import INN
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork, Triples
from sbi_inn.methods.bidirectional.noise import BlurAndNoise
from sbi_inn.methods.bidirectional.sides import Sides

SIDES = {
    "even": Sides(parameters=4, observables=2, latent=2, givens=0, width=4),
    "steered": Sides(parameters=2, observables=1, latent=1, givens=2, width=2),
    "padded": Sides(parameters=2, observables=3, latent=2, givens=1, width=8),
}
ROWS = 4_000


@pytest.fixture(params=SIDES)
def sides(request):
    return SIDES[request.param]


def make(sides, **settings):
    """Make a network in float64 with weights that are not zero."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            network = BidirectionalNetwork(sides, INN(blocks=3, hidden=8, depth=1, **settings))
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter += 0.2 * torch.randn_like(parameter)
                network.line[0], network.line[1] = 0.3, 1.7  # as after `align`
    finally:
        torch.set_default_dtype(before)
    return network.eval()


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("transform", ["affine", "spline", "mixed"])
def test_the_way_back(sides, transform):
    network = make(sides, transform=transform)
    x, rest, given = (
        normal(9, n, seed=n) for n in (sides.parameters, sides.padding[0], sides.givens)
    )
    out = network(x, rest, given)
    assert out.y.shape == (9, sides.observables)
    assert out.z.shape == (9, sides.latent)
    assert out.padding.shape == (9, sides.padding[1])
    back = network.inverse(out.y, out.z, out.padding, given)
    torch.testing.assert_close(back.x, x, rtol=0, atol=1e-8)
    torch.testing.assert_close(back.padding, rest, rtol=0, atol=1e-8)
    torch.testing.assert_close(back.log_det, -out.log_det, rtol=0, atol=1e-8)


def test_givens_steer():
    sides = SIDES["steered"]
    network, x, rest = make(sides), normal(9, 2), torch.zeros(9, 0)
    one, other = (network(x, rest, torch.full((9, 2), k).double()).y for k in (0.0, 1.0))
    assert (one != other).all()


def test_the_residual_is_the_error_with_the_padding_at_its_centre(sides):
    network = make(sides)
    x, given = normal(9, sides.parameters), normal(9, sides.givens, seed=1)
    zeros = torch.zeros(9, sides.padding[0]).double()
    exact = network(x, zeros, given).y
    found = network.residual(Triples(x, exact + 0.25, given))
    torch.testing.assert_close(found, torch.full_like(found, -0.25))


def test_rows_are_cut_into_observables_and_givens():
    latent = np.arange(6.0).reshape(3, 2)
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    pairs = Triples.of(latent, vectors, givens=1)
    assert len(pairs) == 3
    assert pairs.x.dtype == torch.float32
    assert np.array_equal(pairs.y, vectors[:, :3])
    assert np.array_equal(pairs.given, vectors[:, 3:])
    some = pairs[torch.tensor([2, 0])]
    assert np.array_equal(some.x, latent[[2, 0]])
    assert np.array_equal(some.given, vectors[[2, 0], 3:])
    assert Triples.of(latent, vectors, givens=0).given.shape == (3, 0)


# -- noise -----------------------------------------------------------------------------------------


def pairs_of(sides):
    zeros = (torch.zeros(ROWS, n) for n in (sides.parameters, sides.observables, sides.givens))
    return Triples(*zeros)


def has_sd(values, sd):
    """Whether centred noise has an sd, but for chance."""
    return values.square().mean().sqrt().item() == pytest.approx(sd, rel=4 / (2 * ROWS) ** 0.5)


def test_a_training_batch(sides):
    noise = BlurAndNoise(sides, padding=0.05, blur=(1.0, 0.01))
    pairs = pairs_of(sides)
    batch = noise(pairs, 0.0, torch.Generator().manual_seed(1))
    assert has_sd(batch.pairs.y, 1.0)
    assert not batch.pairs.x.any()
    assert not batch.pairs.given.any()
    assert not pairs.y.any()  # what came in is left alone
    assert has_sd(batch.z, 1.0)
    assert has_sd(batch.x, 1.0)
    for values, width in zip(batch.padding, sides.padding, strict=True):
        assert values.shape == (ROWS, width)
        assert not width or has_sd(values, 0.05)
    assert torch.equal(batch.order.sort().values, torch.arange(ROWS))
    assert batch.done == 0.0
    late = noise(pairs, 0.9, torch.Generator().manual_seed(1))
    assert has_sd(late.pairs.y, 0.01)


def test_the_generator_decides(sides):
    noise = BlurAndNoise(sides, padding=1.0, blur=(1.0, 0.01))
    one, same, other = (
        noise(pairs_of(sides), 0.5, torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(one.z, same.z)
    assert torch.equal(one.pairs.y, same.pairs.y)
    assert not torch.equal(one.z, other.z)
    assert not torch.equal(one.order, other.order)


def test_validation_rows_are_judged_without_blur_and_the_same_every_time(sides):
    noise = BlurAndNoise(sides, padding=1.0, blur=(1.0, 0.01))
    one, other = (noise.fixed(pairs_of(sides)) for _ in range(2))
    assert not one.pairs.y.any()
    assert torch.equal(one.z, other.z)
    assert torch.equal(one.order, other.order)
    assert one.done == 1.0


def test_observables_are_regressed_on_predictions():
    sides = SIDES["even"]
    network, x = make(sides), normal(ROWS, 4)
    given, rest = torch.zeros(ROWS, 0), torch.zeros(ROWS, 0)
    before = network(x, rest, given).y
    noise = 0.2 * normal(ROWS, 2, seed=5)
    y = torch.stack([0.5 * before[:, 0] + 1, before[:, 1]], dim=1) + noise * torch.tensor([1, 0])
    network.align(Triples(x, y, given))
    after = network(x, rest, given).y
    # Regression on so many rows misses the line by noise / sqrt(rows), give or take; four times it.
    gap = after[:, 0] - 0.5 * before[:, 0] - 1
    assert gap.square().mean().sqrt() < 4 * 0.2 / ROWS**0.5
    # What is predicted exactly stays as it is.
    assert torch.equal(after[:, 1], before[:, 1])
    back = network.inverse(after, network(x, rest, given).z, rest, given)
    torch.testing.assert_close(back.x, x, rtol=0, atol=1e-8)


def test_an_observable_of_noise_alone_stays_invertible():
    sides = SIDES["even"]
    network, x = make(sides), normal(ROWS, 4)
    network.align(Triples(x, normal(ROWS, 2, seed=7), torch.zeros(ROWS, 0)))
    # The slope that `make` gave, times the least that is allowed, or untouched.
    assert (network.line[1] >= 0.5 * 1.7).all()
