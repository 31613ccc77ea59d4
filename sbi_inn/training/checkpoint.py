"""All that is needed to continue a training, in one file that is written as a whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from sbi_inn import files
from sbi_inn.errors import LoadError
from sbi_inn.training.course import Course
from sbi_inn.training.device import to_numpy
from sbi_inn.training.history import History
from sbi_inn.training.optimiser import AdamW
from sbi_inn.training.settings import Training
from sbi_inn.training.weights import Weights
from sbi_inn.typing import AnyArray

# Seconds between two checkpoints at least.
EVERY = 10.0
# Share of the time of a training that writing them may take.
SHARE = 0.02
# Relative difference of the first losses at which it is the same training.
SAME = 1e-4

State = tuple[dict[str, Any], dict[str, AnyArray]]


@runtime_checkable
class Stateful(Protocol):
    """What changes training batches, and remembers something from one to the next."""

    def state(self) -> State:
        """Give what JSON can hold, and arrays."""
        ...

    def restore(self, config: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> None:
        """Take over what `state` gave."""
        ...


class Run(Protocol):
    """A training run, as the loop has it: all that changes in it."""

    module: nn.Module
    device: torch.device
    settings: Training
    seed: int
    course: Course
    weights: Weights
    optimizer: AdamW
    average: list[Tensor]
    best: list[Tensor]
    losses: list[float]
    generator: torch.Generator
    rng: np.random.Generator
    began: tuple[Tensor, dict[str, Any]]
    place: int
    augment: Any

    def first_losses(self) -> list[float]:
        """Give losses of a few rows, before training."""
        ...


class Checkpoint:
    """The file of one training run.

    Parameters
    ----------
    run : Run
        As it begins.
    folder : Path
    stage : str
        Which of the trainings of a network it is, and the name of the file.
    """

    def __init__(self, run: Run, folder: Path, stage: str) -> None:
        self.run = run
        self.path = folder / f"{stage}.ckpt"
        self.about = _about(run)
        self._written, self._took = time.perf_counter(), 0.0

    def resume(self) -> History | None:
        """Take over what was reached before, if anything was; give the history if that was all.

        Raises
        ------
        LoadError
            If the file is damaged, or of another training.
        """
        if not self.path.exists():
            return None
        config, arrays = files.read(self.path)
        if config.get("kind") != "checkpoint":
            raise LoadError(f"{self.path}: expected a checkpoint; got {config.get('kind')!r:.80}")
        _check_same(config["about"], self.about, self.path)
        _restore_module(self.run, arrays)
        if config["history"] is not None:
            return History.from_config(config["history"])
        _restore(self.run, config, arrays)
        return None

    def tick(self, *, now: bool = False) -> None:
        """Write the state if it is time to, or `now`."""
        spent = time.perf_counter() - self._written
        if now or spent >= max(EVERY, self._took / SHARE):
            self._write(*_state(self.run), None)

    def finish(self, history: History) -> None:
        """Write the result."""
        self._write({}, {}, history)

    def _write(
        self,
        config: dict[str, Any],
        arrays: dict[str, dict[str, AnyArray]],
        history: History | None,
    ) -> None:
        started = time.perf_counter()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        said = None if history is None else history.to_config()
        config = {**config, "kind": "checkpoint", "about": self.about, "history": said}
        files.write(self.path, config, {**arrays, **_module(self.run)})
        self._written = time.perf_counter()
        self._took = self._written - started


def _about(run: Run) -> dict[str, Any]:
    """Say which training it is: budget of time and device may be others when it goes on."""
    settings = asdict(run.settings)
    del settings["checkpoint"], settings["max_seconds"], settings["device"]
    sizes = [vector.numel() for vector in run.weights.vectors]
    return {"seed": run.seed, **settings, "weights": sizes, "first losses": run.first_losses()}


def _check_same(saved: Mapping[str, Any], now: Mapping[str, Any], path: Path) -> None:
    def same(name: str) -> bool:
        if name == "first losses":
            return bool(np.allclose(saved[name], now[name], rtol=SAME, equal_nan=True))
        return saved.get(name) == now[name]

    differ = [f"{n} was {saved.get(n)}, and is {now[n]}" for n in now if not same(n)]
    if differ:
        raise LoadError(
            f"{path}: the checkpoint is of another training: {'; '.join(differ)}. Train as before "
            "to continue it, or give another path"
        )


def _module(run: Run) -> dict[str, dict[str, AnyArray]]:
    """Give all that a module is made of."""
    buffers = {name: to_numpy(buffer) for name, buffer in run.module.named_buffers()}
    return {"weights": _arrays(run.weights.vectors), "buffers": buffers}


def _restore_module(run: Run, arrays: files.Arrays) -> None:
    run.weights.load(_tensors(arrays["weights"]))
    with torch.no_grad():
        for name, buffer in run.module.named_buffers():
            buffer.copy_(torch.from_numpy(arrays["buffers"][name]))


def _state(run: Run) -> tuple[dict[str, Any], dict[str, dict[str, AnyArray]]]:
    """Give all else that changes in training."""
    more = run.augment.state() if isinstance(run.augment, Stateful) else ({}, {})
    order, noise = run.began
    config = {
        "course": run.course.state(),
        "losses": run.losses,
        "place": run.place,
        "noise at the start of the pass": noise,
        "noise": run.rng.bit_generator.state,
        "augment": more[0],
    }
    optimizer = run.optimizer
    arrays = {
        "average": _arrays(run.average),
        "best": _arrays(run.best),
        "means": _arrays(optimizer.means),
        "squares": _arrays(optimizer.squares),
        "steps": _arrays(optimizer.steps),
        "generator": {"began": order.numpy(), "now": run.generator.get_state().numpy()},
        "augment": more[1],
    }
    return config, arrays


def _restore(run: Run, config: Mapping[str, Any], arrays: files.Arrays) -> None:
    run.course.restore(config["course"])
    run.losses, run.place = list(config["losses"]), config["place"]
    run.average, run.best = (
        [one.to(run.device) for one in _tensors(arrays[group])] for group in ("average", "best")
    )
    optimizer = run.optimizer
    for group in ("means", "squares", "steps"):
        for tensor, saved in zip(getattr(optimizer, group), _tensors(arrays[group]), strict=True):
            tensor.copy_(saved)
    order, now = (torch.from_numpy(arrays["generator"][name]) for name in ("began", "now"))
    run.began = order, config["noise at the start of the pass"]
    run.generator.set_state(now)
    run.rng.bit_generator.state = config["noise"]
    if isinstance(run.augment, Stateful):
        run.augment.restore(config["augment"], arrays["augment"])


def _arrays(tensors: list[Tensor]) -> dict[str, AnyArray]:
    return {str(place): to_numpy(tensor) for place, tensor in enumerate(tensors)}


def _tensors(arrays: Mapping[str, AnyArray]) -> list[Tensor]:
    return [torch.from_numpy(array).clone() for array in arrays.values()]
