"""Does the check of a field find what is wrong with it, and leave an exact posterior alone?

    python benchmarks/planted_fields.py --repetitions 100
    python benchmarks/planted_fields.py --minutes 20        as many as fit

The posterior is the exact one of `gaussian_field`, 32 x 32 pixels with a hole: nothing is trained.
Its draws are changed on purpose, at 1,000 test simulations of 100 draws each, and what `check()`
looks at of a field is looked at: the calibration of blocks, bands and projections, and the coverage
of the pixels. An error is found if either of them says anything but "trust".
"""

import argparse
import time

import numpy as np
from fields import PLANTED, RECORDS
from sbi_inn.simulators import gaussian_field

import sbi_inn as si
from sbi_inn.checks.fields import DRAWS, CoverageMap, FieldCalibration, survey_field
from sbi_inn.checks.held_out import TestSet
from sbi_inn.observation.batch import Observations

TESTS = 1_000
BLOCK = np.zeros((gaussian_field.SIDE, gaussian_field.SIDE), bool)
BLOCK[8:12, 20:24] = True


class Planted:
    """Draws about posterior means, by turns the next of those at hand, changed."""

    prior = si.Prior(sky=gaussian_field.FIELD)
    columns = prior.columns

    def __init__(self, left, change):
        self.left, self.change, self.done = left, change, 0

    def extended(self, flat):
        return flat

    def draw(self, observations, n, rng):
        rows = slice(self.done, self.done + len(observations))
        self.done += len(observations)
        return observations.vector[:, None] + self.change(self.left[rows], rng)


def changes(sds):
    """Give what is done to draws less their mean, by name."""
    narrow = np.where(BLOCK.ravel(), np.float32(0.7), np.float32(1))
    return {
        "exact": lambda left, rng: left,
        "shifted by .3 sd": lambda left, rng: left + np.float32(0.3) * sds,
        "narrower, .8": lambda left, rng: np.float32(0.8) * left,
        "wider, 1.25": lambda left, rng: np.float32(1.25) * left,
        "without correlations": lambda left, rng: (
            sds * rng.standard_normal(left.shape, dtype=np.float32)
        ),
        "one block of 4 x 4 narrower, .7": lambda left, rng: narrow * left,
    }


def repetition(seed, root, sds):
    """Say for each change whether the check objects."""
    rng = np.random.default_rng(seed)
    pixels = len(sds)
    # Posterior means spread as they do: what the prior has, less what the posterior has left.
    means = (rng.standard_normal((TESTS, pixels)) @ root["means"].T).astype(np.float32)
    truth = means + rng.standard_normal((TESTS, pixels)) @ root["left"].T
    left = np.empty((TESTS, DRAWS, pixels), np.float32)
    colour = root["left"].T.astype(np.float32)
    for rows in np.array_split(np.arange(TESTS), 40):
        white = rng.standard_normal((len(rows) * DRAWS, pixels), dtype=np.float32)
        left[rows] = (white @ colour).reshape(len(rows), DRAWS, pixels)
    tests, found = TestSet(truth, Observations(means, {})), {}
    for name, change in changes(sds).items():
        survey = survey_field(Planted(left, change), tests, rng, seconds=np.inf)
        records = (
            FieldCalibration(survey.ranks, survey.names),
            CoverageMap(survey.inside, survey.place),
        )
        found[name] = any(record.verdict != "trust" for record in records)
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=np.inf, help="end after these")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    _, covariance, _ = gaussian_field.exact()
    prior = gaussian_field.field_covariance()
    values, vectors = np.linalg.eigh(prior - covariance)
    root = {
        "left": np.linalg.cholesky(covariance),
        "means": vectors * np.sqrt(np.maximum(values, 0)),
    }
    sds = np.sqrt(np.diag(covariance)).astype(np.float32)
    began, each = time.perf_counter(), []
    while len(each) < chosen.repetitions and time.perf_counter() - began < 60 * chosen.minutes:
        each.append(repetition((chosen.seed, len(each)), root, sds))
        print(len(each), f"{time.perf_counter() - began:.0f} s", each[-1], flush=True)
    rows = [
        {"problem": PLANTED, "simulations": TESTS, "measure": f"{name}: {what}", "value": value}
        for name in each[0]
        for what, value in (
            ("objected to", sum(one[name] for one in each)),
            ("repetitions", len(each)),
        )
    ]
    RECORDS.add(rows, seed=chosen.seed, threads=1)


if __name__ == "__main__":
    main()
