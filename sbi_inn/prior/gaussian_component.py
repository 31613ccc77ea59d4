"""A Gaussian field as a parameter of a prior: draws, density, and the map to white noise."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from sbi_inn.errors import PriorError
from sbi_inn.prior.component import LATENT_MAX, Parents
from sbi_inn.prior.continuous import Continuous
from sbi_inn.prior.covariance import (
    between,
    check_spectrum,
    dense_root,
    from_padded,
    spectrum_of,
    wave_numbers,
)
from sbi_inn.prior.curve import normal_log_density
from sbi_inn.prior.gaussian_field import GaussianField, in_words
from sbi_inn.prior.root import Fourier, Root
from sbi_inn.typing import FloatArray

MOST_STORED = 256
"""Pixels of a field whose covariance matrix a file holds."""


@dataclass(frozen=True, eq=False)
class GaussianComponent:
    """A field = mean + sd * root(white noise), bent pixel by pixel where it has a marginal.

    Attributes
    ----------
    name : str
        For messages.
    source : GaussianField
    parents : tuple of str
        Earlier parameters that its spectrum, mean or sd are functions of.
    fixed : Root or None
        Its root, unless the spectrum is a function of parents.
    bend : Continuous or None
        What each pixel is distributed as.
    """

    name: str
    source: GaussianField
    parents: tuple[str, ...]
    fixed: Root | None
    bend: Continuous | None

    @classmethod
    def of(cls, name: str, source: GaussianField, earlier: Sequence[str]) -> GaussianComponent:
        """Find the root.

        Raises
        ------
        PriorError
            If there is none, or a function names what is no earlier parameter.
        """
        where = f"parameter {name!r}"
        power = _arguments(where, source.power, earlier, skip=1)
        if power and not source.periodic:
            raise PriorError(
                f"{where}: power is a function of {', '.join(power)}, which needs periodic=True"
            )
        others = (_arguments(where, f, earlier) for f in (source.mean, source.sd))
        used = {*power, *(n for names in others for n in names)}
        bend = None if source.marginal is None else Continuous.of(name, source.marginal)
        fixed = None if power else _root(where, source)
        return cls(name, source, tuple(n for n in earlier if n in used), fixed, bend)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,) or (height, width)."""
        return self.source.shape

    @property
    def width(self) -> int:
        """One latent a pixel."""
        return prod(self.shape)

    @property
    def support(self) -> tuple[float, float]:
        """Bounds of every pixel."""
        return (-np.inf, np.inf) if self.bend is None else self.bend.support

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n fields, shape (n, *shape)."""
        return self.from_latent(rng.standard_normal((n, self.width)), parents)

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density, shape (n,)."""
        root, n = self._root(parents), len(values)
        plain, log_slope = self._straight(values)
        white = root.whiten(self._standard(plain, parents)).reshape(n, -1)
        found = normal_log_density(white).sum(axis=1) - root.log_det + log_slope
        found = found - self.width * np.log(self._sd(parents, n))
        return np.where(np.isnan(found), -np.inf, found)

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map fields (n, *shape) to latents (n, pixels)."""
        plain, _ = self._straight(values, density=False)
        white = self._root(parents).whiten(np.nan_to_num(self._standard(plain, parents)))
        return np.clip(white.reshape(len(values), -1), -LATENT_MAX, LATENT_MAX)

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents (n, pixels) to fields (n, *shape)."""
        white = np.clip(latents, -LATENT_MAX, LATENT_MAX).reshape(-1, *self.shape)
        plain = self._root(parents).colour(white)
        n = len(plain)
        plain = self._mean(parents, n) + self._column(self._sd(parents, n)) * plain
        if self.bend is None:
            return plain
        return self.bend.from_latent(plain.reshape(-1, 1), {}).reshape(plain.shape)

    def config(self) -> dict[str, Any] | None:
        """Spectrum or covariance as numbers; None where a function of parents makes them."""
        if self.parents or isinstance(self.source.mean, Callable):
            return None
        marginal = None if self.bend is None else self.bend.config()
        if self.bend is not None and marginal is None:
            return None
        root, scale = self.fixed, float(self._sd({}, 1)[0]) ** 2
        if isinstance(root, Fourier):
            numbers = {"power": (scale * root.spectrum[0]).tolist()}
        elif root is not None and self.width <= MOST_STORED:
            cov = (root.vectors * root.sds**2) @ root.vectors.T
            numbers = {"cov": (scale * cov).tolist()}
        else:
            return None
        mean = np.asarray(self.source.mean, dtype=float).tolist()
        kwds = {"shape": list(self.shape), "mean": mean, "marginal": marginal, **numbers}
        return {"kind": "field", "distribution": "gaussian", "args": [], "kwds": kwds}

    def describe(self) -> str:
        """Say how large it is, what it depends on, and what its pixels are distributed as."""
        found = f"Gaussian field of {in_words(self.shape)}"
        if self.parents:
            found += f", given {', '.join(self.parents)}"
        return found if self.bend is None else f"{found}, each {self.bend.describe()}"

    def affine(self, parents: Parents, n: int) -> tuple[FloatArray, Root]:
        """Give mean and root, with its sd, of the field before it is bent, for n rows of parents.

        One root serves all rows, or a `Fourier` has one spectrum for each.
        """
        root, sd = self._root(parents), self._sd(parents, n)
        if isinstance(root, Fourier):
            sds = sd if self.parents else sd[:1]
            return self._mean(parents, n), Fourier(root.spectrum * self._column(sds) ** 2)
        if not (sd == sd[:1]).all():
            raise PriorError(
                f"parameter {self.name!r}: an sd that is a function needs periodic=True"
            )
        return self._mean(parents, n), replace(root, sds=root.sds * sd[:1])

    def _straight(self, values: FloatArray, *, density: bool = True) -> tuple[FloatArray, Any]:
        """Undo the bending; give the log of its slope, summed over the pixels, shape (n,)."""
        if self.bend is None:
            return values, 0.0
        flat = values.ravel()
        plain = self.bend.to_latent(flat, {})
        if not density:
            return plain.reshape(values.shape), 0.0
        slope = self.bend.log_prob(flat, {}) - normal_log_density(plain[:, 0])
        return plain.reshape(values.shape), slope.reshape(len(values), -1).sum(axis=1)

    def _standard(self, plain: FloatArray, parents: Parents) -> FloatArray:
        n = len(plain)
        return (plain - self._mean(parents, n)) / self._column(self._sd(parents, n))

    def _root(self, parents: Parents) -> Root:
        """Find the root for each row of the parents."""
        if self.fixed is not None:
            return self.fixed
        k = wave_numbers(self.shape)[None]
        names = _named(self.source.power, skip=1)
        values = {name: self._column(np.asarray(parents[name])) for name in names}
        n = len(next(iter(parents.values())))
        power = _called(f"parameter {self.name!r}: power", self.source.power, k, **values)
        found = np.broadcast_to(power, (n, *self.shape)) if power.ndim == k.ndim else power
        found = check_spectrum(f"parameter {self.name!r}", found, self.shape)
        return Fourier(found / _mean_of(found))

    def _mean(self, parents: Parents, n: int) -> Any:
        """Give the mean of each row, as it broadcasts with (n, *shape)."""
        mean = self.source.mean
        if not callable(mean):
            return self._fixed_mean
        where = f"parameter {self.name!r}: mean"
        found = _called(where, mean, **{p: parents[p] for p in _named(mean)})
        if found.shape not in ((), (n,), (n, *self.shape)):
            raise PriorError(
                f"{where} must give an array of shape ({n},) or {(n, *self.shape)} for {n} rows; "
                f"got {found.shape}"
            )
        return self._column(found) if found.ndim == 1 else found

    @cached_property
    def _fixed_mean(self) -> FloatArray:
        mean = np.asarray(self.source.mean, dtype=float)
        if mean.shape not in ((), self.shape) or not np.isfinite(mean).all():
            raise PriorError(
                f"parameter {self.name!r}: mean must be finite, one number or shape {self.shape}; "
                f"got shape {mean.shape}"
            )
        return mean

    def _sd(self, parents: Parents, n: int) -> FloatArray:
        """Give what the field of the root is multiplied by, shape (n,)."""
        sd = self.source.sd
        if sd is None:
            return np.ones(n)
        where = f"parameter {self.name!r}: sd"
        found = sd
        if callable(sd):
            found = _called(where, sd, **{p: parents[p] for p in _named(sd)})
        found = np.broadcast_to(np.asarray(found, dtype=float), (n,))
        if not (np.isfinite(found) & (found > 0)).all():
            raise PriorError(f"{where} must be positive; got {found.min():g}")
        return found

    def _column(self, values: FloatArray) -> FloatArray:
        """Give values (n,) as they broadcast with (n, *shape)."""
        return values.reshape(-1, *[1] * len(self.shape))


