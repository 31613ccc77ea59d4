"""The bidirectionally trained invertible network (dissertation, ch. 4)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sbi_inn.errors import NoDensityError, ShapeError
from sbi_inn.inn import TRANSFORMS
from sbi_inn.methods.bidirectional import (
    TERMS,
    Layout,
    Likelihood,
    MeanDiscrepancy,
    Network,
    Noise,
    Pairs,
    latents_for,
)
from sbi_inn.methods.bidirectional.importance import ROWS, Candidates, candidates, log_normal
from sbi_inn.schema import Observations
from sbi_inn.summary import Scaling
from sbi_inn.training import History, Training, fit, seeded

FloatArray = npt.NDArray[np.float64]

LOSSES = ("likelihood", "mmd")

# Nominal width of a padded network that is trained by discrepancies (B.5.1).
PADDED = 16
# Beyond this many dimensions a discrepancy hardly sees how two samples differ.
LARGE = 20
# Candidates that the integral of a density is estimated from.
INTEGRAL = 16_384


@dataclass(frozen=True)
class INN:
    """A network that learns a deterministic simulator forwards, and is inverted for posteriors.

    It maps parameters x to the observables y and to latents z that hold what y does not say; a
    posterior draw is the way back from the observation and a random z. For continuous parameters,
    one vector of observables, and simulators with little noise.

    Parameters
    ----------
    loss : {"likelihood", "mmd"}
        Maximum likelihood of (y, z), or the squared error of y with mean discrepancies of (y, z)
        and x (sec. 4.1.2).
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
    blur : (float, float)
        Standard deviation of the noise added to scaled observables, at the start of training and
        from 70 % of it on.
    widths : tuple of float
        Of the kernel, in units of the parameters' and observables' spread ("mmd").
    terms : tuple of {"y", "z", "x"}
        Which of the losses to use ("mmd"): the ablations of fig. 4.2 leave some out.
    candidates : int
        Candidates for each draw, of which one is chosen by the prior's density over the network's
        own. 1: the network's own draws, as in the dissertation. More need a network that is trained
        by likelihood, or not padded.
    tolerance : float or None
        Standard deviation of the observation, in units of the observables' spread: a draw is
        the way back from an observation drawn around y. None: the error of the network's own
        forward prediction, on validation rows. 0: exactly y, as in the dissertation; such draws
        have no density.
    """

    name: ClassVar[str] = "inn"
    label: ClassVar[str] = "INN"

    loss: Literal["likelihood", "mmd"] = "likelihood"
    blocks: int | None = None
    hidden: int | None = None
    depth: int = 2
    transform: Literal["affine", "spline", "mixed"] = "affine"
    clamp: float = 2.0
    bins: int = 8
    latent: int | None = None
    width: int | None = None
    blur: tuple[float, float] = (1.0, 0.01)
    widths: tuple[float, ...] = (0.2, 0.5, 1.2)
    terms: tuple[str, ...] = TERMS
    candidates: int = 4
    tolerance: float | None = None

    def __post_init__(self) -> None:
        for name in ("blocks", "hidden", "depth", "clamp", "bins", "latent", "width", "candidates"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"INN({name}=...) must be positive; got {value!r}")
        if self.loss not in LOSSES:
            raise ValueError(f"INN(loss=...) must be one of {LOSSES}; got {self.loss!r}")
        if self.transform not in TRANSFORMS:
            known = ", ".join(map(repr, TRANSFORMS))
            raise ValueError(f"INN(transform=...) must be one of {known}; got {self.transform!r}")
        if not self.blur[0] >= self.blur[1] > 0:
            raise ValueError(f"INN(blur=...) must be positive and fall; got {self.blur!r}")
        if not (self.widths and min(self.widths) > 0):
            raise ValueError(f"INN(widths=...) must be positive numbers; got {self.widths!r}")
        if not self.terms or set(self.terms) - set(TERMS):
            raise ValueError(f"INN(terms=...) must be some of {TERMS}; got {self.terms!r}")
        if self.tolerance is not None and not self.tolerance >= 0:
            raise ValueError(f"INN(tolerance=...) must not be negative; got {self.tolerance!r}")

    def resolve(self, n_train: int) -> INN:
        """Fill in the size of the network."""
        hidden = self.hidden or (128 if n_train > 5_000 else 64)
        return replace(self, blocks=self.blocks or 8, hidden=hidden)

    def layout(self, parameters: int, y: FloatArray, givens: int) -> Layout:
        """Choose the widths of both sides (sec. 4.1.1).

        Parameters
        ----------
        parameters : int
        y : array, shape (rows, observables)
            Scaled observables of training rows.
        givens : int
        """
        latent = self.latent or latents_for(parameters, y)
        needed = max(parameters, y.shape[1] + latent)
        if self.loss == "mmd":
            padded = needed > min(parameters, y.shape[1] + latent)
            width = self.width or (max(needed, PADDED) if padded else needed)
        else:
            # What would be padding beside z is more of z: both are standard normal.
            width = self.width or needed
            latent = max(latent, width - y.shape[1])
        return Layout(parameters, y.shape[1], latent, givens, width)

    def fit(
        self,
        latent: FloatArray,
        observations: Observations,
        train: npt.NDArray[np.int64],
        validation: npt.NDArray[np.int64],
        training: Training,
        *,
        seed: int,
        progress: bool = True,
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

        Raises
        ------
        ShapeError
            If observations hold sets.
        """
        if observations.sets or observations.vector.shape[1] == observations.givens:
            raise ShapeError(
                "the bidirectional INN predicts one vector of observables; got "
                f"{'sets: ' + ', '.join(observations.sets) if observations.sets else 'none'}. "
                'Use method="cinn"'
            )
        scaling = Scaling.fit(observations[train])
        scaled = Pairs.of(latent, scaling.vectors(observations), observations.givens)
        layout = self.layout(latent.shape[1], scaled.y[train].numpy(), observations.givens)
        if self.loss == "mmd" and layout.width > LARGE:
            warnings.warn(
                f"mean discrepancies say little in more than about {LARGE} dimensions; here are "
                f'{layout.width}. INN(loss="likelihood") has no such limit',
                stacklevel=2,
            )
        settings = self.resolve(len(train))
        with seeded(seed):
            network = _network(settings, layout)
        loss = (
            Likelihood(network)
            if self.loss == "likelihood"
            else MeanDiscrepancy(network, self.widths, self.terms)
        )
        noise = Noise(layout, loss.padding, self.blur)
        history = fit(
            network,
            loss,
            scaled[torch.from_numpy(train)],
            scaled[torch.from_numpy(validation)],
            training,
            seed=seed,
            augment=noise,
            score=lambda rows: loss(noise.fixed(rows)),
            quantity=loss.quantity,
            progress=progress,
        )
        with torch.no_grad():
            errors = network.residual(scaled[torch.from_numpy(validation)])
        residual = errors.square().mean(dim=0).sqrt().numpy().astype(np.float64)
        return FittedINN(settings, history, scaling, network, residual)


