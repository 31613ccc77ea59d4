"""Draws as a LaTeX table: medians with errors, rounded as a paper prints them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import xarray as xr

from sbi_inn.draws import INTERVAL_95, columns_of, flat
from sbi_inn.errors import ShapeError

SHORTEST_POWER = 4  # a power of ten is factored out from 10^4 on, and from 10^-4 down
DIGITS = 2  # significant ones of the smaller error
CONSTANT_DIGITS = 6  # significant ones of a number without errors
LOPSIDED = 100.0  # an error smaller than the other by more than this does not set the rounding
RESOLUTION = 1e-14  # errors below this share of the number are float64 noise

_MATH = re.compile(r"(\$[^$]+\$)")
_SPECIAL = str.maketrans(
    {letter: f"\\{letter}" for letter in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)


def latex_table(
    draws: xr.Dataset | Mapping[str, xr.Dataset],
    *,
    interval: float = 0.68,
    caption: str = "",
    label: str = "",
) -> str:
    r"""Write a LaTeX table: one row per parameter, its median with asymmetric errors.

    Parameters
    ----------
    draws : Dataset with dim "draw", or mapping of str to Dataset
        One set of draws gives the columns median and 95 % interval. Several, such as
        `{"cINN": draws, "ABC": others}`, give one column each. Labels in ``$...$`` are
        mathematics; all other text in labels, units and names is escaped.
    interval : float
        Probability of the central interval that the errors span.
    caption, label : str
        LaTeX code. By default the caption says what the errors are, and there is no label.

    Returns
    -------
    str
        A ``table`` environment, which needs the package booktabs.

    Raises
    ------
    ShapeError
        If there are no draws, or they are of several observations.
    ValueError
        If a draw is infinite or NaN, or `interval` is not a probability.

    Examples
    --------
    >>> from sbi_inn.draws import make_draws
    >>> draws = make_draws({"elbow": np.linspace(0, 1, 101)}, units={"elbow": "rad"})
    >>> print(latex_table(draws, label="tab:arm"))
    % \usepackage{booktabs}
    \begin{table}
      \centering
      \renewcommand{\arraystretch}{1.3}
      \caption{Medians with central 68\,\% intervals.}
      \label{tab:arm}
      \begin{tabular}{lcc}
        \toprule
        parameter & median & 95\,\% interval \\
        \midrule
        elbow [rad] & $0.50 \pm 0.34$ & $[0.03, 0.97]$ \\
        \bottomrule
      \end{tabular}
    \end{table}
    """
    if not 0 < interval < 1:
        raise ValueError(f"latex_table: interval must be between 0 and 1; got {interval}")
    if isinstance(draws, xr.Dataset):
        titles, columns = ["median", r"95\,\% interval"], _two_columns(draws, interval)
        sets = [draws]
    else:
        titles, sets = [escape(name) for name in draws], list(draws.values())
        columns = [_column(each, interval) for each in sets]
    rows = [
        [head, *(column.get(name, "--") for column in columns)]
        for name, head in _heads(sets).items()
    ]
    caption = caption or rf"Medians with central {100 * interval:g}\,\% intervals."
    return _table(["parameter", *titles], rows, caption, label)


def with_errors(value: float, low: float, high: float) -> str:
    r"""Write a number with asymmetric errors, in LaTeX's mathematics without the dollars.

    Parameters
    ----------
    value : float
    low, high : float
        Ends of its interval.

    Returns
    -------
    str
        Rounded to two significant digits of the smaller error. A number without errors has six
        significant digits.

    Raises
    ------
    ValueError
        If one is infinite or NaN.

    Examples
    --------
    >>> with_errors(1.2345, 1.1849, 1.2757)
    '1.234^{+0.041}_{-0.050}'
    >>> with_errors(-1.5e-5, -1.7e-5, -1.3e-5)
    '(-1.50 \\pm 0.20)\\times10^{-5}'
    """
    up, down = high - value, value - low
    rounding = Rounding.of(value, [up, down])
    middle, plus, minus = (rounding.write(number) for number in (value, up, down))
    if rounding.constant:
        return rounding.scale(middle)
    if plus == minus:
        return rounding.scale(rf"{middle} \pm {plus}", brackets=True)
    return rounding.scale(f"{middle}^{{+{plus}}}_{{-{minus}}}", brackets=True)


@dataclass(frozen=True)
class Rounding:
    """How numbers that belong together are written.

    Attributes
    ----------
    order : int
        Power of ten that is factored out; 0 where none is.
    decimals : int
        Of what is left; negative where tens or hundreds are rounded too.
    constant : bool
        Whether the errors are zero.
    """

    order: int
    decimals: int
    constant: bool = False

    @classmethod
    def of(cls, value: float, errors: Sequence[float]) -> Rounding:
        """Choose it for a number and its errors, by the smaller of them.

        >>> Rounding.of(12.0, [0.0996, 0.3])
        Rounding(order=0, decimals=2, constant=False)
        """
        if not all(map(isfinite, [value, *errors])):
            raise ValueError(f"expected finite numbers; got {value} with errors {list(errors)}")
        felt = [error for error in errors if error > RESOLUTION * abs(value)]
        order = _order(max([abs(value), *felt]), CONSTANT_DIGITS)
        if felt:
            last = _order(max(min(felt), max(felt) / LOPSIDED), DIGITS) - DIGITS + 1
        else:
            last = order - CONSTANT_DIGITS + 1
        factored = order if abs(order) >= SHORTEST_POWER else 0
        return cls(factored, factored - last, constant=not felt)

    def write(self, number: float) -> str:
        """Write a number, without the power of ten.

        >>> Rounding(order=-5, decimals=2).write(0.0000512)
        '5.12'
        """
        scaled = round(number / 10.0**self.order, self.decimals)
        text = f"{scaled + 0.0:.{max(self.decimals, 0)}f}"  # + 0.0: never "-0.00"
        return text.rstrip("0").rstrip(".") if self.constant and "." in text else text

    def scale(self, text: str, *, brackets: bool = False) -> str:
        """Put the power of ten behind a text, which is in brackets then if they are asked for."""
        if not self.order:
            return text
        return rf"{f'({text})' if brackets else text}\times10^{{{self.order}}}"


def _order(number: float, digits: int) -> int:
    """Give the power of ten of the first digit, once rounded: with two digits, .0996 is .10."""
    return int(f"{number:.{digits - 1}e}".partition("e")[2])


def escape(text: str) -> str:
    r"""Write text so that LaTeX prints it as it stands, and keep what is ``$mathematics$``.

    >>> escape(r"R_0 & 5 % of $\beta_0$")
    'R\\_0 \\& 5 \\% of $\\beta_0$'
    """
    parts = _MATH.split(text)
    return "".join(part if i % 2 else part.translate(_SPECIAL) for i, part in enumerate(parts))


# -- cells -----------------------------------------------------------------------------------------


def _heads(sets: Sequence[xr.Dataset]) -> dict[str, str]:
    """Write label and units of every scalar that is in one of the sets."""
    heads: dict[str, str] = {}
    for draws in sets:
        for column in columns_of(draws):
            units = f" [{column.units}]" if column.units else ""
            head = escape(column.label + units)
            # A bracket that opens a row would be read as an argument of the line before it.
            head = f"{{[}}{head[1:]}" if head.startswith("[") else head
            heads.setdefault(column.name, head)
    return heads


def _column(draws: xr.Dataset, interval: float) -> dict[str, str]:
    """Write the median of every scalar with its errors."""
    levels = [(1 - interval) / 2, 0.5, (1 + interval) / 2]
    return {
        name: f"${with_errors(median, low, high)}$"
        for name, (low, median, high) in _quantiles(draws, levels)
    }


def _two_columns(draws: xr.Dataset, interval: float) -> list[dict[str, str]]:
    """Write the median of every scalar with its errors, and its 95 % interval."""
    spans: dict[str, str] = {}
    for name, (low, median, high) in _quantiles(draws, [INTERVAL_95[0], 0.5, INTERVAL_95[1]]):
        rounding = Rounding.of(median, [high - median, median - low])
        span = f"[{rounding.write(low)}, {rounding.write(high)}]"
        spans[name] = f"${rounding.scale(span)}$"
    return [_column(draws, interval), spans]


def _quantiles(
    draws: xr.Dataset, levels: Sequence[float]
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield every scalar of the draws with its quantiles."""
    names, array = flat(draws)
    if len(array) == 0:
        raise ShapeError(f"latex_table: at least one draw is needed; got 0 draws of {list(names)}")
    for name, values in zip(names, array.T, strict=True):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise ValueError(
                f"latex_table: expected finite draws of {name}; got {bad} of {len(values)} that "
                "are infinite or NaN"
            )
        yield name, tuple(np.quantile(values, levels).tolist())


# -- the table -------------------------------------------------------------------------------------


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """Lay cells out as a table environment."""
    above = [rf"\caption{{{caption}}}", *([rf"\label{{{label}}}"] if label else [])]
    lines = [rf"{' & '.join(cells)} \\" for cells in (titles, *rows)]
    inside = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            r"  \renewcommand{\arraystretch}{1.3}",
            *(f"  {line}" for line in above),
            rf"  \begin{{tabular}}{{l{'c' * (len(titles) - 1)}}}",
            *(f"    {line}" for line in inside),
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )
