"""The mean discrepancy: its value, its gradient by hand, and what chance makes of it."""

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError

from sbi_inn.methods.bidirectional.mmd import _mean_kernel, _MeanKernel, mmd

WIDTHS = (0.2, 0.5, 1.2)


def samples(n=40, dim=3, *, shift=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    reference, draws = torch.randn(2, n, dim, generator=generator, dtype=torch.float64)
    return reference, draws + shift


def kernel(a, b, widths=WIDTHS):
    squared = (a[:, None] - b[None]).square().sum(dim=2)
    return torch.stack([1 / (1 + squared / h**2) for h in widths]).mean(dim=0)


def plainly(reference, draws, widths=WIDTHS):
    """Write the unbiased estimator down as Gretton et al. (2012, eq. 3) do."""
    reference = reference.detach()
    others = ~torch.eye(len(draws), dtype=torch.bool)
    among, within = (kernel(a, a, widths)[others].mean() for a in (reference, draws))
    return among + within - 2 * kernel(reference, draws, widths).mean()


@pytest.mark.parametrize("widths", [WIDTHS, (1.0,)])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_value_and_gradient_are_those_of_the_plain_formula(widths, shift):
    reference, draws = (v.requires_grad_() for v in samples(shift=shift))
    found, chance = mmd(reference, draws, widths)
    expected = plainly(reference, draws, widths)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(
        *(torch.autograd.grad(3 * v, draws, retain_graph=True)[0] for v in (found, expected)),
        rtol=1e-9,
        atol=1e-12,
    )
    assert torch.autograd.grad(found, reference, allow_unused=True) == (None,)
    assert not chance.requires_grad


def test_the_gradient_by_hand_is_numerically_right():
    one, other = (v.requires_grad_() for v in samples(8, 2))
    assert torch.autograd.gradcheck(lambda a, b: _mean_kernel(a, b, WIDTHS), (one, other))
    assert torch.autograd.gradcheck(lambda a: _mean_kernel(a, a, WIDTHS), (one,))


class Wrong(_MeanKernel):
    """A gradient that is off by a hundredth."""

    @staticmethod
    def backward(ctx, *gradients):
        by_a, by_b, _ = _MeanKernel.backward(ctx, *gradients)
        return 1.01 * by_a, by_b, None


def test_a_wrong_gradient_is_noticed():
    one, other = (v.requires_grad_() for v in samples(8, 2))
    with pytest.raises(GradcheckError, match="Jacobian mismatch"):
        torch.autograd.gradcheck(lambda a, b: Wrong.apply(a, b, WIDTHS), (one, other))


def test_it_is_unbiased_and_chance_is_the_bias_of_the_diagonals():
    found, biased, chance = [], [], []
    for seed in range(400):
        reference, draws = samples(30, 2, seed=seed)
        value, by_chance = mmd(reference, draws, WIDTHS)
        found.append(value)
        chance.append(by_chance)
        within = kernel(reference, reference).mean() + kernel(draws, draws).mean()
        biased.append(within - 2 * kernel(reference, draws).mean())
    found, biased, chance = (torch.stack(v) for v in (found, biased, chance))
    error = found.std() / 400**0.5
    assert abs(found.mean()) < 4 * error
    assert biased.mean() > 4 * error  # what the same test says of a biased estimator
    assert abs(chance.mean() / (biased - found).mean() - 1) < 0.05


def test_samples_that_differ_are_told_apart():
    reference, draws = samples(300, 2)
    assert mmd(reference, reference, WIDTHS)[0] < 0  # less than chance would give
    for other in (draws + 0.5, 0.5 * draws, draws.abs()):
        found, chance = mmd(reference, other, WIDTHS)
        assert found > 2 * chance


def test_points_that_coincide_stay_finite_in_float32():
    point = torch.full((20, 2), 1e3).requires_grad_()
    found, chance = mmd(point.detach(), point, WIDTHS)
    (slope,) = torch.autograd.grad(found, point)
    assert abs(found) < 1e-6
    assert abs(chance) < 1e-6
    assert slope.abs().max() < 1e-3
