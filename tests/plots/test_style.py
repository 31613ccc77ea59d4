"""Figures of the house: settings untouched, saved for print, shown once in a notebook."""

from __future__ import annotations

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

from sbi_inn.draws import make_draws
from sbi_inn.plots.corner import corner
from sbi_inn.plots.style import COLOURS, line_style, new_figure, style


@pytest.fixture
def figure():
    return corner(make_draws({"a": np.random.default_rng(0).normal(size=200)}), width_mm=85)


def png_size(png):
    """Return width and height from the header of a PNG."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def test_settings_outside_are_untouched(figure, tmp_path):
    before = dict(matplotlib.rcParams)
    figure.savefig(tmp_path / "a.pdf")
    assert dict(matplotlib.rcParams) == before
    with style():
        assert matplotlib.rcParams["font.size"] == 8
    assert dict(matplotlib.rcParams) == before


def test_png_has_300_dots_per_inch_unless_told_otherwise(figure, tmp_path):
    for name, options, dpi in (("a.png", {}, 300), ("b.png", {"dpi": 100}, 100)):
        figure.savefig(tmp_path / name, **options)
        width, _ = png_size((tmp_path / name).read_bytes())
        assert width == pytest.approx(85 / 25.4 * dpi, abs=1)


def test_pdf_has_truetype_fonts(figure, tmp_path):
    figure.savefig(tmp_path / "a.pdf")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/CIDFontType2" in pdf


def test_a_notebook_shows_the_figure_as_png(figure):
    formatters = pytest.importorskip("IPython.core.formatters")
    data, _ = formatters.DisplayFormatter().format(figure, include={"image/png"})
    assert png_size(data["image/png"])[0] == pytest.approx(85 / 25.4 * 150, abs=1)


def test_no_backend_is_chosen_and_no_window_opened():
    code = (
        "import matplotlib, numpy as np\n"
        "from sbi_inn.draws import make_draws\n"
        "from sbi_inn.plots.corner import corner\n"
        "corner(make_draws({'a': np.arange(9.), 'b': np.arange(9.)}))\n"
        "assert matplotlib.rcParams._get_backend_or_none() is None\n"
        "from matplotlib import pyplot\n"
        "assert pyplot.get_fignums() == []\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_24_lines_differ():
    assert len({line_style(i) for i in range(24)}) == 24
    assert len(set(COLOURS)) == 6


@pytest.mark.parametrize("width_mm", [0, -85])
def test_width_must_be_positive(width_mm):
    with pytest.raises(ValueError, match=f"positive; got {width_mm}"):
        new_figure(width_mm, 50)
