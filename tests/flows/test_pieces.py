"""What pieces of an axis are for: densities that jump, and probabilities that are stated."""

from functools import partial

import pytest
import scipy.stats as st
import torch

from sbi_inn.flows import MLP, Normal, Pieces, coupling_flow

CUTS = [-0.7, 0.1, 1.4]
WANTED = torch.tensor([0.05, 0.6, 0.3, 0.05])


def stated():
    """Make an axis whose pieces have stated probabilities, whatever the context."""
    axis = Pieces(1, {0: CUTS}, partial(MLP, context=2, hidden=4, depth=1), None)
    ends = st.norm.cdf([-torch.inf, *CUTS, torch.inf])
    mass = torch.tensor(ends[1:] - ends[:-1], dtype=torch.float32)
    axis.heads[0].leave.bias.data.copy_(torch.log(WANTED / mass))
    return axis.eval(), mass


def test_draws_fall_into_pieces_as_often_as_is_stated():
    axis, _ = stated()
    z = torch.randn(40_000, 1, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        x, _ = axis.inverse(z, torch.zeros(1, 2))
    shares = axis.inside(x).mean(dim=0)
    assert torch.allclose(shares, WANTED, atol=4 * (0.25 / 40_000) ** 0.5)
    # Inside a piece they are those of N(0, 1).
    inner = x[(x > CUTS[0]) & (x < CUTS[1])].numpy()
    cut = st.truncnorm(CUTS[0], CUTS[1])
    assert st.kstest(inner, cut.cdf).pvalue > 1e-3


def test_the_ratio_to_the_prior_is_constant_in_each_piece():
    axis, mass = stated()
    x = torch.linspace(-5, 5, 501)[:, None]
    z, log_det = axis(x, torch.zeros(1, 2))
    ratio = Normal(1).log_prob(z) + log_det - Normal(1).log_prob(x)
    expected = (axis.inside(x) * torch.log(WANTED / mass)).sum(dim=1)
    assert torch.allclose(ratio, expected, atol=1e-4)


def test_it_starts_as_the_identity():
    subnet = partial(MLP, context=2, hidden=4, depth=1)
    rest = coupling_flow(1, 0, subnet, torch.Generator())
    start = Pieces(3, {0: CUTS, 2: [0.0]}, subnet, rest)
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(2))
    z, log_det = start(x, torch.zeros(1, 2))
    assert torch.allclose(z, x, atol=1e-5)
    assert torch.allclose(log_det, torch.zeros(50), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_draw_never_crosses_an_end(dtype):
    axis, _ = stated()
    axis = axis.to(dtype)
    z = torch.cat([torch.tensor([-40.0]), torch.linspace(-9, 9, 20_001), torch.tensor([40.0])])
    z = z[:, None].to(dtype)
    x, log_det = axis.inverse(z, torch.zeros(1, 2, dtype=dtype))
    assert x.isfinite().all()
    assert log_det.isfinite().all()
    ends = torch.tensor(CUTS, dtype=torch.float64)
    here = torch.bucketize(x[:, 0].double(), ends)
    assert (here.diff() >= 0).all()
    assert torch.equal(here, axis.inside(x).argmax(dim=1))
