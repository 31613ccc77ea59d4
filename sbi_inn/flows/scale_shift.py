"""The affine map of a coupling block with its gradient written out.

With t = tanh(raw / clamp), s = clamp t and l = sum of s over the dimensions,

    z = x exp(s) + shift:   dL/dx = gz exp(s),   dL/dshift = gz,
                            dL/draw = (gz x exp(s) + gl) (1 - t^2),

where gz = dL/dz and gl = dL/dl. The inverse is

    x = (z - shift) exp(-s):   dL/dz = gx exp(-s),   dL/dshift = -gx exp(-s),
                               dL/draw = -(gx x + gl) (1 - t^2),

with gl the gradient of -l, its log slope.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class ScaleShift(torch.autograd.Function):
    """z = x exp(s) + shift.

    Takes x (batch, dim), raw log scales and shifts side by side (batch or 1, 2 dim), and the clamp;
    gives z (batch, dim) and l (batch or 1,).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, parameters: Tensor, clamp: float) -> tuple[Tensor, Tensor]:
        """Scale, then shift."""
        raw, shift = parameters.chunk(2, dim=1)
        t = torch.tanh(raw / clamp)
        log_scale = clamp * t
        scale = log_scale.exp()
        ctx.save_for_backward(x, t, scale)
        return torch.addcmul(shift, x, scale), log_scale.sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gz: Tensor, gl: Tensor) -> tuple[Tensor, Tensor, None]:
        """See the top of this file."""
        x, t, scale = ctx.saved_tensors
        d_x = gz * scale
        return d_x, _d_parameters(d_x * x, gl, t, gz), None


class ScaleShiftInverse(torch.autograd.Function):
    """x = (z - shift) exp(-s), as `ScaleShift`; gives x and -l."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, parameters: Tensor, clamp: float) -> tuple[Tensor, Tensor]:
        """Undo the shift, then the scale."""
        raw, shift = parameters.chunk(2, dim=1)
        t = torch.tanh(raw / clamp)
        log_scale = -clamp * t
        scale = log_scale.exp()
        x = (z - shift).mul_(scale)
        ctx.save_for_backward(x, t, scale)
        return x, log_scale.sum(dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gx: Tensor, gl: Tensor) -> tuple[Tensor, Tensor, None]:
        """See the top of this file."""
        x, t, scale = ctx.saved_tensors
        d_z = gx * scale
        return d_z, -_d_parameters(gx * x, gl, t, d_z), None


def _d_parameters(d_scale: Tensor, gl: Tensor, t: Tensor, d_shift: Tensor) -> Tensor:
    """Gradient of the raw log scales and shifts; one row of them has served all rows of x."""
    if t.shape[0] < d_scale.shape[0]:
        d_scale, d_shift = d_scale.sum(dim=0, keepdim=True), d_shift.sum(dim=0, keepdim=True)
    d_log_scale = d_scale + gl.unsqueeze(1)
    return torch.cat([torch.ops.aten.tanh_backward(d_log_scale, t), d_shift], dim=1)
