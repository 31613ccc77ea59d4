"""The record of a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LIKELIHOOD = "negative log-likelihood [nats]"


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes
    ----------
    epoch : tuple of float
        Times of the validations, in passes over the training rows.
    train_loss, validation_loss : tuple of float
        Losses of the training batches since the last validation, and of the validation rows. If
        the training ended before its first validation, it is validated at the end, and the
        training loss is NaN.
    best_epoch : float
        Time of the validation whose weights were kept; one of `epoch`.
    quantity : str
        Name and unit of the losses.
    stopped : str
        "finished", "early" (no more improvement), "time", "interrupted" or "diverged".
    steps : int
    seconds : float

    Examples
    --------
    >>> from sbi_inn.training.history import History
    >>> history = History((1.0, 2.0), (3.0, 2.5), (3.1, 2.9), 2.0, "finished", 40, 1.5)
    >>> History.from_config(history.to_config()) == history
    True
    """

    epoch: tuple[float, ...]
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    best_epoch: float
    stopped: str
    steps: int
    seconds: float
    quantity: str = LIKELIHOOD

    def to_config(self) -> dict[str, Any]:
        """Give the record as JSON would hold it."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> History:
        """Read back what `to_config` gave.

        Raises
        ------
        TypeError
            If a field is of another kind than it should be.
        """
        found = cls(**tupled(config))
        lists = (found.epoch, found.train_loss, found.validation_loss)
        numbers = (found.best_epoch, found.steps, found.seconds, *(v for one in lists for v in one))
        if len(set(map(len, lists))) > 1 or not all(map(_is_number, numbers)):
            raise TypeError(
                f"expected numbers, as many of each loss as of epochs; got {found!r:.200}"
            )
        if not all(isinstance(text, str) for text in (found.stopped, found.quantity)):
            raise TypeError(f"expected texts; got {found.stopped!r:.80}, {found.quantity!r:.80}")
        return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def tupled(config: Mapping[str, Any]) -> dict[str, Any]:
    """Make tuples again of what JSON holds as lists, one level deep."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in config.items()}
