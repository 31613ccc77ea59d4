"""Every kind of observation, from the simulator to a checked posterior and back from its file."""

import numpy as np
import pytest
import scipy.stats as st
from studies import briefly, columns, quick_fit

import sbi_inn as si
from sbi_inn.errors import ShapeError
from sbi_inn.simulation.simulations import SimulationError

PRIOR = si.Prior(phi=st.uniform(-0.95, 1.9), level=st.norm(0, 1))
TINY = si.CINN(blocks=2, hidden=16)


def walk(phi, level, length, rng):
    """Simulate an autoregressive series around a level."""
    x = rng.normal(size=length)
    for t in range(1, length):
        x[t] += phi * x[t - 1]
    return level + x


def sky(phi, level, rng, shape=(8, 10)):
    """Put a spot on a noisy image: higher up for a larger phi, brighter for a larger level."""
    rows = np.arange(shape[0])[:, None] - shape[0] * (phi + 1) / 2
    return (2 + level) * np.exp(-(rows**2) / 4) + 0.3 * rng.normal(size=shape)


@si.simulator(series={"days": ["x"]})
def fixed(phi, level, rng):
    return {"x": walk(phi, level, 40, rng)}


@si.simulator(series={"days": ["x"]})
def varying(phi, level, days, rng):
    return {"x": walk(phi, level, days, rng)}


@si.simulator(images=["sky"])
def image(phi, level, rng):
    return {"sky": sky(phi, level, rng)}


@si.simulator(sets={"n": ["w"]}, series={"days": ["x", "z"]}, images=["sky"])
def fused(phi, level, n, days, exposure, rng):
    return {
        "b": [level + rng.normal(), 1.0],
        "w": rng.normal(level, 1, n),
        "x": walk(phi, level, days, rng),
        "z": rng.normal(size=(days, 2)),
        "sky": sky(phi, level, rng) + exposure,
    }


DAYS = {"days": st.randint(10, 60)}
STUDIES = {
    "fixed": si.Problem(fixed, PRIOR),
    "varying": si.Problem(varying, PRIOR, given=DAYS),
    "image": si.Problem(image, PRIOR),
    "fused": si.Problem(
        fused, PRIOR, given={"n": st.randint(1, 9), "exposure": st.norm(0, 1), **DAYS}
    ),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow if k == "fused" else ()) for k in STUDIES]
)
def test_from_the_simulator_to_the_checks_and_back(kind, tmp_path):
    problem = STUDIES[kind]
    posterior = quick_fit(problem, method=TINY, n=300)
    y = posterior.schema.unstack(posterior.simulations.observations(), 2)
    draws = posterior.sample(y, 20)
    assert np.isfinite(columns(draws)).all()
    assert np.isfinite(posterior.log_prob(draws, y)).all()
    many = posterior.sample_each([y, y], 20)
    assert dict(many.sizes) == {"observation": 2, "draw": 20}

    again = posterior.resimulate(y, 10)
    assert np.isfinite(again["scaled_error"]).all()
    abc = posterior.rejection_abc(y, quantile=0.05)
    assert abc.attrs["n_simulations"] == 300
    posterior.save(tmp_path / "kind.sbi")
    back = si.load_posterior(tmp_path / "kind.sbi", simulator=problem)
    assert back.schema == posterior.schema
    assert np.array_equal(columns(back.sample(y, 20)), columns(draws))
    assert np.array_equal(back.resimulate(y, 10)["error"], again["error"])

    check = briefly(posterior, 30).check(y)
    assert {"calibration", "re-simulation", "goodness of fit", "posterior predictive"} <= set(
        check.table.index
    )
    assert posterior.goodness_of_fit_each([y])["p_value"].between(0, 1).all()


def test_a_bare_simulator_of_a_fixed_series_is_bound_again(tmp_path):
    posterior = quick_fit(fixed, PRIOR, method=TINY)
    posterior.save(tmp_path / "fixed.sbi")
    back = si.load_posterior(tmp_path / "fixed.sbi", simulator=fixed)
    y = posterior.schema.unstack(posterior.simulations.observations(), 0)
    assert np.array_equal(back.resimulate(y, 5)["error"], posterior.resimulate(y, 5)["error"])


