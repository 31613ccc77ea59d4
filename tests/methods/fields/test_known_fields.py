"""Posteriors of fields against exact ones."""

import numpy as np
import pytest
import scipy.stats as st
from scipy import fft
from scipy.special import expit
from small_fields import HOLE, NOISE, SIDE, TEXTURES, VARIED, exact, quick, textures

import sbi_inn as si


@pytest.fixture(scope="module")
def hole():
    return quick(HOLE)


def simulated(problem, n=100):
    table = si.simulate(problem, n=n, seed=7, n_jobs=1, progress=False)
    return table.as_observed()


def gap(posterior, table, noises):
    """Nats a pixel that the posterior gives less than the exact one at the truth, on average."""
    found = []
    for row in range(table.sizes["simulation"]):
        y = {"seen": table["seen"].values[row]}
        if "error" in table:
            y["error"] = table["error"].values[row]
        mean, cov = exact(y["seen"], noises[row])
        truth = table["sky"].values[row]
        mine = posterior.log_prob({"sky": truth}, y).item()
        found.append(st.multivariate_normal(mean, cov).logpdf(truth.ravel()) - mine)
    return np.mean(found) / SIDE**2


def test_a_linear_problem_is_solved_nearly_exactly(hole):
    table = simulated(HOLE)
    assert gap(hole, table, np.full(100, NOISE)) < 0.01
    prior = np.mean(
        [
            st.multivariate_normal(*exact(seen)).logpdf(sky.ravel())
            for seen, sky in zip(table["seen"].values, table["sky"].values, strict=True)
        ]
        - HOLE.prior.log_prob({"sky": table["sky"].values})
    )
    assert prior / SIDE**2 > 0.2  # what there was to lose


def test_draws_have_the_means_sds_and_correlations_of_the_exact_posterior(hole):
    seen = simulated(HOLE, 1)["seen"].values[0]
    draws = hole.sample({"seen": seen}, 4_000)
    assert draws.sky.dims == ("draw", "sky_y", "sky_x")
    mean, cov = exact(seen)
    sd = np.sqrt(np.diag(cov))
    flat = draws.sky.values.reshape(4_000, -1)
    assert np.abs((flat.mean(0) - mean) / sd).mean() < 0.1
    assert np.allclose(flat.std(0) / sd, 1, atol=0.08)
    neighbours = np.corrcoef(flat.T)[0, 1]
    assert abs(neighbours - cov[0, 1] / sd[0] / sd[1]) < 0.06


def test_one_network_for_every_noise_and_hole():
    posterior = quick(VARIED, 3_000)
    table = simulated(VARIED, 60)
    assert gap(posterior, table, table["error"].values) < 0.015
    quiet, loud = (table.isel(simulation=f(table["error"].values)) for f in (np.argmin, np.argmax))
    sds = [
        posterior.sample({"seen": one["seen"].values, "error": one["error"].item()}, 300)
        .sky.std("draw")
        .mean()
        .item()
        for one in (quiet, loud)
    ]
    assert sds[0] < 0.7 * sds[1]


@pytest.mark.slow
def test_a_prior_that_is_only_drawn_is_learned_as_a_mixture():
    posterior = quick(TEXTURES, 3_000)
    assert "2 Gaussian fields" in repr(posterior)
    table = simulated(TEXTURES, 60)
    spectra = textures()

    def across(fields, noise=0.0):
        power = np.square(np.abs(fft.fft2(fields, norm="ortho")))
        fits = [(power / (s + noise) + np.log(s + noise)).sum((1, 2)) for s in spectra]
        return (fits[1] - fits[0]) / 2

    exactly = expit(across(table["seen"].values, 0.25))
    shares = []
    for seen in table["seen"].values:
        draws = posterior.sample({"seen": seen}, 200)
        shares.append((across(draws.sky.values) > 0).mean())
    assert np.abs(exactly - 0.5).mean() > 0.3
    assert np.abs(np.array(shares) - exactly).mean() < 0.06


def test_encoded_and_decoded_a_draw_is_itself(hole):
    seen = simulated(HOLE, 1)["seen"].values[0]
    observation = hole.schema.read({"seen": seen})
    fitted = hole.core.fitted
    rng = np.random.default_rng(1)
    drawn = fitted.sample(observation, 5, rng)[0]
    latent, log_det = fitted.encode(observation, drawn)
    assert np.allclose(fitted.decode(observation, latent), drawn, atol=1e-4)
    expected = fitted.log_prob(drawn, observation)
    assert np.allclose(st.norm.logpdf(latent).sum(1) + log_det, expected, atol=1e-6)
