"""Which letter is it? Pictures of 16 x 16 pixels, drawn in fonts that ship with matplotlib.

A letter is wide or narrow, upright or slanted, of thin strokes or thick, in one of eight fonts; the
camera adds noise. Every letter is a simulator of its own, by `letter`, so that to name it is to
compare ten models; or it is a parameter among others, in `problem`.

>>> picture = drawn("A", width=1.0, slant=0.0, stroke=0.5, font=0)
>>> picture.shape, float(picture.max())
((16, 16), 1.0)
>>> for row in picture[2:14:2]:
...     print("".join(" .:#"[int(3.99 * light)] for light in row).rstrip())
       ##
      ####
     :#..#:
    .#:  :#.
    ########
   ##      ##
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats as st

from sbi_inn.prior import Prior
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.simulator import simulator

Array = npt.NDArray[np.float64]

SIDE = 16  # pixels
HEIGHT = 11.0  # of a capital letter, in pixels
LETTERS = "ABCDEFGHKR"
NOISE = 0.4  # sd of a pixel; black is 0 and white 1
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
)
WIDTH, SLANT, STROKE = st.uniform(0.7, 0.6), st.uniform(-0.4, 0.8), st.uniform(0, 1.2)


@simulator(batched=True, images=["image"])
def glyphs(
    letter: npt.NDArray[np.int64],
    width: Array,
    slant: Array,
    stroke: Array,
    rng: np.random.Generator,
) -> dict[str, Array]:
    """Take pictures of letters, each in a font that chance picks."""
    return {"image": pictures([LETTERS[k] for k in letter], width, slant, stroke, rng)}


def letter(character: str) -> Problem:
    """Make the problem of one letter, or of any other character: its width, slant and stroke."""

    @simulator(batched=True, images=["image"])
    def one_letter(
        width: Array, slant: Array, stroke: Array, rng: np.random.Generator
    ) -> dict[str, Array]:
        return {"image": pictures([character] * len(width), width, slant, stroke, rng)}

    prior = Prior(width=WIDTH, slant=SLANT, stroke=STROKE)
    return Problem(one_letter, prior, labels=_LABELS, units=_UNITS, source=_SOURCE)


def pictures(
    characters: list[str], width: Array, slant: Array, stroke: Array, rng: np.random.Generator
) -> Array:
    """Draw characters, one a row, in fonts that chance picks, with noise: shape (B, 16, 16)."""
    fonts = rng.integers(len(FONTS), size=len(characters))
    rows = zip(characters, width, slant, stroke, fonts, strict=True)
    return np.stack([drawn(*row) for row in rows]) + rng.normal(
        0, NOISE, (len(characters), SIDE, SIDE)
    )


def drawn(character: str, width: float, slant: float, stroke: float, font: int) -> Array:
    """Draw a character in white on black, without noise.

    Parameters
    ----------
    character : str
    width : float
        In units of that of the font.
    slant : float
        By how much the top leans to the right, over the height.
    stroke : float
        By how much the outline is thickened, in pixels.
    font : int
        Its place in `FONTS`.

    Returns
    -------
    array, shape (16, 16)
        Light from 0 to 1 in steps of 1 / 255; the character stands in the middle.
    """
    from matplotlib.transforms import Affine2D

    (outline, points), canvas = _outline(character, font), _canvas()
    shape = np.array([[width, slant], [0, 1]])
    points = points @ shape.T
    shift = SIDE / 2 - (points.min(axis=0) + points.max(axis=0)) / 2
    transform = Affine2D(np.block([[shape, shift[:, None]], [np.eye(3)[2]]]))
    pen = canvas.new_gc()
    pen.set_linewidth(stroke)
    pen.set_foreground((1, 1, 1))
    canvas.clear()
    canvas.draw_path(pen, outline, transform, (1.0, 1.0, 1.0, 1.0))
    return np.array(canvas.buffer_rgba())[..., 3] / 255


@cache
def _outline(character: str, font: int) -> tuple[Any, Array]:
    """Give a character's outline as a path, where an H has the full height, and its points."""
    from matplotlib import get_data_path
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    face = FontProperties(fname=f"{get_data_path()}/fonts/ttf/{FONTS[font]}.ttf")
    box = TextPath((0, 0), "H", size=100, prop=face).get_extents()
    path = TextPath((0, 0), character, size=100 * HEIGHT / box.height, prop=face)
    return path, path.vertices[path.codes != path.CLOSEPOLY]


@cache
def _canvas() -> Any:
    """Give what is drawn upon: cleared before each drawing."""
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(SIDE, SIDE, 72)  # a point is a pixel


_LABELS = {"width": "width", "slant": "slant", "stroke": "stroke", "image": "picture"}
_UNITS = {"stroke": "pixels"}
_SOURCE = "letters of DejaVu and STIX, the fonts of matplotlib"

problem = Problem(
    glyphs,
    Prior(letter=st.randint(0, len(LETTERS)), width=WIDTH, slant=SLANT, stroke=STROKE),
    labels=_LABELS | {"letter": "letter"},
    units=_UNITS,
    source=_SOURCE,
)
