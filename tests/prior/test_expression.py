"""Dependent priors as expressions: what files hold of a function, and damaged ones."""

import json

import numpy as np
import pytest
import scipy.stats as st
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.special import expit

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.prior import Prior
from sbi_inn.prior.expression import Expression
from sbi_inn.prior.fingerprint import check_fingerprint, fingerprint

EARLIER = {
    "beta": st.uniform(0.01, 0.99),
    "v": st.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]]),
    "n": st.poisson(3),
}
STORED = {
    "uniform": lambda beta: st.uniform(0, beta),
    "keywords": lambda beta: st.norm(loc=-beta, scale=2 * beta + 1),
    "entry": lambda v, beta: st.gamma(1 + beta**2, scale=np.exp(v[:, 1])),
    "where": lambda beta: st.norm(np.where(beta > 0.5, beta, -beta), np.clip(beta, 0.1, 0.5)),
    "special": lambda v: st.beta(1 + expit(v[:, 0]), np.maximum(2.0, np.abs(v[:, 1]))),
    "support": lambda beta, n: st.truncnorm(-beta, 1.0, n, 2 * beta),
    "loguniform": lambda beta: st.loguniform(beta, 2 * beta),
    "default": lambda beta, scale=2.0: st.norm(beta, scale),
    "numpy number": lambda beta: st.norm(beta, np.float64(0.5)),
    "constant": lambda beta: st.gamma(2.0),
    "divided": lambda beta, n: st.expon(scale=(1 - beta) / (1.0 + n) + 1e-3),
}


def table(x):
    return np.interp(x, [0, 1], [0, 1])


CODE = {
    "unknown function": lambda beta: st.uniform(0, table(beta)),
    "branch": lambda beta: st.norm(beta) if np.all(beta < 2) else st.expon(),
    "python branch": lambda beta: st.norm(beta, 2.0 if (beta < 2).all() else 1.0),
    "reduction": lambda beta: st.norm(beta, 1 + np.sum(0 * beta)),
    "array": lambda beta: st.norm(beta + np.zeros(len(beta))),
    "lookup": lambda n: st.norm(np.arange(1000.0)[n]),
}


def both(function):
    prior = Prior({**EARLIER, "x": function})
    return prior, json.loads(json.dumps(prior.to_config()))


@pytest.mark.parametrize("case", STORED)
def test_arithmetic_comes_back_exactly(case):
    prior, config = both(STORED[case])
    assert prior.storable
    again = Prior.from_config(config)
    assert again == prior
    assert again.to_config() == prior.to_config()
    z = np.random.default_rng(1).standard_normal((200, prior.latent_dim))
    draws, others = prior.from_latent(z), again.from_latent(z)
    for name in prior.names:
        np.testing.assert_array_equal(draws[name], others[name])
    np.testing.assert_array_equal(again.log_prob(draws), prior.log_prob(draws))


@pytest.mark.parametrize("case", CODE)
def test_what_is_more_than_arithmetic_is_given_again(case):
    prior, config = both(CODE[case])
    assert not prior.storable
    with pytest.raises(LoadError, match="prior of 'x' is code.*prior="):
        Prior.from_config(config)


def test_a_function_that_changes_its_mind_is_not_stored():
    calls = []

    def fickle(beta):
        calls.append(1)
        return st.uniform(0, beta if len(calls) % 2 else 2 * beta)

    assert not Prior(beta=st.uniform(0.1, 1), x=fickle).storable


def test_probes_know_a_prior_again():
    function = CODE["unknown function"]
    stored = json.loads(json.dumps(fingerprint(both(function)[0])))
    check_fingerprint(both(function)[0], stored)
    check_fingerprint(both(lambda beta: st.uniform(0, beta))[0], stored)  # the same in other words
    with pytest.raises(LoadError, match="not the one .* x is .*, and .* in the file"):
        check_fingerprint(both(lambda beta: st.uniform(0, 1.01 * beta))[0], stored)
    with pytest.raises(LoadError, match="prior names beta, x; expected beta, v"):
        check_fingerprint(Prior(beta=EARLIER["beta"], x=st.norm()), stored)


def test_probes_see_a_density_that_differs():
    prior, other = Prior(x=st.norm()), Prior(x=st.norm())
    stored = fingerprint(prior)
    stored["log_prob"][3] += 0.01
    with pytest.raises(LoadError, match="the log density is"):
        check_fingerprint(other, stored)


DAMAGED_PROBES = [
    {},
    {"latents": [[0.0]], "parameters": {"x": [0.0]}},
    {"latents": [["a"]], "parameters": {"x": [0.0]}, "log_prob": [0.0]},
    {"latents": [[0.0, 1.0]], "parameters": {"x": [0.0]}, "log_prob": [-0.9]},
    {"latents": [[0.0]], "parameters": {"x": [0.0, 1.0]}, "log_prob": [-0.9]},
    {"latents": [[0.0]], "parameters": [], "log_prob": [-0.9]},
    {"latents": [[float("nan")]], "parameters": {"x": [0.0]}, "log_prob": [-0.9]},
]


@pytest.mark.parametrize("stored", DAMAGED_PROBES)
def test_damaged_probes(stored):
    with pytest.raises(LoadError):
        check_fingerprint(Prior(x=st.norm()), stored)


