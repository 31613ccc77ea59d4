"""The simulator: a callable, and what its signature cannot say about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from sbi_inn.observation.image import Channels
from sbi_inn.simulation.failure import SimulationError


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
    series : dict of str to tuple of str
        The same for time series, whose entries have an order. A length that is no given is the same
        in every simulation.
    images : tuple of str
        Observables and givens that are images, of shape (height, width), (channels, height, width)
        or (height, width, channels), or profiles of shape (length,).
    channels : {"first", "last"} or None
        Which of three axes holds the channels; if nobody says so, 1 to 3 of them.

    Raises
    ------
    SimulationError
        If the function cannot be called, an observable is of two kinds, or `channels` is none of
        these.
    """

    function: Callable[..., Any]
    batched: bool = False
    sets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    series: Mapping[str, Sequence[str]] = field(default_factory=dict)
    images: Sequence[str] = ()
    channels: Channels | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise SimulationError(
                f"expected a simulator that can be called; got {self.function!r:.80}"
            )
        for kind in ("sets", "series"):
            object.__setattr__(self, kind, _columns(kind, getattr(self, kind)))
        images = (self.images,) if isinstance(self.images, str) else tuple(self.images)
        object.__setattr__(self, "images", images)
        if self.channels not in (None, "first", "last"):
            raise SimulationError(f'channels= must be "first" or "last"; got {self.channels!r}')
        lengths = [*self.sets, *self.series]
        names = [*(c for columns in self.ordered.values() for c in columns), *images]
        twice = [name for name, count in Counter((*lengths, *names)).items() if count > 1]
        if twice:
            raise SimulationError(
                "a length or an observable may be named only once in sets=, series= and images=; "
                f"got {twice[0]!r} twice"
            )
        # `inspect.signature` and `help` see through the record.
        object.__setattr__(self, "__wrapped__", self.function)
        object.__setattr__(self, "__doc__", self.function.__doc__)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    @property
    def ordered(self) -> dict[str, tuple[str, ...]]:
        """The columns of the sets, then those of the series, by the name of their length."""
        return {
            name: tuple(columns) for name, columns in (*self.sets.items(), *self.series.items())
        }

    @property
    def description(self) -> str:
        """The first line of the function's docstring, or its name."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        lines = (getattr(self.function, "__doc__", None) or "").strip().splitlines()
        return lines[0] if lines else name


Columns = Mapping[str, Sequence[str]]


@overload
def simulator(
    function: Callable[..., Any],
    *,
    batched: bool = ...,
    sets: Columns | None = ...,
    series: Columns | None = ...,
    images: Sequence[str] = ...,
    channels: Channels | None = ...,
) -> Simulator: ...
@overload
def simulator(
    function: None = ...,
    *,
    batched: bool = ...,
    sets: Columns | None = ...,
    series: Columns | None = ...,
    images: Sequence[str] = ...,
    channels: Channels | None = ...,
) -> Callable[[Callable[..., Any]], Simulator]: ...
def simulator(
    function: Callable[..., Any] | None = None,
    *,
    batched: bool = False,
    sets: Columns | None = None,
    series: Columns | None = None,
    images: Sequence[str] = (),
    channels: Channels | None = None,
) -> Simulator | Callable[[Callable[..., Any]], Simulator]:
    """Declare what a simulator's signature cannot say; used as `@simulator` or `@simulator(...)`.

    Parameters
    ----------
    batched : bool
        The simulator takes arrays with a leading axis B and one Generator, and returns arrays with
        a leading axis B. Columns of a set or series are returned padded, shape (B, L); values
        beyond the length of a row are ignored.
    sets : mapping of str to sequence of str, optional
        Sets of exchangeable measurements: from the given that is the size of the set to the
        observables that are its paired columns.
    series : mapping of str to sequence of str, optional
        The same for time series. If all have the same length, it need not be a given.
    images : sequence of str, optional
        Observables and givens that are images, of shape (height, width), (channels, height, width)
        or (height, width, channels), or profiles of shape (length,). Sides have at least 4 pixels.
    channels : {"first", "last"}, optional
        Which of three axes holds the channels. If it is left out, images may have 1 to 3 channels.

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
        return Simulator(function, batched, sets or {}, series or {}, images, channels)
    return lambda function: Simulator(function, batched, sets or {}, series or {}, images, channels)


def as_simulator(function: Callable[..., Any] | Simulator) -> Simulator:
    """Make a record of any callable; a record stays as it is."""
    return function if isinstance(function, Simulator) else Simulator(function)


def _columns(kind: str, given: Columns) -> dict[str, tuple[str, ...]]:
    """Give the columns of each set or series as tuples; a single name may be written as it is."""
    if not isinstance(given, Mapping):
        raise SimulationError(
            f"expected {kind}= to map the name of a length to the observables that have it, as in "
            f"{kind}={{'n': ['rt', 'choice']}}; got {given!r:.80}"
        )
    columns = {n: (c,) if isinstance(c, str) else tuple(c) for n, c in given.items()}
    if not all(columns.values()) or any(len(set(c)) < len(c) for c in columns.values()):
        raise SimulationError(
            f"{kind}= names the columns of each of its {kind} once, as in "
            f"{kind}={{'n': ['rt', 'choice']}}; got {dict(given)}"
        )
    return columns
