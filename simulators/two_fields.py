"""A texture that runs across or along: two Gaussian fields, half and half, and few pixels seen.

The field is that of `gaussian_field`, stretched by 1.3 across or along. Every fourth pixel of every
fourth row is seen, 64 in all, with noise of .3. The prior is given by its draws; the exact
posterior is a mixture of two Gaussian fields.
"""

from __future__ import annotations

import numpy as np
from sbi_inn.simulators.gaussian_field import SIDE, power
from scipy import fft
from scipy.special import expit

import sbi_inn as si
from sbi_inn.typing import BoolArray, FloatArray

STRETCH = 1.3
NOISE = 0.3
STEP = 4


def spectra() -> FloatArray:
    """Give the spectra of the two fields, across first, shape (2, 32, 32)."""
    k = fft.fftfreq(SIDE) * SIDE
    along, across = np.meshgrid(k, k, indexing="ij")
    found = []
    for wide in (STRETCH, 1 / STRETCH):
        one = power(np.hypot(across * wide, along / wide))
        found.append(one / one.mean())
    return np.stack(found)


SPECTRA = spectra()


def seen_pixels() -> BoolArray:
    """Say which pixels are seen, shape (32, 32)."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[STEP // 2 :: STEP, STEP // 2 :: STEP] = True
    return mask


SEEN = seen_pixels()


def texture(rng: np.random.Generator) -> FloatArray:
    """Draw a field, one of the two kinds."""
    spectrum = SPECTRA[rng.integers(2)]
    return fft.ifft2(fft.fft2(rng.standard_normal((SIDE, SIDE))) * np.sqrt(spectrum)).real


@si.simulator(images=["seen"])
def probe(field: FloatArray) -> dict[str, FloatArray]:
    """Give the whole field: the detector loses most of it."""
    return {"seen": field}


def detector(seen: FloatArray, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Add noise, and keep 64 pixels."""
    return {"seen": np.where(SEEN, seen + rng.normal(0, NOISE, seen.shape), np.nan)}


def log_ratio(fields: FloatArray) -> FloatArray:
    """Log of the density of whole fields (n, 32, 32) across over that along, shape (n,)."""
    modes = np.square(np.abs(fft.fft2(fields, norm="ortho")))
    across, along = ((modes / s + np.log(s)).sum(axis=(1, 2)) for s in SPECTRA)
    return (along - across) / 2


def exact_across(seen: FloatArray) -> FloatArray:
    """Give the exact probability of "across" for observations (n, 32, 32)."""
    values = seen[:, SEEN]
    log_density = []
    for spectrum in SPECTRA:
        lags = fft.ifft2(spectrum).real
        rows, columns = np.nonzero(SEEN)
        cov = lags[np.subtract.outer(rows, rows), np.subtract.outer(columns, columns)]
        cov = cov + NOISE**2 * np.eye(len(cov))
        fit = (values * np.linalg.solve(cov, values.T).T).sum(axis=1)
        log_density.append(-0.5 * (fit + np.linalg.slogdet(cov)[1]))
    return expit(log_density[0] - log_density[1])


problem = si.Problem(
    probe,
    si.Prior(field=si.Drawn(texture)),
    noise=detector,
    labels={"field": "texture", "seen": "what is seen"},
    source="a mixture of two Gaussian fields, whose posterior is one too",
)
