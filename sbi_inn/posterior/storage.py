"""Read a posterior from its file, without running any code."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from sbi_inn import files
from sbi_inn.errors import LoadError, NoDensityError, PriorError
from sbi_inn.methods import Method, from_arrays, with_fields
from sbi_inn.observation.schema import Schema
from sbi_inn.observation.statistics import statistics
from sbi_inn.posterior.core import Core, Refined
from sbi_inn.posterior.held_out import held_out
from sbi_inn.posterior.posterior import Posterior
from sbi_inn.posterior.provenance import Provenance
from sbi_inn.posterior.saving import reference_summaries
from sbi_inn.posterior.verification import read as read_numbers
from sbi_inn.prior import Prior
from sbi_inn.prior.box import Box
from sbi_inn.prior.fingerprint import check_fingerprint
from sbi_inn.simulation.derived import Derived
from sbi_inn.simulation.noise import Noise, as_noise
from sbi_inn.simulation.problem import Problem, without_words
from sbi_inn.simulation.registry import get
from sbi_inn.simulation.simulator import as_simulator
from sbi_inn.training.settings import Training
from sbi_inn.training.stated import check_number, check_seed
from sbi_inn.typing import AnyArray, FloatArray

Arrays = Mapping[str, Mapping[str, AnyArray]]


def load_posterior(
    path: str | Path,
    *,
    simulator: Problem | Callable[..., Any] | str | None = None,
    prior: Prior | None = None,
    noise: Noise | Callable[..., Any] | None = None,
    derived: Mapping[str, Callable[..., Any]] | None = None,
    summary: nn.Module | None = None,
    method: Method | None = None,
) -> Posterior:
    """Read a saved posterior; the file holds no code, and no code is run.

    Parameters
    ----------
    path : str or Path
    simulator : callable, Problem or str, optional
        The simulator, for all that simulates again. A registered problem is found by the name in
        the file.
    prior : Prior, optional
        Required if the prior has code that files cannot hold (a function of earlier parameters that
        is more than arithmetic, a distribution that is not from scipy) and the problem is not
        registered. It must be the prior that the posterior was trained with.
    noise : callable, optional
        The noise; required with the simulator if the posterior was trained with noise.
    derived : mapping of str to callable, optional
        Derived quantities, which files do not hold. Without them there is a warning, and draws have
        only the parameters.
    summary : torch.nn.Module, optional
        The summary network, if it was one of your own; its weights are in the file.
    method : optional
        Settings of the method, if it was one of your own: its `read(config, arrays)` reads what
        its `to_arrays()` has written.

    Returns
    -------
    Posterior
        It draws the same as the saved one.

    Raises
    ------
    LoadError
        If the file is truncated, of a newer format or not a posterior; if its prior is code and
        `prior` is missing; if the simulator or the prior is of another study; or if the summary
        network is missing or another one.
    KeyError
        If `simulator` is a name under which no problem is registered.

    Examples
    --------
    >>> load_posterior("no_such_file.sbi")
    Traceback (most recent call last):
    ...
    sbi_inn.errors.LoadError: ...
    """
    config, arrays = files.read(path)
    if config.get("kind") != "posterior":
        raise LoadError(f"{path}: expected a posterior; the file holds {config.get('kind')!r}")
    with _damage(path):
        named = config.get("name")
        if not isinstance(named, str):
            raise LoadError(f"{path}: expected the name of a problem; got {named!r:.80}")
    problem = _find_problem(named, simulator)
    with _damage(path):
        core = _core(config, arrays, _prior(config, prior, problem), summary, method)
        nuisances = tuple(map(str, config["nuisances"]))
        saved = arrays["reference"].get("summaries")
        had = tuple(map(str, config.get("derived", ())))
        words = _words_of_derived(config, problem)
    if not isinstance(simulator, Problem | str | None):
        problem = _bind(simulator, core.prior, core.schema, nuisances)
    if problem is not None:
        problem = problem if noise is None else replace(problem, noise=as_noise(noise))
        _check_fits(problem, core, nuisances, noise=bool(config["noise"]))
        problem = without_words(problem, {*had, *(derived or {})})
    core = _deriving(core, derived, had, words)
    with _damage(path):
        _check_summaries(core, saved, path)
        posterior = Posterior(
            core.with_problem(problem),
            last_check=_text(config, "last_check"),
            last_verdict=_text(config, "last_verdict"),  # files of 0.1 have none
            last_numbers=read_numbers(config.get("last_numbers", {})),
        )
        _check_works(posterior)
    return posterior


@contextmanager
def _damage(path: str | Path) -> Iterator[None]:
    """Say which file it was that made reading it fail.

    A file may say anything, and what numpy, scipy, torch and we make of it may then raise anything.
    """
    try:
        yield
    except LoadError:
        raise
    except Exception as error:
        raise LoadError(f"{path}: the file is incomplete or damaged: {error!r:.500}") from error


def _check_works(posterior: Posterior) -> None:
    """Raise where the parts of a posterior do not go together: it draws at a held-out row."""
    core = posterior.core
    y = core.simulations.observations(core.test_rows[:1])
    latent = core.fitted.sample(y, 2, np.random.default_rng(0))
    if latent.shape != (1, 2, core.prior.latent_dim) or not np.isfinite(latent).all():
        raise LoadError(
            f"expected draws of shape {(1, 2, core.prior.latent_dim)}, for {len(core.prior.names)} "
            f"parameters of the prior; got {latent.shape}, {latent.ravel()[:3]}"
        )
    scale = statistics(y, core.schema).shape[1:]
    if core.scale.shape != scale:
        raise LoadError(f"expected scales of shape {scale}; got {core.scale.shape}")
    with suppress(NoDensityError):
        core.log_ratio(core.draw(y, 2, core.rng(y)), y, normalised=False)
    repr(posterior)


def _text(config: Mapping[str, Any], name: str) -> str:
    found = config.get(name, "")
    if not isinstance(found, str):
        raise LoadError(f"expected a text under {name!r}; got {found!r:.80}")
    return found


def _core(
    config: Mapping[str, Any],
    arrays: Arrays,
    prior: Prior,
    summary: nn.Module | None,
    method: Method | None,
) -> Core:
    """Read all but the problem."""
    simulations = held_out(config, arrays, prior)
    check_seed(config["seed"])
    check_number("n_simulations", config["n_simulations"], whole=True)
    return Core(
        with_fields(from_arrays(config["method"], arrays, summary, method), prior.fields),
        simulations,
        np.arange(len(simulations)),
        seed=config["seed"],
        n_simulations=config["n_simulations"],
        stored_scale=arrays["reference"]["scale"],
        refined=Refined(arrays["refined"], **config["refined"]) if config.get("refined") else None,
        **_about(config),
    )


def _about(config: Mapping[str, Any]) -> dict[str, Any]:
    """Read with what it was made, which files of format 2 do not say."""
    if "training" not in config:
        return {}
    training = Training(**config["training"])
    return {"training": training, "provenance": Provenance.from_config(config["provenance"])}


def _deriving(
    core: Core,
    functions: Mapping[str, Callable[..., Any]] | None,
    saved: Sequence[str],
    words: tuple[dict[str, str], dict[str, str]],
) -> Core:
    """Put derived quantities on the posterior, or say that those of the file are missing."""
    missing = [name for name in saved if name not in (functions or {})]
    if missing:
        warnings.warn(
            f"the posterior was saved with derived quantities ({', '.join(missing)}), functions "
            "that no file holds: pass them again, load_posterior(path, derived={...})",
            stacklevel=3,
        )
    labels, units = words
    derived = Derived.of(functions, core.prior, labels=labels, units=units)
    return replace(core, simulations=core.simulations.deriving(derived))


def _words_of_derived(
    config: Mapping[str, Any], problem: Problem | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Give labels and units: those of the problem, over which the file's own go."""
    saved = config.get("derived_words", {})  # files of before have none
    labels = dict(problem.labels if problem else {}) | dict(saved.get("labels", {}))
    return labels, dict(problem.units if problem else {}) | dict(saved.get("units", {}))


