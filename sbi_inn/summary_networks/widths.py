"""Widths and kinds of what a summary network reads, as the shapes of all methods hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sbi_inn.summary_networks.batch import Batch
from sbi_inn.summary_networks.scaling import Scaling
from sbi_inn.summary_networks.series import patch_of


def widths_of(batch: Batch, series: Iterable[str], scaling: Scaling) -> dict[str, Any]:
    """Read them off a batch: vector, sets, series, images and image_gaps.

    Parameters
    ----------
    batch : Batch
    series : iterable of str
        Which of the sets are series.
    scaling : Scaling
        That the batch was scaled by.
    """
    return {
        "vector": batch.vector.shape[1],
        "sets": {name: s.entries.shape[1] for name, s in batch.sets.items()},
        "series": {name: patch_of(int(batch.sets[name].sizes.max())) for name in series},
        "images": {n: (g.channels, g.height, g.width) for n, g in scaling.grids.items()},
        "image_gaps": scaling.image_gaps,
    }


def read_widths(config: Mapping[str, Any]) -> dict[str, Any]:
    """Give fields that JSON has made lists of as tuples again, and the others as they are.

    >>> read_widths({"vector": 2, "images": {"seen": [1, 8, 8]}, "image_gaps": ["seen"]})
    {'vector': 2, 'images': {'seen': (1, 8, 8)}, 'image_gaps': ('seen',)}
    """
    images = {name: tuple(shape) for name, shape in config["images"].items()}
    return {**config, "images": images, "image_gaps": tuple(config.get("image_gaps", ()))}
