"""What a posterior shows as figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from sbi_inn import draws as labelled
from sbi_inn.errors import ShapeError
from sbi_inn.methods import Decoder, Fitted
from sbi_inn.observation.schema import Schema
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sbi_inn.checks import Calibration, Recovery


class Figures(ABC):
    """The figures of a posterior, made from its draws.

    Attributes
    ----------
    fitted : Fitted
    simulations : Simulations
    """

    fitted: Fitted
    simulations: Simulations
    _schema: Schema

    @abstractmethod
    def sample(self, y: Any, n: int = 1000, *, seed: int | None = None) -> xr.Dataset:
        """Draw from the posterior at one observation."""

    @abstractmethod
    def resimulate(
        self,
        y: Any,
        n: int = 1000,
        *,
        given: Mapping[str, Any] | None = None,
        emulator: bool = False,
        seed: int | None = None,
    ) -> xr.Dataset:
        """Simulate again at posterior draws of one observation."""

    @abstractmethod
    def calibration(self) -> Calibration:
        """Calibration over the test simulations."""

    @abstractmethod
    def recovery(self) -> Recovery:
        """Point estimates against the truth of the test simulations."""

    def corner(
        self,
        y: Any,
        n: int = 10_000,
        *,
        truth: Mapping[str, Any] | None = None,
        compare: Mapping[str, xr.Dataset] | None = None,
        width_mm: float = 180.0,
        seed: int | None = None,
    ) -> Figure:
        """Plot all marginals of one and two parameters, with the prior in grey.

        Parameters
        ----------
        y : mapping, Dataset or array
        n : int
            Number of draws.
        truth : mapping of str to float, optional
            True parameters, marked in the figure.
        compare : mapping of str to Dataset, optional
            Other draws to overlay, by label, such as `{"ABC": posterior.rejection_abc(y)}`.
        width_mm : float
            Width on paper: 180 for a double column, 85 for a single one.
        seed : int, optional
        """
        from sbi_inn.plots.corner import corner

        mine = self.sample(y, n, seed=seed)
        prior = self.simulations.prior_draws
        if not compare:
            return corner(mine, truth=truth, prior=prior, width_mm=width_mm)
        sets = {self.fitted.settings.label: mine, **compare}
        return corner(sets, truth=truth, prior=prior, width_mm=width_mm)

    def plot_calibration(self, width_mm: float = 180.0) -> Figure:
        """Plot coverage and ranks over the test simulations; 85 mm fit one column of a paper."""
        return self.calibration().plot(width_mm)

    def plot_recovery(self, width_mm: float = 180.0) -> Figure:
        """Plot posterior medians and 68 % intervals against the truth of the test simulations."""
        return self.recovery().plot(width_mm)

    def plot_latent(self, y: Any, *, axes: tuple[int, int] = (0, 1), n: int = 121) -> Figure:
        """Plot what a grid over two latent axes maps to, one panel a parameter (fig. 4.5).

        Parameters
        ----------
        y : mapping, Dataset or array
        axes : (int, int)
            Which latent axes, counted from 0; the others are held at 0.
        n : int
            Grid points an axis, from -3 to 3.

        Raises
        ------
        TypeError
            If the method has no latent.
        ValueError
            If it has no such axes.
        """
        from sbi_inn.plots.latent import plot_latent

        axis = np.linspace(-3, 3, n)
        grid = self.latent_grid(y, axis, axes)
        names, flat = labelled.flat(grid)
        values = flat.T.reshape(len(names), n, n)
        return plot_latent(axis, values, labelled.columns_of(grid), axes=axes)

    def latent_grid(self, y: Any, axis: FloatArray, axes: tuple[int, int] = (0, 1)) -> xr.Dataset:
        """Give the parameters of a grid over two latent axes, the second fastest, dim `draw`."""
        if not isinstance(self.fitted, Decoder):
            raise TypeError(f"draws of the method {self.fitted.settings.label} come from no latent")
        dim = self.fitted.latent_dim
        if len(set(axes)) != 2 or not set(axes) <= set(range(dim)):
            raise ValueError(f"expected two different axes of the {dim} latents; got {axes}")
        latent = np.zeros((len(axis) ** 2, dim))
        latent[:, list(axes)] = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        found = self.fitted.decode(self._schema.read(y), latent)
        return self.simulations.label(self.simulations.prior.from_latent(found))

    def plot_forecast(
        self,
        y: Any,
        *,
        given: Mapping[str, Any] | None = None,
        later: npt.ArrayLike | None = None,
        observable: str | None = None,
        log: bool = False,
        n: int = 1000,
        width_mm: float = 180.0,
        seed: int | None = None,
    ) -> Figure:
        """Plot an observed series among re-simulated ones, up to its end or beyond it.

        Parameters
        ----------
        y : mapping, Dataset or array
        given : mapping, optional
            A longer length, such as `{"days": 150}`: what follows the observation is a forecast.
            See `resimulate`.
        later : array, optional
            What did follow, as far as it is known.
        observable : str, optional
            Which column of a series, of one number an entry; by default the first.
        log : bool
            Draw it on a logarithmic scale, on which 0 has a place.
        n : int
            Number of draws.
        width_mm : float
            Width on paper: 180 for a double column, 85 for a single one.
        seed : int, optional

        Raises
        ------
        ShapeError
            If there is no such series; and as `resimulate`.
        SimulationError
            As `resimulate`.
        """
        from sbi_inn.plots.axes import axis_label
        from sbi_inn.plots.forecast import plot_forecast

        schema, table = self._schema, self.simulations.dataset
        known = {c: n for n in schema.series for c in schema.sets[n] if not schema.shape(c)}
        name = next(iter(known), "") if observable is None else observable
        if name not in known:
            raise ShapeError(
                f"expected a column of a series, one of {', '.join(known) or '(there are none)'}; "
                f"got {name or 'observables that are no series of numbers'}"
            )
        observed = schema.unstack(schema.read(y), 0)[name]
        again = self.resimulate(y, n, given=given, seed=seed)[name]
        length = table[known[name]].attrs if known[name] in table else {}
        return plot_forecast(
            again.values,
            observed,
            later=later,
            across=axis_label(_column(known[name], length)),
            up=axis_label(_column(name, again.attrs)),
            log=log,
            width_mm=width_mm,
        )

    def plot_training(self) -> Figure:
        """Plot training and validation loss; of an ensemble, the other validation losses too."""
        from sbi_inn.plots.training import plot_training

        own, *others = map(asdict, self.fitted.histories)
        return plot_training(own, others=others)


def _column(name: str, attrs: Mapping[Any, Any]) -> labelled.Column:
    """Describe a number by the attributes it is stored with."""
    label, units = str(attrs.get("label", name)), str(attrs.get("units", ""))
    return labelled.Column(name, name, label, units, np.nan)
