"""The main functions: `fit_posterior`, from a simulator to a posterior, and `compare_models`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import xarray as xr

from sbi_inn.comparison import fitting as comparing
from sbi_inn.comparison.comparison import ModelComparison
from sbi_inn.comparison.core import log_prior_of
from sbi_inn.comparison.gathering import Model, carrying, gather
from sbi_inn.methods import Method, choose, for_prior
from sbi_inn.methods.ib_inn.method import IBINN
from sbi_inn.methods.online import endless
from sbi_inn.methods.protocols import declared
from sbi_inn.posterior.growth import Limits
from sbi_inn.posterior.posterior import Posterior, checked
from sbi_inn.posterior.study import Study
from sbi_inn.prior import Prior, as_prior
from sbi_inn.simulation.derived import Derived
from sbi_inn.simulation.execution import Execution
from sbi_inn.simulation.failure import carry
from sbi_inn.simulation.noise import Noise
from sbi_inn.simulation.problem import Problem, without_words
from sbi_inn.simulation.registry import as_problem
from sbi_inn.simulation.run import run
from sbi_inn.simulation.seeds import fresh_seed
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.simulation.stated import DEFAULT
from sbi_inn.tables.already import is_done, taken
from sbi_inn.training.device import placed
from sbi_inn.training.settings import Training
from sbi_inn.training.stated import check_jobs, check_number, check_seed

Table = pd.DataFrame | xr.Dataset | str | Path


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
    derived: Mapping[str, Callable[..., Any]] | None = None,
    ensemble: int | None = None,
    until: Literal["trust"] | None = None,
    max_simulations: int | None = None,
    max_seconds: float | None = None,
    y: Any = None,
    online: bool = False,
    client: Any = None,
    n_jobs: int = -1,
    seed: int | None = None,
    progress: bool = True,
) -> Posterior:
    """Fit a posterior: simulate, train networks, and hold out simulations for the checks.

    Parameters
    ----------
    simulator : callable, Problem, str, Simulations or table
        A callable (with its prior), a Problem, or the name of a registered one. Or simulations
        that exist already: those of `read_simulations`; a DataFrame, a Dataset or the path of a
        table (with its prior), whose other numerical columns are the observables; or the path of
        a store written by `simulate(..., store=)`, which holds its prior.
    prior : Prior or mapping, optional
        Named scipy distributions; required with a callable and with a bare table. For simulations
        that exist already: the distribution they were drawn from; it is compared with them.
    n_simulations : int, optional
        Number of simulations. Default: 10,000, if they take less than ten minutes. With `until`:
        the number in the first stage, 1,000 by default.
    method : CINN, FieldCINN, INN or str
        Settings of the method. "cinn" stands for `CINN()`, or for `FieldCINN()` if the prior has a
        field; "inn" stands for `INN()`. A method of your own has a `label` and a `fit` like these.
    training : Training, optional
        How long and how to train. Settings left out are chosen from the number of simulations.
    summary : "auto" or torch.nn.Module
        A summary network of your own, which turns observations into features, in place of ours
        (method "cinn"). Its `forward` takes one argument and returns features of shape (batch,
        features). With one observable of fixed shape and no varying given, the argument is a
        float32 tensor of shape ``(batch, *shape)``. Otherwise it is a dict of such tensors by
        name: (batch,) for a number or a varying given; ``(batch, longest, *entry)`` for a column
        of a set or series, padded with zeros; and, under the name of each length, a bool mask of
        the entries, shape (batch, longest). Everything is scaled to median 0 and spread 1, pixels
        by channel; values beyond 5 grow like a logarithm; a missing value is 0. Each network of an
        ensemble trains a copy. The layers of a copy draw new weights with `reset_parameters`,
        which all torch layers have; frozen layers keep their weights.
    infer : sequence of str, optional
        The parameters to infer. The others are nuisances: drawn, simulated and averaged over. If a
        parameter's distribution depends on other parameters, name those too. Checks that simulate
        again need all parameters, and are skipped.
    given : mapping, optional
        Quantities that are known and not inferred. A number is a constant. The others are drawn
        for every simulation: frozen scipy distributions, such as `{"n_trials": st.randint(80,
        901)}`; arrays, of which one row is drawn, such as the error bars of a catalogue; functions
        of parameters, earlier givens and `rng`, called with arrays.
    noise : callable, optional
        A function applied after the simulator, for measurement errors and gaps. Its arguments are
        filled by name with observables, parameters, givens and `rng`. It returns the observables
        that it changes, for one simulation at a time (for many, with
        `@si.simulator(batched=True)`). NaN is a missing value. Every training epoch draws new
        noise.
    derived : mapping of str to callable, optional
        Functions of the parameters that you are interested in, such as `{"r0": lambda beta,
        gamma: beta / gamma}`; they are called with arrays of many draws. Draws, summaries and
        corner plots show them, with the `Problem`'s labels and units, and every check treats them
        like parameters.
    ensemble : int, optional
        How many networks to train; the posterior is their mixture. Default: 4 for `CINN`, 1 for
        other methods.
    until : "trust", optional
        Double the simulations until `check()` says "trust" and twice as many would hardly help.
        Also stop if twice as many would hardly help in two stages in a row, or if a budget is
        spent; `posterior.growth` says why it stopped.
    max_simulations : int, optional
        With `until`: the largest number of simulations, 200,000 by default.
    max_seconds : float, optional
        With `until`: no stage begins that is expected to end later than this.
    y : one observation, optional
        With `until`: stop when `check(y)`, not `check()`, says "trust".
    online : bool
        Simulate while training: every epoch after the first uses fresh simulations, as many as the
        first, so that no network can overfit them. For fast simulators, with method "cinn" and
        `Training(max_seconds=...)` or `Training(epochs=...)`. Each network of an ensemble has its
        own simulations. They are not kept; `posterior.n_simulations` counts them.
    client : dask.distributed.Client, optional
        Simulate on its workers instead of the cores of this machine, with the same result. With
        `until`, every stage does so, but the checks simulate on this machine.
    n_jobs : int
        Processes for simulating and for training an ensemble; -1 uses all cores. It does not
        change the result.
    seed : int, optional
        Seed of everything random. By default it is new for every call, and recorded in
        `posterior.seed`.
    progress : bool
        Print how the arguments were understood, and show progress bars.

    Returns
    -------
    Posterior

    Raises
    ------
    PriorError
        If the prior is missing or cannot be used, if `infer` names something that is not a
        parameter, or if a derived quantity cannot be computed.
    SimulationError
        If the simulator cannot be used, if too few simulations succeed, or if the method cannot
        read such observations.
    TypeError, ValueError
        If a setting is invalid; raised before anything is simulated.

    Every later exception, Ctrl-C included, carries the simulations as `.simulations`.

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
    limits = _limits(until, n_simulations, max_simulations, max_seconds, y, online)
    done = is_done(source := cast(Any, simulator))
    training = endless(training, chosen, done=done) if online else training
    seed = fresh_seed(seed)
    labelled: Derived | Mapping[str, Callable[..., Any]] | None = derived
    if done:
        simulations, problem = taken(source, prior, given, noise, seed=seed, progress=progress)
        chosen = for_prior(chosen, simulations.inferring(infer).prior)
    else:
        problem, labelled = _told_apart(as_problem(source, prior, given, noise), infer, derived)
        chosen = _prepared(chosen, problem, infer, training, n_simulations or DEFAULT)
        if limits is not None:
            study = Study(problem, infer, chosen, training, n_jobs, seed, progress, client=client)
            return _grown(study, limits, y, labelled)
        how = Execution(n_jobs, client=client)
        simulations = run(problem, n=n_simulations, how=how, seed=seed, progress=progress)
    if limits is not None:
        raise SimulationError("until= needs a simulator; got a table", simulations)
    try:
        study = Study(problem, infer, chosen, training, n_jobs, seed, progress, online)
        return Posterior(study.fit(simulations.inferring(infer).deriving(labelled)))
    except BaseException as error:
        carry(error, simulations)
        raise


