"""Entries of sets as numbers, and where they are read."""

import numpy as np
import pytest
import scipy.special as sp
import scipy.stats as st

import sbi_inn as si
from sbi_inn.likelihoods import entry_law_learning
from sbi_inn.likelihoods.entry_columns import ABSENT, BINARY, FREE
from sbi_inn.likelihoods.entry_law import EntryLaw
from sbi_inn.likelihoods.networks import Size
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks.entries import FEW, MOST, Column, Entries


def batch(n=30, largest=400, columns=1, seed=1):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, largest + 1, n)
    values = rng.normal(size=(n, largest, columns)) + rng.normal(size=(n, 1, columns))
    values[np.arange(largest) >= sizes[:, None]] = 0.0
    return Observations(np.empty((n, 0)), {"n": PaddedSet(values, sizes)})


def test_small_sets_are_read_whole_and_large_ones_at_even_places():
    seen = batch()
    found = Entries.fit(seen)
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
    found, padded = Entries.fit(seen), seen.sets["n"]
    turned = padded.values.copy()
    for values, size in zip(turned, padded.sizes, strict=True):
        values[:size] = values[:size][::-1]
    other = Observations(seen.vector, {"n": PaddedSet(turned, padded.sizes)})
    np.testing.assert_array_equal(found(seen), found(other))


def test_a_missing_entry_is_not_there():
    seen = batch(n=1, largest=9)
    found, padded = Entries.fit(batch()), seen.sets["n"]
    values = padded.values.copy()
    values[0, 0] = np.nan
    less = Observations(seen.vector, {"n": PaddedSet(values, padded.sizes)})
    assert found(less)[0, 0] == padded.sizes[0] - 1
    assert np.isfinite(found(less)).all()


def test_it_is_read_back_from_arrays():
    seen = batch()
    found = Entries.fit(seen)
    np.testing.assert_array_equal(Entries.from_arrays(found.to_arrays())(seen), found(seen))


def test_nothing_is_read_of_other_data():
    plain = batch().sets["n"]
    uneven = PaddedSet(np.sqrt(np.abs(9 * plain.values).round()), plain.sizes)
    for others in (
        Observations(np.ones((30, 2)), {"n": plain}),
        Observations(np.empty((30, 0)), {"n": plain, "m": plain}),
        Observations(np.empty((30, 0)), {"n": uneven}),
        Observations(np.ones((30, 2)), {}),
        batch(largest=1),
    ):
        assert Entries.fit(others) is None


def several(seed=1):
    """Sets of five: a choice of three, a duration that ends at 5, and one that may be missing."""
    rng = np.random.default_rng(seed)
    choice = rng.integers(0, 3, (200, 5)).astype(float)
    duration = np.minimum(rng.exponential(5.0, (200, 5)), 5.0)
    mass = np.where(rng.random((200, 5)) < 0.1, np.nan, rng.normal(size=(200, 5)))
    sizes = rng.integers(3, 6, 200)
    values = np.stack([choice, duration, mass], axis=2)
    values[np.arange(5) >= sizes[:, None]] = 0.0
    return Observations(np.empty((200, 0)), {"n": PaddedSet(values, sizes)})


def test_choices_ends_and_gaps_are_columns_of_their_own():
    seen = several()
    found, padded = Entries.fit(seen), seen.sets["n"]
    assert found.n_columns == 6
    read = found(seen)[:, 1:].reshape(200, 5, 6)[padded.mask]
    choice, duration, mass = padded.values[padded.mask].T
    first, second, ended, lasted, missing, weighed = read.T
    np.testing.assert_array_equal(first, np.where(choice == 0, 1, -1))
    later = np.where(choice == 1, 1, -1)
    np.testing.assert_array_equal(second, np.where(choice == 0, np.float32(ABSENT), later))
    np.testing.assert_array_equal(ended, np.where(duration == 5, 1, -1))
    assert (lasted[duration == 5] == ABSENT).all()
    assert np.corrcoef(lasted[duration < 5], duration[duration < 5])[0, 1] > 0.8
    np.testing.assert_array_equal(missing, np.where(np.isnan(mass), 1, -1))
    assert (weighed[np.isnan(mass)] == ABSENT).all()
    assert not found(seen)[:, 1:].reshape(200, 5, 6)[~padded.mask].any()
    again = Entries.from_arrays(found.to_arrays())
    np.testing.assert_array_equal(again(seen), found(seen))


def test_an_entry_of_several_columns_is_left_out_where_what_never_was_missing_is():
    seen = several()
    found, padded = Entries.fit(seen), seen.sets["n"]
    values = padded.values.copy()
    values[0, 1, 1] = np.nan
    less = found(Observations(seen.vector, {"n": PaddedSet(values, padded.sizes)}))
    whole = found(seen)
    assert less[0, 0] == padded.sizes[0] - 1
    np.testing.assert_array_equal(less[0, 1:7], whole[0, 1:7])
    np.testing.assert_array_equal(less[0, 7:13], whole[0, 13:19])
    np.testing.assert_array_equal(less[1:], whole[1:])


THERE = np.ones((200, 20), dtype=bool)


def test_few_values_are_discrete():
    few = Column.of(np.random.default_rng(1).integers(0, FEW, (200, 20)).astype(float), THERE)
    np.testing.assert_array_equal(few.levels, np.arange(FEW - 1.0))
    assert few.discrete
    assert few.width == FEW - 1


