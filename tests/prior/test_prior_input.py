"""What a prior refuses: each bad input with its message, from users and from files."""

import re

import numpy as np
import pytest
import scipy.stats as st

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.prior import Prior

NORM = Prior(x=st.norm(2, 0.5))
THREE = Prior(b=st.expon(), a=st.uniform(), c=st.t(4))
VECTOR = Prior(x=st.multivariate_t([1, 2, 3], df=4))
COUNT = Prior(k=st.poisson(3), a=st.norm())
CODE = Prior(a=st.norm(), b=lambda a: st.norm(np.interp(a, [0, 1], [0, 1])))


BAD = {
    "nothing": (lambda: Prior(), "at least one parameter"),
    "empty": (lambda: Prior({}), "at least one parameter"),
    "number": (lambda: Prior(x=3.0), "'x': expected any frozen.*dirichlet.*got float 3.0"),
    "none": (lambda: Prior(x=None), "got NoneType None"),
    "twice": (lambda: Prior([("x", st.norm()), ("x", st.norm())]), "'x' given twice"),
    "twice mixed": (lambda: Prior({"x": st.norm()}, x=st.norm()), "'x' given twice"),
    "reserved": (lambda: Prior(seed=st.norm()), "'seed' is reserved"),
    "no identifier": (lambda: Prior({"a b": st.norm()}), "identifiers.*'a b'"),
    "no text": (lambda: Prior({1: st.norm()}), "identifiers.*1"),
    "no pairs": (lambda: Prior([st.norm()]), "mapping or .* pairs"),
    "not iterable": (lambda: Prior(3), "mapping or .* pairs; got int"),
    "unfrozen": (lambda: Prior(x=st.norm), "call it"),
    "multinomial": (lambda: Prior(x=st.multinomial(3, [0.5, 0.5])), "any frozen.*got multinomial"),
    "unfrozen discrete": (lambda: Prior(x=st.poisson), "call it"),
    "negative rate": (lambda: Prior(x=st.poisson(-1)), r"poisson\(-1\).*in the range"),
    "empty range": (lambda: Prior(x=st.randint(5, 3)), r"randint\(5, 3\).*in the range"),
    "discrete array": (lambda: Prior(x=st.poisson([1, 2])), r"must be numbers.*shape \(2,\)"),
    "one value": (lambda: Prior(x=st.bernoulli(0)), r"at least two values; got \[0\]"),
    "too wide": (lambda: Prior(x=st.randint(0, 10**9)), "more than 200,000 values.*round it"),
    "heavy tails": (lambda: Prior(x=st.zipf(2.0)), "more than 200,000 values.*round it"),
    "no whole numbers": (lambda: Prior(x=st.poisson(3, loc=0.5)), "whole numbers.*got 0.5"),
    "no whole values": (
        lambda: Prior(x=st.rv_discrete(values=([0.5, 1.5], [0.5, 0.5]))),
        "rv_discrete of 2 values: expected whole numbers.*got 0.5",
    ),
    "wishart": (lambda: Prior(x=st.wishart(3, np.eye(2))), "multivariate_t or dirichlet.*wishart"),
    "array arguments": (lambda: Prior(x=st.norm([0, 1], 1)), r"must be numbers.*shape \(2,\)"),
    "negative scale": (lambda: Prior(x=st.gamma(-1)), r"gamma\(-1\).*in the range"),
    "negative norm": (lambda: Prior(x=st.norm(0, -1)), "in the range"),
    "no width": (lambda: Prior(x=st.uniform(1, 1e-17)), "in the range|tell its draws apart"),
    "vonmises": (lambda: Prior(x=st.vonmises(1)), "vonmises_line"),
    "singular": (
        lambda: Prior(x=st.multivariate_normal([0, 0], np.ones((2, 2)), allow_singular=True)),
        "cov must be positive definite",
    ),
    "later": (
        lambda: Prior(gamma=lambda beta: st.uniform(0, beta), beta=st.uniform()),
        r"earlier parameters \(there are none\); got beta",
    ),
    "unknown": (
        lambda: Prior(beta=st.uniform(), gamma=lambda delta: st.uniform(0, delta)),
        r"earlier parameters \(beta\); got delta",
    ),
    "no argument": (lambda: Prior(a=st.norm(), b=lambda: st.norm()), "got no argument"),
    "all arguments": (lambda: Prior(a=st.norm(), b=lambda **all: st.norm()), "got all"),
    "branch": (
        lambda: Prior(a=st.norm(), b=lambda a: st.norm(a) if a > 0 else st.expon()),
        "failed when called with arrays.*numpy.where",
    ),
    "no distribution": (lambda: Prior(a=st.norm(), b=lambda a: a), "must return.*got ndarray"),
    "discrete b": (lambda: Prior(a=st.norm(), b=lambda a: st.poisson(a)), "must return"),
    "unfrozen b": (lambda: Prior(a=st.norm(), b=lambda a: st.norm), "must return.*got norm_gen"),
    "shape": (lambda: Prior(a=st.norm(), b=lambda a: st.norm(a[:, None])), r"got \(3, 1\)"),
    "range": (
        lambda: Prior(a=st.norm(), b=lambda a: st.norm(0, a)),
        "'b': for some values of a within their prior",
    ),
    "missing": (lambda: THREE.log_prob({"a": 1}), "parameters b, a, c; got a"),
    "extra": (lambda: NORM.log_prob({"x": 1, "y": 1}), "expected .* x; got x, y"),
    "rows": (
        lambda: THREE.log_prob({"b": [1, 2], "a": [1, 2, 3], "c": 1}),
        r"same number of rows; got b \(2,\), a \(3,\)",
    ),
    "text": (lambda: NORM.log_prob({"x": "one"}), "'x' must be numbers"),
    "scalar shape": (lambda: NORM.log_prob({"x": [[1]]}), r"shape \(\) or \(n,\); got"),
    "vector shape": (
        lambda: VECTOR.log_prob({"x": [1, 2]}),
        r"shape \(3,\) or \(n, 3\); got \(2,\)",
    ),
    "nan": (lambda: NORM.to_latent({"x": [1, np.nan]}), "'x': nan has no latent"),
    "within": (lambda: COUNT.to_latent({"k": 1, "a": 0}, [0.5]), r"shape \(n, 1\).*got \(1,\)"),
    "within 2": (lambda: COUNT.to_latent({"k": 1, "a": 0}, [[2.0]]), "values from 0 to 1"),
    "flat": (lambda: NORM.unflatten(np.ones((2, 3))), r"shape \(n, 1\).*got \(2, 3\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, message = BAD[case]
    with pytest.raises(PriorError, match=re.compile(message, re.DOTALL)):
        call()


def test_bad_latents_and_generators():
    with pytest.raises(ValueError, match=r"shape \(n, 3\); got \(3,\)"):
        THREE.from_latent(np.zeros(3))
    with pytest.raises(TypeError, match="Generator, or a whole number as its seed; got 1.5"):
        THREE.sample(3, 1.5)
    with pytest.raises(ValueError, match="must not be negative; got -1"):
        THREE.sample(3, seed=-1)


def entry(**changes):
    good = {"name": "x", "kind": "continuous", "distribution": "norm", "args": [], "kwds": {}}
    return {"parameters": [{**good, **changes}]}


LOADS = {
    "nothing": ({}, "needs named parameters"),
    "not a dict": (3, "needs named parameters"),
    "no args": ({"parameters": [{"name": "x", "kind": "continuous"}]}, "needs name, kind"),
    "unlisted": (entry(distribution="os.system"), "hold continuous and discrete.*os.system"),
    "private": (entry(distribution="rv_continuous"), "rv_continuous"),
    "discrete": (entry(kind="multivariate", distribution="poisson", args=[3]), "poisson"),
    "values": (entry(kind="listed", distribution="rv_discrete", args=[[1]]), "rv_discrete"),
    "no sum": (entry(kind="listed", distribution="rv_discrete", args=[[1], [0.5]]), "sum"),
    "list as name": (entry(distribution=["norm"]), "norm"),
    "kind": (entry(kind="other"), "other"),
    "list as kind": (entry(kind=["continuous"]), "continuous"),
    "text argument": (entry(args=["__import__"]), "must be numbers"),
    "dict argument": (entry(kwds={"loc": {}}), "must be numbers"),
    "too many": (entry(args=[1, 2, 3, 4]), "'x', norm"),
    "unknown argument": (entry(kwds={"shape": 1}), "'x', norm"),
    "out of range": (entry(args=[0, -1]), "cannot be used"),
    "reserved": (entry(name="seed"), "cannot be used.*reserved"),
    "code": (CODE.to_config(), "prior of 'b' is code.*prior="),
}


@pytest.mark.parametrize("case", LOADS)
def test_bad_configs(case):
    config, message = LOADS[case]
    with pytest.raises(LoadError, match=re.compile(message, re.DOTALL)):
        Prior.from_config(config)


def test_an_array_in_place_of_names_is_named_by_its_shape():
    prior = Prior(a=st.norm(), b=st.norm())
    with pytest.raises(PriorError, match=r"a, b by name, .* got ndarray of shape \(7, 2\)"):
        prior.to_latent(np.zeros((7, 2)))
