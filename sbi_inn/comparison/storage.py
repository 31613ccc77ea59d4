"""Read a comparison from its file, without running any code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sbi_inn import files
from sbi_inn.checks.candidates import Labelled
from sbi_inn.comparison.comparison import ModelComparison
from sbi_inn.comparison.core import Core
from sbi_inn.comparison.saving import KIND, SET, SIZES
from sbi_inn.errors import LoadError
from sbi_inn.methods.ib_inn.method import IBINN
from sbi_inn.methods.loading import within
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.registry import get
from sbi_inn.typing import AnyArray


def load_comparison(
    path: str | Path, *, problems: Mapping[str, Problem | str] | None = None
) -> ModelComparison:
    """Read a saved comparison; the file holds no code, and no code is run.

    Parameters
    ----------
    path : str or Path
    problems : mapping of str to Problem or str, optional
        Simulators of the models, by name, for more test simulations in `check`. Registered ones are
        found by the name in the file.

    Returns
    -------
    ModelComparison
        It has the probabilities of the saved comparison. `.simulations` is empty: the file holds
        only the held-out ones, without their parameters.

    Raises
    ------
    LoadError
        If the file is truncated, of a newer format or not a comparison, or if `problems` names a
        model that is not in it.

    Examples
    --------
    >>> load_comparison("no_such_file.sbi")
    Traceback (most recent call last):
    ...
    sbi_inn.errors.LoadError: ...
    """
    config, arrays = files.read(path)
    if config.get("kind") != KIND:
        raise LoadError(f"{path}: expected a comparison; the file holds {config.get('kind')!r}")
    try:
        with within(arrays):
            core = _core(config, arrays, problems or {})
        said = [config[name] for name in ("last_check", "last_verdict")]
        if not all(isinstance(text, str) for text in said):
            raise TypeError(f"expected texts; got {said!r:.200}")
    except LoadError:
        raise
    except Exception as error:  # a file may say anything, and what is made of it raise anything
        raise LoadError(f"{path}: the file is incomplete or damaged: {error!r}") from error
    return ModelComparison(core, last_check=said[0], last_verdict=said[1])


def _core(
    config: Mapping[str, Any], arrays: files.Arrays, problems: Mapping[str, Problem | str]
) -> Core:
    names = tuple(config["models"])
    schema = Schema.from_config(config["schema"])
    parts = {name: _rows(arrays[name], schema) for name in ("tests", "usual", "seen")}
    return Core(
        names,
        IBINN.read(config["method"], arrays),
        schema,
        {},
        _problems(names, config["problems"], problems),
        parts["tests"],
        parts["usual"],
        parts["seen"].observations,
        arrays["prior"]["log"],
        config["seed"],
        config["n_simulations"],
        config["seconds"],
    )


def _rows(arrays: Mapping[str, AnyArray], schema: Schema) -> Labelled:
    sets = {name: PaddedSet(arrays[SET + name], arrays[SIZES + name]) for name in schema.sets}
    givens = len(schema.given_columns)
    return Labelled(Observations(arrays["vector"], sets, givens, schema), arrays["labels"])


def _problems(
    names: tuple[str, ...],
    registered: Mapping[str, str],
    stated: Mapping[str, Problem | str],
) -> dict[str, Problem | None]:
    """Find the problems: those given again, or the registered ones, or None."""
    unknown = [name for name in stated if name not in names]
    if unknown:
        raise LoadError(
            f"expected problems of the models {', '.join(names)}; got {', '.join(unknown)}"
        )
    found: dict[str, Problem | None] = dict.fromkeys(names)
    for name in names:
        chosen = stated.get(name, registered.get(name))
        try:
            found[name] = get(chosen) if isinstance(chosen, str) else chosen
        except KeyError:
            found[name] = None
    return found
