"""Means and log widths in turn: rows that are alike in how they weigh are decomposed once."""

import pytest
import torch

from sbi_inn.regressions import reweighted, ridge
from sbi_inn.regressions.reweighted import in_turn
from sbi_inn.regressions.ridge import Regressors

ROWS, SLOPES = 4_000, torch.tensor([[1.0, -2.0, 0.5, 1.0], [0.0, 1.0, 3.0, -1.0]]).double()


def with_noise(log_widths):
    """Four columns that are linear in two, with noise of these log widths (slopes, columns)."""
    draw = torch.Generator().manual_seed(1)
    c = torch.randn(ROWS, 2, generator=draw).double()
    width = (c @ torch.tensor(log_widths).double()).exp()
    return c @ SLOPES + width * torch.randn(ROWS, 4, generator=draw), c, width


@pytest.fixture
def weighed(monkeypatch):
    """Record how often columns are decomposed with weights."""
    made = []
    original = Regressors.weighed
    monkeypatch.setattr(
        Regressors, "weighed", lambda on, w: made.append(w) or original(on, w), raising=True
    )
    return made


@pytest.mark.parametrize(
    ("log_widths", "groups"),
    [
        ([[0.6, 0.6, 0.6, 0.6], [0.0, 0.0, 0.0, 0.0]], 1),
        ([[0.6, 0.0, 0.6, 0.0], [0.0, 0.6, 0.0, 0.6]], 2),
        ([[0.6, 0.0, -0.6, 0.0], [0.0, 0.6, 0.0, -0.6]], 4),
    ],
)
def test_each_group_of_columns_is_decomposed_once_and_slopes_are_as_sharp(
    log_widths, groups, weighed, monkeypatch
):
    x, c, width = with_noise(log_widths)
    mean, log_width = in_turn(x, Regressors(c, 2), rounds=3)
    assert len(weighed) == 3 * groups
    # The standard errors of weighed least squares.
    errors = torch.stack(
        [((c / w).T @ (c / w)).inverse().diagonal().sqrt() for w in width.T[:, :, None]], dim=1
    )
    assert ((mean.slope - SLOPES).abs() < 4 * errors).all()
    torch.testing.assert_close(log_width.slope, torch.tensor(log_widths).double(), atol=0.1, rtol=0)
    monkeypatch.setattr(reweighted, "ALIKE", 0.0)
    alone, _ = in_turn(x, Regressors(c, 2), rounds=3)
    assert ((mean.slope - alone.slope).abs() < 0.5 * errors).all()


def test_columns_that_differ_a_little_count_as_one():
    draw = torch.Generator().manual_seed(1)
    common, own = torch.randn(ROWS, 1, generator=draw), torch.randn(ROWS, 3, generator=draw)
    # Differences of two of them have standard deviations of 1.4 times these.
    assert reweighted._alike(common + 0.1 * own) == [[0, 1, 2]]
    assert reweighted._alike(common + own) == [[0], [1], [2]]
    assert reweighted._alike(common + torch.tensor([0.0, 0.0, 1.0]) * own) == [[0, 1], [2]]
    assert reweighted._alike(common + torch.tensor([0.0, 5.0, -5.0])) == [[0, 1, 2]]  # a constant


def test_a_regression_is_turned_round_once_for_each_column_in_all_rounds(monkeypatch):
    asked = []
    original = ridge.inverse_regression
    monkeypatch.setattr(
        ridge, "inverse_regression", lambda x, c: asked.append(x.shape[1]) or original(x, c)
    )
    x, c, _ = with_noise([[0.6, 0.0, 0.6, 0.0], [0.0, 0.6, 0.0, 0.6]])
    in_turn(x, Regressors(c, 2), rounds=3)
    assert asked == [4, 1, 1, 1, 1]  # all together, and then each by itself
