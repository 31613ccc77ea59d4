"""Where the networks of a posterior are evaluated."""

from __future__ import annotations

from dataclasses import replace

from sbi_inn.methods.protocols import moved
from sbi_inn.posterior.core import Core
from sbi_inn.training.device import placed


def to(core: Core, device: str) -> Core:
    """Give this posterior with its networks on a device, which draw and evaluate there.

    Random numbers are drawn on the processor for all devices, so that draws are the same within
    rounding. After a training networks are where that was (`Training(device=...)`), after loading
    on the processor.

    Parameters
    ----------
    device : str
        "auto", "cpu", or a name that torch knows, such as "cuda", as in `Training`.

    Returns
    -------
    Posterior
        This one stays as it is.

    Raises
    ------
    ValueError
        If there is no such device.
    TypeError
        If a method that is not of this package stays on the processor.
    """
    return replace(core, fitted=moved(core.fitted, placed(device)))