def _root(where: str, source: GaussianField) -> Root:
    """Find the root of a field whose spectrum is no function of parents.

    It has a mean variance of 1 where that is asked for, by an sd, a marginal or a function `power`.
    """
    unit = source.sd is not None or source.marginal is not None or callable(source.power)
    power, cov, shape = source.power, source.cov, source.shape
    if source.periodic:
        if cov is not None and not callable(cov):
            raise PriorError(f"{where}: a matrix cov does not go with periodic=True")
        found = (
            spectrum_of(where, cov, shape) if callable(cov) else _on_grid(where, power, shape, 1)
        )
        return Fourier((found / found.mean() if unit else found)[None])
    if power is not None:
        cov = from_padded(_on_grid(where, power, shape, 2), shape)
    elif callable(cov):
        cov = between(where, cov, shape)
    matrix = np.asarray(cov, dtype=float)
    if unit and matrix.ndim == 2 and matrix.size:
        matrix = matrix / np.diagonal(matrix).mean()
    return dense_root(where, matrix, shape)


def _on_grid(where: str, power: Any, shape: tuple[int, ...], periods: int) -> FloatArray:
    """Give the spectrum on the grid of a field, or of one that is twice as wide."""
    k = wave_numbers(shape, periods)
    found = _called(f"{where}: power", power, k) if callable(power) else np.asarray(power, float)
    found = check_spectrum(where, found[None], k.shape)[0]
    mirrored = np.roll(np.flip(found), 1, axis=tuple(range(found.ndim)))
    if not np.allclose(found, mirrored):
        raise PriorError(f"{where}: power must be the same at wave vectors k and -k")
    return found


