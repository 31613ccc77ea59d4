"""The losses, at networks that are the identity: what each of them is can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st
import torch

from sbi_inn.methods import INN
from sbi_inn.methods.bidirectional.losses import (
    AT_ROWS,
    LARGEST,
    RAMP,
    SMALLEST,
    Likelihood,
    MeanDiscrepancy,
)
from sbi_inn.methods.bidirectional.mmd import mmd
from sbi_inn.methods.bidirectional.network import BidirectionalNetwork, Triples
from sbi_inn.methods.bidirectional.noise import BlurAndNoise
from sbi_inn.methods.bidirectional.settings import TERMS
from sbi_inn.methods.bidirectional.sides import Sides

ROWS = 300
WIDTHS = (0.5, 1.2)
PLAIN = Sides(parameters=3, observables=1, latent=2, givens=0, width=3)
PADDED = Sides(parameters=1, observables=1, latent=1, givens=0, width=3)


def identity(sides):
    """Make a network whose outputs are its inputs, in evaluation: nothing is set from data."""
    return BidirectionalNetwork(sides, INN(blocks=1, hidden=8, depth=1)).eval()


def batch(sides, *, off=0.1, padding=1.0, seed=5):
    """Draw parameters of which the first is observed, up to `off`."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(ROWS, sides.parameters, generator=generator)
    y = x[:, :1] + off * torch.randn(ROWS, 1, generator=generator)
    return BlurAndNoise(sides, padding, (1.0, 0.01)).fixed(Triples(x, y, torch.zeros(ROWS, 0)))


# -- likelihood ------------------------------------------------------------------------------------


def test_the_likelihood_of_a_gaussian():
    rows = batch(PLAIN)
    gap = (rows.pairs.x[:, 0] - rows.pairs.y[:, 0]).numpy()
    expected = st.norm(0, np.sqrt((gap**2).mean())).logpdf(gap)
    expected += st.norm.logpdf(rows.pairs.x[:, 1:].numpy()).sum(axis=1)
    found = Likelihood(identity(PLAIN))(rows)
    assert found.shape == (ROWS,)
    assert np.allclose(found.detach(), -expected, atol=1e-4)


def test_the_likelihood_of_parameters_given_noise_that_is_mapped_along():
    sides = Sides(parameters=1, observables=1, latent=2, givens=0, width=3)
    rows = batch(sides)
    # As without padding, minus the density of the noise: the identity hands it on as the latent.
    alone = Sides(parameters=1, observables=1, latent=1, givens=0, width=2)
    gap = (rows.pairs.x - rows.pairs.y).numpy()[:, 0]
    expected = st.norm(0, np.sqrt((gap**2).mean())).logpdf(gap)
    found = Likelihood(identity(sides))(rows)
    assert np.allclose(found.detach(), -expected, atol=1e-4)
    assert alone.padding == (1, 0)


def test_the_likelihood_counts_the_volume():
    network, rows = identity(PLAIN), batch(PLAIN)
    before = Likelihood(network)(rows)
    with torch.no_grad():
        network.flow.bijections[0].log_scale[1] = 0.3
    z = rows.pairs.x[:, 1]
    expected = before + 0.5 * z.square() * (np.exp(0.6) - 1) - 0.3
    assert torch.allclose(Likelihood(network)(rows), expected, atol=1e-4)


def test_an_exact_prediction_has_a_finite_likelihood():
    found = Likelihood(identity(PLAIN))(batch(PLAIN, off=0.0))
    assert found.isfinite().all()
    assert found.mean() < 0.5 * np.log(SMALLEST) + 5


