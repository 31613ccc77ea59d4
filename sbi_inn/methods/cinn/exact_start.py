"""Inputs of a start in closed form: no more than there are rows to learn from."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch

from sbi_inn.flows.gaussian_start import MOST_TRIED, left_out_losses, surely_less
from sbi_inn.flows.laplace_start import MOST_PARAMETERS, LaplaceStart
from sbi_inn.flows.start_choice import WORST
from sbi_inn.likelihoods.autoregressive_learning import SHORTEST
from sbi_inn.likelihoods.score_test import judged
from sbi_inn.methods.protocols import TrainingData
from sbi_inn.observation.statistics import mostly_two_valued
from sbi_inn.summary_networks.counted import Counted
from sbi_inn.summary_networks.exact import MOST_BINARY, MOST_OBSERVABLES, Exact, Way

# Training rows for each feature that an exact start reads, at least.
ROWS_A_FEATURE = 1
# Training rows from which on a likelihood is learned.
FEWEST_ROWS = 300
# Nats that what is read besides has to bring, at least.
WORTH = 0.01
# Features from which on neighbours are not asked: they would add little, and trying takes long.
MANY = 600
# Training rows that are looked at to see what values an observable takes.
LOOKED_AT = 1_000
# Training rows of which likelihoods are learned, to see which observables tell most.
LEARNED_OF = 2_500
# Ways whose likelihoods are not normal: a start says whether they are better, not a score test.
DISCRETE: tuple[Way, ...] = ("counts", "entries")
# Nats by which a start of so few rows may be behind what one of all rows has to beat.
HOPE = 1.0


def as_rows_allow(exact: Exact, data: TrainingData) -> Exact | None:
    """Leave out what left-out rows gain nothing by; add neighbours and patterns if they gain.

    What describes curves may be left out, shares of sets, and regressions of many columns. Of fewer
    rows than features what describes curves, profiles of sets and counts as such always are; of
    even fewer it gives None. Hundreds of choices or counts may be reduced.
    """
    exact = _whole_or_reduced(exact, data)
    seen, latents, source = data.observations[data.train], data.latents[data.train], exact.source
    if (source.profiled or source.curves or exact.counted) and not _enough(exact, data):
        exact = exact.plainest(latents, seen)
    if not _enough(exact, data):
        return None
    parts = exact.parts(seen)
    # A row whose noise is drawn anew would be its own nearest neighbour.
    asks = not (data.renew or data.fresh or data.stream)
    if not parts and (not asks or exact.width > MANY):
        return exact
    losses = _losses(exact, data)
    for part in parts:
        less = exact.without(part, latents, seen)
        others = _losses(less, data)
        if not _gain(losses, others):
            exact, losses = less, others
    if not asks or exact.width > MANY:
        return exact
    for more in (Exact.with_neighbours, Exact.with_patterns):
        asked = more(exact, latents, seen)
        if asked is not None and _enough(asked, data):
            others = _losses(asked, data)
            if _gain(others, losses):
                exact, losses = asked, others
    return exact


def _whole_or_reduced(exact: Exact, data: TrainingData) -> Exact:
    """Read each of hundreds of choices or counts, or what parameters change in all of them.

    A law of each is better where their means are simple functions of the parameters, as in a
    regression. A few numbers may be better where they are not, as in a spectrum with a line
    somewhere. Left-out rows decide.
    """
    if not may_learn(data):
        return exact
    reduced = exact.reduced(data.latents[data.train], data.observations[data.train])
    if reduced is None or not _enough(exact, data):
        return reduced or exact
    each = [(one, emulated(one, data)) for one in (exact, reduced)]
    if not all(columns for _, columns in each):
        return exact
    whole, few = (_begun(one, *_some(one, data), columns) for one, columns in each)
    return exact if surely_less(whole, few) else reduced


def _losses(exact: Exact, data: TrainingData) -> torch.Tensor:
    """Give the losses of left-out rows by what one reads; far tails are what the blocks are for."""
    rows = data.train[:MOST_TRIED]
    x = torch.from_numpy(data.latents[rows].astype(np.float32))
    (found,) = left_out_losses(x, torch.from_numpy(exact(data.observations[rows])), exact.own)
    return found.clamp(max=WORST)


def _gain(more: torch.Tensor, less: torch.Tensor) -> bool:
    """Whether left-out rows become likelier by what one reads and the other does not."""
    return surely_less(more + WORTH, less)


def with_likelihood(
    exact: Exact, data: TrainingData, beat: float | None = None
) -> tuple[Exact, tuple[int, ...]]:
    """Give what reads observations, and which features a likelihood may be learned of.

    Of a single set these are its entries, and of more choices than are read one by one all of
    them, if a start makes left-out rows likelier by them than by all else that is `emulated`.
    """
    listed = None
    if may_learn(data):
        seen = data.observations[data.train]
        listed = exact.with_entries(seen) or exact.with_choices(seen)
    if listed is None or data.dim + len(listed.givens) > MOST_PARAMETERS:
        return exact, emulated(exact, data, beat)
    others = emulated(exact, data, rivals=False)
    if others:
        less, more = (
            _begun(one, *_some(one, data), columns)
            for one, columns in ((listed, listed.last), (exact, others))
        )
        if not surely_less(less, more):
            return exact, emulated(exact, data, beat)
    return listed, listed.last


def emulated(
    exact: Exact, data: TrainingData, beat: float | None = None, *, rivals: bool = True
) -> tuple[int, ...]:
    """Give the features of which a likelihood may be learned; none where it cannot be afforded.

    Of curves these are their entries or what describes them, whichever tells parameters apart best.
    They are read as they are in place of their normal scores, counts as such, of sets how many
    entries lie between limits, and of long curves all entries, where a start makes left-out rows
    likelier by it; without `rivals` that is not tried. None, too, if the loss of these is far from
    one to `beat`.
    """
    found = exact.ways(MOST_BINARY if binary(data) else MOST_OBSERVABLES)
    if not found or not may_learn(data) or data.dim + len(exact.givens) > MOST_PARAMETERS:
        return ()
    discrete = [found.pop(way) for way in DISCRETE if way in found]
    told = partial(_tells, exact, data)
    best = max(found.values(), key=told) if len(found) > 1 else next(iter(found.values()), ())
    entries = found.get("observables", ()) if exact.source.curves else ()
    series = (entries,) if len(entries) >= SHORTEST else ()
    plain = [exact.unscored(columns) for columns in (best, *series)]
    others = [other for other in dict.fromkeys((*plain, *discrete)) if other and other != best]
    if not best and discrete:
        best, others = discrete[0], discrete[1:]
    others = others if rivals else []
    if not others and (beat is None or not best):
        return best
    begun = partial(_begun, exact, *_some(exact, data))
    losses = begun(best)
    for other in others:
        less = begun(other)
        if surely_less(less, losses):
            best, losses = other, less
    if beat is None:
        return best
    most = beat + HOPE - 0.5 * data.dim * math.log(2 * math.pi)
    # The start will choose whether to even parameters; where it does not, it may be much better.
    hope = losses.mean() <= most or begun(best, evened=False).mean() <= most
    return best if hope else ()


def _some(exact: Exact, data: TrainingData) -> tuple[torch.Tensor, torch.Tensor]:
    """Give latents of some rows, and what is read of them."""
    rows = data.train[:LEARNED_OF]
    x = torch.from_numpy(data.latents[rows].astype(np.float32))
    return x, torch.from_numpy(exact(data.observations[rows]))


def _begun(
    exact: Exact,
    x: torch.Tensor,
    context: torch.Tensor,
    columns: tuple[int, ...],
    *,
    evened: bool = True,
) -> torch.Tensor:
    """Give losses of left-out rows by a start whose likelihood is learned of columns."""
    givens = tuple(exact.givens.tolist())
    shape = (x.shape[1], context.shape[1], exact.own)
    start = LaplaceStart(
        *shape,
        columns,
        givens,
        of_sets=exact.n_columns if columns == exact.last else 0,
        apart=columns == exact.last,
    )
    return start.losses(x, context, exact.own, evened=evened)


def _tells(exact: Exact, data: TrainingData, columns: tuple[int, ...]) -> float:
    """Say how well a likelihood of columns tells parameters apart, learned of some rows."""
    rows = data.train[:LEARNED_OF]
    y, given = exact.with_givens(data.observations[rows], columns)
    return judged(torch.from_numpy(data.latents[rows]), y, given).told


def may_learn(data: TrainingData) -> bool:
    """Whether a likelihood may be learned from such rows.

    What it says of a row takes many steps: rows that are made anew for each pass are too many.
    """
    anew = data.renew or data.fresh or data.stream
    return not anew and len(data.train) >= FEWEST_ROWS


def binary(data: TrainingData) -> bool:
    """Whether most observables of fixed shape take two values, such as yes and no."""
    return mostly_two_valued(data.observations.vector[data.train[:LOOKED_AT]])


def discrete(data: TrainingData) -> bool:
    """Whether most observables of fixed shape take two values, or are counts.

    A regression of parameters on these says little, and what they follow is learned easily.
    """
    seen = data.observations
    counts = seen.vector[data.train[:LOOKED_AT], : seen.vector.shape[1] - seen.givens]
    return binary(data) or bool(Counted.fit(counts))


def _enough(exact: Exact, data: TrainingData) -> bool:
    return exact.width * ROWS_A_FEATURE <= len(data.train)
