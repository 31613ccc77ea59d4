"""Checks: each takes anything that can draw, and returns a frozen record of its findings."""

from sbi_inn.checks.calibration import Calibration
from sbi_inn.checks.goodness import Familiar, GoodnessOfFit
from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.joint import JointCoverage
from sbi_inn.checks.recovery import Recovery
from sbi_inn.checks.resimulation import Fit, Resimulation
from sbi_inn.checks.run import CHECKS, run_checks
from sbi_inn.checks.subject import Subject
from sbi_inn.checks.together import Together, look_together

__all__ = [
    "CHECKS",
    "Calibration",
    "Familiar",
    "Fit",
    "GoodnessOfFit",
    "JointCoverage",
    "Recovery",
    "Resimulation",
    "Subject",
    "TestSet",
    "Together",
    "look_together",
    "run_checks",
]
