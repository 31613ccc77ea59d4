"""The front door: `fit_posterior`, from a simulator to a posterior."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.errors import PriorError
from sbi_inn.methods import Emulator, Fitted, Method, choose, fitting
from sbi_inn.methods.protocols import declared
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.posterior import Posterior
from sbi_inn.prior import Prior
from sbi_inn.simulation.apply_noise import apply_noise
from sbi_inn.simulation.failure import carry
from sbi_inn.simulation.noise import Noise
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.registry import as_problem
from sbi_inn.simulation.run import DEFAULT, run
from sbi_inn.simulation.seeds import fresh_seed
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.tables import is_table, read_simulations, with_prior
from sbi_inn.training.settings import Training
from sbi_inn.training.stated import check_seed

Table = pd.DataFrame | xr.Dataset | str | Path

# Errors of a forward prediction, in spreads of the observables, above which a warning is due.
LARGE_ERROR = 0.05


def fit_posterior(
    simulator: Callable[..., Any] | Problem | Simulations | Table,
    prior: Prior | None = None,
    *,
    n_simulations: int | None = None,
    method: Method | str = "cinn",
    training: Training | None = None,
    summary: Any = "auto",
    infer: Sequence[str] | None = None,
    given: Mapping[str, Any] | None = None,
    noise: Noise | Callable[..., Any] | None = None,
    ensemble: int | None = None,
    n_jobs: int = -1,
    seed: int | None = None,
    progress: bool = True,
) -> Posterior:
    """Simulate, train, and hold out a test set.

    Parameters
    ----------
    simulator : callable, Problem, str, Simulations or table
        A callable with its prior, a Problem, the name of a registered one, or simulations
        already done: those of `read_simulations`, or with their prior a DataFrame, a Dataset or
        the path of a table, whose other columns of numbers are observables then.
    prior : Prior, optional
        Named scipy distributions; needed with a callable and with a bare table. With simulations
        it states what they were drawn from, and is compared with them.
    n_simulations : int, optional
        Default 10,000, if that takes less than ten minutes.
    method : CINN, INN or str
        Settings of the method; "cinn" is short for `CINN()`, "inn" for `INN()`. One of your own
        needs a `label` and a `fit` like theirs.
    training : Training, optional
        How long and how to train; what is not said follows from the simulations.
    summary : "auto" or torch.nn.Module
        A network of your own that sums up observations, in place of ours (method "cinn"). Its
        `forward` gets one argument and returns features of shape (batch, features). Where there is
        one observable, of fixed shape, and no given that varies, the argument is a float32 tensor
        of shape ``(batch, *shape)``; else a dict of such tensors by name: (batch,) for a number or
        a given that varies; ``(batch, longest, *entry)`` for a column of a set or series, padded
        with zeros; and under the name of each length the mask of the entries, bool of shape (batch,
        longest). Everything is scaled to median 0 and a spread of 1, pixels by channel; beyond 5 it
        grows like a logarithm; a missing value is 0. Networks are trained on copies, whose layers
        get new weights from their `reset_parameters`, as all of torch's have it; frozen ones keep
        theirs.
    infer : sequence of str, optional
        The parameters to infer. The others are nuisances: drawn and simulated, and averaged over.
        With a dependent parameter come those that its distribution follows from. What simulates
        again at the posterior needs all parameters and is skipped.
    given : mapping, optional
        What is known and not inferred: numbers, or what is drawn for every simulation: frozen scipy
        distributions, such as `{"n_trials": st.randint(80, 901)}`; arrays whose rows are drawn,
        such as the error bars of a catalogue; functions of parameters, earlier givens and `rng`,
        called with arrays.
    noise : callable, optional
        What happens to the observables after the simulator, such as measurement errors and gaps:
        from observables, givens and `rng`, those that its signature names, to the observables that
        it changes, one simulation at a time (`@si.simulator(batched=True)`: many). NaN is a missing
        value. It is drawn anew in every pass over the simulations.
    ensemble : int, optional
        How many networks to train; the posterior is their mixture. By default 4 with method
        "cinn", and else 1.
    n_jobs : int
        Processes to simulate and to train an ensemble on; -1 for all cores. It does not change the
        result.
    seed : int, optional
        Of everything random; by default fresh entropy, recorded in `posterior.seed`.
    progress : bool
        Say what was understood, and show progress bars.

    Returns
    -------
    Posterior

    Raises
    ------
    PriorError
        If the prior is missing or cannot be used, or `infer` names what is no parameter.
    SimulationError
        If the simulator cannot be used, too few simulations succeed, or the method does not take
        such observations.
    TypeError, ValueError
        If a setting cannot be: before anything is simulated.

    Whatever is raised once there are simulations, Ctrl-C included, has them as `.simulations`.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.stats as st
    >>> import sbi_inn as si
    >>> def throw(speed, angle):
    ...     return {"reach": speed**2 * np.sin(2 * angle) / 9.81}
    >>> prior = si.Prior(speed=st.uniform(1, 9), angle=st.uniform(0.2, 1.1))
    >>> posterior = si.fit_posterior(
    ...     throw, prior, n_simulations=500, training=si.Training(epochs=2), seed=1, progress=False
    ... )
    >>> posterior.sample({"reach": 4.0}, 3).sizes
    Frozen({'draw': 3})
    """
    chosen = choose(method, summary=summary, ensemble=ensemble, n_jobs=n_jobs)
    training = _checked(training, n_simulations, seed)
    seed = fresh_seed(seed)
    if isinstance(simulator, Simulations | pd.DataFrame | xr.Dataset | Path) or is_table(simulator):
        already = _already_done(simulator, prior, progress)
        problem, simulations = None, apply_noise(already, given, noise, seed=seed)
    else:
        problem = as_problem(simulator, prior, given, noise)
        if infer is not None:
            problem.prior.marginal(infer)  # a wrong name shows before anything is simulated
        declared(chosen, "prepare")(training, n_simulations or DEFAULT)
        simulations = run(problem, n=n_simulations, n_jobs=n_jobs, seed=seed, progress=progress)
    try:
        simulations = simulations.inferring(infer)
        _say_failures(simulations, progress)
        fitted, parts = fitting.fit(simulations, chosen, training, seed=seed, progress=progress)
        _warn_if_diverged(fitted)
        core = Core(
            fitted,
            simulations,
            parts.test,
            seed=seed,
            n_simulations=len(simulations),
            training=training,
            problem=problem,
        )
        if isinstance(fitted, Emulator):
            _say_errors(fitted, core.schema.columns, progress)
        return Posterior(core)
    except BaseException as error:
        carry(error, simulations)
        raise


def _checked(training: Training | None, n_simulations: Any, seed: Any) -> Training:
    """Look at what is stated, before anything is simulated."""
    n = 1 if n_simulations is None else n_simulations
    if isinstance(n, bool) or not isinstance(n, int | float | np.integer) or not n >= 1 or n % 1:
        raise SimulationError(f"n_simulations must be a whole number, at least 1; got {n!r}")
    check_seed(seed)
    if training is None:
        return Training()
    if not isinstance(training, Training):
        raise TypeError(f"expected training=si.Training(...); got {training!r:.80}")
    return training


def _already_done(table: Any, prior: Prior | None, progress: bool) -> Simulations:
    """Take simulations as they are, with a prior that is stated now, or read them."""
    if isinstance(table, Simulations):
        return table if prior is None else with_prior(table, prior)
    if prior is None:
        raise PriorError(
            "a table needs to say which columns are parameters: state its prior, or read it with "
            "read_simulations(table, parameters=[...])"
        )
    return read_simulations(table, parameters=prior.names, prior=prior, progress=progress)


def _warn_if_diverged(fitted: Fitted) -> None:
    if fitted.history.stopped == "diverged":
        warnings.warn(
            f"the loss turned non-finite after {fitted.history.steps:,} steps: training ended "
            "there, with the best weights so far. A smaller Training(learning_rate=...) may help",
            stacklevel=3,
        )


def _say_errors(emulator: Emulator, columns: Sequence[str], progress: bool) -> None:
    """Say how well the observables are predicted; noise and steps cannot be."""
    errors = dict(zip(columns, emulator.residual, strict=False))
    said = ", ".join(f"{name} by {error:.2g}" for name, error in errors.items())
    if progress:
        print(f"the forward network misses {said} spreads")
    large = {name: error for name, error in errors.items() if error > LARGE_ERROR}
    if large:
        worst = max(large, key=large.__getitem__)
        warnings.warn(
            f"the forward network misses {worst} by {large[worst]:.2g} of its spread: the "
            "simulator is noisy or discontinuous there, or simulations and training are too few. "
            'A noisy or discontinuous one is the case for method="cinn"',
            stacklevel=3,
        )


def _say_failures(simulations: Simulations, progress: bool) -> None:
    failed = len(simulations) - len(simulations.ok)
    if failed and progress:
        print(
            f"{failed:,} of {len(simulations):,} simulations failed, "
            f"{failed / len(simulations):.1%} of the prior's mass: the posterior knows nothing "
            "there. See posterior.simulations.failures"
        )
