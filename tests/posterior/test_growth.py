"""Simulations that double until the posterior can be trusted."""

import numpy as np
import pytest
import scipy.stats as st
from distributed import Client, LocalCluster
from linear_regression import Regression

import sbi_inn as si
from sbi_inn.posterior import growth

SLOPE = np.array([[1.0, 0.4], [-0.3, 1.0]])
NOISE = 0.3
Y = {"y": np.array([0.5, -0.2])}


@si.simulator(batched=True)
def line(a, b, rng):
    """Mix two parameters, and add noise."""
    return {"y": np.column_stack([a, b]) @ SLOPE + NOISE * rng.standard_normal((len(a), 2))}


@si.simulator(batched=True)
def wave(a, b, rng):
    """Give what no straight line is the inverse of."""
    centre = np.column_stack([a + 0.8 * np.sin(3 * a), b])
    return {"y": centre + NOISE * rng.standard_normal(centre.shape)}


PRIOR = si.Prior(a=st.norm(), b=st.norm())


def grow(simulator=line, **options):
    options = {"method": Regression(), "n_jobs": 1, "seed": 1, "progress": False} | options
    return si.fit_posterior(simulator, PRIOR, until="trust", **options)


def exact():
    """Give mean and sd of the posterior of `line` at `Y`."""
    covariance = np.linalg.inv(np.eye(2) + SLOPE @ SLOPE.T / NOISE**2)
    return covariance @ SLOPE @ Y["y"] / NOISE**2, np.sqrt(np.diag(covariance))


@pytest.fixture(scope="module")
def trusted():
    return grow()


def test_it_stops_as_soon_as_it_can_be_trusted(trusted):
    grown = trusted.growth
    assert grown.stopped == "trust"
    assert trusted.n_simulations == grown.stages[-1].n <= 2_000
    assert grown.stages[-1].verdict == trusted.last_verdict == "trust"
    assert "grown in" in repr(trusted)
    draws = trusted.sample(Y, 20_000)
    for name, mean, sd in zip("ab", *exact(), strict=True):
        assert abs(draws[name].values.mean() - mean) < 0.15 * sd
        assert draws[name].values.std() == pytest.approx(sd, rel=0.1)


@pytest.mark.parametrize(
    ("verdict", "gain", "high", "stopped"),
    [
        ("trust", 0.019, 0.039, "trust"),  # two parameters: .01 nats in each, .02 at most
        ("trust", 0.021, 0.03, None),
        ("trust", 0.015, 0.041, None),  # it may be much more
        ("caution", 0.009, 0.019, "learning curve"),  # less than a tenth of a standard deviation
        ("caution", 0.015, 0.019, None),
        ("trust", np.inf, np.inf, None),  # too few stages to say
        ("trust", np.nan, np.nan, "trust"),  # no density: the verdict alone decides
        ("caution", np.nan, np.nan, None),
    ],
)
def test_why_it_stops(trusted, verdict, gain, high, stopped):
    stage = growth.Stage(1_000, 1.0, verdict, "", gain, high)
    ask = growth.Growth(None, None, growth.Limits(), None, 1, False, [stage] * 2, [trusted.core])
    assert ask._stopped(more=True, seconds=2.0) == stopped


@pytest.mark.slow
def test_what_is_wrong_everywhere_is_never_trusted(capsys):
    wrong = grow(wave, n_simulations=500, max_simulations=4_000, progress=True)
    assert wrong.growth.stopped in ("learning curve", "max_simulations")
    assert all(stage.verdict != "trust" for stage in wrong.growth.stages)
    said = capsys.readouterr().out
    assert "500 simulations" in said
    assert "twice as many would add" in said
    assert all(stage.missing in said for stage in wrong.growth.stages)


