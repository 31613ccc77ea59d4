"""The competitors of the thesis: known posteriors, shapes and seeds, and what they cannot do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from competitors import CGAN, CVAE, Dropout, MMDGenerator
from competitors.cgan import _Players
from competitors.data import Pairs, Study
from competitors.iaf import InverseAutoregressiveFlow
from competitors.layers import Dense
from competitors.mmd import paired_mmd
from torch import nn

import sbi_inn as si
from sbi_inn.errors import ShapeError
from sbi_inn.methods import TrainingData
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.training.loop import seeded

SMALL = {
    "cVAE": CVAE(hidden=32, layers=3),
    "cVAE-IAF": CVAE(iaf=True, hidden=32, layers=3, steps=2, flow_hidden=16),
    "cGAN": CGAN(hidden=32, layers=3, discriminator_layers=3, pretraining=20),
    "generator with MMD": MMDGenerator(hidden=32, layers=3),
    "dropout network": Dropout(hidden=64, layers=3, dropout=0.1),
}
TRAINING = {
    "cGAN": {"steps": 1_000, "learning_rate": 2e-3},
    "generator with MMD": {"steps": 800},
}
ROWS = 2_500
NOISE = 0.5


def table(kind, seed=0):
    """Latent parameters (two) and what is observed of them."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((ROWS, 2))
    noise = rng.standard_normal(ROWS)
    seen = latent[:, 0] + NOISE * noise if kind == "line" else latent[:, 0] ** 2 + 0.1 * noise
    return latent, Observations(seen[:, None], {})


