"""Eight unlike problems whose exact posteriors can be drawn from.

Each is a `Known`: the problem, and its exact posterior, drawn on the side of the parameters. No
draw comes from a chain: each posterior is in closed form, or on a grid far finer than it is wide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats as st

import sbi_inn as si


def nothing_more(draws):
    return {}


@dataclass(frozen=True)
class Known:
    """A problem and its exact posterior.

    Attributes
    ----------
    problem : Problem
    draw : callable
        Observations, number of draws and generator to flat parameters, (observations, n, dim).
    also : callable
        Draws, (..., dim), to further quantities by name, (...), that have to be right as well.
    """

    problem: Any
    draw: Callable[[Any, int, np.random.Generator], Any]
    also: Callable[[Any], dict[str, Any]] = nothing_more


def stacked(parameters):
    return np.column_stack(list(parameters.values()))


def linear(slope, noise):
    """Give y = slope theta + noise, of this covariance, with standard normal priors."""
    root = np.linalg.cholesky(noise)
    dim = slope.shape[1]

    @si.simulator(batched=True)
    def observe(rng, **parameters):
        theta = stacked(parameters)
        return {"y": theta @ slope.T + rng.standard_normal((len(theta), len(slope))) @ root.T}

    gain = slope.T @ np.linalg.inv(noise)
    covariance = np.linalg.inv(np.eye(dim) + gain @ slope)

    def draw(observations, n, rng):
        mean = observations.vector @ gain.T @ covariance
        scores = rng.standard_normal((len(mean), n, dim))
        return mean[:, None] + scores @ np.linalg.cholesky(covariance).T

    prior = si.Prior(**{f"x{i}": st.norm(0, 1) for i in range(1, dim + 1)})
    return Known(si.Problem(observe, prior), draw)


def linear_2():
    return linear(np.array([[1.0, 0.5], [-0.3, 1.0]]), 0.35**2 * np.eye(2))


def linear_10():
    """Ten parameters, each in all of ten observables, whose noise correlates by .5."""
    mixing = np.linalg.qr(np.random.default_rng(0).normal(size=(10, 10)))[0]
    return linear(mixing, 0.5**2 * (0.5 * np.eye(10) + 0.5))


def normal_set():
    """Give the mean and the log variance of a set of 5 to 50 measurements."""

    @si.simulator(sets={"n": ["v"]})
    def observe(mu, log_v, n, rng):
        return {"v": mu + np.exp(log_v / 2) * rng.standard_normal(n)}

    def draw(observations, n, rng):
        padded = observations.sets["n"]
        size = padded.sizes[:, None].astype(float)
        used = np.arange(padded.values.shape[1])[None] < size
        values = np.where(used, padded.values[..., 0], 0.0)
        mean = values.sum(axis=1, keepdims=True) / size
        squares = (used * (values - mean) ** 2).sum(axis=1, keepdims=True)

        def log_density(log_v):  # mu is integrated out
            variance = 1 + np.exp(log_v) / size
            given_mu = -0.5 * (size - 1) * log_v - 0.5 * squares * np.exp(-log_v)
            told_by_mean = -0.5 * mean**2 / variance - 0.5 * np.log(variance)
            return given_mu + told_by_mean + st.norm.logpdf(log_v, 0, 0.7)

        log_v = on_grid([np.linspace(-5, 5, 2001)], log_density, n, rng)[..., 0]
        told = size * np.exp(-log_v)
        mu = told * mean / (1 + told) + rng.standard_normal(log_v.shape) / np.sqrt(1 + told)
        return np.stack([mu, log_v], axis=2)

    prior = si.Prior(mu=st.norm(0, 1), log_v=st.norm(0, 0.7))
    return Known(si.Problem(observe, prior, given={"n": st.randint(5, 51)}), draw)


def on_grid(axes, log_density, n, rng):
    """Draw from densities that are known on a grid, and flat within each of its cells.

    `log_density` takes the centres of the cells, an array a parameter, to (observations, cells).
    """
    centres = [centre.ravel() for centre in np.meshgrid(*axes, indexing="ij")]
    steps = np.array([axis[1] - axis[0] for axis in axes])
    drawn = []
    for row in log_density(*centres):
        total = np.exp(row - row.max()).cumsum()
        cell = np.searchsorted(total, rng.random(n) * total[-1])
        inside = steps * (rng.random((n, len(axes))) - 0.5)
        drawn.append(np.column_stack([centre[cell] for centre in centres]) + inside)
    return np.stack(drawn)


def truncated(mean, sd, low, high, n, rng):
    """Draw from normals, mean (rows, dim), within (low, high): (rows, n, dim)."""
    ends = [st.norm.cdf((end - mean) / sd)[:, None] for end in (low, high)]
    u = ends[0] + (ends[1] - ends[0]) * rng.random((len(mean), n, mean.shape[1]))
    return np.clip(mean[:, None] + sd * st.norm.ppf(u), low, high)


def bounded():
    """Give a parameter that observations tell well, and one that they hardly tell: both uniform."""
    noise = np.array([0.3, 1.0])

    @si.simulator(batched=True)
    def observe(u1, u2, rng):
        return {"y": np.column_stack([u1, u2]) + noise * rng.standard_normal((len(u1), 2))}

    def draw(observations, n, rng):
        return truncated(observations.vector, noise, -1.0, 1.0, n, rng)

    return Known(si.Problem(observe, si.Prior(u1=st.uniform(-1, 2), u2=st.uniform(-1, 2))), draw)


def bimodal():
    """Give a parameter of which the square is observed; its modes have to be as wide as exact."""

    @si.simulator(batched=True)
    def observe(theta, rng):
        return {"y": theta**2 + 0.25 * rng.standard_normal(len(theta))}

    def draw(observations, n, rng):
        y = observations.vector

        def log_density(theta):
            return -0.5 * ((y - theta**2) / 0.25) ** 2 - 0.5 * theta**2

        return on_grid([np.linspace(-5, 5, 4001)], log_density, n, rng)

    problem = si.Problem(observe, si.Prior(theta=st.norm(0, 1)))
    return Known(problem, draw, also=lambda draws: {"|theta|": np.abs(draws[..., 0])})


def counts():
    """Give a rate from three counts of different exposures."""
    exposures = np.array([0.5, 1.0, 2.0])

    @si.simulator(batched=True)
    def observe(rate, rng):
        return {"counts": rng.poisson(rate[:, None] * exposures)}

    def draw(observations, n, rng):
        shape = 2 + observations.vector.sum(axis=1)
        size = (len(shape), n)
        return rng.gamma(shape[:, None], 1 / (0.5 + exposures.sum()), size)[..., None]

    return Known(si.Problem(observe, si.Prior(rate=st.gamma(2, scale=2))), draw)


def two_widths():
    """Give the public benchmark's gaussian_mixture: noise that is narrow in half of all cases."""
    edge, sds = 10.0, np.array([1.0, 0.1])

    @si.simulator(batched=True)
    def observe(x1, x2, rng):
        sd = sds[rng.integers(0, 2, len(x1))][:, None]
        return {"y": np.column_stack([x1, x2]) + sd * rng.standard_normal((len(x1), 2))}

    def draw(observations, n, rng):
        y = observations.vector
        inside = [st.norm.cdf((edge - y) / sd) - st.norm.cdf((-edge - y) / sd) for sd in sds]
        wide, narrow = (mass.prod(axis=1, keepdims=True) for mass in inside)
        is_narrow = rng.random((len(y), n)) < narrow / (wide + narrow)
        both = [truncated(y, sd, -edge, edge, n, rng) for sd in sds]
        return np.where(is_narrow[..., None], both[1], both[0])

    uniform = st.uniform(-edge, 2 * edge)
    return Known(si.Problem(observe, si.Prior(x1=uniform, x2=uniform)), draw)


