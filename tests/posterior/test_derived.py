"""Derived quantities stand beside the parameters: in draws, summaries, figures and checks."""

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, SMALL, ExactLine, briefly, exact_posterior, quick_fit

import sbi_inn as si
from sbi_inn.errors import PriorError
from sbi_inn.simulation.derived import Derived

# What a check of so short a fit says, and that y may be strange, is not the matter here.
pytestmark = [
    pytest.mark.filterwarnings("ignore:the last check of this posterior said"),
    pytest.mark.filterwarnings("ignore:.*a posterior refined there would mean little"),
    pytest.mark.filterwarnings("ignore:this posterior was refined for"),
]

Y = {"y": [0.4, -0.3]}
DERIVED = {"total": lambda a, b: a + b, "both": lambda a, b: np.column_stack([a * b, a - b])}
COLUMNS = ("a", "b", "total", "both[0]", "both[1]")


def deriving(n=1_200, test=1_000, **wrong):
    posterior = exact_posterior(n, test, fitted=ExactLine(**wrong), simulator=False)
    core = posterior.core
    made = Derived.of(DERIVED, core.prior)
    object.__setattr__(core, "simulations", core.simulations.deriving(made))
    return posterior


@pytest.fixture(scope="module")
def fitted():
    return quick_fit(LINE, derived=DERIVED, n=600)


def test_draws_have_them(fitted):
    drawn = fitted.sample(Y, 100)
    np.testing.assert_allclose(drawn.total, drawn.a + drawn.b)
    np.testing.assert_allclose(drawn.both[:, 0], drawn.a * drawn.b)
    each = fitted.sample_each([Y, Y], 5)
    np.testing.assert_allclose(each.total, each.a + each.b)
    assert each.total.dims == ("observation", "draw")


@pytest.mark.slow
def test_so_do_summaries_tables_and_figures(fitted):
    summary = fitted.summary(Y)
    assert tuple(summary.index) == COLUMNS
    assert summary["width"].notna().all()
    table = fitted.summary_each([Y, {"y": [1.0, 0.0]}], 200, progress=False)
    assert "both[1]_median" in table
    assert list(fitted.to_dataframe(Y, 5)) == list(COLUMNS)
    assert len(fitted.corner(Y, 200).axes) >= 15
    assert "total" in fitted.to_datatree(Y, 50)["prior"]
    assert tuple(fitted.intervals(Y).index) == COLUMNS
    fitted.log_prob(fitted.sample(Y, 5), Y)


@pytest.mark.slow
def test_every_check_looks_at_them(fitted):
    check = fitted.check(Y, progress=False)
    assert set(COLUMNS) <= set(check.records["calibration"].table.index)
    assert set(COLUMNS) <= set(check.records["information at y"].table.index)
    assert set(COLUMNS) <= set(fitted.recovery().table.index)
    assert "location of total" in check.records["conditional ranks at y"].table.index
    for record in check.records.values():
        record.plot()
    others = [r for n, r in check.records.items() if "calibration at y" in n]
    assert all("total" in record.table.index for record in others)


def test_a_wrong_correlation_shows_in_a_sum():
    found = deriving(correlation=0.9).calibration().table["relative_width"]
    assert 0.85 < found["a"] < 1.15
    assert abs(np.log(found["total"])) > 0.2


def test_of_an_exact_posterior_they_are_calibrated():
    check = deriving().check(progress=False)
    assert check.verdict == "trust"
    assert check.records["calibration"].table["calibration_error"].max() < 0.03


def test_intervals_of_them_hold():
    wrong = deriving(correlation=0.9)
    low, high = np.array(wrong.intervals(Y).loc[["total"], ["low", "high"]]).ravel()
    right = np.array(deriving().intervals(Y).loc[["total"], ["low", "high"]]).ravel()
    assert abs((high - low) / (right[1] - right[0]) - 1) < 0.2


