"""How many trials are needed? Expected widths of intervals, from the amortised network."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from sbi_inn.draws import INTERVAL_68, Column
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.observation.schema import Schema
from sbi_inn.plots.curves import plot_plan
from sbi_inn.simulation.givens import is_whole
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.typing import FloatArray, IntArray

SECONDS = 60.0  # that all simulations of a plan may take
FEWEST = 20  # observations that a mean width can be told from
NEAREST = 0.1  # share of the held-out observations that count as near a value
# Share of the trained range beyond its ends that is no extrapolation: simulations hardly reach
# the ends of a distribution.
SLACK = 0.01


class Sampler(Protocol):
    """Anything that draws parameters for a batch of observations."""

    @property
    def schema(self) -> Schema:
        """What one observation looks like."""
        ...

    def draw(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` flat parameter vectors an observation, shape (observations, n, dim)."""
        ...


class HeldOut(Protocol):
    """Simulations that training has never seen."""

    @property
    def observations(self) -> Observations:
        """One row a simulation."""
        ...


@dataclass(frozen=True)
class Plan:
    """How wide posterior intervals are expected to be at several values of a given.

    Attributes
    ----------
    given : str
    values : array, shape (v,)
    columns : tuple of Column
        The scalar parameters, with labels and units.
    level : float
        Probability of the central intervals.
    width : array, shape (v, d)
        Mean width over observations, in the parameters' units.
    low, high : array, shape (v, d)
        The widths for 68 % of the observations lie between these.
    error : array, shape (v, d)
        Standard error of the mean width.
    """

    given: str
    values: FloatArray
    columns: tuple[Column, ...]
    level: float
    width: FloatArray
    low: FloatArray
    high: FloatArray
    error: FloatArray

    @property
    def table(self) -> pd.DataFrame:
        """Expected width, one row a value of the given, one column a parameter."""
        return self._frame(self.width)

    @property
    def errors(self) -> pd.DataFrame:
        """Standard error of `table`, laid out like it."""
        return self._frame(self.error)

    def plot(self, width_mm: float = 180.0, *, fig: Figure | SubFigure | None = None) -> Figure:
        """Show expected width against the given, and how single observations spread."""
        return plot_plan(
            self.values,
            self.width,
            self.low,
            self.high,
            self.columns,
            self.given,
            level=self.level,
            width_mm=width_mm,
            fig=fig,
        )

    def __repr__(self) -> str:
        return f"{self._title}\n{self.table.to_string(float_format='{:.3g}'.format)}"

    def _repr_html_(self) -> str:
        return f"<p>{self._title}</p>{self.table.to_html(float_format='{:.3g}'.format)}"

    @property
    def _title(self) -> str:
        return f"expected width of the {100 * self.level:g} % interval"

    def _frame(self, array: FloatArray) -> pd.DataFrame:
        names = [column.name for column in self.columns]
        return pd.DataFrame(array, index=pd.Index(self.values, name=self.given), columns=names)


def plan(
    sampler: Sampler,
    given: str,
    values: Sequence[float],
    *,
    columns: Sequence[Column],
    tests: HeldOut,
    problem: Problem | None,
    seconds: float,
    level: float = 0.95,
    n: int = 200,
    draws: int = 500,
    seed: int,
) -> Plan:
    """Expect how wide posterior intervals will be at several values of a given.

    The widths are averaged over observations that the prior would produce. With a simulator these
    are simulated, with the same parameters and other givens at every value. Without one they are
    held-out simulations: for the length of a set, those at least as long, cut to the value (their
    entries are exchangeable, which those of a series are not); for another given, the tenth whose
    own is nearest to the value.

    Parameters
    ----------
    sampler : Sampler
    given : str
        A given that varied in training, or the length of a set.
    values : sequence of float
    columns : sequence of Column, length d
        The scalar parameters, as `sbi_inn.draws.columns_of` describes them.
    tests : HeldOut
        Simulations that training has never seen; used where there is no simulator.
    problem : Problem or None
    seconds : float
        What one simulation takes: fewer than `n` are made where they would take over a minute.
    level : float, in (0, 1)
        Of the central intervals.
    n : int
        Observations at each value.
    draws : int
        Draws an observation.
    seed : int

    Raises
    ------
    ValueError
        If no such given varied in training; a value is not finite, or no whole number where the
        given is one; or there is no simulator, and too few held-out simulations are near a value.

    Warns
    -----
    UserWarning
        If a value is outside the range that was trained.

    Examples
    --------
    >>> import scipy.stats as st
    >>> import sbi_inn as si
    >>> def measure(height, sigma, rng):
    ...     return {"y": rng.normal(height, sigma)}
    >>> posterior = si.fit_posterior(
    ...     measure,
    ...     si.Prior(height=st.norm(0, 1)),
    ...     given={"sigma": st.uniform(0.1, 0.9)},
    ...     n_simulations=500,
    ...     training=si.Training(epochs=5),
    ...     ensemble=1,
    ...     seed=1,
    ...     progress=False,
    ... )
    >>> planned = posterior.plan("sigma", [0.2, 0.8])
    >>> bool(planned.table.loc[0.2, "height"] < planned.table.loc[0.8, "height"])
    True
    """
    if not 0 < level < 1 or n < FEWEST:
        raise ValueError(
            f"expected a level between 0 and 1 and n of at least {FEWEST}; got {level!r} and {n!r}"
        )
    wanted = _check(sampler.schema, given, values, problem)
    measured = []
    for value in wanted:
        if problem is None:
            observations = _held_out(sampler.schema, given, value, tests.observations, n)
        else:
            rows = int(np.clip(SECONDS / (len(wanted) * max(seconds, 1e-9)), FEWEST, n))
            observations = _simulated(sampler.schema, _fixed(problem, given, value), rows, seed)
        found = sampler.draw(observations, draws, generator(seed, Stream.PLAN_DRAWS))
        measured.append(_widths(found, level))
    summaries = zip(*map(_summarise, measured), strict=True)
    return Plan(given, np.array(wanted), tuple(columns), level, *map(np.stack, summaries))


