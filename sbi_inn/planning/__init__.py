"""Plan the next step, more simulations or more data: learning curves and expected widths."""

from sbi_inn.planning.learning import LearningCurve, learning_curve
from sbi_inn.planning.widths import Plan, plan

__all__ = ["LearningCurve", "Plan", "learning_curve", "plan"]
