"""Summaries of whole catalogues: the same numbers as draws give, in constant memory."""

import tracemalloc
import warnings
from dataclasses import dataclass
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from studies import ExactLine, exact, exact_posterior, quick_fit

import sbi_inn as si
from sbi_inn.draws import INTERVAL_68, INTERVAL_95
from sbi_inn.posterior import catalogue

NAMES = ["median", "low68", "high68", "low95", "high95"]
LEVELS = [0.5, *INTERVAL_68, *INTERVAL_95]


@pytest.fixture(scope="module")
def posterior():
    return exact_posterior()


def stars(n, seed=1):
    rng = np.random.default_rng(seed)
    index = pd.Index([f"star {i}" for i in range(n)], name="id")
    return pd.DataFrame(rng.normal(size=(n, 2)), columns=["y[0]", "y[1]"], index=index)


def test_a_summary_is_that_of_the_draws(posterior):
    ys = stars(700)  # more than one block of 1,000 draws each
    table = posterior.summary_each(ys, progress=False)
    assert table.index.equals(ys.index)
    assert list(table)[:6] == [f"a_{name}" for name in [*NAMES, "modes"]]
    draws = posterior.sample_each(ys)
    for name in "ab":
        expected = np.quantile(draws[name], LEVELS, axis=1)
        for column, values in zip(NAMES, expected, strict=True):
            assert np.allclose(table[f"{name}_{column}"], values, rtol=0, atol=1e-12)
    # Any object's draws are those of `sample`.
    for star in ("star 0", "star 650"):
        alone = posterior.sample(ys.loc[star].to_numpy())
        assert table.loc[star, "a_median"] == pytest.approx(np.median(alone.a))


def test_a_dict_of_observations_carries_its_names(posterior):
    ys = stars(3)
    named = {name: {"y": row.to_numpy()} for name, row in ys.iterrows()}
    table = posterior.summary_each(named, progress=False)
    expected = posterior.summary_each(ys, progress=False)
    assert table.index.equals(ys.index)
    assert table.index.name == "observation"
    assert (table.to_numpy() == expected.to_numpy()).all()
    fits = posterior.goodness_of_fit_each(named)
    assert fits.index.equals(ys.index)
    assert posterior.sample_each(named, 10).sel(observation="star 2").sizes["draw"] == 10
    labels = posterior.plot_forest(named, n=50).axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ys.index.to_list()
    plt.close("all")
    pairs = posterior.summary_each({("HD", 1): {"y": [0, 1]}}, progress=False)
    assert pairs.index.to_list() == [("HD", 1)]
    assert posterior.sample_each({("HD", 1): {"y": [0, 1]}}, 5).observation.values[0] == ("HD", 1)


def test_medians_and_intervals_of_a_gaussian(posterior):
    ys = stars(2_000)
    table = posterior.summary_each(ys, 400, progress=False)
    mean, covariance = exact(ys.to_numpy())
    sd = np.sqrt(np.diag(covariance))
    expected = dict(zip(NAMES, [0.0, -0.9945, 0.9945, -1.96, 1.96], strict=True))
    for i, name in enumerate("ab"):
        for column, at in expected.items():
            gap = (table[f"{name}_{column}"] - mean[:, i]) / sd[i] - at
            # Over 2,000 objects the error of a quantile of 400 draws, below .15 sd, averages out;
            # its bias in the tails is about 1 / (400 * density) = .02.
            assert abs(gap.mean()) < 0.03
        assert (table[f"{name}_modes"] > 1).mean() < 0.002


def test_numbers_depend_on_the_seed_and_on_nothing_else(posterior):
    ys = stars(600)
    table = posterior.summary_each(ys, progress=False)
    assert table.equals(posterior.summary_each(ys, seed=posterior.seed, progress=False))
    assert not table.equals(posterior.summary_each(ys, seed=99, progress=False))
    # Nor on the company that an object is in.
    assert posterior.summary_each(ys[300:], progress=False).equals(table[300:])
    assert posterior.summary_each(pd.concat([ys, ys]), progress=False)[:600].equals(table)
    dataset = xr.Dataset({"y": (("observation", "y_dim"), ys)}, {"observation": ys.index})
    for form in (dataset, list(ys.to_numpy()), ys[["y[1]", "y[0]"]]):
        other = posterior.summary_each(form, progress=False)
        assert np.array_equal(other.to_numpy(), table.to_numpy())


def test_equal_objects_do_not_share_their_noise(posterior):
    ys = pd.DataFrame(np.zeros((600, 2)), columns=["y[0]", "y[1]"])
    table = posterior.summary_each(ys, progress=False)
    assert table.a_median.is_unique


