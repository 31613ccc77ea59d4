"""The benchmark of X-ray poses: planted draws are measured as what they are."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats as st
import xray_pose as benchmark
from sbi_inn.simulators import xray_pose as xray

import sbi_inn as si

ROWS = 200


@pytest.fixture(scope="module")
def tests():
    return si.simulate("xray_pose", n=ROWS, seed=1, n_jobs=1, progress=False)


def planted(tests, share, spread=1.0):
    """Draws about the truth, each with a chance to be about its twin, image by image."""
    truth = iter(np.split(tests.prior.flatten(tests.parameters()), ROWS // 100))

    def draw(observations, n, rng):
        mine = next(truth)[:, None]
        mine = mine + spread * rng.standard_normal(
            (len(mine), 1, 5)
        )  # the peak is beside the truth
        found = np.where(rng.random((len(mine), n, 1)) < share, mine * benchmark.MIRROR, mine)
        return found + spread * rng.standard_normal(found.shape)

    return SimpleNamespace(core=SimpleNamespace(draw=draw))


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_planted_draws(tests, share):
    posterior = planted(tests, share)
    found = benchmark.measured(posterior, tests, xray.HEAD, np.random.default_rng(1))
    images = found["images with a twin apart"]
    error = 0.5 / (images * benchmark.DRAWS) ** 0.5
    assert 100 < images < ROWS
    assert abs(found["near the twin"]["mean"] - share) < 4 * error
    assert abs(found["near the truth"]["mean"] - (1 - share)) < 4 * error
    assert abs(found["on the truth's side"]["mean"] - (1 - share)) < 4 * error
    assert found["near neither"] < 1e-3
    assert found["both modes with at least 1 in 4"] == (1 if share else 0)
    # Twins have the same shadow, their mean another one.
    of_draws, of_mean = found["re-projection of a draw"], found["re-projection of the mean"]
    assert (of_mean["0.5"] > of_draws["0.5"]) == (share > 0)
    assert of_draws["mean"] < found["re-projection of the prior"]["mean"] / 2
    # One standard deviation of the coverage of 200 is up to .035; this is the median of many.
    assert found["pooled calibration error"] < 0.05


def test_a_symmetric_head_has_a_share_of_one_half(tests):
    posterior = planted(tests, 0.5)
    found = benchmark.measured(posterior, tests, xray.HEAD, np.random.default_rng(1))
    assert found["likelihood's share of the truth"]["0.95"] == pytest.approx(0.5)
    assert found["their correlation"] is None


def test_the_likelihood_is_that_of_poisson_counts(tests):
    pixels = tests.observations().vector[0]
    poses = tests.prior.flatten(tests.parameters())[:20]
    counts = np.rint(xray.PHOTONS * np.exp(-pixels) - 0.5)
    rates = xray.PHOTONS * np.exp(-benchmark.shadows(xray.HEAD, poses).reshape(20, -1))
    exact = st.poisson(rates).logpmf(counts).sum(axis=1)
    found = benchmark.log_likelihood(xray.HEAD, poses, pixels)
    np.testing.assert_allclose(found - found[0], exact - exact[0], rtol=1e-9, atol=1e-6)
    assert found.argmax() == 0  # the pose that it was made of
