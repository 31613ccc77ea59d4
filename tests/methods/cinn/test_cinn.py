"""Conditional invertible networks: whole tables of draws and densities, and files."""

import json

import numpy as np
import pytest
import scipy.stats as st
import torch

from sbi_inn.errors import LoadError
from sbi_inn.methods import CINN, Summariser, TrainingData, Weigher, from_arrays
from sbi_inn.methods.cinn import fitted as cinn
from sbi_inn.methods.cinn.network import PRIOR_SHARE, Pairs
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.summary_networks import Batch, Scaling
from sbi_inn.training.loop import Training

ROWS = 300


def study(dim, seed=0):
    """Latent parameters, and observations with a vector and a ragged set."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((ROWS, dim))
    sizes = rng.integers(1, 6, ROWS)
    values = latent[:, None, :1] + 0.5 * rng.standard_normal((ROWS, 5, 1))
    values[np.arange(5) >= sizes[:, None]] = 0.0
    vector = latent @ np.ones((dim, 2)) + 0.1 * rng.standard_normal((ROWS, 2))
    return latent, Observations(vector, {"n": PaddedSet(values, sizes)})


def fit(settings, dim=3, seed=1):
    latent, observations = study(dim)
    rows = np.arange(ROWS)
    training = Training(epochs=2)
    data = TrainingData(latent, observations, rows[:250], rows[250:])
    return settings.fit(data, training, seed=seed, progress=False)


NETWORKS = {
    "mixed": (CINN(blocks=3, hidden=16, transform="mixed"), 3),
    "affine": (CINN(blocks=2, hidden=16, transform="affine"), 3),
    "spline": (CINN(blocks=2, hidden=16, transform="spline"), 2),
    "one parameter": (CINN(blocks=2, hidden=16), 1),
}


@pytest.fixture(scope="module", params=NETWORKS)
def fitted(request):
    settings, dim = NETWORKS[request.param]
    return fit(settings, dim)


def test_what_is_open_is_filled_in(fitted):
    settings = CINN().resolve(1_000, 3)
    assert None not in (settings.blocks, settings.hidden, settings.dropout)
    given = CINN(blocks=2, hidden=9, dropout=0.1)
    assert given.resolve(1_000, 3) == given
    assert None not in (fitted.settings.blocks, fitted.settings.hidden)


def test_nothing_is_dropped_where_it_does_harm():
    rates = {
        "three parameters": CINN().resolve(1_000, 3).dropout,
        "two": CINN().resolve(1_000, 2).dropout,
        "sets": CINN().resolve(1_000, 3, sets=True).dropout,
        "series": CINN().resolve(1_000, 3, series=True).dropout,
        "sets, as asked": CINN(dropout=0.2).resolve(1_000, 3, sets=True).dropout,
    }
    assert 0 < rates.pop("series") < 0.5 * rates.pop("three parameters")
    assert rates == {"two": 0, "sets": 0, "sets, as asked": 0.2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": 0}, "blocks=...\\) must be positive; got 0"),
        ({"hidden": -3}, "hidden=...\\) must be positive; got -3"),
        ({"clamp": 0.0}, "clamp=...\\) must be positive"),
        ({"transform": "planar"}, "transform=...\\) must be .*got 'planar'"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        CINN(**settings)


def test_shapes_and_seeds_of_draws(fitted):
    dim = fitted.shape.dim
    observations = study(dim)[1][:4]
    draws = fitted.sample(observations, 7, np.random.default_rng(1))
    assert draws.shape == (4, 7, dim)
    assert draws.dtype == np.float64
    assert np.array_equal(draws, fitted.sample(observations, 7, np.random.default_rng(1)))
    assert len(np.unique(draws[..., 0])) == 28


def test_pieces_change_nothing(fitted, monkeypatch):
    observations = study(fitted.shape.dim)[1][:5]
    many = [(5, 40), (2, 333), (1, 100)]
    whole = [fitted.sample(observations[:k], n, np.random.default_rng(2)) for k, n in many]
    latent = study(fitted.shape.dim)[0]
    densities = [
        fitted.log_prob(latent, observations[:1]),
        fitted.log_prob(latent, study(fitted.shape.dim)[1]),
    ]
    monkeypatch.setattr(cinn, "ROWS", 64)
    for expected, (k, n) in zip(whole, many, strict=True):
        found = fitted.sample(observations[:k], n, np.random.default_rng(2))
        assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(fitted.log_prob(latent, observations[:1]), densities[0], atol=1e-4)
    assert np.allclose(fitted.log_prob(latent, study(fitted.shape.dim)[1]), densities[1], atol=1e-4)


def test_many_observations_equal_their_members(fitted):
    latent, observations = study(fitted.shape.dim)
    together = fitted.log_prob(latent[:20], observations[:20])
    alone = [fitted.log_prob(latent[i : i + 1], observations[i : i + 1])[0] for i in range(20)]
    assert np.allclose(together, alone, atol=1e-4)
    # Two observations that are the same draw from the same distribution, whatever stands between.
    batch = observations[np.array([3, 5, 3])]
    draws = fitted.sample(batch, 20_000, np.random.default_rng(1))
    # Two means of 20,000 draws differ by sqrt(2 / 20000) sd, give or take; four times that is .04.
    assert np.abs(draws[0].mean(axis=0) - draws[2].mean(axis=0)).max() < 0.04 * draws[0].std()


def test_an_observation_stands_for_the_rows_that_follow_each_other(fitted, monkeypatch):
    latent, observations = study(fitted.shape.dim)
    found = fitted.log_prob(latent[:20], observations[:4])
    each = np.repeat(np.arange(4), 5)
    assert np.allclose(found, fitted.log_prob(latent[:20], observations[each]), atol=1e-4)
    other = fitted.log_prob(latent[:20], observations[each[::-1]])
    assert np.abs(other - found).max() > 0.01
    monkeypatch.setattr(cinn, "ROWS", 7)  # pieces end within the rows of one observation
    assert np.allclose(fitted.log_prob(latent[:20], observations[:4]), found, atol=1e-4)


def test_summaries_belong_to_their_observations(fitted, monkeypatch):
    _, observations = study(fitted.shape.dim)
    found = fitted.summarise(observations)
    assert found.shape == (ROWS, fitted.network.summary.features)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    monkeypatch.setattr(cinn, "ROWS", 64)
    assert np.allclose(fitted.summarise(observations), found, atol=1e-5)
    assert np.allclose(fitted.summarise(observations[7:8])[0], found[7], atol=1e-5)
    assert not np.allclose(found[7], found[8], atol=1e-3)
    # What a set holds is seen, and not only the vector beside it.
    other = Observations(observations.vector, observations[np.arange(ROWS)[::-1]].sets)
    assert not np.allclose(fitted.summarise(other), found, atol=1e-3)
    assert isinstance(fitted, Summariser)
    assert not isinstance(fitted, Weigher)  # one look at the network a draw


def test_the_density_is_that_of_the_draws(fitted):
    """The mean of f over draws is the integral of f times the density, here for f = 1 / density."""
    dim = fitted.shape.dim
    observation = study(dim)[1][:1]
    draws = fitted.sample(observation, 40_000, np.random.default_rng(1))[0]
    density = np.exp(fitted.log_prob(draws, observation))
    low, high = np.quantile(draws, [0.2, 0.8], axis=0)
    inside = ((draws > low) & (draws < high)).all(axis=1)
    volume = np.where(inside, 1 / density, 0.0)
    error = volume.std() / np.sqrt(len(draws))
    assert abs(volume.mean() - np.prod(high - low)) < 4 * error


def test_draws_are_encoded_as_what_they_are_decoded_from(fitted):
    _, observations = study(fitted.latent_dim)
    z = np.random.default_rng(2).normal(size=(200, fitted.latent_dim))
    draws = fitted.decode(observations[:1], z)
    back, log_det = fitted.encode(observations[:1], draws)
    assert np.allclose(back, z, atol=1e-3)
    # The change of variables (eq. 3.5).
    expected = st.norm.logpdf(back).sum(axis=1) + log_det
    assert np.allclose(fitted.log_prob(draws, observations[:1]), expected, atol=1e-4)


def test_no_rows(fitted):
    observation = study(fitted.shape.dim)[1][:1]
    assert fitted.log_prob(np.empty((0, fitted.shape.dim)), observation).shape == (0,)


def test_the_seed_decides():
    settings, dim = NETWORKS["mixed"]
    one, same, other = (fit(settings, dim, seed) for seed in (1, 1, 2))
    observations = study(dim)[1][:1]
    draws = [f.sample(observations, 5, np.random.default_rng(1)) for f in (one, same, other)]
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_to_arrays_and_back(fitted):
    config, arrays = fitted.to_arrays()
    again = from_arrays(config, arrays)
    observations = study(fitted.shape.dim)[1][:3]
    draws = fitted.sample(observations, 50, np.random.default_rng(1))
    assert np.array_equal(again.sample(observations, 50, np.random.default_rng(1)), draws)
    assert np.array_equal(
        again.log_prob(draws[0], observations[:1]), fitted.log_prob(draws[0], observations[:1])
    )
    assert again.settings == fitted.settings
    assert again.history == fitted.history
    assert again.describe() == fitted.describe()
    assert f"{fitted.settings.blocks}" in fitted.describe()


def test_files_of_before_have_the_cuts_of_discrete_parameters_in_the_settings():
    latent, observations = study(2)
    rows, cuts = np.arange(ROWS), ((0, (-0.5, 0.7)),)
    data = TrainingData(latent, observations, rows[:250], rows[250:], cuts)
    fitted = CINN(blocks=2, hidden=8).fit(data, Training(epochs=1), seed=1, progress=False)
    config, arrays = fitted.to_arrays()
    config["settings"]["pieces"] = config["shape"].pop("cuts")
    again = from_arrays(json.loads(json.dumps(config)), arrays)
    assert again.cuts == cuts
    assert again.settings == fitted.settings
    assert np.array_equal(
        again.log_prob(latent, observations), fitted.log_prob(latent, observations)
    )


def test_what_cannot_be_read_back(fitted):
    config, arrays = fitted.to_arrays()
    with pytest.raises(LoadError, match="a method among cinn, inn, field, ensemble; got 'flow'"):
        from_arrays(config | {"name": "flow"}, arrays)
    with pytest.raises(LoadError, match="do not fit the settings"):
        from_arrays(config, arrays | {"weights": {}})
    wider = {**config["settings"], "hidden": 99}
    with pytest.raises(LoadError, match="do not fit the settings"):
        from_arrays(config | {"settings": wider}, arrays)
    with pytest.raises(LoadError, match="do not fit the settings"):
        from_arrays({"name": "cinn"}, arrays)


def test_a_row_in_the_tails_has_a_bounded_score():
    network = fit(CINN(blocks=2, hidden=16)).network
    latent, observations = study(3)
    scaling = Scaling.fit(observations)
    pairs = Pairs(torch.from_numpy(latent.astype(np.float32)), Batch.of(observations, scaling))
    with torch.inference_mode():
        # In the bulk the score is the loss, but for the share of the prior.
        apart = (network.score(pairs) - network.loss(pairs)).abs()
        assert apart.quantile(0.9) < 0.01
        # A row that the network gives next to no density costs what the prior says, and log 1000.
        first = network.flow.bijections[1].bijections[0]
        first.log_scale.fill_(15.0)
        most = -network.latent.log_prob(pairs.latent) - np.log(PRIOR_SHARE)
        assert (network.loss(pairs) > 1e6).all()
        assert torch.allclose(network.score(pairs), most, atol=1e-3)
        first.log_scale.fill_(np.nan)
        assert torch.allclose(network.score(pairs), most, atol=1e-3)
