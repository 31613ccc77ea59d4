"""Problems by name: those of this session, and those that installed packages bring along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pandas as pd

from sbi_inn.errors import PriorError
from sbi_inn.prior import Prior
from sbi_inn.simulation.noise import Noise, as_noise
from sbi_inn.simulation.problem import Givens, Problem
from sbi_inn.simulation.simulator import Simulator, as_simulator

GROUP = "sbi_inn.problems"
"""Entry points that name problems."""

_registered: dict[str, Problem] = {}


def register(name: str, problem: Problem) -> Problem:
    """Register a problem under a name for this session; an earlier one of this name is replaced.

    A package makes its problems known by an entry point of group "sbi_inn.problems".

    Raises
    ------
    TypeError
        If `problem` is not a Problem.

    Examples
    --------
    >>> import scipy.stats as st
    >>> from sbi_inn.prior import Prior
    >>> _ = register("doubled", Problem(lambda x: 2 * x, Prior(x=st.norm(0, 1))))
    >>> get("doubled").name
    'doubled'
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"expected a Problem to register as {name!r}; got {type(problem).__name__}")
    _registered[name] = replace(problem, name=name)
    return _registered[name]


def get(name: str) -> Problem:
    """Return the registered problem of a name.

    Raises
    ------
    KeyError
        If there is none; the message suggests similar names.
    """
    if name in _registered:
        return _registered[name]
    installed = _installed()
    if name in installed:
        return _load(name, installed[name])
    known = sorted({*installed, *_registered})
    close = get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
    raise KeyError(f"no problem is registered as {name}; {hint}")


def problems() -> pd.DataFrame:
    """List the registered problems in a table with columns description, parameters and source.

    Rows are named like the problems. A problem that cannot be loaded is listed with the reason.
    """
    rows = {}
    for name in sorted({*_installed(), *_registered}):
        try:
            problem = get(name)
        except Exception as error:  # another package's code: whatever it raises, the list stands
            rows[name] = (f"cannot be loaded: {error}", "", "")
        else:
            parameters = ", ".join(problem.prior.names)
            rows[name] = (problem.simulator.description, parameters, problem.source)
    columns = ["description", "parameters", "source"]
    index = pd.Index(list(rows), name="name", dtype=object)
    return pd.DataFrame(list(rows.values()), index=index, columns=pd.Index(columns))


def as_problem(
    simulator: Problem | Simulator | Callable[..., Any] | str,
    prior: Prior | None = None,
    given: Givens | None = None,
    noise: Noise | Callable[..., Any] | None = None,
) -> Problem:
    """Make a Problem of a simulator and its prior, or find the one registered under a name.

    Parameters
    ----------
    simulator : callable, Problem or str
    prior : Prior, optional
        Needed with a callable; replaces the prior of a Problem.
    given : mapping, optional
        Added to the givens of a Problem, by name.
    noise : callable, optional
        Replaces the noise of a Problem.

    Raises
    ------
    KeyError
        If no problem is registered under the name.
    PriorError, SimulationError
        As `Problem`.
    """
    problem = get(simulator) if isinstance(simulator, str) else simulator
    if isinstance(problem, Problem):
        if prior is None and not given and noise is None:
            return problem
        given = {**problem.given, **(given or {})}
        return replace(
            problem,
            prior=prior or problem.prior,
            given=given,
            noise=as_noise(noise) or problem.noise,
        )
    if prior is None:
        raise PriorError(
            "a simulator needs a prior: pass prior=si.Prior(...), a Problem, or a registered name"
        )
    return Problem(as_simulator(problem), prior, given=given or {}, noise=as_noise(noise))


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _load(name: str, point: EntryPoint) -> Problem:
    problem = point.load()
    if not isinstance(problem, Problem):
        raise TypeError(
            f"the entry point {name!r} ({point.value}) is a {type(problem).__name__}, not a Problem"
        )
    return replace(problem, name=name)
