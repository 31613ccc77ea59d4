"""Checks of fields: an exact posterior passes, and wrong ones are found and named."""

import numpy as np
import pytest
from small_fields import FIELD, HOLE, SIDE, covariance, exact, quick

import sbi_inn as si
from sbi_inn.checks import held_out
from sbi_inn.checks.fields import CoverageMap, FieldCalibration, survey_field
from sbi_inn.diagnostics.field_quantities import Quantities
from sbi_inn.observation.batch import Observations

PRIOR = si.Prior(sky=FIELD)
N = 1_000


class Sampler:
    """Draws of a posterior that is known: the truth is a draw of N(mean, covariance) too."""

    prior = PRIOR
    columns = PRIOR.columns

    def __init__(self, change):
        self.change = change
        self.root = np.linalg.cholesky(COVARIANCE)

    def extended(self, flat):
        return flat

    def draw(self, observations, n, rng):
        white = rng.standard_normal((len(observations), n, SIDE**2))
        return observations.vector[:, None] + self.change(white @ self.root.T)


COVARIANCE = exact(np.where(np.arange(64).reshape(8, 8) % 3 == 0, np.nan, 0.0))[1]
SDS = np.sqrt(np.diag(COVARIANCE))
BLOCK = np.zeros((SIDE, SIDE), bool)
BLOCK[4:, :4] = True


def independent(drawn):
    """The right marginals, without correlations."""
    rng = np.random.default_rng(3)
    return SDS * rng.standard_normal(drawn.shape)


WRONG = {
    "shift": (lambda d: d + 0.3 * SDS, "too high"),
    "narrow": (lambda d: 0.8 * d, "too narrow"),
    "wide": (lambda d: 1.25 * d, "sky in rows"),
    "independent": (independent, "sky"),
    "block": (lambda d: np.where(BLOCK.ravel(), 0.7, 1.0) * d, "lower left"),
}


def looked(change, seed):
    rng = np.random.default_rng(seed)
    means = 0.5 * rng.standard_normal((N, SIDE**2))
    truth = means + rng.standard_normal((N, SIDE**2)) @ np.linalg.cholesky(COVARIANCE).T
    found = survey_field(Sampler(change), held_out.TestSet(truth, Observations(means, {})), rng)
    return FieldCalibration(found.ranks, found.names), CoverageMap(found.inside, found.place)


@pytest.mark.slow
def test_an_exact_posterior_passes():
    for seed in range(4):
        calibration, pixels = looked(lambda d: d, seed)
        assert calibration.verdict == "trust", calibration.sentence
        assert pixels.verdict == "trust", pixels.sentence
        assert pixels.within > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_wrong_posteriors_are_found_and_named(name):
    change, word = WRONG[name]
    for seed in range(2):
        calibration, pixels = looked(change, seed)
        assert calibration.verdict != "trust"
        said = [found.words for found in calibration.findings if found.level]
        assert any(word in words for words in said)
        if name in ("narrow", "wide"):
            assert pixels.verdict != "trust"
            assert f"they are too {name}" in pixels.sentence


def test_the_coverage_map_shows_the_block():
    _, pixels = looked(WRONG["block"][0], 1)
    assert pixels.coverage[BLOCK].mean() < 0.8
    assert pixels.coverage[~BLOCK].mean() > 0.88
    assert pixels.plot().axes[0].get_title() == "coverage of 90 % intervals"
    assert pixels.table.loc["sky", "coverage"] == pytest.approx(pixels.coverage.mean())


def test_quantities_of_maps_and_profiles():
    quantities = Quantities("sky", (64, 64))
    assert quantities.block == (8, 8)
    fields = np.zeros((2, 64, 64))
    fields[0, :8, :8] = 3.0
    found = quantities(fields)
    assert found.shape == (2, len(quantities.names))
    assert found[0, 0] == 3.0
    assert found[0, 1] == 0.0
    profile = Quantities("profile", (10,))
    assert profile.names[:3] == (
        "profile in pixels 1-4 (left)",
        "profile in pixels 5-8 (centre)",
        "profile in pixels 9-10 (right)",
    )
    assert profile(np.arange(10.0)[None])[0, :3].tolist() == [1.5, 5.5, 8.5]


@pytest.mark.slow
def test_a_whole_check_of_a_fitted_field():
    posterior = quick(HOLE, 1_500)
    check = posterior.check(progress=False)
    assert check.verdict == "trust", str(check)
    table = si.simulate(HOLE, n=1, seed=5, n_jobs=1, progress=False).as_observed()
    here = posterior.check({"seen": table["seen"].values[0]}, progress=False)
    assert here.verdict in ("trust", "cannot tell")
    strange = np.where(np.isnan(table["seen"].values[0]), np.nan, 50.0)
    assert posterior.check({"seen": strange}, progress=False).verdict == "do not trust"
    assert posterior.calibration().columns[0].startswith("sky in rows 1-4")
    recovery = posterior.recovery()
    assert recovery.table.index[0] == "sky in rows 1-4, columns 1-4 (upper left)"
    assert recovery.table.loc[recovery.columns[0].name, "R2"] > 0.8
    assert len(recovery.columns) == len(Quantities("sky", (SIDE, SIDE)).names)
    # A mean over unseen pixels is known less well than the prior by little only.
    assert 0 < recovery.table["contraction"].min() < recovery.table["contraction"].max() < 1
    assert posterior.plot_recovery().axes
    assert covariance().shape == (64, 64)


@pytest.mark.slow
def test_derived_quantities_of_a_field_are_drawn_and_checked():
    posterior = si.fit_posterior(
        HOLE,
        n_simulations=800,
        method=si.FieldCINN(flow=False),
        derived={"flux": lambda sky: sky.sum((-2, -1))},
        n_jobs=1,
        seed=1,
        progress=False,
    )
    draws = posterior.sample({"seen": np.zeros((SIDE, SIDE))}, 50)
    assert np.allclose(draws.flux, draws.sky.sum(("sky_y", "sky_x")))
    assert posterior.calibration().columns[0] == "flux"
    assert posterior.recovery().table.index[0] == "flux"
