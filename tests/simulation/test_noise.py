"""Noise after the simulator: applied anew in training, once for tests, again in re-simulations."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.simulation.apply_noise import apply_noise
from sbi_inn.simulation.noise import as_noise

PRIOR = si.Prior(a=st.norm(0, 1))
SIGMA = np.array([0.1, 0.5, 2.0])
N = 2_000


def flux(a):
    return {"flux": np.array([a, 2 * a]), "period": 3.0 + a}


def blur(flux, sigma, rng):
    return {"flux": flux + sigma * rng.normal(size=2)}


@si.simulator(batched=True)
def blur_many(flux, sigma, rng):
    return {"flux": flux + sigma[:, None] * rng.normal(size=flux.shape)}


def simulated(noise=blur, n=N, **given):
    given = given or {"sigma": SIGMA}
    return si.simulate(flux, PRIOR, given=given, noise=noise, n=n, seed=1, progress=False)


@pytest.mark.parametrize("noise", [blur, blur_many], ids=["one by one", "batched"])
def test_the_table_is_without_noise_and_observations_are_with_it(noise):
    table = simulated(noise)
    plain = table.dataset["flux"].values
    np.testing.assert_array_equal(plain[:, 0], table.dataset["a"])
    seen = table.schema.fold(table.observations().vector)
    np.testing.assert_array_equal(seen["period"], table.dataset["period"])
    residual = (seen["flux"] - plain) / table.dataset["sigma"].values[:, None]
    assert st.kstest(residual.ravel(), "norm").pvalue > 1e-3
    anew = table.schema.fold(table.renewed(table.ok, np.random.default_rng(1)).vector)["flux"]
    assert not np.isclose(anew, seen["flux"]).any()
    np.testing.assert_array_equal(
        table.observations(table.ok[5:9]).vector[:, :2], seen["flux"][5:9]
    )
    np.testing.assert_array_equal(table.as_observed()["flux"], seen["flux"])


def test_a_longer_run_begins_with_a_shorter_one():
    long, short = (simulated(n=n).observations().vector for n in (N, 300))
    np.testing.assert_array_equal(long[:300], short)


def test_parts_keep_their_noise():
    table = simulated()
    part = table.take(np.array([7, 3]))
    np.testing.assert_array_equal(
        part.observations().vector, table.observations(np.array([7, 3])).vector
    )


def test_noise_does_not_change_the_table():
    def careless(flux, rng):
        flux += 100.0
        return {"flux": flux}

    table = simulated(careless)
    assert np.abs(table.dataset["flux"]).max() < 20
    assert table.observations().vector[:, 0].min() > 50


def test_missing_values_become_part_of_the_schema():
    def gaps(flux, rng):
        return {"flux": np.where(rng.random(2) < 0.3, np.nan, flux)}

    table = simulated(gaps)
    assert table.schema.missing == {"flux": 1.0, "observation": 0.5}
    assert np.isnan(table.observations().vector[:, :2]).mean() == pytest.approx(0.3, abs=0.03)
    y = {"flux": [np.nan, 1.0], "period": 3.0, "sigma": 0.1}
    assert np.isnan(table.schema.read(y).vector[0, 0])
    with pytest.raises(si.ShapeError, match="NaN, and training has seen no missing values of per"):
        table.schema.read(y | {"period": np.nan})
    with pytest.raises(si.ShapeError, match="finite numbers in flux; got infinity"):
        table.schema.read(y | {"flux": [np.inf, 1.0]})


def test_noise_on_a_set_sees_each_at_its_own_length():
    @si.simulator(sets={"n": ["rt", "choice"]})
    def trials(a, n, rng):
        return {"rt": a + np.arange(n), "choice": np.ones(n)}

    def shift(rt, n, rng):
        assert len(rt) == n
        return {"rt": rt + rng.normal()}

    table = si.simulate(
        trials, PRIOR, given={"n": st.randint(2, 9)}, noise=shift, n=200, seed=1, progress=False
    )
    seen = table.observations().sets["n"]
    assert not np.isnan(seen.values).any()
    rise = np.diff(seen.values[:, :2, 0], axis=1)
    np.testing.assert_allclose(rise, 1.0)
    assert (seen.values[seen.mask][:, 1] == 1).all()


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (
            lambda flux, elbow: flux,
            "'elbow' is not an observable, parameter or given.*flux, period, a, sigma",
        ),
        (lambda flux: flux, "a dict of the observables that it has changed"),
        (lambda flux: {"flux": flux[:1]}, r"expected flux of shape \(2,\)"),
        (lambda flux: {"colour": flux}, "expected the observables flux, period.*colour"),
        (lambda flux: {"flux": flux / 0.0}, "got infinity"),
        (lambda flux: 1 / 0, "noise raised ZeroDivisionError"),
    ],
    ids=["argument", "bare", "shape", "name", "infinity", "raises"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_noise_that_cannot_be_applied_shows_before_the_run(noise, message):
    with pytest.raises(si.SimulationError, match=message) as caught:
        simulated(noise)
    assert len(caught.value.simulations) < N


def test_what_is_no_noise():
    with pytest.raises(si.SimulationError, match="noise= a function of observables"):
        as_noise(3)
    assert as_noise(None) is None


def test_simulations_done_already_get_givens_and_noise():
    plain = si.simulate(flux, PRIOR, n=N, seed=1, progress=False)
    table = apply_noise(plain, {"sigma": SIGMA, "depth": 3.0}, blur, seed=2)
    assert table.schema.givens == ("sigma",)
    assert table.schema.constants == {"depth": 3.0}
    residual = table.observations().vector[:, 0] - plain.observations().vector[:, 0]
    for sigma in SIGMA:
        here = residual[table.dataset["sigma"] == sigma]
        assert here.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * len(here)))
    assert plain.schema.givens == ()
    with pytest.raises(si.PriorError, match="'period' given twice"):
        apply_noise(plain, {"period": SIGMA}, blur, seed=2)
    with pytest.raises(si.SimulationError, match="only noise= can use the givens"):
        apply_noise(plain, {"sigma": SIGMA}, seed=2)
