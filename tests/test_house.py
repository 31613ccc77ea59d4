"""The house as a whole: which way imports run, and how long files and functions are."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import grimp
import pytest

import sbi_inn

PACKAGE = Path(sbi_inn.__file__).parent
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
USUAL_FUNCTION = 6


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Which of our modules each imports: within functions, and for type checking, too."""
    graph = grimp.build_graph("sbi_inn", exclude_type_checking_imports=False, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def circle(imports: dict[str, set[str]]) -> list[str]:
    """Find modules that import each other in a circle; empty if there are none."""
    left = {module: set(imported) - {module} for module, imported in imports.items()}
    while free := [module for module, imported in left.items() if not imported & left.keys()]:
        for module in free:
            del left[module]
    if not left:
        return []
    path = [min(left)]
    while path[-1] not in path[:-1]:
        path.append(min(left[path[-1]] & left.keys()))
    return path[path.index(path[-1]) :]


def test_no_two_files_import_each_other(imports):
    pairs = {(a, b) for a, found in imports.items() for b in found if a in imports.get(b, ())}
    assert not pairs


def test_imports_make_no_circle(imports):
    assert not circle(imports)


def test_a_circle_would_be_found():
    downwards = {"a": {"b", "c"}, "b": {"c"}, "c": set(), "d": {"a"}}
    assert not circle(downwards)
    assert circle(downwards | {"c": {"a"}}) == ["a", "b", "c", "a"]
    assert circle({"a": {"b"}, "b": {"a"}}) == ["a", "b", "a"]


def test_imports_within_functions_and_for_type_checking_are_seen(tmp_path, monkeypatch):
    package = tmp_path / "house_of_two"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("def late():\n    import house_of_two.b\n")
    (package / "b.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house_of_two.a\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    graph = grimp.build_graph("house_of_two", exclude_type_checking_imports=False, cache_dir=None)
    assert graph.find_modules_directly_imported_by("house_of_two.a") == {"house_of_two.b"}
    assert graph.find_modules_directly_imported_by("house_of_two.b") == {"house_of_two.a"}


def functions() -> Iterator[tuple[str, int]]:
    """Name every function of the package, and count its lines without its docstring."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(PACKAGE)}: {node.name}", length(node)


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without its docstring and decorators."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_lines_are_counted_without_the_docstring():
    (node,) = ast.parse('def f(a):\n    """Say it.\n\n    Twice.\n    """\n    return a\n').body
    assert isinstance(node, ast.FunctionDef)
    assert length(node) == 2


def test_no_file_is_long():
    lengths = {str(p): len(p.read_text().splitlines()) for p in PACKAGE.rglob("*.py")}
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_functions_are_short():
    found = list(functions())
    assert {name: n for name, n in found if n > LONGEST_FUNCTION} == {}
    assert median(n for _, n in found) <= USUAL_FUNCTION


def test_no_two_test_files_share_a_name():
    """pytest imports them by name alone, and refuses the second."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, n in names.items() if n > 1] == []
