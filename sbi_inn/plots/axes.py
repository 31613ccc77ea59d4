"""Ticks that fit their axis, and labels that say name, units and scale."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import pairwise
from math import ceil, floor, log10

from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sbi_inn.draws import Column
from sbi_inn.plots.style import SMALL_PT, TEXT_PT

_MAX_TICKS = 4  # that leave a small panel quiet
_STEPS = (1, 2, 5, 4, 2.5)  # of two steps that give as many ticks, the first is taken
_DIGIT_EM = 0.62  # typical width of a digit, in units of the font size
_LETTER_EM = 0.57  # the same of a letter
_MOST_LOG_TICKS = 8  # that can be read in one column
_FEW_LOG_TICKS = 3  # with fewer than these, an axis is hard to read
_MARGIN = 0.06  # of an axis beyond what it shows, at either end, as a share of that

Span = tuple[float, float]


def is_constant(low: float, high: float) -> bool:
    """Say whether the ends of a range agree to about the precision of a float."""
    return high - low <= 1e-9 * max(abs(low), abs(high))


def widened(low: float, high: float) -> Span:
    """Return the ends of an axis that shows a range, or a constant, with a margin."""
    margin = (0.1 * abs(low) or 1.0) if is_constant(low, high) else _MARGIN * (high - low)
    return float(low - margin), float(high + margin)


def dress_axis(axis: Axis, span: Span, room_pt: float, column: Column) -> None:
    """Set the ticks, their labels and the label of an axis.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        Of x or y.
    span : (float, float)
        Its limits.
    room_pt : float
        Its length on paper, in points.
    column : Column
        What it shows; where it is discrete, ticks stand at whole numbers.
    """
    offset, order = scale_of(span)
    scaled = (span[0] - offset) / 10.0**order, (span[1] - offset) / 10.0**order
    across = isinstance(axis, XAxis)
    # Offsets are multiples of round numbers: those of whole numbers are whole.
    least = -order if column.discrete else None
    ticks = _fitting_ticks(scaled, room_pt, across, least)
    turned = across and len(ticks) < 2
    if turned:
        ticks = _fitting_ticks(scaled, room_pt, False, least)
    axis.set_tick_params(rotation=90 if turned else 0)
    axis.set_ticks([offset + tick * 10.0**order for tick in ticks], labels=list(ticks.values()))
    _set_label(axis, axis_label(column, offset, order, room_pt), room_pt)


def shorten_numbers(axis: Axis, column: Column) -> None:
    """Move the power of ten of the numbers on an axis to its label, and leave its ticks alone.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        Of x or y, with its limits; one that is not linear keeps its numbers.
    column : Column
        What it shows.
    """
    order = scale_of(axis.get_view_interval())[1] if axis.get_scale() == "linear" else 0
    if order:
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value / 10.0**order:g}".replace("-", "−"))
        )
    axis.set_label_text(axis_label(column, order=order))


def dress_log_axis(axis: Axis, span: Span) -> None:
    """Make an axis logarithmic, with ticks at round values, and plain numbers where they are short.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        Of x or y.
    span : (float, float)
        Its limits, positive.
    """
    ticks = _log_ticks(*span)
    ax, name = axis.axes, "x" if isinstance(axis, XAxis) else "y"
    ax.set(**{f"{name}scale": "log", f"{name}lim": span})
    axis.set_ticks(list(ticks), labels=list(ticks.values()))
    axis.set_ticks([], minor=True)


def _log_ticks(low: float, high: float) -> dict[float, str]:
    """Return 1, 2 and 5 times powers of ten between the ends, or fewer of them, and their texts.

    Where hardly any lies between them, the axis is as good as linear, and so are its ticks.
    """
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    ticks: dict[float, str] = {}
    for digits, step in (((1, 2, 5), 1), ((1,), 1), ((1,), 2), ((1,), 4)):
        chosen = [(digit, power) for power in powers if power % step == 0 for digit in digits]
        ticks = {d * 10.0**p: _round_number(d, p) for d, p in chosen if low <= d * 10.0**p <= high}
        if len(ticks) <= _MOST_LOG_TICKS:
            break
    if len(ticks) < _FEW_LOG_TICKS:
        between = MaxNLocator(_MOST_LOG_TICKS - 2, steps=[1, 2, 5, 10]).tick_values(low, high)
        ticks = {tick: f"{tick:.4g}" for tick in map(float, between) if low <= tick <= high}
    return ticks


def _round_number(digit: int, power: int) -> str:
    """Write a number of one digit."""
    if -3 <= power <= 3:
        return f"{digit * 10.0**power:.{max(-power, 0)}f}"
    return f"$10^{{{power}}}$" if digit == 1 else f"${digit}×10^{{{power}}}$"


def _set_label(axis: Axis, text: str, room_pt: float) -> None:
    """Set the label along the axis, or across it where a line is too long for its panel."""
    along = max(map(_length_pt, text.split("\n"))) <= 1.1 * room_pt
    axis.set_label_text(text, multialignment="center")
    if isinstance(axis, XAxis):
        axis.label.set(rotation=0 if along else 90)
    elif along:
        axis.label.set(rotation=90, horizontalalignment="center", verticalalignment="bottom")
    else:
        axis.label.set(rotation=0, horizontalalignment="right", verticalalignment="center")


def scale_of(span: Span) -> tuple[float, int]:
    """Return offset and power of ten that make the numbers on an axis short.

    Examples
    --------
    >>> scale_of((-1.5, 2.0)), scale_of((1234.4996, 1234.5003))
    ((0.0, 0), (1234.5, -4))
    """
    width, largest = span[1] - span[0], max(abs(span[0]), abs(span[1]))
    offset = 0.0
    if width < 1e-3 * largest:
        digits = -ceil(log10(width))
        offset = round((span[0] + span[1]) / 2, digits)
    order = floor(log10(max(abs(span[0] - offset), abs(span[1] - offset))))
    return offset, order if not -3 <= order < 4 else 0


def _fitting_ticks(span: Span, room_pt: float, across: bool, least: int | None) -> dict[float, str]:
    """Return the most ticks, up to four, whose labels neither touch nor leave the axis.

    `across`: the text runs along the axis, so that its length counts, not its height. `least`: the
    power of ten that all ticks are multiples of, if any.
    """
    points = room_pt / (span[1] - span[0])
    best: dict[float, str] = {}
    for ticks in _candidates(span, least):
        longest = max(map(len, ticks.values()), default=0)
        size, gap = (SMALL_PT * _DIGIT_EM * longest, 4.0) if across else (SMALL_PT, 2.0)
        inside = {
            tick: text
            for tick, text in ticks.items()
            if min(tick - span[0], span[1] - tick) * points >= size / 2 - 1
        }
        clear = all((b - a) * points >= size + gap for a, b in pairwise(inside))
        if clear and len(best) < len(inside) <= _MAX_TICKS:
            best = inside
    return best


def _candidates(span: Span, least: int | None) -> Iterator[dict[float, str]]:
    """Yield the multiples of round steps within the span, with their texts; best steps first.

    Of steps that are multiples of ten to the power `least`, if it is given.
    """
    magnitude = floor(log10(span[1] - span[0]))
    powers = [magnitude - 1, magnitude]
    if least is not None:
        powers = sorted({max(power, least) for power in powers})
    for digit in _STEPS:
        for power in powers:
            if power == least and digit != int(digit):
                continue
            step = digit * 10.0**power
            decimals = max(0, -power + (digit != int(digit)))
            counts = range(ceil(span[0] / step), floor(span[1] / step) + 1)
            yield {i * step: f"{i * step:.{decimals}f}".replace("-", "−") for i in counts}


def axis_label(column: Column, offset: float = 0, order: int = 0, room_pt: float = 1e3) -> str:
    r"""Return the text of an axis: label, offset, power of ten and units.

    Examples
    --------
    >>> axis_label(Column("elbow", "elbow", "elbow", "rad", 1.0), offset=2.5, order=-3)
    'elbow −\xa02.5 [$10^{-3}$ rad]'
    """
    shift = f" {'−' if offset > 0 else '+'}\u00a0{abs(offset):.12g}" if offset else ""
    power = f"$10^{{{order}}}$" if order else ""
    units = " ".join(filter(None, [power, column.units]))
    lines = _wrapped(column.label + shift, room_pt)
    if not units:
        return "\n".join(lines)
    joined = f"{lines[-1]} [{units}]"
    if _length_pt(joined) <= room_pt:
        return "\n".join([*lines[:-1], joined])
    return "\n".join([*lines, f"[{units}]"])


def _wrapped(text: str, room_pt: float) -> list[str]:
    """Break a label into lines at its blanks; words and formulae stay whole."""
    if "$" in text or _length_pt(text) <= room_pt:
        return [text]
    letters = max(int(room_pt / (TEXT_PT * _LETTER_EM)), 1)
    return textwrap.wrap(text, letters, break_long_words=False)


def _length_pt(text: str) -> float:
    """Return about how long a text is on paper, in points."""
    return TEXT_PT * _LETTER_EM * sum(letter not in "\\${}^_" for letter in text)
