"""The site: readers find their answer within two clicks, and what it shows is in the notebooks.

`make docs` builds it, and fails where a link of the site leads nowhere.
"""

import io
import re
import sys
from pathlib import Path

import nbformat
import pytest
from PIL import Image, ImageDraw
from test_readme import LINK, ROOT, said_by, sentences

DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
import building  # noqa: E402 (it lies beside the pages)

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HOME = DOCS / "index.md"

# A question; the page to click on the home page, and the one to click there, if any; words of the
# answer.
QUESTIONS = {
    "how many simulations do I need": ("how-to/simulations.md", None, "learning_curve()"),
    "why does my corner plot leave the prior": ("faq.md", None, "Draws of sbi_inn never do"),
    "what does caution mean": ("trust.md", None, "| caution | something is off"),
    "can I use my own network": ("faq.md", "observations.md", "summary=MyNet()"),
    "how do I cite": ("cite.md", None, "@software{sbi_inn"),
    "does it run on my cluster": ("faq.md", None, "Does it run on my cluster?"),
    "what if y has gaps": ("faq.md", "tables.md", "NaN is a missing value"),
    "what does it cost beside sbi": ("benchmarks.md", None, "| sbi 0.27.0"),
    "how do I get LaTeX": ("guide.md", "how-to/figures.md", "posterior.latex_table(y"),
    "what can no check see": ("trust.md", None, "## What no check can see"),
}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def links(path: Path) -> set[Path]:
    return {(path.parent / link).resolve() for link in LINK.findall(text(path)) if ":" not in link}


@pytest.mark.parametrize("question", QUESTIONS)
def test_readers_find_their_answer_within_two_clicks(question: str) -> None:
    first, second, answer = QUESTIONS[question]
    assert DOCS / first in links(HOME)
    if second:
        assert DOCS / second in links(DOCS / first)
    assert answer in text(DOCS / (second or first))


def test_what_shows_the_claims_of_the_first_page_is_there() -> None:
    text = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    table = text.partition("## What the first page says")[2].partition("\n## ")[0]
    named = re.findall(r"(?:tests|benchmarks)/[\w/.]*", table)
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_notebook_is_a_tutorial() -> None:
    pages = text(DOCS / "tutorials.md") + text(DOCS / "start.md")
    shown = set(re.findall(r"^(?:[^\n<]+<)?tutorials/([\w-]+)>?$", pages, re.MULTILINE))
    assert shown == {path.stem for path in NOTEBOOKS}


def test_the_verdict_on_the_home_page_is_one_that_was_printed() -> None:
    (quote,) = re.findall(r"(?:^> .*\n)+", text(HOME), re.MULTILINE)
    said = said_by(ROOT / "notebooks" / "03-trust.ipynb")
    assert {*sentences(quote.replace("> ", ""))} <= said


def test_scores_on_the_site_are_those_of_the_results() -> None:
    table = next(
        line
        for line in text(DOCS / "results" / "accuracy.md").splitlines()
        if line.startswith("| mean of 10") and line.count("|") > 10
    )
    _, _, ours, sbi, bayesflow, seconds, seconds_sbi, seconds_bayesflow, *_ = [
        cell.strip() for cell in table.strip("|").split("|")
    ]
    page = text(DOCS / "benchmarks.md")
    assert f"| {ours} | {float(seconds):.0f} s |" in page
    assert f"| {sbi} | {float(seconds_sbi):.0f} s |" in page
    assert f"| {bayesflow} | {float(seconds_bayesflow):.0f} s |" in page
    assert f"{seconds} s on two cores" in " ".join(text(DOCS / "faq.md").split())


def test_links_to_files_become_links_to_pages() -> None:
    moved = building.to_the_site
    assert moved("start", "(../notebooks/01-a.ipynb)") == "(tutorials/01-a.ipynb)"
    assert moved("results/x", "(../../notebooks/01-a.ipynb)") == "(../tutorials/01-a.ipynb)"
    assert moved("tutorials/01-a", "(../docs/results/x.md)") == "(../results/x.md)"
    assert moved("tutorials/01-a", "(../docs/results)") == "(../benchmarks.md)"
    assert moved("tables", "(../CONTRIBUTING.md)") == "(contributing.md)"
    assert moved("tables", "(parameters.md)") == "(parameters.md)"


def test_thumbnails_are_pictures_of_the_notebooks() -> None:
    found = list(building.THUMBNAIL.finditer(text(DOCS / "gallery.md")))
    assert len(found) >= 12
    for match in found:
        png = building.pictures(ROOT / "notebooks" / f"{match['notebook']}.ipynb")
        assert png[int(match["number"])].startswith(b"\x89PNG")


def test_lighter_pictures_keep_the_colours_of_a_legend() -> None:
    picture = Image.linear_gradient("L").resize((800, 800)).convert("RGB")
    orange, yellow = (213, 94, 0), (230, 159, 0)
    ImageDraw.Draw(picture).rectangle((0, 0, 20, 10), fill=orange)
    ImageDraw.Draw(picture).rectangle((30, 0, 50, 10), fill=yellow)
    small = Image.open(io.BytesIO(building.lighter(picture))).convert("RGB")
    for place, colour in {(10, 5): orange, (40, 5): yellow}.items():
        seen = small.getpixel(place)
        assert isinstance(seen, tuple)
        assert max(abs(a - b) for a, b in zip(seen, colour, strict=True)) < 20


def test_figures_of_notebooks_are_described_by_their_code() -> None:
    said = building.what_it_shows
    assert said("y = 1\nposterior.corner(\n    y\n)") == ", made by posterior.corner( y )"
    assert said('ax.set(xlabel="day", ylabel="cases")\nplt.show()') == ": day, cases"
    assert said("for ax in axes:\n    ax.plot(x)") == ""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_say_first_what_is_learned_and_how_long_they_take(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0].source
    assert re.search(r"\*\*You will learn\*\* .+\*\*Time:\*\* .*minute", first)


@pytest.mark.parametrize("number", range(13, 20))
def test_tutorials_say_what_a_reader_wants_to_know(number: int) -> None:
    (path,) = (ROOT / "notebooks").glob(f"{number}-*.ipynb")
    cells = nbformat.read(path, as_version=4).cells
    first, last = cells[0].source, cells[-1].source
    assert "**You will learn**" in first
    assert "**Time:**" in first
    assert re.search(r"\*\*(Data|Source)\.\*\*", first)
    assert last.startswith("## What to do next")
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    believed = re.search(r"\.(summary|corner)\(", code)
    assert believed
    assert code.index(".check(progress") < code.index(".check(y") < believed.start()
