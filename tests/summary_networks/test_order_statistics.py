"""Entries of sets in their order, and where they are read."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.flows import laplace_start
from sbi_inn.flows.entry_law import EntryLaw
from sbi_inn.flows.likelihood_networks import Size
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks.order_statistics import MOST, OrderStatistics


def batch(n=30, largest=400, columns=1, seed=1):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest + 1, n)
    values = rng.normal(size=(n, largest, columns)) + rng.normal(size=(n, 1, columns))
    values[np.arange(largest) >= sizes[:, None]] = 0.0
    return Observations(np.empty((n, 0)), {"n": PaddedSet(values, sizes)})


def test_small_sets_are_read_whole_and_large_ones_at_even_places():
    seen = batch()
    found = OrderStatistics.fit(seen)
    read, padded = found(seen), seen.sets["n"]
    assert read.shape == (30, 1 + MOST) == (30, found.width)
    for row, values, size in zip(read, padded.values, padded.sizes, strict=True):
        assert row[0] == size
        known = np.sort(values[:size, 0])
        at = (
            np.arange(size) if size <= MOST else ((np.arange(MOST) + 0.5) * size / MOST).astype(int)
        )
        scaled = (known[at] - found.scale[0]) / found.scale[1]
        np.testing.assert_allclose(row[1 : 1 + len(at)], scaled, rtol=1e-5, atol=1e-5)
        assert not row[1 + len(at) :].any()


def test_the_order_of_entries_does_not_matter():
    seen = batch(largest=50)
    found, padded = OrderStatistics.fit(seen), seen.sets["n"]
    turned = padded.values.copy()
    for values, size in zip(turned, padded.sizes, strict=True):
        values[:size] = values[:size][::-1]
    other = Observations(seen.vector, {"n": PaddedSet(turned, padded.sizes)})
    np.testing.assert_array_equal(found(seen), found(other))


def test_a_missing_entry_is_not_there():
    seen = batch(n=1, largest=9)
    found, padded = OrderStatistics.fit(batch()), seen.sets["n"]
    values = padded.values.copy()
    values[0, 0] = np.nan
    less = Observations(seen.vector, {"n": PaddedSet(values, padded.sizes)})
    assert found(less)[0, 0] == padded.sizes[0] - 1
    assert np.isfinite(found(less)).all()


def test_it_is_read_back_from_arrays():
    seen = batch()
    found = OrderStatistics.fit(seen)
    np.testing.assert_array_equal(OrderStatistics.from_arrays(found.to_arrays())(seen), found(seen))


def test_nothing_is_read_of_other_data():
    plain = batch().sets["n"]
    whole = PaddedSet(plain.values.round(), plain.sizes)
    missing = plain.values.copy()
    missing[0, 0] = np.nan
    for others in (
        Observations(np.ones((30, 2)), {"n": plain}),
        Observations(np.empty((30, 0)), {"n": plain, "m": plain}),
        Observations(np.empty((30, 0)), {"n": whole}),
        Observations(np.empty((30, 0)), {"n": PaddedSet(missing, plain.sizes)}),
        Observations(np.ones((30, 2)), {}),
        batch(largest=1),
        batch(columns=2),
    ):
        assert OrderStatistics.fit(others) is None


@si.simulator(batched=True, sets={"n": ["x"]})
def two_laws(share, apart, rng):
    """Draws of one of two normal laws, as wide as each other."""
    second = rng.random((len(share), 80)) < share[:, None]
    return {"x": rng.normal(size=second.shape) + second * apart[:, None]}


@pytest.fixture(scope="module")
def fitted():
    """A posterior whose start is by entries; its networks are smaller than usual, to save time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laplace_start, "ENTRIES", Size(64, 4_000, 5e-3))
        yield fit()


def fit():
    prior = si.Prior(share=st.uniform(0.2, 0.6), apart=st.uniform(3, 9))
    problem = si.Problem(two_laws, prior, given={"n": 80})
    return si.fit_posterior(
        problem,
        n_simulations=4_000,
        seed=1,
        ensemble=1,
        method=si.CINN(start="exact"),
        training=si.Training(epochs=20),
        progress=False,
    )


def test_a_likelihood_reads_the_entries_of_a_set(fitted, tmp_path):
    start = fitted.core.fitted.network.start
    assert isinstance(start.likelihood, EntryLaw)
    assert start.inverts
    fitted.save(tmp_path / "fitted.npz")
    again = si.load_posterior(tmp_path / "fitted.npz")
    rng = np.random.default_rng(3)
    y = two_laws(share=np.array([0.4]), apart=np.array([7.0]), rng=rng)
    y = {"x": y["x"][0], "n": 80}
    one, other = (p.sample(y, 50, seed=1)["apart"].values for p in (fitted, again))
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_the_posterior_is_the_exact_one(fitted):
    """Where both laws are far apart, those are nearly known: n_2 of 80 are of the second."""
    rng, off, wide = np.random.default_rng(5), [], []
    for share, apart in ((0.3, 9.0), (0.5, 10.0), (0.7, 8.0), (0.4, 11.0)):
        x = two_laws(share=np.array([share]), apart=np.array([apart]), rng=rng)["x"][0]
        second = x > apart / 2
        k = second.sum()
        # Beta(1 + k, 81 - k), cut at .2 and .8, for the share; N(mean, 1 / k) for the distance.
        beta, grid = st.beta(1 + k, 81 - k), np.linspace(0.2, 0.8, 2_001)
        weights = beta.pdf(grid) / beta.pdf(grid).sum()
        mean = (weights * grid).sum()
        sd = np.sqrt((weights * (grid - mean) ** 2).sum())
        draws = fitted.sample({"x": x, "n": 80}, 2_000, seed=1)
        for name, (right, width) in {
            "share": (mean, sd),
            "apart": (x[second].mean(), 1 / np.sqrt(k)),
        }.items():
            values = draws[name].values
            off.append((values.mean() - right) / width)
            wide.append(values.std() / width)
    assert np.abs(off).mean() < 0.35
    assert 0.8 < np.median(wide) < 1.35
