"""What every test shares."""

import os

from hypothesis import settings

# The workers of pytest are the parallelism: one thread each. It has to be said before torch is
# loaded, and holds for the processes that a test starts too.
os.environ["OMP_NUM_THREADS"] = "1"

# The same examples every time, and no failure because the machine was busy.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")
