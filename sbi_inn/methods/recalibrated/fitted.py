"""A trained posterior whose ranks were recalibrated: draws and densities that agree.

Each latent of a draw is moved. Its normal score among draws at the observation, N(0, 1) by
construction, becomes a draw of the distribution that scores of truths have there. The dependence
between latents is kept, and may be corrected by a weight on all of them. One draw in a hundred
stays as it was. If nothing was learned, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.special import logsumexp

from sbi_inn.diagnostics.predicting_columns import PredictingColumns
from sbi_inn.diagnostics.score_law import ScoreLaw
from sbi_inn.methods.protocols import Fitted, Groups, RowWise, Summariser, moved
from sbi_inn.methods.recalibrated.quantile_map import QuantileMap
from sbi_inn.methods.resampling import blocks, resampled
from sbi_inn.methods.row_generators import Random, RowGenerators, digests, rows_of
from sbi_inn.observation.batch import Observations
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import described_with_givens
from sbi_inn.simulation.seeds import Stream
from sbi_inn.training.history import History
from sbi_inn.typing import AnyArray, FloatArray

REFERENCE = 512  # draws at an observation, that others are ranked among
SUMMED = 128  # more draws, whose means and widths say what kind of observation it is
BLOCK = 4_000_000  # numbers held at once: 32 MB
PROPOSALS = 4  # draws, for each that is kept by its weight
FEWEST_PROPOSALS = 64
FURTHEST = 4.0  # the log of a weight at the most
# Share of draws that stay as they were. A narrower posterior can make a truth that lay far out less
# likely by any amount; with the share, by log(100) = 4.6 nats at the most (Hesterberg 1995).
KEPT = 0.01


def draw_rows(fitted: Fitted, observations: Observations, n: int, rng: Random) -> FloatArray:
    """Draw `n` for each observation, whatever generators the method takes, (rows, n, dim)."""
    if isinstance(rng, np.random.Generator):
        return fitted.sample(observations, n, rng)
    able = _row_wise(fitted)
    if able is not None:
        return able.sample(observations, n, rng)
    alone = (observations[row : row + 1] for row in range(len(observations)))
    parts = [fitted.sample(y, n, own) for y, own in zip(alone, rng, strict=True)]
    return np.concatenate(parts)


def _row_wise(fitted: object) -> RowWise | None:
    return fitted if isinstance(fitted, RowWise) and fitted.row_wise else None


@dataclass(frozen=True, eq=False)
class Reference:
    """Draws at observations, from random numbers of these alone: the same whenever they are asked.

    Attributes
    ----------
    latents : array, shape (rows, 512, dim)
    map : QuantileMap
        Of these.
    columns : array, shape (rows, p)
        Means and log widths of 128 more draws, statistics and givens, learned summaries.
    """

    latents: FloatArray
    map: QuantileMap
    columns: FloatArray

    @classmethod
    def at(cls, fitted: Fitted, schema: Schema, seed: int, observations: Observations) -> Reference:
        """Draw at each of the observations."""
        rng = RowGenerators(digests(observations, seed, Stream.RECALIBRATION))
        both = np.asarray(draw_rows(fitted, observations, REFERENCE + SUMMED, rng), np.float64)
        # Means and widths of the same draws would predict what is wrong with the map by chance.
        latents, summed = both[:, :REFERENCE], both[:, REFERENCE:]
        parts = [described_with_givens(observations, schema)]
        if isinstance(fitted, Summariser):
            parts.append(fitted.summarise(observations))
        spread = np.log(np.maximum(summed.std(axis=1), 1e-9))
        columns = np.concatenate([summed.mean(axis=1), spread, *parts], axis=1)
        return cls(latents, QuantileMap.of(latents), columns)

    def __getitem__(self, rows: AnyArray) -> Reference:
        """Give that at some of the observations."""
        found = QuantileMap(self.map.knots[rows], self.map.slopes[rows], self.map.scores)
        return Reference(self.latents[rows], found, self.columns[rows])


@dataclass(frozen=True, eq=False)
class Recalibration:
    """What was learned from simulations with known truths.

    Attributes
    ----------
    schema : Schema
        To read statistics by.
    columns : PredictingColumns
    laws : tuple of ScoreLaw
        Of the normal scores of each latent.
    together : array, shape (dim, dim)
        What the log weight of normal scores t is, t' A t / 2; zeros where nothing was learned.
    seed : int
        Of the reference draws.
    n : int
        Simulations that it was learned from.
    by_weights : bool
        Whether draws get weights for their laws, and are not moved: where latents go together so
        closely that moving one of them would leave the posterior.
    kept : float
        Share of draws that stay as they were.
    """

    schema: Schema
    columns: PredictingColumns
    laws: tuple[ScoreLaw, ...]
    together: FloatArray
    seed: int
    n: int
    by_weights: bool = False
    kept: float = KEPT

    @property
    def changed(self) -> list[int]:
        """Latents whose scores have another law than N(0, 1)."""
        return [i for i, law in enumerate(self.laws) if not law.exact]

    @property
    def moved(self) -> list[int]:
        """Those of them that are moved."""
        return [] if self.by_weights else self.changed

    @property
    def weighted(self) -> bool:
        """Whether draws have weights."""
        return bool(self.together.any() or (self.by_weights and self.changed))

    def log_weight(self, normal: FloatArray, columns: FloatArray) -> FloatArray:
        """Give the log weight of normal scores (rows, n, dim), up to a constant of each row."""
        found = 0.5 * np.einsum("...i,ij,...j", normal, self.together, normal, optimize=True)
        if self.by_weights:
            for i, law, centre, width in self.laws_at(columns):
                scores = normal[:, :, i]
                inner, log_slope = law.normalise(scores, centre, width)
                found = found + log_slope + 0.5 * (scores**2 - inner**2)
        return np.clip(found, -FURTHEST, FURTHEST)

    def laws_at(
        self, columns: FloatArray
    ) -> Iterator[tuple[int, ScoreLaw, FloatArray, FloatArray]]:
        """Give the laws that change, with centres and log widths (rows, 1) at columns (rows, p)."""
        features = self.columns.families(columns)
        for i in self.changed:
            law = self.laws[i]
            centre, width = law.at(features, len(columns))
            yield i, law, centre[:, None], width[:, None]


@dataclass(frozen=True)
class Recalibrated:
    """A trained method, and how its ranks are recalibrated.

    Attributes
    ----------
    inner : Fitted
        As it was trained.
    how : Recalibration
    """

    name: ClassVar[str] = "recalibrated"
    row_wise: ClassVar[bool] = True

    inner: Fitted
    how: Recalibration

    @property
    def settings(self) -> Any:
        """Those of the method, as it was trained."""
        return self.inner.settings

    @property
    def history(self) -> History:
        """What happened in training."""
        return self.inner.history

    @property
    def histories(self) -> tuple[History, ...]:
        """That of every network."""
        return self.inner.histories

    def to(self, device: torch.device) -> Recalibrated:
        """Give the same on a device; what was mended is so on the processor."""
        return replace(self, inner=moved(self.inner, device))

    def describe(self) -> str:
        """Say what it is, and what of it was changed."""
        how, d = self.how, len(self.how.laws)
        by = ", by weights" if how.by_weights else ""
        changed = [f"{len(how.changed)} of {d} marginals{by}"] if how.changed else []
        changed += ["how they go together"] if how.together.any() else []
        what = " and ".join(changed) or "nothing had to be changed"
        return f"{self.inner.describe()}; recalibrated by {how.n:,} simulations ({what})"

    def sample(self, observations: Observations, n: int, rng: Random) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        how = self.how
        if not (how.moved or how.weighted):
            return draw_rows(self.inner, observations, n, rng)
        more = max(PROPOSALS * n, FEWEST_PROPOSALS) if how.weighted else n
        parts = [np.empty((0, n, len(how.laws)))]
        for rows in blocks(len(observations), max(more, REFERENCE) * len(how.laws), BLOCK):
            here, own = observations[rows], rows_of(rng, rows)
            reference = self._reference(here)
            drawn = np.asarray(draw_rows(self.inner, here, more, own), np.float64)
            before = drawn[:, :n]
            if how.weighted:
                normal, _ = reference.map.forward(drawn)
                chosen = resampled(how.log_weight(normal, reference.columns), n, own)
                drawn = np.take_along_axis(drawn, chosen[:, :, None], axis=1)
            kept = own.random(before.shape[:2])[:, :, None] < how.kept
            parts.append(np.where(kept, before, self._moved(drawn, reference)))
        return np.concatenate(parts)

    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), each observation standing for as many of them.

        Raises
        ------
        NoDensityError
            If the method can be drawn from only.
        """
        how, rows = self.how, len(observations)
        if not (how.moved or how.weighted) or not len(latent):
            return self.inner.log_prob(latent, observations)
        each = np.asarray(latent, np.float64).reshape(rows, -1, len(how.laws))
        found = np.empty(each.shape[:2])
        for here in blocks(rows, max(each.shape[1], REFERENCE) * len(how.laws), BLOCK):
            seen = observations[here]
            found[here] = self.log_prob_at(each[here], seen, self._reference(seen))
        return found.ravel()

    def log_prob_at(
        self, latent: FloatArray, observations: Observations, reference: Reference
    ) -> FloatArray:
        """Log density of rows (rows, n, dim), where draws at the observations are at hand."""
        changed, kept = self._changed_log_prob(latent, observations, reference), self.how.kept
        if kept == 0:  # as in files of before
            return changed
        before = self.inner.log_prob(latent.reshape(-1, latent.shape[2]), observations)
        before = before.reshape(changed.shape)
        return np.logaddexp(changed + np.log1p(-kept), before + np.log(kept))

    def _changed_log_prob(
        self, latent: FloatArray, observations: Observations, reference: Reference
    ) -> FloatArray:
        """Log density of the draws that are changed, for rows (rows, n, dim)."""
        how = self.how
        back, log_det = self._back(latent, reference)
        inner = self.inner.log_prob(back.reshape(-1, back.shape[2]), observations)
        found = inner.reshape(log_det.shape) + log_det
        if how.weighted:
            normal, usual = (reference.map.forward(x)[0] for x in (back, reference.latents))
            total = logsumexp(how.log_weight(usual, reference.columns), axis=1)
            own = how.log_weight(normal, reference.columns)
            found += own - (total - np.log(REFERENCE))[:, None]
        return found

    def _reference(self, observations: Observations) -> Reference:
        return Reference.at(self.inner, self.how.schema, self.how.seed, observations)

    def _moved(self, latent: FloatArray, reference: Reference) -> FloatArray:
        """Move draws (rows, n, dim) to where truths were found."""
        if not self.how.moved:
            return latent
        scores, _ = reference.map.forward(latent)
        for i, law, centre, width in self.how.laws_at(reference.columns):
            scores[:, :, i] = law.scores_of(scores[:, :, i], centre, width)
        return self._in(latent, reference.map.inverse(scores))

    def _back(self, latent: FloatArray, reference: Reference) -> tuple[FloatArray, FloatArray]:
        """Undo `_moved`, and give the log-determinant of that, (rows, n)."""
        if not self.how.moved:
            return latent, np.zeros(latent.shape[:2])
        scores, rise = reference.map.forward(latent)
        for i, law, centre, width in self.how.laws_at(reference.columns):
            scores[:, :, i], own = law.normalise(scores[:, :, i], centre, width)
            rise[:, :, i] += own
        back = self._in(latent, reference.map.inverse(scores))
        fall = reference.map.forward(back)[1]
        moved = self.how.moved
        return back, (rise - fall)[:, :, moved].sum(axis=2)

    def _in(self, latent: FloatArray, changed: FloatArray) -> FloatArray:
        """Keep latents that are not moved as they are, to the last digit."""
        found = latent.copy()
        found[:, :, self.how.moved] = changed[:, :, self.how.moved]
        return found

    def to_arrays(self) -> tuple[dict[str, Any], Groups]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        config, arrays = self.inner.to_arrays()
        how = self.how
        ours = {
            "name": self.name,
            "inner": config,
            "schema": asdict(how.schema),
            "laws": [law.to_config() for law in how.laws],
            "seed": how.seed,
            "n": how.n,
            "by_weights": how.by_weights,
            "kept": how.kept,
        }
        own = {**how.columns.to_arrays(), "together": how.together}
        groups = {f"inner-{name}": dict(named) for name, named in arrays.items()}
        return ours, {"recalibration": own, **groups}

    @staticmethod
    def read(
        config: Mapping[str, Any], arrays: Groups, one: Callable[[Any, Groups], Fitted]
    ) -> Recalibrated:
        """Read back what `to_arrays` gave; `one` reads the method inside."""
        prefix = "inner-"
        inner = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        own: Mapping[str, AnyArray] = arrays["recalibration"]
        how = Recalibration(
            Schema.from_config(config["schema"]),
            PredictingColumns.from_arrays(own),
            tuple(ScoreLaw.from_config(law) for law in config["laws"]),
            np.asarray(own["together"], float),
            int(config["seed"]),
            int(config["n"]),
            bool(config["by_weights"]),
            float(config.get("kept", 0)),  # files of before kept nothing
        )
        return recalibrated(one(config["inner"], inner), how)


@dataclass(frozen=True)
class RecalibratedSummariser(Recalibrated):
    """A recalibrated method that sums up observations."""

    def summarise(self, observations: Observations) -> FloatArray:
        """Give the learned features, shape (batch, features)."""
        assert isinstance(self.inner, Summariser)
        return self.inner.summarise(observations)


def recalibrated(inner: Fitted, how: Recalibration) -> Recalibrated:
    """Put a recalibration on a trained method."""
    kind = RecalibratedSummariser if isinstance(inner, Summariser) else Recalibrated
    return kind(inner, how)
