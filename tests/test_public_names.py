"""The public face: a change of any name or signature shows, and every name is in the reference."""

import re
import runpy
from pathlib import Path

import sbi_inn

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "docs" / "public_names.py"))


def test_names_and_signatures_are_those_that_were_agreed_on() -> None:
    """After a change that is meant: python docs/public_names.py, and a line in CHANGELOG.md."""
    agreed = SCRIPT["PAGE"].read_text(encoding="utf-8")
    assert SCRIPT["text"]() == agreed


def test_a_changed_default_would_show(monkeypatch) -> None:
    def fit_posterior(simulator, prior=None, *, n_simulations=20_000): ...

    monkeypatch.setattr(sbi_inn, "fit_posterior", fit_posterior)
    assert "fit_posterior(simulator, prior=None, *, n_simulations=20000)" in SCRIPT["text"]()


def test_every_public_name_is_in_the_reference_once() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   (\w+)$", page, re.MULTILINE)
    assert sorted(listed) == sorted(sbi_inn.__all__)
