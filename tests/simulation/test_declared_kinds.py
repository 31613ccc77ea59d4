"""Series and images as they come out of simulators."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.errors import PriorError, ShapeError
from sbi_inn.simulation.simulations import SimulationError

PRIOR = si.Prior(a=st.norm(0, 1))


def simulated(function, *, n=30, given=None, **declared):
    simulator = si.simulator(function, **declared)
    return si.simulate(simulator, PRIOR, n=n, given=given, seed=1, n_jobs=1, progress=False)


def walk(a, rng, length=5):
    return {"x": np.cumsum(rng.normal(a, 1, length)), "up": rng.normal(size=(length, 2))}


def test_a_series_of_fixed_length_needs_no_given():
    table = simulated(walk, series={"days": ["x", "up"]})
    schema = table.schema
    assert (schema.sets, schema.series) == ({"days": ("x", "up")}, ("days",))
    assert schema.observables == {"x": (), "up": (2,)}
    assert (schema.constants, schema.trained, schema.givens) == ({"days": 5.0}, {}, ())
    assert schema.lengths == {"days": 5}
    padded = table.observations().sets["days"]
    assert padded.values.shape == (30, 5, 3)
    assert (padded.sizes == 5).all()
    assert np.array_equal(padded.values[:, :, 0], table.dataset["x"].values)


@pytest.mark.parametrize("batched", [False, True])
def test_a_series_whose_length_is_drawn(batched):
    def single(a, days, rng):
        return {"x": rng.normal(a, 1, days)}

    def many(a, days, rng):
        return {"x": rng.normal(a[:, None], 1, (len(a), days.max()))}

    table = simulated(
        many if batched else single,
        given={"days": st.randint(2, 9)},
        series={"days": ["x"]},
        batched=batched,
    )
    sizes = table.dataset["days"].values
    assert table.schema.trained == {"days": (sizes.min(), sizes.max())}
    assert table.schema.lengths == {}
    assert np.array_equal(np.isfinite(table.dataset["x"]).sum("days_entry"), sizes)
    assert table.observations().series == ("days",)


@pytest.mark.parametrize("shape", [(8, 6), (3, 8, 6), (8, 6, 3)])
def test_images_are_features_of_a_vector(shape):
    table = simulated(lambda a, rng: {"b": a, "sky": rng.normal(a, 1, shape)}, images=["sky"], n=10)
    assert table.schema.images == ("sky",)
    observations = table.observations()
    grid = observations.grids["sky"]
    assert (grid.start, grid.shape) == (1, shape)
    assert observations.vector.shape == (10, 1 + int(np.prod(shape)))
    assert observations[[3]].grids == observations.grids
    assert table.schema.observable_columns() == len(table.schema.columns)


def test_a_length_of_no_given_that_varies():
    with pytest.raises(SimulationError, match=r"got \(\d,\).*draw it: given=\{'days'"):
        simulated(lambda a, rng: {"x": np.ones(rng.integers(1, 9))}, series={"days": ["x"]})
    with pytest.raises(SimulationError, match=r"sets=\{'n': \['x'\]\}.*or series="):
        simulated(lambda a, rng: {"x": np.ones(rng.integers(1, 9))})


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"x": np.ones(3), "z": np.ones(4)}, "need the same length; got lengths"),
        ({"x": 1.0, "z": np.ones(3)}, "x is a column of a set or series, but has no axis"),
        ({"x": np.ones(3)}, "names 'z', but the simulator returns x"),
    ],
)
def test_series_that_are_none(output, message):
    with pytest.raises(SimulationError, match=message):
        simulated(lambda a: output, series={"days": ["x", "z"]})


def test_images_that_are_none():
    with pytest.raises(SimulationError, match=r"sky: expected an image of.*got shape \(2, 8\)"):
        simulated(lambda a: {"sky": np.ones((2, 8))}, images=["sky"])
    with pytest.raises(SimulationError, match="images= names 'sky', but"):
        simulated(lambda a: {"ski": np.ones((8, 8))}, images=["sky"])


def test_names_that_clash():
    with pytest.raises(PriorError, match="'a' given twice"):
        simulated(walk, series={"a": ["x"]})
    with pytest.raises(SimulationError, match="'x' twice"):
        simulated(walk, series={"days": ["x"]}, images=["x"])
    with pytest.raises(SimulationError, match="'n' twice"):
        simulated(walk, series={"n": ["x"]}, sets={"n": ["up"]})
    with pytest.raises(SimulationError, match="observable 'days' has the name"):
        simulated(lambda a: {"x": np.ones(3), "days": 1.0}, series={"days": ["x"]})


def test_observations_that_do_not_fit():
    table = simulated(
        lambda a, rng: {"x": rng.normal(a, 1, 5), "sky": rng.normal(size=(8, 8))},
        series={"days": ["x"]},
        images="sky",
    )
    schema, sky = table.schema, np.zeros((8, 8))
    assert schema.example() == "{'x': (5,), 'sky': (8, 8)}"
    schema.read({"x": np.zeros(5), "sky": sky, "days": 5})
    for y, message in (
        ({"x": np.zeros(6), "sky": sky}, "expected x with 5 entries, as in every.*got 6.*given="),
        ({"x": [], "sky": sky}, "are one series of days entries.*at least 1"),
        ({"x": np.zeros(5), "sky": np.zeros((8, 9))}, r"expected sky of shape \(8, 8\).*\(8, 9\)"),
        ({"x": np.zeros(5), "sky": [[1.0, 2.0], [3.0]]}, "sky as one array.*different lengths"),
        ({"x": np.zeros(5), "sky": sky, "days": 6}, "days is 5 in every simulation; got 6"),
    ):
        with pytest.raises(ShapeError, match=message):
            schema.read(y)


def test_a_series_longer_than_any_trained_is_warned_of():
    table = simulated(
        lambda a, days: {"x": np.full(days, a)},
        series={"days": ["x"]},
        given={"days": st.randint(2, 6)},
    )
    with pytest.warns(UserWarning, match="days = 9 is outside the trained range 2 to 5"):
        table.schema.read({"x": np.zeros(9)})
