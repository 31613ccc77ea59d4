"""Posteriors from simulators, with invertible networks.

Names are loaded on first use, so that a process which only simulates never loads torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sbi_inn.api import fit_posterior
    from sbi_inn.data import Simulations
    from sbi_inn.draws import summary
    from sbi_inn.errors import (
        LoadError,
        NoDensityError,
        PriorError,
        ShapeError,
        SimulationError,
    )
    from sbi_inn.methods.abc import rejection_abc
    from sbi_inn.methods.cinn import CINN
    from sbi_inn.methods.inn import INN
    from sbi_inn.plots.corner import corner
    from sbi_inn.posterior import Posterior
    from sbi_inn.prior import Mixture, Prior
    from sbi_inn.report.check import Check
    from sbi_inn.report.latex import latex_table
    from sbi_inn.simulation.problem import Problem
    from sbi_inn.simulation.registry import get, problems, register
    from sbi_inn.simulation.run import simulate
    from sbi_inn.simulation.simulator import simulator
    from sbi_inn.storage import load_posterior
    from sbi_inn.tables import read_observations, read_simulations
    from sbi_inn.training import Training

__version__ = "0.1.0"

_HOMES = {
    "CINN": "methods.cinn",
    "INN": "methods.inn",
    "Check": "report.check",
    "LoadError": "errors",
    "NoDensityError": "errors",
    "Mixture": "prior",
    "Posterior": "posterior",
    "Prior": "prior",
    "PriorError": "errors",
    "Problem": "simulation.problem",
    "ShapeError": "errors",
    "SimulationError": "errors",
    "Simulations": "data",
    "Training": "training",
    "corner": "plots.corner",
    "fit_posterior": "api",
    "get": "simulation.registry",
    "latex_table": "report.latex",
    "load_posterior": "storage",
    "problems": "simulation.registry",
    "read_observations": "tables",
    "read_simulations": "tables",
    "register": "simulation.registry",
    "rejection_abc": "methods.abc",
    "simulate": "simulation.run",
    "simulator": "simulation.simulator",
    "summary": "draws",
}

__all__ = [
    "CINN",
    "INN",
    "Check",
    "LoadError",
    "NoDensityError",
    "Mixture",
    "Posterior",
    "Prior",
    "PriorError",
    "Problem",
    "ShapeError",
    "SimulationError",
    "Simulations",
    "Training",
    "corner",
    "fit_posterior",
    "get",
    "latex_table",
    "load_posterior",
    "problems",
    "read_observations",
    "read_simulations",
    "register",
    "rejection_abc",
    "simulate",
    "simulator",
    "summary",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Package(ModuleType):
    """Keeps a public name from being taken by the folder of that name: `summary` is a function."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


# Importing a submodule binds it in its package, whatever that name stood for before.
sys.modules[__name__].__class__ = _Package
