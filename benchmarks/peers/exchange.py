"""One job: train on given simulations, then draw and evaluate; files in, files out.

Our own method and its peers are run by this same function, each by the interpreter of its own
environment. It needs numpy only.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROWS = 100  # test simulations drawn for at once


def run(method):
    """Run the job whose file is the argument of the command.

    Parameters
    ----------
    method : callable
        Of the job (a dict), theta (n, k) and y (n, d): anything with

        - `train()`, which is what is timed,
        - `sample(y, n)`, from rows of observations (m, d) to draws (m, n, k),
        - `log_prob(theta, y)`, rows of both to the posterior's log density (m,),
        - `about()`, a dict to be kept with the results,
        - `packages`, whose versions are kept.
    """
    job = json.loads(Path(sys.argv[1]).read_text())
    simulations, tests, public = (np.load(job[n]) for n in ("simulations", "tests", "reference"))
    truth, observed = (
        np.asarray(public[name], np.float64) for name in ("true_parameters", "observation")
    )
    posterior = method(job, simulations["theta"], simulations["y"])
    trained = timed(posterior.train)[1]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = [timed(posterior.sample, y[None], job["draws"]) for y in observed]
    nll = -posterior.log_prob(truth, observed)
    nll_tests = -posterior.log_prob(tests["theta"], tests["y"])
    arrays = {"draws": np.concatenate([draws for draws, _ in each]), "nll_tests": nll_tests}
    if job["ranks"]:
        arrays["ranks"] = test_ranks(posterior, tests["theta"], tests["y"], job)
    found = {
        "simulations": len(simulations["theta"]),
        "training": trained,
        "drawing": {name: sum(seconds[name] for _, seconds in each) for name in trained},
        "memory_mb": memory,
        "nll_public": nll.tolist(),
        "nll_tests": float(nll_tests.mean()),
        "nll_tests_error": float(nll_tests.std() / np.sqrt(len(nll_tests))),
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in ("numpy", *method.packages)},
        "about": posterior.about(),
    }
    np.savez(job["arrays"], **arrays)
    Path(job["found"]).write_text(json.dumps(found, indent=1))


def timed(call, *arguments):
    """Call, and say what it took: seconds on the wall, and of all threads together."""
    wall, cpu = time.perf_counter(), time.process_time()
    value = call(*arguments)
    return value, {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def test_ranks(posterior, theta, y, job):
    """Rank true parameters among `ranks` draws each, as fractions (m, k); chance breaks ties."""
    rng = np.random.default_rng(job["seed"])
    parts = []
    for start in range(0, len(y), ROWS):
        here = slice(start, start + ROWS)
        draws, truth = posterior.sample(y[here], job["ranks"]), theta[here, None]
        below, ties = (draws < truth).sum(axis=1), (draws == truth).sum(axis=1)
        places = below + rng.random(below.shape) * (ties + 1)
        parts.append(places / (job["ranks"] + 1))
    return np.concatenate(parts)
