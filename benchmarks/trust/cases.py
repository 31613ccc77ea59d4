"""Studies whose exact posteriors can be drawn from, and posteriors that are calibrated and wrong.

Each case is a study and how its posterior is drawn. Parameters are on the latent side of the prior,
where it is N(0, 1).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import scipy.stats as st

import sbi_inn as si
from sbi_inn.errors import NoDensityError
from sbi_inn.posterior.core import Core
from sbi_inn.training.history import History


@dataclass(frozen=True)
class Settings:
    label: ClassVar[str] = "planted"


@dataclass(frozen=True)
class Drawn:
    """Has the face of a trained method, and can be drawn from only.

    Attributes
    ----------
    how : callable
        Observations, number of draws and generator to latent draws, (observations, n, dim).
    """

    how: Callable[[Any, int, np.random.Generator], Any]
    settings: Settings = Settings()
    history: History = History((1.0,), (2.0,), (2.5,), 1.0, "finished", 7, 3.0)

    def sample(self, observations, n, rng):
        return self.how(observations, n, rng)

    def log_prob(self, latent, observations):
        raise NoDensityError("it can be drawn from only")

    def describe(self):
        return "planted posterior"

    def to_arrays(self):
        return {"name": "planted"}, {}


def posterior_of(case, *, seed, tests, simulator=True):
    """Make a Posterior of a case with this many test simulations, none of which is its own."""
    problem, how = case
    table = si.simulate(problem, n=tests, seed=seed, n_jobs=1, progress=False)
    infer = getattr(how, "infer", None)
    table = table if infer is None else table.inferring(infer)
    core = Core(
        Drawn(how),
        table,
        np.arange(tests),
        seed=seed,
        n_simulations=tests,
        # Sets are simulated one by one: too slow for a hundred thousand of them.
        problem=problem if simulator and not table.schema.sets else None,
    )
    posterior = si.Posterior(core)
    subject = posterior._subject()
    posterior._shared = replace(subject, tests=subject.tests.head(tests))
    return posterior


def normal(dim):
    return si.Prior(**{f"x{i}": st.norm(0, 1) for i in range(1, dim + 1)})


def stacked(parameters):
    return np.column_stack(list(parameters.values()))


def linear(slope, noise):
    """Give a simulator y = slope theta + noise, and moments of theta given some of y."""
    slope = np.atleast_2d(slope)
    noise = np.broadcast_to(noise, len(slope)).astype(float)

    @si.simulator(batched=True)
    def observe(rng, **parameters):
        theta = stacked(parameters)
        return {"y": theta @ slope.T + noise * rng.standard_normal((len(theta), len(slope)))}

    def moments(y, seen=slice(None)):
        a = slope[seen] / noise[seen, None]
        covariance = np.linalg.inv(np.eye(slope.shape[1]) + a.T @ a)
        return (y[:, seen] / noise[seen]) @ a @ covariance, covariance

    return si.Problem(observe, normal(slope.shape[1])), moments


def gaussian(moments, seen=slice(None), *, shift=0.0, width=1.0, where=None, scores=None):
    """Draw from Gaussians, exact given what is seen of y, or wrong where y is in some place.

    `shift` is in sd of each parameter; `scores` draws standard normal noise that is none.
    """

    def how(observations, n, rng):
        y = observations.vector
        mean, covariance = moments(y, seen)
        wrong = np.ones(len(y), bool) if where is None else where(y)
        noise = (scores or _normal)((len(y), n, mean.shape[1]), rng) @ np.linalg.cholesky(
            covariance
        ).T
        off = np.where(wrong, shift, 0.0)[:, None] * np.sqrt(np.diag(covariance))
        return (mean + off)[:, None] + np.where(wrong, width, 1.0)[:, None, None] * noise

    return how


def _normal(shape, rng):
    return rng.standard_normal(shape)


def prior_of(dim):
    return lambda observations, n, rng: rng.standard_normal((len(observations), n, dim))


def _quantile(low, high, sd):
    return lambda y: (y[:, 0] > sd * st.norm.ppf(low)) & (y[:, 0] <= sd * st.norm.ppf(high))


PAIR = linear([[1.0, 0.0], [0.0, 1.0]], 0.35)
SD = np.sqrt(1 + 0.35**2)  # of each observable
TWO_VIEWS = linear([[1.0], [1.0]], [1.0, 1.12])
BETTER = linear([[1.0], [1.0]], [1.0, 0.36])
FORTY = linear(np.ones((40, 1)), 2.0)
WEAK = linear(np.random.default_rng(0).normal(size=(20, 5)), 8.0)
MANY = linear(np.eye(20), 0.5)


def fewer_tails(shape, rng):
    """Give normal noise whose outer two per cent are drawn in: its 99 % interval holds 96.8 %."""
    noise = rng.standard_normal(shape)
    edge = st.norm.ppf(0.984)
    return np.clip(noise, -edge, edge) + 0.02 * rng.standard_normal(shape)


def bounded():
    @si.simulator(batched=True)
    def observe(u, rng):
        return {"y": u + 0.3 * rng.standard_normal(len(u))}

    def exact(observations, n, rng):
        y = observations.vector[:, :1]
        low, high = st.norm.cdf((0 - y) / 0.3), st.norm.cdf((1 - y) / 0.3)
        u = y + 0.3 * st.norm.ppf(low + (high - low) * rng.random((len(y), n)))
        return st.norm.ppf(np.clip(u, 1e-12, 1 - 1e-12))[..., None]

    return si.Problem(observe, si.Prior(u=st.uniform(0, 1))), exact


def discrete():
    prior = si.Prior(k=st.randint(0, 4))

    @si.simulator(batched=True)
    def observe(k, rng):
        return {"y": k + rng.standard_normal(len(k))}

    def exact(observations, n, rng):
        p = np.exp(-0.5 * (observations.vector[:, :1] - np.arange(4)) ** 2)
        p /= p.sum(axis=1, keepdims=True)
        k = (rng.random((len(p), n, 1)) > p.cumsum(axis=1)[:, None, :-1]).sum(axis=2)
        return prior.to_latent({"k": k.ravel()}).reshape(*k.shape, 1)

    return si.Problem(observe, prior), exact


def modes(weights):
    """Give a parameter whose sign y2 tells a little of: or weights of modes that ignore it."""

    @si.simulator(batched=True)
    def observe(x1, rng):
        first = np.abs(x1) + 0.3 * rng.standard_normal(len(x1))
        return {"y": np.column_stack([first, 0.7 * np.sign(x1) + rng.standard_normal(len(x1))])}

    def how(observations, n, rng):
        y = observations.vector
        mean, sd = y[:, :1] / 1.09, 0.3 / np.sqrt(1.09)
        low = st.norm.cdf(-mean / sd)
        size = mean + sd * st.norm.ppf(low + (1 - low) * rng.random((len(y), n)))
        positive = 1 / (1 + np.exp(-1.4 * y[:, 1:])) if weights else 0.5
        return (np.where(rng.random((len(y), n)) < positive, 1, -1) * size)[..., None]

    return si.Problem(observe, normal(1)), how


def rare_mode(missing):
    """Give a parameter whose sign is not told, of a prior where 1 % is negative: or never is."""

    @si.simulator(batched=True)
    def observe(x1, rng):
        v = _signed(x1)
        return {"y": np.abs(v) + 0.1 * rng.standard_normal(len(x1))}

    def how(observations, n, rng):
        y = observations.vector[:, :1]
        # |v| is uniform on (1, 2) whatever its sign: truncated normal around y.
        low, high = st.norm.cdf((1 - y) / 0.1), st.norm.cdf((2 - y) / 0.1)
        v = y + 0.1 * st.norm.ppf(low + (high - low) * rng.random((len(y), n)))
        v = np.clip(v, 1 + 1e-9, 2 - 1e-9)
        negative = rng.random(v.shape) < (0.0 if missing else 0.01)
        u = np.where(negative, 0.01 * (2 - v), 0.01 + 0.99 * (v - 1))
        return st.norm.ppf(u)[..., None]

    return si.Problem(observe, normal(1)), how


def _signed(x):
    u = st.norm.cdf(x)
    return np.where(u < 0.01, -(2 - u / 0.01), 1 + (u - 0.01) / 0.99)


def three_signs(exact):
    """Give y that tells the product of three signs: or draws that do not know it."""

    @si.simulator(batched=True)
    def observe(rng, **parameters):
        product = np.sign(stacked(parameters)).prod(axis=1)
        return {"y": product + 0.3 * rng.standard_normal(len(product))}

    def how(observations, n, rng):
        x = rng.standard_normal((len(observations), n, 3))
        if exact:
            positive = 1 / (1 + np.exp(-2 * observations.vector / 0.09))
            wanted = np.where(rng.random((len(x), n)) < positive, 1, -1)
            x[..., 2] *= np.sign(x).prod(axis=2) * wanted
        return x

    return si.Problem(observe, normal(3)), how


def ring():
    """Draw a product of the marginals of a ring."""

    @si.simulator(batched=True)
    def observe(x1, x2, rng):
        return {"y": np.hypot(x1, x2) + 0.05 * rng.standard_normal(len(x1))}

    def how(observations, n, rng):
        y = np.abs(observations.vector)
        angles = rng.uniform(0, 2 * np.pi, (2, len(y), n))
        return np.stack([y * np.cos(angles[0]), y * np.sin(angles[1])], axis=2)

    return si.Problem(observe, normal(2)), how


def of_set(part, series=False):
    """Give the mean of a set, or the slope of a series, from all or some of its entries."""
    entries = {"n": ["v"]}

    @si.simulator(sets={} if series else entries, series=entries if series else {})
    def observe(x1, n, rng):
        t = np.arange(n) / n if series else np.ones(n)
        return {"v": x1 * t + 2 * rng.standard_normal(n)}

    def how(observations, n, rng):
        padded = observations.sets["n"]
        size = padded.sizes[:, None]
        at = np.arange(padded.values.shape[1])[None]
        used = at < np.ceil(part * size)
        t = (at / size if series else np.ones_like(at / size)) * used
        precision = 1 + (t**2).sum(axis=1) / 4
        mean = (t * padded.values[..., 0]).sum(axis=1) / 4 / precision
        noise = rng.standard_normal((len(mean), n)) / np.sqrt(precision)[:, None]
        return (mean[:, None] + noise)[..., None]

    return si.Problem(observe, normal(1), given={"n": st.randint(40, 81)}), how


def deterministic():
    @si.simulator(batched=True)
    def observe(x1, x2):
        return {"y": x1 + x2}

    def how(observations, n, rng):
        y = observations.vector[:, :1]
        half = rng.standard_normal((len(y), n)) / np.sqrt(2)
        return np.stack([y / 2 + half, y / 2 - half], axis=2)

    return si.Problem(observe, normal(2)), how


def coin():
    @si.simulator(batched=True)
    def observe(x1, rng):
        first = x1 + 0.5 * rng.standard_normal(len(x1))
        return {"y": np.column_stack([first, rng.integers(0, 2, len(x1))])}

    def how(observations, n, rng):
        mean = observations.vector[:, :1] / 1.25
        return (mean + np.sqrt(0.2) * rng.standard_normal((len(mean), n)))[..., None]

    return si.Problem(observe, normal(1)), how


def nuisance(exact):
    """Infer one of two parameters."""
    problem, moments = linear([[1.0, 1.0], [0.5, -1.0]], 0.5)

    def how(observations, n, rng):
        mean, covariance = moments(observations.vector)
        noise = rng.standard_normal((len(mean), n))
        if not exact:
            return noise[..., None]
        return (mean[:, :1] + np.sqrt(covariance[0, 0]) * noise)[..., None]

    how.infer = ["x1"]
    return problem, how


def correlated():
    """Claim none of the correlations of .05 of twenty parameters."""
    covariance = 0.2 * (0.95 * np.eye(20) + 0.05)
    slope = np.eye(20) - covariance
    root = np.linalg.cholesky(slope - slope @ slope)

    @si.simulator(batched=True)
    def observe(rng, **parameters):
        theta = stacked(parameters)
        return {"y": theta @ slope + rng.standard_normal(theta.shape) @ root.T}

    def how(observations, n, rng):
        y = observations.vector
        return y[:, None] + np.sqrt(0.2) * rng.standard_normal((len(y), n, 20))

    return si.Problem(observe, normal(20)), how


def _of(study, *arguments, **wrong):
    problem, moments = study
    return problem, gaussian(moments, *arguments, **wrong)


def wrong():
    """Give what is calibrated, or nearly so, and wrong."""
    tail, small_tail = _quantile(0.9, 1.0, SD), _quantile(0.97, 1.0, SD)
    middle, small_middle = _quantile(0.45, 0.55, SD), _quantile(0.485, 0.515, SD)
    return {
        "prior returned": (PAIR[0], prior_of(2)),
        "prior returned, 20 weak observables": (WEAK[0], prior_of(5)),
        "prior returned, bounded": (bounded()[0], prior_of(1)),
        "prior returned, infer=": nuisance(exact=False),
        "ignores one of two observables": _of(TWO_VIEWS, slice(0, 1)),
        "ignores the better one": _of(BETTER, slice(0, 1)),
        "ignores half of 40": _of(FORTY, slice(0, 20)),
        "ignores half of a set": of_set(0.5),
        "ignores half of a series": of_set(0.5, series=True),
        "10 % of y one sd off, tail": _of(PAIR, shift=1.0, where=tail),
        "10 % of y one sd off, middle": _of(PAIR, shift=1.0, where=middle),
        "3 % of y one sd off, tail": _of(PAIR, shift=1.0, where=small_tail),
        "3 % of y one sd off, middle": _of(PAIR, shift=1.0, where=small_middle),
        "3 % of y half as wide, tail": _of(PAIR, width=0.5, where=small_tail),
        "3 % of y half as wide, middle": _of(PAIR, width=0.5, where=small_middle),
        "tails pulled in": _of(PAIR, scores=fewer_tails),
        "product of three signs": three_signs(exact=False),
        "ring": ring(),
        "20 parameters, correlations .05": correlated(),
        "20 parameters .1 sd high": _of(MANY, shift=0.1),
        "weights of modes": modes(weights=False),
        "mode of 1 % missing": rare_mode(missing=True),
    }


def exact():
    """Give exact posteriors."""
    return {
        "exact, 2 parameters": _of(PAIR),
        "exact, 5 parameters": _of(WEAK),
        "exact, 20 parameters": _of(MANY),
        "exact, bounded": bounded(),
        "exact, bimodal": modes(weights=True),
        "exact, mode of 1 %": rare_mode(missing=False),
        "exact, discrete": discrete(),
        "exact, deterministic": deterministic(),
        "exact, set": of_set(1.0),
        "exact, series": of_set(1.0, series=True),
        "exact, coin": coin(),
        "exact, infer=": nuisance(exact=True),
        "exact, three signs": three_signs(exact=True),
    }
