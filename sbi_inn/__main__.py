"""The command line: `python -m sbi_inn` with fit, simulate, check, verify or list."""

from __future__ import annotations

import argparse
import runpy
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from sbi_inn.api import fit_posterior
from sbi_inn.errors import LoadError, PriorError, ShapeError
from sbi_inn.methods import METHODS
from sbi_inn.posterior.posterior import Posterior
from sbi_inn.posterior.provenance import Provenance
from sbi_inn.posterior.storage import load_posterior
from sbi_inn.report.check import Check
from sbi_inn.report.compare import beside_abc
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.registry import get, problems
from sbi_inn.simulation.run import simulate
from sbi_inn.simulation.simulations import SimulationError, Simulations
from sbi_inn.simulation.store import Store
from sbi_inn.tables import is_table, read_simulations

DEFAULT = 10_000
DRAWS = 50_000  # in the corner plot
SHOWN = 200_000  # simulations for the ABC beside it, where the simulator is fast: 1,000 draws


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, or 1 after an error or a verdict that was said."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (LoadError, PriorError, ShapeError, SimulationError, ImportError, OSError) as error:
        print(f"sbi_inn: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sbi_inn",
        description="Posteriors from simulators, with invertible networks.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    fit = commands.add_parser("fit", help="simulate, train, check, and draw the figures")
    fit.add_argument(
        "name",
        metavar="NAME",
        help="a registered problem, file.py:problem, or a table of simulations (.csv, .parquet, "
        ".nc, .zarr)",
    )
    for what in ("parameters", "observables", "given"):
        default = "; default: all other columns of numbers" if what == "observables" else ""
        fit.add_argument(
            f"--{what}",
            type=_names,
            metavar="A,B",
            help=f"{what} of a table, by column{default}",
        )
    fit.add_argument("--simulations", type=int, default=DEFAULT, metavar="N", help="default 10,000")
    fit.add_argument("--method", choices=METHODS, default="cinn", help="default cinn")
    fit.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the figures and the posterior"
    )
    fit.add_argument("--seed", type=int, metavar="S", help="default: a new one")
    fit.set_defaults(run=_fit)
    _add_simulate(commands)
    check = commands.add_parser("check", help="check whether a saved posterior can be trusted")
    check.add_argument("file", type=Path, metavar="FILE", help="a file written by posterior.save")
    check.add_argument(
        "--problem",
        metavar="NAME",
        help="the simulator: a registered problem, or file.py:problem; by default the "
        "registered one that the file names, if any",
    )
    check.add_argument("--out", type=Path, metavar="HTML", help="write the report here too")
    check.set_defaults(run=_check)
    verify = commands.add_parser(
        "verify", help="compute the numbers of a saved posterior's last check again, and compare"
    )
    verify.add_argument("file", type=Path, metavar="FILE", help="a file written by posterior.save")
    verify.add_argument(
        "--problem", metavar="NAME", help="as for check; without one, only checks that need none"
    )
    verify.set_defaults(run=_verify)
    commands.add_parser("list", help="list the registered problems").set_defaults(run=_list)
    return parser


def _add_simulate(commands: Any) -> None:
    parser = commands.add_parser("simulate", help="simulate into a store, or a part of it")
    parser.add_argument("name", metavar="NAME", help="a registered problem, or file.py:problem")
    parser.add_argument("-n", type=int, metavar="N", help="simulations in all; default 10,000")
    parser.add_argument(
        "--store",
        type=Path,
        required=True,
        metavar="DIR",
        help="the store, such as runs/blade.zarr",
    )
    parser.add_argument(
        "--part", type=_part, metavar="I/K", help="simulate part I of K; parts may run in parallel"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="default: that of the store")
    parser.add_argument("--timeout", type=float, metavar="S", help="seconds for one simulation")
    parser.add_argument("--retries", type=int, default=0, metavar="R", help="default 0")
    parser.add_argument("--jobs", type=int, default=-1, metavar="J", help="default: all cores")
    parser.set_defaults(run=_simulate)


def _part(text: str) -> tuple[int, int]:
    first, _, second = text.partition("/")
    return int(first), int(second)


def _simulate(options: argparse.Namespace) -> int:
    table = simulate(
        _problem(options.name),
        n=options.n,
        store=options.store,
        part=options.part,
        seed=options.seed,
        timeout=options.timeout,
        retries=options.retries,
        n_jobs=options.jobs,
    )
    print(table)
    print(Store.read(options.store).missing() or "nothing is missing")
    return 0


