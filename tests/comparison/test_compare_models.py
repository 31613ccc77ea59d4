"""Two simulators, one observation: which of them made it?"""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from pairs import COUNTS, PROBLEMS, compared, compared_counts, draws, linear, log_evidence, quick

import sbi_inn as si
from sbi_inn.checks.candidates import Candidates, Labelled
from sbi_inn.comparison import checking


def test_a_user_asks_which_simulator_made_the_data():
    comparison = compared()
    y = {"y": [2.0, -1.5, 0.0, 1.5]}
    table = comparison.table(y)
    assert list(table.index) == ["one", "two", "none of them"]
    assert list(table.columns) == ["probability", "log10_bayes_factor", "error", "p_value"]
    assert table["probability"][:2].sum() == pytest.approx(1)
    assert table["probability"].idxmax() == "two"
    assert table["log10_bayes_factor"]["two"] == 0
    assert table["p_value"]["none of them"] > 0.01
    factors = comparison.log_bayes_factors(y, base=math.e)
    truth = np.diff(log_evidence(y["y"]).ravel())[0]
    found = factors.loc[("two", "one")]
    assert abs(found["log_bayes_factor"] - truth) < 4 * found["error"] + 0.1
    assert factors.loc[("one", "two"), "log_bayes_factor"] == -found["log_bayes_factor"]
    check = comparison.check()
    assert check.verdict == "trust", check
    assert "comparison" in check.sentence
    assert comparison.last_verdict == "trust"


def test_bayes_factors_are_those_of_the_evidences():
    y, _ = draws(500, seed=2)
    truth = log_evidence(y)
    found = compared().log_bayes_factors_each(list(y), base=math.e)
    error = found["two", "log_bayes_factor"] - (truth[:, 1] - truth[:, 0])
    assert np.median(np.abs(error)) < 0.12
    probability = compared().probabilities_each(list(y))["two"]
    assert np.mean(np.abs(probability - 1 / (1 + np.exp(truth[:, 0] - truth[:, 1])))) < 0.025
    # Errors say how far off it is, within a factor of two.
    assert 0.5 < np.sqrt(np.mean((error / found["two", "error"]) ** 2)) < 2


@pytest.mark.slow
def test_other_prior_probabilities_need_no_training():
    y = {"y": [0.5, 0.0, 0.2, -0.3]}
    even = compared().probabilities(y)
    other = compared().probabilities(y, {"one": 0.2, "two": 0.8})
    odds = other["two"] / other["one"]
    assert odds == pytest.approx(4 * even["two"] / even["one"])
    stated = quick(compared().simulations, epochs=2, prior={"two": 0.8, "one": 0.2})
    np.testing.assert_allclose(stated.probabilities(y), other, rtol=1e-6)
    assert stated.table(y)["probability"]["two"] == pytest.approx(other["two"])


def test_simulations_serve_for_a_posterior_too():
    comparison = compared()
    table = comparison.simulations["one"]
    assert len(table) == 8_000
    posterior = si.fit_posterior(
        table, method=si.CINN(blocks=2, hidden=8), training=si.Training(epochs=1), ensemble=1,
        seed=1, progress=False,
    )  # fmt: skip
    assert posterior.prior.names == ("theta0",)


def test_observations_of_a_third_simulator_are_none_of_them():
    comparison = compared()
    rng = np.random.default_rng(3)
    inside, _ = draws(500, seed=4)
    outside = rng.normal(size=(200, 4)) + 3 * np.array([1, -1, 1, 1])
    alarms = comparison.goodness_of_fit_each(list(inside))
    found = comparison.goodness_of_fit_each(list(outside))
    assert 0.01 < (alarms["p_value"] < 0.05).mean() < 0.1
    assert found["none_of_them"].mean() > 0.5
    assert {"likelihood, two-tailed", "WAIC, one-tailed", "distance, two-tailed"} <= set(found)
    one = comparison.goodness_of_fit([9.0, -9.0, 9.0, 9.0])
    assert one.none_of_them
    assert "none of them" in one.sentence
    assert one.verdict == "do not trust"
    assert (one.each < 0.01).all()
    assert set(one.table.index) == {
        "likelihood", "class likelihood", "style likelihood", "WAIC", "distance"
    }  # fmt: skip


