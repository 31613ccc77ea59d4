"""From candidate models to tables of simulations that can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from sbi_inn.comparison.agreement import check_agree, common_schema
from sbi_inn.errors import ComparisonError
from sbi_inn.methods.fitting import FEWEST
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.registry import get
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream, sequence
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.simulation.stated import DEFAULT

NONE = "none of them"
"""What the last row of a table is called, and so no model may be."""

MORE = (100_000, 30_000)
"""Simulations of each model, where no number is asked for: the first that are cheap.

Errors of log Bayes factors fall as one over the root of this number.
"""

SECONDS = 20.0
"""What these may take, for each model."""

NUMBERS = 10_000_000
"""Numbers that they may have together, for each model."""

Model = Problem | Simulations | str


def gather(
    models: Mapping[str, Model],
    *,
    n: int | None,
    n_jobs: int,
    seed: int,
    progress: bool,
) -> tuple[dict[str, Simulations], dict[str, Problem | None]]:
    """Simulate the models that are not simulated yet, and see that all can be compared.

    Returns
    -------
    tables : dict of str to Simulations
        All with the same schema, whose ranges are those of all models together.
    problems : dict of str to Problem or None

    Raises
    ------
    ComparisonError
        If there are fewer than two models, or observables or givens differ.
    SimulationError
        If a model cannot be simulated, or too few of its simulations succeeded; `.simulations` are
        then those of all models so far, by name.
    """
    problems = _problems(models)
    tables: dict[str, Simulations] = {}
    for place, (name, model) in enumerate(models.items()):
        with carrying(tables, name):
            problem = problems[name]
            if isinstance(model, Simulations):
                tables[name] = model
            elif problem is not None:
                if progress:
                    print(f"model {name}:")
                own = int(sequence(seed, Stream.COMPARED_MODELS, place).generate_state(1)[0])
                tables[name] = _simulated(problem, n, n_jobs, own, progress)
            _check_enough(name, tables[name])
    with carrying(tables):
        schema = common_schema(tables)
        tables = {name: replace(table, schema=schema) for name, table in tables.items()}
        compared = check_agree(tables, schema)
        if progress and compared:
            print(f"the givens of the models agree: {', '.join(compared)}")
    return tables, problems


@contextmanager
def carrying(tables: Mapping[str, Simulations], name: str = "") -> Iterator[None]:
    """Let whatever goes wrong carry the simulations of all models so far, by name."""
    try:
        yield
    except BaseException as error:
        found = dict(tables)
        partial = getattr(error, "simulations", None)
        if name and isinstance(partial, Simulations):
            found.setdefault(name, partial)
        if isinstance(error, SimulationError) and name and not isinstance(partial, dict):
            raise SimulationError(f"model {name!r}: {error}", found) from error
        if not isinstance(partial, dict):
            BaseException.__setattr__(error, "simulations", found)
        raise


def _problems(models: Mapping[str, Model]) -> dict[str, Problem | None]:
    """Find the problem of each model; None where it is a table."""
    if not isinstance(models, Mapping):
        raise ComparisonError(
            'expected models by name, such as {"a": problem, "b": other}; got '
            f"{type(models).__name__}"
        )
    if len(models) < 2:
        raise ComparisonError(
            f"expected at least two models to compare; got {', '.join(models) or 'none'}"
        )
    found: dict[str, Problem | None] = {}
    for name, model in models.items():
        if not isinstance(name, str) or not name or name == NONE:
            raise ComparisonError(f"expected names of models as text, not {NONE!r}; got {name!r}")
        if not isinstance(model, Problem | Simulations | str):
            raise ComparisonError(
                f"model {name!r}: expected a Problem, the name of a registered one or Simulations; "
                f"got {type(model).__name__}. A simulator becomes a Problem with its prior: "
                "si.Problem(simulator, prior)"
            )
        problem = get(model) if isinstance(model, str) else model
        found[name] = problem if isinstance(problem, Problem) else None
    return found


def _simulated(
    problem: Problem, n: int | None, n_jobs: int, seed: int, progress: bool
) -> Simulations:
    """Simulate as many as asked for, or more than usual where that takes no time."""
    table = run(problem, n=n, n_jobs=n_jobs, seed=seed, progress=progress)
    if n is not None:
        return table
    seconds = float(table.dataset.attrs["seconds_per_simulation"])
    size = table.dataset.nbytes / 8 / max(len(table), 1)
    cheap = [k for k in MORE if k * seconds <= SECONDS and k * size <= NUMBERS]
    if not cheap or len(table) < DEFAULT:
        return table
    return run(problem, n=cheap[0], n_jobs=n_jobs, seed=seed, progress=progress)


def _check_enough(name: str, table: Simulations) -> None:
    if len(table.ok) < FEWEST:
        why = f": {table.failures['error'].iloc[0]}" if len(table.failures) else ""
        raise SimulationError(
            f"expected at least {FEWEST} successful simulations; got {len(table.ok)} of "
            f"{len(table)}{why}",
            table,
        )
