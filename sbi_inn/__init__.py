"""Posteriors from simulators, with invertible networks.

Names are loaded on first use, so that a process which only simulates never loads torch.
`__init__.pyi` lists them.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
