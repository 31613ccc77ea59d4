"""How long and how a network is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sbi_inn.training.stated import check_fields

# Peak of the learning rate, where nothing else is known.
LEARNING_RATE = 3e-3
# Rows: smaller batches leave the cores idle.
SMALLEST_BATCH = 64
# Rows: larger batches gain no speed, and cost steps.
LARGEST_BATCH = 1024
# Training rows, of a study at which the number of steps was chosen.
ROWS = 90_000
# Steps of the optimiser at so many rows.
STEPS = 2_000
# What is left of a budget of time at the least, in seconds.
LEAST_SECONDS = 1e-3


@dataclass(frozen=True)
class Training:
    """How long and how networks are trained; None is chosen from the number of simulations.

    Parameters
    ----------
    epochs : int or None
        Passes over the training rows.
    max_seconds : float or None
        Time budget, starts in closed form included: the learning rate is annealed to reach zero
        when it ends.
    batch_size : int or None
    learning_rate : float or None
        Peak of the schedule (linear warm-up, cosine decay).
    early_stopping : bool
        If the validation loss has not improved for `patience` validations, the rest of the schedule
        is shortened to a tenth of the steps so far. In any case, the weights with the best
        validation loss are kept.
    patience : int or None
        Number of validations. Default: a fifth of those so far, but at least an eighth of those
        planned, and at least 3.
    weight_decay : float
        Weight decay of AdamW.
    gradient_clip : float
        Largest norm of the gradient ("vital", dissertation sec. 3.5).
    averaging : float
        Decay rate of the exponential moving average of the weights, which is validated and kept.
    checkpoint : str, Path or None
        A folder; it is created if needed. The state of the training is written there about every
        ten seconds, completely or not at all. If a training is interrupted in any way, the same
        call with the same seed continues it, and ends with the weights of an uninterrupted one.
    device : str
        Where networks are trained and kept: "auto" is CUDA if torch finds such a device, else
        "cpu"; "cuda:1" is a certain device. Apple's "mps" has no double precision, and is not
        supported. Results are the same up to rounding. Saved files can be loaded on any machine.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from sbi_inn.training.settings import Training
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
    checkpoint: str | Path | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_fields(
            self,
            whole=("epochs", "batch_size", "patience"),
            positive=("max_seconds", "learning_rate"),
        )
        if not isinstance(self.checkpoint, str | Path | None):
            raise ValueError(
                "Training(checkpoint=...) must be the path of a folder; got "
                f"{self.checkpoint!r:.80}"
            )
        if not isinstance(self.device, str):
            raise ValueError(
                'Training(device=...) must be a name, such as "auto", "cpu" or "cuda"; got '
                f"{self.device!r:.80}"
            )
        if not (self.gradient_clip > 0 and self.weight_decay >= 0 and 0 <= self.averaging < 1):
            raise ValueError(
                "expected gradient_clip > 0, weight_decay >= 0 and 0 <= averaging < 1; got "
                f"{self.gradient_clip!r}, {self.weight_decay!r} and {self.averaging!r}"
            )

    def resumable(self, seed: int | None) -> Training:
        """Return the same settings with an absolute checkpoint path.

        Raises
        ------
        ValueError
            If there is a checkpoint and no seed: no training could be continued from it.
        """
        if self.checkpoint is None:
            return self
        if seed is None:
            raise ValueError(
                "a training with a checkpoint needs a seed, so that the same call can continue it: "
                "fit_posterior(..., seed=1); got seed=None"
            )
        return replace(self, checkpoint=Path(self.checkpoint).resolve())

    def below(self, name: str) -> Training:
        """Return the same settings with the checkpoint in a subfolder, if there is a checkpoint."""
        if self.checkpoint is None:
            return self
        return replace(self, checkpoint=Path(self.checkpoint) / name)

    def after(self, seconds: float) -> Training:
        """Return the same settings with what such a time leaves of the budget, if there is one."""
        if self.max_seconds is None:
            return self
        return replace(self, max_seconds=max(self.max_seconds - seconds, LEAST_SECONDS))

    def resolve(self, n_train: int) -> Training:
        """Choose settings that are None from the number of training rows.

        Larger tables have larger batches and fewer epochs: the number of steps grows as the sixth
        root of the number of rows.
        """
        power = round(math.log2(n_train / 32))
        chosen = int(np.clip(2**power, SMALLEST_BATCH, LARGEST_BATCH))
        batch_size = min(self.batch_size or chosen, n_train)
        steps = STEPS * (n_train / ROWS) ** (1 / 6)
        epochs = self.epochs or max(1, round(steps * batch_size / n_train))
        return replace(
            self,
            batch_size=batch_size,
            epochs=epochs,
            learning_rate=self.learning_rate or LEARNING_RATE,
        )
