"""The prior of a field as Gaussian fields: exactly, or fitted to its draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy import fft
from scipy.cluster.vq import kmeans2
from scipy.special import logsumexp

from sbi_inn.prior import FieldPlace
from sbi_inn.prior.root import Dense, Fourier, Root
from sbi_inn.typing import AnyArray, FloatArray, IntArray

CENTRES = 24
"""Values of the parameters that a spectrum depends on, at which it is looked up."""

MOST = 3
"""Gaussian fields whose mixture stands for a prior that is only drawn."""

STARTS = 4
"""Ways to part the draws, that a mixture is begun with."""

SETTLED = 1e-6
"""Nats a pixel by which a step of expectation-maximisation must raise the density."""

GAIN = 2e-3
"""Nats a pixel by which one more must raise the density of validation rows."""

SHRINK = (0.03, 0.1, 0.3)
"""Shares of a stationary covariance in one that is not."""

FLOOR = 1e-4
"""Smallest power of a mode, in units of the mean."""


@dataclass(frozen=True, eq=False)
class Normals:
    """Gaussian fields: one, several in a mixture, or one for each cell of earlier parameters.

    Attributes
    ----------
    log_weights : array, shape (k,)
        Of the mixture.
    means : array, shape (k, *sides)
    roots : tuple of Root
        k of them; empty where the field is white noise itself.
    parents : array of int
        The latents of the prior that say which one it is; empty for a mixture.
    centres : array, shape (k, parents)
        In the middle of the cells.
    """

    log_weights: FloatArray
    means: FloatArray
    roots: tuple[Root, ...]
    parents: IntArray
    centres: FloatArray

    @classmethod
    def learn(
        cls, place: FieldPlace, latents: FloatArray, folds: tuple[IntArray, IntArray]
    ) -> Normals:
        """Take the prior's own where its latents are white noise, else learn from them."""
        train, validation = folds
        none = np.empty(0, np.int64)
        if not place.white:
            fields = latents[:, place.latents].reshape(-1, *place.shape)
            return _mixture(fields[train], fields[validation])
        if not len(place.parents):
            mean, root = place.roots(latents[:1])
            assert root is not None
            return cls(np.zeros(1), mean, (root,), none, np.empty((1, 0)))
        above = latents[train][:, place.parents]
        k = min(CENTRES, len(train) // 10)
        centres, _ = kmeans2(above, k, minit="++", rng=np.random.default_rng(0))
        rows = np.zeros((k, latents.shape[1]))
        rows[:, place.parents] = centres
        means, root = place.roots(rows)
        roots = _each(root, k)
        return cls(np.full(k, -np.log(k)), means, roots, place.parents, centres)

    @property
    def mixed(self) -> bool:
        """Whether nothing says which one a field belongs to."""
        return not len(self.parents) and len(self.means) > 1

    def cells(self, latents: FloatArray) -> IntArray:
        """Say which one rows (n, k) of the parents' latents belong to, shape (n,)."""
        if not len(self.parents):
            return np.zeros(len(latents), np.int64)
        apart = np.square(latents[:, None] - self.centres[None]).sum(axis=2)
        return apart.argmin(axis=1)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        found = {
            "log_weights": self.log_weights,
            "means": self.means,
            "parents": self.parents,
            "centres": self.centres,
        }
        for i, root in enumerate(self.roots):
            if isinstance(root, Fourier):
                found[f"spectrum:{i}"] = root.spectrum
            else:
                found[f"sds:{i}"] = root.sds
                found[f"vectors:{i}"] = root.vectors.astype(np.float32)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> Normals:
        """Read back what `to_arrays` gave."""
        means, roots = arrays["means"], []
        for i in range(len(means)):
            if f"spectrum:{i}" in arrays:
                roots.append(Fourier(arrays[f"spectrum:{i}"]))
            elif f"sds:{i}" in arrays:
                vectors = arrays[f"vectors:{i}"].astype(np.float64)
                # Rounded to float32 they are orthogonal no more, and have to be.
                roots.append(Dense(means.shape[1:], arrays[f"sds:{i}"], np.linalg.qr(vectors)[0]))
        kept = (arrays["parents"], arrays["centres"])
        return cls(arrays["log_weights"], means, tuple(roots), *kept)


def _each(root: Root | None, k: int) -> tuple[Root, ...]:
    """Take a root of k fields apart."""
    if not isinstance(root, Fourier):
        return () if root is None else (root,) * k
    spectra = np.broadcast_to(root.spectrum, (k, *root.shape))
    return tuple(Fourier(spectra[i : i + 1].copy()) for i in range(k))


def _mixture(train: FloatArray, validation: FloatArray) -> Normals:
    """Learn the prior of fields that are only drawn: mixtures of stationary ones, or any one."""
    none, sides = np.empty(0, np.int64), train.shape[1:]
    modes, new, pixels = _modes(train), _modes(validation), prod(sides)
    best, least = None, -np.inf
    for k in range(1, MOST + 1):
        found = [_stationary(modes, shares) for shares in _starts(modes, sides, k)]
        scores = [logsumexp(_log_density(new, *one), axis=1).mean() for one in found]
        score, one = max(zip(scores, found, strict=True), key=lambda pair: pair[0])
        if score < least + GAIN * pixels:
            break
        best, least = one, score
    assert best is not None
    weights, centres, spectra = best
    spectra = spectra.reshape(-1, *sides).astype(np.float64)
    means = fft.ifftn(centres.reshape(-1, *sides), axes=_axes(len(sides)), norm="ortho").real
    roots: tuple[Root, ...] = tuple(Fourier(one[None]) for one in spectra)
    dense, score = _any_covariance(train, validation, spectra.mean(axis=0))
    if dense is not None and score > least:
        roots, means, weights = (dense,), train.mean(axis=0)[None], np.zeros(1)
    return Normals(weights, np.asarray(means, np.float64), roots, none, np.empty((len(means), 0)))


def _axes(n: int) -> tuple[int, ...]:
    return tuple(range(1, n + 1))


def _modes(fields: FloatArray) -> AnyArray:
    """Give the Fourier modes of fields, complex64 of shape (n, pixels)."""
    found = fft.fftn(fields.astype(np.float32), axes=_axes(fields.ndim - 1), norm="ortho")
    return found.reshape(len(fields), -1)


def _power(modes: AnyArray) -> AnyArray:
    return np.square(np.real(modes)) + np.square(np.imag(modes))


def _log_density(
    modes: AnyArray, weights: FloatArray, centres: AnyArray, spectra: AnyArray
) -> FloatArray:
    """Log of weight times density, shape (n, k)."""
    found = np.empty((len(modes), len(centres)))
    for i, (centre, spectrum) in enumerate(zip(centres, spectra, strict=True)):
        fit = _power(modes - centre) @ (1 / spectrum)
        found[:, i] = weights[i] - 0.5 * (fit + np.log(2 * np.pi * spectrum).sum(dtype=float))
    return found


def _stationary(modes: AnyArray, shares: FloatArray) -> tuple[FloatArray, AnyArray, AnyArray]:
    """Fit log weights, mean modes and spectra by expectation-maximisation from shares (n, k)."""
    before = -np.inf
    while True:
        weights = np.log(shares.mean(axis=0) + 1e-12)
        parts = ((shares + 1e-12) / (shares + 1e-12).sum(axis=0)).T.astype(np.float32)
        centres = parts @ modes
        pairs = zip(parts, centres, strict=True)
        raw = np.stack([part @ _power(modes - centre) for part, centre in pairs])
        spectra = np.maximum(raw, FLOOR * raw.mean(axis=1, keepdims=True))
        if shares.shape[1] == 1:
            return weights, centres, spectra
        density = _log_density(modes, weights, centres, spectra)
        total = logsumexp(density, axis=1, keepdims=True)
        shares, score = np.exp(density - total), float(total.mean())
        if score < before + SETTLED * modes.shape[1]:
            return weights, centres, spectra
        before = score


def _starts(modes: AnyArray, sides: tuple[int, ...], k: int) -> list[FloatArray]:
    """Part fields into k groups by directions in which their coarse spectra differ most."""
    if k == 1:
        return [np.ones((len(modes), 1))]
    power = np.log(_power(modes - modes.mean(axis=0)) + 1e-12)
    coarse = _coarse(power, sides)
    coarse = coarse - coarse.mean(axis=0)
    found = []
    for vector in np.linalg.svd(coarse, full_matrices=False)[2][:STARTS]:
        rank = (coarse @ vector).argsort().argsort()
        found.append(np.eye(k)[rank * k // len(rank)] * 0.8 + 0.2 / k)
    return found


def _coarse(power: AnyArray, sides: tuple[int, ...]) -> FloatArray:
    """Average log power over bands of wave vectors, each axis in octaves, shape (n, bands)."""
    octaves = [np.floor(np.log2(1 + np.abs(fft.fftfreq(n) * n))) for n in sides]
    grid = np.stack(np.meshgrid(*octaves, indexing="ij"), -1).reshape(-1, len(sides))
    _, band = np.unique(grid, axis=0, return_inverse=True)
    band = band.ravel()
    bands = [power[:, band == b].mean(axis=1) for b in range(band.max() + 1)]
    return np.stack(bands, axis=1).astype(np.float64)


def _any_covariance(
    train: FloatArray, validation: FloatArray, spectrum: FloatArray
) -> tuple[Dense | None, float]:
    """Shrink the draws' own covariance to a stationary one, as far as validation rows ask for."""
    sides = train.shape[1:]
    pixels, best, least = prod(sides), None, -np.inf
    if pixels > 1_024 or len(train) < pixels:
        return None, least
    mean = train.mean(axis=0)
    flat, new = ((part - mean).reshape(len(part), -1) for part in (train, validation))
    own = flat.T @ flat / len(flat)
    root = Fourier(spectrum[None]).colour(np.eye(pixels).reshape(pixels, *sides)).reshape(own.shape)
    smooth = root @ root
    for share in SHRINK:
        values, vectors = np.linalg.eigh((1 - share) * own + share * smooth)
        values = np.maximum(values, FLOOR * values.mean())
        white = (new @ vectors) / np.sqrt(values)
        score = -0.5 * (np.square(white).sum(axis=1).mean() + np.log(2 * np.pi * values).sum())
        if score > least:
            best, least = Dense(sides, np.sqrt(values), vectors), float(score)
    return best, least
