"""More studies whose exact posteriors can be drawn from, and posteriors that are wrong.

As in `cases`, each case is a study and how its posterior is drawn, on the latent side of the prior.
"""

import numpy as np
import scipy.stats as st
from cases import PAIR, SD, gaussian, linear, normal, stacked

import sbi_inn as si


def batched(observe):
    return si.simulator(batched=True)(observe)


def noise(rng, *shape):
    return rng.standard_normal(shape)


def latent(prior, drawn):
    """Map draws (observations, n, dim) to the latent side."""
    rows = prior.unflatten(drawn.reshape(-1, drawn.shape[2]))
    return prior.to_latent(rows).reshape(drawn.shape)


def on_axis(axis, log_density, n, rng):
    """Draw from densities on an axis (observations, cells), flat within each cell; all at once."""
    total = np.exp(log_density - log_density.max(axis=1, keepdims=True)).cumsum(axis=1)
    drawn = rng.random((len(total), n)) * total[:, -1:]
    cells = np.stack([np.searchsorted(*row) for row in zip(total, drawn, strict=True)])
    inside = (axis[1] - axis[0]) * (rng.random(cells.shape) - 0.5)
    return axis[np.minimum(cells, len(axis) - 1)] + inside


def interaction(reads, many=2):
    """Give two of many observables that tell a parameter only together."""

    @batched
    def observe(x1, rng):
        y = noise(rng, len(x1), many)
        y[:, 1] = np.sign(y[:, 0]) * x1 + 0.5 * noise(rng, len(x1))
        return {"y": y}

    def how(observations, n, rng):
        y = observations.vector
        drawn = 0.8 * np.sign(y[:, :1]) * y[:, 1:2] + np.sqrt(0.2) * noise(rng, len(y), n)
        return (drawn if reads else drawn * rng.choice([-1, 1], drawn.shape))[..., None]

    return si.Problem(observe, normal(1)), how


NOISE = np.exp(np.linspace(-1.5, 1.0, 60))


def two_givens(reads):
    """Give a gain and a noise, both known: or read the gain only, exactly."""

    @batched
    def observe(x1, gain, sd, rng):
        return {"y": gain * x1 + sd * noise(rng, len(x1))}

    def how(observations, n, rng):
        y, gain, sd = observations.vector.T[:, :, None]
        if not reads:
            p = st.norm.pdf(y, 0, np.hypot(gain, NOISE)).cumsum(axis=1)
            chosen = rng.random((len(y), n, 1)) * p[:, None, -1:] > p[:, None]
            sd = NOISE[chosen.sum(axis=2)]
        variance = 1 / (1 + (gain / sd) ** 2)
        drawn = variance * gain * y / sd**2 + np.sqrt(variance) * noise(rng, len(y), n)
        return drawn[..., None]

    given = {"gain": st.uniform(0.5, 1.5), "sd": st.loguniform(NOISE[0], NOISE[-1])}
    return si.Problem(observe, normal(1), given=given), how


def seen_noise(right):
    """Give an observable that is the log of the noise of the other: or the average width."""

    @batched
    def observe(x1, rng):
        log_sd = 0.6 * noise(rng, len(x1)) - 0.7
        return {"y": np.column_stack([x1 + np.exp(log_sd) * noise(rng, len(x1)), log_sd])}

    def how(observations, n, rng):
        y = observations.vector
        variance = 1 / (1 + np.exp(-2 * y[:, 1:]))
        width = np.sqrt(variance) if right else 0.43
        return ((1 - variance) * y[:, :1] + width * noise(rng, len(y), n))[..., None]

    return si.Problem(observe, normal(1)), how


def heavy_noise(degrees, shape="exact"):
    """Give noise of Student's t: or a Gaussian of the same mean and standard deviation."""
    axis = np.linspace(-5, 5, 1001)

    @batched
    def observe(x1, rng):
        return {"y": x1[:, None] + 0.3 * rng.standard_t(degrees, (len(x1), 2))}

    def how(observations, n, rng):
        gap = (observations.vector[:, None] - axis[:, None]) / 0.3
        log_density = st.t.logpdf(gap, degrees).sum(axis=2) - 0.5 * axis**2
        if shape == "exact":
            return on_axis(axis, log_density, n, rng)[..., None]
        p = np.exp(log_density - log_density.max(axis=1, keepdims=True))
        mean, square = (p @ axis**k / p.sum(axis=1) for k in (1, 2))
        sd = np.sqrt(square - mean**2)
        return (mean[:, None] + sd[:, None] * noise(rng, len(gap), n))[..., None]

    return si.Problem(observe, normal(1)), how


