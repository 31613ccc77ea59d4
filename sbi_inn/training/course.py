"""The progress of a training, and whether it still improves."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sbi_inn.training.history import History
from sbi_inn.training.settings import Training

# Share of the training in which the learning rate rises to its peak.
WARM_UP = 0.03
# Validations of a long run; a short one is validated once an epoch.
VALIDATIONS = 50
# Steps between two validations at most: a budget of time may end a run long before its last epoch.
SELDOM = 500
# Share of the validations so far that may pass without a better loss.
PATIENCE = 0.2
# Share of all validations that are planned, which may pass so in any case.
LEAST_PATIENCE = 0.125
# Then the run is brought to its end, in this share of the steps so far.
LANDING = 0.1
# What a checkpoint keeps as it is.
KEPT = ("step", "stopped", "best_loss", "best", "landing")


@dataclass
class Course:
    """The course of a training run, in steps, time and losses.

    Parameters
    ----------
    settings : Training
        With nothing left open.
    rows : int
        To train on.
    """

    settings: Training
    rows: int
    step: int = 0
    stopped: str = "finished"
    log: list[tuple[float, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        assert self.settings.epochs is not None
        assert self.settings.batch_size is not None
        self.batch_size = self.settings.batch_size
        self.steps_an_epoch = max(1, self.rows // self.batch_size)
        self.total = self.settings.epochs * self.steps_an_epoch
        self.interval = max(self.steps_an_epoch, min(self.total // VALIDATIONS, SELDOM))
        self.best_loss, self.best = math.inf, 0  # the best validation, by its place in the log
        self.landing: tuple[int, float] | None = None  # the step and share of the run it began at
        self.start = time.perf_counter()

    @property
    def validates(self) -> bool:
        """Whether a validation is due after this step."""
        return self.step % self.interval == 0

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

    def learning_rate(self, done: float) -> float:
        """Rise to the peak, then fall like a cosine."""
        assert self.settings.learning_rate is not None
        # In shares of the run, not in steps: a budget of time may end it long before its last step.
        rise = min(1.0, (done * self.total + 1) / (WARM_UP * self.total + 1))
        return self.settings.learning_rate * rise * (0.5 + 0.5 * math.cos(math.pi * done))

    def note(self, train_loss: float, validation_loss: float) -> bool:
        """Note a validation, and begin to land after too many in vain; say whether it is best."""
        self.log.append((self.step / self.steps_an_epoch, train_loss, validation_loss))
        if validation_loss < self.best_loss or len(self.log) == 1:
            self.best_loss = validation_loss if math.isfinite(validation_loss) else math.inf
            self.best = len(self.log) - 1
            return True
        planned = max(3, LEAST_PATIENCE * self.total / self.interval)
        patience = self.settings.patience or max(planned, PATIENCE * len(self.log))
        tired = self.settings.early_stopping and len(self.log) - 1 - self.best >= patience
        if tired and self.landing is None:
            self.landing = self.step, self.done()
            self.stopped = "early"
        return False

    def state(self) -> dict[str, Any]:
        """Give where it stands, for a file; of the time, how much was spent."""
        spent = time.perf_counter() - self.start
        known = {name: getattr(self, name) for name in KEPT}
        return {**known, "log": [list(one) for one in self.log], "spent": spent}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        for name in KEPT:
            setattr(self, name, state[name])
        if state["landing"] is not None:
            begun, share = state["landing"]
            self.landing = begun, share
        self.log = [tuple(one) for one in state["log"]]
        self.start = time.perf_counter() - state["spent"]

    def history(self) -> History:
        """Give the record of a run that was validated once at least."""
        epoch, train_loss, validation_loss = zip(*self.log, strict=True)
        return History(
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=validation_loss,
            best_epoch=epoch[self.best],
            stopped=self.stopped,
            steps=self.step,
            seconds=time.perf_counter() - self.start,
        )
