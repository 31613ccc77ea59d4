"""Observables over decades: which are read by their logarithms, and how."""

import numpy as np
import pytest
import scipy.stats as st
from studies import quick_fit

import sbi_inn as si
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.summary_networks import Batch, Decades, Scaling

N = 1_000
RNG = np.random.default_rng(1)
LEVEL = RNG.normal(0, 3, (N, 1))
COUNTS = RNG.poisson(np.exp(LEVEL) * np.ones(4)).astype(float)
FLUXES = np.exp(LEVEL + 0.1 * RNG.normal(size=(N, 4)))
NORMAL = RNG.normal(20, 1, (N, 4))  # positive, too


def observations(images=(), **parts):
    shapes = {name: part.shape[1:] for name, part in parts.items()}
    schema = Schema(shapes, {}, (), {}, {}, images=images)
    return Observations(np.hstack([p.reshape(N, -1) for p in parts.values()]), {}, schema=schema)


@pytest.mark.parametrize("values", [COUNTS, FLUXES], ids=["counts", "fluxes"])
def test_what_spans_decades_is_read_by_its_logarithm(values):
    seen = observations(a=NORMAL, b=values)
    decades = Decades.fit(seen)
    np.testing.assert_array_equal(decades.features, [4, 5, 6, 7])
    told = decades(seen).vector
    np.testing.assert_array_equal(told[:, :4], NORMAL)
    np.testing.assert_allclose(told[:, 4:], np.log(values + (values is COUNTS)))


@pytest.mark.parametrize(
    "values",
    [NORMAL, FLUXES * RNG.choice([-1, 1], (N, 4)), (LEVEL > 0) * np.ones(4), np.zeros((N, 4))],
    ids=["normal", "signed", "yes and no", "nothing"],
)
def test_others_are_read_as_they_are(values):
    assert not len(Decades.fit(observations(a=values)).features)


def test_an_image_keeps_its_contrasts():
    image = np.tile(FLUXES[:, :, None], (1, 1, 4))
    assert not len(Decades.fit(observations(images=("a",), a=image)).features)


def test_all_entries_of_an_observable_are_read_alike():
    some = np.hstack([FLUXES[:, :3], NORMAL[:, :1]])  # three of four span decades
    assert len(Decades.fit(observations(a=some)).features) == 4


def test_missing_values_stay_missing_and_what_was_never_seen_is_no_error():
    values = FLUXES.copy()
    values[::7, 1] = np.nan
    seen = observations(a=values)
    decades = Decades.fit(seen)
    told = decades(seen).vector
    np.testing.assert_array_equal(np.isnan(told), np.isnan(values))
    below = decades(Observations(np.array([[-3.0, 0.0, 1.0, 2.0]]), {})).vector[0]
    least = np.log(np.nanmin(values))
    np.testing.assert_allclose(below, [least, least, 0.0, np.log(2.0)])


def test_networks_read_logarithms_and_their_scores_and_values_besides_if_asked():
    seen = observations(a=FLUXES)
    scaling = Scaling.fit(seen, decades=Decades.fit(seen))
    logs = np.log(FLUXES)
    read = Batch.of(seen, scaling).vector.numpy()
    assert read.shape == (N, 8)  # a logarithm and a score each
    assert abs(np.corrcoef(read[:, 0], logs[:, 0])[0, 1]) > 0.999
    besides = scaling.with_what_is_logged(seen)
    both = Batch.of(seen, besides).vector.numpy()
    np.testing.assert_array_equal(both[:, :8], read)
    assert both.shape == (N, 12)
    kept = Scaling.from_arrays(besides.to_arrays())
    np.testing.assert_array_equal(Batch.of(seen, kept).vector.numpy(), both)


def test_nothing_is_read_besides_where_there_is_no_logarithm():
    seen = observations(a=NORMAL)
    assert Scaling.fit(seen, decades=Decades.fit(seen)).with_what_is_logged(seen) is None


@si.simulator(batched=True)
def decay(level, rate, rng):
    """Give a level that decays; noise multiplies it."""
    straight = level[:, None] - rate[:, None] * np.arange(6)
    return {"level_seen": np.exp(straight + 0.1 * rng.normal(size=straight.shape))}


def exact_loss(spread=4.0, noise=0.1):
    """Negative log density of the exact posterior at the truth, on the prior's N(0, 1) side."""
    design = np.stack([np.ones(6), -np.arange(6)], axis=1)
    precision = design.T @ design / noise**2 + np.eye(2) / spread**2
    return 0.5 * 2 * (1 + np.log(2 * np.pi)) - 0.5 * np.linalg.slogdet(precision * spread**2)[1]


@pytest.mark.slow
def test_a_single_network_is_sharp_where_noise_multiplies():
    prior = si.Prior(level=st.norm(0, 4), rate=st.norm(0, 4))
    posterior = quick_fit(si.Problem(decay, prior), n=2_000, epochs=60, method=si.CINN())
    assert min(posterior.history.validation_loss) < exact_loss() + 0.8  # 1.3 on a linear scale
