"""Torch in processes that were forked from one in which it was used."""

from __future__ import annotations

import os
from functools import cache

import torch


@cache
def survive_forks() -> None:
    """Let processes that are forked from this one use torch with one thread.

    A forked process has none of the threads that torch has started before, but believes that it
    has, and waits for them for ever: `multiprocessing` did, wherever it forks. One thread waits for
    no other. Where processes are not forked this does nothing.

    Examples
    --------
    >>> from sbi_inn.training.forked import survive_forks
    >>> survive_forks()
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_one_thread)


def _one_thread() -> None:
    torch.set_num_threads(1)
