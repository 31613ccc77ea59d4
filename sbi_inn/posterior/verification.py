"""The numbers of a check, computed again from a file and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sbi_inn.checks.record import VERDICTS, Record
from sbi_inn.checks.survey import MANY
from sbi_inn.errors import LoadError
from sbi_inn.posterior import checking
from sbi_inn.posterior.core import Core
from sbi_inn.report.check import Check

AS_CHECKED, HELD_OUT = "as checked", "held out"
"""Whether with the simulator, if there was one, or on what is in the file alone."""

SHARE = 0.1
"""Of its standard error, by which an effect may differ: another machine rounds otherwise."""

LEAST = 1e-6
"""By which it may differ in any case, relative to itself."""

REVISIONS = {
    "calibration": 2,
    "conditional ranks": 3,
    "dependence": 2,
    "joint coverage": 2,
    "re-simulation": 2,
}
"""How often checks have changed what they measure, from 1 on: other numbers are not compared."""

FEWER_DRAWS = ("calibration", "conditional ranks", "dependence", "recovery")
"""These have changed once more where there are many parameters: they make fewer draws there."""

Numbers = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Verification:
    """Whether the numbers of the last check are reproduced.

    Attributes
    ----------
    table : DataFrame
        One row per measured effect, with its `check` and `measure`: the `saved` effect, its
        standard `error`, the effect `now`, and whether it `agrees`.
    skipped : tuple of str
        Checks with numbers in the file that need a simulator, which is missing.
    changed : tuple of str
        Checks that measure something else now than when the file was written.
    """

    table: pd.DataFrame
    skipped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether all numbers and verdicts agree that can be compared, one at least."""
        return len(self.table) > 0 and bool(self.table["agrees"].all())

    @property
    def sentence(self) -> str:
        """Say it in a line."""
        agree, n = int(self.table["agrees"].sum()), len(self.table)
        left = {
            "not computed again without a simulator": self.skipped,
            "not compared, as these checks have changed since": self.changed,
        }
        more = "".join(f"; {why}: {', '.join(names)}" for why, names in left.items() if names)
        said = "Verified" if self.agrees else "Not verified"
        return f"{said}: {agree:,} of {n:,} numbers agree{more}."

    def __repr__(self) -> str:
        shown = self.table if self.agrees else self.table[~self.table["agrees"]]
        text = shown.to_string(index=False, float_format="{:.4g}".format, max_rows=40)
        return f"{text}\n{self.sentence}"


def numbers(check: Check, core: Core) -> Numbers:
    """Give the numbers of a check of a posterior, for a file."""
    return {name: _of(record, _revision(name, core)) for name, record in check.records.items()}


def _revision(name: str, core: Core) -> int:
    many = name in FEWER_DRAWS and core.prior.dim >= MANY
    return REVISIONS.get(name, 1) + many


def _of(record: Record, revision: int) -> dict[str, Any]:
    return {
        "revision": revision,
        "verdict": record.verdict,
        "findings": [
            [one.limits.measure, one.effect, one.error, one.p_value] for one in record.findings
        ],
    }


def on_held_out(core: Core) -> Numbers:
    """Compute the numbers on the held-out simulations alone, which a file has."""
    alone = replace(core, problem=None)
    return numbers(checking.check(alone, checking.subject_of(alone), progress=False), alone)


def verify(core: Core, saved: Mapping[str, Numbers], general: Check | None) -> Verification:
    """Compute the numbers of the last check again, and compare.

    Parameters
    ----------
    core : Core
    saved : dict
        What `numbers` and `on_held_out` gave, under `AS_CHECKED` and `HELD_OUT`.
    general : Check or None
        A check of now, with the simulator; None without one.

    Raises
    ------
    LoadError
        If there are no numbers: it was never checked, or the file is of an older format.
    """
    if not saved:
        raise LoadError(
            "there are no numbers to compare with: the posterior was not checked before it was "
            "saved, or the file is of an older format. posterior.check() first, then save"
        )
    known = saved.get(HELD_OUT) or saved[AS_CHECKED]
    if general is not None and known != saved[AS_CHECKED]:
        kept, changed = _comparable(saved[AS_CHECKED], core)
        return Verification(_compared(kept, numbers(general, core)), changed=changed)
    skipped = tuple(name for name in saved[AS_CHECKED] if name not in known)
    kept, changed = _comparable(known, core)
    return Verification(_compared(kept, on_held_out(core)), skipped, changed)


def _comparable(saved: Numbers, core: Core) -> tuple[Numbers, tuple[str, ...]]:
    """Part the checks that still measure the same from those that do not."""
    kept = {n: one for n, one in saved.items() if one["revision"] == _revision(n, core)}
    return kept, tuple(name for name in saved if name not in kept)


def _compared(saved: Numbers, now: Numbers) -> pd.DataFrame:
    rows = []
    for name, record in saved.items():
        again = now.get(name, {"verdict": "missing", "findings": []})
        found = dict(enumerate(again["findings"]))
        for place, (measure, effect, error, _) in enumerate(record["findings"]):
            same, other, *_ = found.get(place, ("", math.nan))
            agrees = same == measure and _close(effect, other, error)
            agrees &= again["verdict"] == record["verdict"]
            rows.append((name, measure, effect, error, other, agrees))
    return pd.DataFrame(rows, columns=["check", "measure", "saved", "error", "now", "agrees"])


def _close(one: float, other: float, error: float) -> bool:
    if not (math.isfinite(one) and math.isfinite(other)):
        return one == other or (math.isnan(one) and math.isnan(other))
    allowed = SHARE * error if math.isfinite(error) else 0.0
    return abs(one - other) <= max(allowed, LEAST * max(1.0, abs(one)))


def read(config: Any) -> dict[str, Numbers]:
    """Read back numbers from a file.

    Raises
    ------
    TypeError, ValueError, KeyError, AttributeError
        If they are not of the form that `numbers` gives.
    """
    found = {str(how): {n: _read(one) for n, one in named.items()} for how, named in config.items()}
    if found and AS_CHECKED not in found:
        raise KeyError(AS_CHECKED)
    return found


def _read(record: Mapping[str, Any]) -> dict[str, Any]:
    if record["verdict"] not in VERDICTS:
        raise ValueError(f"expected a verdict; got {record['verdict']!r:.80}")
    findings = []
    for measure, *values in record["findings"]:
        if not isinstance(measure, str) or len(values) != 3:
            raise ValueError(f"expected a measure and three numbers; got {measure!r:.80}, {values}")
        findings.append([measure, *np.asarray(values, np.float64).tolist()])
    # Files of before do not say it.
    revision = int(record.get("revision", 1))
    return {"revision": revision, "verdict": record["verdict"], "findings": findings}
