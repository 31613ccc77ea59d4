"""Calibrate logits on rows that training has not seen, with an uncertainty.

Logits of several networks are weighted, which corrects overfitting of single ones; and each class
is shifted, which corrects a class that is favoured in all rows. With few rows this would add more
noise than it corrects, so logits are changed only as far as the gain is above chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import log_softmax

from sbi_inn.typing import AnyArray, FloatArray, IntArray

# How far powers and shifts go from 1 and 0, if nothing speaks for it.
USUAL = 0.3
# Repeated calibrations, on rows that are drawn again, of which errors are the spread.
REPEATED = 50
STEPS = 30
SETTLED = 1e-8


@dataclass(frozen=True)
class LogitCalibration:
    """What logits are multiplied by, and what is added.

    Attributes
    ----------
    powers : array, shape (parts,)
        Of the logits of each origin.
    shifts : array, shape (classes,)
    repeated : array, shape (repeated, parts + classes)
        Powers and shifts of calibrations on rows that were drawn again.
    """

    powers: FloatArray
    shifts: FloatArray
    repeated: FloatArray

    @classmethod
    def fit(
        cls, logits: FloatArray, labels: IntArray, rng: np.random.Generator
    ) -> LogitCalibration:
        """Fit to logits (rows, parts, classes) of rows of known class.

        Examples
        --------
        >>> rng = np.random.default_rng(1)
        >>> odds = rng.normal(0, 2, 20_000)
        >>> labels = (rng.random(20_000) < 1 / (1 + np.exp(-odds))).astype(int)
        >>> sure = np.stack([0 * odds, 2 * odds], axis=1)[:, None]
        >>> LogitCalibration.fit(sure, labels, rng).powers.round(1)
        array([0.5])
        """
        _, parts, classes = logits.shape
        as_it_is = _origin(logits, labels)
        tempered = _tempered(logits, labels, as_it_is)
        best = _fit(logits, labels, np.ones(len(labels)), tempered)
        chosen = _shrunk(logits, labels, tempered, best, parts + classes - 2)
        again = [
            _fit(logits, labels, rng.poisson(1.0, len(labels)).astype(float), best, steps=4)
            for _ in range(REPEATED)
        ]
        return cls(chosen[:parts], chosen[parts:], np.stack(again) - best + chosen)

    def __call__(self, logits: FloatArray) -> FloatArray:
        """Calibrate logits (..., rows, parts, classes), shape (..., rows, classes)."""
        return np.einsum("p,...pk->...k", self.powers, logits) + self.shifts

    def each(self, logits: FloatArray) -> FloatArray:
        """Calibrate logits (rows, parts, classes) in all ways, shape (repeated, rows, classes)."""
        parts = len(self.powers)
        turned = np.einsum("bp,npk->bnk", self.repeated[:, :parts], logits)
        return turned + self.repeated[:, None, parts:]

    def to_arrays(self) -> dict[str, AnyArray]:
        """Give everything as named arrays."""
        return dict(vars(self))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray]) -> LogitCalibration:
        """Read back what `to_arrays` gave."""
        return cls(**arrays)


def _origin(logits: FloatArray, labels: IntArray) -> FloatArray:
    """Give powers and shifts that change nothing: of the start alone, if the network adds noise."""
    _, parts, classes = logits.shape
    everything = np.concatenate([np.ones(parts), np.zeros(classes)])
    first = everything.copy()
    first[1:parts] = 0.0
    alone = bool(np.ptp(logits[:, 0]) > 0) and parts > 1
    better = alone and _likelihood(logits, labels, first) > _likelihood(logits, labels, everything)
    return first if better else everything


def _tempered(logits: FloatArray, labels: IntArray, origin: FloatArray) -> FloatArray:
    """Change the temperature, a single number, as far as that gains more than chance would."""
    parts = logits.shape[1]
    together = np.einsum("p,npk->nk", origin[:parts], logits)

    def lacking(log_power: float) -> float:
        log_p = log_softmax(np.exp(log_power) * together, axis=1)
        return -float(log_p[np.arange(len(labels)), labels].sum())

    found = optimize.minimize_scalar(lacking, bounds=(-2, 2), method="bounded")
    best = origin.copy()
    best[:parts] *= np.exp(found.x)
    return _shrunk(logits, labels, origin, best, 1)


def _shrunk(
    logits: FloatArray, labels: IntArray, origin: FloatArray, best: FloatArray, numbers: int
) -> FloatArray:
    """Go towards the best as far as it gains more than chance would (James and Stein 1961).

    Of twice the gain in log-likelihood chance brings one for each number that is free.
    """
    gain = 2 * (_likelihood(logits, labels, best) - _likelihood(logits, labels, origin))
    return origin + max(0.0, 1 - numbers / max(gain, 1e-12)) * (best - origin)


def _likelihood(logits: FloatArray, labels: IntArray, at: FloatArray) -> float:
    """Give the log-likelihood of powers and shifts."""
    parts = logits.shape[1]
    log_p = log_softmax(np.einsum("p,npk->nk", at[:parts], logits) + at[parts:], axis=1)
    return float(log_p[np.arange(len(labels)), labels].sum())


def _fit(
    logits: FloatArray, labels: IntArray, counts: FloatArray, at: FloatArray, steps: int = STEPS
) -> FloatArray:
    """Maximise the likelihood of rows that count so much, by Newton's method."""
    n, parts, k = logits.shape
    one = np.eye(k)
    # Derivatives of the logits by powers and shifts, (rows, parts + k, k).
    design = np.concatenate([logits, np.broadcast_to(one, (n, k, k))], axis=1)
    origin = np.concatenate([np.ones(parts), np.zeros(k)])
    found, hold = at.copy(), USUAL**-2
    for _ in range(steps):
        p = np.exp(log_softmax(np.einsum("q,nqk->nk", found, design), axis=1))
        slope = np.einsum("n,nqk,nk->q", counts, design, one[labels] - p) - hold * (found - origin)
        middle = np.einsum("nqk,nk->nq", design, p)
        weighted = design * (counts[:, None] * p)[:, None, :]
        curvature = np.einsum("nqk,nrk->qr", weighted, design)
        curvature -= np.einsum("n,nq,nr->qr", counts, middle, middle)
        step = np.linalg.solve(curvature + hold * np.eye(len(found)), slope)
        found = found + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < SETTLED:
            break
    return found
