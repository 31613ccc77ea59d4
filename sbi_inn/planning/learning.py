"""Would more simulations help? Learning curves from nested parts of the simulations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from sbi_inn.errors import NoDensityError
from sbi_inn.methods.cinn.network import PRIOR_SHARE
from sbi_inn.methods.fitting import Split, fit
from sbi_inn.methods.protocols import Fitted, Method, takes_integral
from sbi_inn.observation.batch import Observations
from sbi_inn.planning.power_law import PowerLaws, fit_power_laws
from sbi_inn.plots.curves import plot_learning_curve
from sbi_inn.prior import Prior
from sbi_inn.simulation.seeds import Stream, generator
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.training.settings import Training
from sbi_inn.typing import FloatArray, IntArray

Predicted = tuple[FloatArray, FloatArray, FloatArray, FloatArray]

# Parts of the simulations to train on.
FRACTIONS = (1 / 8, 1 / 4, 1 / 2)
# Times the simulations that are predicted for.
AHEAD = (2, 4)
# Rows that a fit is made from at the least.
FEWEST = 50
# Share of the rows that validates, as `fitting.split` leaves of those that are not held out.
VALIDATION = 1 / 9
# Held-out simulations, where each density takes an integral of its own.
COSTLY_ROWS = 200
# Nats: a posterior with intervals .8 times as wide as they should be, or .3 standard deviations
# beside the truth, loses so many in a single parameter.
WORTH = 0.05


@dataclass(frozen=True)
class LearningCurve:
    """Information gained about the parameters against the number of simulations.

    The score is the mean over held-out simulations of log posterior minus log prior density at the
    true parameters, in nats: the information in an observation, less what the network misses. It
    does not depend on any units.

    Attributes
    ----------
    n : array of int, shape (k,)
        Numbers of simulations, including the held-out ones.
    score, error : array, shape (k,)
        Information gained, and its standard error over the held-out simulations. These are the
        same at every `n`, so that differences are more precise.
    laws : PowerLaws
        The laws score(n) = a - b n^-c that agree with the scores.
    here : str
        What one observation tells, and how more could be learned from it; empty without one.
    """

    n: IntArray
    score: FloatArray
    error: FloatArray
    laws: PowerLaws
    here: str = ""

    @property
    def predicted(self) -> Predicted:
        """For 2 and 4 times the simulations: n, score, and the ends of its 95 % interval.

        The interval holds what is not known of the law, and what one training does to a score.
        """
        n = self.n[-1] * np.array(AHEAD, np.float64)
        scores = self.laws.at(n)
        rng = np.random.default_rng(0)
        noise = self.laws.noise[:, None] / np.sqrt(AHEAD)
        scattered = scores + noise * rng.standard_normal(scores.shape)
        low, high = np.quantile(scattered, [0.025, 0.975], axis=0)
        return n, scores.mean(axis=0), low, high

    @property
    def gain(self) -> tuple[float, float]:
        """Information that twice the simulations are expected to add, and its uncertainty (sd)."""
        more = self._more()
        return float(more.mean()), float(more.std())

    @property
    def gain_high(self) -> float:
        """The upper end of the 68 % interval of that gain, in nats."""
        return float(np.quantile(self._more(), 0.84))

    @property
    def sentence(self) -> str:
        """Say whether to simulate more."""
        gain, error = self.gain
        low, high = np.quantile(self._more(), 0.16), self.gain_high
        if low >= WORTH:
            meaning = "it is worth simulating more"
        elif high < WORTH:
            meaning = "little is left to learn"
        else:
            meaning = "it may be worth simulating more"
        said = (
            f"doubling the simulations to {2 * self.n[-1]:,} is expected to gain {gain:.2g} +- "
            f"{error:.1g} nats: {meaning}"
        )
        return f"{said}; {self.here}" if self.here else said

    @property
    def table(self) -> pd.DataFrame:
        """One row a number of simulations: the score, its 95 % interval, measured or predicted."""
        ahead, expected, low, high = self.predicted
        measured = [True] * len(self.n) + [False] * len(ahead)
        columns = {
            "score": np.concatenate([self.score, expected]),
            "low95": np.concatenate([self.score - 1.96 * self.error, low]),
            "high95": np.concatenate([self.score + 1.96 * self.error, high]),
            "measured": measured,
        }
        counts = np.concatenate([self.n, ahead]).astype(np.int64)
        return pd.DataFrame(columns, index=pd.Index(counts, name="simulations"))

    def plot(
        self,
        width_mm: float = 180.0,
        *,
        ax: Axes | None = None,
        fig: Figure | SubFigure | None = None,
    ) -> Figure:
        """Show the scores, the mean of the laws that agree with them, and what it leads to."""
        grid = np.geomspace(self.n[0], AHEAD[-1] * self.n[-1], 100)
        return plot_learning_curve(
            self.n,
            self.score,
            self.error,
            fitted=(grid, self.laws.at(grid).mean(axis=0)),
            predicted=self.predicted,
            quantity="information gained",
            width_mm=width_mm,
            ax=ax,
            fig=fig,
        )

    def __repr__(self) -> str:
        return f"{self.sentence}\n{self.table.to_string(float_format='{:.3f}'.format)}"

    def _repr_html_(self) -> str:
        return f"<p>{self.sentence}</p>{self.table.to_html(float_format='{:.3f}'.format)}"

    def _more(self) -> FloatArray:
        now, doubled = self.laws.at(self.n[-1] * np.array([1.0, 2.0])).T
        return doubled - now


def learning_curve(
    simulations: Simulations,
    method: Method,
    training: Training,
    *,
    seen_rows: IntArray,
    test: tuple[FloatArray, Observations],
    finished: Fitted,
    fractions: Sequence[float] = FRACTIONS,
    seed: int,
    progress: bool = True,
) -> LearningCurve:
    """Train on nested parts of the simulations, and predict what more of them would bring.

    Parameters
    ----------
    simulations : Simulations
    method : Method
        Of every fit; the settings of the finished one, so that nothing but the data differs.
    training : Training
    seen_rows : array of int
        Rows that training and early stopping may see.
    test : (array, shape (n, dim), Observations)
        Held-out simulations: parameters on the latent side of the prior, and as many observations.
        Only the first 200 are scored where every density takes an integral, as those of the INN do
        (a tenth of a second each).
    finished : Fitted
        What was trained on all of `seen_rows`: the last point of the curve.
    fractions : sequence of float, in (0, 1)
        Parts of `seen_rows` to train on; at least two.
    seed : int
        Of the parts, the initial weights and the order of the rows.
    progress : bool
        Show a progress bar for each fit.

    Raises
    ------
    NoDensityError
        If the method can be drawn from only.
    SimulationError
        If the smallest part has fewer than 50 rows: so it is after loading a posterior.
    ValueError
        If there are fewer than two fractions, or one is not between 0 and 1.
    """
    parts = sorted(set(fractions))
    if len(parts) < 2 or not 0 < parts[0] <= parts[-1] < 1:
        raise ValueError(f"expected two or more fractions between 0 and 1; got {fractions!r}")
    _check_enough(simulations, seen_rows, parts[0])
    test = _affordable(finished, *test)
    try:
        last = information(simulations.prior, finished, *test)  # before anything is trained
    except NoDensityError as error:
        raise NoDensityError(
            f"a learning curve compares log densities of held-out simulations: {error}"
        ) from error
    scores = []
    for rows in _nested(seen_rows, parts, seed):
        fitted, _ = fit(simulations, method, training, parts=rows, seed=seed, progress=progress)
        if fitted.history.stopped == "interrupted":  # one fit keeps its best weights: no curve
            raise KeyboardInterrupt
        scores.append(information(simulations.prior, fitted, *test))
    counts = np.array([round(part * len(simulations)) for part in (*parts, 1)])
    return curve(counts, np.stack([*scores, last], axis=1), seed=seed)


def information(
    prior: Prior, fitted: Fitted, latent: FloatArray, observations: Observations
) -> FloatArray:
    """Log posterior less log prior density of each truth, in nats, shape (n,).

    1/1000 of the prior is mixed in, as where networks are validated: a truth far outside a
    posterior costs 6.9 nats at most, so that no single one decides.
    """
    ratio = fitted.log_prob(latent, observations) - prior.log_density(latent)
    ratio = np.nan_to_num(ratio, nan=-np.inf)
    return np.logaddexp(ratio + math.log1p(-PRIOR_SHARE), math.log(PRIOR_SHARE))


def curve(n: IntArray, scores: FloatArray, *, seed: int) -> LearningCurve:
    """Make a learning curve of what was gained at each of the same held-out simulations.

    Parameters
    ----------
    n : array of int, shape (k,)
        Increasing numbers of simulations.
    scores : array, shape (rows, k)
    seed : int
        Of the laws that are drawn.

    Examples
    --------
    >>> n = np.array([1_000, 2_000, 4_000, 8_000])
    >>> rows = np.random.default_rng(1).normal(0, 0.1, (500, 1))
    >>> curve(n, 2 - 100 / n + rows, seed=1).sentence.split(": ")[1]
    'little is left to learn'
    """
    covariance = np.cov(scores, rowvar=False) / len(scores)
    mean = scores.mean(axis=0)
    laws = fit_power_laws(n, mean, covariance, generator(seed, Stream.LEARNING_CURVE_LAWS))
    return LearningCurve(n, mean, np.sqrt(np.diag(covariance)), laws)


def _check_enough(simulations: Simulations, seen_rows: IntArray, smallest: float) -> None:
    rows = int(smallest * len(seen_rows))
    if rows < FEWEST:
        raise SimulationError(
            f"a learning curve trains on {smallest:.3g} of the simulations that are not held out, "
            f"and needs {FEWEST} there; got {rows} of {len(seen_rows):,}: choose larger fractions, "
            "or simulate more",
            simulations,
        )


def _affordable(
    fitted: Fitted, latent: FloatArray, observations: Observations
) -> tuple[FloatArray, Observations]:
    """Keep fewer rows where each of them takes an integral."""
    rows = slice(COSTLY_ROWS if takes_integral(fitted) else None)
    return latent[rows], observations[rows]


def _nested(seen_rows: IntArray, parts: Sequence[float], seed: int) -> list[Split]:
    """Cut out training and validation rows, each of a smaller part within that of a larger one."""
    rows = generator(seed, Stream.LEARNING_CURVE_ROWS).permutation(seen_rows)
    cut = round(VALIDATION * len(rows))
    train, validation = rows[cut:], rows[:cut]
    return [
        Split(train[: round(p * len(train))], validation[: round(p * cut)], test=rows[:0])
        for p in parts
    ]
