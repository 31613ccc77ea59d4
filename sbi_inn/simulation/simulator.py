"""The simulator: a callable, and what its signature cannot say about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from sbi_inn.errors import SimulationError


@dataclass(frozen=True)
class Simulator:
    """A forward simulator, still callable like the function it was made from.

    Attributes
    ----------
    function : callable
        From parameters and givens to observables.
    batched : bool
        Whether one call simulates many rows: arrays come and go with a leading axis B.
    sets : dict of str to tuple of str
        The name of a length, which is a given, and the observables that are paired columns of an
        exchangeable set of that length.

    Raises
    ------
    SimulationError
        If the function cannot be called, or an observable belongs to two sets.
    """

    function: Callable[..., Any]
    batched: bool = False
    sets: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise SimulationError(
                f"expected a simulator that can be called; got {self.function!r:.80}"
            )
        sets = {
            length: (columns,) if isinstance(columns, str) else tuple(columns)
            for length, columns in self.sets.items()
        }
        counts = Counter(column for columns in sets.values() for column in columns)
        twice = [column for column, count in counts.items() if count > 1]
        if twice or not all(sets.values()):
            raise SimulationError(
                "sets= names the columns of each set once, as in sets={'n': ['rt', 'choice']}; "
                f"got {dict(self.sets)}"
            )
        object.__setattr__(self, "sets", sets)
        # `inspect.signature` and `help` see through the record.
        object.__setattr__(self, "__wrapped__", self.function)
        object.__setattr__(self, "__doc__", self.function.__doc__)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    @property
    def description(self) -> str:
        """The first line of the function's docstring, or its name."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        lines = (getattr(self.function, "__doc__", None) or "").strip().splitlines()
        return lines[0] if lines else name


@overload
def simulator(
    function: Callable[..., Any],
    *,
    batched: bool = ...,
    sets: Mapping[str, Sequence[str]] | None = ...,
) -> Simulator: ...
@overload
def simulator(
    function: None = ..., *, batched: bool = ..., sets: Mapping[str, Sequence[str]] | None = ...
) -> Callable[[Callable[..., Any]], Simulator]: ...
def simulator(
    function: Callable[..., Any] | None = None,
    *,
    batched: bool = False,
    sets: Mapping[str, Sequence[str]] | None = None,
) -> Simulator | Callable[[Callable[..., Any]], Simulator]:
    """Declare what a simulator's signature cannot say; works as `@simulator` and `@simulator(...)`.

    Parameters
    ----------
    batched : bool
        The simulator takes arrays with a leading axis B and one Generator, and returns arrays with
        a leading axis B. Columns of a set are returned padded, shape (B, L), with anything beyond a
        row's own length.
    sets : mapping of str to sequence of str, optional
        Observables that are paired columns of an exchangeable set, under the name of the given that
        is its length.

    Examples
    --------
    >>> @simulator(sets={"n_trials": ["rt", "choice"]})
    ... def trials(drift, n_trials, rng):
    ...     rt = rng.exponential(1 / drift, n_trials)
    ...     return {"rt": rt, "choice": rng.integers(0, 2, n_trials)}
    >>> trials.sets
    {'n_trials': ('rt', 'choice')}
    """
    if function is not None:
        return Simulator(function, batched, sets or {})
    return lambda function: Simulator(function, batched, sets or {})


def as_simulator(function: Callable[..., Any] | Simulator) -> Simulator:
    """Make a record of any callable; a record stays as it is."""
    return function if isinstance(function, Simulator) else Simulator(function)
