"""A prior that is stated for a table, and what a table without one cannot do."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
from studies import LINE, quick_fit

import sbi_inn as si
from sbi_inn.checks.kind import NO_PRIOR

N = 1_000
RIGHT = si.Prior(a=st.norm(0, 1), b=st.uniform(0, 2))


@pytest.fixture
def table():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.normal(size=N), "b": rng.uniform(0, 2, size=N)})
    return frame.assign(y=frame.a + frame.b + rng.normal(size=N))


def read(table, prior=None, **options):
    return si.read_simulations(table, parameters=["a", "b"], prior=prior, progress=False, **options)


# -- stated ----------------------------------------------------------------------------------------


def test_the_right_prior_is_kept_in_silence(table):
    assert read(table, RIGHT).prior is RIGHT
    # As is one that chance could be the reason for, and one whose difference nobody would see.
    read(table, si.Prior(a=st.norm(0.05, 1), b=st.uniform(0, 2.05)))


def test_the_right_prior_is_seldom_suspected():
    rng = np.random.default_rng(2)
    for _ in range(20):
        rows = RIGHT.sample(int(rng.integers(50, 5_000)), rng)
        read(pd.DataFrame({**rows, "y": rng.normal(size=len(rows["a"]))}), RIGHT)


def test_a_wrong_prior_is_said_with_both_quantiles(table):
    wrong = si.Prior(a=st.norm(0, 2), b=st.uniform(0, 2))
    with pytest.warns(UserWarning, match="is not distributed") as caught:
        read(table, wrong)
    (message,) = (str(warning.message) for warning in caught)
    assert message.startswith("a is not distributed as the stated prior says")
    assert "its 2.5, 25, 50, 75, 97.5 % quantiles are -2" in message
    assert "in the table and -3.9" in message


def test_rows_outside_the_support_are_counted(table):
    narrow = si.Prior(a=st.norm(0, 1), b=st.uniform(0, 1))
    beyond = int((table.b > 1).sum())
    with pytest.raises(si.PriorError, match=rf"{beyond} of 1,000 rows.*{beyond} in b .table 0"):
        read(table, narrow)


def test_what_goes_together_where_the_prior_says_it_does_not(table):
    table["b"] = 2 * st.norm.cdf((table.a + np.random.default_rng(3).normal(size=N)) / np.sqrt(2))
    with pytest.warns(UserWarning, match=r"a and b go together.*it leaves is 0\.[67]"):
        read(table, RIGHT)


def test_dependent_priors_are_compared_too():
    rng = np.random.default_rng(4)
    beta = rng.uniform(0.1, 1, size=N)
    frame = pd.DataFrame({"a": beta, "b": rng.uniform(0, beta), "y": rng.normal(size=N)})
    read(frame, si.Prior(a=st.uniform(0.1, 0.9), b=lambda a: st.uniform(0, a)))


def test_priors_of_something_else(table):
    with pytest.raises(si.PriorError, match="parameters a, b, as in the table; got one of a, c"):
        read(table, si.Prior(a=st.norm(0, 1), c=st.norm(0, 1)))
    with pytest.raises(si.PriorError, match="expected a Prior; got rv_"):
        read(table, st.norm(0, 1))
    with pytest.raises(si.PriorError, match="expected bounds= or prior="):
        read(table, RIGHT, bounds={"b": (0, 2)})


def test_bounds(table):
    assert read(table, bounds={"b": (0, 2)}).prior.support["b"] == (0, 2)
    with pytest.raises(si.PriorError, match="'b': .* of 1,000 rows lie outside its bounds 0 to 1"):
        read(table, bounds={"b": (0, 1)})
    with pytest.raises(si.PriorError, match="bounds= names 'c'; expected parameters among a, b"):
        read(table, bounds={"c": (0, 1)})
    with pytest.raises(si.PriorError, match=r"'b': expected bounds \(low, high\); got 2"):
        read(table, bounds={"b": 2})


def test_a_prior_can_be_stated_when_it_is_fitted(table):
    stated = quick_fit(read(table), RIGHT)
    assert stated.prior is RIGHT
    assert not quick_fit(read(table)).prior.stated
    with pytest.raises(si.PriorError, match="rows lie outside the support"):
        quick_fit(read(table), si.Prior(a=st.norm(0, 1), b=st.uniform(0, 1)))


def test_simulations_keep_their_prior_without_another():
    simulations = si.simulate(LINE, n=200, seed=1, n_jobs=1, progress=False)
    assert quick_fit(simulations, LINE.prior).prior is simulations.prior
    with pytest.warns(UserWarning, match="a is not distributed"):
        quick_fit(simulations, si.Prior(a=st.norm(3, 1), b=st.norm(0, 2)))


def test_a_bare_table_needs_its_prior(table, tmp_path):
    path = tmp_path / "table.csv"
    table.to_csv(path, index=False)
    for one in (table, table.to_xarray().rename(index="simulation"), path, str(path)):
        posterior = quick_fit(one, RIGHT, n=None)
        assert posterior.prior is RIGHT
        assert posterior.schema.observables == {"y": ()}
    with pytest.raises(si.PriorError, match="which columns are parameters: state its prior"):
        si.fit_posterior(table)
    with pytest.raises(si.SimulationError, match="only noise= can use the givens t"):
        si.fit_posterior(table, RIGHT, given={"t": 1.0})


# -- not stated ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def correlated():
    """Give a posterior of a table whose columns go together, and the simulator it came from."""
    rng = np.random.default_rng(5)
    a, b = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], N).T
    frame = pd.DataFrame({"a": a, "b": b, "y": a + b + 0.5 * rng.normal(size=N)})
    posterior = quick_fit(read(frame), epochs=3)

    def add(a, b, rng):
        return {"y": a + b + rng.normal(0, 0.5)}

    return posterior, si.Problem(add, posterior.prior)


def test_the_draws_of_the_prior_are_rows_of_the_table(correlated):
    posterior, _ = correlated
    drawn = posterior.simulations.prior_draws
    assert np.corrcoef(drawn.a, drawn.b)[0, 1] > 0.85
    assert np.isfinite(posterior.summary(0.5)["width"]).all()
    assert len(posterior.corner(0.5, 300).axes) >= 3


def test_another_prior_is_refused(correlated):
    posterior, _ = correlated
    draws = posterior.sample(0.5, 200)
    new = si.Prior(a=st.norm(0, 0.5), b=st.norm(0, 0.5))
    with pytest.raises(si.PriorError, match="the old prior was never stated"):
        posterior.reweight(draws, new)


def test_a_method_that_needs_the_prior_is_refused(correlated):
    posterior, _ = correlated
    for ensemble in (1, 2):
        with pytest.raises(si.PriorError, match="weighs its draws by the prior's density"):
            quick_fit(posterior.simulations, method=si.INN(), ensemble=ensemble)


def test_simulating_from_the_prior_is_refused(correlated):
    posterior, problem = correlated
    with pytest.raises(si.PriorError, match="without their correlations"):
        si.simulate(problem, n=10, progress=False)


def test_with_a_simulator_at_hand_only_the_table_says_how_parameters_lie(correlated, tmp_path):
    posterior, problem = correlated
    posterior.save(tmp_path / "table.sbi")
    loaded = si.load_posterior(tmp_path / "table.sbi", simulator=problem)
    assert loaded.prior == posterior.prior
    assert loaded.sample(0.5, 50).equals(posterior.sample(0.5, 50))
    # The columns alone would be drawn without their correlation.
    assert len(loaded._subject().tests) == len(posterior.core.test_rows)
    again = loaded.resimulate(0.5, 50)
    assert np.isfinite(again.error).all()
    with pytest.raises(si.PriorError, match="cannot be drawn"):
        loaded.rejection_abc(0.5, n_simulations=100)
    check = loaded.check(0.5, progress=False)
    assert {"re-simulation", "re-simulation at y"} <= set(check.records)
    assert check.skipped["calibration at y"] == NO_PRIOR


def test_a_check_says_what_needs_a_simulator(correlated):
    posterior, _ = correlated
    check = posterior.check(0.5, progress=False)
    assert "calibration" in check.records
    assert "goodness of fit" in check.records
    assert "no simulator" in check.skipped["re-simulation"]
    assert len(posterior.rejection_abc(0.5, quantile=0.05).draw) == 50
    assert set(posterior.map_estimate(0.5)) == {"a", "b"}
