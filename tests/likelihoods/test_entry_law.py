"""A law of the entries of sets, against normal laws and mixtures whose density is known."""

import math

import pytest
import torch

from sbi_inn.flows import LaplaceStart
from sbi_inn.likelihoods import entry_law_learning
from sbi_inn.likelihoods.entry_columns import ABSENT, BINARY, FREE, KNOTS, NORMAL, Columns, splines
from sbi_inn.likelihoods.entry_law import EntryLaw
from sbi_inn.likelihoods.laplace import Box, modes
from sbi_inn.likelihoods.learning import of_entries
from sbi_inn.likelihoods.mixed_normals import Laws
from sbi_inn.likelihoods.networks import Size
from sbi_inn.shared_work.in_threads import threads

ENTRIES = 60
SIZE = Size(64, 3_000, 5e-3)


def sets(n, seed=1):
    """Mean and log width (n, 2), and sets of their size and so many normal entries, in order."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draw).double()
    noise = torch.randn(n, ENTRIES, generator=draw).double()
    entries = x[:, :1] + torch.exp(0.5 * x[:, 1:]) * noise
    size = torch.full((n, 1), float(ENTRIES)).double()
    return x, torch.cat([size, entries.sort(dim=1).values], dim=1)


def exact(x, y):
    """The log density of sets, but for a constant."""
    noises = (y[:, 1:] - x[:, :1]) * torch.exp(-0.5 * x[:, 1:])
    return (-0.5 * noises.square() - 0.5 * x[:, 1:]).sum(dim=1)


@pytest.fixture(scope="module")
def likelihoods():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry_law_learning, "SINGLE", SIZE)
        return of_entries(*sets(2_000))


def test_density_is_that_of_normal_entries(likelihoods):
    whole, _ = likelihoods
    x, y = sets(300, seed=2)
    # The spread of sixty entries moves an exact log density by 5.5 nats; a law that is learned of
    # 2,000 sets is off by a part of one.
    _, found = whole.compare(x, y)
    off = found - exact(x, y)
    assert off.median() > -1.0
    assert (off - off.median()).abs().median() < 0.6


def test_other_parameters_are_told_apart_as_well_as_by_the_exact_density(likelihoods):
    whole, _ = likelihoods
    x, y = sets(300, seed=2)
    for shift in (torch.tensor([0.3, 0.0]), torch.tensor([0.0, 0.5])):
        learned, right = (
            one(x, y) - one(x + shift, y) for one in (lambda *row: whole.compare(*row)[1], exact)
        )
        torch.testing.assert_close(learned.median(), right.median(), rtol=0.15, atol=0.2)


def test_slopes_are_those_of_the_density(likelihoods):
    x, y = sets(50, seed=3)
    up = likelihoods[0].uphill(x, y, x[:, :0])
    for axis in range(2):
        step = torch.zeros(2).double()
        step[axis] = 1e-5
        less, more = (likelihoods[0].compare(at, y)[1] for at in (x - step, x + step))
        torch.testing.assert_close(up.steepest[:, axis], (more - less) / 2e-5, rtol=1e-4, atol=1e-3)


def test_it_says_the_same_without_slopes(likelihoods):
    x, y = sets(50, seed=3)
    misfit, likely = likelihoods[0].compare(x, y)
    up = likelihoods[0].uphill(x, y, x[:, :0])
    torch.testing.assert_close(up.loss, -likely)
    torch.testing.assert_close(up.misfit[:, 0], misfit)


def test_information_is_that_of_a_normal_law(likelihoods):
    x, y = sets(400, seed=4)
    x = 0.5 * x  # where there are many to learn from
    found = likelihoods[0].uphill(x, y, x[:, :0]).information
    of_mean, of_width = ENTRIES * torch.exp(-x[:, 1]), torch.full((400,), ENTRIES / 2).double()
    assert (found[:, 0, 0] / of_mean).log().abs().median() < 0.15
    assert (found[:, 1, 1] / of_width).log().abs().median() < 0.15


def test_a_mode_is_where_the_exact_density_has_it(likelihoods):
    x, y = sets(300, seed=5)
    one = torch.eye(2).double()
    box = Box(one[0] * 0, one[0] * 0 - 4, one[0] * 0 + 4, one)
    found = modes(likelihoods[0], box, y, (0 * x,))
    left = (found.place - x) * found.precision.diagonal(dim1=1, dim2=2).sqrt()
    assert left.square().mean() < 1.6
    assert (left.square() > 9).double().mean() < 0.04


def test_a_misfit_is_noticed(likelihoods):
    x, y = sets(200, seed=6)
    other = y.clone()
    other[:, 1:] = torch.rand(200, ENTRIES).double() * 6 - 3  # no normal law
    usual, strange = (likelihoods[0].compare(x, each)[0].median() for each in (y, other))
    assert abs(usual.log()) < 0.3
    assert strange > 2 * usual


def test_an_entry_counts_as_often_as_it_stands_for(likelihoods):
    x, y = sets(50, seed=7)
    twice = y.clone()
    twice[:, 0] *= 2
    _, one = likelihoods[0].compare(x, y)
    _, two = likelihoods[0].compare(x, twice)
    torch.testing.assert_close(two, 2 * one)


def test_what_is_not_there_does_not_count(likelihoods):
    x, y = sets(50, seed=8)
    y[:, 0] = 20
    other = y.clone()
    other[:, 21:] = 7.0
    for found, same in zip(*(likelihoods[0].compare(x, each) for each in (y, other)), strict=True):
        torch.testing.assert_close(found, same)


def test_mixed_laws_are_a_density():
    draw = torch.Generator().manual_seed(1)
    said = torch.randn(4, 18, 1, generator=draw).double()
    laws = Laws.of(said, torch.zeros(()).double(), torch.ones(()).double())
    grid = torch.linspace(-30, 30, 6_001).double()
    density = laws.likely(grid.expand(4, -1)).exp() / math.sqrt(2 * math.pi)
    torch.testing.assert_close(torch.trapezoid(density, grid), torch.ones(4).double())


def test_a_start_by_entries_is_read_from_a_file(monkeypatch):
    monkeypatch.setattr(entry_law_learning, "SINGLE", SIZE)
    x, y = sets(1_000)
    moments = torch.stack([y[:, 1:].mean(dim=1), y[:, 1:].abs().mean(dim=1)], dim=1)
    context = torch.cat([moments, y], dim=1).float()
    columns = tuple(range(2, context.shape[1]))

    def fresh():
        return LaplaceStart(2, context.shape[1], 2, columns, of_sets=1)

    start = fresh()
    start.fit(x.float(), context)
    assert start.inverts
    other = fresh()
    other.load_state_dict(start.state_dict())
    torch.testing.assert_close(start.predict(context[:5]), other.predict(context[:5]))
    z, log_det = start(x.float(), context)
    torch.testing.assert_close(start.inverse(z, context)[0], x.float(), rtol=1e-3, atol=1e-3)
    # The exact posterior's log density is about 3.7 nats above that of the prior.
    gain = -0.5 * z.square().sum(dim=1) + log_det + 0.5 * x.square().sum(dim=1)
    assert gain.median() > 2.5


def seen_and_done(n, seed=1):
    """Three parameters, and sets of 30: what follows a line, where it is known; choices."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, generator=draw).double()
    place, noise, chance = torch.rand(3, n, 30, generator=draw).double()
    place, noise = 2 * place - 1, torch.special.ndtri(noise.clamp(1e-6, 1 - 1e-6))
    missing = torch.rand(n, 30, generator=draw) < 0.2
    value = x[:, :1] + x[:, 1:2] * place + torch.exp(0.5 * x[:, 2:]) * noise
    value = torch.where(missing, ABSENT, value)
    chose = 2.0 * (chance < torch.sigmoid(x[:, :1] - 2 * place)) - 1
    gone = torch.where(missing, 1.0, -1.0).double()
    entries = torch.stack([chose, gone, value, place], dim=2)
    return x, torch.cat([torch.full((n, 1), 30.0).double(), entries.flatten(1)], dim=1)