def _grown(
    study: Study,
    limits: Limits,
    y: Any,
    derived: Derived | Mapping[str, Callable[..., Any]] | None,
) -> Posterior:
    """Simulate and fit until it is enough."""
    core, found = study.grown(limits, y)
    return checked(replace(core, simulations=core.simulations.deriving(derived)), found)


def _limits(until: Any, n: Any, most: Any, seconds: Any, y: Any, online: bool) -> Limits | None:
    """Look at how far simulations may grow, before anything is simulated."""
    if until is not None:
        if online:
            raise ValueError("until= keeps its simulations, online=True does not: use one of them")
        return Limits.checked(until, n, most, seconds)
    asked = {"max_simulations": most, "max_seconds": seconds, "y": y}
    for name, value in asked.items():
        if value is not None:
            raise ValueError(f'{name}= needs until="trust"; got {name}={value!r:.40} without it')
    return None


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
    """Simulate several models, and learn how probable each of them is given an observation.

    Parameters
    ----------
    models : mapping of str to Problem, str or Simulations
        The models by name: problems, names of registered ones, or simulations that exist already.
        All have the same observables and the same givens with the same distributions; their
        parameters may differ.
    n_simulations : int, optional
        Number of simulations of each model. Default: 100,000 or 30,000, if they take less than
        twenty seconds and have at most 10 million numbers; else 10,000, if they take less than ten
        minutes.
    prior : mapping of str to float, optional
        Prior probabilities of the models; equal by default. The methods of the result take others.
    method : IBINN, optional
        Settings of the networks.
    training : Training, optional
        How long and how to train. Settings left out are chosen from the number of simulations.
    ensemble : int
        How many networks to train.
    n_jobs : int
        Processes for simulating and training; -1 uses all cores. It does not change the result.
    seed : int, optional
        Seed of everything random. By default it is new for every call, and recorded in
        `comparison.seed`.
    progress : bool
        Print how the arguments were understood, and show progress bars.

    Returns
    -------
    ModelComparison

    Raises
    ------
    ComparisonError
        If there are fewer than two models, if their observables or givens differ, or if the prior
        probabilities are not probabilities.
    SimulationError
        If a model cannot be simulated, or too few of its simulations succeed.
    TypeError, ValueError
        If a setting is invalid.

    Every later exception carries the simulations as `.simulations`, by model.

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


def _prepared(
    method: Method,
    problem: Problem,
    infer: Sequence[str] | None,
    training: Training,
    n: int,
) -> Method:
    """Choose for a prior: a wrong name or method shows before anything is simulated."""
    chosen = for_prior(method, _inferred(problem, infer))
    declared(chosen, "prepare")(training, n)
    return chosen


def _told_apart(
    problem: Problem, infer: Sequence[str] | None, functions: Any
) -> tuple[Problem, Derived | None]:
    """Give derived quantities their labels and units, which no simulation knows.

    A function that is wrong shows before anything is simulated.
    """
    derived = Derived.of(
        functions, _inferred(problem, infer), labels=problem.labels, units=problem.units
    )
    return (problem, None) if derived is None else (without_words(problem, derived.widths), derived)


def _inferred(problem: Problem, infer: Sequence[str] | None) -> Prior:
    return problem.prior if infer is None else problem.prior.marginal(infer)


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
    placed(training.device)  # a device that is not there shows before anything is simulated
    return training.resumable(seed)