@pytest.mark.parametrize("kind", ["varying", "image"])
def test_what_only_the_order_or_the_place_says_is_learned(kind):
    posterior = quick_fit(STUDIES[kind], method=si.CINN(blocks=2, hidden=32), n=1_000, epochs=8)
    table = posterior.simulations
    rows = posterior.core.test_rows[:100]
    draws = posterior.core.draw(table.observations(rows), 50, np.random.default_rng(0)).mean(axis=1)
    assert np.corrcoef(draws[:, 0], table.parameters(rows)["phi"])[0, 1] > 0.6


def test_units_do_not_matter_to_images_and_series():
    @si.simulator(series={"days": ["x"]}, images=["sky"])
    def small(phi, level, rng):
        return {"x": 1e-9 * walk(phi, level, 20, rng), "sky": 1e6 + 1e3 * sky(phi, level, rng)}

    @si.simulator(series={"days": ["x"]}, images=["sky"])
    def plain(phi, level, rng):
        return {"x": walk(phi, level, 20, rng), "sky": sky(phi, level, rng)}

    fits = [quick_fit(one, PRIOR, method=TINY) for one in (small, plain)]
    losses = [fit.history.validation_loss[-1] for fit in fits]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_pixels_are_neither_screened_nor_regressed_on():
    posterior = quick_fit(image, PRIOR, method=TINY)
    network, scaling = posterior.core.fitted.network, posterior.core.fitted.scaling
    assert len(scaling.read) == len(network.regression.slope) == 0
    assert len(np.unique(scaling.vector[0])) == len(np.unique(scaling.vector[1])) == 1
    assert "observables" not in posterior.core.fitted.describe()


def test_ensembles_of_every_kind():
    posterior = quick_fit(STUDIES["fused"], method=TINY, ensemble=2)
    y = posterior.schema.unstack(posterior.simulations.observations(), 0)
    assert np.isfinite(columns(posterior.sample(y, 20))).all()


def test_attention_over_sets_is_an_option(tmp_path):
    method = si.CINN(blocks=2, hidden=16, pooling="attention")
    posterior = quick_fit("normal_sample", method=method)
    posterior.save(tmp_path / "set.sbi")
    y = {"y": [1.0, 2.0, 3.0]}
    back = si.load_posterior(tmp_path / "set.sbi")
    assert back.settings.pooling == "attention"
    assert np.array_equal(columns(back.sample(y, 9)), columns(posterior.sample(y, 9)))
    with pytest.raises(ValueError, match="pooling=...\\) must be one of 'mean', 'attention'"):
        si.CINN(pooling="max")


@pytest.mark.parametrize(("kind", "got"), [("fixed", "series: days"), ("image", "images: sky")])
def test_the_bidirectional_inn_takes_neither(kind, got):
    with pytest.raises(SimulationError, match=f"one vector of observables; got {got}"):
        quick_fit(STUDIES[kind], method="inn")


def test_observations_that_do_not_fit_the_posterior():
    posterior = quick_fit(STUDIES["varying"], method=TINY)
    with pytest.warns(UserWarning, match="days = 80 is outside the trained range"):
        posterior.sample({"x": np.zeros(80)}, 2)
    with pytest.raises(ShapeError, match="one series of days entries"):
        posterior.sample({"x": []}, 2)
    posterior = quick_fit(STUDIES["fixed"], method=TINY)
    with pytest.raises(ShapeError, match="expected x with 40 entries.*got 41"):
        posterior.sample(np.zeros(41), 2)


def test_plans_simulate_series_rather_than_cut_them():
    posterior = quick_fit(STUDIES["varying"], method=TINY)
    assert posterior.plan("days", [10, 50], n=20).table.shape == (2, 2)
    posterior.problem = None
    posterior.__dict__.pop("judge", None)
    with pytest.raises(ValueError, match="a simulator is needed to plan for days = 12"):
        posterior.plan("days", [12])
