"""The kinds of learned likelihoods, one of which stands in for another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sbi_inn.likelihoods.autoregressive import Autoregressive
from sbi_inn.likelihoods.entry_law import EntryLaw
from sbi_inn.likelihoods.likelihood import Likelihood
from sbi_inn.likelihoods.two_laws import TwoLaws

AnyLikelihood = Likelihood | TwoLaws | Autoregressive | EntryLaw
"""What is learned: a law of each observable, two of each, one of a series, or one of a set."""


def kind_of(stored: Mapping[str, Any], prefix: str) -> type[AnyLikelihood]:
    """Say which kind the arrays of a file are of, by their names."""
    if f"{prefix}odds" in stored:
        return TwoLaws
    if f"{prefix}log_width" in stored:
        return EntryLaw
    return Autoregressive if f"{prefix}shares_slope" in stored else Likelihood