@dataclass(frozen=True)
class FittedINN:
    """A trained bidirectional network.

    Attributes
    ----------
    residual : array, shape (observables,)
        Root-mean-square error of the forward prediction on validation rows, in units of the
        observables' spread.
    """

    settings: INN
    history: History
    scaling: Scaling
    network: Network
    residual: FloatArray

    @property
    def weighted(self) -> bool:
        """Whether draws are chosen by weight: padding with zeros leaves no density to weigh by."""
        return self.settings.candidates > 1 and not self._zero_padded

    @property
    def tolerance(self) -> FloatArray:
        """Standard deviation of each observable that draws allow for, in units of its spread."""
        if self.settings.tolerance is None:
            return self.residual
        return np.full_like(self.residual, self.settings.tolerance)

    @torch.inference_mode()
    def sample(self, observations: Observations, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw `n` for each observation, shape (observations, n, dim)."""
        seen = self._read(observations)
        each = n * self.settings.candidates if self.weighted else n
        together = max(1, ROWS // each)
        draws = np.empty((len(seen), n, self.network.layout.parameters))
        for start in range(0, len(seen), together):
            here = slice(start, start + together)
            found = self._candidates(seen.y[here], seen.given[here], each, rng)
            draws[here] = (found.choose(n, rng) if self.weighted else found.x).numpy()
        return draws

    @torch.inference_mode()
    def log_prob(self, latent: FloatArray, observations: Observations) -> FloatArray:
        """Log density of rows (batch, dim), given as many observations or one for all.

        That of the draws. With a choice among candidates: prior times N(f_y(x); y, tolerance^2),
        divided by its integral, which is estimated from 16,384 candidates. Without: the network's
        own, N(f_y(x); y, tolerance^2) N(f_z(x); 0, I) |det df/dx|.

        Raises
        ------
        NoDensityError
            If the network is padded or the tolerance is zero.
        """
        self._needs_density()
        seen = self._read(observations)
        x = torch.from_numpy(latent.astype(np.float32))
        given, y = (v.expand(len(x), -1) for v in (seen.given, seen.y))
        parts = zip(x.split(ROWS), given.split(ROWS), strict=True)
        out = [self.network(a, a.new_zeros(len(a), 0), b) for a, b in parts]
        predicted, z, _, log_det = (torch.cat(part) for part in zip(*out, strict=True))
        tolerance = torch.from_numpy(self.tolerance)
        near = log_normal((predicted - y) / tolerance) - tolerance.log().sum()
        if self.weighted:
            return (near + log_normal(x) - self._log_mass(seen)).numpy()
        return (near + log_normal(z) + log_det).numpy()

    @torch.inference_mode()
    def decode(self, observation: Observations, latent: FloatArray) -> FloatArray:
        """Find the parameters (n, dim) that latents (n, latent) stand for, at one observation."""
        seen, layout = self._read(observation), self.network.layout
        z = torch.from_numpy(latent.astype(np.float32))
        y, given = (v.expand(len(z), -1) for v in (seen.y, seen.given))
        back = self.network.inverse(y, z, z.new_zeros(len(z), layout.padding[1]), given)
        return back.x.numpy().astype(np.float64)

    @torch.inference_mode()
    def emulate(self, latent: FloatArray, givens: FloatArray) -> FloatArray:
        """Predict observables (n, observables) from parameters (n, dim) and givens (n, givens)."""
        layout = self.network.layout
        unknown = np.zeros((len(latent), layout.observables))
        seen = self._read(Observations(np.hstack([unknown, givens]), {}, layout.givens))
        x = torch.from_numpy(latent.astype(np.float32))
        out = self.network(x, x.new_zeros(len(x), layout.padding[0]), seen.given)
        return self.scaling.unscale(out.y.numpy())

    @property
    def remark(self) -> str:
        """How closely draws keep to the observation."""
        if not self.tolerance.any():
            return "draws at exactly the observation (tolerance 0)"
        said = ", ".join(f"{t:.2g}" for t in np.unique(self.tolerance)[[0, -1]])
        return f"draws within the tolerance {said} spreads of the observation"

    def at_tolerance(self, tolerance: float | None) -> FittedINN:
        """Give the same network with another standard deviation of the observation."""
        return replace(self, settings=replace(self.settings, tolerance=tolerance))

    @property
    def latent_dim(self) -> int:
        """How many latents a draw comes from."""
        return self.network.layout.latent

    def describe(self) -> str:
        """Say what it is in half a line."""
        s = self.settings
        weights = sum(p.numel() for p in self.network.parameters())
        how = "likelihood" if s.loss == "likelihood" else "mean discrepancies"
        return (
            f"INN by {how} of {s.blocks} {s.transform} coupling blocks, {weights:,} weights, from "
            f"{self.network.layout.describe()}"
        )

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, dict[str, npt.NDArray[Any]]]]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        config = {
            "name": INN.name,
            "settings": asdict(self.settings),
            "history": self.history.to_config(),
            "layout": asdict(self.network.layout),
        }
        weights = {n: v.numpy() for n, v in self.network.state_dict().items()}
        scaling = {"vector": self.scaling.vector}
        residual = {"residual": self.residual}
        return config, {"weights": weights, "scaling": scaling, "errors": residual}

    @classmethod
    def from_arrays(
        cls, config: dict[str, Any], arrays: Mapping[str, Mapping[str, npt.NDArray[Any]]]
    ) -> FittedINN:
        """Read back what `to_arrays` gave."""
        stored = config["settings"]
        tuples = {n: tuple(v) for n, v in stored.items() if isinstance(v, list)}
        settings = INN(**stored | tuples)
        with seeded(0):
            network = _network(settings, Layout(**config["layout"]))
        network.load_state_dict({n: torch.from_numpy(v) for n, v in arrays["weights"].items()})
        network.eval()
        scaling = Scaling(arrays["scaling"]["vector"], {})
        history = History.from_config(config["history"])
        return cls(settings, history, scaling, network, arrays["errors"]["residual"])

    # -- helpers -----------------------------------------------------------------------------------

    @property
    def _zero_padded(self) -> bool:
        return self.settings.loss == "mmd" and self.network.layout.padded

    def _read(self, observations: Observations) -> Pairs:
        """Scale observations; the parameters beside them are unknown."""
        vectors = self.scaling.vectors(observations)
        return Pairs.of(np.empty((len(observations), 0)), vectors, observations.givens)

    def _candidates(self, y: Tensor, given: Tensor, n: int, rng: np.random.Generator) -> Candidates:
        return candidates(
            self.network,
            y,
            given,
            n,
            rng,
            tolerance=torch.from_numpy(self.tolerance.astype(np.float32)),
            padding=MeanDiscrepancy.padding if self._zero_padded else 0.0,
        )

    def _log_mass(self, seen: Pairs) -> Tensor:
        """Log of the integral that normalises the density of each observation."""
        found = []
        for y, given in zip(seen.y.split(1), seen.given.split(1), strict=True):
            rng = np.random.default_rng(0)  # the same candidates at every call: one density
            found.append(self._candidates(y, given, INTEGRAL, rng).log_mass)
        return torch.cat(found)

    def _needs_density(self) -> None:
        layout = self.network.layout
        if layout.padded:
            raise NoDensityError(
                f"this INN maps {layout.describe()}: with padding there is no density of the "
                'parameters. Fit with method="cinn", or INN(latent='
                f"{max(1, layout.parameters - layout.observables)}) where observables are fewer "
                "than parameters"
            )
        if not self.tolerance.all():
            raise NoDensityError(
                "draws at exactly the observation (tolerance 0) lie on a surface and have no "
                "density; use posterior.at_tolerance(...) with a positive one"
            )


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
