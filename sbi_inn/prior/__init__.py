"""Priors: named scipy distributions and their exact map to and from N(0, I)."""

from sbi_inn.prior.as_prior import as_prior
from sbi_inn.prior.drawn import Drawn
from sbi_inn.prior.fields import FieldPlace
from sbi_inn.prior.gaussian_field import GaussianField
from sbi_inn.prior.mixture import Mixture
from sbi_inn.prior.prior import Prior

__all__ = ["Drawn", "FieldPlace", "GaussianField", "Mixture", "Prior", "as_prior"]
