"""What a worker is sent, apart from what only the process that sends it needs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cloudpickle

from sbi_inn.simulation.blocks import Block, Call
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout


def run_rows(path: Path, inputs: Inputs, start: int, layout: Layout | None) -> list[Block]:
    """Simulate rows numbered from `start` by the `Call` in a file."""
    return list(_read(path).run(inputs, start, layout))


@lru_cache(maxsize=1)
def _read(path: Path) -> Call:
    return cloudpickle.loads(path.read_bytes())
