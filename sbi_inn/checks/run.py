"""The list of all checks, and how they are run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sbi_inn.checks.calibration import CALIBRATION
from sbi_inn.checks.conditional import CONDITIONAL
from sbi_inn.checks.conditional_at_y import CONDITIONAL_AT_Y
from sbi_inn.checks.dependence import DEPENDENCE
from sbi_inn.checks.fields import COVERAGE_MAP, FIELD_CALIBRATION
from sbi_inn.checks.goodness import GOODNESS_OF_FIT
from sbi_inn.checks.information import INFORMATION_AT_Y
from sbi_inn.checks.joint import JOINT_COVERAGE
from sbi_inn.checks.kind import CheckKind
from sbi_inn.checks.posterior_sbc import CALIBRATION_AT_Y
from sbi_inn.checks.predictive import PREDICTIVE
from sbi_inn.checks.record import Record
from sbi_inn.checks.recovery import RECOVERY
from sbi_inn.checks.region_edges import REGION_EDGES
from sbi_inn.checks.resimulation import RESIMULATION, RESIMULATION_AT_Y
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.observation.batch import Observations

# In the order in which they are told.
CHECKS: tuple[CheckKind[Any], ...] = (
    CALIBRATION,
    CONDITIONAL,
    DEPENDENCE,
    JOINT_COVERAGE,
    RECOVERY,
    RESIMULATION,
    GOODNESS_OF_FIT,
    REGION_EDGES,
    INFORMATION_AT_Y,
    RESIMULATION_AT_Y,
    PREDICTIVE,
    CONDITIONAL_AT_Y,
    CALIBRATION_AT_Y,
)

# Where the prior has a field: pixels are too many, and go together.
FIELD_CHECKS: tuple[CheckKind[Any], ...] = (FIELD_CALIBRATION, COVERAGE_MAP, GOODNESS_OF_FIT)


def run_checks(
    subject: Subject, observation: Observations | None = None, *, progress: bool = False
) -> tuple[dict[str, Record], dict[str, str]]:
    """Run every check that applies.

    Parameters
    ----------
    subject : Subject
        Its general checks run once: asked again, it gives the same records.
    observation : Observations, optional
        A batch of one; without it the checks at an observation are left out.
    progress : bool
        Show a progress bar.

    Returns
    -------
    records : dict of str to Record
        What was found, by the name of the check.
    skipped : dict of str to str
        What was not looked at, and why.
    """
    if subject.sampler.prior.fields:
        return _sorted(_of_field(subject, observation))
    survey = subject.survey(progress=progress)
    refined = subject.sampler.prior.box is not None
    asked = [check for check in CHECKS if refined or check is not REGION_EDGES]
    found = _walk(asked, subject, observation)
    if survey.why_no_density:
        found["regions of highest density"] = survey.why_no_density
    if len(survey.tests) < len(subject.tests):
        looked = f"looked at {len(survey.tests):,} of {len(subject.tests):,}"
        found["some test simulations"] = f"{looked}, for the time it takes"
    return _sorted(found)


def _walk(
    checks: Iterable[CheckKind[Any]], subject: Subject, observation: Observations | None
) -> dict[str, Record | str]:
    """Run those in general, and at an observation all of them."""
    if observation is None:
        return {check.name: check.of(subject) for check in checks if not check.at_observation}
    here = Here(subject, observation)
    in_order = sorted(checks, key=lambda check: check.at_observation)
    return {check.name: check.at(here) for check in in_order}


def _of_field(subject: Subject, observation: Observations | None) -> dict[str, Record | str]:
    """Run the checks of fields."""
    found = _walk(FIELD_CHECKS, subject, observation)
    why = "of a field, what sums it up is looked at instead: its pixels are too many"
    left_out = (check.name for check in CHECKS if not check.at_observation)
    return found | {name: why for name in left_out if name not in found}


def _sorted(found: Mapping[str, Record | str]) -> tuple[dict[str, Record], dict[str, str]]:
    """Part records from reasons why there are none."""
    records = {name: one for name, one in found.items() if isinstance(one, Record)}
    return records, {name: one for name, one in found.items() if isinstance(one, str)}
