"""A likelihood that is learned, its modes, and a start from them, against known laws."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from sbi_inn.flows import GaussianStart, LaplaceStart, laplace_start
from sbi_inn.flows.laplace_start import MENDED
from sbi_inn.likelihoods import learning
from sbi_inn.likelihoods.laplace import Box, modes
from sbi_inn.likelihoods.learning import learned, parts_of
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.networks import LARGE, LONG, SMALL

VALUES = 24
EACH = tuple(range(VALUES))


def decay(x):
    """Expected values of a decay whose rate spans a factor of fifty."""
    times = torch.linspace(0.1, 4, VALUES, dtype=x.dtype)
    return (0.5 * x[:, :1]).exp() * torch.exp(-times * x[:, 1:2].exp())


def rows(n, seed):
    """Parameters (size, rate, noise) and noisy values; log noise is one of the parameters."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=draw)
    noise = torch.exp(0.7 * x[:, 2:] - 3)
    return x, decay(x) + noise * torch.randn(n, VALUES, generator=draw)


@pytest.fixture(scope="module")
def likelihoods():
    x, y = rows(3_000, 1)
    return learned(x.double(), y.double())


@pytest.fixture(scope="module")
def started():
    """Give a start, and what it says of its own rows; without larger networks, to save time."""
    start = LaplaceStart(3, VALUES, VALUES, EACH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laplace_start, "LARGE", SMALL)
        return start, start.fit(*rows(1_000, 1))


def test_a_likelihood_expects_what_the_simulator_gives(likelihoods):
    x, _ = rows(2_000, 2)
    expected = likelihoods[0](x.double())
    away = (expected.mean - decay(x.double())).abs()
    size = (0.5 * expected.log_variance).exp()
    # In units of the noise, which is .05 of the values' own size.
    assert (away / size).median() < 0.4
    noise = torch.exp(0.7 * x[:, 2:].double() - 3)
    assert (size / noise).log().abs().median() < math.log(1.2)


@pytest.mark.slow
def test_larger_networks_are_taken_where_they_expect_better():
    """What is expected bends a lot, beside little noise."""

    def right(x):
        return torch.stack([(3 * x[:, 0]).sin() * x[:, 1], (3 * x[:, 1]).cos()], dim=1)

    draw = torch.Generator().manual_seed(1)
    x = torch.randn(2_000, 2, generator=draw).double()
    y = right(x) + 0.02 * torch.randn(2_000, 2, generator=draw).double()
    small, large = (learned(x, y, sizes=sizes)[0] for sizes in ((SMALL,), (SMALL, LARGE)))
    assert [len(one.first_bias) for one in (small, large)] == [SMALL.hidden, LARGE.hidden]
    there = torch.randn(1_000, 2, generator=draw).double().clamp(-2, 2)
    off = [(one.law(there)[0] - right(there)).abs().median() for one in (small, large)]
    assert off[1] < 0.5 * off[0]


def test_smaller_networks_are_kept_where_nothing_bends():
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(400, 2, generator=draw).double()
    y = x @ torch.randn(2, 6, generator=draw).double()
    y = y + torch.randn(400, 6, generator=draw).double()
    likelihood, _ = learned(x, y, sizes=(SMALL, LARGE))
    assert len(likelihood.first_bias) == SMALL.hidden


@pytest.mark.parametrize(
    ("losses", "tried", "kept"),
    [
        # Mean losses of ten observables; two nats are worth a longer training.
        ((1.0, 0.0, -0.5), [LARGE, LONG], -0.5),
        ((1.0, 0.0, 0.1), [LARGE, LONG], 0.0),
        ((1.0, 0.9, -0.5), [LARGE], 0.9),
        ((1.0, 1.1, -0.5), [LARGE], 1.0),
    ],
)
def test_a_longer_training_is_tried_where_a_larger_network_gained_much(
    losses, tried, kept, monkeypatch
):
    by_size = dict(zip((SMALL, LARGE, LONG), losses, strict=True))
    seen = []

    def fake(members, table, size, beat=math.inf):
        seen.append(size)
        return learning._Trained(by_size[size], [], members)

    monkeypatch.setattr(learning, "_trained", fake)
    table = learning._Table(torch.zeros(9, 2), torch.zeros(9, 10), [])
    found = learning._larger(fake([], table, SMALL), table, (LARGE, LONG))
    assert seen[1:] == tried
    assert found.loss == kept


def test_a_file_says_how_wide_networks_are():
    large = Likelihood(2, 3, hidden=LARGE.hidden)
    large.first.copy_(torch.arange(2 * LARGE.hidden).reshape(LARGE.hidden, 2))
    small = Likelihood(2, 3)
    small.load_state_dict(large.state_dict())
    assert torch.equal(small.first, large.first)
    assert small.last.shape == large.last.shape