def decay():
    """Give the amplitude and log rate of an exponential decay, seen at six times."""
    times = np.array([0.3, 0.6, 1.0, 1.5, 2.5, 4.0])

    def mean(a, log_k):
        return a[:, None] * np.exp(-np.exp(log_k)[:, None] * times)

    @si.simulator(batched=True)
    def observe(a, log_k, rng):
        return {"y": mean(a, log_k) + 0.1 * rng.standard_normal((len(a), 6))}

    def draw(observations, n, rng):
        def log_density(a, log_k):
            model = mean(a, log_k)
            prior = st.norm.logpdf(a, 1, 0.25) + st.norm.logpdf(log_k, 0, 0.7)
            for y in observations.vector:
                yield prior - 0.5 * (((y - model) / 0.1) ** 2).sum(axis=1)

        axes = [np.linspace(-0.3, 2.3, 400), np.linspace(-3.3, 3.3, 400)]
        return on_grid(axes, log_density, n, rng)

    prior = si.Prior(a=st.norm(1, 0.25), log_k=st.norm(0, 0.7))
    return Known(si.Problem(observe, prior), draw)


KNOWN = {
    "linear, 2 parameters": linear_2,
    "linear, 10 parameters": linear_10,
    "set": normal_set,
    "bounded": bounded,
    "bimodal": bimodal,
    "counts": counts,
    "two widths": two_widths,
    "decay": decay,
}
