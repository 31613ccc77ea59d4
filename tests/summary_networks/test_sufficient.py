"""Hundreds of observables, read as what parameters change in them."""

import numpy as np
import pytest

from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks import Scaling, sufficient
from sbi_inn.summary_networks.exact import Exact
from sbi_inn.summary_networks.sufficient import (
    MANY,
    MANY_DISCRETE,
    Sufficient,
)

COLUMNS = 300
T = np.linspace(-1, 1, COLUMNS)
DESIGN = np.stack([np.ones(COLUMNS), T, np.sin(9 * T)])


def curves(n, seed, *, noise=None):
    """Give coefficients with log noises (n, 4), and observables: of vague priors, unlike noises."""
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(n, 4))
    sizes = np.exp(latents[:, 3:])
    left = rng.normal(size=(n, COLUMNS)) if noise is None else rng.normal(size=(n, COLUMNS)) @ noise
    return latents, latents[:, :3] * [100.0, 30.0, 10.0] @ DESIGN + sizes * left


def told(few, design, covariance):
    """Give Fisher's information of coefficients in the projections, for a noise of this law."""
    axes = few.rotation / few.scale[1][:, None]
    moved = design @ axes
    return moved @ np.linalg.solve(axes.T @ covariance @ axes, moved.T)


def test_projections_hold_what_a_linear_model_tells():
    few = Sufficient.fit(*curves(4_000, 1))
    whole = DESIGN @ DESIGN.T
    share = np.linalg.eigvals(np.linalg.solve(whole, told(few, DESIGN, np.eye(COLUMNS)))).real
    assert share.min() > 0.99
    assert few.width < 40


def test_projections_hold_it_where_noises_go_together():
    # A drift: neighbours have much of their noise in common.
    away = np.abs(T[:, None] - T)
    covariance = np.exp(-5 * away) + 0.05 * np.eye(COLUMNS)
    few = Sufficient.fit(*curves(4_000, 1, noise=np.linalg.cholesky(covariance).T))
    whole = DESIGN @ np.linalg.solve(covariance, DESIGN.T)
    share = np.linalg.eigvals(np.linalg.solve(whole, told(few, DESIGN, covariance))).real
    assert share.min() > 0.95


def test_the_last_number_is_the_size_of_the_noise():
    few = Sufficient.fit(*curves(4_000, 1))
    latents, fresh = curves(500, 2)
    left = few(fresh)[:, -1] - latents[:, 3]
    assert left.std() < 1.3 / np.sqrt(2 * (COLUMNS - few.width))


def test_observables_of_noise_alone_are_no_more_than_a_few_numbers():
    rng = np.random.default_rng(1)
    few = Sufficient.fit(rng.normal(size=(2_000, 2)), rng.normal(size=(2_000, COLUMNS)))
    found = few(rng.normal(size=(100, COLUMNS)))
    assert found.shape == (100, few.width)
    assert few.width < 30


def test_heavy_tails_missing_values_and_constants_stay_finite():
    latents, table = curves(1_000, 1)
    table[3], table[9, ::2] = 1e200, -1e300
    table[::7, 3], table[:, 5] = np.nan, 2.0
    assert np.isfinite(Sufficient.fit(latents, table)(table)).all()


def test_fewer_observables_and_choices_are_read_one_by_one():
    latents, table = curves(400, 1)
    read = np.arange(COLUMNS)
    assert Sufficient.of(Observations(table, {}), read, latents) is not None
    assert Sufficient.of(Observations(table, {}), read, None) is None
    assert Sufficient.of(Observations(table[:, :MANY], {}), read[:MANY], latents) is None
    choices = np.tile((table > 0).astype(float), 4)
    assert Sufficient.of(Observations(choices[:, :MANY_DISCRETE], {}), read, latents) is None
    every = np.arange(choices.shape[1])
    assert Sufficient.of(Observations(choices, {}), every, latents) is not None


def test_hundreds_of_counts_may_be_reduced_all_the_same():
    latents, table = curves(400, 1)
    counts = np.random.default_rng(1).poisson(np.exp(np.clip(table, -2, 4)))
    seen = Observations(np.hstack([counts, table[:, :1]]), {}, givens=1)
    exact = Exact.fit(seen, np.arange(COLUMNS + 1), likelihood=True, latents=latents)
    assert len(exact.observables) == COLUMNS
    few = exact.reduced(latents, seen)
    assert few is not None
    assert not few.counted
    assert len(few.observables) == few.givens[0] < COLUMNS / 2
    assert few(seen).shape == (400, few.width)
    assert np.array_equal(Exact.from_arrays(few.to_arrays())(seen), few(seen))
    assert few.reduced(latents, seen) is None  # they are read like that already
    for again in (few.without("curves", latents, seen), few.plainest(latents, seen)):
        assert again.source.sufficient is not None
    some = Observations(counts[:, :MANY], {})
    assert Exact.fit(some, np.arange(MANY)).reduced(latents, some) is None


