"""Catalogues of observations keep their own index; the order of their columns does not matter."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from studies import quick_fit

import sbi_inn as si

NAMES = ["Vega", "Deneb", "Altair"]


@pytest.fixture
def stars():
    return pd.DataFrame(
        {"note": ["x", "", "y"], "f2": [3.0, 4.0, 5.0], "id": NAMES, "f1": [1, 2, 3], "t": 30.0}
    )


def read(table, *, progress=False, **options):
    return si.read_observations(table, progress=progress, **options)


FLUX = {"flux": ["f1", "f2"]}


def test_columns_in_another_order(stars, capsys):
    ys = read(stars, observables=FLUX, given=["t"], index="id", progress=True)
    assert capsys.readouterr().out == "the table: 3 rows\nflux (2) | t\nignored: note\n"
    assert ys.observation.to_index().to_list() == NAMES
    assert ys.flux.sel(observation="Deneb").values.tolist() == [2, 4]
    assert ys.t.values.tolist() == [30, 30, 30]


def test_the_index_of_a_frame_and_of_a_dataset(stars):
    frame = stars.set_index("id")
    ys = read(frame, observables=FLUX)
    assert ys.observation.to_index().to_list() == NAMES
    assert ys.observation.attrs["index"] == "id"
    again = read(ys, observables=["flux"])
    assert again.flux.equals(ys.flux)
    other = read(ys.rename(observation="star"), observables=["flux"])
    assert other.observation.to_index().to_list() == NAMES
    assert read(stars, observables=["f1"]).observation.values.tolist() == [0, 1, 2]


def test_nan_stays_nan(stars):
    stars.loc[1, "f2"] = np.nan
    ys = read(stars, observables=FLUX, index="id")
    assert np.isnan(ys.flux.sel(observation="Deneb").values).tolist() == [False, True]


def test_rows_are_grouped_into_sets():
    rng = np.random.default_rng(1)
    order = rng.permutation(np.repeat(NAMES, [4, 2, 5]))
    frame = pd.DataFrame({"star": order, "mag": rng.normal(size=11), "airmass": 1.0})
    ys = read(frame, observables=["airmass"], sets={"n": ["mag"]}, by="star")
    assert set(ys.observation.values) == set(NAMES)
    for name, size in zip(NAMES, [4, 2, 5], strict=True):
        one = ys.sel(observation=name)
        assert int(one.n) == size
        assert np.array_equal(one.mag[:size], frame.mag[frame.star == name])
    with pytest.raises(si.ShapeError, match="by='star' names the objects"):
        read(frame, sets={"n": ["mag"]}, by="star", index="star")


BAD = {
    "missing": ({"observables": {"flux": ["f1", "F2 "]}}, r"in F2 , .*did you mean 'f2'"),
    "text": ({"observables": ["note"]}, "column 'note': expected numbers; got 'x' in row 0"),
    "index": ({"observables": FLUX, "index": "name"}, "expected the index in name"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_catalogues_that_cannot_be_read(stars, options, message):
    with pytest.raises(si.ShapeError, match=message):
        read(stars, **options)


# -- what a posterior makes of them ----------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(2)
    mass = rng.normal(size=300)
    table = pd.DataFrame({"mass": mass, "f1": mass + rng.normal(size=300), "f2": mass, "t": 30.0})
    return quick_fit(
        si.read_simulations(
            table, parameters=["mass"], observables=FLUX, given=["t"], progress=False
        )
    )


def test_draws_summaries_and_checks_carry_the_index(fitted, stars):
    ys = read(stars, observables=FLUX, given=["t"], index="id")
    draws = fitted.sample_each(ys, 20)
    assert draws.observation.to_index().to_list() == NAMES
    one = fitted.sample_each([{"flux": [2.0, 4.0]}], 20)
    assert draws.mass.sel(observation="Vega").shape == one.mass[0].shape
    for table in (fitted.summary_each(ys, progress=False), fitted.goodness_of_fit_each(ys)):
        assert table.index.equals(pd.Index(NAMES, name="id"))
    frame = pd.DataFrame(
        {"flux[0]": [1.0, 2], "flux[1]": [3.0, 4]},
        index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["field", "star"]),
    )
    assert fitted.summary_each(frame, progress=False).index.equals(frame.index)
    assert fitted.sample_each(frame, 5).observation.values.tolist() == [("a", 1), ("b", 2)]
    assert fitted.goodness_of_fit_each([{"flux": [1.0, 2.0]}]).index.name == "observation"


def test_a_catalogue_with_other_columns_is_refused(fitted, stars):
    ys = read(stars, observables={"flx": ["f1", "f2"]}, given=["t"])
    with pytest.raises(si.ShapeError, match="observation 0: .*flux missing; flx unknown"):
        fitted.sample_each(ys)
    other = read(stars.assign(t=[30.0, 30.0, 40.0]), observables=FLUX, given=["t"])
    with pytest.raises(si.ShapeError, match="observation 2: t is 30 in every simulation; got 40"):
        fitted.sample_each(other)
    gap = read(stars.assign(f2=[1.0, np.nan, 2.0]), observables=FLUX)
    with pytest.raises(si.ShapeError, match="observation 1: .*finite"):
        fitted.sample_each(gap)


def test_ragged_sets_of_a_catalogue_are_those_of_a_list():
    @si.simulator(sets={"n": ["x"]}, batched=True)
    def measure(mu, n, rng):
        return {"x": rng.normal(mu[:, None], 1, (len(mu), int(n.max())))}

    import scipy.stats as st

    problem = si.Problem(measure, si.Prior(mu=st.norm(0, 1)), given={"n": st.randint(2, 6)})
    posterior = quick_fit(problem)
    frame = pd.DataFrame({"id": ["b", "b", "b", "a", "a"], "x": [0.1, 0.2, 0.3, 1.0, 2.0]})
    ys = read(frame, sets={"n": ["x"]}, by="id")
    assert isinstance(ys, xr.Dataset)
    draws = posterior.sample_each(ys, 50)
    listed = posterior.sample_each([{"x": [0.1, 0.2, 0.3]}, {"x": [1.0, 2.0]}], 50)
    assert np.array_equal(draws.mu, listed.mu)
    assert draws.observation.values.tolist() == ["b", "a"]
