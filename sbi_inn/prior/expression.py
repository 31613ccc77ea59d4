"""Distributions of dependent parameters as expressions: what a file can hold of a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import scipy.special
import scipy.stats
from numpy.lib.mixins import NDArrayOperatorsMixin

from sbi_inn.errors import LoadError
from sbi_inn.prior.families import CONTINUOUS, family

UFUNCS: dict[str, np.ufunc] = {
    name: getattr(np, name)
    for name in """
    absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or cbrt
    ceil cos cosh deg2rad divide equal exp exp2 expm1 float_power floor floor_divide greater
    greater_equal hypot invert less less_equal log log10 log1p log2 logaddexp logical_and
    logical_not logical_or maximum minimum multiply negative not_equal positive power rad2deg
    reciprocal remainder rint sign sin sinh sqrt square subtract tan tanh trunc
    """.split()
} | {
    f"special.{name}": getattr(scipy.special, name)
    for name in "erf erfc expit gammaln log_ndtr logit ndtr ndtri xlogy".split()
}
"""The functions that an expression may call, by the names that files use."""

CALLS: dict[str, tuple[Callable[..., Any], int]] = {
    **{name: (ufunc, ufunc.nin) for name, ufunc in UFUNCS.items()},
    "where": (np.where, 3),
    "clip": (np.clip, 3),
}
"""These, and how many arguments each takes."""

DEEPEST = 50
"""How deep an expression may be nested: far below Python's own limit, which a file could reach."""

LARGEST = 1_000
"""How many parts it may have, so that a file cannot keep the reader busy."""

Node = Any  # a number, {"parameter"}, {"entry", "of"} or {"call", "of"}


class UntraceableError(TypeError):
    """A function does what no expression can say, such as branching on a value."""


@dataclass(frozen=True)
class Expression:
    """A frozen continuous distribution whose arguments are expressions of earlier parameters.

    Attributes
    ----------
    parents : tuple of str
        The parameters it is called with, by name.
    distribution : str
        Public name in scipy.stats.
    args : tuple of node
    kwds : dict of str to node

    Examples
    --------
    >>> import scipy.stats as st
    >>> half = Expression.trace(lambda beta: st.uniform(0, beta / 2), ["beta"])
    >>> half.config()["args"]
    [0.0, {'call': 'divide', 'of': [{'parameter': 'beta'}, 2.0]}]
    >>> half(beta=np.array([1.0, 3.0])).support()[1]
    array([0.5, 1.5])
    """

    parents: tuple[str, ...]
    distribution: str
    args: tuple[Node, ...]
    kwds: Mapping[str, Node]

    @classmethod
    def trace(cls, function: Callable[..., Any], parents: Sequence[str]) -> Expression | None:
        """Call a function once with symbols, and write down what it does with them.

        Returns
        -------
        Expression or None
            None where it does something else than arithmetic, the functions above, and a
            distribution of scipy.stats.
        """
        try:
            frozen = function(**{name: Symbol({"parameter": name}) for name in parents})
            args, kwds = getattr(frozen, "args", ()), getattr(frozen, "kwds", {})
            nodes = tuple(map(_node, args)), {key: _node(value) for key, value in kwds.items()}
        except Exception:  # whatever a symbol cannot do
            return None
        name = family(frozen)
        return cls(tuple(parents), name, *nodes) if name in CONTINUOUS else None

    @classmethod
    def read(cls, name: str, config: Mapping[str, Any]) -> Expression:
        """Read what `config` gave, checking every part of it.

        Raises
        ------
        LoadError
            For anything that is not of its form.
        """
        try:
            parents, distribution = list(config["parents"]), config["distribution"]
            args, kwds = list(config["args"]), dict(config["kwds"])
        except (KeyError, TypeError, ValueError) as error:
            raise LoadError(
                f"parameter {name!r}: a stored expression needs parents, distribution, args and "
                f"kwds; got {str(config)[:200]}"
            ) from error
        if not isinstance(distribution, str) or distribution not in CONTINUOUS:
            raise LoadError(
                f"parameter {name!r}: expected a continuous distribution of scipy.stats "
                f"{scipy.__version__}; got {distribution!r}"
            )
        if not all(isinstance(text, str) for text in (*parents, *kwds)):
            raise LoadError(f"parameter {name!r}: expected names; got {parents!r}, {list(kwds)!r}")
        reader = _Reader(name, frozenset(parents))
        nodes = [reader.node(node, 0) for node in (*args, *kwds.values())]
        named = dict(zip(kwds, nodes[len(args) :], strict=True))
        return cls(tuple(parents), distribution, tuple(nodes[: len(args)]), named)

    def __call__(self, **parents: Any) -> Any:
        """Evaluate with arrays of the parents, as the function would: a frozen distribution."""
        make = getattr(scipy.stats, self.distribution)
        args = [_value(node, parents) for node in self.args]
        return make(*args, **{key: _value(node, parents) for key, node in self.kwds.items()})

    def config(self) -> dict[str, Any]:
        """Describe it in numbers, lists and text."""
        return {
            "kind": "expression",
            "parents": list(self.parents),
            "distribution": self.distribution,
            "args": list(self.args),
            "kwds": dict(self.kwds),
        }

    def agrees(self, frozen: object, parents: Mapping[str, Any]) -> bool:
        """Whether it gives, for these parents, the distribution that the function gave."""
        mine = self(**{name: parents[name] for name in self.parents})
        args, kwds = getattr(frozen, "args", ()), getattr(frozen, "kwds", {})
        return (
            family(frozen) == self.distribution
            and len(args) == len(mine.args)
            and kwds.keys() == mine.kwds.keys()
            and all(map(np.array_equal, args, mine.args))
            and all(np.array_equal(value, mine.kwds[key]) for key, value in kwds.items())
        )


