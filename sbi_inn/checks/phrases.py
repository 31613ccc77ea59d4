"""Numbers in words, without statistical terms."""

from __future__ import annotations

_PARTS = {0.1: "a tenth", 0.2: "a fifth", 0.25: "a quarter", 0.33: "a third", 0.5: "a half"}


def by_about(part: float) -> str:
    """Say a part of one in words.

    Examples
    --------
    >>> by_about(0.24), by_about(0.31), by_about(0.7), by_about(1.3)
    ('by about a quarter', 'by about a third', 'by about 70 %', 'by a factor of about 2.3')
    """
    nearest = min(_PARTS, key=lambda known: abs(known - part))
    if abs(nearest - part) <= 0.035:
        return f"by about {_PARTS[nearest]}"
    return f"by about {100 * part:.0f} %" if part < 1 else f"by a factor of about {1 + part:.1f}"


def wrong_width(width: float) -> str:
    """Say how a width, relative to the right one, is wrong.

    Examples
    --------
    >>> wrong_width(0.8), wrong_width(1.5), wrong_width(0.001)
    ('too narrow by about a fifth', 'too wide by about a half', 'far too narrow')
    """
    if width < 0.005:
        return "far too narrow"
    if width < 1:
        return f"too narrow {by_about(1 - width)}"
    return f"too wide {by_about(width - 1)}"


def number(value: float) -> str:
    """Write a positive number to two digits, without a power of ten where it can be read without.

    Examples
    --------
    >>> number(0.216), number(152.3), number(70_900.0), number(7.1e29)
    ('0.22', '152', '70,900', '7.1e+29')
    """
    return f"{value:,.0f}" if 99.5 <= value < 1e6 else f"{value:.2g}"


def probability(share: float) -> str:
    """Write a probability that was found by some thousand draws.

    Examples
    --------
    >>> probability(0.961), probability(1.0), probability(0.0123), probability(0.0)
    ('0.96', 'above 0.99', '0.01', 'below 0.01')
    """
    if share > 0.99:
        return "above 0.99"
    return "below 0.01" if share < 0.01 else f"{share:.2f}"


def percent(part: float, digits: int = 0) -> str:
    """Write a share in per cent.

    Examples
    --------
    >>> percent(0.256), percent(0.0042, 1)
    ('26 %', '0.4 %')
    """
    return f"{100 * part:.{digits}f} %"


def share(part: float, noise: float) -> str:
    """Write a share with its standard error, in per cent.

    Examples
    --------
    >>> share(0.8812, 0.0103), share(0.951, 0.0041)
    ('88 +- 1 %', '95.1 +- 0.4 %')
    """
    digits = 0 if noise >= 0.0095 else 1
    return f"{100 * part:.{digits}f} +- {100 * noise:.{digits}f} %"
