"""What is computed once, for all who ask."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Once:
    """Base of what several checks share: it keeps what one of them has computed for the others.

    A changed copy (`dataclasses.replace`) begins anew.
    """

    _known: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False)

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """Give what `make` returns; it is called where the name is asked for the first time."""
        if name not in self._known:
            self._known[name] = make()
        return self._known[name]