def test_givens_come_after_it_and_are_no_observables():
    latents, table = curves(400, 1)
    observations = Observations(table, {}, givens=2)
    few = Sufficient.of(observations, np.arange(COLUMNS), latents)
    assert few is not None
    exact = Exact.fit(observations, np.arange(COLUMNS), latents=latents)
    assert exact.givens.tolist() == [few.width, few.width + 1]
    assert len(exact.observables) == few.width
    assert not set(exact.givens) & set(exact.observables)
    assert exact(observations).shape == (400, exact.width)


def test_hundreds_of_statistics_of_a_set_are_read_as_few():
    rng = np.random.default_rng(1)
    level, spread = rng.normal(size=(2, 600, 1, 1))
    entries = level + np.exp(spread) * rng.normal(size=(600, 100, 18))
    latents = np.stack([level.ravel(), spread.ravel()], axis=1)
    seen = Observations(np.empty((600, 0)), {"n": PaddedSet(entries, np.full(600, 100))})
    scaling = Scaling.fit(seen, exact=True, latents=latents)
    exact = scaling.exact
    assert exact is not None
    assert exact.source.statistics is not None
    width = exact.source.statistics.width
    assert width < 40
    assert exact.givens.tolist() == [width]  # the log size
    assert len(exact.observables) == width
    read = exact(seen)[:, list(exact.observables)]
    best = (entries.mean(axis=(1, 2)), np.log(entries.std(axis=(1, 2))))  # tell all there is
    for told, known in zip(latents.T, best, strict=True):
        slope, *_ = np.linalg.lstsq(read, told, rcond=None)
        most = np.corrcoef(known, told)[0, 1]
        assert np.corrcoef(read @ slope, told)[0, 1] > most - 0.002
    again = Scaling.from_arrays(scaling.to_arrays()).exact
    assert again is not None
    assert np.array_equal(exact(seen), again(seen))
    every = Exact.fit(seen, np.arange(0))
    assert every.source.statistics is None
    assert every.width > 5 * exact.width


@pytest.mark.parametrize(("entries", "few"), [(30, True), (300, False)])
def test_correlations_may_take_the_place_of_regressions_where_entries_are_few(entries, few):
    rng = np.random.default_rng(1)
    table = rng.normal(size=(200, entries, 12))
    seen = Observations(np.empty((200, 0)), {"n": PaddedSet(table, np.full(200, entries))})
    exact = Exact.fit(seen, np.arange(0))
    assert exact.source.crowded == ()
    assert exact.parts(seen) == (["regressions"] if few else [])
    others = exact.without("regressions", np.empty((200, 1)), seen)
    assert others.source.crowded == (("n",) if few else ())
    pairs = 12 * 11 // 2 if few else 12 * 13
    assert others.columns.scale.shape[1] == 11 * 12 + pairs + 1  # moments, quantiles; log size
    again = Exact.from_arrays(others.to_arrays())
    assert again.source.crowded == others.source.crowded
    assert np.array_equal(others(seen), again(seen))


def test_files_hold_it():
    latents, table = curves(400, 1)
    observations = Observations(table, {})
    scaling = Scaling.fit(observations, exact=True, latents=latents)
    again = Scaling.from_arrays(scaling.to_arrays())
    assert scaling.exact is not None
    assert again.exact is not None
    assert again.exact.source.sufficient is not None
    assert np.array_equal(scaling.exact(observations), again.exact(observations))


@pytest.mark.parametrize("far", [False, True])
def test_columns_without_their_scores_are_what_they_were(far):
    table = np.random.default_rng(1).normal(size=(400, 4))
    table[:, 1:3] = np.exp(3 * table[:, 1:3]) if far else table[:, 1:3]
    exact = Exact.fit(Observations(table, {}), np.arange(4))
    assert exact.unscored(exact.observables) == (0, 1, 2, 3)
    assert (exact.observables != (0, 1, 2, 3)) is far


def test_of_more_columns_fewer_rows_are_looked_at(monkeypatch):
    """So that thousands of choices take no more memory than there is."""
    latents, table = curves(1_000, 1)
    few = Sufficient.fit(latents[:400], table[:400])
    assert not np.array_equal(Sufficient.fit(latents, table).scale, few.scale)
    monkeypatch.setattr(sufficient, "FEWEST_ROWS", 400)
    monkeypatch.setattr(sufficient, "NUMBERS", 300 * COLUMNS)
    np.testing.assert_array_equal(Sufficient.fit(latents, table).rotation, few.rotation)
