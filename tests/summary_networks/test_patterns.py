"""What simulations with the pattern of an observation say of its parameters."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.flows import LaplaceStart
from sbi_inn.methods.cinn.exact_start import as_rows_allow
from sbi_inn.methods.cinn.fitted import FittedCINN
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.summary_networks.exact import Exact
from sbi_inn.summary_networks.patterns import DIVIDED, SMALLEST, Patterns

TIMES = np.sort(np.random.default_rng(3).uniform(0, 40, 20))
DIM = 4


@si.simulator(batched=True)
def orbit(period, strength, phase, height, rng):
    wave = np.cos(2 * np.pi * TIMES / period[:, None] + phase[:, None])
    signal = height[:, None] + strength[:, None] * wave
    return {"velocity": signal + rng.normal(size=signal.shape)}


PRIOR = si.Prior(
    period=st.loguniform(2, 20),
    strength=st.loguniform(0.1, 50),
    phase=st.uniform(0, 2 * np.pi),
    height=st.norm(0, 50),
)


@pytest.fixture(scope="module")
def orbits():
    """Latents and observations, (4,000, ...)."""
    table = si.simulate(orbit, PRIOR, n=4_000, seed=1, n_jobs=1, progress=False)
    return PRIOR.to_latent(table.parameters(table.ok)), table.observations(table.ok)


def test_height_and_strength_do_not_count(orbits):
    latents, seen = orbits
    patterns = Patterns.fit(seen, latents)
    some = seen[:200]
    moved = type(some)(28 + 7 * some.vector, {}, some.givens, some.schema)
    turned = type(some)(-some.vector, {}, some.givens, some.schema)
    # Rows are left out where their own entries are seen, so that fresh ones are compared.
    fresh = type(some)(1.5 * some.vector + 1, {}, some.givens, some.schema)
    np.testing.assert_allclose(patterns(moved), patterns(fresh), atol=2e-2)
    assert np.abs(patterns(turned) - patterns(fresh)).mean() > 0.1


def test_means_and_spreads_are_those_of_a_likelihood(orbits):
    latents, seen = orbits
    patterns = Patterns.fit(seen[1:], latents[1:])
    one = seen.vector[0]
    r = np.array([np.corrcoef(one, row)[0, 1] for row in seen.vector[1:]])
    score = -(len(one) - 2) / 2 * np.log1p(-(np.clip(r, 0, None) ** 2))
    means, spreads, best = patterns.ask(seen[:1])
    assert best[0] == pytest.approx(np.sqrt(score.max()), rel=1e-3)
    first = np.argsort(-score)[:64]
    for place, divided in enumerate(DIVIDED):
        weight = np.exp((score[first] - score.max()) / divided)
        weight /= weight.sum()
        mean = weight @ latents[1:][first]
        np.testing.assert_allclose(means[0, place], mean, atol=2e-2)
        spread = np.sqrt(weight @ (latents[1:][first] - mean) ** 2)
        np.testing.assert_allclose(spreads[0, place], np.log(spread + SMALLEST), atol=0.1)


def test_a_row_does_not_say_what_it_is_itself(orbits):
    latents, seen = orbits
    alone, *_ = Patterns.fit(seen[100:], latents[100:]).ask(seen[:100])
    among, spread, _ = Patterns.fit(seen, latents).ask(seen[:100])
    assert float((among[:, 0] - alone[:, 0]).abs().median()) < 0.05
    assert np.abs(among[:, 0].numpy() - latents[:100]).max() > 0.5
    assert bool(spread.isfinite().all())


def test_only_what_is_like_a_simulation_is_believed(orbits):
    """Of noise alone, of which there is a best simulation, too, next to nothing is said."""
    latents, seen = orbits
    patterns = Patterns.fit(seen, latents)
    noise = np.random.default_rng(1).normal(size=(200, len(TIMES)))
    found = patterns(type(seen)(noise, {}, seen.givens, seen.schema))
    clear = np.argsort(-latents[:, 1])[:200]
    loud = patterns(seen[clear])
    period, error = 0, len(DIVIDED) * DIM
    right = np.abs(loud[:, period] - latents[clear, 0])
    assert np.median(right) < 0.02
    said, *_ = patterns.ask(type(seen)(noise, {}, seen.givens, seen.schema))
    assert np.abs(found[:, period]).mean() < 0.8 * float(said[:, 0, period].abs().mean())
    assert np.median(found[:, error]) > np.median(loud[:, error]) + 1


@pytest.mark.slow
def test_a_start_reads_them_where_they_tell_something(orbits):
    latents, seen = orbits
    data = TrainingData(latents, seen, np.arange(3_600), np.arange(3_600, 4_000))
    exact = Exact.fit(seen[:3_600], np.arange(len(TIMES)))
    assert as_rows_allow(exact, data).patterns is not None
    noise = np.random.default_rng(1).normal(size=latents.shape)
    data = TrainingData(noise, seen, np.arange(3_600), np.arange(3_600, 4_000))
    assert as_rows_allow(exact, data).patterns is None


def test_few_entries_and_yes_or_no_have_no_pattern(orbits):
    latents, _ = orbits

    def few(a, rng):
        return {"y": a + rng.normal(size=7)}

    def coins(a, rng):
        return {"y": (rng.random(20) < a).astype(float)}

    for simulator in (few, coins):
        prior = si.Prior(a=st.uniform(0, 1))
        table = si.simulate(simulator, prior, n=200, seed=1, n_jobs=1, progress=False)
        assert Patterns.fit(table.observations(table.ok), latents[:200, :1]) is None


def test_a_gap_is_where_the_mean_is(orbits):
    latents, seen = orbits
    patterns = Patterns.fit(seen, latents)
    gappy = seen.vector[:50].copy()
    gappy[:, 3] = np.nan
    found = patterns(type(seen)(gappy, {}, seen.givens, seen.schema))
    assert np.isfinite(found).all()


def test_a_network_that_reads_them_is_a_kind_of_its_own(orbits):
    """Narrow posteriors, mixed with wide ones, would be too wide."""
    latents, seen = orbits
    plain = Exact.fit(seen, np.arange(len(TIMES)))
    assert kind(None) == kind(plain) == ""
    assert kind(plain.with_patterns(latents, seen)) == "patterns"


def kind(exact, start=None):
    about = {"scaling": SimpleNamespace(exact=exact), "network": SimpleNamespace(start=start)}
    return FittedCINN.kind.fget(SimpleNamespace(**about))


def test_a_network_that_begins_with_a_likelihood_is_one_too():
    start = LaplaceStart(1, 2, 2, (0, 1))
    assert kind(None, start) == ""  # left-out rows gained nothing by it
    start.inverts.fill_(True)
    assert kind(None, start) == "likelihood"


def test_they_survive_a_file(orbits):
    latents, seen = orbits
    exact = Exact.fit(seen, np.arange(len(TIMES))).with_patterns(latents, seen)
    again = Exact.from_arrays(exact.to_arrays())
    np.testing.assert_array_equal(again(seen[:300]), exact(seen[:300]))
    assert again.width == exact.width == exact(seen[:3]).shape[1]


def test_constant_curves_have_no_pattern_and_do_no_harm(orbits):
    latents, seen = orbits
    flat = type(seen)(np.ones((300, len(TIMES))), {}, seen.givens, seen.schema)
    assert np.isfinite(Patterns.fit(flat, latents[:300])(flat)).all()
