"""Bidirectional networks: whole tables of draws, densities and predictions, and files."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from sbi_inn.errors import LoadError, NoDensityError, ShapeError
from sbi_inn.methods import (
    INN,
    Decoder,
    Emulator,
    Summariser,
    TrainingData,
    Weigher,
    from_arrays,
)
from sbi_inn.methods.bidirectional import fitted as fitted_inn
from sbi_inn.methods.bidirectional import importance
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.training.loop import Training

ROWS = 400
MIX = np.array([[1.0, 0.5, -0.5, 0.2], [0.2, -1.0, 0.3, 0.6], [0.4, 0.4, 0.4, -0.4]])


def study(dim, observables, givens, seed=0):
    """Latent parameters, and observables that they decide, times the given where there is one."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((ROWS, dim))
    y = latent @ MIX[:observables, :dim].T
    given = rng.uniform(1, 2, (ROWS, givens))
    return latent, Observations(np.hstack([y * given[:, :1] if givens else y, given]), {}, givens)


def fit(settings, dim=3, observables=1, givens=0, *, seed=1, epochs=6):
    latent, observations = study(dim, observables, givens)
    rows = np.arange(ROWS)
    training = Training(epochs=epochs)
    data = TrainingData(latent, observations, rows[:350], rows[350:])
    return settings.fit(data, training, seed=seed, progress=False)


SMALL = {"blocks": 3, "hidden": 16, "depth": 1}
NETWORKS = {
    "likelihood": (INN(**SMALL), 3, 1, 0),
    "own draws": (INN(**SMALL, candidates=1), 3, 1, 0),
    "mmd": (INN(loss="mmd", **SMALL), 3, 1, 0),
    "spline": (INN(**SMALL, transform="spline"), 4, 2, 0),
    "given": (INN(**SMALL, transform="mixed"), 3, 1, 1),
    "padded": (INN(loss="likelihood", **SMALL), 2, 2, 1),
    "zero-padded": (INN(loss="mmd", **SMALL, width=6), 2, 2, 0),
}
WITH_DENSITY = [name for name in NETWORKS if "padded" not in name]


@pytest.fixture(scope="module")
def networks():
    """Train each network once, when it is first asked for."""
    found = {}

    def get(name):
        if name not in found:
            found[name] = fit(*NETWORKS[name])
        return found[name]

    return get


@pytest.fixture(params=NETWORKS)
def case(request, networks):
    name = request.param
    return networks(name), study(*NETWORKS[name][1:])


@pytest.fixture(params=WITH_DENSITY)
def dense(request, networks):
    name = request.param
    return networks(name), study(*NETWORKS[name][1:])


def test_what_is_open_is_filled_in(networks):
    settings = networks("likelihood").settings
    assert (settings.loss, settings.latent, settings.width) == ("likelihood", 2, 3)
    assert settings.hidden == 16


# -- draws -----------------------------------------------------------------------------------------


def test_shapes_and_seeds_of_draws(case):
    fitted, (latent, observations) = case
    draws = fitted.sample(observations[:4], 7, np.random.default_rng(1))
    assert draws.shape == (4, 7, latent.shape[1])
    assert draws.dtype == np.float64
    assert np.array_equal(draws, fitted.sample(observations[:4], 7, np.random.default_rng(1)))
    assert len(np.unique(draws[..., 0])) == 28


def test_pieces_change_nothing(case, monkeypatch):
    fitted, (_, observations) = case
    whole = fitted.sample(observations[:1], 333, np.random.default_rng(2))
    many = fitted.sample(observations[:3], 4_000, np.random.default_rng(2))
    monkeypatch.setattr(importance, "ROWS", 300)
    again = fitted.sample(observations[:1], 333, np.random.default_rng(2))
    # The choice among candidates hangs on weights that are the same up to rounding.
    assert np.isclose(again, whole, atol=1e-4).mean() > 0.99
    # Observations that are drawn for together share one stream: other draws, of the same law.
    monkeypatch.setattr(fitted_inn, "ROWS", 50)
    alone = fitted.sample(observations[:3], 4_000, np.random.default_rng(3))
    gap = (alone.mean(axis=1) - many.mean(axis=1)) / many.std(axis=1)
    assert np.abs(gap).max() < 4 * np.sqrt(2 / 4_000)


def test_pieces_change_no_density(dense, monkeypatch):
    fitted, (latent, observations) = dense
    tables = [observations[:1], observations[:3]]
    whole = [fitted.log_prob(latent[:3], o) for o in tables]
    monkeypatch.setattr(importance, "ROWS", 3_000)
    monkeypatch.setattr(fitted_inn, "ROWS", 2)
    for expected, o in zip(whole, tables, strict=True):
        assert np.allclose(fitted.log_prob(latent[:3], o), expected, atol=1e-3)