def entry(**changes):
    expression = {
        "name": "x",
        "kind": "expression",
        "parents": ["beta"],
        "distribution": "uniform",
        "args": [0.0, {"parameter": "beta"}],
        "kwds": {},
    }
    beta = {
        "name": "beta",
        "kind": "continuous",
        "distribution": "uniform",
        "args": [0.1, 1.0],
        "kwds": {},
    }
    return {"parameters": [beta, {**expression, **changes}]}


def nested(depth):
    node = {"parameter": "beta"}
    for _ in range(depth):
        node = {"call": "negative", "of": [node]}
    return node


BETA = {"parameter": "beta"}
BAD = {
    "distribution": (entry(distribution="poisson"), "expected a continuous distribution"),
    "attribute": (entry(distribution="__class__"), "expected a continuous distribution"),
    "no text": (entry(distribution=["uniform"]), "expected a continuous distribution"),
    "no parents": (entry(parents=None), "needs parents"),
    "later": (entry(parents=["gamma"], args=[0, {"parameter": "gamma"}]), "gamma must come before"),
    "unknown": (entry(args=[0, {"parameter": "gamma"}]), "a parameter, an entry of one"),
    "function": (entry(args=[0, {"call": "eval", "of": [BETA]}]), "a known function"),
    "dunder": (entry(args=[0, {"call": "__import__", "of": [BETA]}]), "a known function"),
    "list": (entry(args=[0, {"call": ["exp"], "of": [BETA]}]), "a known function"),
    "too few": (entry(args=[0, {"call": "add", "of": [BETA]}]), "a known function"),
    "text": (entry(args=[0, "beta"]), "a number or a part with names"),
    "true": (entry(args=[0, True]), "a number or a part with names"),
    "none": (entry(args=[0, None]), "a number or a part with names"),
    "more keys": (entry(args=[0, {**BETA, "of": 1}]), "a known function"),
    "entry": (entry(args=[0, {"entry": "0", "of": BETA}]), "a known function"),
    "entry of a number": (entry(args=[0, {"entry": 0, "of": 1.0}]), "cannot be used"),
    "deep": (entry(args=[0, nested(60)]), "nested 50 deep"),
    "large": (entry(args=[0, {"call": "add", "of": [10**400, BETA]}]), "64 bits"),
    "keyword": (entry(kwds={"nothing": 1.0}), "cannot be used"),
    "nan": (entry(args=[0, float("nan")]), "cannot be used"),
    "negative": (entry(args=[0, {"call": "negative", "of": [BETA]}]), "cannot be used"),
    "bits": (entry(args=[0, {"call": "bitwise_and", "of": [BETA, BETA]}]), "cannot be used"),
}


@pytest.mark.parametrize("case", BAD)
def test_damaged_expressions(case):
    config, message = BAD[case]
    with pytest.raises(LoadError, match=message):
        Prior.from_config(config)


def wide(n):
    node = BETA
    for _ in range(n):
        node = {"call": "add", "of": [node, node]}
    return node


def test_an_expression_of_too_many_parts():
    with pytest.raises(LoadError, match="at most 1000 parts"):
        Prior.from_config(entry(args=[0, wide(12)]))


json_values = some.recursive(
    some.none() | some.booleans() | some.integers(-5, 5) | some.floats() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(["parameter", "entry", "call", "of", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
nodes = some.recursive(
    some.just(BETA) | some.floats() | json_values,
    lambda inner: some.builds(
        lambda call, of: {"call": call, "of": of},
        some.sampled_from(["add", "power", "log", "where", "logical_not", "special.ndtri", "sort"]),
        some.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    args=some.lists(nodes, max_size=3) | json_values,
    kwds=some.dictionaries(some.sampled_from(["loc", "scale", "a"]), nodes, max_size=2),
    distribution=some.sampled_from(["uniform", "norm", "gamma", "os.system"]) | json_values,
    parents=some.just(["beta"]) | json_values,
)
def test_whatever_is_in_a_file_loads_or_is_a_load_error(args, kwds, distribution, parents):
    config = entry(args=args, kwds=kwds, distribution=distribution, parents=parents)
    try:
        prior = Prior.from_config(config)
    except LoadError:
        return
    assert np.isfinite(prior.sample(5, np.random.default_rng(1))["x"]).all()


def test_marginals_are_of_whole_independent_parts():
    prior = Prior({**EARLIER, "x": STORED["uniform"]})
    part = prior.marginal(["x", "beta"])
    assert part.names == ("beta", "x")
    z = np.random.default_rng(2).standard_normal((50, 2))
    full = np.zeros((50, prior.latent_dim))
    full[:, [0, -1]] = z
    for name, values in part.from_latent(z).items():
        np.testing.assert_array_equal(values, prior.from_latent(full)[name])
    assert prior.marginal("v").columns == ("v[0]", "v[1]")
    with pytest.raises(PriorError, match="'x' follows from 'beta'.*add beta to what is inferred"):
        prior.marginal(["x", "v"])
    with pytest.raises(PriorError, match="got 'bet'; did you mean 'beta'"):
        prior.marginal(["bet"])
    with pytest.raises(PriorError, match=r"got 'v\[0\]'; did you mean 'v'"):
        prior.marginal(["v[0]"])
    with pytest.raises(PriorError, match="got none"):
        prior.marginal([])


def test_an_expression_says_what_it_is():
    traced = Expression.trace(STORED["uniform"], ["beta"])
    assert traced is not None
    assert traced.config()["args"] == [0.0, {"parameter": "beta"}]
    assert Expression.trace(lambda beta: beta, ["beta"]) is None
