"""Verdict on a posterior or a comparison: a sentence, and the evidence for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbi_inn.checks.goodness import GOODNESS_OF_FIT
from sbi_inn.checks.posterior_sbc import CALIBRATION_AT_Y, TOO_FEW
from sbi_inn.checks.record import VERDICTS, Record, Verdict
from sbi_inn.checks.run import CHECKS
from sbi_inn.plots.style import kept_from_pyplot
from sbi_inn.report.page import page

MEANING = {
    "trust": "Trust this {}",
    "cannot tell": "Cannot tell whether to trust this {}",
    "caution": "Use this {} with caution",
    "do not trust": "Do not trust this {}",
}

WORTH_SAYING = (GOODNESS_OF_FIT.name, "information at y")
AT_Y = {check.name for check in CHECKS if check.at_observation}
OBJECTIONS = ("caution", "do not trust")
REASONS = 3  # that are told in the sentence
OUTSIDE = "Widen the distributions of the givens, so that training covers the observation."


@dataclass(frozen=True)
class Check:
    """The result of all checks.

    Attributes
    ----------
    records : dict of str to Record
        One entry per check that ran.
    notes : tuple of str
        Reasons for caution besides the checks, such as an observation outside the trained range.
    skipped : dict of str to str
        Checks that could not run, and why.
    about : dict of str to str
        Facts about the posterior.
    of : str
        What was checked: a "posterior" or a "comparison".
    """

    records: Mapping[str, Record]
    notes: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    of: str = "posterior"

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all checks: "trust", "cannot tell", "caution" or "do not trust"."""
        found = [VERDICTS.index(record.verdict) for record in self.records.values()]
        found += [VERDICTS.index("caution")] if self.notes else []
        return VERDICTS[max(found, default=0)]

    @property
    def meaning(self) -> str:
        """What the verdict means for the user, such as "Use this posterior with caution"."""
        return MEANING[self.verdict].format(self.of)

    @property
    def reasons(self) -> str:
        """The reasons for the verdict, with effect sizes."""
        if self.verdict == "trust":
            told, others = self._well()
            agree = "1 other check agrees" if others == 1 else f"{others} other checks agree"
            return "; ".join([*told, *([agree] if others else [])])
        decisive = self._decisive()
        told, more = decisive[:REASONS], len(decisive[REASONS:])
        return "; ".join([*told, *([f"and {more} more"] if more else []), *self.notes])

    def _decisive(self) -> list[str]:
        """Give the sentences that decide: what is wrong at the observation itself comes first.

        Where what decides is wrong at other observations only, lesser objections go before it.
        """
        by_place = sorted(self.records.items(), key=lambda named: named[0] not in AT_Y)
        decisive = [record for _, record in by_place if record.verdict == self.verdict]
        if decisive and all(record.elsewhere for record in decisive):
            lesser = [r for _, r in by_place if r.verdict == "caution" and not r.elsewhere]
            decisive = [*lesser, *decisive]
        first = [r.first for r in self.records.values() if r.first and self.verdict in OBJECTIONS]
        decisive = sorted(decisive, key=lambda record: record.elsewhere)
        return [*first, *(record.sentence for record in decisive)]

    @property
    def sentence(self) -> str:
        """The verdict and its reasons, with effect sizes."""
        said = f"{self.meaning}: {self.reasons}." if self.reasons else f"{self.meaning}."
        return " ".join(part for part in (said, self.unchecked, self._only_elsewhere) if part)

    @property
    def _only_elsewhere(self) -> str:
        """That nothing is wrong at the observation itself, where only other checks object.

        Such as where a posterior is too wide over most of the prior, and right at y. Else empty.
        """
        here = [record for name, record in self.records.items() if name in AT_Y]
        known = CALIBRATION_AT_Y.name in self.records and all(record.passed for record in here)
        if self.verdict not in OBJECTIONS or self.notes or not known:
            return ""
        return (
            "This was seen at observations from all over the prior. The checks at this observation "
            "itself find nothing wrong."
        )

    @property
    def unchecked(self) -> str:
        """Why calibration at y itself could not be checked; empty if it was checked.

        The product of two posteriors may be too narrow, or too odd in shape, to draw from it.
        """
        why = self.skipped.get(CALIBRATION_AT_Y.name, "")
        if not why.endswith(TOO_FEW):
            return ""
        return f"Whether it is calibrated at this observation itself was not checked: {why}."

    def _well(self) -> tuple[list[str], int]:
        """Give what is worth saying where all is well, and how many other checks could object."""
        said = [name for i, name in enumerate(self.records) if i == 0 or name in WORTH_SAYING]
        others = [r for n, r in self.records.items() if n not in said and np.isfinite(r.threshold)]
        return [self.records[name].sentence for name in said], len(others)

    @property
    def advice(self) -> str:
        """What to do about the verdict; at "trust", only how to learn more from the data."""
        told = [r.advice for r in self.records.values() if r.verdict == self.verdict]
        strange = self.records.get(GOODNESS_OF_FIT.name)
        if strange is not None and not strange.passed:
            # Of what the simulator cannot make, more simulations make no better posterior.
            told = [strange.advice, *(told if strange.verdict != self.verdict else [])]
        told += [OUTSIDE] if self.notes else []
        hints = [r.hint for r in self.records.values() if r.hint]
        return " ".join(dict.fromkeys([*(told if self.verdict != "trust" else []), *hints]))

    @property
    def table(self) -> pd.DataFrame:
        """One row per check: what was measured, its limit, and what decided the verdict.

        `value` is the measured effect, with its standard `error`; `threshold`, the limit above
        which it is a reason for caution (NaN if a check gives no verdict); `smallest`, the effect
        that would be detected in 9 of 10 cases (NaN if unknown); `p_value`, how often an exact
        posterior shows an effect as large, corrected for all that the check looks at; `decided`,
        what decided the verdict.
        """
        rows = {
            name: {
                "measure": record.measure,
                "value": record.value,
                "error": record.error,
                "threshold": record.threshold if np.isfinite(record.threshold) else np.nan,
                "smallest": record.smallest,
                "p_value": record.p_value,
                "passed": record.passed,
                "verdict": record.verdict,
                "decided": record.decided,
            }
            for name, record in self.records.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("check")

    @property
    def figures(self) -> dict[str, Figure]:
        """One or more figures per check, by caption."""
        figures = {}
        with kept_from_pyplot():
            for name, record in self.records.items():
                figures |= {name: record.plot(), **record.more_figures()}
        return figures

    def to_html(
        self, path: str | Path, *, figures: Mapping[str, Figure] | None = None, title: str = ""
    ) -> None:
        """Write a report as one self-contained HTML page.

        Parameters
        ----------
        path : str or Path
            Such as "report.html".
        figures : mapping of str to Figure, optional
            More figures, by caption.
        title : str
            Title of the page.
        """
        Path(path).write_text(page(self, title=title, figures=figures), encoding="utf-8")

    def __repr__(self) -> str:
        lines = [
            self.sentence,
            "",
            self.table.to_string(float_format="{:.4g}".format, na_rep="none"),
        ]
        lines += [f"skipped: {name} ({why})" for name, why in self.skipped.items()]
        lines += [self.advice] if self.advice else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        skipped = [f"skipped: {name} ({why})" for name, why in self.skipped.items()]
        table = self.table.to_html(float_format="{:.4g}".format, na_rep="none")
        paragraphs = "".join(f"<p>{escape(line)}</p>" for line in [*skipped, self.advice] if line)
        return f"<p><strong>{escape(self.sentence)}</strong></p>{table}{paragraphs}"
