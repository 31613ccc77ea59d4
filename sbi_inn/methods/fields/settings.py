"""Settings of a cINN of fields, and their defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from sbi_inn.flows import TRANSFORMS
from sbi_inn.training.settings import Training
from sbi_inn.training.stated import check_choice, check_fields

# Training rows at which the number of steps was chosen.
ROWS = 8_000
STEPS = 600
BATCH = 64
LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class FieldSettings:
    """A cINN for a field: a Gaussian posterior in closed form, and a flow that corrects it.

    The start learns the distribution of the observables given the field, linear and with Gaussian
    noise, from windows of pixels if these are enough. Together with the prior, which is known, this
    gives the exact posterior if the problem is linear. The start turns the field into one that is
    white noise for a linear problem. A flow of wavelets and convolutional coupling blocks,
    conditioned on a pyramid of features, learns what is different. The flow is kept if it improves
    the validation rows.

    Parameters
    ----------
    blocks : int
        Coupling blocks in each level of the flow.
    hidden, depth : int
        Number of channels and of hidden layers in their networks.
    transform : {"affine", "spline", "mixed"}
        Function that a coupling block applies to each number; "mixed" alternates, affine first.
    clamp : float
        Bound on the log scale of an affine block (eq. 3.13).
    bins : int
        Number of pieces of a spline.
    features : int
        Number of channels in each level of the pyramid.
    flow : bool or "auto"
        Whether a flow is trained. "auto": if more than .001 nats per pixel are left to learn,
        judged by the first moments that the start leaves on validation rows.
    lift : callable, optional
        A function from one observation, a dict by name as a simulator returns it, to an image on
        the grid of the field, which the pyramid also reads: a back-projection, or an adjoint.
    """

    name: ClassVar[str] = "field"
    label: ClassVar[str] = "cINN"
    uses_prior: ClassVar[bool] = False
    default_members: ClassVar[int] = 1
    takes_summary: ClassVar[bool] = False

    blocks: int = 2
    hidden: int = 24
    depth: int = 2
    transform: Literal["affine", "spline", "mixed"] = "mixed"
    clamp: float = 2.0
    bins: int = 8
    features: int = 16
    flow: bool | Literal["auto"] = "auto"
    lift: Callable[[dict[str, Any]], Any] | None = None

    def __post_init__(self) -> None:
        whole = ("blocks", "hidden", "depth", "bins", "features")
        check_fields(self, whole=whole, positive=("clamp",))
        check_choice(self, "transform", TRANSFORMS)
        if self.flow not in (True, False, "auto"):
            raise ValueError(f'flow must be True, False or "auto"; got {self.flow!r}')
        if self.lift is not None and not callable(self.lift):
            raise TypeError(f"lift must be a function of an observation; got {self.lift!r:.80}")

    def schedule(self, training: Training, n_train: int) -> Training:
        """Choose batch size, learning rate and epochs where they are None."""
        batch_size = training.batch_size or BATCH
        steps = STEPS * (n_train / ROWS) ** 0.5
        return replace(
            training,
            batch_size=batch_size,
            learning_rate=training.learning_rate or LEARNING_RATE,
            epochs=training.epochs or max(1, round(steps * batch_size / n_train)),
        )
