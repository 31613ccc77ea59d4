"""The one list of checks of a comparison."""

from __future__ import annotations

from typing import Any

from sbi_inn.checks.candidates import Candidates
from sbi_inn.checks.class_calibration import MODEL_CALIBRATION
from sbi_inn.checks.class_residuals import UNREAD_CHECK
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.none_of_them import FALSE_ALARMS_CHECK, FEATURES_CHECK
from sbi_inn.checks.record import Record

# In the order in which they are told.
COMPARISON_CHECKS: tuple[CheckKind[Any], ...] = (
    MODEL_CALIBRATION,
    UNREAD_CHECK,
    FALSE_ALARMS_CHECK,
    FEATURES_CHECK,
)


def check_candidates(candidates: Candidates) -> tuple[dict[str, Record], dict[str, str]]:
    """Run every check of a comparison that applies.

    Returns
    -------
    records : dict of str to Record
    skipped : dict of str to str
        What was not looked at, and why.
    """
    found = {check.name: check.of(candidates) for check in COMPARISON_CHECKS}
    records = {name: one for name, one in found.items() if isinstance(one, Record)}
    return records, {name: one for name, one in found.items() if isinstance(one, str)}
