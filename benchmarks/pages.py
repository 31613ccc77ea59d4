"""Make the tables of the results pages again, each by the command that the page names.

    python benchmarks/pages.py            write the tables into the pages
    python benchmarks/pages.py --check    say which pages are stale, and write nothing

In a page, a table stands between two comments, of which the first names the command:

    <!-- table: python benchmarks/catalogue.py --table -->
    <!-- end -->
"""

from __future__ import annotations

import argparse
import io
import re
import runpy
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "results"
BLOCK = re.compile(r"(<!-- table: (python [^\n]*?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def tables(page):
    """List the commands of a page, and what stands in the page as their tables."""
    return [(match[2], match[3]) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


def made(command):
    """Run a command in this process, and give what it prints as it stands in a page."""
    script, *arguments = shlex.split(command)[1:]
    path, argv = sys.path.copy(), sys.argv
    sys.path.insert(0, str((ROOT / script).parent))
    sys.argv = [script, *arguments]
    try:
        with redirect_stdout(io.StringIO()) as said:
            runpy.run_path(str(ROOT / script), run_name="__main__")
    finally:
        sys.path[:], sys.argv = path, argv
    text = said.getvalue().strip()
    return f"\n{text}\n\n" if text else "\n"


def renewed(page):
    """Give the text of a page with tables as its commands make them now."""
    text = page.read_text(encoding="utf-8")
    return BLOCK.sub(lambda match: f"{match[1]}{made(match[2])}{match[4]}", text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    stale = []
    for page in sorted(PAGES.rglob("*.md")):
        new = renewed(page)
        if new != page.read_text(encoding="utf-8"):
            stale.append(str(page.relative_to(ROOT)))
            if not options.check:
                page.write_text(new, encoding="utf-8")
    print("\n".join(stale) or "all tables are as their commands make them")
    if stale and options.check:
        sys.exit(1)


if __name__ == "__main__":
    main()
