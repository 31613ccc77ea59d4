"""CONTRIBUTING shows the house as it is."""

import ast
import re
import runpy
from pathlib import Path

from test_readme import ROOT

HOUSE = runpy.run_path(str(ROOT / "docs" / "house.py"))
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| [a-z][^|]+ \| `(?P<path>[^`]+)`(?:, `(?P<name>\w+)`)? \|$", re.MULTILINE)


def test_the_map_is_that_of_the_import_contract() -> None:
    assert HOUSE["with_table"](PAGE) == PAGE


def test_every_room_says_what_lives_there() -> None:
    for row in HOUSE["rows"]():
        for room in row:
            assert len(HOUSE["said"](room)[1]) > 20, room


def names(path: Path) -> set[str]:
    """Give what a module defines."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return found


def test_what_is_looked_for_is_where_the_page_says() -> None:
    asked = PAGE.partition("## Where is ...?")[2].partition("\n## ")[0]
    found = list(ROW.finditer(asked))
    assert len(found) == 14
    for match in found:
        path = ROOT / match["path"]
        assert path.exists(), path
        assert match["name"] is None or match["name"] in names(path), (path, match["name"])
