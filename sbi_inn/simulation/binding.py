"""How the arguments of a simulator are filled: by name, or with one vector of all parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import Parameter
from typing import Any

from sbi_inn.simulation.failure import SimulationError


@dataclass(frozen=True)
class Binding:
    """What each argument of a simulator receives.

    Attributes
    ----------
    named : tuple of str
        The parameters and givens that are passed, each under its own name.
    vector : str or None
        The argument that receives all parameters as one vector, in the prior's order.
    rng, seed : bool
        Whether a numpy Generator or an integer seed is asked for.
    leading : tuple of str
        The arguments that can only be passed by position, in order.
    """

    named: tuple[str, ...]
    vector: str | None
    rng: bool
    seed: bool
    leading: tuple[str, ...]


def bind(
    function: Callable[..., Any],
    parameters: Sequence[str],
    givens: Sequence[str],
    *,
    what: str = "the simulator",
) -> Binding:
    """Read the signature of a simulator, or of what else messages are to call it.

    Arguments that carry the name of a parameter or given receive it, `**kwargs` receives all of
    them; `rng` and `seed` receive randomness. A single other positional argument, where no
    parameter is named, receives the vector of all parameters. Any other argument must have a
    default, and keeps it.

    Raises
    ------
    SimulationError
        If an argument is none of these, or the simulator takes no parameter at all.

    Examples
    --------
    >>> bind(lambda height, elbow, rng: ..., ["height", "elbow"], []).named
    ('height', 'elbow')
    >>> bind(lambda theta: ..., ["height", "elbow"], []).vector
    'theta'
    """
    found = arguments(function)
    single = [a for a in found if a.kind not in (a.VAR_KEYWORD, a.VAR_POSITIONAL)]
    known = (*parameters, *givens)
    everything = any(a.kind is Parameter.VAR_KEYWORD for a in found)
    asked = [a.name for a in single]
    named = known if everything else tuple(name for name in known if name in asked)
    strangers = [
        a for a in single if a.name not in (*known, "rng", "seed") and a.default is Parameter.empty
    ]
    vector = _vector(strangers, named, parameters)
    if strangers and vector is None:
        raise SimulationError(_unknown(what, [a.name for a in strangers], parameters, givens))
    if vector is None and not set(named) & set(parameters):
        raise SimulationError(
            f"{what} takes none of the parameters ({', '.join(parameters)}); its arguments "
            f"are ({', '.join(map(str, found))}). Name them, or take one vector of all"
        )
    leading = (a for a in single if a.kind is Parameter.POSITIONAL_ONLY)
    filled = (*named, vector, "rng", "seed")
    return Binding(
        named=named,
        vector=vector,
        rng="rng" in asked,
        seed="seed" in asked,
        leading=tuple(a.name for a in leading if a.name in filled),
    )


def arguments(function: Callable[..., Any]) -> list[Parameter]:
    """Read the arguments of a function off its signature.

    Raises
    ------
    SimulationError
        If it has none that can be read.
    """
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise SimulationError(
            f"the signature of {function!r:.80} cannot be read; wrap it in a function whose "
            "arguments are the parameters"
        ) from None


def asked(
    function: Callable[..., Any], known: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say which of the known names and `rng` a function takes, and which of its arguments are none.

    `**kwargs` takes all that is known, but not `rng`; what has a default may keep it.

    Raises
    ------
    SimulationError
        If the signature cannot be read.

    Examples
    --------
    >>> asked(lambda flux, rng, scale, power=2: ..., ["flux", "sigma"])
    (('flux', 'rng'), ('scale',))
    """
    found = arguments(function)
    names = {a.name for a in found}
    everything = any(a.kind is Parameter.VAR_KEYWORD for a in found)
    taken = tuple(n for n in (*known, "rng") if n in names or (everything and n != "rng"))
    single = [a for a in found if a.kind not in (a.VAR_KEYWORD, a.VAR_POSITIONAL)]
    strangers = [a.name for a in single if a.name not in taken and a.default is Parameter.empty]
    return taken, tuple(strangers)


def _vector(
    strangers: list[Parameter], named: Sequence[str], parameters: Sequence[str]
) -> str | None:
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    if len(strangers) != 1 or set(named) & set(parameters):
        return None
    return strangers[0].name if strangers[0].kind in positional else None


def _unknown(what: str, names: list[str], parameters: Sequence[str], givens: Sequence[str]) -> str:
    close = get_close_matches(names[0], [*parameters, *givens], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    givens_known = f"; givens: {', '.join(givens)}" if givens else ""
    return (
        f"{what}'s argument {', '.join(map(repr, names))} is not a parameter or given{hint} "
        f"(parameters: {', '.join(parameters)}{givens_known}; also: rng, seed)"
    )
