"""What some trained methods can also do: for fields, levels of latents and a highest density."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from sbi_inn.observation.batch import Observations
from sbi_inn.typing import FloatArray, IntArray


@runtime_checkable
class Levelled(Protocol):
    """A Decoder some of whose latents belong to levels of detail."""

    @property
    def levels(self) -> tuple[IntArray, ...]:
        """Which latents belong to each level, coarsest first; the others belong to none."""
        ...


@runtime_checkable
class Climber(Protocol):
    """A trained method of a field, which knows the way to the field of highest density."""

    @property
    def numbers(self) -> Any:
        """What was learned of the other parameters; None where there are none."""
        ...

    @property
    def others(self) -> IntArray:
        """Their latents."""
        ...

    def top(self, observation: Observations, numbers: FloatArray) -> FloatArray:
        """Find the latents (1, dim) of the highest density, given those of other parameters."""
        ...
