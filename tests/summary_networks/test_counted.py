"""Counts among observables are found again after logarithms were taken."""

import numpy as np
import pytest
import torch

from sbi_inn.likelihoods.counts import counted
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks.counted import Counted
from sbi_inn.summary_networks.exact import Exact


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(1)
    return rng.poisson(np.exp(rng.normal(2, 1, (300, 1)) + np.linspace(-1, 1, 6))).astype(float)


def table(counts):
    """As they are, by logarithms with and without zeros, and what is no count."""
    rng = np.random.default_rng(2)
    other = np.stack([rng.normal(size=300), counts[:, 0] / 7, (counts[:, 0] > 5) * 1.0], axis=1)
    columns = [counts[:, :2], np.log(counts[:, 2:4] + 1), np.log(counts[:, 4:] + 3), other]
    return np.hstack(columns)


def test_counts_come_back_from_logarithms(counts):
    seen = table(counts)
    seen[:, 4:6] = np.log(counts[:, 4:] + 3)
    found = Counted.fit(seen)
    # log(n + 3) is taken for the logarithm of another count, n + 3: it is one.
    assert found.columns.tolist() == [0, 1, 2, 3, 4, 5]
    assert np.allclose(found(seen)[:, :4], np.log1p(counts[:, :4]))
    assert np.allclose(found(seen)[:, 4:], np.log1p(counts[:, 4:] + 3))


def test_what_is_mostly_no_counts_has_none(counts):
    rng = np.random.default_rng(3)
    assert not Counted.fit(np.hstack([counts[:, :2], rng.normal(size=(300, 2))]))
    assert not Counted.fit(counts + 0.5)
    assert not Counted.fit(-counts - 1)
    assert not Counted.fit(np.exp(rng.normal(40, 1, (300, 3))))
    gaps = counts.copy()
    gaps[0] = np.nan
    assert not Counted.fit(gaps)


def test_rare_events_are_counts_and_what_never_varies_is_nothing(counts):
    """As of an epidemic that is over: its last polls find nobody, or one or two."""
    rng = np.random.default_rng(4)
    rare, never = rng.binomial(2, 0.1, (300, 1)), np.zeros((300, 3))
    once = (rng.random((300, 1)) < 0.01) * 1.0  # yes or no
    seen = np.hstack([never[:, :1], counts[:, :2], rare, once, never])
    assert Counted.fit(seen).columns.tolist() == [1, 2, 3]
    told = torch.from_numpy(np.log1p(seen))
    assert counted(told).tolist() == [False, True, True, True, False, False, False, False]


def test_a_likelihood_can_read_them(counts):
    """Large ones, too, although features have single precision."""
    seen = Observations(np.hstack([counts[:, :3], 1e4 * counts[:, 3:]]), {})
    exact = Exact.fit(seen, np.arange(6), likelihood=True)
    features, columns = exact(seen), exact.ways()["counts"]
    assert features.shape[1] == exact.width
    told = features[:, list(columns)]
    assert np.allclose(np.expm1(told.astype(float)), seen.vector, rtol=1e-5, atol=1e-4)
    assert counted(torch.from_numpy(told.astype(float))).all()


def test_files_keep_them(counts):
    seen = Observations(table(counts), {})
    exact = Exact.fit(seen, np.arange(9), likelihood=True)
    again = Exact.from_arrays(exact.to_arrays())
    assert np.array_equal(again(seen), exact(seen))
    assert again.ways() == exact.ways()
    plain = Exact.fit(seen, np.arange(9))
    assert "counts" not in Exact.from_arrays(plain.to_arrays()).ways()
