"""What is learned has the right width on new simulations, and harm is not done."""

import numpy as np
import pytest
from studies import LINE

import sbi_inn as si
from sbi_inn.diagnostics.predicting_columns import PredictingColumns
from sbi_inn.diagnostics.score_law import Part, ScoreLaw, learn_laws
from sbi_inn.methods.recalibrated.fitted import Recalibration
from sbi_inn.methods.recalibrated.learning import _harmless


def new_widths(calibrated):
    """Learn a centre of many features from 400 scores, and give widths of 4,000 new ones."""
    rng, slopes = np.random.default_rng(7), np.random.default_rng(8).normal(size=40) / np.sqrt(40)
    x = rng.normal(size=(4_400, 40))
    scores = (x @ slopes + 0.7 * rng.normal(size=4_400))[:, None]
    laws = learn_laws(scores[:400], {"linear": x[:400]}, rng, calibrated=calibrated)
    centre, width = laws[0].at({"linear": x[400:]}, 4_000)
    return laws[0].normalise(scores[400:, 0], centre, width)[0].std()


def test_widths_are_those_of_new_simulations():
    # The noise of a width from 400 scores is .035, and from the 4,000 new ones .011.
    assert abs(new_widths(calibrated=True) - 1) < 0.08
    # Around a centre that was fitted to the same rows, they are a tenth too small here.
    assert new_widths(calibrated=False) > 1.05


def test_a_small_error_of_every_score_is_mended_once_something_is_wrong():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(1_000, 1))
    wrong = y[:, 0] + rng.normal(size=1_000)
    slightly = 1.06 * rng.normal(size=1_000) + 0.03
    alone = learn_laws(slightly[:, None], {"linear": y}, rng, calibrated=True)
    both = learn_laws(np.column_stack([wrong, slightly]), {"linear": y}, rng, calibrated=True)
    assert alone[0].exact  # within chance
    assert not both[1].exact


@pytest.fixture
def how():
    table = si.simulate(LINE, n=60, seed=4, n_jobs=1, progress=False)
    rng = np.random.default_rng(1)
    columns = PredictingColumns.of(rng.normal(size=(60, 2)), rng)
    law = ScoreLaw(Part("", 0.2, np.empty(0)))
    return Recalibration(table.schema, columns, (law,), np.zeros((1, 1)), 1, 60)


def ranks(before, moved, weighted):
    rng = np.random.default_rng(2)
    return [rng.beta(a, a, size=(1_000, 1)) for a in (before, moved, weighted)]


def gains(moved, weighted):
    noise = 0.1 * np.random.default_rng(3).standard_normal((2, 1_000))
    return np.array([[moved], [weighted]]) + noise - noise.mean(axis=1, keepdims=True)


def test_draws_are_moved_where_that_mends(how):
    assert _harmless(how, ranks(0.7, 1, 1), gains(0.05, 0.05)) == how
    assert _harmless(how, ranks(0.7, 1, 1), None) == how


@pytest.mark.parametrize(
    ("found", "likelier"),
    [
        (ranks(0.7, 1, 1), gains(-0.05, 0.05)),  # moving loses density
        (ranks(0.7, 1, 1), gains(0.02, 0.05)),  # weights gain more
        (ranks(1, 0.7, 1), gains(0.05, 0.05)),  # moving spoils ranks
    ],
)
def test_draws_are_weighted_where_that_is_better(how, found, likelier):
    assert _harmless(how, found, likelier).by_weights


@pytest.mark.parametrize(
    ("found", "likelier"),
    [
        (ranks(0.7, 1, 1), gains(-0.05, -0.05)),  # less dense
        (ranks(1, 0.7, 0.7), gains(0.05, 0.05)),  # worse ranks
        ([ranks(1, 1, 1)[0]] * 3, gains(-0.002, -0.002)),  # nothing gained, within chance
    ],
)
def test_nothing_is_changed_where_nothing_is_gained(how, found, likelier):
    chosen = _harmless(how, found, likelier)
    assert not chosen.changed
    assert not chosen.weighted
