"""A method that this package does not know does everything that ours do."""

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from studies import LINE, exact

import sbi_inn as si
from sbi_inn.methods import Ensemble
from sbi_inn.training.history import History


@dataclass(frozen=True)
class Regression:
    """Gaussian posteriors around a linear regression."""

    label: ClassVar[str] = "regression"
    ridge: float = 0.0

    def fit(self, data, training, *, seed, progress=True):
        x, latents = np.insert(data.observations.vector, 0, 1.0, axis=1), data.latents
        square = x[data.train].T @ x[data.train] + self.ridge * np.eye(x.shape[1])
        slope = np.linalg.solve(square, x[data.train].T @ latents[data.train])
        return FittedRegression(self, slope, np.cov((latents - x @ slope)[data.train].T))


@dataclass(frozen=True)
class FittedRegression:
    settings: Any
    slope: np.ndarray
    covariance: np.ndarray
    history: History = History((1.0,), (0.0,), (0.0,), 1.0, "finished", 1, 0.0)

    @property
    def histories(self):
        return (self.history,)

    def mean(self, observations):
        return np.insert(observations.vector, 0, 1.0, axis=1) @ self.slope

    def sample(self, observations, n, rng):
        noise = rng.multivariate_normal(np.zeros(2), self.covariance, (len(observations), n))
        return self.mean(observations)[:, None] + noise

    def log_prob(self, latent, observations):
        mean = self.mean(observations).repeat(len(latent) // len(observations), axis=0)
        return st.multivariate_normal(np.zeros(2), self.covariance).logpdf(latent - mean)

    def describe(self):
        return "linear regression"


@dataclass(frozen=True)
class Kept(Regression):
    """One whose posteriors can be saved, and read back where it is given again."""

    name: ClassVar[str] = "regression"

    def fit(self, data, training, *, seed, progress=True):
        return FittedKept(**vars(super().fit(data, training, seed=seed)))

    def read(self, config, arrays):
        return FittedKept(replace(self, **config["settings"]), **arrays["fit"])


class FittedKept(FittedRegression):
    def to_arrays(self):
        config = {"name": "regression", "settings": asdict(self.settings)}
        return config, {"fit": {"slope": self.slope, "covariance": self.covariance}}


Y = [1.0, -0.5]


def fit(method, **settings):
    settings = {"n_simulations": 1_500, "seed": 1, "progress": False} | settings
    return si.fit_posterior(LINE, method=method, **settings)


@pytest.fixture(scope="module")
def posterior():
    return fit(Regression())


def test_its_draws_and_densities_are_those_of_the_exact_posterior(posterior):
    mean, covariance = exact(Y)
    draws = posterior.sample(Y, 20_000)
    sd = np.sqrt(np.diag(covariance))
    found = np.column_stack([draws.a, draws.b])
    # 1,300 rows fix the mean to .03 sd or so, and the spread to 2 %.
    assert np.all(np.abs(found.mean(axis=0) - mean) < 0.15 * sd)
    np.testing.assert_allclose(found.std(axis=0), sd, rtol=0.08)
    at_mean = posterior.log_prob({"a": mean[0], "b": mean[1]}, Y)
    top = st.multivariate_normal(mean, covariance).logpdf(mean)
    assert at_mean.item() == pytest.approx(top, abs=0.15)
    assert "linear regression" in repr(posterior)


def test_it_is_checked_and_shown(posterior):
    assert posterior.calibration() is not None
    assert posterior.corner(Y, 200).axes
    assert posterior.plot_training().axes
    assert posterior.to_datatree(Y).attrs is not None
    assert posterior.map_estimate(Y)["a"] == pytest.approx(exact(Y)[0][0], abs=0.1)


def test_its_learning_curve_is_flat(posterior):
    curve = posterior.learning_curve((0.3, 0.6), progress=False)
    assert curve.n.tolist() == [450, 900, 1_500]
    assert np.ptp(curve.score) < 0.1  # a regression has learned all with 400 rows


def test_an_ensemble_of_it():
    posterior = fit(Regression(), ensemble=2, n_jobs=1)
    assert len(posterior.core.fitted.members) == 2
    assert "ensemble of 2: linear regression" in repr(posterior)
    assert np.isfinite(posterior.log_prob(posterior.sample(Y, 9), Y)).all()
    assert posterior.settings.label == "regression"
    assert len(fit(Ensemble(Regression(), 2), n_jobs=1).core.fitted.members) == 2


def test_what_saving_needs_is_said(posterior, tmp_path):
    with pytest.raises(TypeError, match=r"FittedRegression needs to_arrays\(\).*read\(config"):
        posterior.save(tmp_path / "none.sbi")


@pytest.mark.parametrize("ensemble", [1, 2])
def test_it_is_saved_and_loaded_where_it_is_given_again(tmp_path, ensemble):
    posterior = fit(Kept(ridge=0.5), ensemble=ensemble, n_jobs=1)
    posterior.save(tmp_path / "kept.sbi")
    again = si.load_posterior(tmp_path / "kept.sbi", method=Kept())
    assert again.sample(Y, 9, seed=1).identical(posterior.sample(Y, 9, seed=1))
    assert again.settings == posterior.settings
    with pytest.raises(si.LoadError, match="'regression'.*pass it again.*method="):
        si.load_posterior(tmp_path / "kept.sbi")
    for wrong in (Regression(), si.CINN()):
        with pytest.raises(si.LoadError, match="expected a method of name 'regression'"):
            si.load_posterior(tmp_path / "kept.sbi", method=wrong)


def test_what_it_does_not_take_is_said():
    with pytest.raises(ValueError, match="summary= is for .*; got Regression"):
        fit(Regression(), summary="mine")


def test_it_may_declare_what_ours_declare():
    @dataclass(frozen=True)
    class Twice(Regression):
        default_members: ClassVar[int] = 2
        uses_prior: ClassVar[bool] = True

    assert len(fit(Twice(), n_jobs=1).core.fitted.members) == 2
    columns = np.random.default_rng(1).normal(size=(300, 4))
    table = si.read_simulations(
        pd.DataFrame(columns, columns=list("abuv")), parameters=["a", "b"], progress=False
    )
    with pytest.raises(si.PriorError, match="never stated"):
        si.fit_posterior(table, method=Twice(), seed=1, progress=False)
