"""Coupling blocks, normalised and mixed: the networks that the methods train."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from sbi_inn.flows.actnorm import ActNorm
from sbi_inn.flows.bijection import Bijection
from sbi_inn.flows.coupling import Affine, Coupling, Elementwise
from sbi_inn.flows.mixing import Orthogonal, Permutation
from sbi_inn.flows.spline import RationalQuadraticSpline
from sbi_inn.flows.stack import Stack

TRANSFORMS = ("affine", "spline", "mixed")
MIXINGS = {"rotation": Orthogonal, "permutation": Permutation}


def coupling_flow(
    dim: int,
    blocks: int,
    subnet: Callable[[int, int], nn.Module],
    generator: torch.Generator,
    *,
    transform: str = "affine",
    mixing: str = "rotation",
    clamp: float = 2.0,
    bins: int = 8,
) -> Stack:
    """Stack coupling blocks, each after an activation normalisation, mixed between them.

    Parameters
    ----------
    dim : int
        Number of dimensions.
    blocks : int
        Number of coupling blocks.
    subnet : callable (n_in, n_out) -> Module
        Makes the networks inside, as for `Coupling`.
    generator : torch.Generator
        Where the rotations or permutations come from.
    transform : {"affine", "spline", "mixed"}
        What a block does to each number; "mixed" takes turns, affine first.
    mixing : {"rotation", "permutation"}
        What comes between two blocks, fixed at random.
    clamp : float
        Bound on the log scale of an affine block.
    bins : int
        Pieces of a spline.

    Raises
    ------
    ValueError
        If there is no such transform or mixing.

    Examples
    --------
    >>> import torch
    >>> from functools import partial
    >>> from sbi_inn.flows import MLP, coupling_flow
    >>> subnet = partial(MLP, context=0, hidden=16, depth=1)
    >>> flow = coupling_flow(3, 2, subnet, torch.Generator().manual_seed(1))
    >>> x = torch.tensor([[1.0, 2.0, 3.0]])
    >>> z, _ = flow(x, torch.zeros(1, 0))
    >>> torch.allclose(flow.inverse(z, torch.zeros(1, 0))[0], x)
    True
    """
    for name, value, known in (("transform", transform, TRANSFORMS), ("mixing", mixing, MIXINGS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}")
    affine, spline = Affine(clamp), RationalQuadraticSpline(bins)
    turns: dict[str, tuple[Elementwise, Elementwise]] = {
        "affine": (affine, affine),
        "spline": (spline, spline),
        "mixed": (affine, spline),
    }
    bijections: list[Bijection] = []
    for block in range(blocks):
        if block:
            bijections.append(MIXINGS[mixing](dim, generator))
        bijections += [ActNorm(dim), Coupling(dim, turns[transform][block % 2], subnet)]
    return Stack(bijections)
