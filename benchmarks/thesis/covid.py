"""An epidemic seen day by day (dissertation, sec. 3.8.6): one network for all days, and forecasts.

    python benchmarks/thesis/covid.py [--seconds S] [--simulations N] [--saved FILE]
    python benchmarks/thesis/covid.py --table                the tables of the results page
    python benchmarks/thesis/covid.py --figures docs/results/thesis      figures of the rows

One network is trained on epidemics of 1 to 150 days. Others that it has not seen are then followed:
after 20, 60 and 120 days it says what it knows by then. Given are the calibration error, pooled
over the parameters and of the worst one; the correlation of posterior medians with the truth, in
logarithms; and of forecasts for the 60 days that follow, how many of the later counts lie in their
central intervals.
"""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from kept import parser, trained
from shared import Records, caption, draw, drawn, flat, markdown

import sbi_inn as si
from sbi_inn.diagnostics.calibration import calibration_error, calibration_floor

PROBLEM = "covid"
DAYS = (20, 60, 120)
TESTS = 2_000  # epidemics
DRAWS = 400  # of each
FORECASTS = 300  # epidemics
AHEAD = 60  # days
LEVELS = (0.5, 0.9)  # of the intervals of a forecast
RECORDS = Records("thesis-covid", ("simulations", "seconds", "day"))
EXAMPLE = Records("thesis-covid-example", ("of", "day"))  # of the figures
LAST = DAYS[-1] + AHEAD  # of what is simulated
BANDS = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles of the figures
FORECAST_FROM = (20, 40)  # days
SHOWN = {"contact": 0.35, "recovery": 0.12, "delay": 8.4, "infected": 30.0, "dispersion": 6.0}


def epidemics(tests, seed):
    """Simulate whole epidemics: parameters, flat, and cases, shape (tests, days)."""
    table = si.simulate(PROBLEM, n=tests, given={"days": LAST}, seed=seed, progress=False)
    return table.prior.flatten(table.parameters()), table.dataset["cases"].values


def known_by(posterior, day, truth, cases, rng):
    """Measure calibration and recovery of what is known by a day."""
    observations = posterior.schema.read_many([{"cases": row[:day]} for row in cases])
    places, medians = [], []
    for _, draws, placed in drawn(posterior, truth, observations, DRAWS, rng):
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
    """Follow epidemics that the network has not seen, a row for each day."""
    truth, cases = epidemics(options.tests, options.seed + 10_000)
    rng, floor = np.random.default_rng(options.seed), np.random.default_rng(0)
    about = {"simulations": options.simulations, "seconds": options.seconds}
    about |= {"steps": posterior.history.steps, "training [s]": posterior.history.seconds}
    exact = calibration_floor(options.tests, truth.shape[1], rng=floor).pooled
    about |= {"calibration if exact": float(exact[0]), "tests": options.tests}
    rows = []
    for day in DAYS:
        row = known_by(posterior, day, truth, cases, rng)
        rows.append(
            about | {"day": day} | flat(row | {"forecast": forecast(posterior, day, cases)})
        )
    return rows


def table(rows):
    """Make the tables of the page: what is known by a day, and forecasts made on it."""
    if rows.empty:
        return ""
    first = rows.iloc[0]
    known, ahead = [], []
    for row in rows.to_dict("records"):
        line = {"day": row["day"], "calibration": f"{row['calibration']:.2%}"}
        line["worst parameter"] = f"{row['worst parameter']:.2%}"
        known.append(line | {f"r of {n}": f"{row[f'correlation.{n}']:.3f}" for n in SHOWN})
        names = [f"in {level:.0%}" for level in LEVELS]
        ahead.append(
            {"made on day": row["day"]} | {n: f"{row[f'forecast.{n}']:.1%}" for n in names}
        )
    return (
        f"{caption(rows)} {first['steps']:,} steps in {first['training [s]']:.0f} s; "
        f"{first['tests']:,} epidemics. An exact posterior shows a calibration error of "
        f"{first['calibration if exact']:.2%} by chance.\n\n{markdown(pd.DataFrame(known))}\n\n"
        f"Counts of the {AHEAD} days after, in the central intervals of a forecast:\n\n"
        f"{markdown(pd.DataFrame(ahead))}"
    )


