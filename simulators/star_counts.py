"""How many star clusters did this cloud form? The light of one age, or of two.

A cloud of molecular gas turns a share of itself into a star cluster. If the cluster fails to blow
the rest away, the gas falls back, and another cluster forms of what is left: 1, 2 or 3 of them,
evenly in time, each of the same share of what there is. Four luminosities are seen from afar: the
recombination line H alpha, which the hottest stars light up; the far ultraviolet; the visual band;
and the CO line of the gas. A young single cluster looks like an older cloud with a second, younger
cluster: the posterior has two modes, and the number of clusters tells them apart.

The model is small enough to be checked by hand, where the source takes WARPFIELD and Cloudy, a
dozen lines and ten times the parameters. Stars are born with Salpeter's masses, keep the luminosity
and temperature of the main sequence, shine like black bodies, and go out at its end; there is no
dust. All light is in proportion to the mass, so that an exact posterior can be computed.

>>> y = log_luminosities(mass=1e6, sfe=0.1, age=3.0, clusters=1)
>>> y.round(2)
array([[6.06, 6.74, 5.48, 1.  ]])
>>> exact = posterior(y[0], error=0.1)
>>> exact.probabilities.shape, exact.sample(5, np.random.default_rng(1))["age"].shape
((3,), (5,))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import scipy.stats as st
from scipy.integrate import cumulative_trapezoid
from scipy.special import ndtr, ndtri

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

BANDS = ("H alpha", "far ultraviolet", "visual", "CO")
MOST = 3  # clusters

# Wavelengths (m): below the first, photons ionise hydrogen.
IONISING, FAR_ULTRAVIOLET, VISUAL = 91.2e-9, (140e-9, 180e-9), (507e-9, 595e-9)
PHOTON = 1.37e-19 / 3.828e26  # H alpha (solar luminosities) for each ionising photon a second
CO = 1.1e-5  # solar luminosities of the line for each solar mass of gas

LIGHTEST, HEAVIEST, SLOPE = 0.1, 120.0, -2.35  # solar masses, and Salpeter's law of them
MASSES = 4_000  # of the integral over them
SUN_K, SUN_W = 5772.0, 3.828e26
BOLTZMANN, HC_OVER_K = 1.380649e-23, 0.014387769  # J/K, m K

MASS, SFE, AGE = (1e5, 1e7), (0.01, 0.15), (0.5, 30.0)  # ends of the priors
AGES, SHARES = 2_000, 150  # of the grid of the exact posterior


@simulator(batched=True)
def star_counts(
    mass: Array,
    sfe: Array,
    age: Array,
    clusters: npt.NDArray[np.int64],
    error: Array,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Measure the light of a cloud that formed one star cluster after another."""
    exact = log_luminosities(mass, sfe, age, clusters)
    return {"luminosity": exact + error[:, None] * rng.standard_normal(exact.shape)}


def log_luminosities(
    mass: npt.ArrayLike, sfe: npt.ArrayLike, age: npt.ArrayLike, clusters: npt.ArrayLike
) -> Array:
    """Give the decadic logarithms of the four luminosities, shape (B, 4), without noise.

    Parameters
    ----------
    mass : array, shape (B,)
        Of the cloud at the beginning (solar masses).
    sfe : array, shape (B,)
        Star formation efficiency: the share of the gas that each cluster takes.
    age : array, shape (B,)
        Of the first cluster (Myr); of the k-th of n, it is age (n - k + 1) / n.
    clusters : array of int, shape (B,)
        How many there are, 1 to 3.
    """
    mass, sfe, age, clusters = np.broadcast_arrays(*map(np.atleast_1d, (mass, sfe, age, clusters)))
    gas, light = mass.astype(np.float64), np.zeros((3, len(mass)))
    for k in range(MOST):
        there = k < clusters
        old = np.where(there, age * (clusters - k) / clusters, 1.0)
        light += np.where(there, gas * sfe, 0.0) * starlight(old)
        gas = np.where(there, gas * (1 - sfe), gas)
    return np.log10(np.vstack([light, CO * gas])).T


def starlight(age: npt.ArrayLike) -> Array:
    """Give what a solar mass of stars shines at an age (Myr), shape (3, *shape of age).

    In solar luminosities: in H alpha, the far ultraviolet and the visual band.
    """
    ages, logs = _table()
    return np.exp(np.stack([np.interp(age, ages, log) for log in logs]))


@cache
def _table() -> tuple[Array, Array]:
    """Integrate the light over the stars that are alive, at the ages at which one goes out.

    Returns
    -------
    tuple
        Ages (Myr), shape (m,), increasing; logarithms of the luminosities, shape (3, m).
    """
    star = np.geomspace(LIGHTEST, HEAVIEST, MASSES)
    births = star**SLOPE
    weighted = births * np.stack(shining(star))
    total = np.trapezoid(births * star, star)
    alive = cumulative_trapezoid(weighted, star, axis=1) / total
    return lifetime(star[:0:-1]), np.log(alive[:, ::-1])


def lifetime(star: npt.ArrayLike) -> Array:
    """Give how long a star of this mass (solar masses) shines (Myr)."""
    return 2.5 + 1e4 * np.asarray(star, np.float64) ** -2.5


def shining(star: Array) -> tuple[Array, Array, Array]:
    """Give what stars of these masses shine in H alpha, the far ultraviolet and the visual band."""
    bolometric, temperature = main_sequence(star)
    photons = bolometric * SUN_W / (BOLTZMANN * temperature)
    photons *= black_body_photons(HC_OVER_K / (IONISING * temperature))
    bands = (
        bolometric
        * np.diff([black_body_energy(HC_OVER_K / (w * temperature)) for w in ends], axis=0)[0]
        for ends in (FAR_ULTRAVIOLET, VISUAL)
    )
    return PHOTON * photons, *bands