def test_a_huge_prediction_does_not_pay():
    """A spread that follows the error would forgive one: y must not be ignored that cheaply."""
    network, rows = identity(PLAIN), batch(PLAIN)
    before = Likelihood(network)(rows).mean()
    with torch.no_grad():
        network.flow.bijections[0].log_scale[0] = np.log(30.0)
    huge = (30 * rows.pairs.x[:, :1] - rows.pairs.y).square().mean()
    assert Likelihood(network)(rows).mean() > before + 0.5 * huge / LARGEST - np.log(30)
    network.zero_grad()
    Likelihood(network)(rows).mean().backward()
    assert network.flow.bijections[0].log_scale.grad[0] > 100  # down the slope is back to y


# -- mean discrepancies ----------------------------------------------------------------------------


def discrepancy(sides, rows, *terms, network=None):
    return MeanDiscrepancy(network or identity(sides), WIDTHS, terms)(rows)


def test_it_is_the_same_for_every_row():
    found = discrepancy(PLAIN, batch(PLAIN), *TERMS)
    assert found.shape == (ROWS,)
    assert (found == found[0]).all()


def test_each_term_is_what_it_says():
    rows = batch(PLAIN)
    pairs = rows.pairs
    squared = (pairs.x[:, :1] - pairs.y).square().mean()
    assert torch.allclose(discrepancy(PLAIN, rows, "y")[0], 0.5 * squared.log(), atol=1e-5)

    def in_units_of_chance(reference, draws):
        found, chance = mmd(reference, draws, WIDTHS)
        return found / chance * AT_ROWS / ROWS

    z = in_units_of_chance(
        torch.cat([rows.z, pairs.y], dim=1), torch.cat([pairs.x[:, 1:], pairs.x[:, :1]], dim=1)
    )
    assert torch.allclose(discrepancy(PLAIN, rows, "z")[0], z, atol=1e-4)
    x = in_units_of_chance(rows.x, torch.cat([pairs.y[rows.order], rows.z], dim=1))
    assert torch.allclose(discrepancy(PLAIN, rows, "x")[0], x, atol=1e-4)
    early = discrepancy(PLAIN, replace(rows, done=0.0), "x")[0]
    assert torch.allclose(early, 2 * RAMP * x, atol=1e-4)
    together = discrepancy(PLAIN, rows, *TERMS)[0]
    assert torch.allclose(together, 0.5 * squared.log() + z + x, atol=1e-4)


def test_the_latent_does_not_steer_the_prediction():
    """The gradient of L_z through y is blocked (sec. 4.1.2)."""
    for terms, reached in ((("y",), True), (("z",), False), (("x",), True)):
        network = identity(PLAIN)
        discrepancy(PLAIN, batch(PLAIN), *terms, network=network)[0].backward()
        # The last of the two networks in a coupling block changes y alone.
        last = network.flow.bijections[-1].net_first.leave.weight.grad
        assert (last is not None and bool(last.any())) == reached


def test_latents_that_depend_on_the_observation_cost():
    rows = batch(PLAIN)
    x = rows.pairs.x.clone()
    x[:, 1] = x[:, 0]  # standard normal still, but no news
    tied = replace(rows, pairs=replace(rows.pairs, x=x))
    assert discrepancy(PLAIN, tied, "z")[0] > 10 * discrepancy(PLAIN, rows, "z")[0].abs() + 1


def test_padding_costs_what_it_is_beyond_its_noise():
    rows = batch(PADDED, off=0.0, padding=MeanDiscrepancy.padding)
    noise = rows.padding[0][:, 1:]  # what the identity leaves in the padding of y and z
    beyond = 0.5 * torch.log1p(noise.square().mean() / MeanDiscrepancy.padding**2)
    assert beyond == pytest.approx(0.5 * np.log(2), rel=0.25)
    found = discrepancy(PADDED, rows, "y")[0]
    # The way back from padding that is overwritten leads to x all the same: it adds nothing.
    assert torch.allclose(found, beyond + 0.5 * np.log(SMALLEST), atol=1e-4)
    far = replace(rows, padding=(20 * rows.padding[0], rows.padding[1]))
    assert discrepancy(PADDED, far, "y")[0] > found + 2
