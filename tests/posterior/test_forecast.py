"""Re-simulation at other givens than the observation's own, and forecasts of series."""

import numpy as np
import pytest
import scipy.stats as st
from studies import LINE, exact_posterior, quick_fit

import sbi_inn as si
from sbi_inn.errors import ShapeError
from sbi_inn.simulation.simulations import SimulationError

TINY = si.CINN(blocks=2, hidden=16)
GIVEN = {"days": st.randint(5, 15), "dose": st.uniform(1, 2), "error": 0.1}


@si.simulator(series={"days": ["height", "weight"]})
def growth(slope, days, dose, error, rng):
    day = np.arange(1, days + 1)
    return {"height": slope * dose * day, "weight": rng.normal(0, error, days)}


STUDY = si.Problem(
    growth,
    si.Prior(slope=st.lognorm(0.3)),
    given=GIVEN,
    labels={"days": "day", "height": "height of the plant"},
    units={"height": "cm"},
)


@pytest.fixture(scope="module")
def posterior():
    return quick_fit(STUDY, method=TINY, n=300)


Y = {"height": np.arange(1.0, 8.0), "weight": np.zeros(7), "dose": 1.5}


def test_a_later_last_day_is_a_forecast(posterior):
    draws = posterior.sample(Y, 50)
    again = posterior.resimulate(Y, 50, given={"days": 40})
    assert again["height"].shape == again["weight"].shape == (50, 40)
    day = np.arange(1, 41)
    exact = draws["slope"].values[:, None] * 1.5 * day  # the same draws, and its own dose
    np.testing.assert_allclose(again["height"], exact, rtol=1e-12)
    assert set(again.data_vars) == {"height", "weight"}  # of other givens there is no error


def test_its_own_givens_change_nothing(posterior):
    own, stated = posterior.resimulate(Y, 20), posterior.resimulate(Y, 20, given={"days": 7})
    assert np.array_equal(own["weight"], stated["weight"])
    assert "error" in own


def test_other_givens_and_constants(posterior):
    slope = posterior.sample(Y, 2_000)["slope"].values
    again = posterior.resimulate(Y, 2_000, given={"dose": 4.0, "error": 30})
    np.testing.assert_allclose(again["height"][:, 0], 4 * slope, rtol=1e-12)
    # 14,000 numbers: their standard deviation is known to .6 %.
    assert np.isclose(again["weight"].std(), 30, rtol=0.024)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weeks": 3}, "expected givens among days, dose, error; got weeks"),
        ({"dose": [1.0, 2.0]}, r"expected the given dose of shape \(\); got \(2,\)"),
        ({"dose": np.inf}, "expected finite numbers in the given dose; got inf"),
        ({"error": np.nan}, "expected finite numbers in the given error; got nan"),
        ({"days": 7.5}, "days is a length: expected a whole number of at least 1; got 7.5"),
        ({"days": 0}, "days is a length: expected a whole number of at least 1; got 0"),
        ({"dose": "high"}, "expected numbers in dose; got 'high'"),
    ],
)
def test_what_is_no_given_is_refused(posterior, given, said):
    with pytest.raises(ShapeError, match=said):
        posterior.resimulate(Y, 5, given=given)


def test_other_givens_take_the_simulator():
    alone = exact_posterior(200, 100, simulator=False)
    with pytest.raises(SimulationError, match="to re-simulate, a simulator is needed"):
        alone.resimulate([1.0, 1.0], given={"days": 3})
    none = exact_posterior(200, 100, problem=LINE)
    with pytest.raises(ShapeError, match="there are none"):
        none.resimulate([1.0, 1.0], given={"days": 3})
    with pytest.raises(ValueError, match="pass given= or emulator=True"):
        none.resimulate([1.0, 1.0], given={"days": 3}, emulator=True)


def test_the_noise_knows_the_other_givens():
    def measure(flux, sigma, rng):
        return {"flux": flux + sigma * rng.normal(size=2)}

    problem = si.Problem(
        lambda a: {"flux": np.array([a, -a])},
        si.Prior(a=st.norm()),
        given={"sigma": st.uniform(0.1, 1)},
        noise=measure,
    )
    noisy = quick_fit(problem, method=TINY, n=300)
    y = {"flux": [0.3, -0.2], "sigma": 0.5}
    draws = noisy.sample(y, 3_000)["a"].values
    again = noisy.resimulate(y, 3_000, given={"sigma": 7.0})
    gap = again["flux"].values - np.stack([draws, -draws], axis=1)
    assert np.isclose(gap.std(), 7, rtol=4 / np.sqrt(2 * gap.size))


def test_the_figure_of_a_forecast(posterior):
    figure = posterior.plot_forecast(Y, given={"days": 20}, later=np.arange(8.0, 12.0), n=50)
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("day", "height of the plant [cm]")
    seen, followed, today = ax.lines
    assert np.array_equal(seen.get_xdata(), np.arange(1, 8))
    assert np.array_equal(seen.get_ydata(), Y["height"])
    assert np.array_equal(followed.get_xdata(), np.arange(8, 12))
    assert today.get_xdata()[0] == 7.5
    assert ax.get_xlim() == (0.5, 20.5)
    other = posterior.plot_forecast(Y, observable="weight", n=20)
    assert other.axes[0].get_ylabel() == "weight"
    assert other.axes[0].get_xlim() == (0.5, 7.5)


def test_only_series_of_numbers_are_drawn(posterior):
    with pytest.raises(ShapeError, match="one of height, weight; got dose"):
        posterior.plot_forecast(Y, observable="dose")
    with pytest.raises(ShapeError, match=r"one of \(there are none\)"):
        exact_posterior(200, 100).plot_forecast([1.0, 1.0])
