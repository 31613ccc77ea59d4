"""Ways out: ArviZ, pandas, numpy and LaTeX read what a posterior gives."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats as st
import xarray as xr
from studies import LINE, ExactLine, exact, exact_posterior

import sbi_inn as si
from sbi_inn.draws import make_draws
from sbi_inn.posterior.exports import datatree
from sbi_inn.report.latex import latex_table

Y = {"y": [1.0, 2.0]}
N = 400


@dataclass(frozen=True)
class OnlyDraws(ExactLine):
    """The exact posterior of `LINE`, whose density cannot be evaluated."""

    def log_prob(self, latent, observations):
        raise si.NoDensityError("draws only")


@si.simulator(sets={"n": ["rt"]})
def trials(theta, n, weight, unit, rng):
    return {"rt": rng.normal(theta[0], weight * unit, n), "image": np.outer(theta, [1, 1, 1])}


TRIALS = si.Problem(
    trials,
    si.Prior(theta=st.multivariate_normal([0, 0])),
    given={"n": st.randint(3, 9), "weight": st.uniform(1, 1), "unit": 2.0},
    labels={"theta": "strength", "weight": "exposure"},
    units={"rt": "s"},
)
SEEN = {"rt": [0.1, 0.2, 0.3, 0.4], "image": np.ones((2, 3)), "weight": 1.5}


class PriorOnly(ExactLine):
    """A posterior that has learned nothing."""

    def sample(self, observations, n, rng):
        return rng.standard_normal((len(observations), n, 2))

    def log_prob(self, latent, observations):
        return st.norm.logpdf(latent).sum(axis=1)


@pytest.fixture(scope="module")
def line():
    return exact_posterior()


@pytest.fixture(scope="module")
def tree(line):
    return line.to_datatree(Y, N)


@pytest.fixture(scope="module")
def trials_tree():
    posterior = exact_posterior(n=50, test=10, problem=TRIALS, fitted=PriorOnly())
    return posterior.to_datatree(SEEN, 7)


# -- the tree --------------------------------------------------------------------------------------


def test_a_simulator_that_fails_at_every_draw_leaves_the_prediction_out():
    @si.simulator(batched=True)
    def broken(a, b):
        return {"y": np.full((len(a), 2), np.nan)}

    posterior = exact_posterior(n=300, test=50)
    posterior.problem = si.Problem(broken, LINE.prior)
    tree = posterior.to_datatree(Y, 20)
    assert "posterior_predictive" not in tree.children
    assert set(tree.children) == {"posterior", "prior", "observed_data", "sample_stats"}


def test_groups_and_dims_are_those_of_arviz(tree):
    assert set(tree.children) == {
        "posterior", "prior", "posterior_predictive", "observed_data", "sample_stats",
    }  # fmt: skip
    for name in ("posterior", "prior", "sample_stats"):
        for variable in tree[name].data_vars.values():
            assert variable.dims == ("chain", "draw")
            assert variable.shape == (1, N)
    assert tree["posterior_predictive"].y.dims == ("chain", "draw", "y_dim")
    assert tree["observed_data"].y.dims == ("y_dim",)
    np.testing.assert_array_equal(tree["posterior"].draw, np.arange(N))
    np.testing.assert_array_equal(tree["posterior"].chain, [0])


def test_the_tree_holds_the_draws_their_density_and_their_simulations(tree, line):
    draws, again = line.sample(Y, N), line.resimulate(Y, N)
    np.testing.assert_array_equal(tree["posterior"].a[0], draws.a)
    np.testing.assert_array_equal(tree["sample_stats"].lp[0], line.log_prob(draws, Y))
    np.testing.assert_array_equal(tree["posterior_predictive"].y[0], again.y)
    np.testing.assert_array_equal(tree["observed_data"].y, Y["y"])
    assert list(tree["posterior_predictive"].data_vars) == ["y"]


def test_the_prior_is_the_prior(line):
    prior = line.to_datatree(Y, 10_000)["prior"]
    # Of 10,000 draws: five Monte-Carlo standard errors.
    assert float(prior.b.mean()) == pytest.approx(0, abs=5 * 2 / 100)
    assert float(prior.b.std()) == pytest.approx(2, abs=5 * 2 / 141)


def test_attributes_say_where_it_comes_from(tree):
    assert tree.attrs == {
        "inference_library": "sbi_inn",
        "inference_library_version": si.__version__,
        "method": "exact",
    }
    assert tree["posterior"].a.attrs["label"] == "intercept"
    assert tree["posterior"].a.attrs["units"] == "m"
    assert tree["observed_data"].y.attrs["units"] == "mm"


def test_the_same_seed_gives_the_same_tree_and_another_another(tree, line):
    assert tree.identical(line.to_datatree(Y, N))
    other = line.to_datatree(Y, N, seed=8)
    assert not tree["posterior"].equals(other["posterior"])
    np.testing.assert_array_equal(other["posterior"].a[0], line.sample(Y, N, seed=8).a)
    assert not tree["posterior_predictive"].equals(other["posterior_predictive"])


def test_without_simulator_and_density_their_groups_are_left_out():
    posterior = exact_posterior(fitted=OnlyDraws(), simulator=False)
    tree = posterior.to_datatree(Y, 5)
    assert set(tree.children) == {"posterior", "prior", "observed_data"}


def test_sets_images_givens_and_vectors(trials_tree):
    posterior, observed = trials_tree["posterior"], trials_tree["observed_data"]
    assert posterior.theta.dims == ("chain", "draw", "theta_dim")
    np.testing.assert_array_equal(posterior.theta_dim, [0, 1])
    np.testing.assert_array_equal(observed.rt, SEEN["rt"])
    np.testing.assert_array_equal(observed.image, SEEN["image"])
    again = trials_tree["posterior_predictive"]
    assert again.rt.dims == ("chain", "draw", *observed.rt.dims)
    assert again.image.dims == ("chain", "draw", *observed.image.dims)
    assert again.rt.shape == (1, 7, 4)
    given = trials_tree["constant_data"]
    assert {str(n): v.item() for n, v in given.data_vars.items()} == {
        "n": 4, "weight": 1.5, "unit": 2.0,
    }  # fmt: skip
    assert given.weight.attrs["label"] == "exposure"


def test_what_does_not_fit_is_refused(line):
    with pytest.raises(si.ShapeError, match="expected y of shape"):
        line.to_datatree({"y": [1.0]}, 5)


def test_groups_are_not_changed():
    draws = make_draws({"a": [1.0, 2.0]})
    tree = datatree({"posterior": draws}, method="x")
    assert draws.identical(make_draws({"a": [1.0, 2.0]}))
    assert tree["posterior"].a.attrs == draws.a.attrs


# -- ArviZ -----------------------------------------------------------------------------------------


def test_arviz_summarises_as_we_do(tree, line, trials_tree):
    from arviz_stats import summary

    found = summary(tree, round_to="none")
    ours = line.summary(Y, N)
    np.testing.assert_allclose(found["mean"], ours["mean"], rtol=1e-12)
    # ArviZ divided by n before release 1, and by n - 1 since.
    np.testing.assert_allclose(found["sd"], ours["sd"], rtol=1 / N)
    mean, _ = exact(np.array(Y["y"]))
    np.testing.assert_allclose(found["mean"], mean, atol=5 * ours["sd"].max() / np.sqrt(N))
    assert list(summary(trials_tree).index) == ["theta[0]", "theta[1]"]


@pytest.mark.slow
@pytest.mark.parametrize("plot", ["plot_dist", "plot_pair", "plot_forest", "plot_ppc_dist"])
@pytest.mark.filterwarnings("ignore")  # of ArviZ's own
def test_arviz_plots_it(plot, tree, trials_tree):
    import arviz_plots

    for one in (tree, trials_tree):
        shown = getattr(arviz_plots, plot)(one, backend="matplotlib")
        figure = shown.viz["figure"].item()
        figure.canvas.draw()
        assert any(ax.has_data() for ax in figure.axes)
    plt.close("all")


# -- tables ----------------------------------------------------------------------------------------


def test_tables_and_arrays_hold_the_same_draws(line):
    frame, array, draws = line.to_dataframe(Y, 50), line.to_numpy(Y, 50), line.sample(Y, 50)
    assert tuple(frame.columns) == LINE.prior.columns == ("a", "b")
    assert frame.index.name == "draw"
    np.testing.assert_array_equal(frame, array)
    np.testing.assert_array_equal(array, np.column_stack([draws.a, draws.b]))
    assert array.dtype == np.float64


def test_tables_and_arrays_take_number_and_seed(line):
    assert line.to_dataframe(Y).shape == line.to_numpy(Y).shape == (1000, 2)
    other = line.sample(Y, 20, seed=5)
    np.testing.assert_array_equal(line.to_dataframe(Y, 20, seed=5)["b"], other.b)
    np.testing.assert_array_equal(line.to_numpy(Y, 20, seed=5)[:, 1], other.b)


def test_vectors_have_a_column_an_element():
    posterior = exact_posterior(n=50, test=10, problem=TRIALS, fitted=PriorOnly())
    frame = posterior.to_dataframe(SEEN, 4)
    assert tuple(frame.columns) == posterior.prior.columns == ("theta[0]", "theta[1]")
    # and back again
    lp = posterior.log_prob(frame, SEEN)
    assert isinstance(lp, xr.DataArray)
    np.testing.assert_allclose(lp, posterior.log_prob(posterior.sample(SEEN, 4), SEEN))


def test_the_latex_table_is_that_of_the_draws(line):
    words = {"interval": 0.9, "caption": "Line.", "label": "tab:line"}
    table = line.latex_table(Y, 500, seed=2, **words)
    assert table == latex_table(line.sample(Y, 500, seed=2), **words)
    assert "intercept [m]" in table
    assert line.latex_table(Y) == latex_table(line.sample(Y, 10_000))
