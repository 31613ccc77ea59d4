"""Fields as parameters: a profile or a map whose prior is a Gaussian field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import PriorError
from sbi_inn.prior.univariate import is_continuous

SMALLEST_SIDE = 4


@dataclass(frozen=True, eq=False)
class GaussianField:
    """A profile or a map that is a Gaussian field, to be given to a `Prior`.

    Its map to white noise is exact, and symmetric: each pixel of the noise belongs to the pixel of
    the field at the same place.

    Parameters
    ----------
    shape : int or (int, int)
        Pixels along each side, (height, width) of a map: even, at least 4.
    power : callable or array, optional
        The spectrum: a function of the wave number k, in cycles along the longest side, or its
        values on the grid of `scipy.fft.fftfreq`. Positive, at k = 0 too. A function may name
        earlier parameters of the prior as further arguments, if the field is periodic; it is called
        with arrays that broadcast.
    cov : callable or array, optional
        In place of `power`: a covariance function of the distance in pixels, or a matrix (pixels,
        pixels). Up to 4,096 pixels, unless periodic.
    mean : number, array of shape `shape`, or callable
        A function names earlier parameters, and returns an array (n,) or ``(n, *shape)``.
    sd : number or callable, optional
        Standard deviation of a pixel, all pixels taken together; a function names earlier
        parameters and returns an array (n,). By default 1 with a function `power`, whose scale then
        does not matter, and else as the spectrum or covariance says.
    periodic : bool, optional
        Whether opposite sides are neighbours: by default with `power`, and not with `cov`.
    marginal : frozen continuous distribution of scipy.stats, optional
        What each pixel is distributed as: the field is bent, pixel by pixel (a Gaussian copula), so
        that it stays positive, or within bounds. Then `mean` and `sd` must be left out.

    Raises
    ------
    PriorError
        For a shape that is too small or has odd sides, and unless exactly one of `power` and `cov`
        is given. What they return is looked at when a `Prior` is made.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.stats as st
    >>> import sbi_inn as si
    >>> prior = si.Prior(
    ...     length=st.uniform(2, 6),
    ...     sky=si.GaussianField((8, 8), power=lambda k, length: (1 + (k * length / 5) ** 2) ** -2),
    ... )
    >>> prior
    Prior(
        length=uniform(2, 6),
        sky=Gaussian field of 8 x 8 pixels, given length,
    )
    >>> prior.sample(3, np.random.default_rng(1))["sky"].shape
    (3, 8, 8)
    """

    shape: Any
    _: KW_ONLY
    power: Callable[..., Any] | npt.ArrayLike | None = None
    cov: Callable[..., Any] | npt.ArrayLike | None = None
    mean: Any = 0.0
    sd: Any = None
    periodic: bool | None = None
    marginal: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", field_shape("GaussianField", self.shape))
        if (self.power is None) == (self.cov is None):
            raise PriorError(
                "GaussianField needs either power=, a function of the wave number, or cov=, a "
                "function of the distance in pixels"
            )
        if self.periodic is None:
            object.__setattr__(self, "periodic", self.power is not None)
        if self.marginal is None:
            return
        if not is_continuous(self.marginal) or hasattr(self.marginal, "freeze"):
            raise PriorError(
                "GaussianField(marginal=...) is a frozen continuous distribution of scipy.stats, "
                f"such as st.lognorm(0.5); got {self.marginal!r:.80}"
            )
        if self.sd is not None or not np.array_equal(self.mean, 0.0):
            raise PriorError(
                "GaussianField: marginal= says what each pixel is distributed as; leave out mean= "
                "and sd="
            )


def field_shape(who: str, shape: Any) -> tuple[int, ...]:
    """Give a shape as a tuple.

    Raises
    ------
    PriorError
        If it is not that of a profile or a map with even sides of at least 4 pixels.

    Examples
    --------
    >>> field_shape("GaussianField", 64)
    (64,)
    """
    try:
        sides = tuple(int(n) for n in np.atleast_1d(shape))
        whole = np.array_equal(sides, np.atleast_1d(shape))
    except (TypeError, ValueError):
        sides, whole = (), False
    if not (
        whole and len(sides) in (1, 2) and all(n >= SMALLEST_SIDE and n % 2 == 0 for n in sides)
    ):
        raise PriorError(
            f"{who}: expected a shape (height, width) or a number of pixels, with even sides of at "
            f"least {SMALLEST_SIDE}, such as (32, 32); got {shape!r}"
        )
    return sides


def in_words(shape: tuple[int, ...]) -> str:
    """Say how large a field is.

    Examples
    --------
    >>> in_words((8, 16))
    '8 x 16 pixels'
    """
    return f"{' x '.join(map(str, shape))} pixels"
