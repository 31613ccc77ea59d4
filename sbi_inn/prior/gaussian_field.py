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
    """A profile or a map that is a Gaussian field; used as a parameter of a `Prior`.

    Its map to white noise is exact, and symmetric: each pixel of the noise belongs to the pixel of
    the field at the same place.

    Parameters
    ----------
    shape : int or (int, int)
        Pixels along each side, (height, width) for a map: even numbers, at least 4.
    power : callable or array, optional
        The power spectrum: a function of the wave number k, in cycles along the longest side, or
        its values on the grid of `scipy.fft.fftfreq`. It is positive, at k = 0 too. If the field is
        periodic, a function may have earlier parameters of the prior as further arguments; it is
        called with arrays that broadcast.
    cov : callable or array, optional
        In place of `power`: a covariance function of the distance in pixels, or a matrix (pixels,
        pixels). Up to 4,096 pixels, unless periodic.
    mean : number, array of shape `shape`, or callable
        A function has earlier parameters as arguments, and returns an array (n,) or ``(n,
        *shape)``.
    sd : number or callable, optional
        Standard deviation of a pixel, over all pixels together. A function has earlier parameters
        as arguments, and returns an array (n,). Default: 1 if `power` is a function, whose scale
        then has no effect; otherwise it follows from the spectrum or covariance.
    periodic : bool, optional
        Whether opposite sides are neighbours. Default: with `power` yes, with `cov` no.
    marginal : frozen continuous distribution of scipy.stats, optional
        Distribution of each pixel: the field is transformed pixel by pixel (a Gaussian copula), so
        that it stays positive, or within bounds. Then `mean` and `sd` must be left out.

    Raises
    ------
    PriorError
        If the shape is too small or has odd sides, or unless exactly one of `power` and `cov` is
        given. The values that functions return are checked when a `Prior` is made.

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