@pytest.mark.slow
def test_a_budget_ends_it_and_nothing_is_thrown_away():
    short = grow(wave, n_simulations=200, max_simulations=200)
    longer = grow(wave, n_simulations=200, max_simulations=500)
    assert short.growth.stopped == "max_simulations"
    assert [stage.n for stage in longer.growth.stages][:2] == [200, 400]
    begins = short.simulations.parameters()
    for name, values in longer.simulations.parameters().items():
        assert np.array_equal(values[:200], begins[name])
    held_out = longer.core.test_rows
    assert set(short.core.test_rows) <= set(held_out)
    assert len(np.unique(longer.simulations.parameters()["a"])) == len(longer.simulations)


def test_time_ends_it():
    assert grow(wave, n_simulations=200, max_seconds=1e-3).growth.stopped == "max_seconds"


@pytest.mark.slow
def test_at_an_observation(trusted):
    here = grow(y=Y)
    assert here.growth.stopped == "trust"
    with pytest.raises(si.ShapeError, match=r"expected y of shape \(2,\)") as caught:
        grow(y=np.zeros(3))
    assert len(caught.value.simulations) == 1_000
    # 20 standard deviations from all simulations: the check at y objects, whatever the number.
    strange = grow(y=np.array([25.0, -25.0]), n_simulations=200, max_simulations=400)
    assert strange.growth.stopped != "trust"


def test_its_table_has_a_row_for_each_stage(trusted):
    table = trusted.growth.table
    assert list(table.index) == [stage.n for stage in trusted.growth.stages]
    assert {"seconds", "verdict", "missing", "gain"} <= set(table.columns)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"until": "happy"}, 'until="trust" or None'),
        ({"max_simulations": 50}, "at least 100; got 50"),
        ({"n_simulations": 2_000, "max_simulations": 1_500}, "max_simulations=1,500; got 2,000"),
        ({"n_simulations": 50}, "got 50"),
        ({"max_seconds": 0}, "max_seconds must be positive"),
        ({"until": None, "max_seconds": 5}, "needs until="),
        ({"until": None, "y": 3.0}, "needs until="),
    ],
)
def test_what_cannot_be(options, match):
    with pytest.raises(ValueError, match=match):
        si.fit_posterior(line, PRIOR, **{"until": "trust", "progress": False} | options)


def test_a_table_cannot_grow():
    table = si.simulate(line, PRIOR, n=200, seed=1, n_jobs=1, progress=False)
    with pytest.raises(si.SimulationError, match="got a table") as caught:
        si.fit_posterior(table, method=Regression(), until="trust", progress=False)
    assert len(caught.value.simulations) == 200


@pytest.mark.parametrize("stages", [0, 1])
def test_what_was_simulated_is_kept(stages, monkeypatch):
    """It stops in the checks of the first stage, or in the simulations of the second."""
    broken = []

    @si.simulator(batched=True)
    def breaks(a, b, rng):
        if broken:
            raise KeyboardInterrupt
        return wave.function(a, b, rng)

    check = growth.checking.subject_of
    monkeypatch.setattr(
        growth.checking, "subject_of", lambda core: (stages or broken.append(1), check(core))[1]
    )
    note = growth.Growth._note
    monkeypatch.setattr(growth.Growth, "_note", lambda *a: (note(*a), broken.append(1)))
    with pytest.raises(KeyboardInterrupt) as caught:
        grow(breaks, n_simulations=300)
    assert len(caught.value.simulations) == 300


def test_what_an_observation_taught(trusted):
    """The posterior of `line` is exact: nothing is left to refine."""
    found = trusted.information(Y)
    assert found.attainable == pytest.approx([1, 1], abs=0.15)
    curve = trusted.learning_curve((0.3, 0.6), y=Y, progress=False)
    assert curve.sentence.endswith(found.sentence)
    assert "y taught" in curve.sentence


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_stages_are_simulated_on_a_cluster_with_the_same_result():
    few = {"max_simulations": 400, "n_simulations": 200}
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        there = grow(client=client, **few)
        tasks = client.run(lambda dask_worker: len(dask_worker.state.log))
    here = grow(**few)
    assert sum(tasks.values()) > 0
    assert len(there.growth.stages) == len(here.growth.stages) == 2
    assert there.sample(Y, 5).equals(here.sample(Y, 5))
