"""Curves, such as spectra: observables of fixed length whose neighbouring entries go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sbi_inn.observation.batch import Observations
from sbi_inn.observation.statistics import mostly_two_valued
from sbi_inn.summary_networks.columns import Columns
from sbi_inn.summary_networks.location import location_scale, squash
from sbi_inn.typing import FloatArray, IntArray

# Entries from which on an observable may be a curve: of 20 a vector told more, of 21 a series.
SHORTEST = 21
# Entries from which on an observable may have an order that says something, at all.
FEWEST = 8
# Entries up to which it may: each takes time in every step of the training.
LONGEST = 256
# Rows that are looked at to see whether neighbours go together.
LOOKED_AT = 2_000
# By how much the mean squared correlation of neighbours is above that of entries far apart. Of five
# observables whose order says little the largest was .005; of 16 series and spectra, the smallest
# was .043.
CLOSER = 0.02
# The same where an order that says a little is worth being described.
FAINTLY_CLOSER = 0.01
# Added to the spread of the entries of a row: one without any is no curve.
NO_SPREAD = 1e-6


@dataclass(frozen=True)
class Curves:
    """Curves of one length, which a network reads side by side as one series.

    Attributes
    ----------
    places : array of int, shape (length, columns)
        Where the entries of each curve are in `Observations.vector`.
    entries : Columns
        How they are read: all entries of a curve are one column, so that it keeps its shape.
    """

    places: IntArray
    entries: Columns

    @classmethod
    def fit(cls, observations: Observations, places: IntArray) -> Curves:
        """Learn the scales from the training rows."""
        return cls(places, Columns.fit(_stacked(observations, places), scores=True))

    def __call__(self, observations: Observations) -> npt.NDArray[np.float32]:
        """Give the entries of all curves, one after another, shape (batch * length, ...)."""
        return self.entries(_stacked(observations, self.places))


def _stacked(observations: Observations, places: IntArray) -> FloatArray:
    return observations.vector[:, places].reshape(-1, places.shape[1])


def places_of_curves(
    observations: Observations, shortest: int = SHORTEST, closer: float = CLOSER
) -> dict[str, IntArray]:
    """Find the curves of at least so many entries, and put those of one length together.

    What is shorter than `SHORTEST` has to show it within its rows: of a few entries, such as those
    of four points in a plane, neighbours may go together over all rows and mean no order.

    Returns
    -------
    dict of str to array of int, shape (length, columns)
        Their places in `Observations.vector`, by the name of the first of them.
    """
    schema = observations.schema
    if schema is None:
        return {}
    by_length: dict[int, dict[str, IntArray]] = {}
    for name, places in schema.vectors.items():
        fits = shortest <= len(places) <= LONGEST
        if fits and _curved(observations.vector[:LOOKED_AT, places], closer):
            by_length.setdefault(len(places), {})[name] = places
    return {next(iter(same)): np.stack([*same.values()], axis=1) for same in by_length.values()}


def faint_curves(observations: Observations) -> dict[str, IntArray]:
    """Find curves as `places_of_curves` does, and those whose order says but a little."""
    return places_of_curves(observations, closer=FAINTLY_CLOSER)


def _curved(values: FloatArray, closer: float) -> bool:
    """Whether rows are curves: what is just yes or no was better read as a vector."""
    if mostly_two_valued(values):
        return False
    if values.shape[1] < SHORTEST:
        return _closer_in_each(_within(values)) > closer
    return neighbours_go_together(values, closer)


def neighbours_go_together(values: FloatArray, closer: float = CLOSER) -> bool:
    """Whether neighbouring entries of rows (rows, n) tell more of each other than distant ones.

    By their values, by what is left of them without the mean and spread of their row, or by its
    size: volatile times of a series are told by sizes alone. Or row by row: in one series the next
    entry is like the last, in another it is not.

    Examples
    --------
    >>> import numpy as np
    >>> from sbi_inn.summary_networks.curves import neighbours_go_together
    >>> noise = np.random.default_rng(1).normal(size=(500, 40))
    >>> neighbours_go_together(noise), neighbours_go_together(noise.cumsum(axis=1))
    (False, True)
    """
    within = _within(values)
    over_rows = max(map(_closer, (_scaled(values), within, np.abs(within))))
    return max(over_rows, _closer_in_each(within)) > closer


def _scaled(values: FloatArray) -> FloatArray:
    return np.nan_to_num(squash(values, location_scale(values))).astype(float)


def _within(values: FloatArray) -> FloatArray:
    """Give what is left of scaled entries without the mean and spread of their row."""
    scaled = _scaled(values)
    within = scaled - scaled.mean(axis=1, keepdims=True)
    return np.asarray(within / (within.std(axis=1, keepdims=True) + NO_SPREAD))


def _closer(rows: FloatArray) -> float:
    """Compare squared correlations of neighbours with those of entries half the curve apart."""
    with np.errstate(invalid="ignore", divide="ignore"):  # of columns that are constant
        squared = np.nan_to_num(np.corrcoef(rows.T)) ** 2
    near, far = (np.diagonal(squared, step).mean() for step in (1, rows.shape[1] // 2))
    return float(near - far)


def _closer_in_each(within: FloatArray) -> float:
    """Compare squared autocorrelations of rows, at a lag of one and of a third of the curve.

    At half of it every pair would count twice.
    """
    near, far = (
        np.mean((within * np.roll(within, step, axis=1)).mean(axis=1) ** 2)
        for step in (1, within.shape[1] // 3)
    )
    return float(near - far)
