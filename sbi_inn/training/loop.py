"""One training loop for all methods."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from sbi_inn.training.checkpoint import Checkpoint
from sbi_inn.training.course import Course
from sbi_inn.training.device import on, placed
from sbi_inn.training.forked import survive_forks
from sbi_inn.training.history import LIKELIHOOD, History
from sbi_inn.training.memory import keep_memory
from sbi_inn.training.optimiser import AdamW
from sbi_inn.training.progress import Watch, watching
from sbi_inn.training.settings import Training
from sbi_inn.training.weights import Weights

# Decays of AdamW's averages of the gradient and of its square; the second is faster than usual, as
# trainings are short.
BETAS = (0.9, 0.99)
# Validation rows that go through the network at once: few enough for the cache.
AT_ONCE = 2048
# Rows by whose first losses a training is known again.
FIRST = 64
# Held by the thread that has set torch's global generator.
_GENERATOR = threading.RLock()

Augment = Callable[[Any, float, torch.Generator], Any]
Renew = Callable[[np.random.Generator], "Rows"]


class Rows(Protocol):
    """Training rows: anything that has a length and can be indexed by a tensor of indices.

    The indices, and what comes of them, are where the rows are.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Tensor) -> Any: ...
    def to(self, device: torch.device) -> Any:
        """Give them on a device, or batches of them where they are too many for it."""
        ...


