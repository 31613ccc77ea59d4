"""The notebooks run, at small size, and are stored with outputs that anyone may read."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

BAR = re.compile(r"[\w ]+: +\d+%\|")
# Takes the place of the first code cell, which says how much is simulated.
SMALL = """
%reset -f
import os
import warnings
import sbi_inn
from sbi_inn.checks import subject
from sbi_inn.posterior import checking
from sbi_inn.weighting import adaptation

adaptation.ROUNDS = 2  # trained this little, a network needs all that there may be
checking.TEST_ROWS = 50
subject.SECONDS = 0.2  # s that simulating for a check may take
subject.MOST_DRAWS_AT_Y = 100
warnings.simplefilter("error")
warnings.filterwarnings("ignore", "the forward network misses")  # trained this little, it does
warnings.filterwarnings("ignore", "the last check of this posterior said")
n_simulations = 500
small = {"blocks": 2, "hidden": 16}
# The kernel may have run another notebook, which left these.
fit = getattr(sbi_inn.fit_posterior, "whole", sbi_inn.fit_posterior)
compare = getattr(sbi_inn.compare_models, "whole", sbi_inn.compare_models)
weigh = getattr(sbi_inn.Posterior.importance, "whole", sbi_inn.Posterior.importance)
simulate = getattr(sbi_inn.simulate, "whole", sbi_inn.simulate)
kinds = {"cinn": sbi_inn.CINN(**small), "inn": sbi_inn.INN(**small)}


def fit_small(*study, method="cinn", **options):
    options |= {"training": sbi_inn.Training(epochs=2), "n_jobs": 1}
    options.setdefault("ensemble", 1)
    if study == ("levy_flight",):  # slow to simulate
        options["n_simulations"] = 100
    return fit(*study, method=kinds[method], **options)


def compare_small(models, **options):
    options |= {"training": sbi_inn.Training(epochs=2), "ensemble": 1, "n_jobs": 1}
    return compare(models, **options)


def importance_small(self, *asked, n=10_000, **options):
    return weigh(self, *asked, n=min(n, 1_000), **options)


def simulate_small(study, **options):
    if study == "levy_flight":  # as few trials as there may be
        options["given"] = {"n1": 60, "n2": 60}
    return simulate(study, **options)


fit_small.whole, compare_small.whole = fit, compare
importance_small.whole, simulate_small.whole = weigh, simulate
sbi_inn.fit_posterior = fit_small
sbi_inn.compare_models = compare_small
sbi_inn.Posterior.importance = importance_small
sbi_inn.simulate = simulate_small
"""


@pytest.fixture(scope="module")
def kernel() -> Iterator[AsyncKernelManager]:
    """One for all, which loads the libraries once; each notebook begins with no names."""
    manager = AsyncKernelManager(kernel_name="python3")
    run_sync(manager.start_kernel)()
    yield manager
    run_sync(manager.shutdown_kernel)(now=True)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01-quickstart",
        "02-learned-forwards",
        "03-trust",
        "04-table",
        "05-catalogue",
        "06-ricker",
        "07-sir-stochastic",
        "08-levy-flight",
        "09-covid",
        "10-star-counts",
        "11-xray-pose",
        "12-which-simulator",
        "13-dose-response",
        "14-coal-mines",
        "15-velocities",
        "16-reaction-times",
        "17-forecast",
        "18-images",
        "19-discrete",
    ]


@pytest.mark.slow
def test_it_runs(
    notebook: nbformat.NotebookNode, kernel: AsyncKernelManager, tmp_path: Path
) -> None:
    first = code_cells(notebook)[0]
    assert re.fullmatch(r"n_simulations = [\d_]+", first.source)
    first.source = f"{SMALL}os.chdir({str(tmp_path)!r})\n"
    client = NotebookClient(notebook, km=kernel, timeout=300)
    try:
        client.execute()  # raises where a cell does
    finally:
        client.kc.stop_channels()
    told = "".join(o.text for o in outputs(notebook) if o.get("name") == "stderr")
    # On a slow machine bars appear, of what takes longer than two seconds.
    said = [line for line in re.split(r"[\r\n]+", told) if line and not BAR.match(line)]
    assert not said


def test_it_is_stored_as_it_ran_from_top_to_bottom(notebook: nbformat.NotebookNode) -> None:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_stored_outputs_are_clean(notebook: nbformat.NotebookNode) -> None:
    for output in outputs(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        texts = [output.get("text", ""), *output.get("data", {}).values()]
        for text in texts:
            assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users)/|Warning", str(text))


def test_figures_are_stored(notebook: nbformat.NotebookNode) -> None:
    figures = [output for output in outputs(notebook) if "image/png" in output.get("data", {})]
    assert len(figures) >= 3