def exact_of_several(x, y):
    chose, _, value, place = y[:, 1:].unflatten(1, (30, 4)).unbind(dim=2)
    noise = (value - x[:, :1] - x[:, 1:2] * place) * torch.exp(-0.5 * x[:, 2:])
    normal = torch.where(value < ABSENT, -0.5 * noise.square() - 0.5 * x[:, 2:], 0.0)
    odds = torch.nn.functional.logsigmoid(chose * (x[:, :1] - 2 * place))
    return (normal + odds).sum(dim=1)


@pytest.fixture(scope="module")
def of_several():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entry_law_learning, "SEVERAL", SIZE)
        return of_entries(*seen_and_done(2_000), columns=4)


def test_what_parameters_do_not_change_is_free(of_several):
    whole, folds = of_several
    for one in (whole, *folds):
        assert one.kinds.tolist() == [BINARY, FREE, NORMAL, FREE]
        assert one.bends.tolist() == [False, False, True, True]


def test_columns_follow_those_before_them(of_several):
    x, y = seen_and_done(300, seed=2)
    _, found = of_several[0].compare(x, y)
    off = found - exact_of_several(x, y)
    assert (off - off.median()).abs().median() < 0.4
    for axis in range(3):
        shift = torch.zeros(3).double()
        shift[axis] = 0.4
        learned, right = (
            one(x, y) - one(x + shift, y)
            for one in (lambda *row: of_several[0].compare(*row)[1], exact_of_several)
        )
        torch.testing.assert_close(learned.median(), right.median(), rtol=0.1, atol=0.15)


