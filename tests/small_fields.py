"""Small problems with fields whose posterior is known, for the tests."""

import numpy as np
import scipy.stats as st
from scipy import fft

import sbi_inn as si

SIDE = 8
NOISE = 0.3


def power(k):
    return (1 + (k / 1.5) ** 2) ** -1.75


FIELD = si.GaussianField((SIDE, SIDE), power=power)


def blurred(sky):
    """Every pixel with a quarter of each of its four neighbours, on a torus."""
    axes = (-2, -1)
    around = sum(np.roll(sky, step, axis) for step in (-1, 1) for axis in axes)
    return sky + around / 4


@si.simulator(images=["seen"], batched=True)
def clean(sky):
    return {"seen": blurred(sky)}


def detector(seen, rng):
    noisy = seen + rng.normal(0, NOISE, seen.shape)
    noisy[..., 2:5, 2:5] = np.nan
    return {"seen": noisy}


def varied_detector(seen, error, rng):
    noisy = seen + rng.normal(0, error, seen.shape)
    top, left = rng.integers(SIDE - 2, size=2)
    noisy[top : top + 3, left : left + 3] = np.nan
    return {"seen": noisy}


HOLE = si.Problem(clean, si.Prior(sky=FIELD), noise=detector)
VARIED = si.Problem(
    clean, si.Prior(sky=FIELD), given={"error": st.uniform(0.1, 0.5)}, noise=varied_detector
)


def covariance(prior=HOLE.prior):
    root = prior.from_latent(np.eye(SIDE**2))["sky"].reshape(SIDE**2, -1)
    return root.T @ root


def exact(seen, noise=NOISE):
    """Mean and covariance of the exact posterior for one observation, NaN where nothing is seen."""
    prior = covariance()
    there = ~np.isnan(seen.ravel())
    slopes = blurred(np.eye(SIDE**2).reshape(-1, SIDE, SIDE)).reshape(SIDE**2, -1)[there]
    gain = np.linalg.solve(
        slopes @ prior @ slopes.T + noise**2 * np.eye(there.sum()), slopes @ prior
    ).T
    return gain @ seen.ravel()[there], prior - gain @ slopes @ prior


def textures():
    """Spectra of fields that run across, and along."""
    k = fft.fftfreq(SIDE) * SIDE
    y, x = np.meshgrid(k, k, indexing="ij")
    found = [power(np.hypot(x * wide, y / wide)) for wide in (1.6, 1 / 1.6)]
    return [spectrum / spectrum.mean() for spectrum in found]


def texture(rng):
    modes = fft.fft2(rng.standard_normal((SIDE, SIDE)))
    return fft.ifft2(modes * np.sqrt(textures()[rng.integers(2)])).real


@si.simulator(images=["seen"])
def shown(sky, rng):
    return {"seen": sky + rng.normal(0, 0.5, sky.shape)}


TEXTURES = si.Problem(shown, si.Prior(sky=si.Drawn(texture)))


def squared(sky, rng):
    """A simulator that a line does not describe."""
    return {"seen": np.exp(sky) + rng.normal(0, 0.2, sky.shape)}


def quick(problem, n=1_500, **settings):
    method = si.FieldCINN(**{"flow": False, **settings})
    return si.fit_posterior(
        problem, n_simulations=n, method=method, n_jobs=1, seed=1, progress=False
    )
