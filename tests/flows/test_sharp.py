"""The sharpest posteriors keep the normal laws that a likelihood leads to, if others say so."""

from copy import deepcopy

import pytest
import torch

from sbi_inn.flows import LaplaceStart
from sbi_inn.flows.start_choice import sharp_from

CHOICES = 60
DOSES = torch.linspace(-1.5, 1.5, CHOICES).double()
WIDE = 6.0  # of the prior: most simulations are nearly all yes, or nearly all no


def rows(n, seed):
    """Latents of a level and a slope, and who says yes at 60 doses."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draw).double()
    yes = torch.bernoulli(torch.sigmoid(odds(x)), generator=draw)
    return x.float(), yes.float()


def odds(x):
    return WIDE * (x[:, :1] + x[:, 1:] * DOSES)


def exact(yes, points=241, half=0.75):
    """Mean and widths of posteriors near the middle of the prior, on a grid; no edge in reach."""
    axis = torch.linspace(-half, half, points).double()
    grid = torch.cartesian_prod(axis, axis)
    at = odds(grid)
    log = yes.double() @ at.T - torch.nn.functional.softplus(at).sum(dim=1)
    weight = (log - 0.5 * grid.square().sum(dim=1)).softmax(dim=1)
    mean = weight @ grid
    return mean, (weight @ grid.square() - mean.square()).sqrt()


@pytest.fixture(scope="module")
def start():
    found = LaplaceStart(2, CHOICES, CHOICES, tuple(range(CHOICES)))
    found.fit(*rows(3_000, 1))
    return found


@pytest.fixture(scope="module")
def undecided():
    """Give rows of which about as many say yes as no: the posteriors that people ask for."""
    x, yes = rows(4_000, 2)
    return yes[odds(x.double()).abs().amax(dim=1) < 2.5]


def test_sharp_posteriors_are_exact_where_mending_would_move_them(start, undecided):
    sharp = start._is_sharp(start._seen(undecided, start._modes(undecided)).factor)[:, 0]
    assert sharp.float().mean() > 0.5
    asked = undecided[sharp]
    mean, sd = exact(asked)
    zero = torch.zeros(len(asked), 2)
    off = ((start.inverse(zero, asked)[0] - mean) / sd).square().mean().sqrt()
    everywhere = deepcopy(start)
    everywhere.sharp.fill_(torch.inf)
    mended = ((everywhere.inverse(zero, asked)[0] - mean) / sd).square().mean().sqrt()
    # Slopes of 3,000 rows: modes are off by about a tenth.
    assert off < 0.2
    assert mended > off + 0.05


def test_densities_are_those_of_the_way_back_on_both_sides(start):
    _, yes = rows(60, 3)
    sharp = start._is_sharp(start._seen(yes, start._modes(yes)).factor)[:, 0]
    assert 0 < sharp.sum() < len(sharp)
    z = torch.randn(len(yes), 2, generator=torch.Generator().manual_seed(4))
    x, there = start.inverse(z, yes)
    again, back = start(x, yes)
    torch.testing.assert_close(again, z, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(back, -there, atol=2e-3, rtol=2e-3)
    # Several rows for each context, as draws are.
    said = start.predict(yes)
    several, _ = start.coloured(z.repeat_interleave(3, dim=0), said)
    torch.testing.assert_close(several[::3], x, atol=1e-4, rtol=1e-4)


def test_networks_are_told_nothing_of_what_is_not_mended(start):
    _, yes = rows(60, 3)
    sharp = start._is_sharp(start._seen(yes, start._modes(yes)).factor)[:, 0]
    said = start.predict(yes)[:, :4]
    assert (said[sharp] == 0).all()
    assert (said[~sharp] != 0).any(dim=1).all()


def test_older_files_mend_everywhere(start):
    state = start.state_dict()
    state.pop("sharp")
    again = LaplaceStart(2, CHOICES, CHOICES, tuple(range(CHOICES)))
    again.load_state_dict(state)
    assert again.sharp == torch.inf
    fresh = LaplaceStart(2, CHOICES, CHOICES, tuple(range(CHOICES)))
    fresh.load_state_dict(start.state_dict())
    assert fresh.sharp == start.sharp


def test_normal_laws_are_kept_where_mending_makes_rows_less_likely():
    draw = torch.Generator().manual_seed(5)
    z = torch.randn(5_000, 3, generator=draw)
    sharpness = torch.randn(5_000, generator=draw)
    wrong = z + 0.5 * (sharpness > 1)[:, None]  # it moves the sharpest sixth
    log_det = torch.where(sharpness > 1, 0.0, -3 * torch.tensor(2.0).log())
    plain = torch.where(sharpness[:, None] > 1, z, z * 2.0)
    mended = torch.where(sharpness[:, None] > 1, wrong, plain / 2)
    assert sharp_from(sharpness, plain, mended, log_det) == pytest.approx(1, abs=0.1)


def test_where_mending_is_as_good_or_better_it_is_done_everywhere():
    draw = torch.Generator().manual_seed(6)
    z = torch.randn(5_000, 3, generator=draw)
    sharpness, none = torch.randn(5_000, generator=draw), torch.zeros(5_000)
    assert sharp_from(sharpness, z, z, none) == torch.inf
    wide = z * 2
    less = torch.full((5_000,), -3 * float(torch.tensor(2.0).log()))
    assert sharp_from(sharpness, wide, z, less) == torch.inf
