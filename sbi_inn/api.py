"""The front doors: `fit_posterior`, from a simulator to a posterior, and `compare_models`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.comparison import fitting as comparing
from sbi_inn.comparison.comparison import ModelComparison
from sbi_inn.comparison.core import log_prior_of
from sbi_inn.comparison.gathering import Model, carrying, gather
from sbi_inn.errors import PriorError
from sbi_inn.methods import Emulator, Fitted, Method, choose, fitting, for_prior
from sbi_inn.methods.ib_inn.method import IBINN
from sbi_inn.methods.protocols import declared
from sbi_inn.posterior.core import Core
from sbi_inn.posterior.posterior import Posterior
from sbi_inn.posterior.provenance import Provenance
from sbi_inn.prior import Prior, as_prior
from sbi_inn.simulation.apply_noise import apply_noise
from sbi_inn.simulation.failure import carry
from sbi_inn.simulation.noise import Noise
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.registry import as_problem
from sbi_inn.simulation.run import DEFAULT, run
from sbi_inn.simulation.seeds import fresh_seed
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.simulation.where_failed import where_failed
from sbi_inn.tables import is_table, read_simulations, with_prior
from sbi_inn.training.settings import Training
from sbi_inn.training.stated import check_jobs, check_number, check_seed

Table = pd.DataFrame | xr.Dataset | str | Path

# Errors of a forward prediction, in spreads of the observables, above which a warning is due.
LARGE_ERROR = 0.05


def fit_posterior(
    simulator: Callable[..., Any] | Problem | Simulations | Table,
    prior: Prior | Mapping[str, Any] | None = None,
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
    prior : Prior or mapping, optional
        Named scipy distributions; needed with a callable and with a bare table. With simulations
        it states what they were drawn from, and is compared with them.
    n_simulations : int, optional
        Default 10,000, if that takes less than ten minutes.
    method : CINN, FieldCINN, INN or str
        Settings of the method; "cinn" is short for `CINN()`, or for `FieldCINN()` where the prior
        has a field, "inn" for `INN()`. One of your own needs a `label` and a `fit` like theirs.
    training : Training, optional
        How long and how to train; what is not said follows from the simulations.
    summary : "auto" or torch.nn.Module
        A network of your own that sums up observations, in place of ours (method "cinn"). Its
        `forward` gets one argument and returns features of shape (batch, features). Where there is
        one observable, of fixed shape, and no given that varies, the argument is a float32 tensor
        of shape (batch, *shape); else a dict of such tensors by name: (batch,) for a number or a
        given that varies; (batch, longest, *entry) for a column of a set or series, padded
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
        from observables, parameters, givens and `rng`, those that its signature names, to the
        observables that it changes, one simulation at a time (`@si.simulator(batched=True)`: many).
        NaN is a missing value. It is drawn anew in every pass over the simulations.
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
    prior = None if prior is None else as_prior(prior)
    chosen = choose(method, summary=summary, ensemble=ensemble, n_jobs=n_jobs)
    training = _checked(training, n_simulations, seed)
    seed = fresh_seed(seed)
    if isinstance(simulator, Simulations | pd.DataFrame | xr.Dataset | Path) or is_table(simulator):
        already = _already_done(simulator, prior, progress)
        problem = _simulated_with(already, given, noise)
        simulations = apply_noise(already, given, noise, seed=seed)
        chosen = for_prior(chosen, simulations.inferring(infer).prior)
    else:
        problem = as_problem(simulator, prior, given, noise)
        # A wrong name, or method, shows before anything is simulated.
        inferred = problem.prior if infer is None else problem.prior.marginal(infer)
        chosen = for_prior(chosen, inferred)
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
            n_simulations=len(simulations.ok),
            training=replace(training, checkpoint=None),
            problem=problem,
            provenance=Provenance.of(problem),
        )
        if isinstance(fitted, Emulator):
            _say_errors(fitted, core.schema.columns, progress)
        return Posterior(core)
    except BaseException as error:
        carry(error, simulations)
        raise


def compare_models(
    models: Mapping[str, Model],
    *,
    n_simulations: int | None = None,
    prior: Mapping[str, float] | None = None,
    method: IBINN | None = None,
    training: Training | None = None,
    ensemble: int = 4,
    n_jobs: int = -1,
    seed: int | None = None,
    progress: bool = True,
) -> ModelComparison:
    """Simulate several models, and learn which of them made an observation.

    Parameters
    ----------
    models : mapping of str to Problem, str or Simulations
        The candidates by name: problems, names of registered ones, or simulations already done. All
        have the same observables and the same givens, whose distributions agree; parameters may
        differ.
    n_simulations : int, optional
        Of each model. By default 10,000, if that takes less than ten minutes, and 30,000 where
        these are done in seconds.
    prior : mapping of str to float, optional
        Prior probabilities of the models; by default they are equal. Others may be stated
        afterwards.
    method : IBINN, optional
        Settings of the networks.
    training : Training, optional
        How long and how to train; what is not said follows from the simulations.
    ensemble : int
        How many networks to train.
    n_jobs : int
        Processes to simulate and to train on; -1 for all cores. It does not change the result.
    seed : int, optional
        Of everything random; by default fresh entropy, recorded in `comparison.seed`.
    progress : bool
        Say what was understood, and show progress bars.

    Returns
    -------
    ModelComparison

    Raises
    ------
    ComparisonError
        If there are fewer than two models, their observables or givens differ, or prior
        probabilities are none.
    SimulationError
        If a model cannot be simulated, or too few of its simulations succeed.
    TypeError, ValueError
        If a setting cannot be.

    Whatever is raised once there are simulations has them as `.simulations`, by model.

    Examples
    --------
    >>> import scipy.stats as st
    >>> import sbi_inn as si
    >>> def narrow(mean, rng):
    ...     return {"x": mean + rng.normal(0, 1)}
    >>> def wide(mean, rng):
    ...     return {"x": mean + rng.normal(0, 3)}
    >>> prior = si.Prior(mean=st.norm(0, 1))
    >>> comparison = si.compare_models(
    ...     {"narrow": si.Problem(narrow, prior), "wide": si.Problem(wide, prior)},
    ...     n_simulations=500, training=si.Training(epochs=2), ensemble=1, seed=1, progress=False,
    ... )
    >>> comparison.probabilities({"x": 8.0}).idxmax()
    'wide'
    """
    training = _checked(training, n_simulations, seed)
    check_number("ensemble", ensemble, whole=True)
    check_jobs(n_jobs)
    if method is not None and not isinstance(method, IBINN):
        raise TypeError(f"expected method=si.IBINN(...); got {method!r:.80}")
    if isinstance(models, Mapping):
        log_prior_of(tuple(models), prior)  # what is wrong shows before anything is simulated
    seed = fresh_seed(seed)
    tables, problems = gather(models, n=n_simulations, n_jobs=n_jobs, seed=seed, progress=progress)
    with carrying(tables):
        core = comparing.fit(
            tables,
            problems,
            method or IBINN(),
            training,
            prior=prior,
            members=ensemble,
            n_jobs=n_jobs,
            seed=seed,
            progress=progress,
        )
        return ModelComparison(core)


def _checked(training: Training | None, n_simulations: Any, seed: Any) -> Training:
    """Look at what is stated, before anything is simulated."""
    n = 1 if n_simulations is None else n_simulations
    if isinstance(n, bool) or not isinstance(n, int | float | np.integer) or not n >= 1 or n % 1:
        raise SimulationError(f"n_simulations must be a whole number, at least 1; got {n!r}")
    check_seed(seed)
    if training is None:
        return Training()
    if not isinstance(training, Training):
        line = (
            ", ".join(f"{k}={v!r}" for k, v in training.items())
            if isinstance(training, dict)
            else "..."
        )
        raise TypeError(f"expected training=si.Training({line}); got {training!r:.80}")
    if training.checkpoint is None:
        return training
    if seed is None:
        raise ValueError(
            "a training with a checkpoint goes on where the same seed is stated again: "
            "fit_posterior(..., seed=1); got seed=None"
        )
    return replace(training, checkpoint=Path(training.checkpoint).resolve())


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


def _simulated_with(
    simulations: Simulations,
    given: Mapping[str, Any] | None,
    noise: Noise | Callable[..., Any] | None,
) -> Problem | None:
    """Find out how more simulations like these would be made, if that is known."""
    known = simulations.problem
    if known is None:
        return None
    prior = simulations.prior if set(simulations.prior.names) == set(known.prior.names) else None
    return as_problem(known, prior, given, noise)


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
    if not (failed and progress):
        return
    where = where_failed(simulations)
    share = f"{failed / len(simulations):.1%}"
    what = (
        f"{share} of the prior's mass. It depends on {', '.join(where)}: where simulations fail, "
        "the posterior knows nothing"
        if where
        else f"{share}, strewn over the prior: the posterior is learned from the others"
    )
    print(
        f"{failed:,} of {len(simulations):,} simulations failed, {what}. "
        "See posterior.simulations.failures"
    )
