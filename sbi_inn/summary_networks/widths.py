"""Widths and kinds of the parts of an observation, which say what networks read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from sbi_inn.summary_networks.batch import Batch
from sbi_inn.summary_networks.scaling import Scaling
from sbi_inn.summary_networks.series import patch_of


@dataclass(frozen=True, kw_only=True)
class Widths:
    """Widths and kinds of what a `Fusion` reads; the shapes of methods add what they need.

    Attributes
    ----------
    vector : int
        Features of fixed shape.
    sets : dict of str to int
        Columns of each set and series, and of curves that are read as a series.
    series : dict of str to int
        Which of them are series, and the entries from one window to the next of each.
    beside : int
        Steps that a window of a series reaches over on either side of its own.
    images : dict of str to (channels, height, width)
    image_gaps : tuple of str
        Which of the images have flags of missing pixels.

    Examples
    --------
    >>> import torch
    >>> import numpy as np
    >>> from sbi_inn.observation.batch import Observations
    >>> from sbi_inn.summary_networks import Batch, Scaling, Widths
    >>> observations = Observations(np.random.default_rng(1).normal(size=(9, 2)), {})
    >>> scaling = Scaling.fit(observations, scores=False)
    >>> Widths.read_off(Batch.of(observations, scaling), scaling, ()).vector
    2
    """

    vector: int
    sets: dict[str, int]
    series: dict[str, int] = field(default_factory=dict)
    beside: int = 1
    images: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    image_gaps: tuple[str, ...] = ()

    @staticmethod
    def read_off(
        batch: Batch, scaling: Scaling, series: tuple[str, ...], beside: int = 1
    ) -> Widths:
        """Read them off rows, the names of series being known; curves are series, too."""
        ordered = (*series, *scaling.curves)
        return Widths(
            vector=batch.vector.shape[1],
            sets={name: s.entries.shape[1] for name, s in batch.sets.items()},
            series={name: patch_of(int(batch.sets[name].sizes.max())) for name in ordered},
            beside=beside,
            images={name: (g.channels, g.height, g.width) for name, g in scaling.grids.items()},
            image_gaps=scaling.image_gaps,
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read back what JSON has made of the fields; files of 0.1 may lack the gaps."""
        images = {name: tuple(shape) for name, shape in config["images"].items()}
        gaps = tuple(config.get("image_gaps", ()))
        return cls(**{**config, "images": images, "image_gaps": gaps})
