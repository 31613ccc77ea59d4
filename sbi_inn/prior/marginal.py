"""Some of the parameters of a prior, chosen by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from sbi_inn.errors import PriorError


def marginal_names(names: Sequence[str] | str, parents: Mapping[str, Sequence[str]]) -> list[str]:
    """Check names of parameters whose distribution is to stand by itself.

    Parameters
    ----------
    names : sequence of str
    parents : mapping of str to sequence of str
        Every parameter, and those that its distribution follows from.

    Raises
    ------
    PriorError
        For no name, an unknown one, and one without those that its distribution follows from.

    Examples
    --------
    >>> marginal_names("beta", {"beta": [], "gamma": ["beta"]})
    ['beta']
    """
    asked = [names] if isinstance(names, str) else list(names)
    known = ", ".join(parents)
    if not asked:
        raise PriorError(f"expected some of the parameters {known}; got none")
    for name in asked:
        if name not in parents:
            close = get_close_matches(str(name).partition("[")[0], parents, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise PriorError(f"expected some of the parameters {known}; got {name!r}{hint}")
        missing = [parent for parent in parents[name] if parent not in asked]
        if missing:
            raise PriorError(
                f"the distribution of {name!r} follows from {', '.join(map(repr, missing))}, and "
                f"without that it cannot be written down: add {', '.join(missing)} to what is "
                f"inferred, or leave {name} out"
            )
    return asked