def test_slopes_are_those_of_what_is_expected(likelihoods):
    x = rows(20, 3)[0].double().requires_grad_()
    likelihood = likelihoods[0]
    for name in ("mean", "log_variance"):
        by_hand = getattr(likelihood(x), f"{name}_slope").detach()
        summed = torch.autograd.functional.jacobian(
            lambda x, name=name: getattr(likelihood(x), name).sum(dim=0), x
        )
        assert torch.allclose(by_hand, summed.permute(1, 2, 0), atol=1e-9)


def test_it_says_the_same_without_slopes(likelihoods):
    x = rows(20, 3)[0].double()
    expected, (mean, log_variance) = likelihoods[0](x), likelihoods[0].law(x)
    assert torch.allclose(mean, expected.mean)
    assert torch.allclose(log_variance, expected.log_variance)


def test_rows_are_compared_by_its_normal_law(likelihoods):
    x, y = (part.double() for part in rows(1_000, 4))
    misfit, density = likelihoods[0].compare(x, y)
    mean, log_variance = likelihoods[0].law(x)
    width = (0.5 * log_variance).exp()
    covariance = width[:, :, None] * likelihoods[0].correlation * width[:, None]
    exact = torch.distributions.MultivariateNormal(mean, covariance).log_prob(y)
    assert torch.allclose(density - density[0], exact - exact[0])
    assert 0.9 < misfit.median() < 1.1  # 24 values a row


def test_what_is_said_of_rows_left_out_is_as_wide_as_they_are(likelihoods):
    x, y = (part.double() for part in rows(3_000, 1))
    whole, folds = likelihoods
    for (part, _), fold in zip(parts_of(len(x)), folds, strict=True):
        expected = fold(x[part])
        left = (y[part] - expected.mean) * torch.exp(-0.5 * expected.log_variance)
        # 750 rows of 24 values; rows in tails are cut off where noise is learned.
        assert 0.95 < left.clamp(-4, 4).square().mean().sqrt() < 1.05
        assert not torch.equal(fold.last, whole.last)


def test_a_mode_is_where_a_linear_problem_has_it():
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(2_000, 2, generator=draw).double()
    slope = torch.randn(2, 8, generator=draw).double()
    y = x @ slope + 0.5 * torch.randn(2_000, 8, generator=draw).double()
    likelihood, _ = learned(x, y)
    zero, eye = torch.zeros(2).double(), torch.eye(2).double()
    found = modes(likelihood, Box(zero, zero - 6, zero + 6, eye), y[:500], (0 * x[:500],))
    precision = slope @ slope.T / 0.25 + eye
    exact = y[:500] @ slope.T @ torch.linalg.inv(precision) / 0.25
    width = torch.linalg.inv(precision).diagonal().sqrt()
    assert ((found.place - exact) / width).square().mean().sqrt() < 0.25
    sizes = torch.linalg.inv(found.precision).diagonal(dim1=1, dim2=2).sqrt()
    np.testing.assert_allclose((sizes / width).log().mean(dim=0).exp(), 1, atol=0.1)


def test_the_likelier_of_two_modes_is_taken():
    zero, one = torch.zeros(1).double(), torch.eye(1).double()
    likelihood = Likelihood(1, 1)  # y = x^2, as features x and x^2
    likelihood.slope.copy_(torch.tensor([[0.0], [1.0]]).double())
    likelihood.size.fill_(0.1)
    box = Box(zero + 0.5, zero - 3, zero + 3, one)
    y = torch.tensor([[1.0]]).double()
    starts = (zero[None] - 1, zero[None] + 1)
    for order in (starts, starts[::-1]):
        assert modes(likelihood, box, y, order).place.item() == pytest.approx(1, abs=0.05)


def test_a_plain_start_is_fitted_once_for_the_same_rows(monkeypatch):
    asked, fit = [], GaussianStart.fit

    def counted(self, *args):
        asked.append(args)
        return fit(self, *args)

    monkeypatch.setattr(GaussianStart, "fit", counted)
    x, c = rows(400, 9)
    first, second, third = (LaplaceStart(3, VALUES, VALUES, EACH) for _ in range(3))
    first._begin(x, c, VALUES)
    begun = first.plain.predict(c)
    first.plain.slope.zero_()  # what is remembered is not changed by it
    for other in (second, third):
        other._begin(x, c, VALUES)
        torch.testing.assert_close(other.plain.predict(c), begun, rtol=0, atol=0)
    assert len(asked) == 1
    third._begin(x[:300], c[:300], VALUES)
    assert len(asked) == 2


