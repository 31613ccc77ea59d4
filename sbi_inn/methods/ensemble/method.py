"""Several networks, and the mixture of their posteriors."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from sbi_inn.methods.ensemble.fitted import FittedEnsemble, mixture
from sbi_inn.methods.ensemble.sides import Sides, parted
from sbi_inn.methods.ensemble.training import Member, converged, finite, train, weighed
from sbi_inn.methods.protocols import Fitted, Further, Groups, TrainingData, declared
from sbi_inn.simulation.seeds import Stream, sequence
from sbi_inn.training.device import placed
from sbi_inn.training.settings import Training
from sbi_inn.training.side_by_side import train_all, warm_up
from sbi_inn.training.stated import check_fields, check_jobs
from sbi_inn.training.workers import cores

# Seconds that a step of training takes at the least.
STEP = 3e-3
# Seconds that each row of a step adds.
ROW = 1e-5
# Seconds of training below which starting workers costs more than it saves.
WORTH_IT = 6.0


@dataclass(frozen=True)
class Ensemble:
    """A mixture of networks that differ in their initial weights and in the order of the rows.

    Parameters
    ----------
    method : Method
        Settings of each network.
    members : int
    n_jobs : int
        Processes to train on; -1 for all cores. It does not change the result: each network is
        trained with one thread. A start that learns a likelihood may use the cores of others.

    Raises
    ------
    ValueError
        If there is no member.
    """

    name: ClassVar[str] = "ensemble"

    method: Any
    members: int
    n_jobs: int = field(default=-1, compare=False)

    def __post_init__(self) -> None:
        check_fields(self, whole=("members",))
        check_jobs(self.n_jobs)

    @property
    def label(self) -> str:
        """What its members are called."""
        return self.method.label

    @property
    def uses_prior(self) -> bool:
        """Whether its members need the density of the prior."""
        return declared(self.method, "uses_prior")

    @property
    def default_members(self) -> int:
        """Its members."""
        return self.members

    @property
    def takes_summary(self) -> bool:
        """Whether its members take a summary network of the user's own."""
        return declared(self.method, "takes_summary")

    @property
    def takes_fresh(self) -> bool:
        """Whether its members can be trained on fresh simulations in every pass."""
        return declared(self.method, "takes_fresh")

    @property
    def takes_stream(self) -> bool:
        """Whether its members read the table on disk."""
        return declared(self.method, "takes_stream")

    def schedule(self, training: Training, n_train: int) -> Training:
        """Fill in what is None of how to train each member."""
        return declared(self.method, "schedule")(training, n_train)

    def member(self, place: int) -> Ensemble:
        """Give itself: its members are its own affair."""
        return self

    def prepare(self, training: Training, n_train: int) -> None:
        """Let workers start, if training will need them."""
        processes = self.processes(training, n_train)
        if processes > 1:
            warm_up(processes)

    def fit(
        self, data: TrainingData, training: Training, *, seed: int, progress: bool = True
    ) -> FittedEnsemble:
        """Train the members, and weigh them by their densities of the validation rows.

        Members whose loss turned non-finite are left out, unless all did, and those that the others
        make superfluous. Those that are late are trained after the others, and take their advice.

        Parameters
        ----------
        data : TrainingData
        training : Training
            Of each member; those that follow each other on one core share `max_seconds`, in
            which the start of workers (some seconds, where there are none) does not count.
        seed : int
            Of the members' seeds.
        progress : bool
            Show one progress bar for all members.

        Raises
        ------
        ShapeError
            If the method does not take such observations.
        """
        methods = [self.member_at(place) for place in range(self.members)]
        return self._trained(methods, data, training, seed, progress)

    def more(
        self,
        members: Sequence[Any],
        data: TrainingData,
        training: Training,
        *,
        seed: int,
        progress: bool = True,
    ) -> FittedEnsemble:
        """Train on what is trained, and weigh the members anew, as `fit`."""
        return self._trained(list(map(Further, members)), data, training, seed, progress)

    def _trained(
        self,
        methods: Sequence[Any],
        data: TrainingData,
        training: Training,
        seed: int,
        progress: bool,
    ) -> FittedEnsemble:
        start = time.perf_counter()
        processes = self.processes(training, data.rows)
        stages = _stages(methods, data)
        shared = share_of(training, sum(math.ceil(len(stage) / processes) for stage in stages))
        seeds = seeds_of(seed, len(methods))

        def trained_at(places: Sequence[int], methods: Sequence[Any]) -> list[Member]:
            jobs = [
                partial(train, methods[place], data, shared.below(f"member{place}"), seeds[place])
                for place in places
            ]
            # Two bars follow one another: each says which part of the networks it shows.
            part = f"{len(jobs)} of {len(methods)} networks"
            what = "" if len(jobs) == len(methods) else f"the other {part}" if trained else part
            return train_all(jobs, processes, progress=progress, what=what) if jobs else []

        trained: list[Member] = []
        trained += trained_at(stages[0], methods)
        if not _interrupted(trained, len(stages[0])):
            worth, loss = _worth(trained), min(one.loss for one in trained)
            trained += trained_at(stages[1], [_advised(one, worth, loss) for one in methods])
        if len(trained) == len(methods):
            places = np.argsort([*stages[0], *stages[1]])
            trained = [trained[i] for i in places]
        interrupted = _interrupted(trained, len(methods))
        members, weights, sides = parted(converged(trained), data)
        return mixture(
            replace(self, method=members[0].fitted.settings),
            tuple(one.fitted for one in members),
            weights,
            seconds=time.perf_counter() - start,
            interrupted=interrupted,
            trained=len(methods),
            sides=sides,
        )

    @classmethod
    def read(
        cls, config: Mapping[str, Any], arrays: Groups, one: Callable[[Any, Groups], Fitted]
    ) -> FittedEnsemble:
        """Read back what `FittedEnsemble.to_arrays` gave; `one` reads a member."""
        members = []
        for place, member in enumerate(config["members"]):
            prefix = f"member{place}-"
            groups = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            members.append(one(member, groups))
        weights = arrays["mixture"]["weights"]
        if not members or weights.shape != (len(members),):
            raise ValueError(f"{len(members)} members, and weights of shape {weights.shape}")
        if not (weights > 0).all() or not math.isclose(weights.sum(), 1.0, abs_tol=1e-6):
            raise ValueError(f"expected positive weights of the members, of sum 1; got {weights}")
        return mixture(
            cls(members[0].settings, config["asked"]),
            tuple(members),
            weights,
            seconds=config["seconds"],
            interrupted=config["interrupted"],
            trained=int(config.get("trained", len(members))),  # files of before do not say it
            sides=Sides.from_arrays(arrays["mixture"], len(members)),
        )

    def member_at(self, place: int) -> Any:
        """Give the settings of one network: the method's own, unless it varies them."""
        varied = declared(self.method, "member")
        return self.method if varied is None else varied(place)

    def processes(self, training: Training, n_train: int) -> int:
        """Count the processes to train on; a short training stays in this one.

        One on a device too: its members follow each other there.
        """
        if placed(training.device).type != "cpu":
            return 1
        filled = self.schedule(training, n_train).resolve(n_train)
        assert filled.epochs is not None
        assert filled.batch_size is not None
        steps = filled.epochs * max(1, n_train // filled.batch_size)
        seconds = self.members * steps * (STEP + ROW * filled.batch_size)
        seconds = min(seconds, filled.max_seconds or math.inf)
        return 1 if seconds < WORTH_IT else min(cores(self.n_jobs), self.members)


def _interrupted(trained: list[Member], asked: int) -> bool:
    """Whether not all networks were trained to their end."""
    return len(trained) < asked or any(one.interrupted for one in trained)


def _stages(methods: Sequence[Any], data: TrainingData) -> tuple[list[int], list[int]]:
    """Give the places of those that are trained first, and of those that take their advice.

    A single network says nothing of what is worth more than another: then none waits. What takes
    longest begins first.
    """
    places = sorted(range(len(methods)), key=lambda place: not declared(methods[place], "dear"))
    late = [place for place in sorted(places) if declared(methods[place], "late")(data)]
    early = [place for place in places if place not in late]
    return (early, late) if len(early) > 1 else (places, [])


def _worth(trained: list[Member]) -> bool:
    """Whether a network that tries something is worth its place."""
    members, _ = weighed(finite(trained))
    return any(declared(one.fitted.settings, "tries") for one in members)


def _advised(method: Any, worth: bool, loss: float) -> Any:
    """Give the settings of a late network, where it is known what the others have learned."""
    advised = declared(method, "advised")
    return method if advised is None else advised(worth, loss)


def seeds_of(seed: int, members: int) -> list[int]:
    """Give each member its seed, which is the same in a larger ensemble."""
    children = [sequence(seed, Stream.ENSEMBLE_MEMBERS, i) for i in range(members)]
    return [int(child.generate_state(1)[0]) for child in children]


def share_of(training: Training, turns: int) -> Training:
    """Share a budget of time among members that follow each other on one core."""
    if training.max_seconds is None:
        return training
    return replace(training, max_seconds=training.max_seconds / turns)
