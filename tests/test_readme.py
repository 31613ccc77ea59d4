"""What a user reads works: every python block of README and docs/ runs, every link leads somewhere.

The blocks of a page run in order and in one namespace, as a reader would type them. Only how much
is simulated and trained is changed behind their back.
"""

import importlib.util
import json
import re
import warnings
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

import sbi_inn as si
from sbi_inn.checks import subject
from sbi_inn.posterior import checking

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PAGES = [page for page in PAGES if "_build" not in page.parts]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALL = {"cinn": si.CINN(blocks=2, hidden=16), "inn": si.INN(blocks=2, hidden=16)}
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def blocks(page: Path) -> list[tuple[int, str]]:
    """Return the line and the text of every python block."""
    text = page.read_text(encoding="utf-8")
    return [(text[: m.start(1)].count("\n"), m[1]) for m in BLOCK.finditer(text)]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def has_field(simulator: object, prior: si.Prior | None) -> bool:
    """Say whether a fit is of a field, which has a method of its own."""
    known = prior or getattr(simulator, "prior", None)
    return bool(getattr(known, "fields", ()))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make every fit small, and files go to an empty folder."""
    fit = si.fit_posterior

    def fit_small(
        simulator, prior=None, *, n_simulations=0, method="cinn", training=None, **options
    ):
        if not isinstance(simulator, si.Simulations):
            options["n_simulations"] = 500
        options.setdefault("ensemble", 1)
        with warnings.catch_warnings():
            # So little training leaves a bad emulator, of which a fit rightly warns.
            warnings.filterwarnings("ignore", "the forward network misses")
            return fit(
                simulator,
                prior,
                method=method if has_field(simulator, prior) else SMALL[method],
                training=si.Training(epochs=1),
                n_jobs=1,
                progress=False,
                **options,
            )

    monkeypatch.setattr(checking, "TEST_ROWS", 100)
    monkeypatch.setattr(subject, "SECONDS", 0.2)  # s that simulating for a check may take
    compare = si.compare_models

    def compare_small(models, **options):
        short = {"n_simulations": 300, "ensemble": 1, "n_jobs": 1, "progress": False}
        return compare(models, **options | short, training=si.Training(epochs=1))

    monkeypatch.setattr(si, "fit_posterior", fit_small)
    monkeypatch.setattr(si, "compare_models", compare_small)
    monkeypatch.setattr(si, "simulate", partial(si.simulate, n_jobs=1, progress=False))
    monkeypatch.chdir(tmp_path)


# Of fits this small, too, sampling rightly warns once they were checked.
@pytest.mark.filterwarnings("ignore:the last check of this posterior said")
@pytest.mark.usefixtures("small")
@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name)
def test_every_block_runs(page: Path) -> None:
    namespace: dict[str, object] = {}
    for line, text in blocks(page):
        # The padding makes a traceback point to the line of the page.
        exec(compile("\n" * line + text, str(page), "exec"), namespace)


def test_pages_with_blocks_are_found() -> None:
    found = {name(page) for page in PAGES if blocks(page)}
    assert {"README.md", "docs/checks.md", "docs/quickstart.md"} <= found


def test_the_example_of_the_readme_stays_short() -> None:
    _, example = blocks(ROOT / "README.md")[0]
    after = example.partition("posterior = si.fit_posterior(")[2]
    assert len(after.splitlines()) <= 11


def test_the_front_page_stays_short_and_its_example_has_a_density() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    _, example = blocks(ROOT / "README.md")[0]
    assert re.search(r"^def arm\(.*\brng\b.*\):", example, re.MULTILINE)
    assert "posterior.log_prob(" in example


def figures() -> ModuleType:
    """Return the script that makes the pictures and the quotes of README."""
    spec = importlib.util.spec_from_file_location("make", ROOT / "docs" / "figures" / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pictures_are_of_the_example() -> None:
    names = figures().example()
    assert set(names["prior"].names) == set(figures().LABELS)
    assert set(names["y"]) < set(figures().UNITS)
    pictures = re.findall(
        r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    assert pictures == ["docs/figures/corner.png", "docs/figures/calibration.png"]


def printed(notebook: Path) -> str:
    """Return all that the cells of a notebook printed, when it was stored."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs]
    return "\n".join("".join(text) for text in texts)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each in one line."""
    return re.split(r"(?<=[.]) (?=[A-Z])", " ".join(text.split()))


def said_by(notebook: Path) -> set[str]:
    """Return the sentences that a notebook printed, of which a line holds one or more."""
    return {one for line in printed(notebook).splitlines() for one in sentences(line)}


def test_verdicts_are_quoted_as_the_notebook_prints_them() -> None:
    quotes = re.findall(
        r"(?:^> .*\n)+", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    said = said_by(ROOT / "notebooks" / "03-trust.ipynb")
    assert len(quotes) == 2
    for quote in quotes:
        assert {*sentences(quote.replace("> ", ""))} <= said


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken
