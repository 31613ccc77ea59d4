"""How wide intervals are expected to be: against posteriors that can be written down."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.stats as st
from studies import quick_fit

import sbi_inn as si
from sbi_inn.draws import Column, columns_of
from sbi_inn.observation.schema import Schema
from sbi_inn.planning import Plan, plan, widths


@si.simulator(sets={"m": ["y"]}, batched=True)
def repeated(a, m, sigma, rng):
    """Measure a m times, with noise of a known sd."""
    return {"y": a[:, None] + sigma[:, None] * rng.normal(size=(len(a), int(m.max())))}


PROBLEM = si.Problem(
    repeated,
    si.Prior(a=st.norm(0, 1)),
    given={"m": st.randint(5, 101), "sigma": st.uniform(0.5, 1.5), "scale": 3.0},
    labels={"a": "height"},
    units={"a": "mm"},
)


def exact_width(m, sigma, level=0.95):
    return 2 * st.norm.ppf((1 + level) / 2) / np.sqrt(1 + m / np.square(sigma))


@dataclass(frozen=True)
class Exact:
    """The exact posterior of `PROBLEM`."""

    schema: Schema

    def draw(self, observations, n, rng):
        sets, sigma = observations.sets["m"], observations.vector[:, -1]
        precision = 1 + sets.sizes / sigma**2
        mean = sets.values.sum(axis=(1, 2)) / sigma**2 / precision
        noise = rng.standard_normal((len(mean), n)) / np.sqrt(precision)[:, None]
        return (mean[:, None] + noise)[:, :, None]


@dataclass(frozen=True)
class Held:
    observations: object


@pytest.fixture(scope="module")
def simulations():
    return si.simulate(PROBLEM, n=2_000, seed=1, n_jobs=1, progress=False)


def planned(simulations, given, values, *, problem=PROBLEM, rows=None, **options):
    tests = Held(simulations.observations()[:rows])
    columns = columns_of(simulations.prior_draws)
    settings = {"columns": columns, "tests": tests, "problem": problem, "seconds": 0.0, "seed": 1}
    return plan(Exact(simulations.schema), given, values, **settings | options)


# -- with a simulator ------------------------------------------------------------------------------


def test_widths_of_a_gaussian_at_a_stated_sd(simulations):
    values = [0.5, 1.0, 2.0]
    found = planned(simulations, "sigma", values, n=400)
    m = np.arange(5, 101)
    expected = [exact_width(m, sigma).mean() for sigma in values]
    assert np.all(np.abs(found.width[:, 0] - expected) < 4 * found.error[:, 0])
    assert np.all(found.error[:, 0] < 0.05 * found.width[:, 0])
    spread = [np.quantile(exact_width(m, sigma), [0.16, 0.84]) for sigma in values]
    assert np.allclose(found.low[:, 0], [low for low, _ in spread], rtol=0.1)
    assert np.allclose(found.high[:, 0], [high for _, high in spread], rtol=0.1)


def test_widths_of_a_gaussian_at_a_stated_number(simulations):
    values = [5, 20, 100]
    found = planned(simulations, "m", values, n=400)
    sigma = np.linspace(0.5, 2, 1_001)
    expected = [exact_width(m, sigma).mean() for m in values]
    assert np.all(np.abs(found.width[:, 0] - expected) < 4 * found.error[:, 0])
    assert np.all(np.diff(found.width[:, 0]) < 0)


def test_other_levels_and_few_draws_are_not_biased(simulations):
    """300 draws know a width to a few per cent, 400 observations of them to a few per mille."""
    for level in (0.5, 0.95):
        found = planned(simulations, "sigma", [1.0], n=400, draws=300, level=level)
        expected = exact_width(np.arange(5, 101), 1.0, level).mean()
        many = planned(simulations, "sigma", [1.0], n=400, draws=6_000, level=level)
        assert abs(found.width[0, 0] / many.width[0, 0] - 1) < 0.012
        assert abs(found.width[0, 0] - expected) < 4 * found.error[0, 0]


def test_the_same_parameters_at_every_value(simulations):
    """So that noise does not make a smooth curve rough."""
    found = planned(simulations, "sigma", [1.0, 1.0 + 1e-9], n=50)
    assert found.width[0, 0] == pytest.approx(found.width[1, 0], rel=1e-6)


def test_an_expensive_simulator_is_called_less(simulations, monkeypatch):
    asked = []
    run = widths.run

    def counted(problem, **options):
        asked.append(options["n"])
        return run(problem, **options)

    monkeypatch.setattr(widths, "run", counted)
    for seconds in (0.0, 0.5, np.inf):
        planned(simulations, "sigma", [1.0, 2.0], n=100, seconds=seconds)
    assert asked == [100, 100, 60, 60, 20, 20]


# -- without one -----------------------------------------------------------------------------------


def test_held_out_sets_are_cut(simulations):
    values = [5, 40]
    found = planned(simulations, "m", values, problem=None)
    sigma = np.linspace(0.5, 2, 1_001)
    expected = [exact_width(m, sigma).mean() for m in values]
    assert np.all(np.abs(found.width[:, 0] - expected) < 4 * found.error[:, 0])


def test_held_out_rows_near_a_value(simulations):
    """A tenth of the rows spans .15 of sigma; the mean over it is that at its centre."""
    found = planned(simulations, "sigma", [0.8, 1.7], problem=None)
    expected = [exact_width(np.arange(5, 101), sigma).mean() for sigma in (0.8, 1.7)]
    assert np.all(np.abs(found.width[:, 0] - expected) < 4 * found.error[:, 0])


@pytest.mark.parametrize(
    ("given", "value", "rows"), [("m", 100, 500), ("sigma", 1.0, 19), ("m", 5, 19)]
)
def test_too_few_held_out_rows(simulations, given, value, rows):
    with pytest.raises(ValueError, match=f"a simulator is needed to plan for {given} = {value:g}"):
        planned(simulations, given, [value], problem=None, rows=rows)


def test_no_held_out_row_lies_beyond_the_trained_range(simulations):
    with (
        pytest.warns(UserWarning, match="outside the trained range"),
        pytest.raises(ValueError, match=r"simulator is needed .*sigma = 2\.1: only 0 held-out"),
    ):
        planned(simulations, "sigma", [2.1], problem=None)


# -- what is said ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "values", "message"),
    [
        ("scale", [1.0], "among sigma, m; got 'scale'"),
        ("a", [1.0], "among sigma, m; got 'a'"),
        ("m", [5.5], "a whole number for m; got 5.5"),
        ("m", [0], "at least 1; got 0"),
        ("sigma", [np.nan], "a finite number for sigma; got nan"),
        ("sigma", [], "at least one value of sigma"),
    ],
)
def test_values_that_cannot_be_planned_for(simulations, given, values, message):
    with pytest.raises(ValueError, match=message):
        planned(simulations, given, values)


@pytest.mark.parametrize("options", [{"level": 1.0}, {"level": 0.0}, {"n": 19}])
def test_settings_that_make_no_plan(simulations, options):
    with pytest.raises(ValueError, match="level between 0 and 1 and n of at least 20"):
        planned(simulations, "sigma", [1.0], **options)


def test_a_value_outside_the_trained_range_is_warned_of(simulations):
    planned(simulations, "sigma", [0.5, 2.0], n=20)  # the ends of its law; no simulation is there
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        planned(simulations, "m", [50, 150], n=20)
    (said,) = [str(warning.message) for warning in caught]
    assert said.startswith("m = 150 is outside the trained range 5 to 100: the posterior extrap")


def test_the_warning_points_to_the_line_of_the_user():
    posterior = quick_fit(PROBLEM)
    with pytest.warns(UserWarning, match="outside the trained range") as caught:
        posterior.plan("sigma", [2.5], n=20)
    assert [warning.filename for warning in caught] == [__file__]


def test_the_table_and_what_is_shown(simulations):
    found = planned(simulations, "sigma", [0.5, 2.0], n=50, level=0.9)
    assert found.table.index.name == "sigma"
    assert found.table.index.to_list() == [0.5, 2.0]
    assert list(found.table) == ["a"]
    assert np.array_equal(found.table.to_numpy(), found.width)
    assert np.array_equal(found.errors.to_numpy(), found.error)
    assert found.columns[0].units == "mm"
    assert "90 % interval" in repr(found)
    assert "<table" in found._repr_html_()


@pytest.mark.parametrize("width_mm", [85.0, 180.0])
def test_the_figure(width_mm):
    column = Column("a", "a", "height", "mm", 3.92)
    width = np.array([[2.0], [1.0]])
    low, high, error = 0.8 * width, 1.2 * width, width / 50
    found = Plan("m", np.array([5.0, 100.0]), (column,), 0.9, width, low, high, error)
    figure = found.plot(width_mm)
    assert figure.get_figwidth() * 25.4 == pytest.approx(width_mm)
    assert figure.axes[0].get_xlabel() == "m"
    assert figure.axes[0].get_ylabel().startswith("90 % width")
