"""What calibration error is left by chance after a recalibration by 1,000 simulations?

    python benchmarks/recalibration_chance.py       four minutes on one core

The posterior is exact but for what is learned of it from 1,000 normal scores of truths: nothing,
the width, centre and width, a smooth density of ranks, or the distribution function of ranks. No
map of ranks that knows no more can do better. Printed: mean, and share above 1.5 %, at 2,000 tests
and at 20,000.
"""

import numpy as np
from scipy.special import ndtr

from sbi_inn.diagnostics.calibration import calibration_error
from sbi_inn.diagnostics.rank_density import RankDensity

FRESH, ASKED = 1_000, 0.015
REPETITIONS = {1: 400, 2: 400, 10: 100}  # by number of parameters


def nothing(fresh, tests, rng):
    return ndtr(tests)


def width(fresh, tests, rng):
    return ndtr(tests / fresh.std())


def centre_and_width(fresh, tests, rng):
    return ndtr((tests - fresh.mean()) / fresh.std())


def smooth_density(fresh, tests, rng):
    return ndtr(RankDensity.fit(ndtr(fresh), penalty=4.0).curve().forward(tests)[0])


def distribution_function(fresh, tests, rng):
    below = np.searchsorted(np.sort(fresh), tests)
    return (below + rng.random(len(tests))) / (len(fresh) + 1)


LEARNED = (nothing, width, centre_and_width, smooth_density, distribution_function)


def errors(learned, parameters, tests, rng):
    """Give the pooled calibration error of each repetition."""
    found = []
    for _ in range(REPETITIONS[parameters]):
        columns = [
            learned(rng.standard_normal(FRESH), rng.standard_normal(tests), rng)
            for _ in range(parameters)
        ]
        found.append(calibration_error(np.column_stack(columns)).pooled)
    return np.array(found)


def main():
    rng = np.random.default_rng(0)
    for parameters in REPETITIONS:
        for learned in LEARNED:
            for tests in (2_000, 20_000):
                found = errors(learned, parameters, tests, rng)
                print(
                    f"{parameters} parameters, {learned.__name__}, {tests:,} tests: mean "
                    f"{100 * found.mean():.2f} %, above 1.5 %: {100 * (found > ASKED).mean():.1f} %"
                )


if __name__ == "__main__":
    main()
