"""Importing the package is light, and changes nothing for anyone else in the process."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import sbi_inn


def run_python(code: str, folder: Path) -> str:
    """Return what code prints in a fresh Python, away from the repo."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_neither_torch_nor_matplotlib(tmp_path: Path) -> None:
    code = "import sys, sbi_inn; print(sorted({'torch', 'matplotlib'} & set(sys.modules)))"
    assert run_python(code, tmp_path) == "[]"


def test_a_worker_that_simulates_loads_neither_tables_nor_distributions(tmp_path: Path) -> None:
    heavy = "{'torch', 'pandas', 'xarray', 'scipy', 'matplotlib'}"
    code = f"import sys, sbi_inn.simulation.worker; print(sorted({heavy} & set(sys.modules)))"
    assert run_python(code, tmp_path) == "[]"


def test_the_version_is_the_installed_one() -> None:
    assert sbi_inn.__version__ == version("sbi-inn")


GLOBAL_STATE = """
import pickle, random, sys, warnings
import matplotlib, numpy, torch

def state():
    return {
        "torch default dtype": torch.get_default_dtype(),
        "torch gradients": torch.is_grad_enabled(),
        "torch generator": torch.get_rng_state().numpy().tobytes(),
        "torch threads": torch.get_num_threads(),
        "torch deterministic": torch.are_deterministic_algorithms_enabled(),
        "numpy generator": pickle.dumps(numpy.random.get_state()),
        "numpy errors": numpy.geterr(),
        "numpy printing": repr(numpy.get_printoptions()),
        "random generator": random.getstate(),
        "matplotlib backend": dict.__getitem__(matplotlib.rcParams, "backend"),
        "matplotlib settings": dict(matplotlib.rcParams.copy()),
        "warnings filters": list(warnings.filters),
    }

# Scientific packages add filters of their own when loaded; ours must add none on top.
import pandas, scipy.stats, sympy, xarray
torch.rand(1), numpy.random.rand(1), random.random()
before = state()
%s
after = state()
print([name for name in before if before[name] != after[name]])
"""


# Public names are loaded on first use, which has to be watched too.
ALL_NAMES = "import sbi_inn\nfor name in sbi_inn.__all__: getattr(sbi_inn, name)"


# Nor is anything changed by what a user does all day: fitting, checking, looking at the figures.
CHECK = """
import dataclasses
import sbi_inn as si
settings = {"method": si.CINN(blocks=2, hidden=8), "training": si.Training(epochs=1)}
p = si.fit_posterior("two_moons", n_simulations=300, seed=1, progress=False, **settings)
p._shared = dataclasses.replace(p._subject(), tests=p._subject().tests.head(100))
check = p.check(progress=False)
assert set(check.records) <= set(check.figures)
import matplotlib.pyplot as plt
assert plt.get_fignums() == []  # pyplot would keep them until they are closed
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [ALL_NAMES, CHECK], ids=["every name", "check"])
def test_use_changes_no_global_state(code: str, tmp_path: Path) -> None:
    assert run_python(GLOBAL_STATE % code, tmp_path) == "[]"


@pytest.mark.slow
def test_a_change_of_global_state_would_be_seen(tmp_path: Path) -> None:
    code = "torch.set_default_dtype(torch.float64); numpy.random.seed(0); matplotlib.use('svg')"
    found = run_python(GLOBAL_STATE % code, tmp_path)
    for name in ("torch default dtype", "numpy generator", "matplotlib backend"):
        assert name in found


def test_public_names_are_not_taken_by_folders(tmp_path: Path) -> None:
    # Importing a submodule binds it in its package: no public name is that of a folder.
    code = "import sbi_inn.summary_networks, sbi_inn.plots.corner, sbi_inn.simulation.simulator\n"
    code += "print([n for n in sbi_inn.__all__ if not callable(getattr(sbi_inn, n))])\n"
    code += "from sbi_inn.summary_networks import Fusion"
    assert run_python(code, tmp_path) == "[]"
