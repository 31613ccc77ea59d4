import numpy as np
import pytest
from scipy import stats

from sbi_inn.diagnostics.conformal import Cells, LocallyConformal, conformal_quantile
from sbi_inn.diagnostics.predicting_columns import PredictingColumns
from sbi_inn.diagnostics.score_law import ScoreLaw, learn_laws


@pytest.mark.parametrize(("n", "level"), [(9, 0.9), (30, 0.8), (99, 0.95)])
def test_coverage_of_a_quantile_is_that_of_the_theorem(n, level):
    rng = np.random.default_rng(1)
    held = [
        (x := rng.exponential(size=n + 1))[-1] <= conformal_quantile(x[:-1], level)
        for _ in range(4_000)
    ]
    exact = np.ceil((n + 1) * level) / (n + 1)
    assert abs(np.mean(held) - exact) < 4 * np.sqrt(exact * (1 - exact) / 4_000)


def scored(n, rng):
    """Scores whose width depends on one column, and whose centre jumps along another."""
    columns = rng.normal(size=(n, 5))
    scores = rng.normal(size=(n, 2))
    scores[:, 0] = 0.4 + scores[:, 0] * np.exp(0.5 * columns[:, 0])
    scores[:, 1] += np.where(columns[:, 1] > 1, 1.5, 0.0)
    return scores, columns


@pytest.mark.parametrize("one_sided", [False, True])
def test_sets_are_local(one_sided):
    rng = np.random.default_rng(2)
    made = LocallyConformal.of(*scored(3_000, rng), rng, one_sided=one_sided)
    scores, columns = scored(6_000, rng)
    low, high = made.ends(columns, 0.9)
    inside = (low <= scores) & (scores <= high)
    np.testing.assert_allclose(inside.mean(axis=0), 0.9, atol=0.025)
    for part in (columns[:, 0] > 1, columns[:, 0] < -1):
        assert abs(inside[part, 0].mean() - 0.9) < 0.05
    for part in (columns[:, 1] > 1.2, columns[:, 1] < 0.8):
        assert abs(inside[part, 1].mean() - 0.9) < 0.06
    assert np.isinf(high).all() == one_sided


def test_few_rows_give_plain_quantiles_and_too_few_no_end():
    rng = np.random.default_rng(3)
    made = LocallyConformal.of(*scored(50, rng), rng)
    assert all(law.exact for law in made.laws)
    assert made.fewest() == 50
    low, high = made.ends(np.zeros((1, 5)), 0.99)
    assert np.isinf(low).all()
    assert np.isinf(high).all()


def test_noise_is_not_split():
    rng = np.random.default_rng(4)
    split = [Cells.grow(rng.normal(size=(1_000, 10)), rng.normal(size=1_000)) for _ in range(60)]
    assert sum(len(cells.column) > 1 for cells in split) <= 2


def laws(scores, columns, rng):
    known = PredictingColumns.of(columns, rng)
    return learn_laws(scores, known.families(columns), rng), known


def test_exact_scores_hardly_ever_get_a_law():
    rng = np.random.default_rng(5)
    found, known = laws(rng.normal(size=(1_000, 30)), rng.normal(size=(1_000, 8)), rng)
    # Where chance gives one, it is close to N(0, 1).
    at = known.families(rng.normal(size=(500, 8)))
    for law in found:
        centre, width = law.at(at, 500)
        assert np.sqrt((centre**2).mean()) < 0.12
        assert np.sqrt((width**2).mean()) < 0.12
    assert sum(law.exact for law in found) >= 20


def test_a_law_that_bends_with_the_observation_is_learned():
    rng = np.random.default_rng(6)
    columns = rng.normal(size=(4_000, 4))
    scores = np.column_stack([np.sin(2 * columns[:, 0]) + 0.5 * rng.normal(size=4_000)])
    (law,), known = laws(scores, columns, rng)
    new = rng.normal(size=(1_000, 4))
    centre, width = law.at(known.families(new), 1_000)
    assert np.corrcoef(centre, np.sin(2 * new[:, 0]))[0, 1] > 0.95
    assert abs(np.exp(width).mean() - 0.5) < 0.08


def test_a_skewed_shape_is_learned_and_inverted():
    rng = np.random.default_rng(7)
    skewed = rng.gamma(2, size=(4_000, 1)) - 2
    columns = rng.normal(size=(4_000, 2))
    (law,), known = laws(skewed, columns, rng)
    assert law.shape is not None
    centre, width = law.at(known.families(columns), 4_000)
    normal, slope = law.normalise(skewed[:, 0], centre, width)
    assert stats.kstest(normal, "norm").statistic < 0.03
    np.testing.assert_allclose(law.scores_of(normal, centre, width), skewed[:, 0], atol=1e-6)
    numeric = (law.normalise(skewed[:, 0] + 1e-5, centre, width)[0] - normal) / 1e-5
    np.testing.assert_allclose(np.median(numeric / np.exp(slope)), 1, atol=1e-3)
    again = ScoreLaw.from_config(law.to_config())
    np.testing.assert_array_equal(again.normalise(skewed[:, 0], centre, width)[0], normal)
