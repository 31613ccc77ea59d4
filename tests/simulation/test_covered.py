"""What training covers of a given: the ends of its distribution count as seen, others warn."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.simulation.apply_noise import apply_noise
from sbi_inn.simulation.covered import ranges

PRIOR = si.Prior(a=st.norm(0, 1))


def schema(n=400, seed=1, **given):
    return si.simulate(
        lambda a: a, PRIOR, given=given, n=n, seed=seed, n_jobs=1, progress=False
    ).schema


@pytest.mark.parametrize(
    ("given", "edges", "outside"),
    [
        (st.randint(5, 501), (5, 500), (4, 501)),
        (st.randint(1, 4), (1, 3), (0, 4)),
        (st.uniform(2, 3), (2.0, 5.0), (1.9, 5.1)),
        (st.loguniform(0.01, 1), (0.01, 1.0), (0.008, 1.1)),
        (st.bernoulli(0.5), (0, 1), (-1, 2)),
        # Bounded, but never seen there: what is far from all simulations warns.
        (st.binom(1_000, 0.5), (480, 520), (400, 600)),
        (st.beta(50, 50), (0.4, 0.6), (0.1, 0.9)),
        (st.norm(0, 1), (-2.5, 2.5), (-5.0, 5.0)),
        (st.poisson(4), (0, 9), (-1, 25)),
        (st.lognorm(1), (0.1, 9.0), (-1.0, 200.0)),
    ],
)
def test_the_edge_of_what_was_simulated_is_inside(given, edges, outside):
    for seed in range(5):
        found = schema(seed=seed, g=given)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for value in edges:
                found.read({"y": 0.0, "g": value})
        for value in outside:
            with pytest.warns(UserWarning, match="g = .* is outside the trained range"):
                found.read({"y": 0.0, "g": value})


def test_the_edge_is_the_end_of_the_distribution():
    found = schema(g=st.randint(5, 501), h=st.uniform(2, 3))
    assert found.trained == {"g": (5.0, 500.0), "h": (2.0, 5.0)}


@pytest.mark.parametrize("whole", [True, False])
def test_a_table_knows_no_ends_and_goes_by_its_outermost_values(whole):
    beyond = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        values = rng.integers(5, 501, 300) if whole else rng.uniform(5, 500, 300)
        low, high = ranges({"g": values.astype(float)})["g"]
        assert values.min() - 20 < low <= values.min()
        assert values.max() <= high < values.max() + 20
        assert not whole or (low == int(low) and high == int(high))
        beyond += high < 500
    assert beyond < 15  # 6 % by chance


def test_a_table_that_was_read():
    rng = np.random.default_rng(1)
    columns = {"a": rng.normal(size=300), "x": rng.normal(size=300), "g": rng.uniform(size=300)}
    table = si.read_simulations(
        pd.DataFrame(columns), parameters=["a"], observables=["x"], given=["g"], progress=False
    )
    low, high = table.schema.trained["g"]
    assert -0.05 < low < columns["g"].min() < columns["g"].max() < high < 1.05
    with pytest.warns(UserWarning, match="g = 2 is outside the trained range"):
        table.schema.read({"x": 0.0, "g": 2.0})


def test_a_given_that_comes_with_the_noise():
    table = si.simulate(lambda a: a, PRIOR, n=400, seed=1, n_jobs=1, progress=False)

    noisy = apply_noise(
        table,
        {"g": st.randint(5, 501)},
        lambda y, g, rng: y + rng.normal(0, 1 / g),
        seed=1,
    )
    assert noisy.schema.trained["g"] == (5.0, 500.0)
