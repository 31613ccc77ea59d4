"""Noise, error bars and gaps, as a user meets them, against posteriors known exactly."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si

PRIOR = si.Prior(a=st.norm(0, 1))
SIGMA = np.array([[0.3, 0.6], [0.5, np.nan], [1.0, 0.4]])


@si.simulator(batched=True)
def flux(a):
    return {"flux": np.stack([a, a], axis=1)}


@si.simulator(batched=True)
def measure(flux, sigma, rng):
    return {"flux": flux + sigma * rng.normal(size=flux.shape)}


def exact(y, sigma):
    """Mean and sd of a, given the measurements that are there."""
    there = ~np.isnan(y) & ~np.isnan(sigma)
    precision = 1 + np.sum(sigma[there] ** -2.0)
    return np.sum(y[there] / sigma[there] ** 2) / precision, precision**-0.5


@pytest.fixture(scope="module")
def posterior():
    table = si.simulate(flux, PRIOR, n=3_000, seed=1, progress=False)
    return si.fit_posterior(
        table, given={"sigma": SIGMA}, noise=measure, ensemble=1, seed=1, progress=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("y", "sigma"),
    [([1.0, 0.6], SIGMA[0]), ([-0.8, np.nan], SIGMA[1]), ([0.5, -0.2], SIGMA[2])],
)
def test_error_bars_and_gaps(posterior, y, sigma):
    draws = posterior.sample({"flux": y, "sigma": sigma}, 4_000)["a"].values
    mean, sd = exact(np.array(y), sigma)
    assert draws.mean() == pytest.approx(mean, abs=0.2 * sd)
    assert draws.std() == pytest.approx(sd, rel=0.15)


@pytest.mark.slow
def test_checks_know_of_gaps(posterior):
    check = posterior.check()
    assert check.verdict != "do not trust"
    found = posterior.check({"flux": [0.4, np.nan], "sigma": SIGMA[1]})
    assert found.records["goodness of fit"].p_value > 0.01
    strange = posterior.check({"flux": [9.0, np.nan], "sigma": SIGMA[1]})
    assert strange.verdict != "trust"


@pytest.mark.slow
def test_a_gap_where_none_was_trained(posterior):
    fitted = si.fit_posterior(
        flux,
        PRIOR,
        n_simulations=500,
        ensemble=1,
        training=si.Training(epochs=1),
        seed=1,
        progress=False,
    )
    with pytest.raises(si.ShapeError, match="no missing values of flux.*noise="):
        fitted.sample({"flux": [0.1, np.nan]})


@pytest.mark.slow
def test_more_is_missing_than_training_has_seen(posterior):
    nothing = {"flux": [np.nan, np.nan], "sigma": [0.5, 0.5]}
    seen = "100% of the flux is missing, where training has seen at most 50% missing"
    with pytest.warns(UserWarning, match=f"{seen}: the posterior extrapolates"):
        posterior.sample(nothing)
    with pytest.warns(UserWarning, match=seen):
        check = posterior.check(nothing)
    assert check.verdict != "trust"
    assert any(seen in note for note in check.notes)


@pytest.mark.slow
def test_everything_missing_gives_the_prior_back_where_training_has_seen_it():
    @si.simulator(batched=True)
    def gaps(flux, rng):
        gone = rng.random((len(flux), 1)) < 0.3
        return {"flux": np.where(gone, np.nan, flux + 0.3 * rng.normal(size=flux.shape))}

    posterior = si.fit_posterior(
        flux, PRIOR, noise=gaps, n_simulations=3_000, ensemble=1, seed=1, progress=False
    )
    draws = posterior.sample({"flux": [np.nan, np.nan]}, 4_000)["a"]
    assert abs(float(draws.mean())) < 0.2
    assert float(draws.std()) == pytest.approx(1, rel=0.15)


def test_a_study_with_noise_is_saved_and_loaded(tmp_path):
    problem = si.Problem(flux, PRIOR, given={"sigma": SIGMA}, noise=measure)
    fitted = si.fit_posterior(
        problem,
        n_simulations=1_000,
        ensemble=1,
        training=si.Training(epochs=2),
        seed=1,
        progress=False,
    )
    y = {"flux": [0.4, 0.3], "sigma": SIGMA[2]}
    fitted.save(tmp_path / "noisy.sbi")
    loaded = si.load_posterior(tmp_path / "noisy.sbi")
    np.testing.assert_array_equal(loaded.sample(y, 50)["a"], fitted.sample(y, 50)["a"])
    np.testing.assert_array_equal(
        loaded._subject().tests.head(20).observations.vector,
        fitted._subject().tests.head(20).observations.vector,
    )
    again = si.load_posterior(tmp_path / "noisy.sbi", simulator=problem).resimulate(y, 400)
    np.testing.assert_array_equal(again["flux"], fitted.resimulate(y, 400)["flux"])
    spread = (again["flux"] - fitted.sample(y, 400)["a"]).std("draw").values
    np.testing.assert_allclose(spread, SIGMA[2], rtol=0.2)
    without = si.Problem(flux, PRIOR, given={"sigma": SIGMA})
    with pytest.raises(si.LoadError, match="trained with noise: pass it"):
        si.load_posterior(tmp_path / "noisy.sbi", simulator=without)
    abc = fitted.rejection_abc(y, quantile=0.05)
    assert float(abc["a"].std()) < 0.8


def test_images_get_new_noise_in_each_pass():
    @si.simulator(images=["sky"])
    def sky(a):
        return {"sky": np.full((8, 8), a)}

    added = []

    @si.simulator(batched=True)
    def camera(sky, rng):
        added.append(rng.normal(size=sky.shape))
        return {"sky": sky + added[-1]}

    epochs = 4
    si.fit_posterior(
        sky,
        PRIOR,
        n_simulations=200,
        noise=camera,
        method=si.CINN(blocks=1, hidden=8),
        ensemble=1,
        training=si.Training(epochs=epochs),
        seed=1,
        progress=False,
    )
    # The first pass reads what the table holds, each later one draws anew for all training rows.
    # A pass that is begun again draws the same noise as before.
    passes = {noise[0, 0, 0] for noise in added if 1 < len(noise) < 200}
    assert len(passes) == epochs - 1


def test_the_inn_refuses_gaps():
    def gaps(flux, rng):
        return {"flux": np.where(rng.random(2) < 0.2, np.nan, flux)}

    with pytest.raises(si.SimulationError, match="none of which may be missing"):
        si.fit_posterior(
            flux, PRIOR, noise=gaps, n_simulations=300, method="inn", seed=1, progress=False
        )
