"""What users of numpy, torch and other toolkits type first: it works, or the message helps."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.stats as st
import torch

import sbi_inn as si
from sbi_inn.errors import PriorError, ShapeError
from sbi_inn.prior import as_prior

PRIOR = si.Prior(A=st.norm(0, 1))
SMALL = {
    "n_simulations": 300,
    "method": si.CINN(blocks=2, hidden=8),
    "training": si.Training(epochs=1),
    "ensemble": 1,
    "n_jobs": 1,
    "seed": 1,
    "progress": False,
}


def measured(A, rng):
    return {"y": A + rng.normal(size=3)}


def simulated(function, prior=PRIOR, **settings):
    return si.simulate(function, prior, n=200, n_jobs=1, seed=1, progress=False, **settings)


@pytest.fixture(scope="module")
def posterior():
    return si.fit_posterior(measured, PRIOR, **SMALL)


def test_a_dict_of_distributions_is_a_prior():
    assert as_prior({"A": st.norm(0, 1)}) == PRIOR
    posterior = si.fit_posterior(measured, {"A": st.norm(0, 1)}, **SMALL)
    assert posterior.prior == PRIOR


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ([st.norm(0, 1)], r"si\.Prior\(x=st\.norm\(0, 1\).*needs the name.*got list"),
        (3.0, r"expected a prior.*got float"),
        ({"A": (1, 4)}, r"from 1 to 4 write st\.uniform\(1, 3\)"),
        ({"A": 3.5}, r"given=\{'A': 3\.5\}"),
        ({"A": torch.distributions.Normal(0.0, 1.0)}, r"torch's Normal write st\.norm\(loc, scale"),
        ({"A": st.norm}, "no arguments yet; call it"),
    ],
)
def test_what_is_no_prior_is_told_the_line_to_write(value, line):
    with pytest.raises(PriorError, match=line):
        si.fit_posterior(measured, value, **SMALL)


@pytest.mark.parametrize("d", [1, 2])
def test_a_kernel_density_estimate_is_a_prior(d):
    kde = st.gaussian_kde(np.random.default_rng(0).normal(size=(d, 30)))
    prior = si.Prior(A=kde)
    points = np.random.default_rng(1).normal(size=(7, d))
    np.testing.assert_allclose(
        prior.log_prob({"A": points if d > 1 else points[:, 0]}), kde.logpdf(points.T), rtol=1e-10
    )


def test_a_prior_is_drawn_from_with_a_seed():
    drawn = PRIOR.sample(5, seed=1)["A"]
    np.testing.assert_array_equal(drawn, PRIOR.sample(5, np.random.default_rng(1))["A"])
    np.testing.assert_array_equal(drawn, PRIOR.sample(5, 1)["A"])
    assert len(PRIOR.sample(5)["A"]) == 5
    with pytest.raises(TypeError, match="as its seed; got 'abc'"):
        PRIOR.sample(5, seed="abc")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("gradient", [False, True])
def test_a_simulator_may_return_tensors(gradient):
    def with_torch(A, rng):
        return torch.tensor([A, A + 1], dtype=torch.float64, requires_grad=gradient)

    table = simulated(with_torch).dataset
    np.testing.assert_array_equal(table["y"][:, 0], table["A"])


def test_noise_may_read_a_parameter():
    prior = si.Prior(A=st.norm(0, 1), jitter=st.uniform(1, 2))

    def blurred(y, jitter, rng):
        return {"y": y + jitter * rng.normal(size=100)}

    table = simulated(lambda A: np.full(100, A), prior, noise=blurred)
    residual = table.noisy["y"] - table.dataset["y"].values
    jitter = table.dataset["jitter"].values
    assert np.corrcoef(residual.std(axis=1), jitter)[0, 1] > 0.9
    settings = SMALL | {"n_simulations": None}
    posterior = si.fit_posterior(table, **settings)
    posterior.problem = si.Problem(lambda A: np.full(100, A), prior, noise=blurred)
    assert posterior.resimulate(np.zeros(100), 20).sizes["draw"] == 20


def test_simulations_of_a_problem_keep_what_they_were_simulated_with():
    table = si.simulate(si.Problem(measured, PRIOR), n=300, n_jobs=1, seed=1, progress=False)
    posterior = si.fit_posterior(table, **(SMALL | {"n_simulations": None}))
    assert posterior.resimulate(np.zeros(3), 20).sizes["draw"] == 20


@pytest.mark.parametrize("seed", [-1, "abc", 1.5, True, np.random.default_rng(0)])
def test_a_seed_is_a_whole_number(posterior, seed):
    for use in (
        lambda: si.fit_posterior(measured, PRIOR, **(SMALL | {"seed": seed})),
        lambda: posterior.sample(np.zeros(3), 5, seed=seed),
    ):
        with pytest.raises(ValueError, match="seed must"):
            use()


def test_training_as_a_dict_is_told_the_line_to_write():
    with pytest.raises(TypeError, match=r"expected training=si\.Training\(epochs=3\)"):
        si.fit_posterior(measured, PRIOR, **(SMALL | {"training": {"epochs": 3}}))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(3) + 1j, "expected real numbers in y; got complex128"),
        (np.array(["2020-01-01"] * 3, "M8[D]"), "expected real numbers in y; got datetime64"),
        (np.ma.array(np.zeros(3), mask=[0, 1, 0]), "got NaN, and training has seen no missing"),
        ("abc", "expected numbers in y"),
        (None, "expected y of shape"),
    ],
    ids=["complex", "dates", "masked", "text", "None"],
)
@pytest.mark.filterwarnings("error")
def test_an_observation_is_of_real_numbers(posterior, y, message):
    with pytest.raises(ShapeError, match=message):
        posterior.sample(y, 5)


def test_what_a_simulator_masks_is_no_number():
    def with_a_hole(A, rng):
        return np.ma.array(np.full(3, A), mask=[False, A > 0, False])

    table = simulated(with_a_hole)
    assert len(table.ok) == (table.dataset["A"].values <= 0).sum()


def test_a_given_needs_its_arguments():
    with pytest.raises(PriorError, match="given 'k': this distribution has no arguments yet"):
        si.Problem(lambda A, k: A + k, PRIOR, given={"k": st.norm})


@pytest.mark.parametrize("words", ["labels", "units"])
def test_words_for_a_name_that_does_not_exist(words):
    problem = si.Problem(measured, PRIOR, **{words: {"y": "flux", "z": "m"}})
    with pytest.raises(si.SimulationError, match=f"{words}= names z.*known: A, y"):
        si.simulate(problem, n=200, n_jobs=1, progress=False)


def test_parameters_without_names_are_told_which_are_known(posterior):
    for value in (0.3, [0.3, 0.4]):
        with pytest.raises(PriorError, match=r"expected the parameters by name, as in \{'A': "):
            posterior.log_prob(value, np.zeros(3))


def test_both_corners_choose_by_name(posterior):
    draws = posterior.sample(np.zeros(3), 100).assign(B=lambda d: 2 * d.A)
    assert len(si.corner(draws, names=["A"]).axes) == 1
    assert len(posterior.corner(np.zeros(3), 100, names=["A"]).axes) == 1
    with pytest.raises(ShapeError, match="names must be among"):
        posterior.corner(np.zeros(3), 100, names=["C"])
    with pytest.raises(ValueError, match="width_mm must be positive; got -5"):
        posterior.corner(np.zeros(3), 100, width_mm=-5)


SHOWN = """
import matplotlib
matplotlib.use("agg")
import numpy as np
from sbi_inn.draws import make_draws
from sbi_inn.plots.corner import corner
draws = make_draws({"a": np.arange(99.)})
corner(draws)
import matplotlib.pyplot as plt
assert plt.get_fignums() == []
figure = corner(draws)
assert plt.get_fignums() == [1] and plt.gcf() is figure
figure._ipython_display_()
assert plt.get_fignums() == []
"""


def test_pyplot_shows_the_figures_once_it_is_imported():
    pytest.importorskip("IPython")
    subprocess.run([sys.executable, "-c", SHOWN], check=True, timeout=120)
