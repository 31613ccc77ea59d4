# The public names and their homes: what `__init__.py` loads on first use, and what editors read.

from .api import compare_models as compare_models
from .api import fit_posterior as fit_posterior
from .comparison.comparison import ModelComparison as ModelComparison
from .comparison.storage import load_comparison as load_comparison
from .draws import summary as summary
from .errors import ComparisonError as ComparisonError
from .errors import LoadError as LoadError
from .errors import NoDensityError as NoDensityError
from .errors import PriorError as PriorError
from .errors import ShapeError as ShapeError
from .methods.abc import rejection_abc as rejection_abc
from .methods.bidirectional.method import INN as INN
from .methods.cinn.method import CINN as CINN
from .methods.fields.method import FieldCINN as FieldCINN
from .methods.ib_inn.method import IBINN as IBINN
from .plots.corner import corner as corner
from .posterior.posterior import Posterior as Posterior
from .posterior.storage import load_posterior as load_posterior
from .prior import Drawn as Drawn
from .prior import GaussianField as GaussianField
from .prior import Mixture as Mixture
from .prior import Prior as Prior
from .report.check import Check as Check
from .report.latex import latex_table as latex_table
from .simulation.failure import SimulationError as SimulationError
from .simulation.problem import Problem as Problem
from .simulation.program import program as program
from .simulation.registry import get as get
from .simulation.registry import problems as problems
from .simulation.registry import register as register
from .simulation.run import simulate as simulate
from .simulation.simulations import Simulations as Simulations
from .simulation.simulator import simulator as simulator
from .tables import read_observations as read_observations
from .tables import read_simulations as read_simulations
from .training.settings import Training as Training
from .weighting.record import Importance as Importance

__version__: str
