"""Section `scaling`: training time and memory against size, with default settings.

Run as a script, it fits once, in a process of its own, so that its peak memory is its own too.
"""

import json
import resource
import sys
from time import perf_counter

import inside
import numpy as np
import pandas as pd
import scipy.stats as st

from speed_parts.processes import Section, alone

DIM = 4  # parameters where the number of simulations grows
SIMULATIONS = 10_000  # where the number of parameters grows
VARIANCE = 0.1  # of the prior and of the noise, in each direction


def scaling(options):
    """Fit for every number of simulations, then for every number of parameters."""
    sizes = [(n, DIM) for n in options.simulations] + [(SIMULATIONS, d) for d in options.dimensions]
    script = "speed_parts/scaling.py"
    return pd.DataFrame(
        [alone(script, n, dim, threads=options.threads) for n, dim in dict.fromkeys(sizes)]
    )


def table(rows):
    return rows.drop(columns=["network"])


def study(dim):
    """Make a linear-Gaussian study with this many parameters and observables."""
    import sbi_inn as si

    @si.simulator(batched=True)
    def gaussian_linear(theta, rng):
        return theta + rng.normal(0, np.sqrt(VARIANCE), theta.shape)

    prior = si.Prior(theta=st.multivariate_normal(np.zeros(dim), VARIANCE * np.eye(dim)))
    return si.Problem(gaussian_linear, prior)


def measure(simulations, dim):
    """Fit once."""
    import sbi_inn as si

    started = perf_counter()
    posterior = si.fit_posterior(study(dim), n_simulations=simulations, seed=1, progress=False)
    whole, history = perf_counter() - started, posterior.history
    return {
        "simulations": simulations,
        "parameters": dim,
        "training [s]": history.seconds,
        "with simulations [s]": whole,
        "steps": history.steps,
        "ms a step": 1e3 * history.seconds / history.steps,
        "peak memory [GB]": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "network": inside.fitted(posterior).describe(),
    }


ABOUT = "Gaussian means, each measured once with noise of the prior's variance."
SCALING = Section(ABOUT, scaling, table)

if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:3]))))