def one_count(shape="exact"):
    """Give a rate from one count: or a Gaussian of the same mean and standard deviation."""
    prior = si.Prior(rate=st.gamma(1.0, scale=2.0))

    @batched
    def observe(rate, rng):
        return {"y": rng.poisson(rate)}

    def how(observations, n, rng):
        a, size = 1 + observations.vector[:, :1], (len(observations), n)
        if shape == "exact":
            return latent(prior, rng.gamma(a, 1 / 1.5, size)[..., None])
        drawn = (a + np.sqrt(a) * noise(rng, *size)) / 1.5
        return latent(prior, np.maximum(drawn, 1e-6)[..., None])

    return si.Problem(observe, prior), how


def log_uniform(right):
    """Give a size with a log-uniform prior: or the posterior under a uniform one."""
    prior = si.Prior(size=st.loguniform(0.1, 10))
    axis = np.linspace(np.log(0.1), np.log(10), 1001)[1:-1]

    @batched
    def observe(size, rng):
        return {"y": size * np.exp(0.5 * noise(rng, len(size)))}

    def how(observations, n, rng):
        log_density = -2 * (np.log(observations.vector) - axis) ** 2 + (0 if right else axis)
        return latent(prior, np.exp(on_axis(axis, log_density, n, rng))[..., None])

    return si.Problem(observe, prior), how


def turned_correlation():
    """Turn the sign of a posterior correlation of .6 where the first observable is positive."""
    covariance = 0.2 * np.array([[1, 0.6], [0.6, 1]])
    slope = np.eye(2) - covariance
    root, right = (np.linalg.cholesky(c) for c in (slope - slope @ slope, covariance))
    turned = np.linalg.cholesky(covariance * [[1, -1], [-1, 1]])

    @batched
    def observe(rng, **parameters):
        theta = stacked(parameters)
        return {"y": theta @ slope + noise(rng, *theta.shape) @ root.T}

    def how(observations, n, rng):
        y, scores = observations.vector[:, None], noise(rng, len(observations), n, 2)
        return y + np.where(y[..., :1] > 0, scores @ turned.T, scores @ right.T)

    return si.Problem(observe, normal(2)), how


def rarely_on(share, reads):
    """Give a good second observable in a share of the cases, which is 0 in the others."""

    @batched
    def observe(x1, rng):
        on = rng.random(len(x1)) < share
        second = np.where(on, x1 + 0.3 * noise(rng, len(x1)), 0.0)
        return {"y": np.column_stack([x1 + noise(rng, len(x1)), second])}

    def how(observations, n, rng):
        first, second = observations.vector.T[:, :, None]
        weight = (second != 0) * reads / 0.09
        variance = 1 / (2 + weight)
        drawn = variance * (first + weight * second)
        return (drawn + np.sqrt(variance) * noise(rng, len(first), n))[..., None]

    return si.Problem(observe, normal(1)), how


def corner(y):
    """Find 3 % of the observations: both high."""
    edge = SD * st.norm.isf(np.sqrt(0.03))
    return (y[:, 0] > edge) & (y[:, 1] > edge)


def far_out(y):
    """Find the 3 % of the observations that are furthest from the middle."""
    return ((y / SD) ** 2).sum(axis=1) > st.chi2.isf(0.03, y.shape[1])


def region(where, dim=2, **wrong):
    problem, moments = PAIR if dim == 2 else linear(np.eye(dim), 0.35)
    return problem, gaussian(moments, where=where, **wrong)


def decades(reads):
    """Give two sizes over eight decades: or only the first."""
    prior = si.Prior(q=st.lognorm(4.0, scale=1.0), r=st.lognorm(4.0, scale=1e3))

    @batched
    def observe(q, r, rng):
        error = np.exp(1.5 * noise(rng, 2, len(q)))
        return {"a": q * error[0], "b": r * error[1]}

    def how(observations, n, rng):
        y = (np.log(observations.vector) - np.log([1, 1e3])) / 4
        variance = 1 / (1 + 16 / 2.25) * np.ones(2)
        variance[1] = variance[1] if reads else 1
        mean = (1 - variance) * y
        return mean[:, None] + np.sqrt(variance) * noise(rng, len(y), n, 2)

    return si.Problem(observe, prior), how


