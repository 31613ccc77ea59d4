"""Whether a region cuts a posterior off, on planted regions."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats as st
from studies import exact_posterior, subject_of

import sbi_inn as si
from sbi_inn.checks.region_edges import REGION_EDGES, check_edges
from sbi_inn.checks.run import run_checks
from sbi_inn.prior.box import Box

PRIOR = si.Prior(a=st.norm(), b=st.norm())
HALF = 0.5  # of the width of the region


def here(draw, prior=PRIOR, box=None):
    """Put a posterior into a region; `draw` gives its draws of the prior's parameters."""
    half = np.full(prior.latent_dim, HALF)
    box = box or Box(np.eye(len(half)), -half, half, np.zeros(len(half), bool))
    sampler = SimpleNamespace(
        prior=prior.truncated(box), draw=lambda observation, n, rng: draw(n, rng)[None]
    )
    subject = SimpleNamespace(sampler=sampler, rng=lambda: np.random.default_rng(1))
    return SimpleNamespace(subject=subject, observation=None)


def test_a_region_with_room_around_the_posterior():
    found = check_edges(here(lambda n, rng: 0.1 * rng.normal(size=(n, 2))))
    assert found.verdict == "trust"
    assert found.table.to_numpy().max() == 0
    assert "does not cut" in found.sentence


def test_a_posterior_that_fills_the_region():
    found = check_edges(here(lambda n, rng: rng.uniform(-HALF, HALF, (n, 2))))
    assert found.verdict == "do not trust"
    np.testing.assert_allclose(found.table, 0.02, atol=4 * np.sqrt(0.02 / 4_000))
    assert "Refine the posterior before again" in found.advice


def test_it_names_the_parameter_along_which_the_posterior_piles_up():
    def draw(n, rng):
        b = np.minimum(0.3 + 0.15 * rng.normal(size=n), HALF)
        return np.column_stack([0.05 * rng.normal(size=n), b])

    found = check_edges(here(draw))
    assert found.verdict == "do not trust"
    assert "mostly along b" in found.sentence
    assert found.table.loc["b", "upper_end"] > 0.05
    assert found.table.loc["b", "lower_end"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_tail_of_a_thousandth_is_none(seed):
    sd = HALF / st.norm.isf(5e-4)

    def draw(n, _):
        return np.clip(sd * np.random.default_rng(seed).normal(size=(n, 2)), -HALF, HALF)

    assert check_edges(here(draw)).verdict == "trust"


def test_values_of_a_discrete_parameter_may_be_the_last_ones_of_the_region():
    prior = si.Prior(a=st.norm(), k=st.randint(0, 4))
    low, high = np.array([-HALF, -np.inf]), np.array([HALF, 0.0])  # 0 and 1
    box = Box(np.eye(2), low, high, np.zeros(2, bool))

    def draw(n, rng):
        return np.column_stack([0.1 * rng.normal(size=n), np.ones(n)])

    found = check_edges(here(draw, prior, box))
    assert found.table.index.tolist() == ["a"]
    assert found.verdict == "trust"


def test_its_figure():
    drawn = check_edges(here(lambda n, rng: 0.1 * rng.normal(size=(n, 2)))).plot(width_mm=85)
    assert drawn.axes[0].get_xlabel() == "draws at an edge of the region [%]"


def test_only_a_refined_posterior_is_asked():
    posterior = exact_posterior(60, 30)
    subject = subject_of(posterior)
    records, skipped = run_checks(subject, posterior.schema.read([0.0, 0.0]))
    assert REGION_EDGES.name not in records | skipped
