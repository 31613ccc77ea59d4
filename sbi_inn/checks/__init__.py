"""Checks: each takes anything that can draw, and returns a frozen record of what it found."""

from sbi_inn.checks.calibration import Calibration
from sbi_inn.checks.dependence import Dependence
from sbi_inn.checks.goodness import Familiar, GoodnessOfFit
from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.joint import JointCoverage
from sbi_inn.checks.posterior_sbc import LocalCalibration, calibrate_at
from sbi_inn.checks.predictive import Predictive
from sbi_inn.checks.record import Finding, Limits, Record, Sampler
from sbi_inn.checks.recovery import Recovery
from sbi_inn.checks.resimulation import (
    Fit,
    Resimulation,
    Simulate,
    resimulate,
    resimulate_at,
)
from sbi_inn.checks.run import CHECKS, run_checks
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.checks.survey import Survey, affordable, survey
from sbi_inn.checks.together import Together, look_together

__all__ = [
    "CHECKS",
    "Calibration",
    "Dependence",
    "Familiar",
    "Finding",
    "Fit",
    "GoodnessOfFit",
    "Here",
    "JointCoverage",
    "Limits",
    "LocalCalibration",
    "Predictive",
    "Record",
    "Recovery",
    "Resimulation",
    "Sampler",
    "Simulate",
    "Subject",
    "Survey",
    "TestSet",
    "Together",
    "affordable",
    "calibrate_at",
    "look_together",
    "resimulate",
    "resimulate_at",
    "run_checks",
    "survey",
]