def planted(temperature, n=2_000, seed=5):
    """Give the checks exact probabilities at another temperature."""
    y, labels = draws(n // 2, seed)
    log_odds = np.diff(log_evidence(y), axis=1)[:, 0] / temperature
    p = 1 / (1 + np.exp(-log_odds))
    schema = compared().schema
    tests = Labelled(schema.read_many(list(y)), labels)
    uniform = np.random.default_rng(seed).random(n)
    return Candidates(
        compared().models, schema, tests, np.column_stack([1 - p, p]), uniform,
        np.empty((n, 0)), n, seed,
    )  # fmt: skip


@pytest.mark.parametrize(("temperature", "trusted"), [(1.0, True), (0.5, False), (2.0, False)])
def test_planted_temperatures_are_found_and_exact_ones_are_not(temperature, trusted):
    found = checking.check(compared().core, planted(temperature))
    assert (found.verdict == "trust") == trusted, found


def test_probabilities_that_have_read_nothing_are_calibrated_and_found():
    candidates = planted(1.0)
    half = Candidates(**{
        **{n: v for n, v in vars(candidates).items() if n != "_known"},
        "probabilities": np.full_like(candidates.probabilities, 0.5),
    })  # fmt: skip
    check = checking.check(compared().core, half)
    assert check.records["calibration"].verdict != "do not trust"
    assert check.records["what was read"].verdict == "do not trust"


def test_figures_and_report(tmp_path):
    comparison = compared()
    y = {"y": [0.5, 0.0, 0.2, -0.3]}
    figure = comparison.plot_decision(y)
    assert "probability" in figure.axes[0].get_title()
    likeness = comparison.similarity()
    assert isinstance(likeness, pd.DataFrame)
    assert (likeness.to_numpy() == likeness.to_numpy().T).all()
    assert 0 < likeness.loc["one", "two"] < 0.5
    assert comparison.plot_similarity().axes
    path = tmp_path / "report.html"
    comparison.check().to_html(path)
    assert "Can this comparison be trusted?" in path.read_text()
    assert "Of the simulations to which a model is given 70 %" in path.read_text()
    assert "ModelComparison of one, two" in repr(comparison)


def test_a_file_gives_the_same_probabilities(tmp_path):
    path = tmp_path / "two.sbi"
    y, _ = draws(20, seed=6)
    compared().save(path)
    again = si.load_comparison(path)
    np.testing.assert_array_equal(
        again.probabilities_each(list(y)), compared().probabilities_each(list(y))
    )
    pd.testing.assert_frame_equal(again.table({"y": y[0]}), compared().table({"y": y[0]}))
    assert again.last_verdict == compared().last_verdict
    assert again.check().verdict in {"trust", "cannot tell"}, again.check()
    with pytest.raises(si.LoadError, match="expected a posterior; the file holds 'comparison'"):
        si.load_posterior(path)
    with pytest.raises(si.LoadError, match="problems of the models one, two; got three"):
        si.load_comparison(path, problems={"three": PROBLEMS["one"]})


def test_sets_of_any_size_share_one_network(tmp_path):
    comparison = compared_counts()
    assert comparison.core.fitted.learned
    few, many = [2.0, 3.0, 1.0, 2.0, 2.0], [0.0, 0.0, 1.0, 5.0, 0.0, 2.0, 7.0, 0.0, 3.0, 1.0] * 2
    assert comparison.probabilities({"x": many})["geometric"] > 0.6
    assert comparison.probabilities({"x": few})["poisson"] > 0.6
    check = comparison.check()
    assert check.records["learned features"].verdict == "trust"
    path = tmp_path / "counts.sbi"
    comparison.save(path)
    again = si.load_comparison(path).table({"x": few})
    pd.testing.assert_frame_equal(again, comparison.table({"x": few}))


# -- bad input ---------------------------------------------------------------------------------


def test_one_model_is_no_comparison():
    with pytest.raises(si.ComparisonError, match="at least two models to compare; got one"):
        si.compare_models({"one": PROBLEMS["one"]})
    with pytest.raises(si.ComparisonError, match="expected models by name"):
        si.compare_models([PROBLEMS["one"]])
    with pytest.raises(si.ComparisonError, match="not 'none of them'"):
        si.compare_models({"one": PROBLEMS["one"], "none of them": PROBLEMS["two"]})
    with pytest.raises(si.ComparisonError, match=r"a Problem with its prior: si\.Problem"):
        si.compare_models({"one": PROBLEMS["one"], "two": lambda a: a})


def test_observables_have_to_be_the_same():
    other = linear(np.ones((3, 1)))
    with pytest.raises(si.ComparisonError, match=r"differ in the observables: y \(4,\) and y"):
        quick({"one": PROBLEMS["one"], "short": other}, n=200)


def test_givens_have_to_be_drawn_alike():
    def law(mean, n, rng):
        return {"x": rng.normal(mean, 1 / n)}

    prior = si.Prior(mean=st.norm(0, 1))
    models = {
        "few": si.Problem(law, prior, given={"n": st.randint(1, 10)}),
        "many": si.Problem(law, prior, given={"n": st.randint(5, 15)}),
    }
    with pytest.raises(si.ComparisonError, match="the given n has other values in 'many'") as info:
        quick(models, n=200)
    assert set(info.value.simulations) == {"few", "many"}
    constant = {**models, "many": si.Problem(law, prior, given={"n": 4})}
    with pytest.raises(si.ComparisonError, match="differ in the givens"):
        quick(constant, n=200)


def test_a_model_of_which_every_simulation_failed_is_named_and_nothing_is_lost():
    def broken(theta, rng):
        raise ArithmeticError("no solution")

    models = {"one": PROBLEMS["one"], "broken": si.Problem(broken, si.Prior(theta=st.norm()))}
    with pytest.raises(si.SimulationError, match="(?s)model 'broken': .*no solution") as info:
        quick(models, n=200)
    assert len(info.value.simulations["one"]) == 200


def test_prior_probabilities_sum_to_one():
    for prior, said in (
        ({"one": 0.5, "two": 0.6}, "whose sum is 1.1"),
        ({"one": 1.5, "two": -0.5}, "at least 0"),
        ({"one": 1.0}, "of each model, one, two; got one"),
        ({"one": "a", "two": 0.5}, "as numbers"),
    ):
        with pytest.raises(si.ComparisonError, match=said):
            compared().probabilities({"y": [0.0] * 4}, prior)
    with pytest.raises(si.ComparisonError, match="whose sum is 1.1"):
        si.compare_models(PROBLEMS, prior={"one": 0.5, "two": 0.6})


def test_a_gap_that_none_has_seen():
    with pytest.raises(si.ShapeError, match="got NaN, and training has seen no missing values"):
        compared().table({"y": [0.0, np.nan, 0.0, 0.0]})


def test_settings_are_looked_at_before_anything_is_simulated():
    with pytest.raises(TypeError, match=r"expected method=si\.IBINN"):
        si.compare_models(PROBLEMS, method="cinn")
    with pytest.raises(ValueError, match="ensemble must be positive"):
        si.compare_models(PROBLEMS, ensemble=0)
    with pytest.raises(ValueError, match="base of a logarithm"):
        compared().log_bayes_factors({"y": [0.0] * 4}, base=1)
    with pytest.raises(si.ComparisonError, match="a model among one, two; got 'three'"):
        compared().log_bayes_factors_each([[0.0] * 4], over="three")
    assert set(COUNTS) == {"poisson", "geometric"}
