"""Figures of the house: settings untouched, saved for print, shown once in a notebook."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

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


def test_a_notebook_shows_the_figure_as_png(figure, monkeypatch):
    formatters = pytest.importorskip("IPython.core.formatters")
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    formatters.DisplayFormatter().format(figure)
    (data,) = shown
    png = b64decode(data["image/png"])
    assert png_size(png)[0] == pytest.approx(85 / 25.4 * 150, abs=1)


@pytest.mark.slow
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


def linear_rgb(colours):
    rgb = np.array([to_rgb(colour) for colour in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(linear):
    """Give CIE L*a*b* (D65) of linear sRGB, where a distance of 10 is seen at a glance."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(linear @ np.transpose(to_xyz) / [0.9505, 1.0, 1.089]).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


# Machado, Oliveira and Fernandes (2009), IEEE TVCG 15, 1291: the severest form of each.
SEEN = {
    "normal": np.eye(3),
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


@pytest.mark.parametrize("vision", SEEN)
def test_colours_are_told_apart_with_any_colour_vision(vision):
    seen = lab(np.clip(linear_rgb(COLOURS) @ np.transpose(SEEN[vision]), 0, 1))
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    assert apart[np.triu_indices(len(COLOURS), 1)].min() > 10
    assert np.diag(apart, 1).min() > 30  # neighbours, which stand in one figure


def test_red_and_green_would_not_do():
    seen = lab(
        np.clip(linear_rgb(["#D00000", "#5A7A00"]) @ np.transpose(SEEN["deuteranopia"]), 0, 1)
    )
    assert np.linalg.norm(seen[0] - seen[1]) < 30
