"""Studies of sets, series and images with exact posteriors, and of many parameters; and wrong ones.

As in `cases`, each case is a study and how its posterior is drawn, on the latent side of the prior.
"""

import numpy as np
import scipy.stats as st
from cases import gaussian, linear, normal
from further_cases import batched, latent, noise, on_axis

import sbi_inn as si


def mean_and_width(reads_width):
    """Give mean and log variance of a set of 10 to 30: or what its mean alone tells of both."""
    axis = np.linspace(-5, 5, 801)

    @si.simulator(sets={"n": ["v"]})
    def observe(x1, x2, n, rng):
        return {"v": x1 + np.exp(0.5 * x2) * rng.standard_normal(n)}

    def how(observations, n, rng):
        padded = observations.sets["n"]
        size = padded.sizes[:, None].astype(float)
        values = np.where(padded.mask, padded.values[..., 0], 0.0)
        mean = values.sum(axis=1, keepdims=True) / size
        squares = (padded.mask * (values - mean) ** 2).sum(axis=1, keepdims=True)
        log_density = st.norm.logpdf(mean, 0, np.sqrt(1 + np.exp(axis) / size)) - 0.5 * axis**2
        if reads_width:
            log_density -= 0.5 * (size - 1) * axis + 0.5 * squares * np.exp(-axis)
        log_variance = on_axis(axis, log_density, n, rng)
        told = size * np.exp(-log_variance)
        middle = told * mean / (1 + told) + noise(rng, *told.shape) / np.sqrt(1 + told)
        return np.stack([middle, log_variance], axis=2)

    return si.Problem(observe, normal(2), given={"n": st.randint(10, 31)}), how


EDGE = 0.95
SLOPES = np.linspace(-EDGE, EDGE, 801)[1:-1]


def drawn_slope(prior, one, other, used, n, rng):
    """Draw the slope of one standard normal column, (observations, entries), on the other."""
    products = (one * one, one * other, other * other)
    square, product, told = ((used * x).sum(axis=1)[:, None] for x in products)
    rest, count = 1 - SLOPES**2, used.sum(axis=1)[:, None]
    gap = square - 2 * SLOPES * product + SLOPES**2 * told
    log_density = -0.5 * gap / rest - 0.5 * count * np.log(rest)
    slope = np.clip(on_axis(SLOPES, log_density, n, rng), SLOPES[0], SLOPES[-1])
    return latent(prior, slope[..., None])


def autoregression(lag, part):
    """Give the autocorrelation of a series at one lag, from all of it, a part, or nothing."""
    prior = si.Prior(phi=st.uniform(-EDGE, 2 * EDGE))

    @si.simulator(series={"n": ["v"]})
    def observe(phi, n, rng):
        v = rng.standard_normal(n)
        for t in range(lag, n):
            v[t] = phi * v[t - lag] + np.sqrt(1 - phi**2) * v[t]
        return {"v": v}

    def how(observations, n, rng):
        padded = observations.sets["n"]
        values = np.where(padded.mask, padded.values[..., 0], 0.0)
        now, before, used = values[:, lag:], values[:, :-lag], padded.mask[:, lag:]
        used = used & (np.arange(used.shape[1]) < part * padded.sizes[:, None])
        return drawn_slope(prior, now, before, used, n, rng)

    return si.Problem(observe, prior, given={"n": st.randint(50, 71)}), how


def pairs(part):
    """Give the correlation of two columns of a set, from all of it, a part, or nothing."""
    prior = si.Prior(rho=st.uniform(-EDGE, 2 * EDGE))

    @si.simulator(sets={"n": ["a", "b"]})
    def observe(rho, n, rng):
        a = rng.standard_normal(n)
        return {"a": a, "b": rho * a + np.sqrt(1 - rho**2) * rng.standard_normal(n)}

    def how(observations, n, rng):
        padded = observations.sets["n"]
        used = padded.mask & (np.arange(padded.values.shape[1]) < part * padded.sizes[:, None])
        a, b = (np.where(used, padded.values[..., i], 0.0) for i in (0, 1))
        return drawn_slope(prior, b, a, used, n, rng)

    return si.Problem(observe, prior, given={"n": st.randint(15, 31)}), how


def checkerboard(part):
    """Give the height of a checkerboard in an image, from all of it or the upper rows."""
    board = np.where(np.indices((16, 16)).sum(axis=0) % 2, 1.0, -1.0) / 16
    weight = board * (np.arange(16) < 16 * part)[:, None] / 0.25

    @si.simulator(batched=True, images=["sky"])
    def observe(x1, rng):
        return {"sky": x1[:, None, None] * board + 0.5 * noise(rng, len(x1), 16, 16)}

    def how(observations, n, rng):
        variance = 1 / (1 + (weight * board).sum())
        mean = variance * observations.vector @ weight.ravel()
        return (mean[:, None] + np.sqrt(variance) * noise(rng, len(mean), n))[..., None]

    return si.Problem(observe, normal(1)), how


def thirty_parameters():
    problem, moments = linear(
        np.eye(30) + 0.2 * np.random.default_rng(1).normal(size=(30, 30)), 0.7
    )
    return problem, gaussian(moments)


def very_sharp():
    problem, moments = linear(np.eye(2), 1e-4)
    return problem, gaussian(moments)


def rare_counts():
    """Give five rates, of which most counts are 0."""
    prior = si.Prior(**{f"r{i}": st.gamma(0.3, scale=1.0) for i in range(1, 6)})

    @batched
    def observe(rng, **rates):
        return {"y": rng.poisson(np.column_stack(list(rates.values())))}

    def how(observations, n, rng):
        counts = observations.vector[:, None]
        drawn = rng.gamma(0.3 + counts, 0.5, (len(counts), n, 5))
        return latent(prior, np.maximum(drawn, 1e-300))

    return si.Problem(observe, prior), how


def share_of_trials():
    prior = si.Prior(p=st.beta(2, 3))

    @batched
    def observe(p, trials, rng):
        return {"k": rng.binomial(trials.astype(int), p)}

    def how(observations, n, rng):
        k, trials = observations.vector.T[:, :, None]
        drawn = rng.beta(2 + k, 3 + trials - k, (len(k), n))
        return latent(prior, np.clip(drawn, 1e-12, 1 - 1e-12)[..., None])

    return si.Problem(observe, prior, given={"trials": st.randint(1, 30)}), how


def angle(part):
    """Give an angle from noisy coordinates: or, with two modes, from the first of them."""
    prior = si.Prior(angle=st.uniform(-np.pi, 2 * np.pi))
    axis = np.linspace(-np.pi, np.pi, 721)[:-1] + np.pi / 720

    @batched
    def observe(angle, rng):
        where = np.column_stack([np.cos(angle), np.sin(angle)])
        return {"y": where + 0.4 * noise(rng, len(angle), 2)}

    def how(observations, n, rng):
        gap = observations.vector[:, None] - np.column_stack([np.cos(axis), np.sin(axis)])
        log_density = -0.5 * (gap[..., : 1 if part < 1 else 2] ** 2).sum(axis=2) / 0.16
        drawn = np.clip(on_axis(axis, log_density, n, rng), -np.pi + 1e-9, np.pi - 1e-9)
        return latent(prior, drawn[..., None])

    return si.Problem(observe, prior), how
