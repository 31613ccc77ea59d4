"""The names a study may use: parameters, observables and givens share one namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

RESERVED = frozenset(
    {"rng", "seed", "draw", "chain", "simulation", "observation", "status", "given"}
)


def check_names(names: Iterable[str], *, role: str, error: type[Exception]) -> None:
    """Raise `error` unless the names are distinct identifiers and none is reserved.

    Parameters
    ----------
    names : iterable of str
        The names, for example of a prior's parameters.
    role : str
        What they name, for the message: "parameter", "observable" or "given".
    error : exception class
        What to raise.
    """
    names = list(names)
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise error(f"{role} names must be Python identifiers, such as 'elbow'; got {name!r}")
        if name in RESERVED:
            raise error(
                f"{role} name {name!r} is reserved; choose another "
                f"(reserved: {', '.join(sorted(RESERVED))})"
            )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise error(f"{role} names must differ; {', '.join(map(repr, twice))} given twice")
