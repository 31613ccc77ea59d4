"""Several networks, and the mixture of their posteriors."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from scipy.special import softmax

from sbi_inn.errors import NoDensityError
from sbi_inn.methods.cinn.settings import CINN
from sbi_inn.methods.ensemble.fitted import FittedEnsemble, mixture
from sbi_inn.methods.protocols import Fitted, Method, Renew, Weigher
from sbi_inn.observation.batch import Observations
from sbi_inn.simulation.seeds import Stream, sequence
from sbi_inn.training.loop import Training
from sbi_inn.training.workers import cores, train_all, warm_up
from sbi_inn.typing import AnyArray, FloatArray, IntArray

Arrays = Mapping[str, Mapping[str, AnyArray]]

# Members of an ensemble of cINNs, unless it is said.
DEFAULT_MEMBERS = 2

# Rows by which each member's weight is drawn to the others'. Two members that are equally good get
# weights within 1 / sqrt(32 * 16) = .04 (sd) of 1/2, however many validation rows there are;
# one that is worse at all of 1,000 rows gets .016.
PSEUDO_ROWS = 16.0

# Seconds that a step of training takes at the least, and each of its rows; and the work below which
# starting workers costs more than it saves.
STEP, ROW = 3e-3, 1e-5
WORTH_IT = 6.0


def default_members(method: Method) -> int:
    """Say how many networks of a method to train unless it is said."""
    if isinstance(method, Ensemble):
        return method.members
    return DEFAULT_MEMBERS if isinstance(method, CINN) else 1


@dataclass(frozen=True)
class Ensemble:
    """A mixture of networks that differ in their initial weights and in the order of the rows.

    Parameters
    ----------
    method : Method
        Settings of each network.
    members : int
    n_jobs : int
        Processes to train on; -1 for all cores. It does not change the result: each network is
        trained with one thread.

    Raises
    ------
    ValueError
        If there is no member.
    """

    name: ClassVar[str] = "ensemble"

    method: Any
    members: int
    n_jobs: int = field(default=-1, compare=False)

    def __post_init__(self) -> None:
        if not self.members >= 1:
            raise ValueError(f"Ensemble(members=...) must be positive; got {self.members!r}")

    @property
    def label(self) -> str:
        """What its members are called."""
        return self.method.label

    @property
    def uses_prior(self) -> bool:
        """Whether its members need the density of the prior."""
        return getattr(self.method, "uses_prior", False)

    def schedule(self, training: Training, n_train: int) -> Training:
        """Fill in what is None of how to train each member."""
        return self.method.schedule(training, n_train)

    def prepare(self, training: Training, n_train: int) -> None:
        """Let workers start, if training will need them."""
        processes = self._processes(training, n_train)
        if processes > 1:
            warm_up(processes)

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
    ) -> FittedEnsemble:
        """Train the members, and weigh them by their densities of the validation rows.

        Members whose loss turned non-finite are left out, unless all did.

        Parameters
        ----------
        latent : array, shape (rows, dim)
            Parameters on the latent side of the prior.
        observations : Observations
            As many rows.
        train, validation : array of int
            Which rows to use for what.
        training : Training
            Of each member; those that follow each other on one core share `max_seconds`, in
            which the start of workers (some seconds, where there are none) does not count.
        seed : int
            Of the members' seeds.
        progress : bool
            Show one progress bar for all members.
        renew : callable, optional
            Gives the observations of the training rows with noise drawn anew.

        Raises
        ------
        ShapeError
            If the method does not take such observations.
        """
        start = time.perf_counter()
        processes = self._processes(training, len(train))
        shared = _share(training, math.ceil(self.members / processes))
        table = (latent, observations, train, validation, shared)
        anew = {} if renew is None else {"renew": renew}
        jobs = [partial(_train, self.method, *table, s, anew) for s in _seeds(seed, self.members)]
        trained = train_all(jobs, processes, progress=progress)
        interrupted = len(trained) < len(jobs) or any(one.interrupted for one in trained)
        kept = _converged(trained)
        return mixture(
            replace(self, method=kept[0].fitted.settings),
            tuple(one.fitted for one in kept),
            stacked(np.stack([one.log_density for one in kept])),
            seconds=time.perf_counter() - start,
            interrupted=interrupted,
        )

    def _processes(self, training: Training, n_train: int) -> int:
        """Count the processes to train on; a short training stays in this one."""
        filled = self.schedule(training, n_train).resolve(n_train)
        assert filled.epochs is not None
        assert filled.batch_size is not None
        steps = filled.epochs * max(1, n_train // filled.batch_size)
        seconds = self.members * steps * (STEP + ROW * filled.batch_size)
        seconds = min(seconds, filled.max_seconds or math.inf)
        return 1 if seconds < WORTH_IT else cores(self.n_jobs, self.members)


def stacked(log_density: FloatArray) -> FloatArray:
    """Find the weights under which the mixture gives most density to validation rows.

    By expectation-maximisation, with `PSEUDO_ROWS` rows for each member beside those that are
    given: with few rows, noise does not decide.

    Parameters
    ----------
    log_density : array, shape (members, rows)
        A row that no member gives any density to says nothing.

    Returns
    -------
    array, shape (members,)
        Positive, of sum 1.

    Examples
    --------
    >>> stacked(np.array([[-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0]]))
    array([0.5, 0.5])
    >>> stacked(np.stack([np.zeros(1_000), np.full(1_000, -9.0)])).round(3)
    array([0.984, 0.016])
    """
    known = np.isfinite(log_density)
    log_density = np.where(known, log_density, -np.inf)[:, known.any(axis=0)]
    members, rows = log_density.shape
    weights = np.full(members, 1 / members)
    for _ in range(1_000):
        shares = softmax(log_density + np.log(weights)[:, None], axis=0).sum(axis=1)
        before, weights = weights, (shares + PSEUDO_ROWS) / (rows + members * PSEUDO_ROWS)
        if np.abs(weights - before).max() < 1e-6:
            break
    return weights


def read_ensemble(
    config: dict[str, Any], arrays: Arrays, read: Callable[[dict[str, Any], Arrays], Fitted]
) -> FittedEnsemble:
    """Read back what `FittedEnsemble.to_arrays` gave; `read` reads a member."""
    members = []
    for place, one in enumerate(config["members"]):
        prefix = f"member{place}-"
        groups = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        members.append(read(one, groups))
    weights = arrays["mixture"]["weights"]
    if not members or weights.shape != (len(members),):
        raise ValueError(f"{len(members)} members, and weights of shape {weights.shape}")
    return mixture(
        Ensemble(members[0].settings, config["asked"]),
        tuple(members),
        weights,
        seconds=config["seconds"],
        interrupted=config["interrupted"],
    )


@dataclass(frozen=True)
class _Member:
    """A trained network, and its log density of the validation rows."""

    fitted: Fitted
    log_density: FloatArray

    @property
    def interrupted(self) -> bool:
        return self.fitted.history.stopped == "interrupted"


def _train(
    method: Method,
    latent: FloatArray,
    observations: Observations,
    train: IntArray,
    validation: IntArray,
    training: Training,
    seed: int,
    anew: Mapping[str, Any],
) -> _Member:
    """Train a member; it runs in a process of its own."""
    fitted = method.fit(
        latent, observations, train, validation, training, seed=seed, progress=False, **anew
    )
    return _Member(fitted, _score(fitted, latent[validation], observations[validation]))


def _score(fitted: Fitted, latent: FloatArray, observations: Observations) -> FloatArray:
    """Log density of each row; where it takes an integral, or there is none, weights are equal."""
    if isinstance(fitted, Weigher) and fitted.evaluations > 1:
        return np.zeros(len(latent))
    try:
        return fitted.log_prob(latent, observations)
    except NoDensityError:
        return np.zeros(len(latent))


def _converged(trained: list[_Member]) -> list[_Member]:
    """Leave out members whose loss turned non-finite, unless all of them did."""
    kept = [one for one in trained if one.fitted.history.stopped != "diverged"]
    if kept and len(kept) < len(trained):
        warnings.warn(
            f"the loss of {len(trained) - len(kept)} of {len(trained)} networks turned non-finite: "
            "they are left out. A smaller Training(learning_rate=...) may help",
            stacklevel=3,
        )
    return kept or trained


def _seeds(seed: int, members: int) -> list[int]:
    """Give each member its seed, which is the same in a larger ensemble."""
    children = [sequence(seed, Stream.ENSEMBLE_MEMBERS, i) for i in range(members)]
    return [int(child.generate_state(1)[0]) for child in children]


def _share(training: Training, turns: int) -> Training:
    """Share a budget of time among members that follow each other on one core."""
    if training.max_seconds is None:
        return training
    return replace(training, max_seconds=training.max_seconds / turns)