def example(posterior, seed):
    """Follow one epidemic: its counts, what is known of its parameters, and two forecasts."""
    problem, rng = si.get(PROBLEM), np.random.default_rng(seed)
    one = {name: np.array([value]) for name, value in SHOWN.items()}
    cases = problem.simulator(**one, days=np.array([LAST]), rng=rng)["cases"][0]
    rows = [{"of": "cases", "day": day + 1, "0.5": value} for day, value in enumerate(cases)]
    for day in FORECAST_FROM:
        again = posterior.resimulate({"cases": cases[:day]}, 2_000, given={"days": DAYS[-1]})
        bands = np.quantile(again["cases"].values, BANDS, axis=0).T
        rows += [
            {"of": f"forecast on day {day}", "day": later} | named(band)
            for later, band in enumerate(bands, 1)
        ]
    days = np.arange(2, DAYS[-1] + 1, 2)
    observations = posterior.schema.read_many([{"cases": cases[:d]} for d in days])
    draws = draw(posterior, observations, 2_000, rng)
    for name, column in zip(posterior.prior.names, draws.T, strict=True):
        bands = np.quantile(column, BANDS, axis=0).T
        rows += [{"of": name, "day": int(d)} | named(b) for d, b in zip(days, bands, strict=True)]
    return rows


def named(band):
    return dict(zip(map(str, BANDS), band.tolist(), strict=True))


def draw_figures(rows, folder):
    """Draw forecasts of one epidemic, and what becomes known of its parameters."""
    folder.mkdir(parents=True, exist_ok=True)
    problem = si.get(PROBLEM)
    parts = {name: part.set_index("day").sort_index() for name, part in rows.groupby("of")}
    cases = parts["cases"]["0.5"]
    for day in FORECAST_FROM:
        figure, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
        later = (
            parts[f"forecast on day {day}"][list(map(str, BANDS))].loc[day + 1 :] + 0.5
        )  # counts of 0 have a place
        for low, high, name in (("0.05", "0.95", "90 %"), ("0.25", "0.75", "50 %")):
            ax.fill_between(later.index, later[low], later[high], alpha=0.3, color="C0", label=name)
        ax.semilogy(cases.index[:day], cases.iloc[:day] + 0.5, "k.", ms=3, label="seen")
        ax.semilogy(cases.loc[day + 1 : DAYS[-1]] + 0.5, "r.", ms=2, label="later")
        ax.set(xlabel="day", ylabel="cases + 0.5")
        ax.legend(frameon=False)
        figure.savefig(folder / f"covid_forecast_{day}.png", dpi=150)
    figure, axes = plt.subplots(1, 5, figsize=(11, 2.4), layout="constrained")
    for ax, (name, truth) in zip(axes, SHOWN.items(), strict=True):
        ax.fill_between(
            parts[name].index, parts[name]["0.05"], parts[name]["0.95"], alpha=0.25, lw=0
        )
        ax.plot(parts[name]["0.5"])
        ax.axhline(truth, color="black", lw=0.8, ls="--")
        unit = problem.units.get(name)
        ax.set(xlabel="day", ylabel=problem.labels[name] + (f" [{unit}]" if unit else ""))
    figure.savefig(folder / "covid_day_by_day.png", dpi=150)


def main():
    """Train, measure, keep the rows and print."""
    made = parser(__doc__, seconds=600.0, simulations=100_000, tests=TESTS)
    options = made.parse_args()
    records, shown = (replace(r, folder=options.out) for r in (RECORDS, EXAMPLE))
    if options.figures:
        draw_figures(shown.read(), options.figures)
        return
    if not options.table:
        posterior = trained(PROBLEM, options)
        where = {"seed": options.seed, "threads": torch.get_num_threads()}
        records.add(measured(posterior, options), **where)
        shown.add(example(posterior, options.seed), **where)
    print(table(records.read()))


if __name__ == "__main__":
    main()
