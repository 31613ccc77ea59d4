"""Small tasks whose posteriors are known: series, sets and images.

Every parameter is uniform on a unit interval `u`, unless it is said. `gain` is the log of posterior
over prior density at the truth, in nats: its mean over simulations is what a network can reach.
"""

import numpy as np
import torch
from sbi_inn.simulators.normal_sample import RATE, SHAPE, WEIGHT
from scipy.special import gammaln, logsumexp, ndtri

import sbi_inn as si
from sbi_inn.summary_networks import Batch, SetBatch

SHORTEST, LONGEST = 20, 200
GRID = 120  # points along each parameter
EDGES = (np.arange(GRID) + 0.5) / GRID
SIDE = 32  # pixels


class Gridded:
    """A task of two parameters in the unit square, with a posterior on a grid."""

    series, images = (), {}

    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.u = rng.random((n, 2))
        self.latent = torch.from_numpy(ndtri(self.u).astype(np.float32))
        self.draw(rng)

    def gain(self, rows):
        grid = np.stack(np.meshgrid(EDGES, EDGES, indexing="ij"), axis=-1).reshape(-1, 2)
        found = []
        for row in rows:
            evidence = logsumexp(self.log_likelihood(grid, row)) - np.log(len(grid))
            found.append(self.log_likelihood(self.u[[row]], row)[0] - evidence)
        return np.array(found)


class Series(Gridded):
    """Series of 20 to 200 entries."""

    series, sets = ("t",), {"t": 1}

    def draw(self, rng):
        self.sizes = rng.integers(SHORTEST, LONGEST + 1, len(self.u))
        self.x = self.simulate(rng)
        self.batch = packed("t", self.x[:, :, None], self.sizes)

    def seen(self, row):
        return self.x[row, : self.sizes[row]]


class Autoregression(Series):
    """A stationary AR(1) process: its coefficient and the sd of its innovations."""

    @staticmethod
    def parameters(u):
        return 1.9 * u[:, 0] - 0.95, np.exp(2 * u[:, 1] - 1)

    def simulate(self, rng):
        phi, sd = self.parameters(self.u)
        x = rng.normal(size=(len(phi), LONGEST)) * sd[:, None]
        x[:, 0] /= np.sqrt(1 - phi**2)
        for t in range(1, LONGEST):
            x[:, t] += phi * x[:, t - 1]
        return x

    def log_likelihood(self, u, row):
        (phi, sd), x = self.parameters(u), self.seen(row)
        products = (x[1:] ** 2).sum(), (x[1:] * x[:-1]).sum(), (x[:-1] ** 2).sum()
        squares = products[0] - 2 * phi * products[1] + phi**2 * products[2]
        squares += x[0] ** 2 * (1 - phi**2)
        return -len(x) * np.log(sd) + np.log(1 - phi**2) / 2 - squares / sd**2 / 2


class Change(Series):
    """White noise whose mean jumps once: when, as a share of the length, and by how much."""

    @staticmethod
    def mean(u, sizes):
        share, jump = 0.1 + 0.8 * u[:, 0], 6 * u[:, 1] - 3
        return jump[:, None] * (np.arange(LONGEST) >= (share * sizes)[:, None])

    def simulate(self, rng):
        return self.mean(self.u, self.sizes) + rng.normal(size=(len(self.u), LONGEST))

    def log_likelihood(self, u, row):
        x = self.seen(row)
        (share, jump), n = (0.1 + 0.8 * u[:, 0], 6 * u[:, 1] - 3), len(x)
        first = np.ceil(share * n).astype(int)  # the first entry after the jump
        after = np.append(np.cumsum(x[::-1])[::-1], 0.0)[first]
        return jump * after - jump**2 * (n - first) / 2


class Oscillation(Series):
    """A damped oscillation in noise: its frequency and how fast it decays."""

    @staticmethod
    def factors(u):
        t = np.arange(LONGEST)
        decay, frequency = np.exp(-4.5 + 2.5 * u[:, 1:]), 0.2 + 0.8 * u[:, :1]
        return 2 * np.exp(-decay * t), np.cos(frequency * t)

    def simulate(self, rng):
        fall, wave = self.factors(self.u)
        return fall * wave + rng.normal(size=(len(self.u), LONGEST))

    def log_likelihood(self, u, row):
        x = self.seen(row)
        fall, wave = (factor[:, : len(x)] for factor in self.factors(u))
        return (fall * wave) @ x - ((fall * wave) ** 2).sum(axis=1) / 2

    def gain(self, rows):
        # On a grid the factors need one axis each, so that it can be finer.
        points = (np.arange(4 * GRID) + 0.5) / (4 * GRID)
        fall, wave = self.factors(np.column_stack([points, points]))
        found = []
        for row in rows:
            x, n = self.seen(row), self.sizes[row]
            on_grid = (wave[:, :n] * x) @ fall[:, :n].T
            on_grid -= (wave[:, :n] ** 2) @ (fall[:, :n] ** 2).T / 2
            evidence = logsumexp(on_grid) - 2 * np.log(4 * GRID)
            found.append(self.log_likelihood(self.u[[row]], row)[0] - evidence)
        return np.array(found)


