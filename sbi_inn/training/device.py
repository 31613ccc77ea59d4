"""Where networks are trained and evaluated: on the processor, or on a device such as a GPU.

Everything random is drawn on the processor, by numpy or by torch's generators there, and then sent
to the device: draws agree with those of another device within rounding.
"""

from __future__ import annotations

from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from sbi_inn.typing import AnyArray

AUTO = "auto"
CPU = torch.device("cpu")


class Movable(Protocol):
    """Rows of tensors that go to a device together."""

    def to(self, device: torch.device) -> Self:
        """Give them there; themselves, if that is where they are."""
        ...


T = TypeVar("T", bound=Movable)


def placed(device: Any) -> torch.device:
    """Find the device that is meant.

    Parameters
    ----------
    device : str
        "auto" is CUDA, where torch has such a device, and else the processor. "mps" is never
        chosen, as it has no numbers of double precision; it cannot be asked for either.

    Raises
    ------
    ValueError
        If there is no such device, or it cannot hold numbers of double precision.

    Examples
    --------
    >>> placed("cpu")
    device(type='cpu')
    """
    if device == "cpu":
        return CPU
    if device == AUTO:
        return torch.device("cuda") if torch.cuda.is_available() else CPU
    try:
        found = torch.device(device)
        tried = torch.ones(1, dtype=torch.float64, device=found).cpu().item()
    except Exception as error:  # each kind of device that is not there raises another one
        raise ValueError(
            'device must be "auto", "cpu", or a device of torch with double precision, such as '
            f'"cuda"; got {device!r:.80}, which cannot be used here ({error!s:.120})'
        ) from error
    assert tried == 1
    return found


def device_of(module: nn.Module) -> torch.device:
    """Say where a module is: where its first weight or buffer is."""
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return CPU


def on(rows: T, device: torch.device) -> T:
    """Give rows on a device."""
    return rows if device.type == "cpu" else rows.to(device)


def to_numpy(tensor: Tensor) -> AnyArray:
    """Give an array of a tensor, wherever that is."""
    return tensor.detach().cpu().numpy()
