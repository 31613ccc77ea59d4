"""A linear study of four parameters and two observables, and its posterior."""

import numpy as np
import scipy.stats as st
from studies import columns

import sbi_inn as si

MIX = np.array([[1.0, 0.5, -1.0, 0.2], [0.3, -0.4, 0.5, 0.25]])
MEAN = np.array([0.0, 3.0, -1.0, 10.0])
SD = np.array([1.0, 2.0, 0.5, 3.0])

WHITE = MIX * SD  # what the mixing does to parameters in units of their prior
SIGNAL = np.sqrt((WHITE**2).sum(axis=1))  # sd of each observable
# The usual observation, and one in the tails.
OBSERVATIONS = [MIX @ MEAN, MIX @ MEAN + 1.5 * SIGNAL * [1.0, -0.5]]


def linear(noise=0.0):
    """Mix four parameters into two observables; the sd of the noise is in units of the signal."""

    @si.simulator(batched=True)
    def mixed(a, b, c, d, rng):
        y = np.column_stack([a, b, c, d]) @ MIX.T
        return {"y": y + noise * SIGNAL * rng.normal(size=y.shape)}

    prior = {name: st.norm(m, s) for name, m, s in zip("abcd", MEAN, SD, strict=True)}
    return si.Problem(mixed, si.Prior(**prior))


def whitened(draws):
    """Give draws in units of their prior, shape (draws, 4)."""
    return (columns(draws) - MEAN) / SD


def exact_linear(y, sd=(0.0, 0.0)):
    """Give mean and covariance of the whitened posterior, for noise of the given sd on y."""
    gain = WHITE.T @ np.linalg.inv(WHITE @ WHITE.T + np.diag(np.square(sd)))
    return gain @ (y - MIX @ MEAN), np.eye(4) - gain @ WHITE
