"""A parameter whose distribution is a function of earlier parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sbi_inn.errors import PriorError
from sbi_inn.prior import univariate
from sbi_inn.prior.component import LATENT_MAX, Parents
from sbi_inn.prior.expression import Expression
from sbi_inn.typing import FloatArray


@dataclass(frozen=True, eq=False)
class Dependent:
    """A scalar parameter whose distribution follows from earlier ones, a row at a time.

    Attributes
    ----------
    name : str
        For messages.
    source : callable
        Takes arrays (n,) or (n, k) of the parents by name and returns a frozen univariate
        distribution whose arguments are scalars or arrays (n,).
    parents : tuple of str
        The earlier parameters that `source` names.
    expression : Expression or None
        What `source` does, if a file can hold that.
    """

    name: str
    source: Callable[..., Any]
    parents: tuple[str, ...]
    expression: Expression | None = None

    shape = ()
    width = 1
    support = (-np.inf, np.inf)

    @classmethod
    def of(cls, name: str, source: Callable[..., Any], earlier: Sequence[str]) -> Dependent:
        """Read the parents off the signature.

        Raises
        ------
        PriorError
            If the signature names anything but earlier parameters.
        """
        if not isinstance(source, Expression):
            return cls(name, source, _parents(name, source, earlier))
        later = [parent for parent in source.parents if parent not in earlier]
        if later:
            raise PriorError(f"parameter {name!r}: {', '.join(later)} must come before it")
        return cls(name, source, source.parents, source)

    def traced(self, parents: Parents) -> Dependent:
        """Write the function down as an expression, if it gives the same for these parents."""
        expression = self.expression or Expression.trace(self.source, self.parents)
        if expression is not None:
            frozen = self._at(parents, len(next(iter(parents.values()))))
            if not expression.agrees(frozen, parents):
                expression = None
        return replace(self, expression=expression)

    def sample(self, n: int, rng: np.random.Generator, parents: Parents) -> FloatArray:
        """Draw n values, one given each row of the parents, shape (n,)."""
        frozen = self._at(parents, n)
        draws = np.asarray(frozen.rvs(size=n, random_state=rng), dtype=float)
        return self._usable(frozen, univariate.latent(frozen, draws), draws)

    def log_prob(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Log density given the parents, shape (n,)."""
        return univariate.log_density(self._at(parents, len(values)), values)

    def to_latent(self, values: FloatArray, parents: Parents) -> FloatArray:
        """Map values (n,) to latents (n, 1) given the parents."""
        return univariate.latent(self._at(parents, len(values)), values)[:, None]

    def from_latent(self, latents: FloatArray, parents: Parents) -> FloatArray:
        """Map latents (n, 1) to values (n,) given the parents."""
        frozen = self._at(parents, len(latents))
        z = np.clip(latents[:, 0], -LATENT_MAX, LATENT_MAX)
        return self._usable(frozen, z, univariate.quantile(frozen, z))

    def config(self) -> dict[str, Any] | None:
        """Give the expression; None where the function is more than that."""
        return None if self.expression is None else self.expression.config()

    def describe(self) -> str:
        """Say which parameters it looks at."""
        return f"function of {', '.join(self.parents)}"

    def _at(self, parents: Parents, n: int) -> univariate.Frozen:
        """Distributions of n rows, checked."""
        try:
            frozen = self.source(**{name: parents[name] for name in self.parents})
        except Exception as error:
            raise PriorError(
                f"parameter {self.name!r}: its function failed when called with arrays of {n} rows "
                f"({type(error).__name__}: {error}); it has to work on whole arrays, as "
                "numpy.where does in place of `if`"
            ) from error
        if hasattr(frozen, "freeze") or not univariate.is_continuous(frozen):
            raise PriorError(
                f"parameter {self.name!r}: its function must return a frozen continuous "
                f"univariate scipy.stats distribution; got {type(frozen).__name__}"
            )
        if np.shape(frozen.support()[0]) not in {(), (n,)}:
            raise PriorError(
                f"parameter {self.name!r}: called with arrays of {n} rows, its function must "
                f"return a distribution of shape () or ({n},); got {np.shape(frozen.support()[0])}"
            )
        return frozen

    def _usable(self, frozen: univariate.Frozen, z: FloatArray, values: FloatArray) -> FloatArray:
        """Move the values that cannot be used towards the median until they can."""
        bad = ~univariate.usable(frozen, z, values)
        if bad.any():
            some = univariate.rows(frozen, bad)
            self._check_medians(some, int(bad.sum()))
            z = univariate.reach(some, np.zeros(bad.sum()), z[bad])
            values[bad] = univariate.quantile(some, z)
        return values

    def _check_medians(self, frozen: univariate.Frozen, n: int) -> None:
        medians = univariate.quantile(frozen, np.zeros(n))
        bad = ~univariate.usable(frozen, np.zeros(n), medians)
        if bad.any():
            raise PriorError(
                f"parameter {self.name!r}: for some values of {', '.join(self.parents)} within "
                "their prior, its function returns a distribution whose arguments are out of range"
                f" (median {medians[bad][0]})"
            )


def _parents(name: str, function: Callable[..., Any], earlier: Sequence[str]) -> tuple[str, ...]:
    """Names in the signature; an argument with a default need not be a parameter."""
    try:
        arguments = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise PriorError(
            f"parameter {name!r}: cannot read the signature of its function"
        ) from error
    parents = tuple(a.name for a in arguments if a.default is a.empty or a.name in earlier)
    by_name = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
    wrong = [a.name for a in arguments if a.kind not in by_name]
    wrong += [parent for parent in parents if parent not in earlier and parent not in wrong]
    if wrong or not parents:
        raise PriorError(
            f"parameter {name!r}: the arguments of its function must be names of earlier "
            f"parameters ({', '.join(earlier) or 'there are none'}); "
            f"got {', '.join(wrong) or 'no argument'}"
        )
    return parents
