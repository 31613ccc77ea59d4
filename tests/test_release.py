"""What a release consists of, beside the code."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import sbi_inn

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Packages that conda calls by another name.
CONDA = {"torch": "pytorch", "matplotlib": "matplotlib-base", "lazy_loader": "lazy-loader"}


def test_types_are_announced() -> None:
    assert (Path(sbi_inn.__file__).parent / "py.typed").exists()


def test_the_version_is_the_same_everywhere() -> None:
    version = sbi_inn.__version__
    assert PROJECT["version"] == version
    assert distribution("sbi-inn").version == version
    for path in ("CITATION.cff", "conda/meta.yaml", "docs/cite.md"):
        assert version in (ROOT / path).read_text(encoding="utf-8"), path


def test_conda_needs_what_pip_needs() -> None:
    recipe = (ROOT / "conda" / "meta.yaml").read_text(encoding="utf-8")
    needed = re.findall(
        r"- ([\w-]+) >=([\d.]+)", recipe.partition("  run:")[2].partition("test:")[0]
    )
    split = [requirement.split(">=") for requirement in PROJECT["dependencies"]]
    expected = [("python", "3.11"), *((CONDA.get(name, name), least) for name, least in split)]
    assert sorted(needed) == sorted(expected)
