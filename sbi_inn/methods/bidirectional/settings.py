"""What can be chosen of a bidirectional network, and what follows from the simulations."""

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

    It maps parameters x to the observables y and to latents z that hold what y does not say; a
    posterior draw is the way back from the observation and a random z. For continuous parameters,
    one vector of observables, and simulators with little noise.

    Parameters
    ----------
    loss : {"likelihood", "mmd"} or None
        Maximum likelihood of (y, z), or the squared error of y with mean discrepancies of (y, z)
        and x (sec. 4.1.2). None: likelihood, or discrepancies where the network has to be padded.
    blocks, hidden : int or None
        Number of coupling blocks, and width of the hidden layers in them; None: from the data.
    depth : int
        Hidden layers in each of their networks.
    transform : {"affine", "spline", "mixed"}
        What a coupling block does to each number; "mixed" takes turns, affine first.
    clamp : float
        Bound on the log scale of an affine block (eq. 3.13).
    bins : int
        Pieces of a spline.
    latent : int or None
        Numbers in z. None: what the parameters hold beyond continuous observables, or as many as
        there are parameters where that is in doubt.
    width : int or None
        Nominal width of both sides, reached by padding. None: the smallest that fits, but at least
        16 where a network trained by discrepancies has to be padded.
    blur : (float, float) or None
        Standard deviation of the noise added to scaled observables, at the start of training and
        from 70 % of it on. None: from 1 to .01, or to .03 for discrepancies without padding, whose
        share in the gradient shrinks as the forward error does.
    widths : tuple of float
        Of the kernel, in units of the parameters' and observables' spread ("mmd").
    terms : tuple of {"y", "z", "x"}
        Which of the losses to use ("mmd"): the ablations of fig. 4.2 leave some out.
    candidates : int or None
        Candidates for each draw, of which one is chosen by the prior's density over the network's
        own. 1: the network's own draws, as in the dissertation, which are all there is to a padded
        network. None: 4, or 16 where it was trained by discrepancies, whose latents are further
        from normal.
    tolerance : float or None
        Standard deviation of the observation, in units of the observables' spread: a draw is
        the way back from an observation drawn around y. None: the typical error of the network's
        own forward prediction, on validation rows (1.48 times the median absolute one, which is
        the standard deviation of Gaussian errors), but zero for categories. 0: exactly y, as in
        the dissertation; such draws have no density.
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
        """Fill in what is None: size, loss, and the widths of both sides (sec. 4.1.1).

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
        """Give the widths of both sides of resolved settings."""
        assert self.latent is not None
        assert self.width is not None
        return Sides(parameters, observables, self.latent, givens, self.width)

    def schedule(self, training: Training, n_train: int) -> Training:
        """Fill in how to train: with more and smaller steps than a cINN."""
        filled = training.resolve(n_train)
        if training.batch_size:
            return filled
        assert filled.batch_size is not None
        return replace(filled, batch_size=min(filled.batch_size, BATCH))
