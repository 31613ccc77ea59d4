"""Simulated again piece by piece: the same numbers as all at once, whatever fails."""

import numpy as np
import pytest
import scipy.stats as st

import sbi_inn as si
from sbi_inn.observation.statistics import described, described_names
from sbi_inn.simulation.again import givens_of, observe_again, observed_in_pieces
from sbi_inn.simulation.run import RESIMULATED
from sbi_inn.simulation.seeds import Stream

PRIOR = si.Prior(a=st.norm())
GIVEN = {"n": st.randint(3, 9), "t": st.uniform()}
SETTINGS = {"seed": 1, "stream": Stream.CHECK_SIMULATIONS}


@si.simulator(sets={"n": ["y"]}, batched=True)
def many(a, n, t, rng):
    y = a[:, None] + t[:, None] * rng.normal(size=(len(a), n.max()))
    return {"y": np.where(a[:, None] > 1.5, np.nan, y), "top": y.max(axis=1)}


@si.simulator(sets={"n": ["y"]})
def one(a, n, t, rng):
    if a > 1.5:
        raise ValueError("too large")
    y = a + t * rng.normal(size=n)
    return {"y": y, "top": y.max()}


@si.simulator(sets={"n": ["y"]})
def never(a, n, t):
    raise ValueError("never")


def more(top, rng):
    return {"top": top + rng.normal()}


def given_and_drawn(problem, n):
    table = si.simulate(si.Problem(one, PRIOR, given=GIVEN), n=n, seed=3, n_jobs=1, progress=False)
    observations = table.observations()
    flat = np.random.default_rng(0).normal(size=(len(observations), 1))
    return table.schema, flat, observations


@pytest.mark.parametrize("noise", [None, more], ids=["plain", "with noise"])
@pytest.mark.parametrize(
    ("simulator", "n"), [(many, RESIMULATED + 900), (one, 300)], ids=["batched", "one by one"]
)
def test_pieces_are_what_all_of_them_are(simulator, n, noise):
    problem = si.Problem(simulator, PRIOR, given=GIVEN, noise=noise)
    schema, flat, observations = given_and_drawn(problem, n)
    _, whole, ok = observe_again(problem, schema, flat, observations, **SETTINGS)
    assert 0 < ok.sum() < len(ok)
    found = np.full((len(flat), len(described_names(schema))), np.nan)
    pieces = observed_in_pieces(problem, schema, flat, givens_of(observations, schema), **SETTINGS)
    for rows, again in pieces:
        assert len(rows) == len(again) <= RESIMULATED or noise
        found[rows] = described(again, schema)
    np.testing.assert_array_equal(np.isfinite(found).all(axis=1), ok)
    np.testing.assert_allclose(found[ok], described(whole, schema), rtol=1e-12)


def test_where_every_one_fails_there_are_no_pieces():
    problem = si.Problem(never, PRIOR, given=GIVEN)
    schema, flat, observations = given_and_drawn(problem, 20)
    givens = givens_of(observations, schema)
    assert not list(observed_in_pieces(problem, schema, flat, givens, **SETTINGS))
