"""With what a posterior was made: versions of the libraries, and the simulator."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from sbi_inn.simulation.identity import identity
from sbi_inn.simulation.problem import Problem

LIBRARIES = ("sbi-inn", "torch", "numpy", "scipy")


@dataclass(frozen=True)
class Provenance:
    """With what a posterior was made.

    Attributes
    ----------
    versions : dict of str to str
        Of python and of the libraries that decide what comes out.
    simulator : str
        Its module and name; empty where the simulations came as a table.
    source : str
        SHA-256 of the simulator's source and of what it holds, as a store of simulations knows it
        (`identity`); empty where there is none to read. What it calls is not part of it.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    simulator: str = ""
    source: str = ""

    @classmethod
    def of(cls, problem: Problem | None) -> Provenance:
        """Look it up here and now.

        Examples
        --------
        >>> sorted(Provenance.of(None).versions)
        ['numpy', 'python', 'sbi-inn', 'scipy', 'torch']
        """
        versions = {"python": platform.python_version()} | {n: version(n) for n in LIBRARIES}
        if problem is None:
            return cls(versions)
        function = problem.simulator.function
        known = identity(function)
        return cls(versions, f"{function.__module__}.{known['name']}", known["source"] or "")

    def to_config(self) -> dict[str, Any]:
        """Give it as JSON would hold it."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Provenance:
        """Read back what `to_config` gave."""
        texts = (*config["versions"].items(), config["simulator"], config["source"])
        if not all(isinstance(text, str) for pair in texts for text in pair):
            raise TypeError(f"expected texts; got {config!r:.200}")
        return cls(dict(config["versions"]), config["simulator"], config["source"])

    @property
    def sentence(self) -> str:
        """Say it in a line."""
        known = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        hashed = f" (source {self.source[:12]})" if self.source else " (no source to read)"
        return f"{known}; simulator {self.simulator}{hashed}" if self.simulator else known
