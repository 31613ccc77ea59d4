"""What every test shares."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

MEASURING = Path(__file__).parent / "benchmarks"

# The workers of pytest are the parallelism: one thread each. It has to be said before torch is
# loaded, and holds for the processes that a test starts too.
os.environ["OMP_NUM_THREADS"] = "1"

# The same examples every time, and no failure because the machine was busy.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")


def pytest_collection_modifyitems(items):
    """Leave tests of the benchmarks to CI: nobody who uses the package needs them."""
    for item in items:
        if MEASURING in item.path.parents:
            item.add_marker(pytest.mark.slow)