def fit(settings, kind="line", *, steps=400, seed=1, **training):
    latent, observations = table(kind)
    rows = np.arange(ROWS)
    batch = 128
    return settings.fit(
        TrainingData(latent, observations, rows[:2_000], rows[2_000:]),
        si.Training(epochs=max(1, steps // (2_000 // batch)), batch_size=batch, **training),
        seed=seed,
        progress=False,
    )


def draws_at(fitted, y, n=4_000, seed=1):
    return fitted.sample(Observations(np.array([[y]]), {}), n, np.random.default_rng(seed))[0]


@pytest.fixture(scope="module", params=SMALL)
def fitted(request):
    return fit(SMALL[request.param], **TRAINING.get(request.param, {}))


@pytest.fixture(scope="module", params=SMALL)
def briefly(request):
    """For what holds of a network that has learned next to nothing, too."""
    return fit(SMALL[request.param], steps=45)


# -- what they draw --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("y", [-1.5, 0.0, 1.5])
def test_the_mean_of_a_gaussian(fitted, y):
    """The posterior of x1 is N(y / (1 + .25), .25 / (1 + .25)); that of x2 is the prior."""
    draws = draws_at(fitted, y)
    sd = np.sqrt(NOISE**2 / (1 + NOISE**2))
    # The means of 4,000 draws are off by .016 sd by chance, 2,000 rows by .02; the rest is room
    # for a short training. Left at the prior, the first would be off by 2.7 sd at |y| = 1.5.
    assert abs(draws[:, 0].mean() - y / (1 + NOISE**2)) < 0.4 * sd
    assert abs(draws[:, 1].mean()) < 0.4
    # A cVAE's draws leave out the decoder's noise (here little); a GAN's width is its weak point.
    assert 0.6 * sd < draws[:, 0].std() < 1.4 * sd


def share_of_modes(draws, y):
    """Share of draws around -sqrt(y), in the valley between, and around sqrt(y)."""
    place = draws[:, 0] / np.sqrt(y)
    return [((place > a) & (place < b)).mean() for a, b in ((-1.5, -0.5), (-0.5, 0.5), (0.5, 1.5))]


@pytest.mark.parametrize(
    ("name", "rate"),
    [pytest.param("cVAE-IAF", None, marks=pytest.mark.slow), ("generator with MMD", 1e-2)],
)
def test_two_modes(name, rate):
    fitted = fit(SMALL[name], "square", steps=1_000, learning_rate=rate)
    left, between, right = share_of_modes(draws_at(fitted, 1.5), 1.5)
    # The truth is .5, 0, .5. One Gaussian of the same variance would show .24, .38, .24.
    assert min(left, right) > 0.35
    assert between < 0.2


def test_a_dropout_network_shows_no_two_modes():
    draws = draws_at(fit(SMALL["dropout network"], "square"), 1.5)
    left, between, right = share_of_modes(draws, 1.5)
    assert between > 0.3 > max(left, right)


def test_shapes_and_seeds_of_draws(briefly):
    observations = table("line")[1][:4]
    draws = briefly.sample(observations, 7, np.random.default_rng(1))
    assert draws.shape == (4, 7, 2)
    assert draws.dtype == np.float64
    assert np.array_equal(draws, briefly.sample(observations, 7, np.random.default_rng(1)))
    assert not np.array_equal(draws, briefly.sample(observations, 7, np.random.default_rng(2)))
    assert len(np.unique(draws[..., 0])) == 28


@pytest.mark.parametrize("name", SMALL)
def test_the_seed_decides_and_global_randomness_is_left_alone(name):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    one, same, other = (
        draws_at(fit(SMALL[name], steps=45, seed=seed), 0.5, 10) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_validation_sees_the_same_noise(briefly):
    latent, observations = table("line")
    data = TrainingData(latent, observations, np.arange(2_000), np.arange(2_000, ROWS))
    validation = Study.of(data).validation
    loss = getattr(briefly.network, "loss", None)
    if loss is not None:
        assert torch.equal(loss(validation), loss(validation))
        assert not torch.equal(
            loss(validation), loss(replace(validation, generator=torch.Generator()))
        )


# -- the interface ---------------------------------------------------------------------------------


def test_an_ordinary_posterior():
    posterior = si.fit_posterior(
        "inverse_kinematics",
        n_simulations=300,
        method=CVAE(iaf=True, hidden=16),
        training=si.Training(epochs=1),
        seed=1,
        progress=False,
    )
    y = {"across": 1.6, "up": 0.1}
    assert posterior.sample(y, 5).sizes == {"draw": 5}
    assert "cVAE-IAF of" in repr(posterior)
    assert np.isfinite(posterior.calibration().value)
    with pytest.raises(TypeError, match="cVAE-IAF has no density"):
        posterior.log_prob({n: 0.0 for n in posterior.prior.names}, y)


def test_neither_density_nor_file(briefly):
    observation = table("line")[1][:1]
    with pytest.raises(TypeError, match=f"{briefly.settings.label} has no density"):
        briefly.log_prob(np.zeros((1, 2)), observation)
    with pytest.raises(TypeError, match=f"{briefly.settings.label} .*cannot be saved"):
        briefly.to_arrays()


def test_the_number_of_weights_is_said(briefly):
    weights = sum(p.numel() for p in briefly.network.parameters())
    assert briefly.describe() == f"{briefly.settings.label} of {weights:,} weights"


@pytest.mark.parametrize(
    "settings", [CVAE(), CVAE(iaf=True), CGAN(), MMDGenerator(), Dropout()], ids=lambda s: s.label
)
def test_the_defaults_are_of_one_size(settings):
    latent, observations = np.zeros((50, 4)), Observations(np.ones((50, 2)), {})
    rows = np.arange(50)
    fitted = settings.fit(
        TrainingData(latent, observations, rows, rows),
        si.Training(epochs=1),
        seed=1,
        progress=False,
    )
    assert 150_000 < fitted.network.size() < 250_000
    assert None not in vars(fitted.settings).values()


def test_the_larger_gan_of_the_thesis():
    latent, observations = table("line")
    rows = np.arange(300)
    fitted = CGAN.larger().fit(
        TrainingData(latent, observations, rows, rows),
        si.Training(epochs=1),
        seed=1,
        progress=False,
    )
    # Generator and discriminator: 2M.
    assert 1_000_000 < fitted.network.size() < 1_300_000
    # Its dropout stays on: with its noise held, two draws differ.
    assert draws_at(fitted, 0.0, 3).std() > 0


@pytest.mark.parametrize("settings", SMALL.values(), ids=SMALL)
def test_sets_are_not_supported(settings):
    latent = np.zeros((50, 2))
    sets = {"n": PaddedSet(np.zeros((50, 3, 1)), np.full(50, 3))}
    rows = np.arange(50)
    data = TrainingData(latent, Observations(np.zeros((50, 1)), sets), rows, rows)
    with pytest.raises(ShapeError, match="fixed shape; got sets of varying length: n"):
        settings.fit(data, si.Training(), seed=1)


@pytest.mark.parametrize(
    ("settings", "values", "message"),
    [
        (CVAE, {"latent": 0}, "CVAE\\(latent=...\\) must be positive; got 0"),
        (CVAE, {"reconstruction": -1.0}, "CVAE\\(reconstruction"),
        (Dropout, {"dropout": 1.0}, "must lie in \\(0, 1\\); got 1.0"),
        (MMDGenerator, {"widths": ()}, "MMDGenerator\\(widths"),
        (MMDGenerator, {"noise": 0}, "MMDGenerator\\(noise"),
        (CGAN, {"hidden": 0}, "CGAN\\(hidden"),
        (CGAN, {"variance_penalty": -1.0}, "variance_penalty >= 0"),
    ],
)
def test_settings_that_cannot_be(settings, values, message):
    with pytest.raises(ValueError, match=message):
        settings(**values)


# -- the parts -------------------------------------------------------------------------------------


def flow(dim, steps=3):
    """A flow with weights far from where they start, in float64."""
    with seeded(dim):
        found = InverseAutoregressiveFlow(dim, 4, hidden=7, steps=steps).double()
        for parameter in found.parameters():
            nn.init.normal_(parameter, std=0.7)
    return found


def jacobian(bijection, z, context):
    return torch.autograd.functional.jacobian(lambda z: bijection(z[None], context)[0][0], z)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_log_determinant_of_the_flow(dim):
    generator = torch.Generator().manual_seed(dim)
    rows = torch.randn(5, dim, generator=generator, dtype=torch.float64)
    context = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    found, step = flow(dim), flow(dim, 1).steps[0]
    _, log_det = found(rows, context)
    triangle = torch.zeros(dim, dim, dtype=torch.float64)
    for z, here, expected in zip(rows, context.split(1), log_det, strict=True):
        assert torch.allclose(torch.linalg.slogdet(jacobian(found, z, here))[1], expected)
        triangle += jacobian(step, z, here).abs()
    # A number depends on itself and all before it, and on none after.
    assert torch.equal(triangle != 0, torch.ones(dim, dim).tril().bool())


def test_the_context_steers_every_number_of_the_flow():
    found, z = flow(3), torch.zeros(2, 3, dtype=torch.float64)
    one, other = found(z, torch.eye(4, dtype=torch.float64)[:2])[0]
    assert (one != other).all()


def test_the_mmd_of_pairs_is_its_definition():
    generator = torch.Generator().manual_seed(1)
    truth, drawn = torch.randn(2, 6, 3, generator=generator)
    widths = (0.5, 2.0)

    def kernel(a, b):
        return sum(1 / (1 + (a - b).square().sum() / h**2) for h in widths)

    expected = np.mean(
        [
            kernel(truth[i], truth[j])
            + kernel(drawn[i], drawn[j])
            - kernel(truth[i], drawn[j])
            - kernel(truth[j], drawn[i])
            for i in range(6)
            for j in range(6)
            if i != j
        ]
    )
    assert paired_mmd(truth, drawn, widths).mean().item() == pytest.approx(expected, abs=1e-5)


def test_the_mmd_of_pairs_is_unbiased():
    generator = torch.Generator().manual_seed(1)
    found, shifted = [], []
    for _ in range(400):
        seen = torch.randn(20, 1, generator=generator)
        truth, drawn = (
            torch.cat([seen, x], dim=1) for x in torch.randn(2, 20, 1, generator=generator)
        )
        found.append(paired_mmd(truth, drawn, (0.5,)).mean().item())
        shifted.append(paired_mmd(truth, drawn + torch.tensor([0, 1]), (0.5,)).mean().item())
    error = np.std(found) / np.sqrt(400)
    # Were the products of a row with its own draw kept, the mean would be 35 errors below zero.
    assert abs(np.mean(found)) < 3 * error
    assert np.mean(shifted) > 20 * error


def test_dropout_keeps_the_mean_and_its_generator_decides():
    with seeded(1):
        net = Dense(1, 1, hidden=64, layers=2, dropout=0.2)
        plain = Dense(1, 1, hidden=64, layers=2)
    plain.load_state_dict(net.state_dict())
    x = torch.ones(20_000, 1)
    with torch.no_grad():
        one, same, other = (net(x, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
        expected = plain(x[:1]).item()
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert abs(one.mean().item() - expected) < 4 * one.std().item() / np.sqrt(20_000)


# -- the game --------------------------------------------------------------------------------------


def test_the_game_trains_as_long_as_it_is_told():
    history = fit(SMALL["cGAN"], steps=45).history
    assert (history.steps, history.stopped) == (45, "finished")
    assert history.epoch == (1.0, 2.0, 3.0)
    history = fit(SMALL["cGAN"], steps=10**7, max_seconds=0.5).history
    assert history.stopped == "time"
    assert 0.5 <= history.seconds < 10


def test_the_last_generator_of_the_game_is_kept():
    fitted = fit(SMALL["cGAN"], steps=150, patience=1)
    history = fitted.history
    assert history.best_epoch == history.epoch[-1] == 10.0
    players = _Players(fitted.settings, 2, 1)
    players.generator.load_state_dict(fitted.network.state_dict())
    latent, observations = table("line")
    data = TrainingData(latent, observations, np.arange(2_000), np.arange(2_000, ROWS))
    validation = Study.of(data).validation
    with torch.no_grad():
        score = players.score(validation).mean().item()
    assert score == pytest.approx(history.validation_loss[-1], abs=1e-6)


def test_pretraining_is_a_regression():
    fitted = fit(replace(SMALL["cGAN"], pretraining=400), steps=400)
    draws = draws_at(fitted, 1.5)
    assert abs(draws[:, 0].mean() - 1.2) < 0.2
    assert draws.std(axis=0).max() < 0.15  # a regression has no width


def test_the_penalty_of_the_variances():
    settings = replace(SMALL["cGAN"], variance_penalty=0.0)
    latent, observed = torch.randn(2, 200, 2, generator=torch.Generator().manual_seed(1))
    pairs = Pairs(latent, observed[:, :1])
    with seeded(1), torch.no_grad():
        players = _Players(settings.resolve(2), 2, 1)
        gap = players.generator.generate(pairs.observed, pairs.noise()).var(0) - latent.var(0)
        without = players.generator_loss(pairs)
        players.variance_penalty = 10.0
        difference = players.generator_loss(pairs) - without
    assert torch.allclose(difference, 10 * gap.square().sum(), rtol=1e-4)


def test_a_game_that_diverges_ends():
    history = fit(SMALL["cGAN"], steps=450, learning_rate=1e30).history
    assert history.stopped == "diverged"
    assert history.steps < 450
