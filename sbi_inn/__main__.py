"""The command line: `python -m sbi_inn fit NAME` and `python -m sbi_inn list`."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from sbi_inn.api import fit_posterior
from sbi_inn.errors import LoadError, PriorError, ShapeError, SimulationError
from sbi_inn.posterior import Posterior
from sbi_inn.report.compare import beside_abc
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.registry import get, problems

DEFAULT = 10_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, or 1 after an error that was said."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (KeyError, LoadError, PriorError, ShapeError, SimulationError, OSError) as error:
        said = error.args[0] if isinstance(error, KeyError) else error
        print(f"sbi_inn: {said}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sbi_inn",
        description="Posteriors from simulators, with invertible networks.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    fit = commands.add_parser("fit", help="simulate, train, check, and draw the figures")
    fit.add_argument("name", metavar="NAME", help="a registered problem, or file.py:problem")
    fit.add_argument("--simulations", type=int, default=DEFAULT, metavar="N", help="default 10,000")
    fit.add_argument("--out", type=Path, metavar="DIR", help="where figures and posterior go")
    fit.add_argument("--seed", type=int, metavar="S", help="default: fresh entropy")
    fit.set_defaults(run=_fit)
    commands.add_parser("list", help="list the registered problems").set_defaults(run=_list)
    return parser


def _fit(options: argparse.Namespace) -> int:
    problem = _problem(options.name)
    started = perf_counter()
    posterior = fit_posterior(problem, n_simulations=options.simulations, seed=options.seed)
    seconds = perf_counter() - started
    print(f"\n{posterior}\nsimulated and trained in {seconds:.0f} s\n")
    seen = posterior.simulations.take(posterior.seen_rows)
    table = beside_abc(posterior.judge, seen, posterior.settings.label)
    print(table.to_string(float_format="{:.4g}".format))
    print(f"\n{posterior.check()}")
    if options.out is not None:
        _write(posterior, options.out)
    return 0


def _write(posterior: Posterior, out: Path) -> None:
    """Write the figures, for the first test observation, and the posterior itself."""
    out.mkdir(parents=True, exist_ok=True)
    row = posterior.tests(1)
    y = posterior.schema.unstack(row.observations, 0)
    truth = {n: v[0] for n, v in posterior.prior.unflatten(row.truth[:1]).items()}
    corner = posterior.corner(y, truth=truth, compare={"ABC": posterior.rejection_abc(y)})
    calibration = posterior.plot_calibration()
    for suffix in ("png", "pdf"):
        corner.savefig(out / f"corner.{suffix}")
    calibration.savefig(out / "calibration.png")
    posterior.save(out / "posterior.sbi")
    written = "corner.png, corner.pdf, calibration.png, posterior.sbi"
    print(f"\nwritten to {out}/: {written}\nseed {posterior.seed}")


def _list(options: argparse.Namespace) -> int:
    print(problems().to_string())
    return 0


def _problem(name: str) -> Problem:
    """Find a problem by its registered name, or as `file.py:problem`."""
    path, colon, attribute = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        return get(name)
    found = runpy.run_path(path).get(attribute)
    if not isinstance(found, Problem):
        raise LoadError(f"expected a Problem named {attribute!r} in {path}; got {found!r:.80}")
    return found


if __name__ == "__main__":
    sys.exit(main())
