"""What users write for the distribution of a parameter, and the line to write instead."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

from scipy.stats import gaussian_kde, multivariate_normal, norm

from sbi_inn.prior.mixture import Mixture

SAME_IN_SCIPY = {
    "Normal": "st.norm(loc, scale)",
    "Uniform": "st.uniform(low, high - low)",
    "LogNormal": "st.lognorm(s=scale, scale=np.exp(loc))",
    "Gamma": "st.gamma(concentration, scale=1 / rate)",
    "Beta": "st.beta(a, b)",
    "Exponential": "st.expon(scale=1 / rate)",
    "HalfNormal": "st.halfnorm(scale=scale)",
    "MultivariateNormal": "st.multivariate_normal(mean, cov)",
    "BoxUniform": "st.uniform(low, high - low), one for each parameter",
}
"""Distributions of torch under their names there, as scipy writes them."""


def hint(name: str, value: Any) -> str:
    """Say what to write in place of a value that is no distribution; empty if nothing is known."""
    if isinstance(value, bool):
        return ""
    if isinstance(value, Real):
        return f"A known value is not a parameter: write given={{{name!r}: {value}}}"
    if _is_pair(value):
        low, high = value
        return (
            f"For a uniform prior from {low} to {high} write st.uniform({low}, {high - low}): "
            "scipy takes the lower end and the length"
        )
    if type(value).__module__.startswith(("torch.distributions", "sbi.")):
        kind = type(value).__name__
        other = SAME_IN_SCIPY.get(kind, "the distribution of scipy.stats")
        return f"In place of torch's {kind} write {other}"
    return ""


def from_kde(value: gaussian_kde) -> Mixture:
    """Write a kernel density estimate as the mixture of normals that it is."""
    if value.d == 1:
        width = float(value.covariance[0, 0]) ** 0.5
        return Mixture(value.weights, [norm(x, width) for x in value.dataset[0]])
    points = value.dataset.T
    return Mixture(value.weights, [multivariate_normal(x, value.covariance) for x in points])


def _is_pair(value: Any) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        return False
    return all(isinstance(end, Real) for end in value) and value[0] < value[1]
