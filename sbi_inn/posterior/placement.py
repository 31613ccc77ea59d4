"""Where the networks of a posterior are evaluated."""

from __future__ import annotations

from dataclasses import replace

from sbi_inn.methods.protocols import moved
from sbi_inn.posterior.core import Core
from sbi_inn.training.device import placed


def to(core: Core, device: str) -> Core:
    """Return this posterior with its networks on a device, which then draw and evaluate there.

    Random numbers are drawn on the CPU for all devices, so that draws are the same up to rounding.
    After training, networks are on the device of the training (`Training(device=...)`); after
    loading, on the CPU.

    Parameters
    ----------
    device : str
        "auto", "cpu", or a name that torch knows, such as "cuda", as in `Training`.

    Returns
    -------
    Posterior
        This one is not changed.

    Raises
    ------
    ValueError
        If there is no such device.
    TypeError
        If the method is one of your own that cannot leave the CPU.
    """
    return replace(core, fitted=moved(core.fitted, placed(device)))
