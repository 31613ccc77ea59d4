"""How near do posteriors of fields come to the exact ones?

    python benchmarks/fields.py                             all problems
    python benchmarks/fields.py tomography --simulations 20000
    python benchmarks/fields.py --table                     the table of the results page

Each problem of `simulators/` whose exact posterior is known is fitted by `fit_posterior` as it is.
At fresh simulations the log density of the exact posterior at the true field is compared with ours,
in nats a pixel: 0 is perfect. Where the posterior is one Gaussian field, so are its means, standard
deviations and correlations of neighbours. Of `two_fields` the probability of "across" is compared,
by classifying draws of the field exactly. Calibration is that of all pixels, and of what sums a
field up; of `abel_log_normal`, whose posterior has no closed form, it is all there is.
`planted_fields.py` plants errors.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from records import Records
from sbi_inn.simulators import abel, gaussian_field, gaussian_field_varied, tomography, two_fields
from scipy.linalg import solve_triangular

import sbi_inn as si
from sbi_inn.checks.fields import LEVEL
from sbi_inn.diagnostics.calibration import calibration_error, ranks
from sbi_inn.diagnostics.field_quantities import Quantities

RECORDS = Records("fields", ("problem", "simulations", "measure"))
PLANTED = "planted errors"  # what planted_fields.py puts beside these
SIMULATIONS = {
    "gaussian_field": 10_000,
    "gaussian_field_varied": 10_000,
    "tomography": 20_000,
    "abel": 10_000,
    "abel_log_normal": 10_000,
    "two_fields": 10_000,
}
TESTS, FEWER = 500, 60
CALIBRATED = 2_000
MILLION = 1_000_000
NOISES = (0.05, 0.1, 0.3)
DRAWS = 400
LAGS = (1, 2, 4)


class Linear:
    """The exact posterior of a linear problem, where mask and noise are the same for all."""

    def __init__(self, gain, covariance, mask=slice(None)):
        self.gain, self.covariance, self.mask = gain, covariance, mask
        self.lower = np.linalg.cholesky(covariance)

    def mean(self, y):
        return self.gain @ y.ravel()[self.mask]

    def log_prob(self, truth, y):
        white = solve_triangular(self.lower, truth.ravel() - self.mean(y), lower=True)
        log_det = np.log(np.diag(self.lower)).sum()
        return -0.5 * (white @ white + len(white) * np.log(2 * np.pi)) - log_det


def varied(y, error):
    """The exact posterior of one observation of `gaussian_field_varied`."""
    mask = ~np.isnan(y.ravel())
    prior = gaussian_field.field_covariance()
    pixels = np.eye(prior.shape[0]).reshape(-1, gaussian_field.SIDE, gaussian_field.SIDE)
    seen = gaussian_field.blur(pixels).reshape(prior.shape)[mask]
    inner = seen @ prior @ seen.T + error**2 * np.eye(len(seen))
    gain = np.linalg.solve(inner, seen @ prior).T
    return Linear(gain, prior - gain @ seen @ prior, mask)


EXACT = {
    "gaussian_field": lambda: Linear(*gaussian_field.exact()),
    "tomography": lambda: Linear(*tomography.exact()),
    "abel": lambda: Linear(*abel.exact()),
}


def simulated(name, n, seed=101):
    return si.simulate(si.get(name), n=n, seed=seed, n_jobs=1, progress=False)


def observations(table):
    """Give observations one by one, as a user would write them."""
    schema, batch = table.schema, table.observations()
    return [schema.unstack(batch, row) for row in range(len(batch))]


def gaps(posterior, name, tests):
    """Nats a pixel below the exact density, of each test."""
    table = simulated(name, tests)
    field = posterior.prior.names[0]
    truth, same = table.parameters()[field], EXACT[name]() if name in EXACT else None
    found = []
    for true, y in zip(truth, observations(table), strict=True):
        (image, *_) = y.values()
        exact = same or varied(image, y["error"])
        mine = posterior.log_prob({field: true}, y).item()
        found.append((exact.log_prob(true, image) - mine) / true.size)
    return np.array(found)


def moments(posterior, name, tests=20):
    """Compare means, standard deviations and correlations of neighbours with the exact ones."""
    table, exact = simulated(name, tests), EXACT[name]()
    field = posterior.prior.names[0]
    sd = np.sqrt(np.diag(exact.covariance))
    shape = table.parameters()[field].shape[1:]
    off, draws = [], []
    for y in observations(table):
        drawn = posterior.sample(y, 2 * DRAWS)[field].values.reshape(2 * DRAWS, -1)
        (image, *_) = y.values()
        noise = sd / np.sqrt(2 * DRAWS)
        gap = (drawn.mean(axis=0) - exact.mean(image)) ** 2 - noise**2
        off.append(np.sqrt(max(np.mean(gap / sd**2), 0)))
        draws.append(drawn - drawn.mean(axis=0))
    left = np.concatenate(draws)
    ratio = left.std(axis=0) / sd
    found = {"mean off, in sd": np.mean(off), "sd, ratio": ratio.mean()}
    if len(shape) == 2:
        blocks = ratio.reshape(shape[0] // 4, 4, shape[1] // 4, 4).mean(axis=(1, 3))
        found["sd of a block of 4 x 4, worst"] = np.abs(blocks - 1).max()
    pixels = np.arange(sd.size).reshape(shape)
    for lag in LAGS:
        here, there = pixels[..., :-lag].ravel(), pixels[..., lag:].ravel()
        right = exact.covariance[here, there] / sd[here] / sd[there]
        mine = (left[:, here] * left[:, there]).mean(axis=0)
        mine = mine / left[:, here].std(axis=0) / left[:, there].std(axis=0)
        found[f"correlation at lag {lag}, off"] = np.abs((mine - right).mean())
    return found


def classified(posterior, tests=300):
    """Compare the probability of "across" with the exact one."""
    table = simulated("two_fields", tests)
    seen = table.as_observed()["seen"].values
    exact = two_fields.exact_across(seen)
    shares = []
    for image in seen:
        drawn = posterior.sample({"seen": image}, DRAWS)["field"].values
        shares.append((two_fields.log_ratio(drawn) > 0).mean())
    return {
        "probability of across, off": np.abs(np.array(shares) - exact).mean(),
        "the same of 1/2": np.abs(exact - 0.5).mean(),
    }


def at_noise(posterior, error, tests):
    """Nats a pixel below the exact density, of observations of `gaussian_field_varied`."""
    rng = np.random.default_rng(round(1e4 * error))
    truth = posterior.prior.sample(tests, rng)["sky"]
    found = []
    for true in truth:
        seen = gaussian_field_varied.detector(gaussian_field.blur(true), error, rng)["seen"]
        mine = posterior.log_prob({"sky": true}, {"seen": seen, "error": error}).item()
        found.append((varied(seen, error).log_prob(true, seen) - mine) / true.size)
    return np.mean(found)


def calibrated(posterior, name, tests=CALIBRATED):
    """Calibration of all pixels, and of what sums a field up."""
    table = simulated(name, tests)
    (place,) = posterior.prior.fields
    quantities = Quantities(place.name, place.shape)
    truth, batch = table.parameters()[place.name], table.observations()
    rng, inside, summed = np.random.default_rng(1), [], []
    for row in range(tests):
        drawn = posterior.core.draw(batch[row : row + 1], 100, rng)
        true = truth[row : row + 1]
        inside.append(ranks(true.reshape(1, -1), drawn, rng)[0])
        of_draws = quantities(drawn.reshape(-1, *place.shape))[None]
        summed.append(ranks(quantities(true), of_draws, rng)[0])
    held = np.abs(2 * np.array(inside) - 1) <= LEVEL
    band = 2 * np.sqrt(LEVEL * (1 - LEVEL) / tests)
    return {
        "calibration error, pooled": calibration_error(inside).pooled,
        "coverage of 90 % intervals": held.mean(),
        "pixels within two binomial sd": (np.abs(held.mean(axis=0) - LEVEL) <= band).mean(),
        "calibration error of a block, band or projection, worst": calibration_error(
            summed
        ).per_parameter.max(),
        "tests of calibration": tests,
    }


def sizes(posterior):
    """Memory at its peak so far, and that of a file."""
    with tempfile.TemporaryDirectory() as folder:
        posterior.save(Path(folder) / "field.sbi")
        size = (Path(folder) / "field.sbi").stat().st_size
    return {
        "GB of memory, peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "MB of the file": size / 1e6,
    }


def outside(posterior, y):
    """Count the pixels that are outside the support, of a million drawn."""
    (place,) = posterior.prior.fields
    low, high = posterior.prior.support[place.name]
    drawn = posterior.sample(y, -(-MILLION // int(np.prod(place.shape))))[place.name].values
    return ((drawn < low) | (drawn > high) | ~np.isfinite(drawn)).sum()


def measured(name, n, seed, tests):
    """Fit one problem, and give its rows."""
    began = time.perf_counter()
    posterior = si.fit_posterior(si.get(name), n_simulations=n, n_jobs=1, seed=seed, progress=False)
    found = {"seconds of simulating and training": time.perf_counter() - began, **sizes(posterior)}
    print(f"{name}, {n:,}: {posterior.core.fitted.describe()}, {found}", flush=True)
    if name in EXACT:
        gap = gaps(posterior, name, tests)
        found["nats a pixel below exact"] = gap.mean()
        found["its standard error"] = gap.std() / np.sqrt(len(gap))
        found |= moments(posterior, name)
    if name == "gaussian_field_varied":
        for error in NOISES:
            found[f"the same at noise {error}"] = at_noise(posterior, error, min(tests, FEWER))
    if name == "two_fields":
        found |= classified(posterior)
    (y,) = observations(simulated(name, 1))
    posterior.sample(y, 10)
    began = time.perf_counter()
    posterior.sample(y, 500)
    found["seconds of 500 draws"] = time.perf_counter() - began
    if name == "gaussian_field":
        began = time.perf_counter()
        print(posterior.check(progress=False), flush=True)
        found["seconds of check()"] = time.perf_counter() - began
    if name == "abel_log_normal":
        found["pixels outside the support, of a million"] = outside(posterior, y)
    if name in ("gaussian_field", "abel_log_normal"):
        found |= calibrated(posterior, name)
    rows = [
        {"problem": name, "simulations": n, "measure": measure, "value": round(float(value), 5)}
        for measure, value in found.items()
    ]
    for row in rows:
        print(f"    {row['measure']}: {row['value']:.4g}", flush=True)
    return rows


def table():
    """One row a problem and number of simulations."""
    rows = RECORDS.read()
    rows = rows[rows.problem != PLANTED]
    wide = rows.pivot_table(
        index=["problem", "simulations"], columns="measure", values="value", aggfunc="last"
    )
    names = [
        "nats a pixel below exact",
        "its standard error",
        *(f"the same at noise {error}" for error in NOISES),
        "mean off, in sd",
        "sd, ratio",
        "sd of a block of 4 x 4, worst",
        *(f"correlation at lag {lag}, off" for lag in LAGS),
        "probability of across, off",
        "calibration error, pooled",
        "coverage of 90 % intervals",
        "pixels within two binomial sd",
        "calibration error of a block, band or projection, worst",
        "tests of calibration",
        "pixels outside the support, of a million",
        "GB of memory, peak",
        "MB of the file",
        "seconds of simulating and training",
        "seconds of 500 draws",
        "seconds of check()",
    ]
    shown = wide[[name for name in names if name in wide]].T
    print("| | " + " | ".join(f"{name}, {n:,}" for name, n in shown.columns) + " |")
    print("|---|" + "---:|" * shown.shape[1])
    for measure, values in shown.iterrows():
        cells = ["" if np.isnan(v) else f"{v:.3g}" for v in values]
        print(f"| {measure} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("problems", nargs="*", default=list(SIMULATIONS))
    parser.add_argument("--simulations", type=int)
    parser.add_argument("--tests", type=int, default=TESTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print what was measured")
    chosen = parser.parse_args()
    if chosen.table:
        table()
        return
    for name in chosen.problems:
        n = chosen.simulations or SIMULATIONS[name]
        RECORDS.add(measured(name, n, chosen.seed, chosen.tests), seed=chosen.seed, threads=1)


if __name__ == "__main__":
    main()