def test_files_hold_their_names_and_want_the_functions(fitted, tmp_path):
    fitted.save(tmp_path / "a.sbi")
    again = si.load_posterior(tmp_path / "a.sbi", simulator=LINE, derived=DERIVED)
    assert again.sample(Y, 10).equals(fitted.sample(Y, 10))
    with pytest.warns(UserWarning, match=r"derived quantities \(total, both\)"):
        bare = si.load_posterior(tmp_path / "a.sbi", simulator=LINE)
    assert list(bare.sample(Y, 10).data_vars) == ["a", "b"]


@pytest.mark.slow
def test_recalibrated_and_refined_posteriors_keep_them(fitted):
    assert "total" in fitted.recalibrate(200).sample(Y, 5)
    refined = fitted.refine(Y, 300, rounds=1, n_jobs=1, progress=False)
    assert "total" in refined.sample(Y, 5)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"a": lambda b: b}, "given twice"),
        ({"two words": lambda a: a}, "identifiers"),
        ({"y": lambda a: a}, "name of an observable"),
        ({"x": lambda c: c}, "has the arguments c; parameters are a, b"),
        ({"x": lambda a: a.mean()}, r"shape \(200,\) or \(200, k\); got \(\)"),
        ({"x": lambda a: np.sqrt(a)}, "infinite or not a number"),
        ({"x": lambda a: a.nothing}, "raised AttributeError"),
        ({"x": 3}, "must be a function"),
    ],
)
def test_bad_functions(functions, message):
    with np.errstate(invalid="ignore"), pytest.raises(PriorError, match=message):
        si.fit_posterior(
            LINE, derived=functions, n_simulations=200, method=SMALL, ensemble=1, progress=False
        )


def test_vectors_and_kwargs():
    prior = si.Prior(theta=st.multivariate_normal([0, 0], np.eye(2)), k=st.poisson(3))
    functions = {"norm": lambda theta: (theta**2).sum(axis=1), "n": lambda **every: every["k"]}
    made = Derived.of(functions, prior)
    assert made.columns == ("norm", "n")
    assert made.flat({"theta": np.ones((3, 2)), "k": np.arange(3)}).shape == (3, 2)


@si.simulator(batched=True)
def throw(speed, angle, rng):
    return {"reach": speed**2 * np.sin(2 * angle) / 9.81 + rng.normal(0, 0.1, len(speed))}


def test_a_problem_says_their_labels_and_units(tmp_path):
    prior = si.Prior(speed=st.uniform(1, 9), angle=st.uniform(0.2, 1.1))
    units, labels = {"speed": "m/s", "top": "m"}, {"top": "largest height"}
    problem = si.Problem(throw, prior, units=units, labels=labels)
    derived = {"top": lambda speed, angle: (speed * np.sin(angle)) ** 2 / 19.62}
    posterior = briefly(quick_fit(problem, derived=derived), 100)
    y = {"reach": 4.0}
    assert posterior.sample(y, 5)["top"].attrs["units"] == "m"
    assert posterior.summary(y).loc["top", "units"] == "m"
    assert posterior.intervals(y).loc["top", "units"] == "m"
    assert "largest height [m]" in posterior.latex_table(y)
    si.simulate(posterior.core.problem, n=10, progress=False)  # as refine does
    path = tmp_path / "throw.sbi"
    posterior.save(path)
    for simulator in (None, problem):
        again = si.load_posterior(path, simulator=simulator, derived=derived)
        assert again.sample(y, 5)["top"].attrs["label"] == "largest height"
        assert again.summary(y)["units"].to_list() == ["m/s", "", "m"]


def test_units_of_what_nobody_derives_are_an_error():
    prior = si.Prior(speed=st.uniform(1, 9), angle=st.uniform(0.2, 1.1))
    problem = si.Problem(throw, prior, units={"top": "m"})
    with pytest.raises(si.SimulationError, match="units= names top.*derived="):
        quick_fit(problem, n=300)