def _fit(options: argparse.Namespace) -> int:
    posterior = fit_posterior(
        _table(options) if is_table(options.name) else _problem(options.name),
        n_simulations=options.simulations,
        method=options.method,
        seed=options.seed,
    )
    history = posterior.history
    print(
        f"\n{posterior.core.fitted.describe()}, trained in {history.seconds:.0f} s "
        f"({history.stopped})\n\n{_comparison(posterior)}"
    )
    check = posterior.check()
    print(f"\n{check}")
    if options.out is not None:
        _write(posterior, check, options.out)
    print(f"\nseed {posterior.seed}")
    return 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _table(options: argparse.Namespace) -> Simulations:
    """Read a table whose prior is not stated."""
    if not options.parameters:
        raise LoadError(f"which columns of {options.name} are parameters? add --parameters A,B")
    return read_simulations(
        options.name,
        parameters=options.parameters,
        observables=options.observables,
        given=options.given,
    )


def _check(options: argparse.Namespace) -> int:
    """Print the verdict; the exit code is 1 where it is "do not trust"."""
    problem = None if options.problem is None else _problem(options.problem)
    check = load_posterior(options.file, simulator=problem).check()
    print(check)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        check.to_html(options.out)
        print(f"\nwritten to {options.out}")
    return int(check.verdict == "do not trust")


def _verify(options: argparse.Namespace) -> int:
    """Print whether the numbers come out again; the exit code is 1 where they do not."""
    problem = None if options.problem is None else _problem(options.problem)
    posterior = load_posterior(options.file, simulator=problem)
    made = posterior.core.provenance
    print(f"made with:  {made.sentence or '(not recorded)'}")
    print(f"here:       {Provenance.of(posterior.problem).sentence}")
    if posterior.problem is not None and Provenance.of(posterior.problem).source != made.source:
        print("the source of the simulator has changed")
    print(f"last check: {posterior.last_check or '(none)'}\n")
    found = posterior.verify()
    print(found)
    return int(not found.agrees)


def _comparison(posterior: Posterior) -> str:
    """Say how the posterior does beside ABC, as a table."""
    subject, core = posterior._subject(), posterior.core
    table = beside_abc(
        subject,
        core.simulations.take(core.seen_rows),
        posterior.settings.label,
        training_seconds=posterior.history.seconds,
    )
    lines = [
        f"learned from {posterior.n_simulations:,} simulations, "
        f"measured at {len(subject.tests):,} others:",
        table.rename_axis(None).to_string(float_format="{:.3g}".format),
    ]
    if posterior.schema.trained:
        known = ", ".join(posterior.schema.trained)
        lines += [f"(no ABC: {known} varies, so that every observation needs its own simulations)"]
    return "\n".join(lines)


def _write(posterior: Posterior, check: Check, out: Path) -> None:
    """Write report and figures, for the first test observation, and the posterior itself."""
    out.mkdir(parents=True, exist_ok=True)
    row = posterior._subject().tests.head(1)
    y = posterior.schema.unstack(row.observations, 0)
    truth = {n: v[0] for n, v in posterior.prior.unflatten(row.truth[:1]).items()}
    with warnings.catch_warnings():  # what the check said has just been printed
        warnings.filterwarnings("ignore", "the last check of this posterior said")
        corner = posterior.corner(y, DRAWS, truth=truth, compare=_abc(posterior, y))
    calibration = posterior.plot_calibration()
    for suffix in ("png", "pdf"):
        corner.savefig(out / f"corner.{suffix}")
    calibration.savefig(out / "calibration.png")
    example = "The posterior at one test observation, beside rejection ABC; dashed: the truth"
    check.to_html(out / "report.html", figures={example: corner})
    posterior.save(out / "posterior.sbi")
    print(
        f"\nwritten to {out}/: report.html, corner.png, corner.pdf, calibration.png, posterior.sbi"
    )


def _abc(posterior: Posterior, y: object) -> dict[str, xr.Dataset]:
    """Draw by ABC for the figure: simulate more where cheap, as a few draws make no contours."""
    if posterior.problem is None and posterior.schema.trained:
        return {}  # every observation would need simulations of its own
    fresh = min(SHOWN, posterior._subject().affordable)
    more = fresh if fresh > posterior.n_simulations else None
    draws = posterior.rejection_abc(y, n_simulations=more)
    return {f"ABC, {draws.attrs['n_simulations']:,} simulations": draws}


def _list(options: argparse.Namespace) -> int:
    for name, problem in problems().iterrows():
        print(f"{name}: {problem['description']}")
        lines = (problem["parameters"] and f"infers {problem['parameters']}", problem["source"])
        print(*(f"    {line}" for line in lines if line), sep="\n")
    return 0


def _problem(name: str) -> Problem:
    """Find a problem by its registered name, or as `file.py:problem`."""
    if name.endswith(".py"):
        raise LoadError(f"which of its problems? write {name}:NAME")
    path, colon, attribute = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        try:
            return get(name)
        except KeyError as error:
            raise LoadError(error.args[0]) from None
    found = runpy.run_path(path).get(attribute)
    if not isinstance(found, Problem):
        raise LoadError(f"expected a Problem named {attribute!r} in {path}; got {found!r:.80}")
    return found


if __name__ == "__main__":
    sys.exit(main())
