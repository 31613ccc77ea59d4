"""What the commands of this folder take from the folder above."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from batches import drawn, landed  # noqa: E402
from inside import draw, fitted, log_ratio, with_fitted  # noqa: E402
from parts import Benchmark, main  # noqa: E402
from records import (  # noqa: E402
    CACHE,
    RESULTS,
    SPREAD,
    Records,
    add_options,
    caption,
    flat,
    headed,
    markdown,
    spread,
)

__all__ = [
    "CACHE",
    "RESULTS",
    "SPREAD",
    "Benchmark",
    "Records",
    "add_options",
    "caption",
    "draw",
    "drawn",
    "fitted",
    "flat",
    "headed",
    "landed",
    "log_ratio",
    "main",
    "markdown",
    "spread",
    "with_fitted",
]
