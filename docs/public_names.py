"""Write docs/public-names.txt: every public name with its signature, so that a change is seen.

python docs/public_names.py
"""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sbi_inn

PAGE = Path(__file__).parent / "public-names.txt"


def signature(function: Callable[..., Any], *, bound: bool = False) -> str:
    """Give the arguments and their defaults; of a method without the object itself."""
    found = inspect.signature(function)
    arguments = [p.replace(annotation=p.empty) for p in found.parameters.values()]
    shown = found.replace(
        parameters=arguments[1:] if bound else arguments, return_annotation=found.empty
    )
    return str(shown)


def members(cls: type) -> Iterator[str]:
    """Give what a class has for its users, a line each."""
    for name in sorted(set(dir(cls))):
        member = inspect.getattr_static(cls, name)
        if name.startswith("_") or getattr(Exception, name, None) is not None:
            continue
        if isinstance(member, classmethod | staticmethod):
            yield f"    {name}{signature(getattr(cls, name))}"
        elif inspect.isfunction(member):
            yield f"    {name}{signature(member, bound=True)}"
        else:
            yield f"    {name}"


def lines() -> Iterator[str]:
    """Give every public name in the order of the alphabet, classes with their members."""
    for name in sorted(sbi_inn.__all__):
        thing = getattr(sbi_inn, name)
        if isinstance(thing, type) and issubclass(thing, Exception):
            yield f"{name}: {', '.join(base.__name__ for base in thing.__bases__)}"
        elif isinstance(thing, type):
            yield f"{name}{signature(thing)}"
            yield from members(thing)
        else:
            yield f"{name}{signature(thing)}"


def text() -> str:
    """Give the whole list."""
    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
