"""Result of weighting draws to the exact posterior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import xarray as xr

from sbi_inn.typing import FloatArray

Verdict = Literal["trust", "caution", "do not trust", "cannot tell"]

FEWEST = 100  # effective draws, below which no posterior can be described,
FEW = 400  # and below which its 95 % intervals are uncertain by a tenth of their width
UNEVEN, TOO_UNEVEN = 0.5, 0.7  # Pareto k: Vehtari et al. (2024), section 3.2.4


@dataclass(frozen=True, repr=False)
class Importance:
    """Draws weighted to the exact posterior, their quality, and the evidence.

    Attributes
    ----------
    draws : xarray.Dataset
        Draws of equal weight, like those of `sample`: resampled in proportion to the weights, as
        many as the effective sample size.
    raw : xarray.Dataset
        The draws of the proposal that `weights` belong to.
    weights : array, shape (n,)
        Weights of the raw draws; they sum to 1, and the largest are Pareto-smoothed.
    effective_share : float
        Effective sample size (Kish), as a share of n.
    pareto_k : float
        Shape of the tail of the weights: below .5 all is well; above .7 a few draws dominate.
    log_evidence : float
        ln p(y), under the whole prior; from weights that are not smoothed, so that the evidence is
        unbiased.
    log_evidence_error : float
        Its standard error.
    network_share : float
        Effective share of draws from the network alone: the closer to 1, the better the network.
    evaluations : int
        How often the likelihood was evaluated.
    missed : bool
        Whether a part of the posterior was found that the proposal does not reach.
    """

    draws: xr.Dataset
    raw: xr.Dataset
    weights: FloatArray
    effective_share: float
    pareto_k: float
    log_evidence: float
    log_evidence_error: float
    network_share: float
    evaluations: int
    missed: bool = False

    @property
    def effective_sample_size(self) -> float:
        """How many draws of equal weight the weighted draws are worth (Kish)."""
        return self.effective_share * len(self.weights)

    @property
    def verdict(self) -> Verdict:
        """Whether to use the draws: "trust", "caution", "do not trust" or "cannot tell"."""
        if len(self.weights) < FEW:
            return "cannot tell"
        if self._objections(TOO_UNEVEN, FEWEST):
            return "do not trust"
        return "caution" if self._objections(UNEVEN, FEW) else "trust"

    @property
    def sentence(self) -> str:
        """The verdict and its reasons, in words."""
        worth = (
            f"{len(self.weights):,} weighted draws are worth {self.effective_sample_size:,.0f} "
            f"({self.effective_share:.0%})"
        )
        if self.verdict == "trust":
            return f"the draws follow the exact posterior: {worth}, Pareto k {self.pareto_k:.2f}"
        if self.verdict == "cannot tell":
            return f"too few draws to judge the weights by: {worth}. Draw more: n=2_000 or more"
        limits = (TOO_UNEVEN, FEWEST) if self.verdict == "do not trust" else (UNEVEN, FEW)
        return f"{'; '.join(self._objections(*limits))}: {worth}. {self._advice}"

    @property
    def _advice(self) -> str:
        if self.verdict == "caution":
            return "Draw more, or start from a better network"
        return "Fit with more simulations, and weight again"

    def _objections(self, k: float, size: int) -> list[str]:
        """Say what speaks against it, at these limits."""
        found = []
        if self.missed:
            found.append("a part of the posterior was seen that the draws do not reach")
        if self.pareto_k > k:
            found.append(f"the weights are uneven (Pareto k {self.pareto_k:.2f}, above {k})")
        if self.effective_sample_size < size:
            found.append(f"fewer than {size} effective draws are left")
        return found

    def __repr__(self) -> str:
        return "\n".join(
            [
                f"{self.verdict}: {self.sentence}",
                f"  ln evidence {self.log_evidence:.3f} +- {self.log_evidence_error:.3f}",
                f"  effective share of the network alone {self.network_share:.1%}; "
                f"{self.evaluations:,} evaluations of the likelihood",
                "  next: si.summary(found.draws), si.corner(found.draws)",
            ]
        )