class Blob(Gridded):
    """A Gaussian spot in a noisy image of 32 x 32 pixels: where it is."""

    sets, images = {}, {"sky": (1, SIDE, SIDE)}

    @staticmethod
    def profiles(u):
        centres = (np.arange(SIDE) + 0.5) / SIDE
        return np.exp(-((centres - u[:, :, None]) ** 2) / 2 / 0.08**2)

    def draw(self, rng):
        down, across = self.profiles(self.u).swapaxes(0, 1)
        self.x = 3 * down[:, :, None] * across[:, None] + rng.normal(size=(len(down), SIDE, SIDE))
        pixels = torch.from_numpy(self.x.astype(np.float32))[:, None]
        self.batch = Batch(torch.empty(len(pixels), 0), {}, {"sky": pixels})

    def log_likelihood(self, u, row):
        down, across = self.profiles(u).swapaxes(0, 1)
        overlap = np.einsum("gi,ij,gj->g", down, self.x[row], across, optimize=True)
        squares = (down**2).sum(axis=1) * (across**2).sum(axis=1)
        return 3 * overlap - 9 * squares / 2


class Problem:
    """A task that ships with the package."""

    series, images = (), {}

    def __init__(self, n, seed):
        problem = si.get(self.name)
        table = si.simulate(problem, n=n, seed=seed, n_jobs=1, progress=False)
        observations, self.values = table.observations(), table.parameters()
        self.latent = torch.from_numpy(problem.prior.to_latent(self.values).astype(np.float32))
        self.padded = observations.sets["n"]
        self.sets = {"n": self.padded.values.shape[2]}
        self.batch = packed("n", self.padded.values, self.padded.sizes)


class Sample(Problem):
    """Mean and sd of a normal sample of 1 to 500 measurements."""

    name = "normal_sample"

    def gain(self, rows):
        n = self.padded.sizes[rows]
        x, mask = self.padded.values[rows, :, 0], self.padded.mask[rows]
        mu, sigma = self.values["mu"][rows], self.values["sigma"][rows]
        mean = x.sum(axis=1) / n
        squares = np.where(mask, (x - mean[:, None]) ** 2, 0).sum(axis=1)
        shape, weight = SHAPE + n / 2, WEIGHT + n
        rate = RATE + (squares + WEIGHT * n / weight * mean**2) / 2
        evidence = gammaln(shape) - gammaln(SHAPE) + SHAPE * np.log(RATE) - shape * np.log(rate)
        evidence += np.log(WEIGHT / weight) / 2
        likelihood = -n * np.log(sigma) - (squares + n * (mean - mu) ** 2) / sigma**2 / 2
        return likelihood - evidence


class Points(Problem):
    """Four points from a Gaussian in the plane, task slcp; no exact density is at hand."""

    name = "slcp_set"

    def gain(self, rows):
        return np.full(len(rows), np.nan)


class Edges(Gridded):
    """Between which two edges do 3 to 100 uniform numbers lie? The extremes say it all."""

    sets = {"n": 1}

    def draw(self, rng):
        self.sizes = rng.integers(3, 101, len(self.u))
        low, high = self.u[:, :1] - 1, self.u[:, 1:] + 0.1
        self.x = low + (high - low) * rng.random((len(low), 100))
        self.batch = packed("n", self.x[:, :, None], self.sizes)

    def gain(self, rows):
        found = []
        for row in rows:
            x, n = self.x[row, : self.sizes[row]], self.sizes[row]
            low, high = self.u[row, 0] - 1, self.u[row, 1] + 0.1
            # The integral of (high - low)^-n over what the numbers leave of the prior's square.
            corners = (max(x.max(), 0.1), min(x.min(), 0.0)), (1.1, -1.0)
            ends = [(corners[i][0] - corners[j][1]) ** (2.0 - n) for i in (0, 1) for j in (0, 1)]
            evidence = np.log((ends[0] - ends[1] - ends[2] + ends[3]) / ((n - 1) * (n - 2)))
            found.append(-n * np.log(high - low) - evidence)
        return np.array(found)


def packed(name, values, sizes):
    """Make a batch of one set or series (batch, longest, columns)."""
    mask = np.arange(values.shape[1]) < np.asarray(sizes)[:, None]
    entries = torch.from_numpy(values[mask].astype(np.float32))
    batch = SetBatch(entries, torch.from_numpy(np.asarray(sizes)))
    return Batch(torch.empty(len(values), 0), {name: batch})
