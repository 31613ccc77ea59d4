"""Images among the observables: which axis holds the channels, and where the pixels stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sbi_inn.errors import ShapeError

MOST_CHANNELS: Final = 3
SMALLEST_SIDE: Final = 4


@dataclass(frozen=True)
class Grid:
    """The pixels of an image among the features of an observation.

    Attributes
    ----------
    shape : tuple of int
        Of the image as it was simulated: (height, width), (channels, height, width) or (height,
        width, channels).
    start : int
        The first of its features in `Observations.vector`.

    Raises
    ------
    ShapeError
        If the shape is none of these. There are 1 to 3 channels, and a side has at least 4 pixels,
        so that it is never in doubt which axis holds the channels.

    Examples
    --------
    >>> grid = Grid((16, 20, 3))
    >>> grid.channels, grid.height, grid.width, grid.last
    (3, 16, 20, True)
    >>> Grid((5, 16, 20))
    Traceback (most recent call last):
    sbi_inn.errors.ShapeError: expected an image of shape (height, width), (channels, height, ...
    """

    shape: tuple[int, ...]
    start: int = 0

    def __post_init__(self) -> None:
        sides, channels = self.shape, 1
        if len(self.shape) == 3:
            sides = self.shape[:2] if self.last else self.shape[1:]
            channels = self.shape[2] if self.last else self.shape[0]
        if not (len(sides) == 2 and min(sides) >= SMALLEST_SIDE and channels <= MOST_CHANNELS):
            raise ShapeError(
                "expected an image of shape (height, width), (channels, height, width) or (height, "
                f"width, channels), with 1 to {MOST_CHANNELS} channels and sides of at least "
                f"{SMALLEST_SIDE} pixels; got shape {self.shape}"
            )

    @property
    def last(self) -> bool:
        """Whether the channels are the last axis."""
        return len(self.shape) == 3 and self.shape[2] <= MOST_CHANNELS < self.shape[0]

    @property
    def channels(self) -> int:
        """How many there are."""
        return 1 if len(self.shape) == 2 else self.shape[2 if self.last else 0]

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.shape[1 if len(self.shape) == 3 and not self.last else 0]

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.shape[2 if len(self.shape) == 3 and not self.last else 1]

    @property
    def features(self) -> slice:
        """Which features of `Observations.vector` are its pixels."""
        return slice(self.start, self.start + self.channels * self.height * self.width)

    def cut(self, vector: Any) -> Any:
        """Cut the images out of features (batch, k): shape (batch, channels, height, width).

        Examples
        --------
        >>> import numpy as np
        >>> Grid((4, 5, 2), start=1).cut(np.zeros((7, 41))).shape
        (7, 2, 4, 5)
        """
        pixels = vector[:, self.features].reshape(-1, *self.shape)
        if len(self.shape) == 2:
            return pixels[:, None]
        return pixels.transpose(0, 3, 1, 2) if self.last else pixels