def main_sequence(star: Array) -> tuple[Array, Array]:
    """Give luminosity (solar luminosities) and temperature (K) of stars of these masses."""
    luminosity = np.select(
        [star < 0.43, star < 2, star < 55],
        [0.23 * star**2.3, star**4, 1.4 * star**3.5],
        32_000 * star,
    )
    radius = np.where(star < 1.66, 1.06 * star**0.945, 1.33 * star**0.555)
    return luminosity, SUN_K * (luminosity / radius**2) ** 0.25


def black_body_energy(x: Array) -> Array:
    """Give the share of a black body's energy at frequencies above h nu = x k T."""
    n = np.arange(1, 60)[:, None]
    terms = np.exp(-n * x) * (x**3 / n + 3 * x**2 / n**2 + 6 * x / n**3 + 6 / n**4)
    return 15 / np.pi**4 * terms.sum(axis=0)


def black_body_photons(x: Array) -> Array:
    """Give the photons above h nu = x k T, times k T over the energy of all of them."""
    n = np.arange(1, 60)[:, None]
    return 15 / np.pi**4 * (np.exp(-n * x) * (x**2 / n + 2 * x / n**2 + 2 / n**3)).sum(axis=0)


# -- the exact posterior ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Exact:
    """The posterior by enumeration: on a grid of number, age and efficiency.

    The mass can be integrated out: the luminosities are in proportion to it, and its logarithm is
    uniform, so that given the rest it is normal, cut at the ends of the prior.

    Attributes
    ----------
    weights : array, shape (3, 2000, 150)
        Probability of each cell.
    middle : array, of the same shape
        Mean of the decadic logarithm of the mass, but for the cut.
    error : float
    """

    weights: Array
    middle: Array
    error: float

    @property
    def probabilities(self) -> Array:
        """Of 1, 2 and 3 clusters, shape (3,)."""
        return self.weights.sum(axis=(1, 2))

    def sample(self, n: int, rng: np.random.Generator) -> dict[str, Array]:
        """Draw parameters, by name, each of shape (n,)."""
        flat = self.weights.ravel()
        cell = np.searchsorted(np.cumsum(flat)[:-1], rng.random(n))
        number, old, share = np.unravel_index(cell, self.weights.shape)
        sd = self.error / np.sqrt(len(BANDS))
        middle = self.middle.ravel()[cell]
        low, high = (ndtr((end - middle) / sd) for end in np.log10(MASS))
        log_mass = middle + sd * ndtri(low + (high - low) * rng.random(n))
        return {
            "mass": 10 ** np.clip(log_mass, *np.log10(MASS)),
            "sfe": _within(SFE, share, SHARES, rng),
            "age": _within(AGE, old, AGES, rng),
            "clusters": number + 1,
        }


def posterior(luminosity: npt.ArrayLike, error: float) -> Exact:
    """Give the exact posterior of one observation, on a grid.

    Parameters
    ----------
    luminosity : array, shape (4,)
        Decadic logarithms of solar luminosities.
    error : float
        Their standard deviation.
    """
    gap = np.asarray(luminosity, np.float64) - _grid()
    middle = gap.mean(axis=-1)
    sd = error / np.sqrt(len(BANDS))
    low, high = np.log10(MASS)
    log_weight = -((gap - middle[..., None]) ** 2).sum(axis=-1) / (2 * error**2)
    weight = np.exp(log_weight - log_weight.max())
    weight *= ndtr((high - middle) / sd) - ndtr((low - middle) / sd)
    return Exact(weight / weight.sum(), middle, error)


@cache
def _grid() -> Array:
    """Logarithms of the luminosities of a solar mass in the middle of each cell of the grid."""
    ages = AGE[0] + (np.arange(AGES) + 0.5) / AGES * np.ptp(AGE)
    shares = SFE[0] + (np.arange(SHARES) + 0.5) / SHARES * np.ptp(SFE)
    number, age, sfe = np.meshgrid(np.arange(1, MOST + 1), ages, shares, indexing="ij")
    found = log_luminosities(np.ones(number.size), sfe.ravel(), age.ravel(), number.ravel())
    return found.reshape(*number.shape, len(BANDS))


def _within(
    ends: tuple[float, float], cell: npt.NDArray[np.int64], cells: int, rng: np.random.Generator
) -> Array:
    """Draw uniformly within cells of a grid between two ends."""
    return ends[0] + (cell + rng.random(len(cell))) / cells * (ends[1] - ends[0])


problem = Problem(
    star_counts,
    Prior(
        mass=st.loguniform(*MASS),
        sfe=st.uniform(SFE[0], SFE[1] - SFE[0]),
        age=st.uniform(AGE[0], AGE[1] - AGE[0]),
        clusters=st.randint(1, MOST + 1),
    ),
    given={"error": st.loguniform(0.05, 0.2)},
    units={"mass": r"$M_\odot$", "age": "Myr", "luminosity": r"log $L_\odot$", "error": "dex"},
    labels={
        "mass": "mass of the cloud",
        "sfe": "star formation efficiency",
        "age": "age of the first cluster",
        "clusters": "number of clusters",
        "luminosity": "luminosity",
        "error": "error of the luminosities",
    },
    source="after Kang et al. (2022), MNRAS 512, 617 (dissertation, sec. 3.8.1, fig. 3.19), with "
    "a photometric model of our own",
)
