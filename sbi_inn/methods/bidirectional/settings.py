"""Settings of a bidirectional network, and their defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from sbi_inn.flows import TRANSFORMS
from sbi_inn.methods.bidirectional.sides import Sides, latents_for
from sbi_inn.methods.blur import check_blur
from sbi_inn.training.settings import Training
from sbi_inn.training.stated import check_choice, check_fields
from sbi_inn.typing import FloatArray

# Largest batch unless it is asked for: forward errors fall with the number of steps, and what a
# discrepancy costs rises with the square of a batch.
BATCH = 512
# Nominal width of a padded network that is trained by discrepancies (B.5.1).
PADDED = 16
# The discrepancies of sec. 4.1.2, named by what they compare.
TERMS = ("y", "z", "x")


# Candidates for each draw: more would take a second a draw.
MOST_CANDIDATES = 65_536


@dataclass(frozen=True)
class INNSettings:
    """A network that learns a deterministic simulator forwards, and is inverted for posteriors.

    It maps parameters x to the observables y and to latents z, which hold what y does not say. A
    posterior draw maps the observation and a random z back to x. For continuous parameters, one
    vector of observables, and simulators with little noise.

    Parameters
    ----------
    loss : {"likelihood", "mmd"} or None
        Maximum likelihood of (y, z), or the squared error of y together with maximum mean
        discrepancies of (y, z) and of x (sec. 4.1.2). None: likelihood, or "mmd" if the network has
        to be padded.
    blocks, hidden : int or None
        Number of coupling blocks, and width of their hidden layers. None: chosen from the data.
    depth : int
        Number of hidden layers in each network of a coupling block.
    transform : {"affine", "spline", "mixed"}
        Function that a coupling block applies to each number; "mixed" alternates, affine first.
    clamp : float
        Bound on the log scale of an affine block (eq. 3.13).
    bins : int
        Number of pieces of a spline.
    latent : int or None
        Size of z. None: the number of parameters less that of continuous observables, or the number
        of parameters if that is in doubt.
    width : int or None
        Nominal width of both sides, reached by padding. None: the smallest possible, but at least
        16 if a network with loss "mmd" has to be padded.
    blur : (float, float) or None
        Standard deviation of the noise added to scaled observables, at the start of training and
        from 70 % of it on. None: from 1 to .01; or to .03 for "mmd" without padding, where the
        discrepancies lose influence on the gradient as the forward error becomes smaller.
    widths : tuple of float
        Widths of the kernel, in units of the spread of parameters and observables ("mmd").
    terms : tuple of {"y", "z", "x"}
        Which losses to use ("mmd"): the ablations of fig. 4.2 leave some out.
    candidates : int or None
        Number of candidates for each draw, of which one is chosen in proportion to the density of
        the prior over that of the network. 1: the network's own draws, as in the dissertation; a
        padded network has no others. None: 4, or 16 for loss "mmd", whose latents are further from
        normal.
    tolerance : float or None
        Standard deviation of the observation, in units of each observable's spread: each draw
        inverts an observation drawn around y. None: the typical error of the network's forward
        prediction on validation rows (1.48 times the median absolute error, which is the standard
        deviation of Gaussian errors), but zero for categories. 0: exactly y, as in the
        dissertation; such draws have no density.
    """

    name: ClassVar[str] = "inn"
    label: ClassVar[str] = "INN"
    uses_prior: ClassVar[bool] = True
    default_members: ClassVar[int] = 1
    takes_summary: ClassVar[bool] = False

    loss: Literal["mmd", "likelihood"] | None = None
    blocks: int | None = None
    hidden: int | None = None
    depth: int = 2
    transform: Literal["affine", "spline", "mixed"] = "affine"
    clamp: float = 2.0
    bins: int = 8
    latent: int | None = None
    width: int | None = None
    blur: tuple[float, float] | None = None
    widths: tuple[float, ...] = (0.2, 0.5, 1.2)
    terms: tuple[str, ...] = TERMS
    candidates: int | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        whole = ("blocks", "hidden", "depth", "bins", "latent", "width", "candidates")
        check_fields(self, whole=whole, positive=("clamp",))
        check_blur(self)
        if self.loss is not None:
            check_choice(self, "loss", ("likelihood", "mmd"))
        check_choice(self, "transform", TRANSFORMS)
        if not (self.widths and min(self.widths) > 0):
            raise ValueError(f"INN(widths=...) must be positive numbers; got {self.widths!r}")
        if not self.terms or set(self.terms) - set(TERMS):
            raise ValueError(f"INN(terms=...) must be some of {TERMS}; got {self.terms!r}")
        if (self.candidates or 1) > MOST_CANDIDATES:
            raise ValueError(
                f"INN(candidates=...) must be at most {MOST_CANDIDATES:,}; got {self.candidates:,}"
            )
        if self.tolerance is not None and not self.tolerance >= 0:
            raise ValueError(f"INN(tolerance=...) must not be negative; got {self.tolerance!r}")

    def resolve(self, parameters: int, y: FloatArray) -> Self:
        """Choose size, loss, and the widths of both sides where they are None (sec. 4.1.1).

        Parameters
        ----------
        parameters : int
        y : array, shape (rows, observables)
            Scaled observables of the training rows.
        """
        latent = self.latent or latents_for(parameters, y)
        needed = max(parameters, y.shape[1] + latent)
        padded = (self.width or needed) > min(parameters, y.shape[1] + latent)
        loss = self.loss or ("mmd" if padded else "likelihood")
        width = self.width or (max(needed, PADDED) if padded and loss == "mmd" else needed)
        if loss == "likelihood":
            # What would be padding beside z is more of z: both are standard normal.
            latent = max(latent, width - y.shape[1])
        mmd = loss == "mmd"
        return replace(
            self,
            blocks=self.blocks or 8,
            hidden=self.hidden or (128 if len(y) > 5_000 else 64),
            loss=loss,
            latent=latent,
            width=width,
            blur=self.blur or (1.0, 0.03 if mmd and not padded else 0.01),
            candidates=self.candidates or (16 if mmd else 4),
        )

    def sides(self, parameters: int, observables: int, givens: int) -> Sides:
        """Return the widths of both sides; the settings are resolved."""
        assert self.latent is not None
        assert self.width is not None
        return Sides(parameters, observables, self.latent, givens, self.width)

    def schedule(self, training: Training, n_train: int) -> Training:
        """Choose training settings that are None: more and smaller steps than for a cINN."""
        filled = training.resolve(n_train)
        if training.batch_size:
            return filled
        assert filled.batch_size is not None
        return replace(filled, batch_size=min(filled.batch_size, BATCH))
