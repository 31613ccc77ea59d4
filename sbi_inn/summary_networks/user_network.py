"""A summary network of the user's own: any torch module that returns (batch, features)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sbi_inn.errors import ShapeError
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.batch import Batch
from sbi_inn.summary_networks.pooling import rows_of

TRIED = 3  # observations that a network is tried on

Dims = tuple[int, ...]


@dataclass(frozen=True)
class Parts:
    """Names and shapes of what a network of the user's own is given.

    Attributes
    ----------
    fixed : dict of str to tuple of int
        The observables of fixed shape, in the order of `Observations.vector`.
    givens : dict of str to tuple of int
    sets : dict of str to dict of str to tuple of int
        The columns of each set and series, and the shapes of their entries.
    channels : dict of str to int
        The images; -1 where the channels are the last axis, 1 where they are the first one, 0 where
        there is one channel without an axis.
    """

    fixed: dict[str, Dims]
    givens: dict[str, Dims]
    sets: dict[str, dict[str, Dims]]
    channels: dict[str, int]

    @classmethod
    def of(cls, observations: Observations) -> Parts:
        """Read them off observations.

        Raises
        ------
        ShapeError
            If their names and shapes are not known.
        """
        schema = observations.schema
        if schema is None:
            raise ShapeError(
                "a summary network of your own needs observations whose names and shapes are known"
            )
        shapes = schema.observables
        return cls(
            {name: shapes[name] for name in schema.fixed},
            {name: schema.shape(name) for name in schema.givens},
            {n: {c: shapes[c] for c in columns} for n, columns in schema.sets.items()},
            {
                name: 0 if len(grid.shape) < 3 else -1 if grid.last else 1
                for name, grid in schema.grids.items()
            },
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Parts:
        """Read back what JSON has made of the fields."""
        return cls(
            {name: tuple(shape) for name, shape in config["fixed"].items()},
            {name: tuple(shape) for name, shape in config["givens"].items()},
            {n: {c: tuple(s) for c, s in each.items()} for n, each in config["sets"].items()},
            config["channels"],
        )

    def tensors(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        """Give the tensor of the only observable, or tensors by name."""
        found, start = {}, 0
        for name, shape in (self.fixed | self.givens).items():
            if name in self.channels:
                found[name] = _as_simulated(batch.images[name], shape, self.channels[name])
            else:
                width = math.prod(shape)
                found[name] = batch.vector[:, start : start + width].reshape(-1, *shape)
                start += width
        for length, columns in self.sets.items():
            found |= _padded(batch, length, columns)
        alone = len(found) == 1 and not self.givens and not self.sets
        return next(iter(found.values())) if alone else found


class OwnNet(nn.Module):
    """A module of the user's own in place of `Fusion`.

    Parameters
    ----------
    module : Module
    parts : Parts
        What it is given.
    features : int
        How many it returns.
    """

    def __init__(self, module: nn.Module, parts: Parts, features: int) -> None:
        super().__init__()
        self.module, self.parts, self.features = module, parts, features

    @classmethod
    def fresh(cls, module: nn.Module, parts: Parts, batch: Batch) -> OwnNet:
        """Copy a module, try it on a few observations, and draw its weights anew.

        Raises
        ------
        ShapeError
            If it fails, or returns something else than finite features of shape (batch, features).
        """
        copy = deepcopy(module).eval()
        given = parts.tensors(batch[torch.arange(min(TRIED, len(batch)))])
        try:
            with torch.no_grad():
                found = copy(given)
        except Exception as error:  # whatever the user's code may raise
            raise ShapeError(
                f"the summary network {_name(module)} failed on {_describe(given)}: "
                f"{type(error).__name__}: {error}"
            ) from error
        good = isinstance(found, Tensor) and found.ndim == 2 and found.is_floating_point()
        if not good or len(found) != min(TRIED, len(batch)) or not found.isfinite().all():
            what = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found)
            raise ShapeError(
                f"expected finite features of shape (batch, features) from the summary network "
                f"{_name(module)}, for a batch of {min(TRIED, len(batch))}; got {what} from "
                f"{_describe(given)}"
            )
        reset(copy)
        return cls(copy, parts, found.shape[1])

    def forward(self, batch: Batch) -> Tensor:
        """Map a batch of observations to features, shape (batch, features)."""
        return self.module(self.parts.tensors(batch))


def reset(module: nn.Module) -> None:
    """Draw the weights of every layer anew that has `reset_parameters`, as those of torch do.

    Inner layers come first, so that a module of the user's own has the last word on its parts.
    Frozen layers (`requires_grad_(False)`) keep what they have learned elsewhere.

    Examples
    --------
    >>> frozen, layer = nn.Linear(1, 1).requires_grad_(False), nn.Linear(1, 1)
    >>> before = [p.clone() for p in (frozen.weight, layer.weight)]
    >>> reset(nn.Sequential(frozen, layer))
    >>> [torch.equal(*pair) for pair in zip(before, (frozen.weight, layer.weight))]
    [True, False]
    """
    for part in reversed(list(module.modules())):
        again = getattr(part, "reset_parameters", getattr(part, "_reset_parameters", None))
        frozen = any(not p.requires_grad for p in part.parameters())
        if callable(again) and not frozen:
            again()


def _as_simulated(planes: Tensor, shape: Dims, axis: int) -> Tensor:
    """Put the channels of an image where `Parts.channels` says; flags of missing pixels go."""
    if not axis:
        return planes[:, 0].reshape(-1, *shape)
    return planes[:, : shape[0]] if axis > 0 else planes[:, : shape[-1]].permute(0, 2, 3, 1)


def _padded(batch: Batch, length: str, columns: Mapping[str, Dims]) -> dict[str, Tensor]:
    """Give the columns of sets or series padded with zeros, and the mask under their length."""
    entries, sizes = batch.sets[length].entries, batch.sets[length].sizes
    most = int(sizes.max()) if len(sizes) else 0
    mask = torch.arange(most) < sizes[:, None]
    padded = entries.new_zeros(len(sizes), most, entries.shape[1])
    row = rows_of(sizes)
    padded[row, torch.arange(len(row)) - (sizes.cumsum(0) - sizes)[row]] = entries
    widths = [math.prod(shape) for shape in columns.values()]
    own = padded[:, :, : sum(widths)].split(widths, dim=2)  # flags of missing values come after
    parts = zip(columns.items(), own, strict=True)
    found = {name: part.reshape(len(sizes), most, *shape) for (name, shape), part in parts}
    return {**found, length: mask}


def _name(module: nn.Module) -> str:
    return type(module).__name__


def _describe(given: Tensor | dict[str, Tensor]) -> str:
    """Say what a network was given."""
    if isinstance(given, Tensor):
        return f"a tensor of shape {tuple(given.shape)}"
    shapes = (f"{name!r}: {tuple(tensor.shape)}" for name, tensor in given.items())
    return f"tensors of shapes {{{', '.join(shapes)}}}"
