"""The bidirectionally trained invertible network (dissertation, ch. 4)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from sbi_inn.errors import ShapeError
from sbi_inn.flows import TRANSFORMS
from sbi_inn.methods.bidirectional import (
    TERMS,
    Layout,
    Likelihood,
    MeanDiscrepancy,
    Network,
    Noise,
    Pairs,
    categorical,
    latents_for,
)
from sbi_inn.methods.bidirectional.fitted import FittedINN
from sbi_inn.methods.protocols import Renew
from sbi_inn.observation.batch import Observations
from sbi_inn.summary_networks import Scaling
from sbi_inn.training.history import History
from sbi_inn.training.loop import Training, fit, seeded
from sbi_inn.typing import AnyArray, BoolArray, FloatArray, IntArray

LOSSES = ("likelihood", "mmd")

# Nominal width of a padded network that is trained by discrepancies (B.5.1).
PADDED = 16
# Beyond this many dimensions a discrepancy hardly sees how two samples differ.
LARGE = 20
# Standard deviation of a Gaussian over its median absolute value.
GAUSSIAN = 1.4826
# Largest batch unless it is asked for: forward errors fall with the number of steps, and what a
# discrepancy costs rises with the square of a batch.
BATCH = 512


@dataclass(frozen=True)
class INN:
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

    loss: Literal["likelihood", "mmd"] | None = None
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
        for name in ("blocks", "hidden", "depth", "clamp", "bins", "latent", "width", "candidates"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"INN({name}=...) must be positive; got {value!r}")
        if self.loss not in (None, *LOSSES):
            raise ValueError(f"INN(loss=...) must be one of {LOSSES}; got {self.loss!r}")
        if self.transform not in TRANSFORMS:
            known = ", ".join(map(repr, TRANSFORMS))
            raise ValueError(f"INN(transform=...) must be one of {known}; got {self.transform!r}")
        if self.blur is not None and not self.blur[0] >= self.blur[1] > 0:
            raise ValueError(f"INN(blur=...) must be positive and fall; got {self.blur!r}")
        if not (self.widths and min(self.widths) > 0):
            raise ValueError(f"INN(widths=...) must be positive numbers; got {self.widths!r}")
        if not self.terms or set(self.terms) - set(TERMS):
            raise ValueError(f"INN(terms=...) must be some of {TERMS}; got {self.terms!r}")
        if self.tolerance is not None and not self.tolerance >= 0:
            raise ValueError(f"INN(tolerance=...) must not be negative; got {self.tolerance!r}")

    def resolve(self, parameters: int, y: FloatArray) -> INN:
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

    def layout(self, parameters: int, observables: int, givens: int) -> Layout:
        """Give the widths of both sides of resolved settings."""
        assert self.latent is not None
        assert self.width is not None
        return Layout(parameters, observables, self.latent, givens, self.width)

    def schedule(self, training: Training, n_train: int) -> Training:
        """Fill in how to train: with more and smaller steps than a cINN."""
        filled = training.resolve(n_train)
        if training.batch_size:
            return filled
        assert filled.batch_size is not None
        return replace(filled, batch_size=min(filled.batch_size, BATCH))

    def fit(
        self,
        latent: FloatArray,
        observations: Observations,
        train: IntArray,
        validation: IntArray,
        training: Training,
        *,
        seed: int,
        progress: bool = True,
        renew: Renew | None = None,
    ) -> FittedINN:
        """Train on pairs of parameters and observations.

        Parameters
        ----------
        latent : array, shape (rows, dim)
            Parameters on the latent side of the prior.
        observations : Observations
            As many rows.
        train, validation : array of int
            Which rows to use for what.
        training : Training
        seed : int
            Of the initial weights, the mixing matrices and the order of the rows.
        progress : bool
        renew : callable, optional
            Gives the observations of the training rows with noise drawn anew.

        Raises
        ------
        ShapeError
            If observations hold sets, series, images or missing values.
        """
        _check_observations(observations)
        scaling = Scaling.fit(observations[train])

        def scale(latent: FloatArray, observations: Observations) -> Pairs:
            return Pairs.of(latent, scaling.vectors(observations), observations.givens)

        scaled = scale(latent, observations)
        seen = scaled.y[train].numpy()
        settings = self.resolve(latent.shape[1], seen)
        layout = settings.layout(latent.shape[1], seen.shape[1], observations.givens)
        if settings.loss == "mmd" and layout.width > LARGE:
            warnings.warn(
                f"mean discrepancies say little in more than about {LARGE} dimensions; here are "
                f'{layout.width}. INN(loss="likelihood") has no such limit',
                stacklevel=2,
            )
        with seeded(seed):
            network = _network(settings, layout)
        loss = (
            Likelihood(network)
            if settings.loss == "likelihood"
            else MeanDiscrepancy(network, self.widths, self.terms)
        )
        assert settings.blur is not None
        noise = Noise(layout, loss.padding, settings.blur)
        unseen = scaled[torch.from_numpy(validation)]
        history = fit(
            network,
            loss,
            scaled[torch.from_numpy(train)],
            unseen,
            settings.schedule(training, len(train)),
            seed=seed,
            augment=noise,
            renew=None if renew is None else lambda rng: scale(latent[train], renew(rng)),
            score=lambda rows: loss(noise.fixed(rows)),
            quantity=loss.quantity,
            progress=progress,
        )
        exact = categorical(observations.vector[train, : seen.shape[1]])
        residual, typical = _forward_errors(settings, network, unseen, exact)
        return FittedINN(settings, history, scaling, network, residual, typical)


def _check_observations(observations: Observations) -> None:
    kinds = {
        "sets": [name for name in observations.sets if name not in observations.series],
        "series": observations.series,
        "images": observations.grids,
    }
    got = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
    if got or observations.vector.shape[1] == observations.givens:
        raise ShapeError(
            "the bidirectional INN predicts one vector of observables; got "
            f'{"; ".join(got) or "none"}. Use method="cinn"'
        )
    if np.isnan(observations.vector).any():
        raise ShapeError(
            "the bidirectional INN predicts observables, none of which may be missing; got NaN. "
            'Use method="cinn"'
        )


def _forward_errors(
    settings: INN, network: Network, unseen: Pairs, exact: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Give root-mean-square and typical error of each observable, after the last adjustment."""
    if settings.candidates != 1 and not network.layout.padded:
        network.align(unseen)
    with torch.no_grad():
        errors = np.abs(network.residual(unseen).numpy().astype(np.float64))
    typical = np.where(exact, 0.0, GAUSSIAN * np.median(errors, axis=0))
    return np.sqrt((errors**2).mean(axis=0)), typical


def read_inn(config: dict[str, Any], arrays: Mapping[str, Mapping[str, AnyArray]]) -> FittedINN:
    """Read back what `FittedINN.to_arrays` gave."""
    stored = config["settings"]
    tuples = {n: tuple(v) for n, v in stored.items() if isinstance(v, list)}
    settings = INN(**stored | tuples)
    with seeded(0):
        network = _network(settings, Layout(**config["layout"]))
    network.load_state_dict({n: torch.from_numpy(v) for n, v in arrays["weights"].items()})
    network.eval()
    scaling = Scaling.from_arrays(arrays["scaling"])
    history = History.from_config(config["history"])
    return FittedINN(settings, history, scaling, network, **arrays["errors"])


def _network(settings: INN, layout: Layout) -> Network:
    assert settings.blocks is not None
    assert settings.hidden is not None
    return Network(
        layout,
        blocks=settings.blocks,
        hidden=settings.hidden,
        depth=settings.depth,
        transform=settings.transform,
        clamp=settings.clamp,
        bins=settings.bins,
    )