def test_many_observations_have_draws_of_their_own(dense):
    fitted, (_, observations) = dense
    batch = observations[np.array([3, 5, 3])]
    draws = fitted.sample(batch, 10_000, np.random.default_rng(1))
    # Two means of 10,000 draws differ by sqrt(2 / 10000) sd, give or take; four times that is .06.
    sd = draws[0].std(axis=0).max()
    assert np.abs(draws[0].mean(axis=0) - draws[2].mean(axis=0)).max() < 0.06 * sd
    assert not np.allclose(draws[0], draws[2])


# -- densities -------------------------------------------------------------------------------------


def test_many_observations_equal_their_members(dense):
    fitted, (latent, observations) = dense
    together = fitted.log_prob(latent[:5], observations[:5])
    alone = [fitted.log_prob(latent[i : i + 1], observations[i : i + 1])[0] for i in range(5)]
    assert np.allclose(together, alone, atol=1e-3)


def test_an_observation_stands_for_the_rows_that_follow_each_other(dense, monkeypatch):
    fitted, (latent, observations) = dense
    found = fitted.log_prob(latent[:12], observations[:3])
    each = np.repeat(np.arange(3), 4)
    assert np.allclose(found, fitted.log_prob(latent[:12], observations[each]), atol=1e-3)
    other = fitted.log_prob(latent[:12], observations[each[::-1]])
    assert np.abs(other - found).max() > 0.01
    monkeypatch.setattr(fitted_inn, "ROWS", 5)  # pieces end within the rows of one observation
    assert np.allclose(fitted.log_prob(latent[:12], observations[:3]), found, atol=1e-3)


def test_weights_are_densities_up_to_a_constant_of_each_observation(dense):
    fitted, (latent, observations) = dense
    weight = fitted.log_weight(latent[:12], observations[:3])
    gap = (fitted.log_prob(latent[:12], observations[:3]) - weight).reshape(3, 4)
    assert np.allclose(gap, gap[:, :1], atol=1e-3)
    # The constant is the integral over all parameters; without a choice there is none to take.
    if fitted.weighted:
        assert (np.abs(np.diff(gap[:, 0])) > 1e-3).all()
    else:
        assert np.array_equal(gap, np.zeros((3, 4)))


def test_what_a_draw_takes(networks):
    expected = {"likelihood": 4, "own draws": 1, "mmd": 16, "padded": 1, "zero-padded": 1}
    assert {name: networks(name).evaluations for name in expected} == expected
    fitted = networks("likelihood")
    assert isinstance(fitted, Weigher)
    assert not isinstance(fitted, Summariser)
    eight = replace(fitted, settings=replace(fitted.settings, candidates=8))
    assert eight.evaluations == 8


def test_the_density_is_that_of_the_draws(dense):
    """The mean of f over draws is the integral of f times the density, here for f = 1 / density."""
    fitted, (_, observations) = dense
    fitted = fitted.at_tolerance(0.5)
    draws = fitted.sample(observations[:1], 20_000, np.random.default_rng(1))[0]
    density = np.exp(fitted.log_prob(draws, observations[:1]))
    low, high = np.quantile(draws, [0.2, 0.8], axis=0)
    inside = ((draws > low) & (draws < high)).all(axis=1)
    volume = np.where(inside, 1 / density, 0.0)
    # 16,384 candidates normalise the weighted density; that they are but four a draw leaves .03.
    error = 4 * volume.std() / np.sqrt(len(draws)) + 0.04 * volume.mean()
    assert abs(volume.mean() - np.prod(high - low)) < error


def test_the_integral_belongs_to_its_observation_and_tolerance(networks):
    fitted, (latent, observations) = networks("likelihood"), study(3, 1, 0)
    first = fitted.log_prob(latent[:5], observations[:1])
    other = fitted.log_prob(latent[:5], observations[1:2])
    wider = fitted.at_tolerance(1.0).log_prob(latent[:5], observations[:1])
    assert np.array_equal(fitted.log_prob(latent[:5], observations[:1]), first)
    fresh = replace(fitted).log_prob(latent[:5], observations[1:2])
    assert np.array_equal(fresh, other)
    assert not np.allclose(wider, first)


def test_no_rows(dense):
    fitted, (latent, observations) = dense
    assert fitted.log_prob(latent[:0], observations[:1]).shape == (0,)