def test_slopes_of_several_columns_are_those_of_the_density(of_several):
    x, y = seen_and_done(50, seed=3)
    up = of_several[0].uphill(x, y, x[:, :0])
    for axis in range(3):
        step = torch.zeros(3).double()
        step[axis] = 1e-5
        less, more = (of_several[0].compare(at, y)[1] for at in (x - step, x + step))
        torch.testing.assert_close(up.steepest[:, axis], (more - less) / 2e-5, rtol=1e-4, atol=1e-3)


def test_information_of_several_columns_is_the_exact_one(of_several):
    x, y = seen_and_done(300, seed=4)
    x = 0.5 * x
    found = of_several[0].uphill(x, y, x[:, :0]).information
    _, _, value, place = y[:, 1:].unflatten(1, (30, 4)).unbind(dim=2)
    there, precise = (value < ABSENT).double(), torch.exp(-x[:, 2])
    chance = torch.sigmoid(x[:, :1] - 2 * place)
    right = [
        precise * there.sum(dim=1) + (chance * (1 - chance)).sum(dim=1),
        precise * (there * place.square()).sum(dim=1),
        0.5 * there.sum(dim=1),
    ]
    for axis, each in enumerate(right):
        assert (found[:, axis, axis] / each).log().abs().median() < 0.15


def test_a_law_of_several_columns_is_read_from_a_file(of_several):
    x, y = seen_and_done(20, seed=5)
    other = EntryLaw(3, y.shape[1])
    other.load_state_dict(of_several[0].state_dict())
    for one, same in zip(*(law.compare(x, y) for law in (of_several[0], other)), strict=True):
        torch.testing.assert_close(one, same)


def test_a_law_with_hinges_is_read_from_an_older_file():
    kinds, bends = torch.tensor([FREE, FREE, NORMAL]), torch.tensor([True, True, False])
    columns = Columns(kinds, bends, hinged=True)
    older = EntryLaw(2, 61, columns=columns)
    older.last_bias.copy_(torch.randn(len(columns.said)).double())
    x, y = seen_and_done(20, seed=6)
    other = EntryLaw(2, 61)
    other.load_state_dict(older.state_dict())
    assert other.columns.hinged
    y = torch.cat([y[:, :1], y[:, 1:61].clamp(-2, 2)], dim=1)
    for one, same in zip(*(law.compare(x[:, :2], y) for law in (older, other)), strict=True):
        torch.testing.assert_close(one, same)


