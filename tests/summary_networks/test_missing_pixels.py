"""Missing pixels: a network reads flags beside them, so that a gap is no median pixel."""

import numpy as np
import pytest
import scipy.stats as st
import torch
from studies import quick_fit

import sbi_inn as si
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.summary_networks import Batch, ImageNet, Parts, Scaling

SIDE = 6
SHAPE, RATE = 4.0, 4.0  # of the gamma prior of the brightness, whose mean is 1


@si.simulator(batched=True, images=["photons"])
def photons(brightness, rng):
    """Count photons in each pixel: most often 0, 1 or 2, and 1 is the median."""
    return {"photons": rng.poisson(brightness[:, None, None], (len(brightness), SIDE, SIDE)) * 1.0}


@si.simulator(batched=True)
def dead_pixels(photons, rng):
    """Lose from none to all pixels of an image."""
    share = rng.random((len(photons), 1, 1))
    return {"photons": np.where(rng.random(photons.shape) < share, np.nan, photons)}


def exact(image):
    """Give the posterior of the brightness: the pixels that are there, and how many, decide."""
    return st.gamma(SHAPE + np.nansum(image), scale=1 / (RATE + np.isfinite(image).sum()))


PROBLEM = si.Problem(
    photons, si.Prior(brightness=st.gamma(SHAPE, scale=1 / RATE)), noise=dead_pixels
)


@pytest.fixture(scope="module")
def posterior():
    return quick_fit(PROBLEM, n=3_000, epochs=15)


@pytest.mark.slow
@pytest.mark.parametrize("seen", [1, 4, 9, 18, 36])
def test_a_posterior_is_as_wide_as_the_pixels_that_are_there_allow(posterior, seen):
    rng = np.random.default_rng(seen)
    images = rng.poisson(1.0, (40, SIDE**2)).astype(float)
    images[:, seen:] = np.nan
    images = rng.permuted(images, axis=1).reshape(-1, SIDE, SIDE)
    draws = posterior.sample_each([{"photons": image} for image in images], 1_000)
    draws = draws["brightness"].values
    mean, sd = (np.array([getattr(exact(i), m)() for i in images]) for m in ("mean", "std"))
    # 1,000 draws leave .03 sd to chance; the rest is room for a short fit.
    assert np.mean(np.abs(draws.mean(axis=1) - mean) / sd) < 0.2
    assert np.mean(draws.std(axis=1) / sd) == pytest.approx(1, abs=0.1)


@pytest.fixture
def colours():
    """Images of two channels, and a number; of the second channel pixels are missing."""
    rng = np.random.default_rng(1)
    vector = np.column_stack([rng.normal(3, 2, (50, 2 * SIDE**2)), rng.random(50)])
    vector[::3, SIDE**2 + 5] = np.nan
    schema = Schema({"x": (2, SIDE, SIDE), "z": ()}, {}, (), {}, {}, images=("x",))
    return Observations(vector, {}, schema=schema)


def test_flags_follow_the_channels(colours):
    scaling = Scaling.fit(colours)
    planes = scaling.pixels(colours, "x")
    assert planes.shape == (50, 4, SIDE, SIDE)
    gone = np.isnan(colours.vector[:, : 2 * SIDE**2]).reshape(-1, 2, SIDE, SIDE)
    np.testing.assert_array_equal(planes[:, 2:], gone)
    assert not planes[:, :2][gone].any()
    assert planes.dtype == np.float32
    again = Scaling.from_arrays(scaling.to_arrays())
    np.testing.assert_array_equal(again.pixels(colours, "x"), planes)


def test_images_without_gaps_have_no_flags(colours):
    whole = colours[np.arange(50) % 3 > 0]
    scaling = Scaling.fit(whole)
    assert scaling.pixels(whole, "x").shape[1] == 2
    assert not [name for name in scaling.to_arrays() if "gaps:" in name]


def test_statistics_are_those_of_the_pixels_that_are_there():
    net = ImageNet(2, SIDE, SIDE, features=4, hidden=8, gaps=True).eval()
    planes = torch.randn(3, 4, SIDE, SIDE)
    planes[:, 2:] = (torch.rand(3, 2, SIDE, SIDE) < 0.4).float()
    planes[0, 3] = 1.0  # of one channel nothing is there
    planes[:, :2] *= 1 - planes[:, 2:]
    mean, deviation, log_count, whole, share, _ = net(planes).split([2, 2, 2, 2, 2, 4], dim=1)
    torch.testing.assert_close(share, (1 - planes[:, 2:]).mean(dim=(2, 3)))
    torch.testing.assert_close(whole, planes[:, :2].mean(dim=(2, 3)))
    for row in range(3):
        for channel in range(2):
            there = planes[row, channel][planes[row, 2 + channel] == 0]
            expected = there.mean() if len(there) else torch.tensor(0.0)
            torch.testing.assert_close(mean[row, channel], expected)
            if len(there):
                expected = (there.var(correction=0) + 1e-6).log() / 2
                torch.testing.assert_close(deviation[row, channel], expected)
            assert log_count[row, channel].item() == pytest.approx(np.log(len(there) + 1))
    assert net(planes).isfinite().all()


def test_networks_of_ones_own_see_the_channels_alone(colours):
    batch = Batch.of(colours, Scaling.fit(colours, scores=False))
    given = Parts.of(colours).tensors(batch)
    assert isinstance(given, dict)
    torch.testing.assert_close(given["x"], batch.images["x"][:, :2])


def test_a_study_with_missing_pixels_is_saved_and_loaded(tmp_path):
    posterior = quick_fit(PROBLEM)
    posterior.save(tmp_path / "pixels.sbi")
    loaded = si.load_posterior(tmp_path / "pixels.sbi")
    image = np.ones((SIDE, SIDE))
    image[2:] = np.nan
    y = {"photons": image}
    assert loaded.sample(y, 50).identical(posterior.sample(y, 50))