def test_padding_has_no_density(networks):
    for name in ("padded", "zero-padded"):
        assert not networks(name).weighted
        with pytest.raises(NoDensityError, match='padded to .*no density .*method="cinn"$'):
            networks(name).log_prob(*study(*NETWORKS[name][1:]))
        with pytest.raises(NoDensityError, match="no density"):
            networks(name).log_weight(*study(*NETWORKS[name][1:]))
    # With fewer observables than parameters there is a choice.
    spare = fit(INN(**SMALL), 3, 2, epochs=1)
    with pytest.raises(NoDensityError, match=r"or without padding: INN\(latent=1\)"):
        spare.log_prob(*study(3, 2, 0))
    assert not fit(INN(**SMALL, latent=1), 3, 2, epochs=1).network.sides.padded


def test_one_candidate_is_the_networks_own_draw(networks):
    fitted = networks("likelihood")
    own = replace(fitted, settings=replace(fitted.settings, candidates=1))
    assert fitted.weighted
    assert not own.weighted
    y = study(3, 1, 0)[1][:1]
    # The same network: its own draws are what latents decode to, the others a choice of them.
    assert np.array_equal(own.decode(y, np.ones((1, 2))), fitted.decode(y, np.ones((1, 2))))
    rng = np.random.default_rng(1)
    rng.standard_normal((5, 1), dtype=np.float32)  # of the observation, here without tolerance
    latent = rng.standard_normal((5, 2), dtype=np.float32)
    draws = own.at_tolerance(0.0).sample(y, 5, np.random.default_rng(1))[0]
    assert np.allclose(draws, own.decode(y, latent), atol=1e-5)


def test_exactly_the_observation_has_no_density(dense):
    fitted, (latent, observations) = dense
    exactly = fitted.at_tolerance(0.0)
    with pytest.raises(NoDensityError, match=r"tolerance 0.*posterior.at_tolerance\(...\)"):
        exactly.log_prob(latent, observations)
    assert np.isfinite(exactly.sample(observations[:2], 50, np.random.default_rng(1))).all()


# -- tolerance, latent, predictions ----------------------------------------------------------------


def test_the_tolerance_is_the_networks_usual_error_unless_said(case):
    fitted, _ = case
    assert np.array_equal(fitted.tolerance, fitted.typical)
    other = fitted.at_tolerance(0.3)
    assert np.array_equal(other.tolerance, np.full(fitted.residual.shape, 0.3))
    assert other.network is fitted.network
    assert fitted.settings.tolerance is None
    assert np.array_equal(other.at_tolerance(None).tolerance, fitted.typical)
    assert fitted.at_tolerance(0.0).remark.endswith("tolerance 0")
    assert "tolerance 0.3 spreads" in other.remark


def test_the_remark_names_the_smallest_and_the_largest_tolerance(networks):
    fitted = replace(networks("spline"), typical=np.array([0.02, 0.3]))
    assert "tolerance 0.02 to 0.3 spreads" in fitted.remark


def test_categories_have_no_error():
    rng = np.random.default_rng(1)
    latent, rows = rng.standard_normal((ROWS, 3)), np.arange(ROWS)
    y = np.column_stack([latent[:, 0] > 0, latent[:, 1]])
    fitted = INN(**SMALL).fit(
        TrainingData(latent, Observations(y.astype(float), {}), rows[:350], rows[350:]),
        Training(epochs=1),
        seed=1,
        progress=False,
    )
    assert fitted.residual.all()
    assert fitted.tolerance[0] == 0 < fitted.tolerance[1]
    again = from_arrays(*fitted.to_arrays())
    assert np.array_equal(again.tolerance, fitted.tolerance)


def test_draws_spread_as_far_as_the_tolerance_says(dense):
    """The forward network at a draw gives y back, up to the tolerance."""
    fitted, (_, observations) = dense
    y = observations[:1]
    given = np.repeat(y.vector[:, fitted.network.sides.observables :], 4_000, axis=0)
    for tolerance in (0.0, 0.2):
        settings = replace(fitted.settings, candidates=1, tolerance=tolerance)
        own = replace(fitted, settings=settings)
        draws = own.sample(y, 4_000, np.random.default_rng(1))[0]
        m = fitted.network.sides.observables
        gap = (fitted.emulate(draws, given) - y.vector[:, :m]) / fitted.scaling.vector[1, :m]
        assert np.allclose(gap.std(axis=0), tolerance, rtol=4 / np.sqrt(8_000), atol=1e-4)


def test_the_latent_decides_at_one_observation(case):
    fitted, (latent, observations) = case
    z = np.zeros((3, fitted.latent_dim))
    z[1, 0] = 1.0
    found = fitted.decode(observations[:1], z)
    assert found.shape == (3, latent.shape[1])
    assert np.allclose(found[0], found[2], atol=1e-5)
    assert not np.allclose(found[0], found[1], atol=1e-3)
    assert isinstance(fitted, Decoder)
    assert isinstance(fitted, Emulator)