def gaps(reads):
    """Give two bands, of which the good one is missing in half of the cases: or never read."""

    def observed(y, rng):
        y = y + np.array([1.0, 0.4]) * noise(rng, *y.shape)
        y[..., 1] = np.where(rng.random(y.shape[:-1]) < 0.5, np.nan, y[..., 1])
        return {"y": y}

    @batched
    def observe(x1):
        return {"y": np.column_stack([x1, x1])}

    def how(observations, n, rng):
        first, second = observations.vector.T[:, :, None]
        weight = ~np.isnan(second) * reads / 0.16
        variance = 1 / (2 + weight)
        drawn = variance * (first + weight * np.nan_to_num(second))
        return (drawn + np.sqrt(variance) * noise(rng, len(first), n))[..., None]

    return si.Problem(observe, normal(1), noise=observed), how


def whole_number(sharper=1.0):
    """Give a whole number with two noisy counts: or as if noise and prior were sharper."""
    values, prior = np.arange(41), si.Prior(k=st.binom(40, 0.5))

    @batched
    def observe(k, rng):
        return {"y": k[:, None] + 3 * noise(rng, len(k), 2)}

    def how(observations, n, rng):
        gap = (observations.vector[:, :, None] - values) / 3
        log_p = st.binom(40, 0.5).logpmf(values) - 0.5 * (gap**2).sum(axis=1)
        total = np.exp(sharper**2 * (log_p - log_p.max(axis=1, keepdims=True))).cumsum(axis=1)
        drawn = rng.random((len(total), n)) * total[:, -1:]
        k = np.stack([np.searchsorted(*row) for row in zip(total, drawn, strict=True)])
        return latent(prior, k[..., None].astype(float))

    return si.Problem(observe, prior), how


def kind_and_size(together):
    """Give a yes or no and a number, observed in one: or each by itself."""
    prior = si.Prior(kind=st.randint(0, 2), size=st.norm(0, 1))

    @batched
    def observe(kind, size, rng):
        return {"y": size + 1.5 * kind + 0.5 * noise(rng, len(size))}

    def how(observations, n, rng):
        y = observations.vector[:, :1]
        p = 1 / (1 + np.exp(0.5 * ((y - 1.5) ** 2 - y**2) / 1.25))
        kind = rng.random((len(y), n)) < p
        size = 0.8 * (y - 1.5 * kind) + np.sqrt(0.2) * noise(rng, *kind.shape)
        if not together:
            kind = rng.random(kind.shape) < p
        return latent(prior, np.stack([kind.astype(float), size], axis=2))

    return si.Problem(observe, prior), how


def alike_in_size(exact):
    """Infer two of three parameters that go together in size, not in sign: or each by itself."""
    axis = np.linspace(-4.5, 4.5, 91)
    a, b = (x.ravel() for x in np.meshgrid(axis, axis, indexing="ij"))

    @batched
    def observe(x1, x2, x3, rng):
        sizes = np.abs(x1) - np.abs(x2) + 0.4 * x3
        return {"y": np.column_stack([sizes, x1 + 2 * noise(rng, len(x1))])}

    def how(observations, n, rng):
        drawn = np.empty((len(observations), n, 2))
        for i, (sizes, first) in enumerate(observations.vector):
            gaps = (sizes - np.abs(a) + np.abs(b)) / 0.4, (first - a) / 2
            total = np.exp(-0.5 * (a**2 + b**2 + gaps[0] ** 2 + gaps[1] ** 2)).cumsum()
            one, other = np.searchsorted(total, rng.random((2, n)) * total[-1])
            drawn[i] = np.column_stack([a[one], b[one if exact else other]])
        return drawn + (axis[1] - axis[0]) * (rng.random(drawn.shape) - 0.5)

    how.infer = ["x1", "x2"]
    return si.Problem(observe, normal(3)), how


def heavy_prior():
    """A prior and noise with Cauchy tails: of a far y the posterior has two modes, 0 and y.

    Drawn by rejection from both Cauchy laws, half each. A grid would be too coarse for a y of
    thousands.
    """
    prior = si.Prior(q=st.cauchy(0, 1))

    @batched
    def observe(q, rng):
        return {"y": q + rng.standard_cauchy(len(q))}

    def how(observations, n, rng):
        y = np.repeat(observations.vector[:, :1], n, axis=1)
        q, left = np.empty_like(y), np.ones_like(y, bool)
        while left.any():
            there = y[left]
            tried = rng.standard_cauchy(len(there)) + there * rng.integers(0, 2, len(there))
            # The product of two Cauchy densities over their sum is 1 / (2 + q^2 + (q - y)^2).
            taken = rng.random(len(there)) * (2 + tried**2 + (tried - there) ** 2)
            found = taken < 2 + there**2 / 2
            places = np.argwhere(left)[found]
            q[tuple(places.T)], left[tuple(places.T)] = tried[found], False
        return latent(prior, q[..., None])

    return si.Problem(observe, prior), how
