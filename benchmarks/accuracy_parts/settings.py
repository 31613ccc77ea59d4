"""Settings as they are written on the command line: "CINN(blocks=4)", "Training(epochs=10)"."""

from __future__ import annotations

import ast

import sbi_inn as si

ARGUMENTS = {"CINN": "method", "INN": "method", "Training": "training"}


def read(written):
    """Make arguments of `fit_posterior` from settings; nothing but constants is evaluated.

    Parameters
    ----------
    written : list of str

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If one is not a call of CINN, INN or Training with constants by name.

    Examples
    --------
    >>> read(["Training(epochs=10)"])["training"].epochs
    10
    """
    chosen = {}
    for text in written:
        name, values = _call(text)
        chosen[ARGUMENTS[name]] = getattr(si, name)(**values)
    return chosen


def _call(text):
    try:
        call = ast.parse(text, mode="eval").body
        name = call.func.id
        values = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, AttributeError, ValueError) as error:
        raise ValueError(f"expected settings like CINN(blocks=4); got {text!r}") from error
    if name not in ARGUMENTS or call.args or None in values:
        raise ValueError(f"expected a call of {', '.join(ARGUMENTS)} by names; got {text!r}")
    return name, values
