"""What a Posterior promises, whatever the method behind it: here, one that is exact."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import xarray as xr
from studies import (
    LINE,
    MIX,
    SPREAD,
    ExactLine,
    briefly,
    columns,
    exact,
    exact_posterior,
    quick_fit,
)

import sbi_inn as si
from sbi_inn.observation.statistics import spread, statistics
from sbi_inn.posterior.core import Core

Y = np.array([1.0, -0.5])
MEAN, COVARIANCE = exact(Y)


@pytest.fixture(scope="module")
def posterior():
    return exact_posterior()


@si.simulator(sets={"n": ["x"]})
def sample_with_offset(a, n, sd, rng):
    return {"x": rng.normal(a, sd, n), "z": a + rng.normal()}


SETS = si.Problem(
    sample_with_offset,
    si.Prior(a=st.norm(0, 1)),
    given={"n": st.randint(2, 9), "sd": st.uniform(1, 1)},
)


@pytest.fixture(scope="module")
def sets():
    return quick_fit(SETS, epochs=10)


# -- draws -----------------------------------------------------------------------------------------


def test_draws_are_labelled(posterior):
    draws = posterior.sample(Y, 50)
    assert draws.sizes == {"draw": 50}
    assert list(draws.data_vars) == ["a", "b"]
    assert draws.a.attrs["label"] == "intercept"
    assert draws.a.attrs["units"] == "m"
    assert draws.a.attrs["prior_width95"] == pytest.approx(2 * 1.96 * SPREAD[0], rel=0.03)


def test_draws_have_the_moments_of_the_posterior(posterior):
    draws = columns(posterior.sample(Y, 40_000))
    error = np.sqrt(np.diag(COVARIANCE) / 40_000)
    assert np.abs((draws.mean(axis=0) - MEAN) / error).max() < 4
    assert np.allclose(np.cov(draws, rowvar=False), COVARIANCE, rtol=0.03, atol=0.002)


@pytest.mark.parametrize("y", [Y, list(Y), {"y": Y}, xr.Dataset({"y": ("i", Y)})])
def test_every_form_of_an_observation_gives_the_same_draws(posterior, y):
    assert posterior.sample(y, 20).equals(posterior.sample(tuple(Y), 20))


def test_calls_share_the_seed_of_the_fit(posterior):
    draws = posterior.sample(Y, 500)
    assert draws.equals(posterior.sample(Y, 500))
    assert draws.equals(posterior.sample(Y, 500, seed=posterior.seed))
    table = posterior.summary(Y, 500)
    assert table.loc["a", "mean"] == pytest.approx(draws.a.mean().item())
    assert table.loc["b", "median"] == pytest.approx(np.median(draws.b))
    again = posterior.resimulate(Y, 500)
    assert np.abs(again.y.values - columns(draws) @ MIX.T).max() < 6 * 0.5
    other = posterior.sample(Y, 500, seed=99)
    assert not draws.equals(other)
    table = posterior.summary(Y, 500, seed=99)
    assert table.loc["a", "mean"] == pytest.approx(other.a.mean().item())


# -- which draws -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ensemble():
    """Give a mixture of two networks, hardly trained, that reads sets and givens."""
    return quick_fit(SETS, epochs=2, ensemble=2, n_jobs=1)


MANY_SETS = [
    {"x": [0.1, 0.5], "z": 0.2, "sd": 1.1},
    {"x": [1.0, 2.0, 1.5, 0.5, 1.0], "z": 1.4, "sd": 1.2},
    {"x": [-1.0, -0.5, 0.0], "z": -0.3, "sd": 1.9},
]


def test_two_observations_do_not_share_their_draws(posterior):
    one, other = posterior.sample(Y, 20_000), posterior.sample(Y + [0.05, 0.0], 20_000)
    mean, covariance = exact(np.array([Y, Y + [0.05, 0.0]]))
    assert abs(np.corrcoef(one.a, other.a)[0, 1]) < 4 / np.sqrt(20_000)
    # a1 - a2 of independent draws is Gaussian, of twice the variance.
    expected = st.norm.cdf((mean[0] - mean[1])[0] / np.sqrt(2 * covariance[0, 0]))
    assert (one.a > other.a).mean().item() == pytest.approx(expected, abs=4 * 0.5 / 20_000**0.5)


def test_nor_the_noise_of_their_simulations(posterior):
    again = [posterior.resimulate(y, 2_000) for y in (Y, Y + [0.05, 0.0])]
    draws = [posterior.sample(y, 2_000) for y in (Y, Y + [0.05, 0.0])]
    noise = [s.y.values - columns(d) @ MIX.T for s, d in zip(again, draws, strict=True)]
    assert abs(np.corrcoef(noise[0][:, 0], noise[1][:, 0])[0, 1]) < 4 / np.sqrt(2_000)


def test_all_calls_at_one_observation_share_their_draws(posterior):
    draws = posterior.sample(Y, 400)
    assert posterior.summary(Y, 400).loc["a", "mean"] == pytest.approx(draws.a.mean().item())
    assert np.array_equal(posterior.to_numpy(Y, 400), columns(draws))
    assert (
        posterior.to_datatree(Y, 400)["posterior"]["a"].values[0].tolist()
        == draws.a.values.tolist()
    )
    again = posterior.resimulate(Y, 400)
    assert np.abs(again.y.values - columns(draws) @ MIX.T).max() < 6 * 0.5
    assert not draws.equals(posterior.sample(Y, 400, seed=99))


def test_the_same_numbers_are_the_same_observation(posterior, sets):
    assert posterior.sample([0.0, 1.0], 5).equals(posterior.sample([-0.0, 1], 5))
    # The entries of a set have no order.
    y = {"x": [0.1, 0.2, -0.3], "z": 0.0, "sd": 1.5}
    turned = sets.sample(y | {"x": [-0.3, 0.1, 0.2]}, 50)
    assert np.allclose(turned.a, sets.sample(y, 50).a, atol=1e-5)
    longer = sets.sample(y | {"x": [0.1, 0.2, -0.3, 0.0]}, 5_000)
    assert abs(np.corrcoef(longer.a, sets.sample(y, 5_000).a)[0, 1]) < 4 / np.sqrt(5_000)


@pytest.mark.parametrize("name", ["posterior", "sets", "ensemble", "forwards"])
def test_an_object_of_a_catalogue_gets_the_draws_that_it_gets_alone(name, request):
    posterior = request.getfixturevalue(name)
    ys = MANY_SETS if name in ("sets", "ensemble") else MANY["forwards"]
    for chosen, seed in ((slice(None), None), (slice(1, None), 8)):
        together = posterior.sample_each(ys[chosen], 300, seed=seed)
        for row, y in enumerate(ys[chosen]):
            alone = columns(posterior.sample(y, 300, seed=seed))
            found = columns(together.isel(observation=row))
            assert np.allclose(found, alone, rtol=1e-4, atol=1e-5)


def test_fewer_draws_are_the_first_of_more(sets):
    y = {"x": [0.1, 0.2, 0.3], "z": 0.0, "sd": 1.5}
    few, many = sets.sample(y, 100), sets.sample(y, 40_000)
    assert np.allclose(few.a, many.a[:100], atol=1e-5)


def test_a_figure_shows_the_draws(posterior):
    figure = posterior.corner(Y, 500, truth={"a": 0.2, "b": 0.1})
    assert len(figure.axes) >= 3
    compared = posterior.corner(Y, 500, compare={"ABC": posterior.rejection_abc(Y, quantile=0.1)})
    words = {text.get_text() for legend in compared.legends for text in legend.get_texts()}
    words |= {
        text.get_text()
        for axes in compared.axes
        if axes.get_legend()
        for text in axes.get_legend().get_texts()
    }
    assert {"exact", "ABC"} <= words
    plt.close("all")


def test_figures_are_drawn_into_those_that_are_there(posterior):
    halves = plt.figure(figsize=(8, 4)).subfigures(1, 2)
    left = halves[0]
    posterior.corner(Y, 200, fig=left)
    assert len(left.axes) >= 3
    posterior.plot_recovery(fig=halves[1])
    assert len(halves[1].axes) == 2
    for draw in (posterior.plot_calibration, posterior.plot_recovery):
        whole = plt.figure(figsize=(8, 4))
        draw(fig=whole)
        assert whole.axes
    _, ax = plt.subplots()
    posterior.plot_training(ax=ax)
    assert ax.lines
    plt.close("all")


def test_no_draws_are_refused(posterior):
    with pytest.raises(ValueError, match="at least one draw.*got n = 0"):
        posterior.sample(Y, 0)


# -- many observations -----------------------------------------------------------------------------


def test_many_observations(posterior):
    ys = np.array([[1.0, -0.5], [-2.0, 3.0], [0.0, 0.0]])
    draws = posterior.sample_each(ys, 20_000)
    assert draws.sizes == {"observation": 3, "draw": 20_000}
    assert draws.a.attrs["units"] == "m"
    for row, y in enumerate(ys):
        mean, covariance = exact(y)
        one = columns(draws.isel(observation=row))
        assert np.abs((one.mean(axis=0) - mean) / np.sqrt(np.diag(covariance))).max() < 0.03
        alone = columns(posterior.sample(y, 20_000, seed=8))
        for i in range(2):
            assert st.ks_2samp(one[:, i], alone[:, i]).pvalue > 1e-3
    # No two observations share their noise.
    residuals = [columns(draws.isel(observation=row)) - exact(y)[0] for row, y in enumerate(ys)]
    assert abs(np.corrcoef(residuals[0][:, 0], residuals[1][:, 0])[0, 1]) < 0.05


def test_many_observations_in_every_form(posterior):
    ys = np.array([[1.0, -0.5], [-2.0, 3.0]])
    expected = posterior.sample_each(ys, 10)
    frame = pd.DataFrame({"y[0]": ys[:, 0], "y[1]": ys[:, 1]})
    dataset = xr.Dataset({"y": (("observation", "y_dim"), ys)})
    for form in (list(ys), [{"y": y} for y in ys], frame, dataset):
        assert posterior.sample_each(form, 10).equals(expected)


def test_ragged_sets_and_vectors_of_parameters(sets):
    ys = [
        {"x": [0.1, 0.5], "z": 0.2, "sd": 1.1},
        {"x": [1.0, 2.0, 1.5, 0.5, 1.0], "z": 1.4, "sd": 1.2},
    ]
    draws = sets.sample_each(ys, 4_000)
    assert draws.a.dims == ("observation", "draw")
    for row, y in enumerate(ys):
        alone = sets.sample(y, 4_000, seed=5).a
        assert st.ks_2samp(draws.a[row], alone).pvalue > 1e-3
    assert (draws.a[1].mean() - draws.a[0].mean()).item() > 0.2
    vector = quick_fit("gaussian_linear")
    assert vector.sample_each(np.zeros((2, 10)), 5).theta.dims == (
        "observation",
        "draw",
        "theta_dim",
    )


# -- densities -------------------------------------------------------------------------------------


def test_the_density_is_in_parameter_units(posterior):
    draws = posterior.sample(Y, 200)
    true = st.multivariate_normal(MEAN, COVARIANCE).logpdf(columns(draws))
    found = posterior.log_prob(draws, Y)
    assert found.dims == ("draw",)
    assert np.allclose(found, true, rtol=0, atol=1e-9)


def test_parameters_in_every_form(posterior):
    draws = posterior.sample(Y, 5)
    expected = posterior.log_prob(draws, Y).values
    frame = pd.DataFrame({"b": draws.b.values, "a": draws.a.values})
    arrays = {name: draws[name].values for name in ("b", "a")}
    for form in (frame, arrays, {n: list(v) for n, v in arrays.items()}):
        assert np.array_equal(posterior.log_prob(form, Y), expected)
    one = posterior.log_prob({"a": draws.a[0].item(), "b": draws.b[0].item()}, Y)
    assert one.shape == (1,)
    assert one.item() == pytest.approx(expected[0], abs=1e-12)
    fixed = posterior.log_prob({"a": draws.a.values, "b": 0.5}, Y)
    repeated = posterior.log_prob({"a": draws.a.values, "b": np.full(5, 0.5)}, Y)
    assert np.array_equal(fixed, repeated)


def test_vectors_of_parameters_in_every_form():
    posterior = quick_fit("gaussian_linear")
    y = np.zeros(10)
    draws = posterior.sample(y, 6)
    expected = posterior.log_prob(draws, y).values
    frame = pd.DataFrame(draws.theta.values, columns=[f"theta[{i}]" for i in range(10)])
    for form in (frame, draws.transpose(), {"theta": draws.theta.values}):
        assert np.array_equal(posterior.log_prob(form, y), expected)


def test_derived_variables_are_passed_over(posterior):
    draws = posterior.sample(Y, 20)
    expected = posterior.log_prob(draws, Y).values
    draws["ratio"] = draws.a / draws.b
    assert np.array_equal(posterior.log_prob(draws, Y), expected)
    assert si.summary(draws).index.to_list() == ["a", "b", "ratio"]


def test_parameters_that_are_missing_are_named(posterior):
    with pytest.raises(si.PriorError, match="parameters a, b; got a"):
        posterior.log_prob({"a": 1.0}, Y)
    with pytest.raises(si.PriorError, match="a, b"):
        posterior.log_prob({"c": 1.0}, Y)


def test_the_ratio_to_the_prior_is_known(posterior):
    ys = np.array([[1.0, -0.5], [-2.0, 3.0], [0.0, 0.0]])
    observations = posterior.schema.read_many(ys)
    flat = posterior.core.draw(observations, 20, np.random.default_rng(1))
    found = posterior.core.log_ratio(flat, observations, normalised=True)
    prior = st.multivariate_normal(np.zeros(2), np.diag(SPREAD**2))
    for row, y in enumerate(ys):
        true = st.multivariate_normal(*exact(y)).logpdf(flat[row]) - prior.logpdf(flat[row])
        assert np.allclose(found[row], true, rtol=0, atol=1e-9)
    assert np.array_equal(posterior.core.log_ratio(flat, observations, normalised=False), found)


FOUR = si.Prior(a=st.norm(0, 1), b=st.norm(0, 2), c=st.expon(), d=st.uniform(-1, 2))
MANY = {
    "sets": [
        {"x": [0.1, 0.5], "z": 0.2, "sd": 1.1},
        {"x": [1.0, 2.0, 1.5, 0.5, 1.0], "z": 1.4, "sd": 1.2},
        {"x": [-1.0, -0.5, 0.0], "z": -0.3, "sd": 1.9},
    ],
    "forwards": [[1.0, -0.5], [-2.0, 3.0], [0.0, 0.0]],
}


@pytest.fixture(scope="module")
def forwards():
    with pytest.warns(UserWarning, match="the forward network misses y"):
        return quick_fit(LINE.simulator, FOUR, method=si.INN(blocks=2, hidden=16), epochs=5)


@pytest.mark.parametrize("name", MANY)
def test_ratios_of_many_observations_are_those_of_each(name, request):
    posterior, ys = request.getfixturevalue(name), MANY[name]
    observations = posterior.schema.read_many(ys)
    flat = posterior.core.draw(observations, 20, np.random.default_rng(1))
    found = posterior.core.log_ratio(flat, observations, normalised=True)
    assert found.shape == (3, 20)
    for row, y in enumerate(ys):
        named = posterior.prior.unflatten(flat[row])
        alone = posterior.log_prob(named, y).values - posterior.prior.log_prob(named)
        assert np.allclose(found[row], alone, rtol=1e-4, atol=1e-3)
    others = posterior.core.log_ratio(flat, observations[np.array([2, 0, 1])], normalised=True)
    assert (np.abs(others - found).max(axis=1) > 0.01).all()
    constants = found - posterior.core.log_ratio(flat, observations, normalised=False)
    assert np.allclose(constants, constants[:, :1], atol=1e-3)


def test_the_highest_density(posterior):
    found = posterior.map_estimate(Y)
    assert np.allclose([found["a"], found["b"]], MEAN, atol=1e-3)


def test_a_summary(posterior):
    table = posterior.summary(Y, 40_000)
    sd = np.sqrt(np.diag(COVARIANCE))
    assert np.allclose(table["mean"], MEAN, atol=0.02)
    assert np.allclose(table["sd"], sd, rtol=0.02)
    assert np.allclose(table["high95"] - table["low95"], 2 * 1.96 * sd, rtol=0.03)
    assert np.allclose(table["high68"] - table["low68"], 2 * 0.9945 * sd, rtol=0.03)
    assert np.allclose(table["width"], sd / SPREAD, rtol=0.05)
    assert table["units"].to_list() == ["m", ""]


# -- what does not fit -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ({"x": Y}, r"an array of shape \(2,\); got names x: y missing; x unknown"),
        ([1.0, 2.0, 3.0], r"expected y of shape \(2,\); got \(3,\)"),
        ([1.0, np.nan], "expected finite numbers in y; got NaN"),
        (None, "expected y"),
    ],
)
def test_observations_that_do_not_fit(posterior, y, message):
    calls = [
        posterior.sample,
        posterior.summary,
        posterior.map_estimate,
        posterior.resimulate,
        posterior.rejection_abc,
        posterior.corner,
    ]
    for call in calls:
        with pytest.raises(si.ShapeError, match=message):
            call(y)
    with pytest.raises(si.ShapeError, match=message):
        posterior.log_prob({"a": 0.0, "b": 0.0}, y)
    if y is not None:  # check() without an observation is about the posterior in general
        with pytest.raises(si.ShapeError, match=message):
            posterior.check(y)


def test_one_of_many_observations_that_does_not_fit(posterior):
    with pytest.raises(si.ShapeError, match=r"observation 1: expected y of shape \(2,\)"):
        posterior.sample_each([[1.0, 2.0], [1.0]])


def test_a_posterior_of_nothing_is_refused():
    def broken(a):
        raise ValueError("no")

    with pytest.raises(si.SimulationError) as caught:
        si.simulate(broken, si.Prior(a=st.norm()), n=300, n_jobs=1, progress=False)
    with pytest.raises(si.SimulationError, match="no posterior"):
        Core(ExactLine(), caught.value.simulations, np.arange(3), seed=1, n_simulations=300)


# -- against the simulator -------------------------------------------------------------------------


def test_the_error_is_the_distance_of_what_was_simulated(posterior):
    again = posterior.resimulate(Y, 300)
    assert again.sizes == {"draw": 300, "y_dim": 2}
    assert again.y.attrs["units"] == "mm"
    gap = again.y.values - Y
    assert np.allclose(again.error, np.sqrt((gap**2).sum(axis=1)))
    table = posterior.simulations.dataset["y"].values
    scale = 1.4826 * np.median(np.abs(table - np.median(table, axis=0)), axis=0)
    assert np.allclose(again.scaled_error, np.sqrt(((gap / scale) ** 2).sum(axis=1)))
    assert again.equals(posterior.resimulate(Y, 300))
    assert not again.equals(posterior.resimulate(Y, 300, seed=4))


@si.simulator(batched=True)
def exactly(a, b):
    return {"y": np.column_stack([a, b]) @ MIX.T}


class Inverse(ExactLine):
    """The posterior of `exactly`: a point."""

    def sample(self, observations, n, rng):
        found = observations.vector @ np.linalg.inv(MIX.T)
        return np.repeat((found / SPREAD + self.shift)[:, None], n, axis=1)


def test_the_error_is_zero_only_for_an_exact_posterior():
    problem = si.Problem(exactly, LINE.prior)
    for shift, expected in ((0.0, 0.0), (0.1, np.linalg.norm(MIX @ (0.1 * SPREAD)))):
        posterior = exact_posterior(problem=problem, fitted=Inverse(shift))
        error = posterior.resimulate(Y, 100).error
        assert np.allclose(error, expected, rtol=0, atol=1e-12)


def test_simulating_again_uses_the_observations_own_givens(sets):
    y = {"x": [0.1, 0.4, -0.2], "z": 0.0, "sd": 1.9}
    again = sets.resimulate(y, 2_000)
    assert again.x.shape == (2_000, 3)
    assert abs(again.x.std("n_entry", ddof=1).mean().item() / (0.886 * 1.9) - 1) < 0.05
    assert np.isfinite(again.error).all()
    # Sets are compared by statistics, in which their order has no say.
    schema = sets.schema
    rows = schema.stack(
        {"x": again.x.values, "z": again.z.values, "sd": np.full(2_000, 1.9)},
        {"n": np.full(2_000, 3)},
    )
    gap = statistics(rows, schema) - statistics(schema.read(y), schema)
    assert np.allclose(again.error, np.linalg.norm(gap, axis=1))
    assert np.allclose(again.error, sets.resimulate(y | {"x": [-0.2, 0.1, 0.4]}, 2_000).error)


def test_simulations_that_fail_are_nan():
    @si.simulator
    def fragile(a, b, rng):
        if a > 0:
            raise ArithmeticError("too large")
        return {"y": [a + b, a - b] + rng.normal(0, 0.5, 2)}

    problem = si.Problem(fragile, LINE.prior)
    posterior = exact_posterior(problem=problem, test=200)
    again = posterior.resimulate([0.1, 0.0], 200)
    draws = posterior.sample([0.1, 0.0], 200)
    failed = draws.a.values > 0
    assert 0 < failed.sum() < 200
    assert np.array_equal(np.isnan(again.error), failed)
    assert np.array_equal(np.isnan(again.y).all("y_dim"), failed)


def test_without_a_simulator_it_says_what_to_do():
    posterior = exact_posterior(simulator=False)
    message = r"a simulator is needed.*load_posterior\(path, simulator=...\)"
    with pytest.raises(si.SimulationError, match=message):
        posterior.resimulate(Y)
    with pytest.raises(si.SimulationError, match=message):
        posterior.rejection_abc(Y, n_simulations=100)
    assert posterior.rejection_abc(Y).sizes == {"draw": 5}


def test_scales_come_from_all_simulations(posterior):
    rows = statistics(posterior.simulations.observations(), posterior.schema)
    assert np.array_equal(posterior.core.scale, spread(rows))


# -- ABC -------------------------------------------------------------------------------------------


def test_abc_uses_the_simulations_of_the_fit_again(posterior):
    draws = posterior.rejection_abc(Y, quantile=0.02)
    table = posterior.simulations
    assert draws.sizes == {"draw": 20}
    assert set(draws.a.values) <= set(table.dataset["a"].values)
    assert draws.equals(si.rejection_abc(table, Y, quantile=0.02))
    assert draws.attrs["n_simulations"] == 1_000
    assert draws.a.attrs["units"] == "m"


def test_abc_simulates_anew_when_asked(posterior):
    draws = posterior.rejection_abc(Y, quantile=0.02, n_simulations=2_000)
    assert draws.sizes == {"draw": 40}
    assert draws.attrs["n_simulations"] == 2_000
    assert not set(draws.a.values) & set(posterior.simulations.dataset["a"].values)


def test_abc_with_givens_that_vary_simulates_at_the_observations_own(sets):
    y = {"x": [0.1, 0.4, -0.2], "z": 0.0, "sd": 1.9}
    draws = sets.rejection_abc(y, quantile=0.05)
    assert draws.attrs["n_simulations"] == 300
    assert draws.sizes == {"draw": 15}
    assert not set(draws.a.values) & set(sets.simulations.dataset["a"].values)
    with pytest.raises(si.ShapeError, match=r"sd is 1.9 in the observation and 1 to 2"):
        si.rejection_abc(sets.simulations, y)


def test_whole_givens_stay_whole_in_abc():
    def coin(p, n, rng):
        return {"heads": sum(rng.random() < p for _ in range(n))}

    problem = si.Problem(coin, si.Prior(p=st.uniform(0, 1)), given={"n": st.randint(5, 20)})
    posterior = quick_fit(problem)
    draws = posterior.rejection_abc({"heads": 6, "n": 12}, epsilon=0.0)
    assert draws.attrs["n_simulations"] == 300
    assert abs(draws.p.mean().item() - 7 / 14) < 0.15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": -0.1}, "epsilon >= 0; got -0.1"),
        ({"epsilon": np.nan}, "epsilon >= 0; got nan"),
        ({"quantile": 0.0}, r"quantile in \(0, 1\]; got 0.0"),
        ({"quantile": 1.5}, r"quantile in \(0, 1\]; got 1.5"),
        ({"quantile": np.nan}, r"quantile in \(0, 1\]"),
        ({"quantile": 0.1, "epsilon": 0.1}, "not both"),
    ],
)
def test_wrong_thresholds(posterior, settings, message):
    with pytest.raises(ValueError, match=message):
        posterior.rejection_abc(Y, **settings)


# -- the rest --------------------------------------------------------------------------------------


def test_repr_says_what_it_is_and_what_to_type_next():
    posterior = exact_posterior()
    lines = repr(posterior).splitlines()
    assert "a, b given an array of shape (2,)" in lines[0]
    assert "exact posterior, trained on 1,000 simulations in 3 s (finished)" in lines[1]
    assert lines[2].endswith("not checked yet")
    assert [line.split("posterior.")[1].split("(")[0] for line in lines[3:]] == [
        "check",
        "sample",
        "corner",
    ]
    check = posterior.check()
    assert check.sentence in repr(posterior)
    posterior.check(Y)  # at one observation: that is no verdict on the posterior
    assert posterior.last_check == check.sentence


PUBLIC = {
    *("prior", "schema", "nuisances", "history", "settings", "simulations", "n_simulations"),
    *("seed", "problem", "core", "last_check", "last_verdict", "last_numbers"),
    *("emulation", "verify", "train_more", "growth", "networks"),
    *("recalibrate", "intervals", "regions", "information"),
    *("sample", "sample_each", "summary", "summary_each", "log_prob", "map_estimate"),
    *("at_tolerance", "importance", "reweight", "emulate", "resimulate", "rejection_abc"),
    *("encode", "decode", "to"),
    *("check", "calibration", "recovery", "learning_curve", "plan", "refine"),
    *("intervals", "regions", "recalibrate"),
    *("goodness_of_fit", "goodness_of_fit_each", "goodness_of_fit_together"),
    *("corner", "plot_calibration", "plot_recovery", "plot_latent", "latent_grid"),
    *("plot_forecast", "plot_forest", "plot_training", "maps", "plot_field"),
    *("to_datatree", "to_dataframe", "to_numpy", "latex_table", "save"),
}


def test_the_public_face_is_what_users_call(posterior):
    assert {name for name in dir(posterior) if not name.startswith("_")} == PUBLIC
    undocumented = [
        n for n in PUBLIC - set(vars(posterior)) if not getattr(si.Posterior, n).__doc__
    ]
    assert undocumented == []


def test_another_problem_may_be_set():
    posterior = exact_posterior()
    posterior.problem = None
    assert "re-simulation" in briefly(posterior, 100).check(progress=False).skipped
    posterior.problem = LINE
    assert "re-simulation" in briefly(posterior, 100).check(progress=False).records
    assert posterior.resimulate(Y, 5).sizes["draw"] == 5


def test_rows_that_training_has_seen(posterior):
    assert np.array_equal(posterior.core.seen_rows, np.arange(500, 1_000))


def test_the_training_plot(posterior):
    assert posterior.plot_training().axes
    plt.close("all")
