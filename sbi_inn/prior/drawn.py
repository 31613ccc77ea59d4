"""Fields whose prior is known only by draws: a function that makes one, or rows of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import PriorError
from sbi_inn.prior.component import Component, Parents
from sbi_inn.prior.gaussian_field import field_shape, in_words
from sbi_inn.prior.joint import Joint
from sbi_inn.prior.tabulated import Tabulated
from sbi_inn.typing import FloatArray

PILOT = 1_000
"""Fields that the curve is fitted to, where a function makes them."""

PIXELS = 500_000
"""Pixels that it is fitted to at most."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A field that can only be drawn, as its density is unknown; used as a parameter of a `Prior`.

    Parameters
    ----------
    source : callable or array
        A function of `rng`, a numpy Generator, and of earlier parameters by name, if it needs them;
        it returns one profile or map. Or an array of them, shape ``(rows, *shape)``, of which one
        is drawn at random.
    bounds : (float, float)
        Limits of every pixel; a draw outside them is an error.

    Examples
    --------
    >>> import numpy as np
    >>> import sbi_inn as si
    >>> def blob(rng):
    ...     y, x = np.mgrid[:8, :8] - rng.uniform(2, 6, (2, 1, 1))
    ...     return np.exp(-(x**2 + y**2) / 8)
    >>> prior = si.Prior(sky=si.Drawn(blob, bounds=(0, np.inf)))
    >>> prior
    Prior(
        sky=drawn field of 8 x 8 pixels,
    )
    >>> prior.stated, prior.drawable
    (False, True)
    """

    source: Callable[..., Any] | npt.ArrayLike | Tabulated
    bounds: tuple[float, float] = (-np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class DrawnField:
    """A field that is drawn; one monotone curve, pooled over the pixels, maps each to N(0, 1).

    Its density is that of pixels that are taken as independent: an approximation that no result may
    rest on but through the map itself.

    Attributes
    ----------
    name : str
        For messages.
    source : Drawn
    parents : tuple of str
    shape : tuple of int
    pixel : Tabulated
        The curve of a single pixel.
    """

    name: str
    source: Drawn
    parents: tuple[str, ...]
    shape: tuple[int, ...]
    pixel: Tabulated

    @classmethod
    def of(cls, name: str, source: Drawn, earlier: Mapping[str, Component]) -> DrawnField:
        """Fit the curve, to some draws where a function makes them.

        Raises
        ------
        PriorError
            If fields are not finite, of different shapes, all the same, or out of bounds; if a
            function asks for what is no earlier parameter.
        """
        where = f"parameter {name!r}"
        if isinstance(source.source, Tabulated):  # as a file or a table has it
            return cls(name, source, (), source.source.shape, _single(source.source))
        parents: tuple[str, ...] = ()
        if callable(source.source):
            parents = _parents(where, source.source, tuple(earlier))
            rng = np.random.default_rng(0)
            given = Joint(earlier).sample(PILOT, rng) if parents else {}
            rows = _rows(where, source.source, PILOT, rng, {p: given[p] for p in parents}, None)
        else:
            rows = np.asarray(source.source, dtype=float)
            _check(where, rows)
        pixels = rows.ravel()[:: 1 + rows.size // PIXELS]
        return cls(
            name, source, parents, rows.shape[1:], Tabulated.fit(name, pixels, source.bounds)
        )

    @property
    def width(self) -> int:
        """One latent a pixel."""
        return prod(self.shape)

    @property
    def support(self) -> tuple[float, float]:
        """Bounds of every pixel."""
        return self.pixel.support

    @property
    def drawable(self) -> bool:
        """Whether it still knows how to draw: not from a file or a table."""
        return not isinstance(self.source.source, Tabulated)

    def without_rows(self) -> Drawn:
        """Give the field as a file or a table has it: its curve alone, which cannot draw."""
        return Drawn(Tabulated(self.pixel.curves, self.shape, self.support), self.support)

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n fields, shape (n, *shape)."""
        if not self.drawable:
            return self.from_latent(rng.standard_normal((n, self.width)), parents)
        where, source = f"parameter {self.name!r}", self.source.source
        if callable(source):
            given = {p: parents[p] for p in self.parents}
            found = _rows(where, source, n, rng, given, self.shape)
        else:
            rows = np.asarray(source, dtype=float)
            found = rows[rng.integers(len(rows), size=n)]
        low, high = self.support
        if (found < low).any() or (found > high).any():
            raise PriorError(
                f"{where}: drew {found.min():g} to {found.max():g}, outside its bounds {low:g} to "
                f"{high:g}"
            )
        return found

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density, were the pixels independent, shape (n,)."""
        return self.pixel.log_prob(values.ravel(), {}).reshape(len(values), -1).sum(axis=1)

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map fields (n, *shape) to latents (n, pixels)."""
        return self.pixel.to_latent(values.ravel(), {}).reshape(len(values), -1)

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents (n, pixels) to fields (n, *shape)."""
        return self.pixel.from_latent(latents.reshape(-1, 1), {}).reshape(-1, *self.shape)

    def config(self) -> dict[str, Any]:
        """Give the curve: a file does not know how to draw."""
        known = self.pixel.config()
        kwds = {**known["kwds"], "shape": list(self.shape)}
        return {"kind": "field", "distribution": "drawn", "args": known["args"], "kwds": kwds}

    def describe(self) -> str:
        """Say how large it is, and what it depends on."""
        found = f"drawn field of {in_words(self.shape)}"
        return f"{found}, given {', '.join(self.parents)}" if self.parents else found


def _single(stored: Tabulated) -> Tabulated:
    return Tabulated(stored.curves, (), stored.support)


def _parents(where: str, function: Callable[..., Any], earlier: Sequence[str]) -> tuple[str, ...]:
    """Name the earlier parameters that a function asks for."""
    arguments = inspect.signature(function).parameters
    known = (*earlier, "rng")
    wrong = [n for n, a in arguments.items() if n not in known and a.default is a.empty]
    if wrong:
        raise PriorError(
            f"{where}: the arguments of its function may be rng and names of earlier parameters "
            f"({', '.join(earlier) or 'there are none'}); got {', '.join(wrong)}"
        )
    return tuple(name for name in arguments if name in earlier)


def _rows(
    where: str,
    function: Callable[..., Any],
    n: int,
    rng: np.random.Generator,
    given: Mapping[str, FloatArray],
    shape: tuple[int, ...] | None,
) -> FloatArray:
    """Call a function n times, each with its row of what is given."""
    random = {"rng": rng} if "rng" in inspect.signature(function).parameters else {}
    found = []
    for row in range(n):
        try:
            field = np.asarray(function(**random, **{k: v[row] for k, v in given.items()}), float)
        except Exception as error:
            raise PriorError(f"{where}: its function failed ({error!r})") from error
        expected = found[0].shape if found and shape is None else shape
        if expected is not None and field.shape != expected:
            raise PriorError(f"{where}: expected fields of shape {expected}; drew {field.shape}")
        found.append(field)
    rows = np.array(found) if found else np.empty((0, *(shape or ())))
    if n:
        _check(where, rows, new=shape is None)
    return rows


def _check(where: str, rows: FloatArray, *, new: bool = True) -> None:
    """Raise PriorError unless rows are finite fields that are not all the same."""
    if rows.ndim not in (2, 3) or not len(rows):
        raise PriorError(f"{where}: expected fields, rows of profiles or maps; got {rows.shape}")
    field_shape(where, rows.shape[1:])
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows)).reshape(len(rows), -1).any(axis=1).sum())
        raise PriorError(f"{where}: {bad:,} of {len(rows):,} fields are not finite")
    if new and (rows == rows[0]).all():
        raise PriorError(f"{where}: all of {len(rows):,} fields are the same")
