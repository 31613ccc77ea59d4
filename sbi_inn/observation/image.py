"""Images and profiles: which axis holds the channels, and where the pixels stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from sbi_inn.errors import ShapeError

MOST_CHANNELS: Final = 3
SMALLEST_SIDE: Final = 4

Channels = Literal["first", "last"]


@dataclass(frozen=True)
class Grid:
    """The pixels of an image or a profile among the features of an observation.

    Attributes
    ----------
    shape : tuple of int
        As it was simulated: (height, width), (channels, height, width) or (height, width,
        channels); of a profile (length,), which is an image of height 1.
    start : int
        The first of its features in `Observations.vector`.
    axis : {"first", "last"} or None
        Which of three axes holds the channels. Where nobody says so, there are 1 to 3 of them, so
        that it is never in doubt.

    Raises
    ------
    ShapeError
        If the shape is none of these, or a side has less than 4 pixels.

    Examples
    --------
    >>> grid = Grid((16, 20, 3))
    >>> grid.channels, grid.height, grid.width, grid.last
    (3, 16, 20, True)
    >>> Grid((5, 16, 20), axis="first").channels
    5
    >>> Grid((5, 16, 20))
    Traceback (most recent call last):
    sbi_inn.errors.ShapeError: expected an image of shape (height, width), (channels, height, ...
    """

    shape: tuple[int, ...]
    start: int = 0
    axis: Channels | None = None

    def __post_init__(self) -> None:
        sides, channels = self.shape, 1
        if len(self.shape) == 3:
            sides = self.shape[:2] if self.last else self.shape[1:]
            channels = self.shape[2] if self.last else self.shape[0]
        some = channels <= MOST_CHANNELS or self.axis is not None
        if not (1 <= len(sides) <= 2 and min(sides) >= SMALLEST_SIDE and some):
            raise ShapeError(
                "expected an image of shape (height, width), (channels, height, width) or (height, "
                "width, channels), or a profile of shape (length,), with "
                f"{self._wanted} channels and sides of at least {SMALLEST_SIDE} pixels; got shape "
                f"{self.shape}"
            )

    @property
    def _wanted(self) -> str:
        """Say how many channels there may be, and where."""
        if self.axis is not None:
            return self.axis
        return f'1 to {MOST_CHANNELS} (more with channels="first" or "last")'

    @property
    def last(self) -> bool:
        """Whether the channels are the last axis."""
        if self.axis is not None:
            return len(self.shape) == 3 and self.axis == "last"
        return len(self.shape) == 3 and self.shape[2] <= MOST_CHANNELS < self.shape[0]

    @property
    def channels(self) -> int:
        """How many there are."""
        return 1 if len(self.shape) < 3 else self.shape[2 if self.last else 0]

    @property
    def height(self) -> int:
        """Pixels from top to bottom; 1 for a profile."""
        if len(self.shape) == 1:
            return 1
        return self.shape[1 if len(self.shape) == 3 and not self.last else 0]

    @property
    def width(self) -> int:
        """Pixels from left to right, or along a profile."""
        if len(self.shape) == 1:
            return self.shape[0]
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
        if len(self.shape) < 3:
            return pixels.reshape(-1, 1, self.height, self.width)
        return pixels.transpose(0, 3, 1, 2) if self.last else pixels
