"""Return memory that an allocator keeps."""

from __future__ import annotations

import torch

# The largest block for which glibc adapts is 32 MiB, its own few bytes included.
LARGEST_BLOCK = 2**25 - 2**16


def keep_memory() -> None:
    """Make the C library keep freed memory of up to 64 MiB for the next step.

    The activations of a training step are freed at its end. By default glibc hands them back to the
    system, which then clears every page anew in the next step: that took up to a third of the time.
    Freeing one large block makes glibc raise both its thresholds (mallopt(3), M_MMAP_THRESHOLD, on
    their dynamic adjustment). Elsewhere this does nothing. Nothing is ever written to the block.

    Examples
    --------
    >>> from sbi_inn.training.memory import keep_memory
    >>> keep_memory()
    """
    torch.empty(LARGEST_BLOCK, dtype=torch.uint8, device="cpu")