def _check(
    schema: Schema, given: str, values: Sequence[float], problem: Problem | None
) -> list[float]:
    """Raise unless the given varied and takes these values; warn where they extrapolate."""
    single = (*schema.givens, *schema.sets)  # not the numbers of an array
    varied = [n for n, (low, high) in schema.trained.items() if n in single and low < high]
    if given not in varied:
        raise ValueError(
            f"expected a given that varied in training, among {', '.join(varied) or '(none)'}; "
            f"got {given!r}"
        )
    wanted = [float(value) for value in np.atleast_1d(np.asarray(values, np.float64))]
    if not wanted:
        raise ValueError(f"expected at least one value of {given}; got none")
    whole = given in schema.sets or (problem is not None and is_whole(problem.given[given]))
    low, high = schema.trained[given]
    for value in wanted:
        if not np.isfinite(value) or (whole and value != int(value)):
            kind = "whole number" if whole else "finite number"
            raise ValueError(f"expected a {kind} for {given}; got {value:g}")
        if given in schema.sets and value < 1:
            raise ValueError(f"{given} is the length of a set, at least 1; got {value:g}")
        if _outside(schema, given, value):
            warnings.warn(
                f"{given} = {value:g} is outside the trained range {low:g} to {high:g}: the "
                "posterior extrapolates",
                stacklevel=5,  # at the caller of Posterior.plan
            )
    return wanted


def _outside(schema: Schema, given: str, value: float) -> bool:
    low, high = schema.trained[given]
    slack = SLACK * (high - low)
    return not low - slack <= value <= high + slack


def _fixed(problem: Problem, given: str, value: float) -> Problem:
    """Hold one given of a problem at a value."""
    number = int(value) if is_whole(problem.given[given]) else value
    return replace(problem, given={**problem.given, given: number})


def _simulated(schema: Schema, problem: Problem, n: int, seed: int) -> Observations:
    """Simulate observations of a problem whose schema has fewer givens than the one learned."""
    table = run(problem, n=n, seed=seed, progress=False, stream=Stream.PLAN_SIMULATIONS)
    observed = table.as_observed()
    values = {name: observed[name].values[table.ok] for name in schema.asked}
    sizes = {name: observed[name].values[table.ok].astype(np.int64) for name in schema.sets}
    return schema.stack(values, sizes)


def _held_out(
    schema: Schema, given: str, value: float, observations: Observations, n: int
) -> Observations:
    """Choose held-out observations that are, or can be made, like those at a value."""
    if given in schema.series:
        rows, found = np.empty(0, np.int64), "0 series of that length are held out"
    elif given in schema.sets:
        rows = np.flatnonzero(observations.sets[given].sizes >= value)[:n]
        found = f"{len(rows)} held-out simulations are at least as long"
    else:
        place = schema.given_columns.index(given)
        own = observations.vector[:, schema.observable_columns() + place]
        beyond = _outside(schema, given, value)
        rows = np.empty(0, np.int64) if beyond else _nearest(own, value, n)
        found = f"{len(rows)} held-out simulations are near"
    if len(rows) < FEWEST:
        raise ValueError(
            f"a simulator is needed to plan for {given} = {value:g}: only {found}, and "
            f"{FEWEST} are needed"
        )
    chosen = observations[rows]
    return _cut(chosen, given, int(value)) if given in schema.sets else chosen


def _nearest(own: FloatArray, value: float, n: int) -> IntArray:
    """Find the rows whose own value is nearest, at most a tenth of them."""
    count = min(n, max(FEWEST, int(NEAREST * len(own))))
    return np.argsort(np.abs(own - value), kind="stable")[:count]


def _cut(observations: Observations, length: str, size: int) -> Observations:
    """Keep the first entries of a set."""
    whole = observations.sets[length]
    cut = PaddedSet(whole.values[:, :size], np.full(len(whole.sizes), size))
    return replace(observations, sets={**observations.sets, length: cut})


def _widths(draws: FloatArray, level: float) -> FloatArray:
    """Width of the central interval of each observation and parameter, shape (n, d)."""
    # The usual quantiles of a few hundred draws make 95 % intervals 1.5 % too narrow.
    ends = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=1, method="normal_unbiased")
    return ends[1] - ends[0]


def _summarise(widths: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean over observations, the ends of what 68 % of them have, and the mean's error."""
    low, high = np.quantile(widths, INTERVAL_68, axis=0)
    error = widths.std(axis=0, ddof=1) / np.sqrt(len(widths))
    return widths.mean(axis=0), low, high, error
