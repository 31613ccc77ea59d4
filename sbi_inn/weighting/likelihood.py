"""Call a likelihood, as its author wrote it, with rows of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import cloudpickle
import numpy as np

from sbi_inn.errors import ShapeError
from sbi_inn.prior import Prior
from sbi_inn.simulation.binding import Binding, arguments, bind
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.pool import processes
from sbi_inn.training.progress import bar
from sbi_inn.training.workers import in_order
from sbi_inn.typing import AnyArray, FloatArray

WHAT = "log_likelihood"
TIMED = 20  # rows whose time says whether workers are worth starting
PATIENCE = 2.0  # seconds, after which a progress bar is shown
TASK = 0.5  # seconds of work that a worker is sent at once


@dataclass(frozen=True)
class Likelihood:
    """The log likelihood of one observation.

    Attributes
    ----------
    function : callable
        Its arguments are filled by name, as those of a simulator are: parameters, and whatever of
        the observation it names.
    prior : Prior
        Of the parameters.
    known : mapping of str to number or array
        Observables, givens and constants of the observation, by name.
    binding : Binding
    batched : bool
        Whether it takes arrays with a leading axis of rows, and returns as many numbers.
    n_jobs : int
        Processes, for a likelihood that is slow and not batched; as in `fit_posterior`.
    progress : bool
        Show a progress bar, where rows take long.
    """

    function: Callable[..., Any]
    prior: Prior
    known: Mapping[str, Any]
    binding: Binding
    batched: bool = False
    n_jobs: int = 1
    progress: bool = False

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        prior: Prior,
        known: Mapping[str, Any],
        *,
        left_out: tuple[str, ...] = (),
        **settings: Any,
    ) -> Likelihood:
        """Read the signature of a function.

        Parameters
        ----------
        left_out : tuple of str
            Parameters of the study that are not in the prior.
        **settings
            `batched`, `n_jobs`, `progress`.

        Raises
        ------
        SimulationError
            If it cannot be called, or an argument is no parameter and nothing of the observation.
        """
        if not callable(function):
            raise SimulationError(f"expected a {WHAT} that can be called; got {function!r:.80}")
        _check_left_out(function, left_out)
        binding = bind(function, prior.names, tuple(known), what=WHAT)
        if binding.rng or binding.seed:
            raise SimulationError(
                f"{WHAT} asks for random numbers; expected a function that gives the same number "
                "for the same parameters"
            )
        return cls(function, prior, known, binding, **settings)

    def __call__(self, parameters: Mapping[str, AnyArray]) -> FloatArray:
        """Evaluate rows of parameters, shape (n,).

        Raises
        ------
        ShapeError
            If it returns another shape, NaN or +inf; -inf says that the data are impossible.
        """
        columns = {n: v for n, v in parameters.items() if n in self.binding.named}
        if self.binding.vector is not None:
            columns[self.binding.vector] = self.prior.flatten(parameters)
        return self._batch(columns) if self.batched else self._rows(columns)

    def row(self, values: Mapping[str, Any]) -> float:
        """Evaluate one row of parameters."""
        try:
            found = np.asarray(self._call(values), np.float64)
        except Exception as error:
            error.add_note(f"{WHAT} was called with {_said(values)}")
            raise
        if found.shape:
            raise ShapeError(
                f"expected one number from {WHAT}, for one row of parameters; got shape "
                f"{found.shape}. Sum over the data; if it takes many rows at once, batched=True"
            )
        _check(found[None], {name: np.asarray(value)[None] for name, value in values.items()})
        return float(found)

    def _batch(self, columns: Mapping[str, AnyArray]) -> FloatArray:
        rows = len(next(iter(columns.values())))
        found = np.asarray(self._call(columns), np.float64)
        if found.shape != (rows,):
            raise ShapeError(
                f"expected {rows} numbers from {WHAT}, one for each row of parameters; got shape "
                f"{found.shape}. If it takes one row at a time, leave out batched=True"
            )
        _check(found, columns)
        return found

    def _rows(self, columns: Mapping[str, AnyArray]) -> FloatArray:
        """Evaluate one row after the other, or where that takes long, on several processes."""
        rows = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        started = perf_counter()
        found = [self.row(values) for values in rows[:TIMED]]
        seconds = (perf_counter() - started) / max(1, len(found))
        later = rows[TIMED:]
        with bar(len(later), WHAT, unit="row", show=self.progress, delay=PATIENCE) as shown:
            for part in self._parts(later, seconds):
                found += part
                shown.update(len(part))
        return np.array(found)

    def _parts(self, rows: list[dict[str, Any]], seconds: float) -> Iterator[list[float]]:
        """Evaluate rows, part by part, on several processes where that is worth it."""
        jobs = processes(self.n_jobs, seconds * len(rows))
        size = max(1, int(TASK / max(seconds, 1e-9)))
        parts = (rows[i : i + size] for i in range(0, len(rows), size))
        if jobs == 1:
            yield from ([self.row(values) for values in part] for part in parts)
            return
        sent = cloudpickle.dumps(self)
        yield from in_order((partial(_evaluate, sent, part) for part in parts), jobs)

    def _call(self, values: Mapping[str, Any]) -> Any:
        observed = {n: v for n, v in self.known.items() if n in self.binding.named}
        filled = observed | dict(values)
        leading = [filled.pop(name) for name in self.binding.leading]
        return self.function(*leading, **filled)


def _evaluate(sent: bytes, rows: list[dict[str, Any]]) -> list[float]:
    likelihood = cloudpickle.loads(sent)
    return [likelihood.row(values) for values in rows]


def _check_left_out(function: Callable[..., Any], left_out: tuple[str, ...]) -> None:
    asked = [a.name for a in arguments(function) if a.name in left_out]
    if asked:
        names = ", ".join(asked)
        raise SimulationError(
            f"{WHAT} asks for {names}, which infer= left out of this posterior: weights need every "
            f"parameter of the likelihood. Fit without infer=, or give the likelihood of the "
            f"inferred parameters alone, averaged over the prior of {names}"
        )


def _check(found: FloatArray, columns: Mapping[str, AnyArray]) -> None:
    """Raise where a number is NaN or +inf."""
    wrong = np.flatnonzero(np.isnan(found) | np.isposinf(found))
    if len(wrong):
        first = {name: values[wrong[0]] for name, values in columns.items()}
        count = f", and {len(wrong):,} such of {len(found):,}" if len(found) > 1 else ""
        raise ShapeError(
            f"expected finite numbers or -inf from {WHAT}; got {found[wrong[0]]} for "
            f"{_said(first)}{count}. Where the data are impossible, return -inf"
        )


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {np.asarray(value)!s:.60}" for name, value in values.items())
