"""The verdict on a posterior, in a sentence, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.record import VERDICTS, Record, Verdict

MEANING = {
    "trust": "Trust this posterior",
    "caution": "Use this posterior with caution",
    "do not trust": "Do not trust this posterior",
}


@dataclass(frozen=True)
class Check:
    """What the checks found.

    Attributes
    ----------
    records : dict of str to Record
        One entry per check that ran.
    notes : tuple of str
        Reasons for caution that are no check, such as an observation outside the trained range.
    skipped : dict of str to str
        Checks that could not run, and why.
    """

    records: Mapping[str, Record]
    notes: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst verdict among the checks: "trust", "caution" or "do not trust"."""
        levels = [VERDICTS.index(record.verdict) for record in self.records.values()]
        return VERDICTS[max([*levels, 1 if self.notes else 0])]

    @property
    def sentence(self) -> str:
        """The verdict and its reasons."""
        decisive = [r.sentence for r in self.records.values() if r.verdict == self.verdict]
        reasons = "; ".join([*decisive, *self.notes])
        return f"{MEANING[self.verdict]}: {reasons}." if reasons else f"{MEANING[self.verdict]}."

    @property
    def advice(self) -> str:
        """What to do about it; empty where the verdict is "trust"."""
        if self.verdict == "trust":
            return ""
        if self.notes:
            return "Widen the prior of what is given, so that training covers the observation."
        return "Simulate more, or train longer; then check again."

    @property
    def table(self) -> pd.DataFrame:
        """One row per check: value, its error, the threshold, and whether it passed."""
        rows = {
            name: {
                "value": record.value,
                "error": record.error,
                "threshold": record.threshold,
                "passed": record.passed,
                "verdict": record.verdict,
            }
            for name, record in self.records.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("check")

    @property
    def figures(self) -> dict[str, Figure]:
        """One figure per check."""
        return {name: record.plot() for name, record in self.records.items()}

    def __repr__(self) -> str:
        lines = [self.sentence, "", self.table.to_string(float_format="{:.4g}".format)]
        lines += [f"skipped: {name} ({why})" for name, why in self.skipped.items()]
        lines += [self.advice] if self.advice else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        skipped = [f"skipped: {name} ({why})" for name, why in self.skipped.items()]
        table = self.table.to_html(float_format="{:.4g}".format)
        paragraphs = "".join(f"<p>{escape(line)}</p>" for line in [*skipped, self.advice] if line)
        return f"<p><strong>{escape(self.sentence)}</strong></p>{table}{paragraphs}"
