"""Eight modes: labels, shares, and the posterior that can be written down."""

import numpy as np
import pytest
import scipy.stats as st
from sbi_inn.simulators import mixture_of_eight as eight

from sbi_inn.simulation.registry import get
from sbi_inn.simulation.run import simulate

PROBLEMS = {
    "mixture_of_eight": eight.LABELS,
    "mixture_of_eight_one_class": eight.ONE_CLASS,
    "mixture_of_eight_eight_classes": eight.EIGHT_CLASSES,
}


@pytest.fixture(params=PROBLEMS)
def name(request):
    return request.param


def test_modes_are_the_corners_of_an_octagon_in_clockwise_order():
    angle = np.arctan2(*eight.MODES.T[::-1])
    turns = np.diff(np.unwrap(angle))
    np.testing.assert_allclose(turns, -np.pi / 4, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(eight.MODES, axis=1), 2.6131, atol=1e-4)


def test_labels_are_one_hot_in_the_shares_of_the_task(name):
    n, labels = 20_000, PROBLEMS[name]
    data = simulate(name, n=n, seed=1, n_jobs=1, progress=False).dataset
    seen = data["label"].values
    shares = np.bincount(labels) / 8
    assert seen.shape == (n, len(shares))
    assert set(np.unique(seen)) <= {0, 1}
    assert (seen.sum(axis=1) == 1).all()
    error = np.sqrt(shares * (1 - shares) / n)
    assert (np.abs(seen.mean(axis=0) - shares) <= 4 * error).all()


def test_every_mode_has_its_label(name):
    labels = PROBLEMS[name]
    around = eight.MODES[:, None] + [[0.6, 0], [-0.6, 0], [0, 0.6], [0, -0.6]]
    for mode, label in zip(around, labels, strict=True):
        found = get(name).simulator.function(mode)["label"]
        assert (found.argmax(axis=1) == label).all()


def test_the_posterior_is_the_law_of_simulations_with_the_label(name):
    data = simulate(name, n=20_000, seed=2, n_jobs=1, progress=False).dataset
    x, seen = data["x"].values, data["label"].values.argmax(axis=1)
    for label in np.unique(seen):
        exact = eight.posterior(int(label), PROBLEMS[name])
        assert len(exact.weights) == PROBLEMS[name].count(label)
        mine, drawn = x[seen == label], exact.rvs(5000, 3)
        for direction in ([1, 0], [0, 1], [1, 1], [1, -1]):
            assert st.ks_2samp(mine @ direction, drawn @ direction).pvalue > 1e-4


def test_a_label_that_no_mode_has():
    with pytest.raises(ValueError, match=r"one of the labels \[0, 1, 2, 3\]; got 4"):
        eight.posterior(4)


def test_bayes_rule_holds_but_for_the_overlap(name):
    """Posterior times the label's share is the prior's density wherever the label is seen."""
    prior, labels = get(name).prior, np.array(PROBLEMS[name])
    x = prior.sample(2000, np.random.default_rng(4))["x"]
    seen = get(name).simulator.function(x)["label"].argmax(axis=1)
    for label in np.unique(seen):
        mine = x[seen == label]
        joint = eight.posterior(int(label), PROBLEMS[name]).logpdf(mine)
        joint += np.log((labels == label).mean())
        # Next to a border the neighbour counts too: compare where it is 8 sigma away or more.
        far = np.sort(np.linalg.norm(mine[:, None] - eight.MODES, axis=2), axis=1)[:, 1] > 1.6
        assert far.mean() > 0.9
        np.testing.assert_allclose(joint[far], prior.log_prob({"x": mine[far]}), atol=1e-6)


def test_the_overlap_that_the_docstring_states():
    """The chance to leave one's own cell: 1 less a radial integral over its eighth of the plane.

    P(beyond r in any direction) = exp(-r^2 / 2 sigma^2); the border is at r = 1 / cos(angle).
    """
    angle = np.linspace(-np.pi / 2, np.pi / 2, 200_001)[1:-1]
    border = 1 / np.cos(angle) / eight.SIGMA
    one_side = np.exp(-(border**2) / 2).sum() * (angle[1] - angle[0]) / (2 * np.pi)
    assert np.isclose(one_side, st.norm.sf(5), rtol=1e-6)
    assert np.isclose(2 * one_side, 5.7e-7, rtol=0.01)
    neighbours = np.linalg.norm(eight.MODES - np.roll(eight.MODES, 1, axis=0), axis=1)
    np.testing.assert_allclose(neighbours, 2, atol=1e-4)
