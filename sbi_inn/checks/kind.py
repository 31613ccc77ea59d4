"""A kind of check: its question, what it needs, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sbi_inn.checks.once import Once
from sbi_inn.checks.record import Record
from sbi_inn.checks.subject import Here, Subject
from sbi_inn.errors import NoDensityError

R = TypeVar("R", bound=Record)

NO_PRIOR = "it needs the density of the prior, which the table did not state"


@dataclass(frozen=True)
class Need:
    """Something that a check cannot do without.

    Attributes
    ----------
    what : str
        Such as "a simulator".
    missing : callable
        Given a `Subject`: why it is not there; empty if it is.
    """

    what: str
    missing: Callable[[Subject], str]


def time_for(n: int) -> Need:
    """Need as many simulations within the time and memory that one check may take."""
    return Need(
        f"time for {n} simulations",
        lambda subject: "" if subject.affordable >= n else subject.costly,
    )


SIMULATOR = Need("a simulator", lambda subject: subject.not_again)
DENSITY = Need("a density", lambda subject: subject.survey().why_no_density)
STATED_PRIOR = Need(
    "a stated prior", lambda subject: "" if subject.sampler.prior.stated else NO_PRIOR
)
TWO_PARAMETERS = Need(
    "two parameters",
    lambda subject: "" if subject.tests.truth.shape[1] > 1 else "there is one parameter only",
)


@dataclass(frozen=True)
class CheckKind(Generic[R]):
    """One kind of check.

    Attributes
    ----------
    name : str
        Of its record, and of its section in the report.
    question : str
        That it answers.
    explanation : str
        For the report: how the question is answered, in words that need no statistics.
    run : callable
        Given a `Subject` (a `Here`, if it is about one observation): the record, or why there is
        none.
    needs : tuple of Need
        In this order: the first that is missing is why the check is skipped.
    at_observation : bool
        Whether it is about one observation.
    told_at : callable
        Of a check in general: given its record and a `Here`, the record for somebody who asks at
        that observation. By default it is the same.
    """

    name: str
    question: str
    explanation: str
    run: Callable[[Any], R | str]
    needs: tuple[Need, ...] = ()
    at_observation: bool = False
    told_at: Callable[[R, Here], R] = lambda record, _: record

    def of(self, subject: Once) -> R | str:
        """Check a posterior in general, once: the record, or why there is none."""
        return subject.once(self.name, lambda: self._found(subject, subject))

    def at(self, here: Here) -> R | str:
        """Check a posterior at one observation, once: the record, or why there is none."""
        if self.at_observation:
            return here.once(self.name, lambda: self._found(here.subject, here))
        found = self.of(here.subject)
        return found if isinstance(found, str) else self.told_at(found, here)

    def record(self, subject: Once) -> R:
        """Check a posterior in general.

        Raises
        ------
        ValueError
            If the check cannot run; the message says why.
        """
        found = self.of(subject)
        if isinstance(found, str):
            raise ValueError(f"no {self.name}: {found}")
        return found

    def _found(self, subject: Any, what: Once | Here) -> R | str:
        reasons = (need.missing(subject) for need in self.needs)
        try:
            return next(filter(None, reasons), "") or self.run(what)
        except NoDensityError as error:
            return str(error)