def _check_summaries(core: Core, saved: FloatArray | None, path: str | Path) -> None:
    """Raise LoadError unless the network sums up simulations as it did when it was saved.

    Two networks of the user's own may have the same weights and do different things with them.
    """
    found = reference_summaries(core)
    if saved is None or saved.shape != found.shape:
        raise LoadError(f"{path}: the file is incomplete or damaged: it lacks reference summaries")
    if not np.allclose(found, saved, rtol=1e-3, atol=1e-3):
        raise LoadError(
            f"{path}: the summary network gives other features than it did when the file was "
            "written: expected the one that was saved, load_posterior(path, summary=MyNet())"
        )


def _check_fits(problem: Problem, core: Core, nuisances: tuple[str, ...], *, noise: bool) -> None:
    """Raise LoadError if the problem is that of another study, with noise or without."""
    if noise != (problem.noise is not None):
        trained, pass_it = ("with", "pass it, as") if noise else ("without", "leave out")
        raise LoadError(
            f"the posterior was trained {trained} noise: {pass_it} load_posterior(..., noise=...)"
        )
    names, schema = (*problem.prior.names, *problem.given), core.schema
    inferred = (*core.prior.names, *nuisances)
    expected = (*inferred, *schema.constants, *schema.givens, *schema.sets)
    if set(names) != set(expected) - set(schema.lengths):
        raise LoadError(
            f"expected a problem of {', '.join(expected)}, as in the file; got one of "
            f"{', '.join(names)}"
        )


def _find_problem(
    name: str, simulator: Problem | Callable[..., Any] | str | None
) -> Problem | None:
    """Find the problem: the one given again, or the registered one, or None."""
    if isinstance(simulator, Problem):
        return simulator
    if isinstance(simulator, str):
        return get(simulator)
    if simulator is None and name:
        try:
            return get(name)
        except KeyError:
            return None
    return None


def _prior(config: Mapping[str, Any], prior: Prior | None, problem: Problem | None) -> Prior:
    """Read the prior as stored, or take the one given, or where it is code that of the problem.

    What does not come from the file has to give the values that are stored.
    """
    if prior is None:
        try:
            return Prior.from_config(config["prior"])
        except LoadError:
            if problem is None:
                raise
            prior = problem.prior
    names = [str(entry["name"]) for entry in config["prior"]["parameters"]]
    try:
        prior = prior.marginal(names)  # that of a study with nuisances has more
        if "box" in config["prior"]:
            prior = prior.truncated(Box.from_lists(config["prior"]["box"]))
    except PriorError as error:
        raise LoadError(f"the prior is not that of the file: {error}") from error
    check_fingerprint(prior, config["probes"])
    return prior


def _bind(
    simulator: Callable[..., Any], prior: Prior, schema: Schema, nuisances: tuple[str, ...]
) -> Problem:
    """Make a problem of a bare simulator; what the file does not know comes with a Problem."""
    if nuisances:
        raise LoadError(
            f"the prior of {', '.join(nuisances)}, left out by infer=, is not in the file: pass "
            "simulator=si.Problem(simulator, prior)"
        )
    if schema.trained:
        raise LoadError(
            f"givens vary in this study ({', '.join(schema.trained)}): pass "
            "simulator=si.Problem(simulator, prior, given=...)"
        )
    given = {n: value for n, value in schema.constants.items() if n not in schema.lengths}
    return Problem(as_simulator(simulator), prior, given=given)
