"""The entries of a prior in a file, made distributions again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sbi_inn.errors import LoadError
from sbi_inn.prior.expression import Expression
from sbi_inn.prior.families import restore


def stored(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Give names and distributions of what `Prior.to_config` gave.

    Raises
    ------
    LoadError
        If a parameter is code, if its distribution is not one of scipy's, or if the dict is not of
        this form.
    """
    try:
        entries = list(config["parameters"])
        kinds = {entry["name"]: entry["kind"] for entry in entries}
    except (KeyError, TypeError) as error:
        raise LoadError(f"a stored prior needs named parameters; got {config!r}") from error
    code = [name for name, kind in kinds.items() if kind == "code"]
    if code:
        raise LoadError(
            f"the prior of {', '.join(map(repr, code))} is code, which files do not hold; "
            "give the whole prior again with prior="
        )
    return [
        (entry["name"], Expression.read(str(entry["name"]), entry))
        if entry["kind"] == "expression"
        else restore(entry)
        for entry in entries
    ]
