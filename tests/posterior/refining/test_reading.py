"""What draws are judged by: entries of curves, or what describes them."""

import numpy as np
import pytest

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.posterior.refining.reading import Reading
from sbi_inn.summary_networks.described import described_curves

N, LENGTH = 300, 40
SCHEMA = Schema({"a": (2,), "x": (LENGTH,)}, {}, (), {}, {})
CURVES = {"x": np.arange(2, 2 + LENGTH)[:, None]}


def simulated(level, noise, seed):
    """Put two numbers before a wave of some height, with noise of its own."""
    rng = np.random.default_rng(seed)
    wave = level[:, None] * np.sin(np.arange(LENGTH) / 5)
    x = wave + noise * rng.normal(size=(N, LENGTH))
    return Observations(np.hstack([level[:, None], level[:, None], x]), {}, schema=SCHEMA)


@pytest.mark.parametrize("noise", [0.1, 5.0])
def test_entries_are_left_out_where_they_are_mostly_noise(noise):
    level = np.random.default_rng(1).normal(size=N)
    both, reading = [simulated(level, noise, seed) for seed in (2, 3)], Reading(SCHEMA, CURVES)
    first, second = map(reading, both)
    laws = described_curves(both[0].vector, CURVES.values())
    assert first.shape == (N, 2 + LENGTH + laws.shape[1])
    chosen = reading.judged_by(first, second)(both[0])
    entries = both[0].vector[:, 2:] if noise < 1 else laws
    assert np.array_equal(chosen, np.hstack([both[0].vector[:, :2], entries]))


def test_without_curves_all_is_read():
    level = np.random.default_rng(1).normal(size=N)
    seen, reading = simulated(level, 1.0, 2), Reading(SCHEMA)
    assert np.array_equal(reading(seen), seen.vector)
    assert reading.judged_by(seen.vector, seen.vector) is reading
