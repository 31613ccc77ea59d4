"""Prior: named, ordered scipy distributions with an exact map to and from N(0, I)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.names import check_names
from sbi_inn.prior.arrays import arrays
from sbi_inn.prior.build import build
from sbi_inn.prior.component import Component, Parents
from sbi_inn.prior.dependent import Dependent
from sbi_inn.prior.discrete import Discrete
from sbi_inn.prior.marginal import chosen
from sbi_inn.prior.stored import stored
from sbi_inn.prior.tabulated import Tabulated
from sbi_inn.prior.univariate import quietly
from sbi_inn.typing import BoolArray, FloatArray

WHOLE: Any = np.int64  # of discrete parameters

Distributions = Mapping[str, Any] | Iterable[tuple[str, Any]]


class Prior:
    """Named, ordered distributions of the parameters.

    Every parameter is mapped to standard normal latents by its own distribution function (below
    the median cdf and ppf, above it sf and isf), so networks that work on the latents can never
    leave the prior's support, and densities stay normalised. Any latent, however extreme, gives a
    draw that is finite, strictly inside the support, and of finite density. A discrete parameter
    owns a piece of the latent axis for each of its values.

    Parameters
    ----------
    distributions : mapping or iterable of (name, distribution), optional
        Positional only; its parameters come first.
    **named
        Parameters by name. A distribution is a frozen univariate one of scipy.stats, continuous
        or discrete (whole numbers, drawn as int64); multivariate_normal, multivariate_t or
        dirichlet for a vector; a Mixture of norm or of multivariate_normal; or a function of
        earlier parameters, by name, that returns a continuous univariate one. The function is
        called with arrays of shape (n,), or (n, k) for a vector.

    Attributes
    ----------
    names : tuple of str
        The parameters, in order.
    columns : tuple of str
        The scalars, in order: "elbow", or "theta[0]", "theta[1]" for a vector parameter.
    dim : int
        Number of columns.
    latent_dim : int
        Number of latents. It is `dim`, less one for every dirichlet, whose last entry follows from
        the others.
    discrete : tuple of str
        The discrete parameters, in order.

    Raises
    ------
    PriorError
        For a name that is not an identifier, is reserved, or comes twice; for no parameter at all;
        and for a value that is not one of the distributions above.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.stats as st
    >>> prior = Prior(beta=st.uniform(0.1, 0.9), gamma=lambda beta: st.uniform(0, beta))
    >>> prior
    Prior(
        beta=uniform(0.1, 0.9),
        gamma=function of beta,
    )
    >>> draws = prior.sample(1000, np.random.default_rng(1))
    >>> bool((draws["gamma"] < draws["beta"]).all())
    True
    >>> prior.log_prob({"beta": 0.5, "gamma": [0.25, 0.75]}).round(3)
    array([0.799,  -inf])
    """

    def __init__(self, distributions: Distributions | None = None, /, **named: object) -> None:
        pairs = [*_pairs(distributions), *named.items()]
        check_names([name for name, _ in pairs], role="parameter", error=PriorError)
        if not pairs:
            raise PriorError("a prior needs at least one parameter, as in Prior(x=norm(0, 1))")
        self._components: dict[str, Component] = {}
        with quietly():
            for name, value in pairs:
                self._components[name] = build(name, value, tuple(self._components))
        self.names = tuple(self._components)
        self.columns = tuple(column for name in self.names for column in self._columns_of(name))
        self.dim = len(self.columns)
        self.latent_dim = sum(component.width for component in self._components.values())
        self.discrete = tuple(n for n, c in self._components.items() if isinstance(c, Discrete))
        self._needed = {name for c in self._components.values() for name in c.parents}
        # A dependent parameter shows its mistakes when it is called, so call it now.
        draws = self.from_latent(np.linspace(-1, 1, 3)[:, None].repeat(self.latent_dim, 1))
        for name, component in self._components.items():
            if isinstance(component, Dependent):
                self._components[name] = component.traced(draws)

    @property
    def support(self) -> dict[str, tuple[float, float]]:
        """Lower and upper bound of each parameter.

        One pair serves all entries of a vector. A dependent parameter, whose bounds differ from
        row to row, has (-inf, inf).
        """
        return {name: component.support for name, component in self._components.items()}

    @property
    def discrete_latents(self) -> BoolArray:
        """Which latents are those of discrete parameters, shape (latent_dim,)."""
        kinds = [[name in self.discrete] * c.width for name, c in self._components.items()]
        return np.concatenate(kinds)

    @property
    def pieces(self) -> tuple[tuple[int, tuple[float, ...]], ...]:
        """Latents of discrete parameters of few values, and where the pieces they own meet."""
        found, start = [], 0
        for component in self._components.values():
            if isinstance(component, Discrete) and component.cuts:
                found.append((start, component.cuts))
            start += component.width
        return tuple(found)

    @property
    def stated(self) -> bool:
        """Whether somebody said what the prior is.

        If not, it was fitted to the columns of a table one at a time: good for maps, units and
        widths, and for densities relative to it, but not for what rests on the prior's own density.
        """
        return not any(isinstance(c, Tabulated) for c in self._components.values())

    @property
    def storable(self) -> bool:
        """Whether a file can hold the prior: all its distributions are scipy's.

        A function of earlier parameters is stored as an expression, where all that it does is
        arithmetic, numpy's functions and a distribution of scipy.stats.
        """
        return not self._code()

    def marginal(self, names: Sequence[str]) -> Prior:
        """Give the prior of some of the parameters alone, whatever the others are.

        Parameters
        ----------
        names : sequence of str
            Whole parameters; they keep the order they have here.

        Returns
        -------
        Prior

        Raises
        ------
        PriorError
            For no name, a name that is no parameter, and a dependent parameter without those that
            its distribution follows from: what is left of it alone has no distribution that could
            be written down.

        Examples
        --------
        >>> import scipy.stats as st
        >>> Prior(a=st.norm(), b=st.expon(), c=st.uniform()).marginal(["c", "a"]).names
        ('a', 'c')
        """
        parents = {name: component.parents for name, component in self._components.items()}
        asked = chosen(names, parents)
        return Prior([(n, c.source) for n, c in self._components.items() if n in asked])

    def sample(self, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Draw from the prior.

        Parameters
        ----------
        n : int
            Number of draws.
        rng : numpy.random.Generator

        Returns
        -------
        dict of float64 arrays, int64 for discrete parameters
            (n,) for a scalar parameter, (n, k) for a vector.
        """
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy.random.Generator; got {type(rng).__name__}")
        draws: dict[str, FloatArray] = {}
        with quietly():
            for name, component in self._components.items():
                draws[name] = component.sample(n, rng, draws)
        return draws

    def log_prob(self, parameters: Mapping[str, Any]) -> FloatArray:
        """Joint log density in parameter units; of discrete parameters the log probability.

        A dirichlet counts by its density with respect to all entries but the last, as in scipy.

        Parameters
        ----------
        parameters : mapping (or Dataset, or DataFrame)
            One entry for each name: scalars or arrays (n,), for a vector (k,) or (n, k). Scalars
            and single rows serve all n.

        Returns
        -------
        float64 array, shape (n,)
            -inf outside the support and for nan.

        Raises
        ------
        PriorError
            For missing or unknown names, and shapes that do not fit together.
        """
        values, n = arrays(parameters, self._shapes)
        total, inside = np.zeros(n), np.ones(n, dtype=bool)
        parents: dict[str, FloatArray] = {}
        with quietly():
            for name, component in self._components.items():
                log_prob = component.log_prob(values[name], parents)
                total, inside = total + log_prob, inside & (log_prob > -np.inf)
                parents[name] = self._as_parent(component, values[name], log_prob, parents)
        return np.where(inside, total, -np.inf)

    def to_latent(
        self, parameters: Mapping[str, Any], within: npt.ArrayLike | None = None
    ) -> FloatArray:
        """Map parameters to standard normal latents; the inverse of `from_latent`.

        Parameters
        ----------
        parameters : mapping (or Dataset, or DataFrame)
            As for `log_prob`.
        within : array, shape (n or 1, len(discrete)), optional
            Between 0 and 1: where, within the piece of the latent axis that its value owns, each
            discrete parameter goes, as a share of its probability. Default .5, the middle. If
            uniform at random, the latents of draws of the prior are standard normal.

        Returns
        -------
        float64 array, shape (n, latent_dim)
            Finite: values outside the support go where its nearest end goes.

        Raises
        ------
        PriorError
            As for `log_prob`, and for nan.
        """
        values, n = arrays(parameters, self._shapes)
        for name, array in values.items():
            if np.isnan(array).any():
                raise PriorError(f"parameter {name!r}: nan has no latent")
        latents = [np.empty((n, 0))]
        parents: dict[str, FloatArray] = {}
        places = iter(self._places(within).T)
        with quietly():
            for name, component in self._components.items():
                if isinstance(component, Discrete):
                    latents.append(component.to_latent(values[name], parents, next(places)))
                else:
                    latents.append(component.to_latent(values[name], parents))
                parents[name] = values[name]
                if name in self._needed:
                    log_prob = component.log_prob(values[name], parents)
                    parents[name] = self._as_parent(component, values[name], log_prob, parents)
        return np.concatenate(latents, axis=1)

    def from_latent(self, latents: npt.ArrayLike) -> dict[str, FloatArray]:
        """Map standard normal latents to parameters.

        Parameters
        ----------
        latents : array, shape (n, latent_dim)
            Any size, infinite ones included, gives a draw that is finite, strictly inside the
            support and of finite density.

        Returns
        -------
        dict of float64 arrays, int64 for discrete parameters
            (n,) for a scalar parameter, (n, k) for a vector.

        Raises
        ------
        ValueError
            For nan, and for another shape.
        """
        z = np.asarray(latents, dtype=float)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"latents must have shape (n, {self.latent_dim}); got {z.shape}")
        if np.isnan(z).any():
            raise ValueError(f"latents must not be nan; {np.isnan(z).any(1).sum()} rows are")
        draws: dict[str, FloatArray] = {}
        start = 0
        with quietly():
            for name, component in self._components.items():
                draws[name] = component.from_latent(z[:, start : start + component.width], draws)
                start += component.width
        return draws

    def flatten(self, parameters: Mapping[str, Any]) -> FloatArray:
        """Parameters side by side in the order of `columns`, shape (n, dim)."""
        values, n = arrays(parameters, self._shapes)
        return np.concatenate([values[name].reshape(n, -1) for name in self.names], axis=1)

    def unflatten(self, array: npt.ArrayLike) -> dict[str, FloatArray]:
        """Take `flatten`'s array (n, dim) apart again."""
        flat = np.asarray(array, dtype=float)
        if flat.ndim != 2 or flat.shape[1] != self.dim:
            raise PriorError(
                f"expected shape (n, {self.dim}), with columns {', '.join(self.columns)}; "
                f"got {flat.shape}"
            )
        values: dict[str, FloatArray] = {}
        start = 0
        for name, component in self._components.items():
            stop = start + len(self._columns_of(name))
            value = flat[:, start:stop].reshape(len(flat), *component.shape)
            values[name] = np.rint(value).astype(WHOLE) if name in self.discrete else value
            start = stop
        return values

    def to_config(self) -> dict[str, Any]:
        """Describe the prior in numbers, lists and text, for a file.

        Returns
        -------
        dict
            {"parameters": [{"name", "kind", "distribution", "args", "kwds"}, ...]}; for what is
            code {"name", "kind": "code", "width"}, which has to be given again on loading.
        """
        entries = []
        for name, component in self._components.items():
            code = {"kind": "code", "width": component.width}
            entries.append({"name": name, **(component.config() or code)})
        return {"parameters": entries}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Prior:
        """Rebuild a prior from `to_config`'s dict.

        Raises
        ------
        LoadError
            If a parameter is code, if its distribution is not one of scipy's, or if the dict is not
            of this form.
        """
        try:
            return cls(stored(config))
        except LoadError:
            raise
        except Exception as error:  # a damaged expression can go wrong anywhere in scipy
            raise LoadError(f"the stored prior cannot be used: {error}") from error

    def __repr__(self) -> str:
        """One parameter a line."""
        lines = [f"    {name}={c.describe()},\n" for name, c in self._components.items()]
        return f"Prior(\n{''.join(lines)})"

    def __eq__(self, other: object) -> bool:
        """Compare parameters and order; functions that files cannot hold only with themselves."""
        if not isinstance(other, Prior):
            return NotImplemented
        return self.to_config() == other.to_config() and self._code() == other._code()

    def __hash__(self) -> int:
        """Of the names: equal priors have equal ones."""
        return hash(self.names)

    def _code(self) -> dict[str, object]:
        """Collect what was given for the parameters that cannot be stored."""
        return {
            name: component.source
            for name, component in self._components.items()
            if component.config() is None
        }

    @property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: component.shape for name, component in self._components.items()}

    def _columns_of(self, name: str) -> list[str]:
        shape = self._components[name].shape
        return [f"{name}[{i}]" for i in range(shape[0])] if shape else [name]

    def _as_parent(
        self, component: Component, values: FloatArray, log_prob: FloatArray, parents: Parents
    ) -> FloatArray:
        """Values for later functions, medians where the support was left: they may rely on it."""
        outside = log_prob == -np.inf
        if isinstance(component, Discrete) and not outside.any():
            return values.astype(WHOLE)  # as draws have it: a function may look into a list
        if not outside.any():
            return values
        medians = component.from_latent(np.zeros((len(values), component.width)), parents)
        inside = np.where(outside.reshape(-1, *[1] * (values.ndim - 1)), medians, values)
        return inside.astype(medians.dtype)

    def _places(self, within: npt.ArrayLike | None) -> FloatArray:
        """Places of the discrete parameters within their pieces, shape (n or 1, discrete)."""
        k = len(self.discrete)
        if within is None:
            return np.full((1, k), 0.5)
        places = np.asarray(within, dtype=float)
        if places.ndim != 2 or places.shape[1] != k or not ((places >= 0) & (places <= 1)).all():
            raise PriorError(
                f"within must have shape (n, {k}), one column for each discrete parameter, with "
                f"values from 0 to 1; got {places.shape}"
            )
        return places


def _pairs(distributions: Distributions | None) -> list[tuple[str, Any]]:
    """Names and distributions, in order."""
    if distributions is None:
        return []
    pairs: Callable[..., Any] | Any = getattr(distributions, "items", lambda: distributions)
    try:
        return [(name, value) for name, value in pairs()]
    except (TypeError, ValueError) as error:
        raise PriorError(
            "a prior takes a mapping or (name, distribution) pairs; "
            f"got {type(distributions).__name__}"
        ) from error
