"""What can be chosen of a cINN of fields, and what follows from the simulations."""

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
    """A cINN of a field: a Gaussian posterior in closed form, and a flow that corrects it.

    The start learns what the observables are given the field, linear and with Gaussian noise, from
    windows of pixels where that is enough; with the prior, which is known, that gives the posterior
    exactly where the problem is linear. What it leaves of a field is white noise there, and still a
    field: a flow of wavelets and convolutional coupling blocks, steered by a pyramid of features,
    learns the rest. It is kept if it is better on validation rows.

    Parameters
    ----------
    blocks : int
        Coupling blocks of each level of the flow.
    hidden, depth : int
        Channels and number of the hidden layers of their networks.
    transform : {"affine", "spline", "mixed"}
        What a coupling block does to each number; "mixed" takes turns, affine first.
    clamp : float
        Bound on the log scale of an affine block (eq. 3.13).
    bins : int
        Pieces of a spline.
    features : int
        Channels of each level of the pyramid.
    flow : bool or "auto"
        Whether a flow is trained. "auto": where more than .001 nats a pixel are left to learn, by
        the first moments of what the start leaves of validation rows.
    lift : callable, optional
        From one observation, a dict by name as a simulator returns it, to an image on the field's
        grid that is shown to the pyramid: a back-projection, or an adjoint.
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
        """Fill in what is None of batch size, learning rate and epochs."""
        batch_size = training.batch_size or BATCH
        steps = STEPS * (n_train / ROWS) ** 0.5
        return replace(
            training,
            batch_size=batch_size,
            learning_rate=training.learning_rate or LEARNING_RATE,
            epochs=training.epochs or max(1, round(steps * batch_size / n_train)),
        )
