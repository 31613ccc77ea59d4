"""Curves: which observables are read as series, and how."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st
from studies import quick_fit

import sbi_inn as si
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.observation.recurrences import recurrences
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.set_moments import changes, describe, order, profile, shape
from sbi_inn.summary_networks import Batch, Scaling, Widths
from sbi_inn.summary_networks.columns import Columns
from sbi_inn.summary_networks.curves import (
    LONGEST,
    SHORTEST,
    faint_curves,
    neighbours_go_together,
    places_of_curves,
)
from sbi_inn.summary_networks.described import described_curves
from sbi_inn.summary_networks.exact import Exact
from sbi_inn.summary_networks.recurring import EACH, Recurring
from sbi_inn.summary_networks.whitening import Whitened

N, LENGTH = 400, 30
PLACES = np.arange(LENGTH)


def walks(seed=1, n=N, length=LENGTH):
    return np.random.default_rng(seed).normal(size=(n, length)).cumsum(axis=1)


def noise(seed=2, n=N, length=LENGTH):
    return np.random.default_rng(seed).normal(size=(n, length))


def volatile(seed=3):
    """Each entry is as large as the one before was, on average, and has a sign of its own."""
    rng = np.random.default_rng(seed)
    return noise(seed) * np.exp(0.5 * walks(seed + 1)) * rng.choice([-1, 1], (N, LENGTH))


def pulses(seed=4):
    """Put a pulse anywhere on a level of counts."""
    rng = np.random.default_rng(seed)
    centre, level = rng.uniform(0, LENGTH, (2, N, 1))
    return rng.poisson(level + 30 * np.exp(-0.5 * (PLACES - centre) ** 2)).astype(float)


def straight(seed=5):
    """Lines with noise, on places that are not centred: how far apart two are says nothing."""
    rng = np.random.default_rng(seed)
    level, slope = rng.normal(size=(2, N, 1))
    return 10 * level + slope + 0.3 * rng.normal(size=(N, LENGTH))


def persistent(seed=6):
    """Series of which one goes on as it was, and another turns back: on average neither."""
    rng = np.random.default_rng(seed)
    goes_on, values = rng.uniform(-0.9, 0.9, (N, 1)), noise(seed)
    for place in range(1, LENGTH):
        values[:, place : place + 1] += goes_on * values[:, place - 1 : place]
    return values


def observations(images=(), **parts):
    """Lay observables of fixed shape side by side."""
    shapes = {name: part.shape[1:] for name, part in parts.items()}
    schema = Schema(shapes, {}, (), {}, {}, images=images)
    return Observations(np.hstack([p.reshape(N, -1) for p in parts.values()]), {}, schema=schema)


@pytest.mark.parametrize("make", [walks, volatile, pulses, persistent])
def test_neighbours_that_tell_of_each_other_are_seen(make):
    assert neighbours_go_together(make())


@pytest.mark.parametrize(
    "rows",
    [noise(), straight(), np.ones((N, LENGTH)), noise() > 0],
    ids=["noise", "straight", "constant", "coins"],
)
def test_what_has_no_order_is_no_curve(rows):
    assert not neighbours_go_together(rows.astype(float))


def test_curves_of_one_length_are_one_series():
    seen = observations(a=noise(length=3), x=walks(1), v=walks(2), other=walks(3, length=25))
    found = places_of_curves(seen)
    assert list(found) == ["x", "other"]
    assert np.array_equal(found["x"], np.stack([3 + PLACES, 3 + LENGTH + PLACES], axis=1))
    assert np.array_equal(found["other"][:, 0], 3 + 2 * LENGTH + np.arange(25))


def test_short_and_long_ones_images_tables_and_answers_are_no_curves():
    short = walks(length=SHORTEST - 1)
    pairs = walks(length=50).reshape(N, 25, 2)
    assert places_of_curves(observations(short=short, pairs=pairs)) == {}
    assert places_of_curves(observations(long=walks(length=LONGEST + 1))) == {}
    assert places_of_curves(observations(profile=walks(), images=("profile",))) == {}
    assert places_of_curves(Observations(walks(), {})) == {}
    assert places_of_curves(observations(answers=walks() > 0)) == {}


def test_they_are_read_as_series_and_not_as_features():
    seen = observations(a=noise(length=3), x=walks(1), v=walks(2))
    scaling = Scaling.fit(seen, curves=True)
    batch = Batch.of(seen, scaling)
    assert batch.vector.shape == (N, 3)
    assert Widths.read_off(batch, scaling, ()).series.keys() == {"x"}
    read = batch.sets["x"]
    assert read.sizes.tolist() == [LENGTH] * N
    # All entries of a curve are scaled alike, so that it keeps its shape.
    first = read.entries[:LENGTH, 0].numpy()
    step, there = np.diff(first), np.diff(seen.vector[0, 3 : 3 + LENGTH])
    np.testing.assert_allclose(step / there, step[0] / there[0], rtol=1e-3)
    assert "x" not in Batch.of(seen, Scaling.fit(seen)).sets


def test_scales_come_back_from_arrays():
    seen = observations(a=noise(length=3), x=pulses(), v=walks(2), other=walks(3, length=25))
    scaling = Scaling.fit(seen, curves=True)
    again = Scaling.from_arrays(scaling.to_arrays())
    assert again.curves.keys() == scaling.curves.keys() == {"x", "other"}
    for name, curves in scaling.curves.items():
        assert np.array_equal(again.curves[name](seen), curves(seen))


def test_a_start_reads_what_describes_them():
    seen = observations(a=noise(length=3), x=walks())
    exact = Exact.fit(seen, np.arange(seen.vector.shape[1]))
    assert list(exact.source.curves) == ["x"]
    entries, laws = set(exact.observables), set(exact.laws)
    assert len(entries) == 3 + LENGTH
    assert len(entries & laws) == 3  # the other observables are in both
    told = exact(seen)
    moments = described_curves(seen.vector, exact.source.curves.values())
    assert len(laws) == 3 + moments.shape[1] + EACH
    assert told.shape[1] == exact.width
    again = Exact.from_arrays(exact.to_arrays())
    assert np.array_equal(again(seen), told)
    assert again.laws == exact.laws
    assert Exact.fit(seen, np.arange(3), curves={}).laws == ()


def test_what_describes_a_curve_is_what_describes_a_series():
    x = walks()
    entries = PaddedSet(x[:, :, None], np.full(N, LENGTH))
    parts = (describe, shape, order, changes, profile)
    expected = np.hstack([part(entries) for part in parts])
    seen = observations(a=noise(length=3), x=x)
    found = described_curves(seen.vector, places_of_curves(seen).values())
    assert np.allclose(found, expected)


def test_what_is_recurring_stays_within_what_training_has_seen():
    seen = observations(x=walks())
    past, told = Recurring.fit(seen, (), places_of_curves(seen))
    entries = PaddedSet(seen.vector[:, :, None], np.full(N, LENGTH))
    assert past.of_curves == EACH
    assert np.array_equal(past(seen), told)
    assert np.array_equal(past(seen), recurrences(entries))
    # Without noise, nothing is left to regress.
    wave = np.tile(np.cos(PLACES), (N, 1))
    assert recurrences(PaddedSet(wave[:1, :, None], np.array([LENGTH])))[0, 7] < -15
    assert past(observations(x=wave))[0, 7] == past.limits[0, 7] > -5


def test_an_older_start_reads_nothing_of_the_past_of_a_curve():
    seen = observations(x=walks())
    exact = Exact.fit(seen, PLACES, recurring=False)
    x = seen.vector
    table = np.hstack([x, described_curves(x, exact.source.curves.values())])
    older = replace(exact, columns=Columns.fit(table, scores=True), whitened=Whitened.fit(table))
    arrays = older.to_arrays()
    assert "recurring" not in arrays
    again = Exact.from_arrays(arrays)
    assert len(again.laws) == described_curves(x, exact.source.curves.values()).shape[1]
    assert again(seen).shape[1] == again.width


def test_an_order_that_says_a_little_is_described_and_no_more():
    """Memories as weak as .2 move neighbours together by .015, in squared correlations."""
    rng = np.random.default_rng(8)
    memory, x = rng.uniform(-0.25, 0.25, (N, 1)), rng.normal(size=(N, 200))
    for place in range(1, 200):
        x[:, place : place + 1] += memory * x[:, place - 1 : place]
    seen = observations(x=x)
    assert places_of_curves(seen) == {}
    assert list(faint_curves(seen)) == ["x"]
    assert faint_curves(observations(x=rng.normal(size=(N, 200)))) == {}


def test_gaps_are_flagged():
    x = walks()
    x[::3, 4] = np.nan
    seen = observations(x=x)
    entries = Batch.of(seen, Scaling.fit(seen, curves=True)).sets["x"].entries
    flags = entries[:, -1].reshape(N, LENGTH).numpy()
    assert np.array_equal(flags, np.isnan(x))
    assert np.isfinite(entries.numpy()).all()


def test_the_last_networks_of_four_read_them_unless_they_start_in_closed_form():
    four = [si.CINN().member(place) for place in range(4)]
    assert [one.reads_curves for one in four] == [False, False, True, False]
    assert replace(four[3], start="trained").reads_curves
    assert not any(replace(one, start="exact").reads_curves for one in four)


def test_of_four_networks_two_read_wide_windows():
    assert [si.CINN().member(place).beside for place in range(4)] == [0, 1, 1, 0]


def pulse(centre, width, rng):
    height = 5 * np.exp(-0.5 * ((np.arange(40)[None] - centre[:, None]) / width[:, None]) ** 2)
    return {"flux": height + rng.normal(size=height.shape)}


STUDY = si.Problem(
    si.simulator(batched=True)(pulse), si.Prior(centre=st.uniform(0, 40), width=st.uniform(1, 3))
)


def test_a_posterior_whose_networks_read_curves_is_saved_and_loaded(tmp_path):
    posterior = quick_fit(STUDY, method=si.CINN(blocks=2, hidden=16, place=2), n=300)
    y = {"flux": 5 * np.exp(-0.5 * ((np.arange(40) - 12) / 2) ** 2)}
    posterior.save(tmp_path / "pulse.npz")
    again = si.load_posterior(tmp_path / "pulse.npz")
    assert again.sample(y, 50).equals(posterior.sample(y, 50))


@pytest.mark.slow
def test_a_pulse_that_may_be_anywhere_is_found_sooner_in_windows():
    table = si.simulate(STUDY, n=1_000, seed=1, progress=False)
    fresh = si.simulate(STUDY, n=1_000, seed=2, progress=False)
    latents = fresh.prior.to_latent(fresh.parameters(), np.empty((1_000, 0)))
    found = []
    for place in (0, 2):
        method = si.CINN(start="trained", place=place)
        core = si.fit_posterior(table, method=method, ensemble=1, seed=1, progress=False).core
        found.append(core.fitted.log_prob(latents, fresh.observations()))
    gain = found[1] - found[0]
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))
