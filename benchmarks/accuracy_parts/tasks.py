"""The tasks of the public benchmark: problems, reference posteriors, and the published results.

Simulations, tests and draws are exchanged as flat arrays, theta (n, k) and y (n, d), so that every
method sees the same numbers whatever it calls them.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import xarray as xr

import sbi_inn as si
from sbi_inn.observation.batch import Observations, PaddedSet
from sbi_inn.simulation.simulations import Simulations

TASKS = (
    "gaussian_linear",
    "gaussian_linear_uniform",
    "slcp",
    "slcp_distractors",
    "bernoulli_glm",
    "bernoulli_glm_raw",
    "gaussian_mixture",
    "two_moons",
    "sir",
    "lotka_volterra",
)
OURS_ONLY = {"slcp_set": "slcp"}  # declared as the set that it is; references of the flat one
SET, POINTS = "n", 4  # slcp observes four exchangeable points in the plane

REFERENCE = Path(__file__).resolve().parent.parent / "reference"
# The first release of this task's simulator was wrong; its authors ran it again.
RERUN = {"gaussian_mixture": "gaussian_mixture_rerun_v1.1"}


def simulated(task, n, seed, *, n_jobs=1):
    """Simulate as flat arrays.

    Returns
    -------
    dict
        theta (rows, k) and y (rows, d) of the simulations that succeeded, and how many were asked
        for.
    """
    name = OURS_ONLY.get(task, task)
    table = si.simulate(name, n=n, seed=seed, n_jobs=n_jobs, progress=False)
    theta = table.prior.flatten(table.parameters())
    return {"theta": theta, "y": table.observations().vector, "asked": n}


def observations(task, y):
    """Give flat rows of observations (n, d) as the problem's schema holds them."""
    if task not in OURS_ONLY:
        return Observations(y, {})
    points = PaddedSet(_points(y), np.full(len(y), POINTS))
    return Observations(np.empty((len(y), 0)), {SET: points})


def table(task, theta, y):
    """Give flat rows of simulations as the table that `fit_posterior` takes."""
    one = si.simulate(task, n=1, seed=0, n_jobs=1, progress=False)
    if task in OURS_ONLY:
        values = {"y": _points(y), SET: np.full(len(y), POINTS)}
    else:
        values = one.schema.fold(y)
    values |= one.prior.unflatten(theta) | {"status": np.full(len(y), "ok")}
    variables = {n: (v.dims, values[n], v.attrs) for n, v in one.dataset.data_vars.items()}
    dataset = xr.Dataset(variables, attrs=one.dataset.attrs)
    return Simulations(dataset, one.prior, one.schema, one.failures)


def _points(y):
    return y.reshape(len(y), POINTS, -1)


def reference_file(task, folder=REFERENCE):
    """Name the file of public observations, true parameters and reference draws of a task."""
    return folder / "sbibm" / f"{OURS_ONLY.get(task, task)}.npz"


def published(folder=REFERENCE):
    """Read the published C2ST of amortised posterior estimation: (task, budget) to mean."""
    with open(folder / "sbibm_published_c2st.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["algorithm"] == "NPE"]
    means = {(r["task"], int(r["num_simulations"])): float(r["c2st_mean"]) for r in rows}
    budgets = {budget for _, budget in means}
    return {
        (task, budget): means[RERUN.get(flat, flat), budget]
        for task, flat in [*((t, t) for t in TASKS), *OURS_ONLY.items()]
        for budget in budgets
    }
