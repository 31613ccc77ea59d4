"""One progress bar, in Jupyter and in terminals."""

from __future__ import annotations

import warnings
from typing import NoReturn

from tqdm import tqdm


def bar(
    total: int | None, description: str, *, unit: str, show: bool, delay: float = 0.0
) -> tqdm[NoReturn]:
    """Make a tqdm bar; nothing is shown unless `show`, nor before `delay` seconds.

    In Jupyter without ipywidgets tqdm would warn on import and then write text; the text is enough.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm as best
    return best(
        total=total, desc=description, unit=unit, unit_scale=True, disable=not show, delay=delay
    )
