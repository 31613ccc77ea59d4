"""An epidemic seen day by day (dissertation, sec. 3.8.6): one network for all days, and forecasts.

    python benchmarks/thesis/covid.py [--seconds S] [--simulations N] [--saved FILE] [--json FILE]
                                      [--figures FOLDER]

One network is trained on epidemics of 1 to 150 days. Others that it has not seen are then followed:
after 20, 60 and 120 days it says what it knows by then. Given are the calibration error, pooled
over the parameters and of the worst one; the correlation of posterior medians with the truth, in
logarithms; and of forecasts for the 60 days that follow, how many of the later counts lie in their
central intervals.
"""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
from batches import drawn
from kept import parser, trained

import sbi_inn as si
from sbi_inn.diagnostics.calibration import calibration_error, calibration_floor

PROBLEM = "covid"
DAYS = (20, 60, 120)
TESTS, DRAWS = 2_000, 400
FORECASTS, AHEAD, LEVELS = 300, 60, (0.5, 0.9)
LAST = DAYS[-1] + AHEAD  # of what is simulated
TARGET = 0.015
SHOWN = {"contact": 0.35, "recovery": 0.12, "delay": 8.4, "infected": 30.0, "dispersion": 6.0}


def epidemics(tests, seed):
    """Simulate whole epidemics: parameters, flat, and cases, shape (tests, days)."""
    table = si.simulate(PROBLEM, n=tests, given={"days": LAST}, seed=seed, progress=False)
    return table.prior.flatten(table.parameters()), table.dataset["cases"].values


def known_by(posterior, day, truth, cases, rng):
    """Measure calibration and recovery of what is known by a day."""
    observations = posterior.schema.read_many([{"cases": row[:day]} for row in cases])
    places, medians = [], []
    for _, draws, placed in drawn(posterior.core.draw, truth, observations, DRAWS, rng):
        places.append(placed)
        medians.append(np.median(draws, axis=1))
    error = calibration_error(np.concatenate(places))
    pairs = zip(np.log(truth).T, np.log(np.concatenate(medians)).T, strict=True)
    names = posterior.prior.names
    return {
        "calibration": error.pooled,
        "worst parameter": float(error.per_parameter.max()),
        "per parameter": dict(zip(names, error.per_parameter.tolist(), strict=True)),
        "correlation": {n: float(np.corrcoef(*p)[0, 1]) for n, p in zip(names, pairs, strict=True)},
    }


def forecast(posterior, day, cases):
    """Say how many of the later counts lie in the central intervals of a forecast."""
    last = day + AHEAD
    inside = []
    for row in cases[:FORECASTS]:
        again = posterior.resimulate({"cases": row[:day]}, DRAWS, given={"days": last})
        later, counts = row[day:last], again["cases"].values[:, day:]
        ends = [np.quantile(counts, [0.5 - p / 2, 0.5 + p / 2], axis=0) for p in LEVELS]
        inside.append([((low <= later) & (later <= high)).mean() for low, high in ends])
    return dict(zip((f"in {p:.0%}" for p in LEVELS), np.mean(inside, axis=0).tolist(), strict=True))


def measured(posterior, options):
    """Follow epidemics that the network has not seen."""
    truth, cases = epidemics(options.tests, options.seed + 10_000)
    rng, floor = np.random.default_rng(options.seed), np.random.default_rng(0)
    found = {"steps": posterior.history.steps, "training [s]": posterior.history.seconds}
    found["exact"] = calibration_floor(options.tests, truth.shape[1], rng=floor).pooled.tolist()
    for day in DAYS:
        row = known_by(posterior, day, truth, cases, rng)
        found[f"day {day}"] = row | {"forecast": forecast(posterior, day, cases)}
        show(day, found[f"day {day}"])
    return found


def show(day, row):
    """Print what was found on one day."""
    ahead = ", ".join(f"{share:.1%} {name}" for name, share in row["forecast"].items())
    known = ", ".join(f"{name} {value:.3f}" for name, value in row["correlation"].items())
    print(f"{day:6} {row['calibration']:12.2%} {row['worst parameter']:8.2%}   {ahead}", flush=True)
    print(f"{'':8}correlation of medians with the truth: {known}", flush=True)


def draw_figures(posterior, folder, seed):
    """Draw forecasts of one epidemic, and what becomes known of its parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    problem, rng = si.get(PROBLEM), np.random.default_rng(seed)
    one = {name: np.array([value]) for name, value in SHOWN.items()}
    cases = problem.simulator(**one, days=np.array([LAST]), rng=rng)["cases"][0]
    for day in (20, 40):
        figure = posterior.plot_forecast(
            {"cases": cases[:day]}, given={"days": 120}, later=cases[day:120], log=True
        )
        figure.savefig(folder / f"covid_forecast_{day}.png", dpi=150)
    days = np.arange(2, 121, 2)
    ys = [{"cases": cases[:day]} for day in days]
    draws = posterior.core.draw(posterior.schema.read_many(ys), 2_000, rng)
    figure, axes = plt.subplots(1, 5, figsize=(11, 2.4), layout="constrained")
    for ax, name, column in zip(axes, posterior.prior.names, draws.T, strict=True):
        low, middle, high = np.quantile(column, [0.05, 0.5, 0.95], axis=0)
        ax.fill_between(days, low, high, alpha=0.25, lw=0)
        ax.plot(days, middle)
        ax.axhline(SHOWN[name], color="black", lw=0.8, ls="--")
        unit = problem.units.get(name)
        ax.set(xlabel="day", ylabel=problem.labels[name] + (f" [{unit}]" if unit else ""))
    figure.savefig(folder / "covid_day_by_day.png", dpi=150)


def main():
    """Train, measure and print."""
    made = parser(__doc__.splitlines()[0], seconds=1_200, simulations=100_000, tests=TESTS)
    options = made.parse_args()
    posterior = trained(PROBLEM, options)
    print(f"{options.tests:,} epidemics; target: a calibration error of {TARGET:.1%} at most")
    print(f"{'day':>6} {'calibration':>12} {'worst':>8}   later counts in intervals of a forecast")
    found = measured(posterior, options)
    print(f"an exact posterior would show {found['exact'][0]:.2%} by chance")
    if options.figures:
        draw_figures(posterior, options.figures, options.seed)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
