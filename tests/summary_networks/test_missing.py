"""Missing values: networks read the centre and a flag, statistics read what is there."""

import numpy as np
import pytest

from sbi_inn.diagnostics.novelty import Novelty
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import described, distance, filled, spread, statistics
from sbi_inn.summary_networks import Batch, Scaling, informative

N = 500


@pytest.fixture
def rng():
    return np.random.default_rng(2)


@pytest.fixture
def table(rng):
    """Three columns, the second of which is missing in a third of the rows."""
    table = rng.lognormal(0, 2, size=(N, 3))
    table[rng.random(N) < 1 / 3, 1] = np.nan
    return table


def test_a_missing_value_is_the_centre_and_a_flag(table):
    observations = Observations(table, {})
    scaling = Scaling.fit(observations)
    gone = np.isnan(table[:, 1])
    features = scaling.features(observations)
    assert scaling.fixed.gaps.tolist() == [1]
    assert features.shape == (N, 3 + 3 + 1)  # scaled, normal scores, the flag
    np.testing.assert_array_equal(features[:, -1], gone)
    assert not features[gone][:, [1, 4]].any()
    whole = Scaling.fit(Observations(np.where(gone[:, None], 1.0, table)[~gone], {}))
    np.testing.assert_allclose(scaling.vector[:, 1], whole.vector[:, 1])
    again = Scaling.from_arrays(scaling.to_arrays())
    np.testing.assert_array_equal(again.features(observations), features)


def test_without_gaps_there_are_no_flags(rng):
    observations = Observations(rng.normal(size=(N, 2)), {})
    assert Scaling.fit(observations).features(observations).shape == (N, 2)


def test_a_column_that_is_always_missing_is_no_obstacle(table):
    table[:, 1] = np.nan
    observations = Observations(table, {})
    assert np.isfinite(Scaling.fit(observations).features(observations)).all()


def test_the_entries_of_a_set_are_flagged(rng):
    values = rng.normal(5, 2, size=(N, 4, 2))
    sizes = rng.integers(1, 5, size=N)
    values[np.arange(4) >= sizes[:, None]] = 0.0
    values[::3, 0, 1] = np.nan
    observations = Observations(np.empty((N, 0)), {"n": PaddedSet(values, sizes)})
    scaling = Scaling.fit(observations)
    entries = Batch.of(observations, scaling).sets["n"].entries.numpy()
    assert entries.shape == (sizes.sum(), 3)
    gone = np.isnan(values[observations.sets["n"].mask][:, 1])
    np.testing.assert_array_equal(entries[:, 2], gone)
    assert not entries[gone, 1].any()
    assert np.isfinite(entries).all()
    again = Scaling.from_arrays(scaling.to_arrays())
    np.testing.assert_array_equal(again.entries(observations.sets["n"], "n"), entries)


def test_statistics_of_a_set_are_those_of_the_entries_that_are_there(rng):
    schema = Schema({"x": ()}, {"n": ("x",)}, (), {}, {}, missing={"x": 1.0})
    there = rng.normal(size=6)
    scattered = np.array([np.nan, *there[:2], np.nan, *there[2:], np.nan])
    with_gaps, without = (described(schema.read({"x": x}), schema) for x in (scattered, there))
    np.testing.assert_allclose(with_gaps, without)
    nothing = statistics(schema.read({"x": [np.nan, np.nan]}), schema)
    assert np.isnan(nothing).all()


def test_spreads_and_distances_pass_over_what_is_missing(table):
    gone = np.isnan(table[:, 1])
    expected = [*spread(table[:, [0]]), *spread(table[~gone][:, [1]]), *spread(table[:, [2]])]
    np.testing.assert_allclose(spread(table), expected)
    assert spread(np.full((5, 1), np.nan)).tolist() == [1.0]
    rows = np.array([[1.0, 1.0, 1.0], [1.0, np.nan, 1.0], [np.nan] * 3])
    np.testing.assert_allclose(distance(rows), [np.sqrt(3), np.sqrt(3), np.nan])


def test_filled_rows_keep_p_values_uniform(rng):
    """Held-out rows and new ones go missing alike: ranks of distances stay ranks."""
    rows = rng.normal(size=(2_000, 4))
    rows[rng.random(rows.shape) < 0.3] = np.nan
    usual, new = rows[:1_000], rows[1_000:]
    p_values = Novelty.fit(filled(usual, usual)).p_value(filled(new, usual))
    assert (p_values < 0.1).mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.1 * 0.9 * 3 / 1_000))


def test_screening_sees_what_a_gap_says(rng):
    parameters, noise = rng.normal(size=(N * 4, 1)), rng.normal(size=(N * 4, 40))
    noise[:, 2] += parameters[:, 0]
    noise[rng.random(len(noise)) < 0.3, 2] = np.nan
    faint = parameters[:, 0] < -1  # below a limit of detection, where the rest is noise
    noise[faint, 9] = np.nan
    assert informative(parameters, noise).tolist() == [2, 9]
