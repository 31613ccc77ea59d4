"""Problem: the one record of a study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from numbers import Real

from sbi_inn.errors import PriorError
from sbi_inn.names import check_names
from sbi_inn.prior import Prior, as_prior
from sbi_inn.simulation.binding import Binding, bind
from sbi_inn.simulation.givens import Given, check_given
from sbi_inn.simulation.noise import Noise, as_noise
from sbi_inn.simulation.outputs import Kinds
from sbi_inn.simulation.simulations import SimulationError
from sbi_inn.simulation.simulator import Simulator, as_simulator

Givens = Mapping[str, Given]


@dataclass(frozen=True)
class Problem:
    """A simulator, a prior, and what is known in the experiment.

    Attributes
    ----------
    simulator : Simulator
        A plain callable is turned into one.
    prior : Prior
        A mapping of names to distributions is turned into one.
    given : dict of str to Given
        Quantities that are known and not inferred. A number is a constant. The others are drawn for
        every simulation: a frozen scipy distribution; an array, of which a row is drawn (arrays of
        the same length use the same row); or a function, called with arrays of the parameters and
        earlier givens that it names, and `rng`. The lengths of sets are givens, and so are those of
        series if they vary.
    noise : Noise or None
        What is done to the observables after the simulator: measurement errors, gaps.
    labels, units : dict of str to str
        For figures and tables: of parameters, givens and observables, and of the quantities named
        in `fit_posterior(..., derived=)`.
    source : str
        Where the problem comes from.
    name : str
        The name it is registered under, if it is.

    Raises
    ------
    PriorError
        If `prior` is not a Prior; or a given clashes with a parameter, has a reserved name, or
        cannot be drawn.
    SimulationError
        If the simulator's arguments cannot be filled, or the length of a set is not a given.

    Examples
    --------
    >>> import scipy.stats as st
    >>> def coin(p, n, rng):
    ...     return {"heads": rng.binomial(n, p)}
    >>> problem = Problem(coin, Prior(p=st.uniform(0, 1)), given={"n": st.randint(1, 100)})
    >>> problem.binding.named
    ('p', 'n')
    """

    simulator: Simulator
    prior: Prior
    _: KW_ONLY
    given: Givens = field(default_factory=dict)
    noise: Noise | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "simulator", as_simulator(self.simulator))
        object.__setattr__(self, "given", dict(self.given or {}))
        object.__setattr__(self, "prior", as_prior(self.prior))
        check_names(self.given, role="given", error=PriorError)
        names = (*self.prior.names, *self.given, *self.fixed_series)
        check_names(names, role="parameter, given and length", error=PriorError)
        for place, (name, value) in enumerate(self.given.items()):
            check_given(name, value, (*self.prior.names, *list(self.given)[:place]))
        object.__setattr__(self, "noise", as_noise(self.noise))
        missing = [length for length in self.simulator.sets if length not in self.given]
        if missing:
            raise SimulationError(
                f"sets= names the length {missing[0]!r}, which is not a given; add "
                f"given={{{missing[0]!r}: st.randint(1, 101)}}, or a number"
            )
        _ = self.binding

    @property
    def binding(self) -> Binding:
        """Which parameters and givens fill the simulator's arguments."""
        return bind(self.simulator.function, self.prior.names, tuple(self.given))

    @property
    def lengths(self) -> dict[str, tuple[str, ...]]:
        """The givens that are lengths of sets and series, and the columns of each."""
        ordered = self.simulator.ordered
        return {name: columns for name, columns in ordered.items() if name in self.given}

    @property
    def fixed_series(self) -> dict[str, tuple[str, ...]]:
        """The series whose length is not a given, and the columns of each."""
        ordered = self.simulator.ordered
        return {name: columns for name, columns in ordered.items() if name not in self.given}

    @property
    def kinds(self) -> Kinds:
        """The observables that are sets, series or images."""
        simulator = self.simulator
        images = tuple(name for name in simulator.images if name not in self.given)
        return Kinds(self.lengths, self.fixed_series, images, simulator.channels)

    @property
    def constants(self) -> dict[str, float]:
        """The givens that are constants, by name."""
        return {n: float(v) for n, v in self.given.items() if isinstance(v, Real)}


def without_words(problem: Problem, names: Iterable[str]) -> Problem:
    """Leave out the labels and units of some names."""
    labels, units = dict(problem.labels), dict(problem.units)
    for name in names:
        labels.pop(name, None)
        units.pop(name, None)
    return replace(problem, labels=labels, units=units)
