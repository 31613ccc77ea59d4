"""The forward network in place of the simulator: its predictions, and the error they come with."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from linear import MEAN, MIX, OBSERVATIONS, SD, linear
from studies import LINE, quick_fit

import sbi_inn as si

SMALL = si.INN(blocks=4, hidden=32, depth=1)
FRESH = 20_000


@pytest.fixture(scope="module")
def posterior():
    return quick_fit(linear(), method=SMALL, n=3_000, epochs=15)


@pytest.fixture(scope="module")
def box():
    """A uniform prior, several observables and givens, hardly trained."""

    def measure(a, b, k, m):
        return {"pair": np.array([a, b]) * k, "sum": a + b + m}

    problem = si.Problem(
        measure,
        si.Prior(a=st.uniform(0, 1), b=st.uniform(-1, 2)),
        given={"k": st.uniform(1, 1), "m": 3.0},
        labels={"pair": "both"},
        units={"pair": "mm"},
    )
    with pytest.warns(UserWarning, match="misses"):
        return quick_fit(problem, method=si.INN(blocks=2, hidden=16), n=300, epochs=2)


def table(n=5, seed=1):
    rng = np.random.default_rng(seed)
    return dict(zip("abcd", (MEAN + SD * rng.standard_normal((n, 4))).T, strict=True))


def test_a_linear_map(posterior):
    points = table(2_000)
    found = posterior.emulate(points)
    assert found.sizes == {"draw": 2_000, "y_dim": 2}
    gap = found.y.values - np.column_stack(list(points.values())) @ MIX.T
    spread = posterior.simulations.dataset["y"].values.std(axis=0)
    assert (np.sqrt((gap**2).mean(axis=0)) / spread).max() < 0.03


def test_the_stated_error_is_that_on_fresh_simulations(posterior):
    fresh = si.simulate(linear(), n=FRESH, seed=9, n_jobs=1, progress=False).dataset
    found = posterior.emulate(fresh.rename(simulation="draw")[list("abcd")]).y
    again = np.sqrt(((found.values - fresh["y"].values) ** 2).mean(axis=0))
    errors = posterior.emulation.errors
    assert errors.index.to_list() == ["y[0]", "y[1]"]
    # Of squares with a tail, 300 test rows know the mean to .15, give or take: .07 for its root.
    assert np.abs(errors["rmse"] / again - 1).max() < 0.3
    assert np.array_equal(found.attrs["rmse"], errors["rmse"])
    spread = fresh["y"].values.std(axis=0)
    assert np.allclose(errors["relative"], errors["rmse"] / spread, rtol=0.15)


@pytest.mark.slow
def test_of_a_noisy_simulator_the_error_is_the_noise():
    noise = 0.3
    with pytest.warns(UserWarning, match="misses y"):
        noisy = quick_fit(linear(noise), method=SMALL, n=4_000, epochs=10)
    # Relative to signal and noise: .29, from 400 test rows: 4 / sqrt(800) = .14.
    expected = noise / np.sqrt(1 + noise**2)
    assert np.abs(noisy.emulation.errors["relative"] / expected - 1).max() < 0.2


def test_parameters_in_every_form(posterior):
    points = table(5)
    expected = posterior.emulate(points)
    draws = posterior.sample(OBSERVATIONS[0], 5)
    for name, values in points.items():
        draws[name] = ("draw", values)
    assert posterior.emulate(draws).equals(expected)
    assert posterior.emulate(pd.DataFrame(points)).equals(expected)
    one = posterior.emulate({name: values[0] for name, values in points.items()})
    assert np.allclose(one.y, expected.y[:1])
    fixed = posterior.emulate(points | {"d": 10.0})
    assert fixed.equals(posterior.emulate(points | {"d": np.full(5, 10.0)}))


def test_what_is_missing_is_named(posterior, box):
    with pytest.raises(si.PriorError, match="d"):
        posterior.emulate({"a": 0.0, "b": 0.0, "c": 0.0})
    with pytest.raises(si.ShapeError, match="expected the givens k beside the parameters"):
        box.emulate({"a": 0.5, "b": 0.5})


def test_predictions_are_named_as_the_simulator_does(box):
    found = box.emulate({"a": [0.2, 0.5, 0.7], "b": 0.5, "k": 1.5})
    assert found["pair"].dims == ("draw", box.simulations.dataset["pair"].dims[1])
    assert found["pair"].shape == (3, 2)
    assert found["sum"].shape == (3,)
    assert found["pair"].attrs["units"] == "mm"
    assert found["pair"].attrs["label"] == "both"
    assert found["pair"].attrs["rmse"].shape == (2,)
    assert isinstance(found["sum"].attrs["rmse"], float)
    assert box.emulation.errors.index.to_list() == ["pair[0]", "pair[1]", "sum"]


def test_nothing_is_predicted_outside_the_prior(box):
    found = box.emulate({"a": [0.5, 1.5, np.nan, -0.1], "b": [0.0, 0.0, 0.0, 1.5], "k": 1.5})
    assert np.array_equal(np.isnan(found["sum"]), [False, True, True, True])
    assert np.array_equal(np.isnan(found["pair"]).all("pair_dim"), [False, True, True, True])
    assert np.isnan(box.emulate({"a": 2.0, "b": 0.0, "k": 1.5})["sum"]).all()


def test_simulating_again_by_the_emulator(posterior):
    y = OBSERVATIONS[1]
    by_network = posterior.resimulate(y, 500, emulator=True)
    truly = posterior.resimulate(y, 500)
    miss = posterior.emulation.errors["rmse"].to_numpy()
    # The same draws: what differs is the error of the network, larger in the tails.
    differ = np.sqrt(((by_network.y - truly.y) ** 2).mean("draw").values)
    assert (differ < 4 * miss).all()
    assert not by_network.y.equals(truly.y)
    gap = by_network.y.values - y
    assert np.allclose(by_network.error, np.linalg.norm(gap, axis=1))
    assert np.allclose(by_network.scaled_error, np.linalg.norm(gap / posterior.core.scale, axis=1))
    # Exactly at the observation, the network by itself sees no error at all.
    exactly = posterior.at_tolerance(0.0)
    assert exactly.resimulate(y, 500, emulator=True).scaled_error.max() < 1e-4
    assert exactly.resimulate(y, 500).scaled_error.median() > 1e-4


def test_the_emulator_needs_no_simulator_and_uses_the_observations_own_givens(box):
    alone = si.Posterior(replace(box.core, problem=None))
    y = {"pair": [0.6, 0.3], "sum": 3.6, "k": 1.2}
    found = alone.resimulate(y, 20, emulator=True)
    draws = alone.sample(y, 20)
    assert np.allclose(found["pair"], alone.emulate(draws.assign(k=1.2))["pair"], atol=1e-5)
    with pytest.raises(si.SimulationError, match="a simulator is needed"):
        alone.resimulate(y, 20)


def test_every_resimulation_says_how_closely_draws_keep_to_the_observation(posterior):
    y = OBSERVATIONS[0]
    for emulator in (True, False):
        again = posterior.resimulate(y, 10, emulator=emulator)
        assert again.attrs["remark"] == posterior.core.remark
        assert "tolerance" in posterior.core.remark
    exactly = posterior.at_tolerance(0.0).resimulate(y, 10)
    assert exactly.attrs["remark"].endswith("tolerance 0")


def test_without_a_forward_network_it_says_what_to_do():
    posterior = quick_fit(LINE)
    for call in (
        lambda: posterior.emulate({"a": 0.0, "b": 0.0}),
        lambda: posterior.emulation,
        lambda: posterior.resimulate([1.0, -0.5], emulator=True),
        lambda: posterior.at_tolerance(0.0),
    ):
        with pytest.raises(TypeError, match='the method cINN has none: fit with method="inn"'):
            call()
    assert posterior.core.remark == ""
    assert "remark" not in posterior.resimulate([1.0, -0.5], 10).attrs
