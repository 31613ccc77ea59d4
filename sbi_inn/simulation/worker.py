"""What a worker is sent, apart from what only the process that sends it needs."""

from __future__ import annotations

from functools import lru_cache

import cloudpickle

from sbi_inn.simulation.blocks import Block, Call
from sbi_inn.simulation.inputs import Inputs
from sbi_inn.simulation.outputs import Layout


def run_rows(sent: bytes, inputs: Inputs, start: int, layout: Layout | None) -> list[Block]:
    """Simulate rows numbered from `start` by the `Call` that was sent."""
    return list(_unpacked(sent).run(inputs, start, layout))


@lru_cache(maxsize=1)
def _unpacked(sent: bytes) -> Call:
    return cloudpickle.loads(sent)