def _mean_of(spectra: FloatArray) -> FloatArray:
    return spectra.mean(axis=tuple(range(1, spectra.ndim)), keepdims=True)


def _called(where: str, function: Any, *args: FloatArray, **parents: FloatArray) -> FloatArray:
    try:
        return np.asarray(function(*args, **parents), dtype=float)
    except Exception as error:
        raise PriorError(
            f"{where} failed when called with arrays ({type(error).__name__}: {error})"
        ) from error


def _named(function: Any, skip: int = 0) -> tuple[str, ...]:
    """Name the arguments of a function, but for the first ones and those with a default."""
    if not callable(function):
        return ()
    arguments = list(inspect.signature(function).parameters.values())[skip:]
    return tuple(a.name for a in arguments if a.default is a.empty)


def _arguments(
    where: str, function: Any, earlier: Sequence[str], *, skip: int = 0
) -> tuple[str, ...]:
    """Name the parents that a function asks for.

    Raises
    ------
    PriorError
        If one of them is no earlier parameter.
    """
    names = _named(function, skip)
    unknown = [name for name in names if name not in earlier]
    if unknown:
        raise PriorError(
            f"{where}: the arguments of its functions must be names of earlier parameters "
            f"({', '.join(earlier) or 'there are none'}); got {', '.join(unknown)}"
        )
    return names
