"""Does the verdict find what is wrong, and leave alone what is right?

    python benchmarks/trust/run.py                      everything: more than an hour on two cores
    python benchmarks/trust/run.py --only power local   some of it
    python benchmarks/trust/run.py --only fits          default fits alone
    python benchmarks/trust/run.py --only power --table     a table of the results page

Parts
    power      linear-Gaussian posteriors, exact and wrong on purpose: how often check() objects
    ignorant   posteriors that are calibrated, or nearly so, and wrong: how often check() objects
    alarms     exact posteriors of many kinds: how often check() and check(y) object, or cannot tell
    local      posterior SBC: exact everywhere, and wrong only near y
    many       posterior SBC alone, in ten and twenty parameters
    strange    observations that the simulator does not make: how often check(y) objects
    fits       what fits with default settings, and a bad one, are told; how long check(y) takes

Trained networks whose exact posterior is known are a command of their own, as each fit is a row
that is kept as it ends: benchmarks/trust/trained.py.

All but the fits repeat with other simulations by themselves (`--repetitions`) and are measured with
the first seed alone; the fits are made with every seed.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

import pandas as pd
from parts import Benchmark, main
from records import SOURCE, Records, headed, markdown
from sections import alarms, fits, ignorant, local, many, power, strange

SECTIONS = {
    "power": power,
    "ignorant": ignorant,
    "alarms": alarms,
    "local": local,
    "many": many,
    "strange": strange,
}
KEY = ("part", "repetitions", "case")
ABOUT = ("planted", "observation")  # what a row is about stands first
CHECKS = ("conditional ranks", "re-simulation", "dependence", "joint coverage", "calibration")


def measure(options):
    """Run one part: a row of each finding, whose case is said by its first two columns."""
    if options.part == "fits":
        found = fits(options.seed)
    else:
        found = SECTIONS[options.part](options.repetitions)
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
    return [{"case": ", ".join(map(str, list(row.values())[:2]))} | row for row in rows]


def table(rows):
    """Make a table of each part that was measured."""
    written = []
    for part in dict.fromkeys(rows["part"]):
        here = rows[rows["part"] == part].dropna(axis=1, how="all")
        if part == "alarms":
            written.append(headed(here, by_kind(here)) + "\n\n" + markdown(by_tests(here)))
            continue
        if part == "ignorant":
            written.append(headed(here, found(here)))
            continue
        hidden = {*SOURCE, *KEY} - ({"seed"} if part == "fits" else set())
        names = sorted((n for n in here if n not in hidden), key=lambda n: n not in ABOUT)
        shown = here[names]
        text = shown.apply(lambda column: column.map(_cell)).rename(columns={"of": "repetitions"})
        written.append(headed(here, text))
    return "\n\n".join(written)


def by_kind(rows):
    """Count the objections to each kind of exact posterior, whatever the number of tests."""
    listed = []
    for kind, here in rows.groupby("planted", sort=False):
        tests = " / ".join(f"{n:,.0f}" for n in here["tests"])
        listed.append(
            {
                "posterior": kind.removeprefix("exact, "),
                "repetitions": int(here["of"].sum()),
                "check() objects": int(here["flagged"].sum()),
                "check(y) objects": int(here["at y: flagged"].sum()),
                f"cannot tell with {tests} tests": " / ".join(map(_cell, here["cannot tell"])),
            }
        )
    return pd.DataFrame(listed)


def found(rows):
    """Count how often each wrong posterior is found, and by which checks."""
    listed = []
    for kind, here in rows.groupby("planted", sort=False):
        line = {"planted": kind}
        for _, row in here.sort_values("tests", ascending=False).iterrows():
            line[f"{row['tests']:,.0f} tests"] = f"{row['flagged']:.0f} of {row['of']:.0f}"
        most = here.loc[here["tests"].idxmax()]
        line["by which checks"] = _said(most[[n for n in here if n in CHECKS]])
        listed.append(line)
    return pd.DataFrame(listed)


def by_tests(rows):
    """Count the objections to all exact posteriors, and which checks make them at y."""
    checks = [name for name in rows if name.startswith("at y: ")]
    checks = [name for name in checks if name not in ("at y: flagged", "at y: cannot tell")]
    listed = []
    for n, here in rows.groupby("tests"):
        listed.append(
            {
                "tests": f"{n:,.0f}",
                "repetitions": int(here["of"].sum()),
                "check() objects": int(here["flagged"].sum()),
                "check(y) objects": int(here["at y: flagged"].sum()),
                "by which checks": _said(here[checks].sum()),
            }
        )
    return pd.DataFrame(listed)


def _said(counts):
    """Name checks, and how often each objected, the most frequent first."""
    counts = counts.astype(float).sort_values(ascending=False, kind="stable")
    said = [f"{name.removeprefix('at y: ')} {k:.0f}" for name, k in counts.items() if k > 0]
    return ", ".join(said) or "-"


def _cell(value):
    if pd.isna(value):
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() else f"{value:.3g}"


BENCHMARK = Benchmark(
    Records("trust", KEY),
    parts=[*SECTIONS, "fits"],
    measure=measure,
    table=table,
    settings={"repetitions": 100},
    once=list(SECTIONS),
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__)