def test_predictions_are_in_the_observables_own_units(case):
    fitted, (latent, observations) = case
    m = fitted.network.sides.observables
    found = fitted.emulate(latent[350:], observations.vector[350:, m:])
    gap = (found - observations.vector[350:, :m]) / fitted.scaling.vector[1, :m]
    assert np.allclose(np.sqrt((gap**2).mean(axis=0)), fitted.residual, rtol=1e-3)
    # The usual error is that of a Gaussian with the same median: large ones have no say.
    assert np.allclose(1.4826 * np.median(np.abs(gap), axis=0), fitted.typical, rtol=1e-3)


# -- files and seeds -------------------------------------------------------------------------------


def test_the_seed_decides():
    settings, *shape = NETWORKS["likelihood"]
    one, same, other = (fit(settings, *shape, seed=s, epochs=1) for s in (1, 1, 2))
    observations = study(*shape)[1][:1]
    draws = [f.sample(observations, 5, np.random.default_rng(1)) for f in (one, same, other)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_to_arrays_and_back(case):
    fitted, (latent, observations) = case
    again = from_arrays(*fitted.to_arrays())
    draws = fitted.sample(observations[:3], 50, np.random.default_rng(1))
    assert np.array_equal(again.sample(observations[:3], 50, np.random.default_rng(1)), draws)
    given = observations.vector[:, fitted.network.sides.observables :]
    assert np.array_equal(again.emulate(latent, given), fitted.emulate(latent, given))
    if not fitted.network.sides.padded:
        found, expected = (f.log_prob(draws[0], observations[:1]) for f in (again, fitted))
        assert np.array_equal(found, expected)
    for name in ("settings", "history", "remark", "weighted"):
        assert getattr(again, name) == getattr(fitted, name)
    assert again.describe() == fitted.describe()


def test_what_it_says_of_itself(networks):
    assert networks("likelihood").describe().startswith("INN by likelihood of 3 affine coupling")
    assert networks("mmd").describe().endswith("3 parameters to 1 observable and 2 latents")
    assert "by mean discrepancies" in networks("zero-padded").describe()
    assert "both padded to 6" in networks("zero-padded").describe()
    assert networks("mmd").history.quantity != networks("likelihood").history.quantity


def test_what_cannot_be_read_back(networks):
    config, arrays = networks("likelihood").to_arrays()
    damaged = [
        (config, arrays | {"weights": {}}),
        (config, arrays | {"errors": {}}),
        (config | {"settings": {**config["settings"], "hidden": 99}}, arrays),
        (config | {"settings": {**config["settings"], "loss": "magic"}}, arrays),
        (config | {"layout": {**config["layout"], "width": 2}}, arrays),
        (config | {"layout": {**config["layout"], "latent": 0}}, arrays),
        ({"name": "inn"}, arrays),
    ]
    for broken in damaged:
        with pytest.raises(LoadError, match="do not fit the settings"):
            from_arrays(*broken)


# -- what it cannot do -----------------------------------------------------------------------------


def test_sets_and_nothing_are_refused():
    latent, _ = study(2, 1, 0)
    padded = PaddedSet(np.zeros((ROWS, 3, 1)), np.full(ROWS, 3))
    rows = np.arange(ROWS)
    for observations, came in (
        (Observations(np.zeros((ROWS, 1)), {"n_trials": padded}), "sets: n_trials"),
        (Observations(np.ones((ROWS, 2)), {}, 2), "none"),
    ):
        data = TrainingData(latent, observations, rows[:350], rows[350:])
        with pytest.raises(ShapeError, match=f'got {came}. Use method="cinn"'):
            INN().fit(data, Training(epochs=1), seed=1)


def test_discrepancies_in_many_dimensions_warn():
    rng = np.random.default_rng(1)
    latent = rng.standard_normal((ROWS, 21))
    rows, training = np.arange(ROWS), Training(epochs=1)
    observations = Observations(latent[:, :1] + 1.0, {})
    data = TrainingData(latent, observations, rows[:350], rows[350:])
    with pytest.warns(UserWarning, match=r"about 20 dimensions; here are 21.*likelihood"):
        INN(loss="mmd", **SMALL).fit(data, training, seed=1, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = INN(**SMALL).fit(data, training, seed=1, progress=False)
    assert fitted.network.sides.latent == 20


def test_the_ablations_leave_losses_out():
    some = [
        INN(loss="mmd", **SMALL, terms=terms) for terms in (("x",), ("y", "z"), ("y", "z", "x"))
    ]
    assert len({fit(settings, epochs=1).history.validation_loss for settings in some}) == 3
