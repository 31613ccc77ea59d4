"""A start from a likelihood that is learned, against what the simulator gives."""

import pytest
import torch
from decays import VALUES, rows

from sbi_inn.flows import GaussianStart, LaplaceStart, laplace_start
from sbi_inn.flows.laplace_start import MENDED
from sbi_inn.likelihoods.networks import SMALL

EACH = tuple(range(VALUES))


@pytest.fixture(scope="module")
def started():
    """Give a start, and what it says of its own rows; without larger networks, to save time."""
    start = LaplaceStart(3, VALUES, VALUES, EACH)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(laplace_start, "LARGE", SMALL)
        return start, start.fit(*rows(1_000, 1))


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


def test_where_likelihoods_are_not_surely_better_the_plain_start_stays(monkeypatch):
    # Of noise alone, a likelihood may be ahead by what a plain start learns by heart.
    monkeypatch.setattr(laplace_start, "surely_less", lambda *losses: False)
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
