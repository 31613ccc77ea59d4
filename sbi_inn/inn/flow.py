"""Coupling blocks, normalised and mixed: the networks that the methods train."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from sbi_inn.inn.actnorm import ActNorm
from sbi_inn.inn.bijection import Bijection
from sbi_inn.inn.coupling import Affine, Coupling, Elementwise
from sbi_inn.inn.mixing import Orthogonal
from sbi_inn.inn.spline import RationalQuadraticSpline
from sbi_inn.inn.stack import Stack

TRANSFORMS = ("affine", "spline", "mixed")


def coupling_flow(
    dim: int,
    blocks: int,
    subnet: Callable[[int, int], nn.Module],
    generator: torch.Generator,
    *,
    transform: str = "affine",
    clamp: float = 2.0,
    bins: int = 8,
) -> Stack:
    """Stack coupling blocks, each after an activation normalisation, with rotations between them.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    blocks : int
        Number of coupling blocks.
    subnet : callable (n_in, n_out) -> Module
        Makes the networks inside, as for `Coupling`.
    generator : torch.Generator
        Where the rotations come from.
    transform : {"affine", "spline", "mixed"}
        What a block does to each number; "mixed" takes turns, affine first.
    clamp : float
        Bound on the log scale of an affine block.
    bins : int
        Pieces of a spline.

    Raises
    ------
    ValueError
        If there is no such transform.

    Examples
    --------
    >>> import torch
    >>> from functools import partial
    >>> from sbi_inn.inn import MLP, coupling_flow
    >>> subnet = partial(MLP, context=0, hidden=16, depth=1)
    >>> flow = coupling_flow(3, 2, subnet, torch.Generator().manual_seed(1))
    >>> x = torch.tensor([[1.0, 2.0, 3.0]])
    >>> z, _ = flow(x, torch.zeros(1, 0))
    >>> torch.allclose(flow.inverse(z, torch.zeros(1, 0))[0], x)
    True
    """
    if transform not in TRANSFORMS:
        known = ", ".join(map(repr, TRANSFORMS))
        raise ValueError(f"transform must be one of {known}; got {transform!r}")
    affine, spline = Affine(clamp), RationalQuadraticSpline(bins)
    turns: dict[str, tuple[Elementwise, Elementwise]] = {
        "affine": (affine, affine),
        "spline": (spline, spline),
        "mixed": (affine, spline),
    }
    bijections: list[Bijection] = []
    for block in range(blocks):
        if block:
            bijections.append(Orthogonal(dim, generator))
        bijections += [ActNorm(dim), Coupling(dim, turns[transform][block % 2], subnet)]
    return Stack(bijections)
