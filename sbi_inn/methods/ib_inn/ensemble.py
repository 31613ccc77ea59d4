"""Several trained IB-INNs: calibrated evidences of the classes, and their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sbi_inn.methods.ib_inn.calibration import LogitCalibration
from sbi_inn.methods.ib_inn.fitted import FittedIBINN, Likelihood
from sbi_inn.methods.protocols import Groups
from sbi_inn.observation.batch import Observations
from sbi_inn.training.device import to_numpy
from sbi_inn.training.history import History
from sbi_inn.typing import FloatArray


@dataclass(frozen=True)
class Evidence:
    """Log evidences of classes, up to a constant of each row.

    Attributes
    ----------
    log : array, shape (rows, classes)
    others : array, shape (others, rows, classes)
        Deviations of what other networks, weights or calibrations would have said, such that the
        sum of their squares is the variance of what is said.
    """

    log: FloatArray
    others: FloatArray

    def error(self, first: Any, second: Any) -> FloatArray:
        """Give the standard error of the difference between two classes, shape (rows,)."""
        gap = self.others[:, :, first] - self.others[:, :, second]
        return np.sqrt((gap**2).sum(axis=0))


@dataclass(frozen=True)
class FittedClassifiers:
    """Trained networks, whose logits and densities are averaged.

    Attributes
    ----------
    members : tuple of FittedIBINN
    calibration : LogitCalibration
        Of their mean logits.
    log_weights : array, shape (classes,)
        Of the classes in training, which the evidences do not know of.
    seconds : float
        That training took.
    """

    members: tuple[FittedIBINN, ...]
    calibration: LogitCalibration
    log_weights: FloatArray
    seconds: float

    @property
    def settings(self) -> Any:
        """Settings of the members, nothing left open."""
        return self.members[0].settings

    @property
    def histories(self) -> tuple[History, ...]:
        """Of the classifier and of the flow of every member."""
        return tuple(history for member in self.members for history in member.histories)

    def evidence(self, observations: Observations) -> Evidence:
        """Give the log evidences, and how well they are known."""
        each = np.stack([logits_of(member, observations) for member in self.members])
        mean = each.mean(axis=0)
        log = self.calibration(mean)
        again = self.calibration.each(mean) - log
        parts = [again / np.sqrt(len(again))]
        if len(self.members) > 1:
            spread = self.calibration(each) - log
            parts.append(spread / np.sqrt(len(spread) - 1))
        begun = [member for member in self.members if member.start is not None]
        if begun and self.settings.probabilities == "classifier":
            share = len(begun) / len(self.members)
            drawn = begun[0].drawn(observations)
            start = self.calibration.powers[0] * (share * drawn - mean[None, :, 0])
            parts.append(start / np.sqrt(len(start)))
        return Evidence(log - self.log_weights, np.concatenate(parts))

    def likelihoods(self, observations: Observations) -> list[Likelihood]:
        """Give the likelihoods by each member; none where nothing can be read."""
        return [m.likelihood(observations) for m in self.members if m.flow is not None]

    def features(self, observations: Observations) -> FloatArray:
        """Give what the flows read of observations, side by side, shape (rows, k)."""
        found = [m.numbers(observations).x.numpy() for m in self.members if m.flow is not None]
        return np.hstack(found).astype(float) if found else np.empty((len(observations), 0))

    def to(self, device: torch.device) -> FittedClassifiers:
        """Give the same on a device."""
        return replace(self, members=tuple(member.to(device) for member in self.members))

    @property
    def learned(self) -> bool:
        """Whether likelihoods are those of learned features."""
        reading = self.members[0].reading
        return reading is not None and reading.learned

    def describe(self) -> str:
        """Say what it is in half a line."""
        return f"ensemble of {len(self.members)}: {self.members[0].describe()}"

    def to_arrays(self) -> tuple[dict[str, Any], Groups]:
        """Give settings as JSON would hold them, and arrays in named groups."""
        written = [member.to_arrays() for member in self.members]
        config = {"seconds": self.seconds, "members": [one for one, _ in written]}
        groups = {
            f"member{place}-{group}": dict(named)
            for place, (_, arrays) in enumerate(written)
            for group, named in arrays.items()
        }
        groups["calibration"] = self.calibration.to_arrays()
        groups["classes"] = {"log_weights": self.log_weights}
        return config, groups

    @classmethod
    def read(cls, settings: Any, config: Mapping[str, Any], arrays: Groups) -> FittedClassifiers:
        """Read back what `to_arrays` gave; `settings` makes settings of what JSON holds."""
        members = []
        for place, one in enumerate(config["members"]):
            prefix = f"member{place}-"
            own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            members.append(FittedIBINN.read(settings(one["settings"]), one, own))
        calibration = LogitCalibration.from_arrays(arrays["calibration"])
        log_weights = arrays["classes"]["log_weights"]
        return cls(tuple(members), calibration, log_weights, config["seconds"])


def logits_of(member: FittedIBINN, observations: Observations) -> FloatArray:
    """Give the logits that probabilities come from, shape (rows, parts, classes)."""
    if member.settings.probabilities == "classifier":
        return member.logits(observations)
    likelihood = member.likelihood(observations)
    weights = to_numpy(member.flow.log_weights.double()) if member.flow is not None else 0.0
    return (likelihood.each - likelihood.total[:, None] + weights)[:, None]
