"""Checks: each takes anything that can draw, and returns a frozen record of what it found."""

from sbi_inn.checks.calibration import Calibration, calibrate
from sbi_inn.checks.held_out import TestSet
from sbi_inn.checks.record import Record, Sampler
from sbi_inn.checks.resimulation import (
    Fit,
    Resimulation,
    Simulate,
    resimulate,
    resimulate_at,
)

__all__ = [
    "Calibration",
    "Fit",
    "Record",
    "Resimulation",
    "Sampler",
    "Simulate",
    "TestSet",
    "calibrate",
    "resimulate",
    "resimulate_at",
]
