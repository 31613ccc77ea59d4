"""The prior of a field as Gaussian fields: exactly, or as near as its draws tell."""

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
    none = np.empty(0, np.int64)
    best, least, pixels = None, -np.inf, prod(train.shape[1:])
    for k in range(1, MOST + 1):
        found = [_stationary(train, shares) for shares in _starts(train, k)]
        scores = [logsumexp(_log_density(validation, *one), axis=1).mean() for one in found]
        score, one = max(zip(scores, found, strict=True), key=lambda pair: pair[0])
        if score < least + GAIN * pixels:
            break
        best, least = one, score
    assert best is not None
    weights, means, spectra = best
    roots: tuple[Root, ...] = tuple(Fourier(s[None]) for s in spectra)
    dense, score = _any_covariance(train, validation, spectra.mean(axis=0))
    if dense is not None and score > least:
        roots, means, weights = (dense,), train.mean(axis=0)[None], np.zeros(1)
    return Normals(weights, means, roots, none, np.empty((len(means), 0)))


def _power(fields: FloatArray) -> FloatArray:
    axes = tuple(range(1, fields.ndim))
    return np.square(np.abs(fft.fftn(fields, axes=axes, norm="ortho")))


def _log_density(
    fields: FloatArray, weights: FloatArray, means: FloatArray, spectra: FloatArray
) -> FloatArray:
    """Log of weight times density, shape (n, k)."""
    found = np.empty((len(fields), len(means)))
    for i, (mean, spectrum) in enumerate(zip(means, spectra, strict=True)):
        power = _power(fields - mean) / spectrum + np.log(2 * np.pi * spectrum)
        found[:, i] = weights[i] - 0.5 * power.reshape(len(fields), -1).sum(axis=1)
    return found


def _stationary(
    fields: FloatArray, shares: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit log weights, means and spectra by expectation-maximisation from shares (n, k)."""
    before = -np.inf
    while True:
        weights = np.log(shares.mean(axis=0) + 1e-12)
        means = np.stack([np.average(fields, axis=0, weights=one + 1e-12) for one in shares.T])
        parts = zip(means, shares.T, strict=True)
        spectra = np.stack([_spectrum(fields - mean, share) for mean, share in parts])
        if shares.shape[1] == 1:
            return weights, means, spectra
        density = _log_density(fields, weights, means, spectra)
        total = logsumexp(density, axis=1, keepdims=True)
        shares, score = np.exp(density - total), float(total.mean())
        if score < before + SETTLED * fields[0].size:
            return weights, means, spectra
        before = score


def _spectrum(fields: FloatArray, share: FloatArray) -> FloatArray:
    found = np.tensordot(share + 1e-12, _power(fields), axes=1) / (share + 1e-12).sum()
    return np.maximum(found, FLOOR * found.mean())


def _starts(fields: FloatArray, k: int) -> list[FloatArray]:
    """Part fields into k groups by directions in which their coarse spectra differ most."""
    if k == 1:
        return [np.ones((len(fields), 1))]
    power = np.log(_power(fields - fields.mean(axis=0)) + 1e-12)
    coarse = _coarse(power)
    coarse = coarse - coarse.mean(axis=0)
    vectors = np.linalg.svd(coarse, full_matrices=False)[2][:STARTS]
    found = []
    for vector in vectors:
        rank = (coarse @ vector).argsort().argsort()
        found.append(np.eye(k)[rank * k // len(rank)] * 0.8 + 0.2 / k)
    return found


def _coarse(power: FloatArray) -> FloatArray:
    """Average log power over bands of wave vectors, each axis in octaves, shape (n, bands)."""
    axes = [np.floor(np.log2(1 + np.abs(fft.fftfreq(n) * n))) for n in power.shape[1:]]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    _, band = np.unique(grid, axis=0, return_inverse=True)
    flat, band = power.reshape(len(power), -1), band.ravel()
    return np.stack([flat[:, band == b].mean(axis=1) for b in range(band.max() + 1)], axis=1)


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
