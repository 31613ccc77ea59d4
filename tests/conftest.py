"""What every test shares."""

import os
import sys
from collections.abc import Iterator

import matplotlib
import pytest
from hypothesis import settings

# The workers of pytest are the parallelism: one thread each. It has to be said before torch is
# loaded, and holds for the processes that a test starts too.
os.environ["OMP_NUM_THREADS"] = "1"

# The same examples every time, and no failure because the machine was busy.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")


# A test may draw more than twenty figures; pyplot, where an earlier test has loaded it, keeps them
# until the test is over, and would warn.
matplotlib.rcParams["figure.max_open_warning"] = 0


@pytest.fixture(autouse=True)
def _no_figures_left() -> Iterator[None]:
    """Close the figures of pyplot, which would keep all of them."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