def test_small_counts_have_columns_of_their_own_and_others_are_spread():
    rng = np.random.default_rng(1)
    values = rng.poisson(rng.gamma(2.0, 2.0, (200, 1)), (200, 20)).astype(float)
    found = Column.of(values, THERE)
    np.testing.assert_array_equal(found.levels, np.arange(6.0))
    assert found.step == 1.0
    *first, others = found(values, np.array([0.0, 1.0]))
    np.testing.assert_array_equal(first[0], np.where(values == 0, 1, -1))
    assert (others[values < 6] == ABSENT).all()
    spread = others[values > 5]
    assert len(np.unique(spread)) == len(np.unique(spread.round(6))) > 20
    plain = Column(found.levels, discrete=False, gaps=False, step=1.0)
    *_, others = plain(values, np.array([0.0, 1e6]))
    np.testing.assert_allclose(1e6 * others[values > 5], values[values > 5], atol=0.51)


def test_values_between_which_nothing_is_even_are_not_read():
    rng = np.random.default_rng(1)
    values = np.sqrt(rng.poisson(rng.gamma(9.0, 9.0, (200, 1)), (200, 20)).astype(float))
    assert Column.of(values, THERE) is None


def test_times_that_all_sets_share_are_read_as_they_are():
    times = np.broadcast_to(np.geomspace(1, 50, 20), (200, 20))
    found = Column.of(times, THERE)
    assert found.step == 0.0
    assert found.width == 1


def test_what_a_parameter_multiplies_is_read_as_its_logarithm():
    rng, there = np.random.default_rng(1), np.ones((200, 20), dtype=bool)
    noise, factor = rng.exponential(size=(200, 20)), rng.lognormal(size=(200, 1))
    assert Column.of(factor * noise, there).logged
    assert not Column.of(factor + 0.1 * noise, there).logged
    assert not Column.of(factor * (noise - 1), there).logged


@si.simulator(batched=True, sets={"n": ["x"]})
def two_laws(share, apart, rng):
    """Draws of one of two normal laws, as wide as each other."""
    second = rng.random((len(share), 80)) < share[:, None]
    return {"x": rng.normal(size=second.shape) + second * apart[:, None]}


@pytest.fixture(scope="module")
def fitted():
    """A posterior whose start is by entries; its networks are smaller than usual, to save time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry_law_learning, "SINGLE", Size(64, 4_000, 5e-3))
        yield fit()


def fit():
    prior = si.Prior(share=st.uniform(0.2, 0.6), apart=st.uniform(3, 9))
    problem = si.Problem(two_laws, prior, given={"n": 80})
    return si.fit_posterior(
        problem,
        n_simulations=800,
        seed=1,
        ensemble=1,
        method=si.CINN(start="exact"),
        training=si.Training(epochs=5),
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


PATIENTS = 60


@si.simulator(batched=True, sets={"n": ["survived", "dose", "sex"]})
def doses(middle, by_dose, rng):
    """Whether patients survive a dose; their sex, which does not matter, comes after."""
    shape = (len(middle), PATIENTS)
    dose, sex = rng.uniform(-2, 2, shape), rng.binomial(1, 0.5, shape) * 1.0
    odds = middle[:, None] + by_dose[:, None] * dose
    return {"survived": (rng.random(shape) < sp.expit(odds)) * 1.0, "dose": dose, "sex": sex}


def test_a_logistic_regression_is_the_exact_one():
    """Against sums over a grid of both parameters."""
    prior = si.Prior(middle=st.norm(0, 4), by_dose=st.norm(0, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry_law_learning, "SEVERAL", Size(32, 2_000, 5e-3))
        posterior = si.fit_posterior(
            si.Problem(doses, prior, given={"n": PATIENTS}),
            n_simulations=500,
            seed=1,
            ensemble=1,
            method=si.CINN(start="exact"),
            training=si.Training(epochs=5),
            progress=False,
        )
    likelihood = posterior.core.fitted.network.start.likelihood
    assert isinstance(likelihood, EntryLaw)
    np.testing.assert_array_equal(likelihood.kinds, [BINARY, FREE, FREE])
    rng, off, wide = np.random.default_rng(5), [], []
    axis = np.linspace(-8, 8, 321)
    middle, by_dose = np.meshgrid(axis, axis, indexing="ij")
    for truth in ((0.5, 1.0), (-1.0, 0.5), (0.0, -2.0), (1.0, 0.0)):
        y = doses(*(np.array([value]) for value in truth), rng=rng)
        y = {name: values[0] for name, values in y.items()}
        log = -0.5 * (middle**2 + by_dose**2) / 16
        for dose, survived in zip(y["dose"], y["survived"], strict=True):
            log = log + sp.log_expit((2 * survived - 1) * (middle + by_dose * dose))
        weights = np.exp(log - log.max())
        weights /= weights.sum()
        draws = posterior.sample({**y, "n": PATIENTS}, 2_000, seed=1)
        for name, values in (("middle", middle), ("by_dose", by_dose)):
            mean = (weights * values).sum()
            sd = np.sqrt((weights * (values - mean) ** 2).sum())
            off.append((draws[name].values.mean() - mean) / sd)
            wide.append(draws[name].values.std() / sd)
    assert np.abs(off).mean() < 0.25
    assert 0.85 < np.median(wide) < 1.2
