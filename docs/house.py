"""Write the map in CONTRIBUTING.md: the rows of the import contract, and what each room says.

python docs/house.py
"""

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
BEGIN = "<!-- The table is made by `python docs/house.py`. -->\n"
END = "<!-- The end of the table. -->\n"


def rows() -> list[list[str]]:
    """Give the rooms of each row of the import contract, from the top down."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = settings["tool"]["importlinter"]["contracts"]
    return [[room.strip(" ()") for room in row.split("|")] for row in contract["layers"]]


def said(room: str) -> tuple[str, str]:
    """Give the path of a room, and the first line of its docstring."""
    folder = ROOT / "sbi_inn" / room
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return f"{room}/" if folder.is_dir() else f"{room}.py", docstring.partition("\n")[0]


def table() -> str:
    """Write the table; rooms of one row stand below each other, and none imports another."""
    lines = ["| row | where | what lives there |", "|---|---|---|"]
    for number, row in enumerate(rows()):
        for room in row:
            path, what = said(room)
            lines.append(f"| {len(rows()) - number} | `{path}` | {what} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Put the table where the page has it."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
