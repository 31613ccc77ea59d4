"""A stochastic epidemic: recovery of the contact and recovery rates, beside the exact posterior.

    python benchmarks/thesis/sir_stochastic.py [--simulations N ...] [--seconds S]
    python benchmarks/thesis/sir_stochastic.py --table

Published (Radev et al. 2020): 500 steps of a tenth of a day.
"""

import numpy as np
from recovery import Length, Study, main
from sbi_inn.simulators.sir_stochastic import posterior


def exact_means(observations):
    """Give the means of the exact posteriors, shape (n, 2)."""
    series = observations.sets["steps"]
    means = []
    for values, size in zip(series.values, series.sizes, strict=True):
        marginals = posterior(*values[:size].T)
        means.append([np.average(grid, weights=density) for grid, density in marginals.values()])
    return np.array(means)


STUDY = Study(
    "sir_stochastic",
    simulations=(3_000, 12_000, 50_000),
    lengths={
        "500 steps": Length(
            {"steps": 500},
            r2={"beta": 0.987, "gamma": 0.986},
        )
    },
    exact=exact_means,
)

if __name__ == "__main__":
    main(STUDY, __doc__.splitlines()[0])
