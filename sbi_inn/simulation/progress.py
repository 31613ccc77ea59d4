"""One progress bar, in Jupyter and in terminals."""

from __future__ import annotations

import warnings
from typing import Any


def bar(total: int | None, description: str, *, unit: str, show: bool) -> Any:
    """Make a tqdm bar; nothing is shown unless `show`.

    In Jupyter without ipywidgets tqdm would warn on import and then write text; the text is enough.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm
    return tqdm(total=total, desc=description, unit=unit, unit_scale=True, disable=not show)