def test_a_start_from_modes_is_likelier_where_observables_bend_and_noise_is_unknown(started):
    plain, (told, _) = GaussianStart(3, VALUES, VALUES), started
    plain.fit(*rows(1_000, 1))
    assert told.inverts
    fresh = rows(4_000, 2)
    z, log_det = told(*fresh)
    gain = plain.losses(*fresh) - (0.5 * z.square().sum(dim=1) - log_det)
    assert gain.median() > 0.5
    assert gain.clamp(-25, 25).mean() > 0.5


def test_rows_unlike_all_others_are_not_made_sure_by_it(started):
    start, of_rows = started
    far = 30 * rows(200, 5)[1]
    said = torch.cat([of_rows, start.predict(far)])
    widths = said[:, 3:6]
    assert (widths.amax(dim=0) - widths.amin(dim=0)).max() < 2 * MENDED + 1e-3


def test_rows_are_told_what_others_say_of_them(started):
    start, of_rows = started
    x, c = rows(1_000, 1)
    own, _ = start.whitened(x, of_rows)
    new, _ = start(*rows(4_000, 2))
    in_hindsight, _ = start(x, c)
    sizes = [z.abs().quantile(0.68).item() for z in (own, new, in_hindsight)]
    assert sizes[0] == pytest.approx(sizes[1], abs=0.1)
    assert sizes[2] < sizes[0] - 0.02


def test_where_nothing_is_to_be_learned_the_plain_start_stays():
    draw = torch.Generator().manual_seed(3)
    x, c = (torch.randn(1_000, k, generator=draw) for k in (2, 10))
    start = LaplaceStart(2, 10, 10, tuple(range(10)))
    start.fit(x, c)
    assert not start.inverts
    said = start.predict(c)
    z, log_det = start.whitened(x, said)
    alone, det_alone = start.plain(x, c)
    assert torch.equal(z, alone)
    assert torch.equal(log_det, det_alone)
    assert (said[:, 4 : start.told] == 0).all()


def test_nobody_draws_from_torchs_own_generator():
    x, c = rows(400, 1)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        start = LaplaceStart(3, VALUES, VALUES, EACH)
        start.fit(x, c)
        found.append(start.predict(c[:50]))
    assert torch.equal(*found)


def test_a_likelihood_knows_its_givens():
    draw = torch.Generator().manual_seed(4)
    x, given = torch.randn(2, 3_000, 1, generator=draw).double()
    noise = torch.exp(0.5 * given - 2)
    y = (1 + given) * x + noise * torch.randn(3_000, 4, generator=draw).double()
    likelihood, _ = learned(x, y, given)
    there = likelihood(x[:1_000], given[:1_000])
    assert ((there.mean - ((1 + given) * x)[:1_000]).abs() / noise[:1_000]).median() < 0.4
    sizes = (0.5 * there.log_variance).exp() / noise[:1_000]
    assert sizes.log().abs().median() < math.log(1.2)
    # The slope is that of the parameter alone.
    assert there.mean_slope.shape == (1_000, 1, 4)
    slope = there.mean_slope[:, 0].mean(dim=1)
    assert (slope - (1 + given[:1_000, 0])).abs().median() < 0.2
    zero, one = torch.zeros(1).double(), torch.eye(1).double()
    box = Box(zero, zero - 4, zero + 4, one)
    found = modes(likelihood, box, y[:1_000], (0 * x[:1_000],), given[:1_000])
    exact = 1 + 4 * ((1 + given) / noise)[:1_000].square()
    ratio = found.precision[:, :, 0] / exact
    assert ratio.log().abs().median() < math.log(1.3)


def test_the_mode_of_an_observation_with_little_noise_is_reached():
    """Noise of three usual spreads below its usual size: steps have a long way to go."""
    draw = torch.Generator().manual_seed(1)
    coefficients, values = 6, 60
    design = torch.randn(values, coefficients, generator=draw).double()

    def simulated(x):
        noise = 3 * x[:, coefficients:].exp()
        drawn = torch.randn(len(x), values, generator=draw).double()
        return (10 * x[:, :coefficients] @ design.T + noise * drawn) / 20

    x = torch.randn(2_000, coefficients + 1, generator=draw).double()
    likelihood, _ = learned(x, simulated(x))
    x = x[:5]
    x[:, -1] = -3.0
    y, zero, one = simulated(x), torch.zeros_like(x), torch.eye(coefficients + 1).double()
    found = modes(likelihood, Box(zero[0], zero[0] - 4, zero[0] + 4, one), y, (zero,))

    def to_lower(x, here):
        x = torch.from_numpy(x)[None]
        return float(0.5 * x.square().sum() - likelihood.compare(x, here[None])[1])

    for place, loss, here in zip(found.place.numpy(), found.loss, y, strict=True):
        assert to_lower(place, here) == pytest.approx(float(loss), abs=1e-6)
        best = minimize(to_lower, place, args=(here,), method="BFGS")
        assert best.fun > float(loss) - 0.05