def test_splines_follow_a_curve_and_are_linear_beyond():
    x = torch.linspace(-2, 2, 401, dtype=torch.float64)[:, None]
    design = torch.cat([torch.ones_like(x), x, splines(x)], dim=1)
    inside = x[:, 0].abs() <= KNOTS[-1]
    wanted = torch.sin(2 * x[inside])
    factors = torch.linalg.lstsq(design[inside], wanted).solution
    assert (design[inside] @ factors - wanted).abs().max() < 0.03
    bends = splines(x).diff(dim=0).diff(dim=0).abs()
    beyond = x[1:-1, 0].abs() > KNOTS[-1] + 0.02
    assert bends[beyond].max() < 1e-12


def bent_and_multiplied(n, seed=1):
    """Two parameters, and sets of 40: a curve of one column and a product of two, with noise."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=draw).double()
    first, second, noise = torch.randn(3, n, 40, generator=draw).double()
    mean = x[:, :1] * torch.sin(2 * first.clamp(-1.5, 1.5)) + x[:, 1:] * first * second
    entries = torch.stack([first, second, mean + 0.3 * noise], dim=2)
    return x, torch.cat([torch.full((n, 1), 40.0).double(), entries.flatten(1)], dim=1), mean


def test_curves_and_products_are_followed(monkeypatch):
    monkeypatch.setattr(entry_law_learning, "SEVERAL", Size(32, 400, 5e-3))
    x, y, _ = bent_and_multiplied(1_000)
    whole, _ = of_entries(x, y, columns=3)
    assert whole.kinds.tolist() == [FREE, FREE, NORMAL]
    x, y, mean = bent_and_multiplied(300, seed=2)
    value = y[:, 1:].unflatten(1, (40, 3))[..., 2]
    right = (-0.5 * ((value - mean) / 0.3).square() - math.log(0.3)).sum(dim=1)
    assert (right - whole.compare(x, y)[1]).median() < 2.0


def test_modes_are_the_same_in_several_threads(of_several, monkeypatch):
    monkeypatch.setattr("sbi_inn.likelihoods.laplace.AT_ONCE", 20)
    x, y = seen_and_done(100, seed=7)
    one = torch.eye(3).double()
    box = Box(one[0] * 0, one[0] * 0 - 4, one[0] * 0 + 4, one)
    starts = (0 * x, 0.5 * x, x)
    alone = modes(of_several[0], box, y, starts)
    with threads(2):
        found = modes(of_several[0], box, y, starts)
    for part, same in zip(alone, found, strict=True):
        assert torch.equal(part, same)


def test_a_law_that_is_linear_needs_no_network(monkeypatch):
    monkeypatch.setattr(entry_law_learning, "SINGLE", Size(32, 400, 5e-3))
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(1_500, 1, generator=draw).double()
    chose = 2.0 * (torch.rand(1_500, 40, generator=draw) < torch.sigmoid(x + 0.5)) - 1
    y = torch.cat([torch.full((1_500, 1), 40.0).double(), chose.double()], dim=1)
    whole, _ = of_entries(x, y)
    assert whole.first.shape[0] == 1
    scaled = torch.tensor([[-1.0], [0.0], [2.0]]).double()
    torch.testing.assert_close(whole.said(whole.scaled(scaled)), scaled + 0.5, atol=0.05, rtol=0.05)


def test_a_search_reads_a_part_of_the_entries_that_stands_for_all(of_several):
    x, y = seen_and_done(100, seed=6)
    coarse = of_several[0].coarse
    assert coarse.coarse is None
    whole, part = (law.uphill(x, y, x[:, :0]) for law in (of_several[0], coarse))
    # Eight entries of 30 tell as much, on average, as if there were 30 of them.
    assert (part.loss / whole.loss).median() == pytest.approx(1, abs=0.1)
    ratio = part.information[:, 0, 0] / whole.information[:, 0, 0]
    assert ratio.median() == pytest.approx(1, abs=0.15)
    big = torch.cat([y[:, :1] * 10, y[:, 1:].repeat(1, 10)], dim=1)
    entries, stand_for = coarse._unpacked(big, glances=True)
    assert entries.shape[1] <= 64
    torch.testing.assert_close(stand_for.sum(dim=1).double(), big[:, 0])
    few = big.clone()
    few[:, 0] = 5
    _, stand_for = coarse._unpacked(few, glances=True)  # of small sets nothing is left out
    assert ((stand_for > 0).sum(dim=1) == 5).all()
