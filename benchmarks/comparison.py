"""Model comparison against known answers: Bayes factors, probabilities, "none of them".

    python benchmarks/comparison.py [--only PART ...] [--simulations N]
    python benchmarks/comparison.py --table              the tables of the results page

Parts `trend`, `t-test` and `counts`: two simulators whose evidences have a closed form. Log Bayes
factors at 500 observations, probabilities and their calibration at 5,000. `trend, others` and so
on: other prior probabilities afterwards, against a comparison that is trained with them; baselines
on what the comparison's own classifier has read; and BayesFlow. `epidemics`: nested sampling on
exact likelihoods (`comparison_parts/nested.py`). `none of them`: observations of neither model of
`trend`. `planted`: exact probabilities of `trend` as they are, and at wrong temperatures, before
the check.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from comparison_parts import measures
from comparison_parts.pairs import PAIRS
from parts import Benchmark, main
from records import SPREAD, Records, headed, spread

OTHERS = {f"{pair}, others": pair for pair in PAIRS}
PARTS = (*PAIRS, *OTHERS, "epidemics", "none of them", "planted")
NUMBERS = {  # of the pairs: columns and their formats
    "|ln BF| <= 5": "{:.0%}",
    "error of ln BF": "{:.3f}",
    "beyond 5": "{:.2f}",
    "error over stated": "{:.1f}",
    "mean error of p": "{:.4f}",
    "90 % of p": "{:.4f}",
}
CALIBRATION = ("ECE", "ECE, floor", "geometric mean", "geometric mean, floor", "temperature")


def measure(options):
    """Measure a part."""
    n, seed = options.simulations, options.seed
    if options.part in PAIRS:
        found = measures.pair(options.part, n, options.tests, seed)
    elif options.part in OTHERS:
        found = measures.others(OTHERS[options.part], n, options.tests, seed)
    elif options.part == "epidemics":
        found = measures.epidemics(n, seed)
    elif options.part == "none of them":
        found = measures.none_of_them(n, options.tests, seed)
    else:
        found = measures.planted(seed)
    return found


# -- tables ----------------------------------------------------------------------------------------


def table(rows):
    """Make the tables of the page."""
    if rows.empty:
        return ""
    columns = dict.fromkeys((*rows.columns, *NUMBERS, *CALIBRATION, "seconds", "verdict"))
    rows = rows.reindex(columns=list(columns))  # what no row has yet is empty
    another = rows["what"] == "another prior"
    pairs = rows["part"].isin([*PAIRS, *OTHERS, "epidemics"]) & ~another
    chosen = {
        pairs_table: pairs,
        prior_table: another,
        none_table: rows["part"] == "none of them",
        planted_table: rows["part"] == "planted",
    }
    return "\n\n".join(make(rows[mine]) for make, mine in chosen.items() if mine.any())


def pairs_table(rows):
    lines, second = [], []
    for (part, what), here in rows.groupby(["part", "what"], sort=False):
        part = OTHERS.get(part, part)
        line = {"models": part, "what": what}
        line |= {name: spread(here[name], form) for name, form in NUMBERS.items()}
        lines.append(line | {"seconds": spread(here["seconds"], "{:.0f}")})
        if here["ECE"].notna().any():
            floor = spread(here["ECE, floor"], "{:.2%}")
            second.append(
                {
                    "models": part,
                    "what": what,
                    "ECE": spread(here["ECE"], "{:.2%}"),
                    "floor": floor,
                    "geometric mean": spread(here["geometric mean"], "{:.2%}"),
                    "its floor": spread(here["geometric mean, floor"], "{:.2%}"),
                    "temperature": spread(here["temperature"], "{:.2f}"),
                    "verdict": ", ".join(sorted(set(here["verdict"].dropna()))) or "-",
                }
            )
    both = [headed(rows, pd.DataFrame(lines), SPREAD)]
    if second:
        both.append(headed(rows, pd.DataFrame(second), "Calibration at the tests."))
    return "\n\n".join(both)


def prior_table(rows):
    names = ("other prior", "other prior, 90 %", "error of afterwards", "error of trained with it")
    headings = ("mean change", "90 %", "mean error, afterwards", "mean error, trained with it")
    lines = [
        {"models": OTHERS[part]}
        | {h: spread(here[n], "{:.4f}") for h, n in zip(headings, names, strict=True)}
        for part, here in rows.groupby("part", sort=False)
    ]
    prior = "Prior probabilities of 3 to 1: afterwards, and of a comparison trained with them."
    return headed(rows, pd.DataFrame(lines), prior, SPREAD)


def none_table(rows):
    kinds = [name for name in rows["what"].unique() if name not in ("candidates",)]
    alarms = rows[rows["what"] == "candidates"]
    lines = []
    for test in measures.TEST_NAMES:
        line = {"test": test}
        for level in measures.LEVELS:
            line[f"alarms at p = {level}"] = spread(alarms[f"{test}, {level}"], "{:.3f}")
        for kind in kinds:
            here = rows[rows["what"] == kind]
            line[f"{kind}: AUC"] = spread(here[f"{test}, AUC"], "{:.3f}")
            line[f"{kind}: said"] = spread(here[f"{test}, 0.01"], "{:.1%}")
        lines.append(line)
    for name in ("best possible", "exact likelihood, two-tailed", "softmax confidence"):
        line = {"test": name} | {f"alarms at p = {level}": "-" for level in measures.LEVELS}
        for kind in kinds:
            here = rows[rows["what"] == kind]
            line[f"{kind}: AUC"] = spread(here[f"{name}, AUC"], "{:.3f}")
            sure = here["softmax is sure"] if name.startswith("softmax") else pd.Series([np.nan])
            line[f"{kind}: said"] = f"sure in {sure.median():.0%}" if sure.notna().any() else "-"
        lines.append(line)
    return headed(rows, pd.DataFrame(lines), SPREAD)


def planted_table(rows):
    lines = [
        {
            "temperature": f"{temperature:g}",
            "tests": f"{here['rows'].iloc[0]:,.0f}",
            "comparisons": f"{here['repetitions'].sum():,.0f}",
            "trusted": f"{np.average(here['trusted'], weights=here['repetitions']):.0%}",
            "caution": f"{np.average(here['caution'], weights=here['repetitions']):.0%}",
            "not trusted": f"{np.average(here['distrusted'], weights=here['repetitions']):.0%}",
        }
        for temperature, here in rows.groupby("temperature", sort=True)
    ]
    return headed(rows, pd.DataFrame(lines))


BENCHMARK = Benchmark(
    Records("comparison", ("part", "what", "simulations", "tests")),
    parts=PARTS,
    measure=measure,
    table=table,
    settings={"simulations": 30_000, "tests": 5_000},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