@runtime_checkable
class Ordered(Protocol):
    """Training rows that have an order of their own in which to be read."""

    def order(self, generator: torch.Generator, batch_size: int) -> Tensor:
        """Give indices of a pass, at random; batches are cut from them one after another."""
        ...


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Build networks reproducibly and leave torch's global generator as it was.

    Threads wait for each other: there is one such generator for all of them.

    >>> with seeded(1):
    ...     one = nn.Linear(2, 2)
    >>> with seeded(1):
    ...     other = nn.Linear(2, 2)
    >>> torch.equal(one.weight, other.weight)
    True
    """
    with _GENERATOR, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def fit(
    module: nn.Module,
    loss: Callable[[Any], Tensor],
    train: Rows,
    validation: Rows,
    settings: Training,
    *,
    seed: int,
    augment: Augment | None = None,
    renew: Renew | None = None,
    score: Callable[[Any], Tensor] | None = None,
    quantity: str = LIKELIHOOD,
    stage: str = "network",
    progress: bool = True,
) -> History:
    """Train a module in place; it ends with its best averaged weights.

    Module and rows are moved to `Training.device` once, and the module stays there.

    Parameters
    ----------
    module : Module
        What is trained.
    loss : callable
        Gives the loss of each row, shape (batch,), of what `train[rows]` returns.
    train, validation : Rows
    settings : Training
    seed : int
        Of the order of the rows.
    augment : callable, optional
        Changes every training batch, with the share of the training that is over and a generator.
    renew : callable, optional
        Gives the training rows anew, with a generator; called before each pass but the first.
    score : callable, optional
        What validation rows are judged by, as `loss`; by default the loss itself.
    quantity : str
        What the loss is, for the record and its figure.
    stage : str
        What is trained, as the file in the folder `Training.checkpoint` is called.
    progress : bool
        Show a progress bar, unless it is `watched`.

    Returns
    -------
    History
        A loss that turns non-finite, or Ctrl-C, ends training with the best weights so far;
        `History.stopped` says so.

    Raises
    ------
    LoadError
        If there is a checkpoint, which is damaged or of another training.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.training.loop import Training, fit, seeded
    >>> with seeded(1):
    ...     line = torch.nn.Linear(1, 1)
    >>> x = torch.linspace(-1, 1, 200).unsqueeze(1)
    >>> table = torch.cat([x, 2 * x], dim=1)  # rows of x and y
    >>> history = fit(
    ...     line,
    ...     lambda rows: (line(rows[:, :1]) - rows[:, 1:]).square().sum(dim=1),
    ...     train=table[::2],
    ...     validation=table[1::2],
    ...     settings=Training(epochs=200, learning_rate=0.1),
    ...     seed=1,
    ...     progress=False,
    ... )
    >>> round(line.weight.item(), 1)
    2.0
    """
    keep_memory()
    survive_forks()
    settings = settings.resolve(len(train))
    run = _Run(module, loss, train, validation, settings, seed, augment, renew, score or loss)
    folder = settings.checkpoint
    kept = None if folder is None else Checkpoint(run, Path(folder), stage)
    with watching(progress) as watch:
        history = None if kept is None else kept.resume()
        if history is not None:
            run.settle()
            return history
        try:
            run.go(watch, kept)
        except KeyboardInterrupt:
            run.course.stopped = "interrupted"
        history = replace(run.finish(), quantity=quantity)
        watch(run.course.done(), history.validation_loss[-1])
    if kept is not None and history.stopped != "interrupted":
        kept.finish(history)
    return history


@dataclass
class _Run:
    """One training run."""

    module: nn.Module
    loss: Callable[[Any], Tensor]
    train: Rows
    validation: Rows
    settings: Training
    seed: int
    augment: Augment | None
    renew: Renew | None
    score: Callable[[Any], Tensor]

    def __post_init__(self) -> None:
        self.course = Course(self.settings, len(self.train))
        self.device = placed(self.settings.device)
        self.module.to(self.device)
        self.train, self.validation = on(self.train, self.device), on(self.validation, self.device)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.rng = np.random.default_rng(self.seed)
        self.weights = Weights(self.module)
        self.optimizer = AdamW(
            self.weights.vectors, betas=BETAS, weight_decay=self.settings.weight_decay
        )
        self.average = self.best = self.weights.copy()
        self.losses: list[float] = []  # since the last validation
        self.place = 0  # in the pass, in batches
        self.began = self._generators()  # as the pass began

    def go(self, watch: Watch, kept: Checkpoint | None) -> None:
        course = self.course
        for rows in self._batches():
            value = self._update(self.train[rows], course.done())
            if not math.isfinite(value):
                course.stopped = "diverged"
                return
            self.losses.append(value)
            course.step += 1
            self.place += 1
            done = course.done()
            if done >= 1 or course.validates:
                self._validate(float(np.mean(self.losses)))
                self.losses = []
            if done >= 1:
                return
            going = watch(done, course.log[-1][2] if course.log else math.nan)
            if kept is not None:
                kept.tick(now=not going)
            if not going:
                course.stopped = "interrupted"
                return

    def finish(self) -> History:
        if not self.course.log:  # it ended before its first validation
            self._validate(math.nan)
        self.weights.load(self.best)
        self.settle()
        return self.course.history()

    def settle(self) -> None:
        """Make the module ready for use."""
        # Each in memory of its own, as where they are read from a file: the last digits of a
        # product depend on how its factors are aligned.
        for parameter in self.module.parameters():
            parameter.data = parameter.data.clone()
        self.module.eval()

    @torch.no_grad()
    def first_losses(self) -> list[float]:
        """Judge a few rows by the weights as they are."""
        self.module.eval()
        seen, unseen = (
            torch.arange(min(len(t), FIRST), device=self.device)
            for t in (self.train, self.validation)
        )
        rows = (self.train[seen], self.validation[unseen])
        return [self.score(part).double().mean().item() for part in rows]

    def _generators(self) -> tuple[Tensor, dict[str, Any]]:
        return self.generator.get_state(), dict(self.rng.bit_generator.state)

    def _order(self) -> Tensor:
        if isinstance(self.train, Ordered):
            return self.train.order(self.generator, self.course.batch_size)
        return torch.randperm(len(self.train), generator=self.generator)

    def _batches(self) -> Iterator[Tensor]:
        """Go through the rows again and again, each time in a new order, with new noise.

        A pass that was begun before, by a run whose checkpoint was taken over, goes on.
        """
        course, now = self.course, None
        if self.place:
            now = self.generator.get_state()
            self.generator.set_state(self.began[0])
            self.rng.bit_generator.state = self.began[1]
        while course.step < course.total:
            self.began = self._generators()
            if self.renew is not None and course.step > self.place:
                self.train = on(self.renew(self.rng), self.device)
            order = self._order().to(self.device)
            if now is not None:
                self.generator.set_state(now)
                now = None
            yield from order.split(course.batch_size)[self.place : course.steps_an_epoch]
            self.place = 0

    def _update(self, batch: Any, done: float) -> float:
        if not self.module.training:  # a walk over all its parts, in every step
            self.module.train()
        if self.augment is not None:
            batch = self.augment(batch, done, self.generator)
        loss = self.loss(batch).mean()
        self.weights.differentiate(loss)
        value, norm = loss.item(), self.weights.clip(self.settings.gradient_clip)
        if not math.isfinite(value + norm):
            return math.nan  # before it can reach the weights and their average
        self.optimizer.step(self.course.learning_rate(done))
        # The average forgets its start quickly, then settles at the decay that was asked for.
        decay = min(self.settings.averaging, self.course.step / (self.course.step + 10))
        for average, vector in zip(self.average, self.weights.vectors, strict=True):
            average.lerp_(vector, 1 - decay)
        return value

    @torch.no_grad()
    def _validate(self, train_loss: float) -> None:
        """Validate the averaged weights, and keep them if they are the best so far."""
        current = self.weights.copy()
        self.weights.load(self.average)
        self.module.eval()
        rows = torch.arange(len(self.validation), device=self.device).split(AT_ONCE)
        values = torch.cat([self.score(self.validation[r]) for r in rows])
        self.weights.load(current)
        if self.course.note(train_loss, values.double().mean().item()):
            self.best = [average.clone() for average in self.average]
