"""Normal scores of observables: which columns get them, and what they are."""

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks import Scaling
from sbi_inn.summary_networks.scores import Scores

N = 20_000


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_columns_over_decades_become_normal(rng):
    columns = rng.lognormal(3, 2, N), rng.pareto(1.0, N), -(rng.exponential(size=N) ** 3)
    scores = Scores.fit(np.column_stack(columns))
    assert scores.columns.tolist() == [0, 1, 2]
    fresh = rng.lognormal(3, 2, N), rng.pareto(1.0, N), -(rng.exponential(size=N) ** 3)
    for found in scores(np.column_stack(fresh)).T:
        assert st.kstest(found, "norm").statistic < 0.02  # 1.95 / sqrt(N) is .014 alone


def test_columns_that_are_nearly_normal_get_none(rng):
    columns = rng.normal(size=N), rng.uniform(size=N), rng.integers(2, size=N), np.zeros(N)
    assert not len(Scores.fit(np.column_stack(columns)).columns)


def test_ties_share_one_score_and_order_is_kept(rng):
    counts = rng.poisson(rng.lognormal(0, 2, N)).astype(float)
    scores = Scores.fit(counts[:, None])
    values = np.unique(counts)
    found = scores(values[:, None])[:, 0]
    assert (np.diff(found) >= 0).all()
    share = (counts == 0).mean()
    assert found[0] == pytest.approx(st.norm.ppf(share / 2), abs=0.15)  # the middle of the zeros


def test_beyond_what_was_seen_scores_stay_finite(rng):
    scores = Scores.fit(rng.lognormal(0, 3, (N, 1)))
    low, high = scores(np.array([[0.0], [1e300]]))[:, 0]
    assert low == pytest.approx(-high)
    assert high == pytest.approx(st.norm.isf(0.5 / N))


def test_features_are_scaled_values_and_scores_and_survive_a_file(rng):
    observations = Observations(np.column_stack([rng.normal(size=N), rng.lognormal(0, 3, N)]), {})
    scaling = Scaling.fit(observations)
    features = scaling.features(observations)
    assert features.shape == (N, 3)
    assert np.array_equal(features[:, :2], scaling.vectors(observations))
    loaded = Scaling.from_arrays(scaling.to_arrays())
    assert np.array_equal(loaded.features(observations), features)


def counted(rng, n=500):
    """Sets of counts over decades, beside a column that is nearly normal."""
    sizes = rng.integers(1, 60, n)
    mask = np.arange(60) < sizes[:, None]
    columns = rng.poisson(rng.lognormal(1, 2, (n, 60))), rng.normal(size=(n, 60))
    values = np.where(mask[:, :, None], np.stack(columns, axis=2), 0.0)
    return Observations(np.empty((n, 0)), {"days": PaddedSet(values, sizes)}), values[mask]


def test_entries_of_sets_get_scores_of_their_own(rng):
    observations, entries = counted(rng)
    scaling = Scaling.fit(observations)
    assert scaling.sets["days"].scores.columns.tolist() == [0]
    found = scaling.entries(observations.sets["days"], "days")
    assert found.shape == (len(entries), 3)  # two scaled columns, and the scores of the counts
    below = (entries[:, 0] < 7).mean() / 2 + (entries[:, 0] <= 7).mean() / 2
    at_seven = found[entries[:, 0] == 7, 2]
    assert np.ptp(at_seven) == 0
    assert at_seven[0] == pytest.approx(st.norm.ppf(below), abs=0.05)
    loaded = Scaling.from_arrays(scaling.to_arrays())
    assert np.array_equal(loaded.entries(observations.sets["days"], "days"), found)


def test_without_scores_entries_are_scaled_alone(rng):
    observations, entries = counted(rng)
    plain = Scaling.fit(observations, scores=False).entries(observations.sets["days"], "days")
    assert plain.shape == entries.shape
    assert np.array_equal(
        Scaling.fit(observations).entries(observations.sets["days"], "days")[:, :2], plain
    )


def test_a_file_without_the_scores_of_a_set_is_told_from_one_with_none(rng):
    observations, _ = counted(rng)
    arrays = Scaling.fit(observations, scores=False).to_arrays()
    old = {name: value for name, value in arrays.items() if not name.startswith("entries:")}
    with pytest.raises(KeyError):
        Scaling.from_arrays(old)
