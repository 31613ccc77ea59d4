"""One posterior a command: trained for so many seconds, and kept in a file in the cache."""

from __future__ import annotations

import argparse
from pathlib import Path

from shared import add_options

import sbi_inn as si


def parser(description, *, seconds, simulations, tests):
    """Make the command line, with these defaults."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--seconds", type=float, default=seconds, help="training time")
    made.add_argument("--simulations", type=int, default=simulations)
    made.add_argument("--tests", type=int, default=tests, help="observations to look at")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--saved", type=Path, help="file of the posterior: loaded if it is there")
    add_options(made)
    made.add_argument("--figures", type=Path, help="draw the figures of the rows in this folder")
    return made


def trained(problem, options):
    """Train the network, or load it where it was saved."""
    if options.saved and options.saved.exists():
        return si.load_posterior(options.saved)
    training = si.Training(epochs=10**6, max_seconds=options.seconds, early_stopping=False)
    posterior = si.fit_posterior(
        problem,
        n_simulations=options.simulations,
        training=training,
        seed=options.seed,
        progress=False,
    )
    if options.saved:
        posterior.save(options.saved)
    return posterior
