"""Prior: named, ordered scipy distributions with an exact map to and from N(0, I)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from sbi_inn.errors import LoadError, PriorError
from sbi_inn.names import check_names
from sbi_inn.prior.arrays import arrays
from sbi_inn.prior.as_generator import as_generator
from sbi_inn.prior.box import Box
from sbi_inn.prior.build import Distributions, build, pairs
from sbi_inn.prior.component import Component
from sbi_inn.prior.dependent import Dependent
from sbi_inn.prior.drawn import DrawnField
from sbi_inn.prior.fields import FieldPlace, fields_of
from sbi_inn.prior.joint import WHOLE, Joint
from sbi_inn.prior.marginal import marginal_names
from sbi_inn.prior.stored import stored
from sbi_inn.prior.tabulated import Tabulated
from sbi_inn.prior.truncated import Share, TruncatedJoint
from sbi_inn.prior.univariate import quietly
from sbi_inn.typing import BoolArray, FloatArray, IntArray


class Prior:
    """Named, ordered distributions of the parameters.

    Every parameter is mapped to standard normal latents by its own distribution function (cdf and
    ppf below the median, sf and isf above). So networks that work on the latents cannot leave the
    prior's support, and densities stay normalised. Any latent, however extreme, gives a draw that
    is finite, strictly inside the support, and of finite density. Each value of a discrete
    parameter has an interval of the latent axis.

    Parameters
    ----------
    distributions : mapping or iterable of (name, distribution), optional
        Positional only; its parameters come first.
    **named
        Parameters by name. A distribution is a frozen univariate one of scipy.stats, continuous
        or discrete (whole numbers, drawn as int64); multivariate_normal, multivariate_t or
        dirichlet for a vector; a Mixture of norm or of multivariate_normal; a GaussianField or
        Drawn for a field; or a function of earlier parameters, by name, that returns a continuous
        univariate one. It is called with arrays of shape (n,), or (n, k) for a vector.

    Attributes
    ----------
    names : tuple of str
        The parameters, in order.
    columns : tuple of str
        The scalars, in order: "elbow", or "theta[0]", "theta[1]" for a vector, "sky[3,17]".
    dim : int
        Number of columns.
    latent_dim : int
        Number of latents: `dim`, less one for every dirichlet, whose last entry follows from the
        others.
    discrete : tuple of str
        The discrete parameters, in order.

    Raises
    ------
    PriorError
        If a name is not an identifier, is reserved, or comes twice; if there is no parameter; if a
        value is not one of the distributions above.

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
        named_pairs = [*pairs(distributions), *named.items()]
        check_names([name for name, _ in named_pairs], role="parameter", error=PriorError)
        if not named_pairs:
            raise PriorError("a prior needs at least one parameter, as in Prior(x=norm(0, 1))")
        components: dict[str, Component] = {}
        with quietly():
            for name, value in named_pairs:
                components[name] = build(name, value, components)
        # A dependent parameter shows its mistakes when it is called, so call it now.
        joint = Joint(components)
        width = sum(component.width for component in components.values())
        draws = joint.from_latent(np.linspace(-1, 1, 3)[:, None].repeat(width, 1))
        for name, component in components.items():
            if isinstance(component, Dependent):
                components[name] = component.traced(draws)
        self._joint = Joint(components)
        self._map: Joint | TruncatedJoint = self._joint
        self.names = tuple(components)
        self.columns = tuple(itertools.chain(*joint.columns.values()))
        self.discrete = joint.discrete
        self.dim = len(self.columns)
        self.latent_dim = width

    @property
    def support(self) -> dict[str, tuple[float, float]]:
        """Bounds of each parameter, or of all its entries; (-inf, inf) of a dependent one."""
        return {name: component.support for name, component in self._joint.components.items()}

    @property
    def discrete_latents(self) -> BoolArray:
        """Which latents are those of discrete parameters, shape (latent_dim,)."""
        return np.isin(np.arange(self.latent_dim), list(self.cells))

    @property
    def cells(self) -> dict[int, FloatArray]:
        """Latents of discrete parameters, and the ends of the intervals of their values."""
        return self._joint.cells

    @property
    def pieces(self) -> tuple[tuple[int, tuple[float, ...]], ...]:
        """Latents of discrete parameters of few values, and where the intervals of these meet."""
        cuts = self._joint.cuts
        return tuple((cuts if self.box is None else self.box.cut(cuts)).items())

    @property
    def stated(self) -> bool:
        """Whether its density is known.

        If not, it was fitted to columns of a table, or to pixels of `Drawn` fields, one at a time:
        good for maps, units, widths, and relative densities, not for what rests on its own density.
        """
        parts = self._joint.components.values()
        return not any(isinstance(c, Tabulated | DrawnField) for c in parts)

    @property
    def drawable(self) -> bool:
        """Whether it can be drawn from: not if fitted to a table, or with a loaded `Drawn`."""
        parts = self._joint.components.values()
        return all(getattr(c, "drawable", not isinstance(c, Tabulated)) for c in parts)

    @property
    def fields(self) -> tuple[FieldPlace, ...]:
        """The fields among the parameters, and where their latents are."""
        return fields_of(self._joint)

    @property
    def log_mass(self) -> float:
        """Log of the share of the `whole` prior's probability inside `box`; 0 if not truncated."""
        return 0.0 if self.box is None else self.box.log_mass

    @property
    def storable(self) -> bool:
        """Whether a file can hold it: its distributions are from scipy, or are fields.

        A function of earlier parameters can be stored if it consists of arithmetic, numpy
        functions and one distribution of scipy.stats.
        """
        return not self._code()

    @property
    def box(self) -> Box | None:
        """The region that the prior is truncated to, in latents of `whole`; else None."""
        return self._map.box if isinstance(self._map, TruncatedJoint) else None

    @property
    def whole(self) -> Prior:
        """The prior without its truncation."""
        return self._with(self._joint)

    def truncated(self, box: Box, *, share: Share | None = None) -> Prior:
        """Return `whole`, truncated to a box in latent space and renormalised there.

        Parameters
        ----------
        box : Box
        share : callable, optional
            From latents of `whole` (n, latent_dim) to the share of draws that `sample` keeps there.
        """
        return self._with(TruncatedJoint(self._joint, box, share))

    def latents_of(self, names: Sequence[str]) -> IntArray:
        """Return the indices of the latents of some parameters, in the order of the prior."""
        places = np.arange(self.latent_dim)
        return np.concatenate([places[self._joint.latent[n]] for n in self.names if n in names])

    def marginal(self, names: Sequence[str]) -> Prior:
        """Return the marginal prior of some of the parameters.

        Parameters
        ----------
        names : sequence of str
            Whole parameters; they keep the order they have here.

        Raises
        ------
        PriorError
            If there is no name, a name is not a parameter, or a dependent parameter comes without
            those that its distribution depends on: alone, it has no distribution in closed form.

        Examples
        --------
        >>> import scipy.stats as st
        >>> Prior(a=st.norm(), b=st.expon(), c=st.uniform()).marginal(["c", "a"]).names
        ('a', 'c')
        """
        parents = {name: component.parents for name, component in self._joint.components.items()}
        asked = marginal_names(names, parents)
        whole = Prior([(n, c.source) for n, c in self._joint.components.items() if n in asked])
        return whole if self.box is None else whole.truncated(self.box.only(self.latents_of(asked)))

    def sample(
        self, n: int, rng: np.random.Generator | int | None = None, *, seed: int | None = None
    ) -> dict[str, FloatArray]:
        """Draw from the prior.

        Parameters
        ----------
        n : int
            Number of draws.
        rng, seed : numpy.random.Generator or int, optional
            A generator, or its seed instead; by default a new one.

        Returns
        -------
        dict of float64 arrays, int64 for discrete parameters
            (n,) of a scalar, (n, k) of a vector, (n, height, width) of a map.
        """
        return self._map.sample(n, as_generator(rng, seed))

    def log_prob(self, parameters: Mapping[str, Any]) -> FloatArray:
        """Evaluate the joint log density, in parameter units.

        For discrete parameters it is the log probability. For a dirichlet, the density is with
        respect to all entries but the last, as in scipy.

        Parameters
        ----------
        parameters : mapping (or Dataset, or DataFrame)
            One entry for each name; a single value is used for all n rows.

        Returns
        -------
        float64 array, shape (n,)
            -inf outside the support and for NaN.

        Raises
        ------
        PriorError
            If names are missing or unknown, or shapes do not fit together.
        """
        return self._map.log_prob(*arrays(parameters, self._joint.shapes))

    def to_latent(
        self, parameters: Mapping[str, Any], within: npt.ArrayLike | None = None
    ) -> FloatArray:
        """Map parameters to standard normal latents; the inverse of `from_latent`.

        Parameters
        ----------
        parameters : mapping (or Dataset, or DataFrame)
            As for `log_prob`.
        within : array, shape (n or 1, len(discrete)), optional
            Between 0 and 1: the place of each discrete parameter within the latent interval of its
            value, as a share of its probability. Default .5, the middle. If it is uniformly
            distributed, the latents of draws of the prior are standard normal.

        Returns
        -------
        float64 array, shape (n, latent_dim)
            Finite: values outside the support are mapped like its nearest end.

        Raises
        ------
        PriorError
            As for `log_prob`, and for NaN.
        """
        rows = arrays(parameters, self._joint.shapes)
        return self._map.to_latent(*rows, self._joint.places(within))

    def from_latent(self, latents: npt.ArrayLike) -> dict[str, FloatArray]:
        """Map standard normal latents to parameters.

        Parameters
        ----------
        latents : array, shape (n, latent_dim)
            Any size, infinite ones included, gives a draw that is finite, strictly inside the
            support and of finite density.

        Returns
        -------
        dict
            As `sample`.

        Raises
        ------
        ValueError
            For NaN, and for a wrong shape.
        """
        z = np.asarray(latents, dtype=float)
        if z.ndim != 2 or z.shape[1] != self.latent_dim:
            raise ValueError(f"latents must have shape (n, {self.latent_dim}); got {z.shape}")
        if np.isnan(z).any():
            raise ValueError(f"latents must not be nan; {np.isnan(z).any(1).sum()} rows are")
        return self._map.from_latent(z)

    def log_density(self, latents: FloatArray) -> FloatArray:
        """Log density in latent space, at latents (n, latent_dim): N(0, I) unless truncated."""
        return self._map.log_density(latents)

    def flatten(self, parameters: Mapping[str, Any]) -> FloatArray:
        """Join parameters into an array, shape (n, dim), in the order of `columns`."""
        values, n = arrays(parameters, self._joint.shapes)
        return np.concatenate([values[name].reshape(n, -1) for name in self.names], axis=1)

    def unflatten(self, array: npt.ArrayLike) -> dict[str, FloatArray]:
        """Split an array (n, dim) into parameters; the inverse of `flatten`."""
        flat = np.asarray(array, dtype=float)
        if flat.ndim != 2 or flat.shape[1] != self.dim:
            raise PriorError(
                f"expected shape (n, {self.dim}), with columns {', '.join(self.columns)}; "
                f"got {flat.shape}"
            )
        values: dict[str, FloatArray] = {}
        for name, shape in self._joint.shapes.items():
            value = flat[:, self._joint.flat[name]].reshape(len(flat), *shape)
            values[name] = np.rint(value).astype(WHOLE) if name in self.discrete else value
        return values

    def to_config(self) -> dict[str, Any]:
        """Describe the prior in numbers, lists and text, for a file.

        Returns
        -------
        dict
            {"parameters": [{"name", "kind", "distribution", "args", "kwds"}, ...]}, and "box" if
            truncated; code is {"name", "kind": "code", "width"}, and must be given when loading.
        """
        entries = []
        for name, component in self._joint.components.items():
            code = {"kind": "code", "width": component.width}
            entries.append({"name": name, **(component.config() or code)})
        return {"parameters": entries} | ({"box": self.box.to_lists()} if self.box else {})

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Prior:
        """Rebuild a prior from the dict of `to_config`.

        Raises
        ------
        LoadError
            If a parameter is code, if its distribution is not one of scipy's, or if the dict is not
            of this form.
        """
        try:
            whole = cls(stored(config))
            return whole.truncated(Box.from_lists(config["box"])) if "box" in config else whole
        except LoadError:
            raise
        except Exception as error:  # a damaged expression can go wrong anywhere in scipy
            raise LoadError(f"the stored prior cannot be used: {error}") from error

    def __repr__(self) -> str:
        """One parameter a line."""
        lines = [f"    {name}={c.describe()},\n" for name, c in self._joint.components.items()]
        box = f", truncated to {self.box.mass:.2g} of its mass" if self.box else ""
        return f"Prior(\n{''.join(lines)}){box}"

    def __eq__(self, other: object) -> bool:
        """Compare parameters and order; functions that files cannot hold only with themselves."""
        if not isinstance(other, Prior):
            return NotImplemented
        return self.to_config() == other.to_config() and self._code() == other._code()

    def __hash__(self) -> int:
        """Of the names: equal priors have equal ones."""
        return hash(self.names)

    def _with(self, joint: Joint | TruncatedJoint) -> Prior:
        other = copy(self)
        other._map = joint
        return other

    def _code(self) -> dict[str, object]:
        """Collect what was given for the parameters that cannot be stored."""
        return {
            name: component.source
            for name, component in self._joint.components.items()
            if component.config() is None
        }