@dataclass(frozen=True)
class TwoModes(ExactLine):
    """A posterior of `LINE` whose b has a second mode, 5 sd above, where y[0] is positive."""

    share: float = 0.3

    def sample(self, observations, n, rng):
        draws = super().sample(observations, n, rng)
        there = (rng.random(draws.shape[:2]) < self.share) & (observations.vector[:, :1] > 0)
        sd = np.sqrt(self.moments(observations)[2][1, 1])
        draws[there, 1] += 5 * sd
        return draws


def test_several_modes_are_flagged_where_they_are():
    posterior = exact_posterior(fitted=TwoModes())
    ys = stars(1_000)
    table = posterior.summary_each(ys, progress=False)
    two = (ys["y[0]"] > 0).to_numpy()
    assert (table.b_modes[two] == 2).mean() > 0.99
    # The rate of false alarms that is stated is 1 in 1,000 at most.
    assert (table.b_modes[~two] > 1).sum() <= 3
    assert (table.a_modes > 1).sum() <= 4


def test_memory_stays_constant(posterior):
    def peak(n):
        ys = stars(n)
        tracemalloc.start()
        posterior.summary_each(ys, progress=False)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(300), peak(1_500)
    # What is kept are 12 numbers an object; its draws would be 16 kB.
    assert many - few < 1_200 * 2_000


def test_draws_that_fill_the_memory_are_refused(posterior, monkeypatch):
    ys = stars(10)
    with pytest.raises(
        MemoryError, match=r"10 observations of 50,000,000 draws.*8.0 GB.*summary_e"
    ):
        posterior.sample_each(ys, 50_000_000)
    monkeypatch.setattr(catalogue, "MOST_BYTES", 10 * 100 * 2 * 8)
    assert posterior.sample_each(ys, 100).sizes["draw"] == 100
    with pytest.raises(MemoryError, match="summary_each"):
        posterior.sample_each(ys, 101)


def test_vectors_and_many_draws_of_few_objects(monkeypatch):
    monkeypatch.setattr(catalogue, "BLOCK", 2_000)  # fewer than the draws of one object
    posterior = quick_fit("gaussian_linear")
    table = posterior.summary_each([np.zeros(10)], 3_000, progress=False)
    assert list(table)[6] == "theta[1]_median"
    draws = posterior.sample(np.zeros(10), 3_000)
    assert table["theta[3]_low95"].item() == pytest.approx(np.quantile(draws.theta[:, 3], 0.025))


def test_a_progress_bar_counts_objects(posterior, capsys, monkeypatch):
    shown = catalogue.bar
    monkeypatch.setattr(catalogue, "bar", lambda *a, **k: shown(*a, **{**k, "delay": 0.0}))
    posterior.summary_each(stars(5), 10)
    printed = capsys.readouterr().err
    assert "summary:   0%" in printed
    assert printed.endswith(" \r")  # the line is wiped


def test_bad_input(posterior):
    with pytest.raises(ValueError, match="at least one draw.*got n = 0"):
        posterior.summary_each(stars(2), 0, progress=False)
    with pytest.raises(si.ShapeError, match=r"observation star 1: .*finite"):
        posterior.summary_each(stars(2).assign(**{"y[1]": [0.0, np.nan]}), progress=False)
    with pytest.raises(si.ShapeError, match="at least one observation; got none"):
        posterior.summary_each(stars(0), progress=False)
    with pytest.raises(si.ShapeError, match=r"got note too\. read_observations"):
        posterior.summary_each(stars(2).assign(note="bright"), progress=False)
    with pytest.raises(si.ShapeError, match=r"expected numbers in y"):
        posterior.summary_each(stars(2).assign(**{"y[1]": "bright"}), progress=False)


def test_a_number_of_draws_may_be_written_as_a_power_of_ten(posterior):
    table = posterior.summary_each(stars(2), 1e3, progress=False)
    assert table.equals(posterior.summary_each(stars(2), 1_000, progress=False))
    assert posterior.sample([0.0, 0.0], 1e2).sizes["draw"] == 100
    assert posterior.sample_each(stars(2), 1e2).sizes["draw"] == 100
    for n in (1.5, "ten", float("nan"), float("inf"), -3):
        with pytest.raises(ValueError, match=f"a whole number; got n = {n}"):
            posterior.sample_each(stars(2), n)


@pytest.mark.parametrize(("units", "warned"), [("km", 1), ("mm", 0), (None, 0)])
def test_other_units_are_noticed(posterior, units, warned):
    ys = xr.Dataset({"y": (("observation", "entry"), np.eye(2))})
    ys.y.attrs |= {} if units is None else {"units": units}
    for look in (posterior.sample_each, partial(posterior.summary_each, progress=False)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            look(ys, 10)
        assert [str(w.message) for w in caught] == warned * [
            "y is in km, and was simulated in mm: units are not converted"
        ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        posterior.sample(ys.isel(observation=0), 10)
    assert [one.filename for one in caught] == warned * [__file__]
