"""Intervals and regions at an observation whose coverage is guaranteed: locally conformal sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import special

from sbi_inn.checks import Subject, TestSet
from sbi_inn.diagnostics.conformal import LocallyConformal
from sbi_inn.draws import by_name, counted
from sbi_inn.methods.recalibrated.quantile_map import QuantileMap
from sbi_inn.methods.row_generators import RowGenerators, digests
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import described_with_givens
from sbi_inn.posterior.core import Core
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.typing import BoolArray, FloatArray

DRAWS = 500  # at an observation, that a truth is ranked among
SUMMED = 64  # more, whose means and widths say what kind of observation it is
FINE = np.arange(-2.5, 2.51, 0.125)  # normal scores at which draws are looked up
DENSITIES = 200  # draws whose density is evaluated
TESTS = 2_000  # test simulations that sets are calibrated by, at most
HELD = 50_000_000  # numbers of draws that are kept for regions: 400 MB
NUMBERS = 4_000_000  # that are held at once: 32 MB


@dataclass(frozen=True)
class CredibleRegion:
    """A region of highest density of all parameters together, with a guaranteed coverage.

    Attributes
    ----------
    level : float
    log_density : float
        The lowest log density inside, in parameter units, as from `Posterior.log_prob`.
    share : float
        Share of the posterior's own draws inside: more than `level` if the posterior is too narrow,
        less if it is too wide.
    tests : int
        Number of test simulations that calibrated it: the size of the smallest group.
    draws : xarray.Dataset
        Draws of the posterior that lie inside.
    """

    level: float
    log_density: float
    share: float
    tests: int
    draws: xr.Dataset = field(repr=False)
    _core: Core = field(repr=False)
    _observation: Observations = field(repr=False)

    def contains(self, parameters: Any) -> xr.DataArray:
        """Tell which parameters lie inside.

        Parameters
        ----------
        parameters : Dataset with dim "draw", DataFrame, or dict of scalars or arrays

        Returns
        -------
        xarray.DataArray of bool
            Dim `draw`.
        """
        named = by_name(parameters, self._core.prior.names)
        found = self._core.density.log_prob(named, self._observation)
        return xr.DataArray(found >= self.log_density, dims="draw", name="inside")


def intervals(subject: Subject, y: Any, level: float = 0.9) -> pd.DataFrame:
    """Compute central intervals of each parameter with a guaranteed coverage.

    They are locally conformal sets, calibrated with the test simulations. If (truth, observation)
    is drawn like the test simulations, an interval holds the truth with probability `level` or
    more, however good or bad the network is. That is an average over observations;
    docs/results/intervals.md measures how well it holds at a single one.

    Parameters
    ----------
    y : one observation
    level : float
        Probability of the intervals, between 0 and 1.

    Returns
    -------
    DataFrame
        One row per parameter: `units`, `low`, `high`. The test simulations are divided into groups
        of similar observations; the attribute `tests` is the size of the smallest group.

    Raises
    ------
    ValueError
        If there are too few test simulations for the level: .9 needs 9, .99 needs 99.

    References
    ----------
    Lei et al. (2018), arXiv:1604.04173, theorem 2.2; for posteriors and in groups of observations:
    Cabezas et al. (2025), arXiv:2508.17077.
    """
    _check_level(level)
    core = _core(subject)
    low, high = interval_ends(core, subject, core.read(y), level)
    known = core.simulations.units
    units = [known.get(column.split("[")[0], "") for column in core.columns]
    columns = pd.Index(core.columns, name="parameter")
    table = pd.DataFrame({"units": units, "low": low[0], "high": high[0]}, index=columns)
    table.attrs = {"level": level, "tests": _calibrated(core, subject).fewest()}
    return table


def regions(subject: Subject, y: Any, level: float = 0.9, n: int = 1000) -> CredibleRegion:
    """Compute the region of highest density of all parameters together, with a guaranteed coverage.

    The guarantee is that of `intervals`.

    Parameters
    ----------
    y : one observation
    level : float
        Probability of the region, between 0 and 1.
    n : int
        Number of draws, of which those inside are returned.

    Returns
    -------
    CredibleRegion
        `.contains(parameters)`; `.draws`, those of the n that lie inside; `.log_density` at the
        edge; `.share` of the posterior's own draws that lies inside.

    Raises
    ------
    NoDensityError
        If the method has no density.
    ValueError
        If there are too few test simulations for the level.
    """
    _check_level(level)
    core, n = _core(subject), counted(n)
    observation = core.read(y)
    limit = float(density_limits(core, subject, observation, level)[0])
    flat = core.draw(observation, n, core.rng(observation))
    inside = _log_density(core, flat, observation)[0] >= limit
    draws = core.simulations.label(core.prior.unflatten(flat[0][inside]))
    tests = _calibrated_regions(core, subject).fewest()
    return CredibleRegion(level, limit, float(inside.mean()), tests, draws, core, observation)


def _core(subject: Subject) -> Core:
    assert isinstance(subject.sampler, Core)
    return subject.sampler


def interval_ends(
    core: Core, subject: Subject, observations: Observations, level: float
) -> tuple[FloatArray, FloatArray]:
    """Give the ends of the intervals at many observations, each of shape (rows, dim)."""
    conformal = _calibrated(core, subject)
    _check_enough(conformal, level)
    ends = []
    for rows in _blocks(core, len(observations)):
        drawn, columns = _look(core, observations[rows])
        scores = conformal.ends(columns, level)
        known = QuantileMap.of(drawn, FINE)
        ends.append(np.stack([known.inverse(z[:, None])[:, 0] for z in scores]))
    low, high = np.concatenate(ends, axis=1)
    return _within(core, low), _within(core, high)


def density_limits(
    core: Core, subject: Subject, observations: Observations, level: float
) -> FloatArray:
    """Give the log density that bounds the region at many observations, shape (rows,)."""
    conformal = _calibrated_regions(core, subject)
    _check_enough(conformal, level)
    found = []
    for rows in _blocks(core, len(observations)):
        here = observations[rows]
        drawn, columns = _look(core, here)
        scores, _ = conformal.ends(columns, level)
        density = _log_density(core, drawn[:, :DENSITIES, : core.prior.dim], here)
        known = QuantileMap.of(density[:, :, None])
        found.append(known.inverse(scores[:, None])[:, 0, 0])
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class _Looked:
    """What draws at the test simulations show: of truths, n rows."""

    truth: FloatArray  # (n, dim)
    scores: FloatArray  # (n, dim), normal scores among the draws
    columns: FloatArray  # (n, p), what is known of each observation
    drawn: FloatArray  # (n, 200, dim)
    observations: Observations


def _calibrated(core: Core, subject: Subject) -> LocallyConformal:
    """Calibrate the intervals by the test simulations, once."""

    def calibrate() -> LocallyConformal:
        looked, rng = _looked(core, subject), generator(core.seed, Stream.INTERVALS, 1)
        return LocallyConformal.of(looked.scores, looked.columns, rng)

    return subject.once("intervals", calibrate)


def _calibrated_regions(core: Core, subject: Subject) -> LocallyConformal:
    """Calibrate the regions by the test simulations, once."""

    def calibrate() -> LocallyConformal:
        looked, rng = _looked(core, subject), generator(core.seed, Stream.INTERVALS, 2)
        flat = np.concatenate([looked.truth[:, None], looked.drawn], axis=1)
        density = _log_density(core, flat, looked.observations)[:, :, None]
        scores, _ = QuantileMap.of(density[:, 1:]).forward(density[:, :1])
        return LocallyConformal.of(scores[:, 0], looked.columns, rng, one_sided=True)

    return subject.once("regions", calibrate)


def _looked(core: Core, subject: Subject) -> _Looked:
    """Draw at the test simulations, once."""
    return subject.once("draws for sets", lambda: _look_at(core, subject.tests.head(_most(core))))


def _most(core: Core) -> int:
    """Give the number of tests whose draws fit into memory."""
    return min(TESTS, HELD // (DENSITIES * core.prior.dim))


def _look_at(core: Core, tests: TestSet) -> _Looked:
    rng = generator(core.seed, Stream.INTERVALS, 0)
    jitter = rng.uniform(-0.5, 0.5, tests.truth.shape)
    truth = core.extended(tests.truth)
    truth[:, : core.prior.dim] += np.where(_discrete(core), jitter, 0.0)
    parts = []
    for rows in _blocks(core, len(tests)):
        drawn, columns = _look(core, tests.observations[rows])
        scores, _ = QuantileMap.of(drawn, FINE).forward(truth[rows][:, None])
        parts.append((scores[:, 0], columns, drawn[:, :DENSITIES, : core.prior.dim].copy()))
    scores, columns, drawn = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Looked(tests.truth, scores, columns, drawn, tests.observations)


def _look(core: Core, observations: Observations) -> tuple[FloatArray, FloatArray]:
    """Draw at observations (rows, 500, dim), and give what is known of these (rows, p).

    Always the same at one observation, so that sets there are a function of it: truths of tests and
    of a new observation stay exchangeable. Values of discrete parameters are spread out evenly.
    """
    rng = RowGenerators(digests(observations, core.seed, Stream.INTERVALS))
    drawn = core.extended(core.draw(observations, DRAWS + SUMMED, rng))
    discrete = _discrete(core)
    if discrete.any():
        size = (*drawn.shape[:2], int(discrete.sum()))
        drawn[:, :, np.flatnonzero(discrete)] += special.ndtr(rng.standard_normal(size)) - 0.5
    summed = drawn[:, DRAWS:]
    widths = np.log(np.maximum(summed.std(axis=1), np.finfo(float).tiny))
    parts = [
        summed.mean(axis=1),
        widths,
        described_with_givens(observations, core.schema),
        core.features(observations),
    ]
    return drawn[:, :DRAWS], np.concatenate(parts, axis=1)


def _log_density(core: Core, flat: FloatArray, observations: Observations) -> FloatArray:
    """Give log densities of draws (rows, n, dim) in parameter units, (rows, n)."""
    whole = np.where(_discrete(core), np.round(flat), flat)
    parameters = core.prior.unflatten(whole.reshape(-1, flat.shape[2]))
    log_prior = core.prior.log_prob(parameters).reshape(flat.shape[:2])
    return log_prior + core.log_ratio(whole, observations, normalised=True)


def _discrete(core: Core) -> BoolArray:
    return np.array([c.split("[")[0] in core.prior.discrete for c in core.prior.columns])


def _within(core: Core, ends: FloatArray) -> FloatArray:
    """Keep ends (rows, dim) within the prior's support, and those of whole numbers on these."""
    unbounded = -np.inf, np.inf
    bounds = [core.prior.support.get(c.split("[")[0], unbounded) for c in core.columns]
    whole, dim = _discrete(core), core.prior.dim
    found = np.clip(ends, *np.transpose(bounds))
    found[:, :dim] = np.where(whole, np.round(found[:, :dim]), found[:, :dim])
    return found


def _blocks(core: Core, rows: int) -> Iterator[slice]:
    size = max(1, NUMBERS // ((DRAWS + SUMMED) * core.prior.dim))
    return (slice(first, min(first + size, rows)) for first in range(0, rows, size))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1, such as .9; got {level!r}")


def _check_enough(conformal: LocallyConformal, level: float) -> None:
    """Raise where the tests are too few for that level."""
    needed, tests = int(np.ceil(level / (1 - level) - 1e-9)), conformal.fewest()
    if tests < needed:
        raise ValueError(
            f"a level of {level:g} takes at least {needed} test simulations; there are {tests}. "
            "Give the simulator, fit with more simulations, or ask for a lower level"
        )
