"""What a problem declares of its observations, apart from its code: what a schema is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sbi_inn.observation.image import Channels
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.covered import missing_of, ranges, shapes_of
from sbi_inn.simulation.outputs import Kinds, Layout
from sbi_inn.simulation.problem import Problem
from sbi_inn.typing import AnyArray


@dataclass(frozen=True)
class Ends:
    """Where a given's distribution begins and ends."""

    low: float
    high: float

    def support(self) -> tuple[float, float]:
        """Both, as a distribution of scipy says them."""
        return self.low, self.high


@dataclass(frozen=True)
class Declared:
    """Kinds of the observables, and what is known of the givens.

    Attributes
    ----------
    sets, series : dict of str to tuple of str
        Columns by the name of their length, as the simulator declares them.
    images : tuple of str
    givens : tuple of str
    constants : dict of str to float
    ends : dict of str to Ends
        Of the givens that are distributions.
    channels : {"first", "last"} or None
        Which of three axes of an image holds its channels.
    """

    sets: Mapping[str, Sequence[str]]
    series: Mapping[str, Sequence[str]]
    images: Sequence[str]
    givens: Sequence[str]
    constants: Mapping[str, float]
    ends: Mapping[str, Ends]
    channels: Channels | None = None

    @classmethod
    def of(cls, problem: Problem) -> Declared:
        """Read it off a problem."""
        ends = {
            name: Ends(*map(float, value.support()))
            for name, value in problem.given.items()
            if hasattr(value, "support")
        }
        simulator = problem.simulator
        return cls(
            {name: tuple(columns) for name, columns in simulator.sets.items()},
            {name: tuple(columns) for name, columns in simulator.series.items()},
            tuple(simulator.images),
            tuple(problem.given),
            problem.constants,
            ends,
            simulator.channels,
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Declared:
        """Read back what `to_config` gave."""
        return cls(
            {name: tuple(columns) for name, columns in config["sets"].items()},
            {name: tuple(columns) for name, columns in config["series"].items()},
            tuple(config["images"]),
            tuple(config["givens"]),
            {name: float(value) for name, value in config["constants"].items()},
            {name: Ends(float(e["low"]), float(e["high"])) for name, e in config["ends"].items()},
            config.get("channels"),
        )

    def to_config(self) -> dict[str, Any]:
        """Describe it in numbers, lists and text."""
        found = asdict(self)
        return found if self.channels else {k: v for k, v in found.items() if k != "channels"}

    @property
    def ordered(self) -> dict[str, tuple[str, ...]]:
        """The columns of the sets, then those of the series, by the name of their length."""
        return {n: tuple(columns) for n, columns in (*self.sets.items(), *self.series.items())}

    @property
    def kinds(self) -> Kinds:
        """Which observables are more than numbers and vectors."""
        drawn = {n: c for n, c in self.ordered.items() if n in self.givens}
        fixed = {n: c for n, c in self.ordered.items() if n not in self.givens}
        images = tuple(name for name in self.images if name not in self.givens)
        return Kinds(drawn, fixed, images, self.channels)

    def schema(self, layout: Layout, seen: Mapping[str, AnyArray]) -> Schema:
        """Make the schema, with what rows that succeeded have seen of the givens (rows, ...)."""
        kinds = layout.kinds
        varying = tuple(n for n in self.givens if n not in (*self.constants, *kinds.lengths))
        shapes = {n: s[1:] if layout.series_of(n) else s for n, s in layout.shapes.items()}
        fixed = {length: float(layout.fixed_length(length)) for length in kinds.fixed_series}
        varied = {name: seen[name] for name in varying}
        return Schema(
            observables=shapes,
            sets=self.ordered,
            givens=varying,
            constants=dict(self.constants) | fixed,
            trained=ranges(varied | {n: seen[n] for n in kinds.lengths}, self.ends),
            given_shapes=shapes_of(varied),
            missing=missing_of(varied),
            series=tuple(self.series),
            images=tuple(self.images),
            channels=self.channels,
        )
