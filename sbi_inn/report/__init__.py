"""From the records of checks to a verdict that a user can act on."""

from sbi_inn.report.check import Check

__all__ = ["Check"]
