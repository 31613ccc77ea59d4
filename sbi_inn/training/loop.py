"""One training loop for all methods."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from sbi_inn.training.history import LIKELIHOOD, History
from sbi_inn.training.memory import keep_memory
from sbi_inn.training.optimiser import AdamW
from sbi_inn.training.progress import Watch, watching
from sbi_inn.training.weights import Weights

# Share of the training in which the learning rate rises to its peak.
WARM_UP = 0.03
# Shares of the validations so far, and of all that are planned: the larger of the two may pass
# without a better loss. Then the run is brought to its end, in a share of the steps so far.
PATIENCE, LEAST_PATIENCE = 0.2, 0.125
LANDING = 0.1
LEARNING_RATE = 3e-3
# Decays of AdamW's averages: of the square, faster than usual, as trainings are short.
BETAS = 0.9, 0.99
SMALLEST_BATCH, LARGEST_BATCH = 64, 1024
# Steps of the optimiser at this many training rows.
STEPS, STEPS_AT = 2_000, 90_000


@dataclass(frozen=True)
class Training:
    """How long and how a network is trained; what is None follows from the simulations.

    Parameters
    ----------
    epochs : int or None
        Passes over the training rows.
    max_seconds : float or None
        Budget: the learning rate is annealed to reach zero when it ends.
    batch_size : int or None
    learning_rate : float or None
        Peak of the schedule (linear warm-up, cosine decay).
    early_stopping : bool
        When the validation loss has not improved for `patience` validations, the rest of the
        schedule is passed through in a tenth of the steps so far. The weights with the best
        validation loss are kept either way.
    patience : int or None
        By default a fifth of those so far, at least an eighth of those that are planned.
    weight_decay : float
        Of AdamW.
    gradient_clip : float
        Largest norm of the gradient ("vital", dissertation sec. 3.5).
    averaging : float
        Decay of the exponential moving average of the weights, which is what is validated and kept.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from sbi_inn.training.loop import Training
    >>> Training(epochs=10).resolve(n_train=50_000).batch_size
    1024
    >>> Training(max_seconds=-1)
    Traceback (most recent call last):
    ValueError: Training(max_seconds=...) must be positive; got -1
    """

    epochs: int | None = None
    max_seconds: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    early_stopping: bool = True
    patience: int | None = None
    weight_decay: float = 1e-4
    gradient_clip: float = 5.0
    averaging: float = 0.99

    def __post_init__(self) -> None:
        for name in ("epochs", "max_seconds", "batch_size", "learning_rate", "patience"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"Training({name}=...) must be positive; got {value!r}")
        if not (self.gradient_clip > 0 and self.weight_decay >= 0 and 0 <= self.averaging < 1):
            raise ValueError(
                "expected gradient_clip > 0, weight_decay >= 0 and 0 <= averaging < 1; got "
                f"{self.gradient_clip!r}, {self.weight_decay!r} and {self.averaging!r}"
            )

    def resolve(self, n_train: int) -> Training:
        """Fill in what is None from the number of training rows.

        Larger tables take larger batches and fewer passes: the number of steps grows like the
        sixth root of the rows.
        """
        power = round(math.log2(n_train / 32))
        chosen = int(np.clip(2**power, SMALLEST_BATCH, LARGEST_BATCH))
        batch_size = min(self.batch_size or chosen, n_train)
        steps = STEPS * (n_train / STEPS_AT) ** (1 / 6)
        epochs = self.epochs or max(1, round(steps * batch_size / n_train))
        return replace(
            self,
            batch_size=batch_size,
            epochs=epochs,
            learning_rate=self.learning_rate or LEARNING_RATE,
        )


Augment = Callable[[Any, float, torch.Generator], Any]
Renew = Callable[[np.random.Generator], "Rows"]


class Rows(Protocol):
    """Training rows: anything that has a length and can be indexed by a tensor of indices."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Tensor) -> Any: ...


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Build networks reproducibly and leave torch's global generator as it was.

    >>> with seeded(1):
    ...     one = nn.Linear(2, 2)
    >>> with seeded(1):
    ...     other = nn.Linear(2, 2)
    >>> torch.equal(one.weight, other.weight)
    True
    """
    with torch.random.fork_rng(devices=[]):
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
    progress: bool = True,
) -> History:
    """Train a module in place; it ends with its best averaged weights.

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
    progress : bool
        Show a progress bar, unless it is `watched`.

    Returns
    -------
    History
        A loss that turns non-finite, or Ctrl-C, ends training with the best weights so far;
        `History.stopped` says so.

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
    settings = settings.resolve(len(train))
    run = _Run(module, loss, train, validation, settings, seed, augment, renew, score)
    with watching(progress) as watch:
        try:
            run.go(watch)
        except KeyboardInterrupt:
            run.stopped = "interrupted"
        history = run.finish()
        watch(run.done(), history.validation_loss[-1])
    return replace(history, quantity=quantity)


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Any], Tensor],
        train: Rows,
        validation: Rows,
        settings: Training,
        seed: int,
        augment: Augment | None,
        renew: Renew | None,
        score: Callable[[Any], Tensor] | None,
    ) -> None:
        self.module, self.loss, self.augment, self.renew = module, loss, augment, renew
        self.score = loss if score is None else score
        self.train, self.validation, self.settings = train, validation, settings
        assert settings.epochs is not None
        assert settings.batch_size is not None
        assert settings.learning_rate is not None
        self.batch_size = settings.batch_size
        self.peak = settings.learning_rate
        self.steps_an_epoch = max(1, len(train) // self.batch_size)
        self.total = settings.epochs * self.steps_an_epoch
        # Validate about fifty times, or once an epoch where that is rarer; a budget in seconds may
        # end the run long before its last epoch.
        self.interval = max(self.steps_an_epoch, min(self.total // 50, 500))
        self.least_patience = max(3, LEAST_PATIENCE * self.total / self.interval)
        self.generator = torch.Generator().manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.weights = Weights(module)
        self.optimizer = AdamW(
            self.weights.vectors, betas=BETAS, weight_decay=settings.weight_decay
        )
        self.average = self.weights.copy()
        self.best = self.average
        self.log: list[tuple[float, float, float]] = []
        self.best_loss, self.best_epoch = math.inf, 0.0
        self.since_best = 0
        self.landing: tuple[int, float] | None = None  # the step and share of the run it began at
        self.step = 0
        self.stopped = "finished"
        self.start = time.perf_counter()

    def go(self, watch: Watch) -> None:
        losses: list[float] = []
        while self.step < self.total:
            if self.renew is not None and self.step:
                self.train = self.renew(self.rng)
            for rows in self._shuffled():
                done = self.done()
                value = self._update(self.train[rows], done)
                if not math.isfinite(value):
                    self.stopped = "diverged"
                    return
                losses.append(value)
                self.step += 1
                done = self.done()
                last = done >= 1
                if self.step % self.interval == 0 or last:
                    self._validate(float(np.mean(losses)))
                    losses = []
                    if last:
                        return
                if not watch(done, self.log[-1][2] if self.log else math.nan):
                    self.stopped = "interrupted"
                    return

    def finish(self) -> History:
        if not self.log:  # it ended before its first validation
            self._validate(math.nan)
        self.weights.load(self.best)
        # Each in memory of its own, as where they are read from a file: the last digits of a
        # product depend on how its factors are aligned.
        for parameter in self.module.parameters():
            parameter.data = parameter.data.clone()
        self.module.eval()
        epoch, train_loss, validation_loss = zip(*self.log, strict=True)
        return History(
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=validation_loss,
            best_epoch=self.best_epoch,
            stopped=self.stopped,
            steps=self.step,
            seconds=time.perf_counter() - self.start,
        )

    def _shuffled(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self.train), generator=self.generator)
        for start in range(0, self.steps_an_epoch * self.batch_size, self.batch_size):
            yield order[start : start + self.batch_size]

    def done(self) -> float:
        """Share of the run that is over: of its steps, or of its time where that is more.

        Once nothing improves, the rest of the run is passed through in a tenth of the steps so far.
        """
        done = self.step / self.total
        if self.landing is not None:
            begun, share = self.landing
            done = share + (1 - share) * (self.step - begun) / max(1.0, LANDING * begun)
        if self.settings.max_seconds is not None:
            spent = (time.perf_counter() - self.start) / self.settings.max_seconds
            if spent >= 1 > done:
                self.stopped = "time"
            done = max(done, spent)
        return min(done, 1.0)

    def _update(self, batch: Any, done: float) -> float:
        # In shares of the run, not in steps: a budget of time may end it long before its last step.
        rise = min(1.0, (done * self.total + 1) / (WARM_UP * self.total + 1))
        learning_rate = self.peak * rise * (0.5 + 0.5 * math.cos(math.pi * done))
        if not self.module.training:  # a walk over all its parts, in every step
            self.module.train()
        if self.augment is not None:
            batch = self.augment(batch, done, self.generator)
        loss = self.loss(batch).mean()
        self.weights.differentiate(loss)
        value, norm = loss.item(), self.weights.clip(self.settings.gradient_clip)
        if not math.isfinite(value + norm):
            return math.nan  # before it can reach the weights and their average
        self.optimizer.step(learning_rate)
        # The average forgets its start quickly, then settles at the decay that was asked for.
        decay = min(self.settings.averaging, self.step / (self.step + 10))
        for average, vector in zip(self.average, self.weights.vectors, strict=True):
            average.lerp_(vector, 1 - decay)
        return value

    @torch.no_grad()
    def _validate(self, train_loss: float) -> None:
        """Validate the averaged weights; after too long without a better loss, begin to land."""
        current = self.weights.copy()
        self.weights.load(self.average)
        value = self._validation_loss()
        self.weights.load(current)
        epoch = self.step / self.steps_an_epoch
        better = value < self.best_loss or not self.log
        self.log.append((epoch, train_loss, value))
        if better:
            self.best_loss = value if math.isfinite(value) else math.inf
            self.best_epoch, self.since_best = epoch, 0
            self.best = [average.clone() for average in self.average]
            return
        self.since_best += 1
        usual = max(self.least_patience, PATIENCE * len(self.log))
        patience = self.settings.patience or usual
        tired = self.settings.early_stopping and self.since_best >= patience
        if tired and self.landing is None:
            self.landing = self.step, self.done()
            self.stopped = "early"

    def _validation_loss(self) -> float:
        self.module.eval()
        rows = torch.arange(len(self.validation)).split(2048)
        values = torch.cat([self.score(self.validation[r]) for r in rows])
        return values.double().mean().item()