class Symbol(NDArrayOperatorsMixin):
    """Stands for an array whose values are not known, and remembers what is done with it."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwds: Any) -> Symbol:
        names = [name for name, known in UFUNCS.items() if known is ufunc]
        if method != "__call__" or kwds or not names:
            raise UntraceableError(f"{ufunc.__name__} ({method})")
        return Symbol({"call": names[0], "of": [_node(value) for value in inputs]})

    def __array_function__(
        self, function: object, types: object, args: Sequence[Any], kwds: Mapping[str, Any]
    ) -> Symbol:
        names = [name for name in ("where", "clip") if CALLS[name][0] is function]
        if not names or kwds or len(args) != 3:
            raise UntraceableError(str(function))
        return Symbol({"call": names[0], "of": [_node(value) for value in args]})

    def __getitem__(self, key: object) -> Symbol:
        if not isinstance(key, tuple) or len(key) != 2 or key[0] != slice(None):
            raise UntraceableError(f"[{key!r}]")
        if not isinstance(key[1], int) or isinstance(key[1], bool):
            raise UntraceableError(f"[{key!r}]")
        return Symbol({"entry": key[1], "of": self.node})

    def __bool__(self) -> bool:
        raise UntraceableError("a branch on values")


@dataclass
class _Reader:
    """Checks the parts of a stored expression, and counts them."""

    name: str
    parents: frozenset[str]
    parts: int = 0

    def node(self, node: object, depth: int) -> Node:
        """Check a part and all that it is made of; integers become floats, which cannot grow."""
        self.parts += 1
        if depth > DEEPEST or self.parts > LARGEST:
            raise self._wrong(f"at most {LARGEST} parts, nested {DEEPEST} deep", "more")
        if isinstance(node, int | float) and not isinstance(node, bool):
            try:
                return float(node)
            except OverflowError:
                raise self._wrong("numbers of 64 bits", "a larger one") from None
        if not isinstance(node, dict):
            raise self._wrong("a number or a part with names", node)
        if node.keys() == {"parameter"} and str(node["parameter"]) in self.parents:
            return {"parameter": str(node["parameter"])}
        if node.keys() == {"entry", "of"} and type(node["entry"]) is int:
            return {"entry": node["entry"], "of": self.node(node["of"], depth + 1)}
        if node.keys() == {"call", "of"} and isinstance(node["of"], list):
            known = CALLS.get(str(node["call"]))
            if known is not None and known[1] == len(node["of"]):
                parts = [self.node(part, depth + 1) for part in node["of"]]
                return {"call": str(node["call"]), "of": parts}
        raise self._wrong("a parameter, an entry of one, or a call of a known function", node)

    def _wrong(self, expected: str, got: object) -> LoadError:
        return LoadError(
            f"parameter {self.name!r}: its stored expression should hold {expected}; "
            f"got {str(got)[:200]}"
        )


def _node(value: object) -> Node:
    if isinstance(value, Symbol):
        return value.node
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "iuf":
        return float(value)
    raise UntraceableError(f"{type(value).__name__} {value!r:.80}")


def _value(node: Node, parents: Mapping[str, Any]) -> Any:
    if isinstance(node, float):
        return node
    if "parameter" in node:
        return parents[node["parameter"]]
    if "entry" in node:
        return _value(node["of"], parents)[:, node["entry"]]
    return CALLS[node["call"]][0](*(_value(part, parents) for part in node["of"]))
