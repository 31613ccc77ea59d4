"""Tables made elsewhere: simulations to learn from, and catalogues of observations."""

from sbi_inn.tables.index import coordinate, index_of
from sbi_inn.tables.observations import read_observations
from sbi_inn.tables.prior import with_prior
from sbi_inn.tables.simulations import read_simulations
from sbi_inn.tables.source import is_table

__all__ = [
    "coordinate",
    "index_of",
    "is_table",
    "read_observations",
    "read_simulations",
    "with_prior",
]
