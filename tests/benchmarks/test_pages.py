"""No results page is stale: its tables are what the commands that it names make of the rows."""

import csv

import pages
import pytest
from records import RESULTS, SOURCE

PAGES = sorted(pages.PAGES.rglob("*.md"))
FILES = sorted(RESULTS.glob("*.csv"))
BLOCKS = [(page, *block) for page in PAGES for block in pages.tables(page)]


@pytest.mark.parametrize(
    ("page", "command", "stands"), BLOCKS, ids=[f"{b[0].stem}: {b[1]}" for b in BLOCKS]
)
def test_a_table_is_what_its_command_makes(page, command, stands):
    assert pages.made(command) == stands


def test_tables_that_differ_are_noticed(tmp_path):
    page = tmp_path / "page.md"
    start = "before\n<!-- table: python benchmarks/catalogue.py --table -->\n"
    page.write_text(f"{start}| old |\n<!-- end -->\nafter")
    ((command, stands),) = pages.tables(page)
    assert stands != pages.made(command)
    new = pages.renewed(page)
    assert new.startswith(start)
    assert new.endswith("<!-- end -->\nafter")
    assert "| objects | 50000 |" in new


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_row_says_where_it_comes_from(file):
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert rows
    assert all(row[name] for row in rows for name in SOURCE)


def test_results_are_pages_figures_and_csv_files():
    endings = {file.suffix for file in RESULTS.rglob("*") if file.is_file()}
    assert endings <= {".md", ".csv", ".png"}
