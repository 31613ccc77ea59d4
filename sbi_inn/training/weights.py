"""All trained weights of a module as one vector."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from sbi_inn.training.device import to_numpy
from sbi_inn.typing import AnyArray


class Weights:
    """The trained parameters of a module, gathered into one vector for each of their dtypes.

    A flow has hundreds of small parameters, and an operation on each costs more than the
    arithmetic. The parameters become views of the vectors: clipping, the optimiser, averages and
    copies work on a vector at once, and the module sees what they do.

    Parameters
    ----------
    module : Module
        Its frozen parameters are left alone.

    Attributes
    ----------
    vectors : list of Tensor
        Nearly always one.

    Examples
    --------
    >>> import torch
    >>> from sbi_inn.training.weights import Weights
    >>> line = torch.nn.Linear(2, 1)
    >>> weights = Weights(line)
    >>> weights.differentiate(line(torch.tensor([[3.0, 4.0]])).sum())
    >>> weights.vectors[0].grad
    tensor([3., 4., 1.])
    >>> round(weights.clip(0.5), 3), weights.vectors[0].grad.norm().item()
    (5.099, 0.5)
    >>> weights.load([torch.zeros(3)])
    >>> line.weight
    Parameter containing:
    tensor([[0., 0.]], requires_grad=True)
    """

    def __init__(self, module: nn.Module) -> None:
        groups: dict[tuple[torch.dtype, torch.device], list[nn.Parameter]] = {}
        for parameter in module.parameters():
            if parameter.requires_grad:
                groups.setdefault((parameter.dtype, parameter.device), []).append(parameter)
        self.groups = list(groups.values())
        self.vectors = [parameters_to_vector(group).detach() for group in self.groups]
        for vector, group in zip(self.vectors, self.groups, strict=True):
            vector_to_parameters(vector, group)

    def differentiate(self, loss: Tensor) -> None:
        """Set `grad` of the vectors to the gradient of a loss."""
        parameters = [parameter for group in self.groups for parameter in group]
        gradients = iter(torch.autograd.grad(loss, parameters, materialize_grads=True))
        for vector, group in zip(self.vectors, self.groups, strict=True):
            vector.grad = torch.cat([next(gradients).reshape(-1) for _ in group])

    def clip(self, largest: float) -> float:
        """Bound the norm of the whole gradient; gives what it was."""
        gradients = [vector.grad for vector in self.vectors if vector.grad is not None]
        norm = math.hypot(*(torch.linalg.vector_norm(g).item() for g in gradients))
        if largest < norm < math.inf:
            for gradient in gradients:
                gradient.mul_(largest / norm)
        return norm

    def copy(self) -> list[Tensor]:
        """Copy the vectors."""
        return [vector.clone() for vector in self.vectors]

    def load(self, values: list[Tensor]) -> None:
        """Take over values, such as a copy."""
        for vector, value in zip(self.vectors, values, strict=True):
            vector.copy_(value)


def to_arrays(module: nn.Module) -> dict[str, AnyArray]:
    """Give all weights of a module, by name, as files hold them."""
    return {name: to_numpy(weight) for name, weight in module.state_dict().items()}


def from_arrays(module: nn.Module, arrays: Mapping[str, AnyArray]) -> None:
    """Read back into a module what `to_arrays` gave, and have it evaluate."""
    module.load_state_dict({name: torch.from_numpy(weight) for name, weight in arrays.items()})
    module.eval()
