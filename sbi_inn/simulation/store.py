"""Simulations on disk, written as they are done: none is ever simulated twice.

A store is a folder with a manifest and pieces, each a Zarr group that one run writes. Rows are
keyed by the seed and their number, so that it does not matter who simulates them, when, or in which
order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sbi_inn.prior import Prior
from sbi_inn.prior.fingerprint import check_fingerprint
from sbi_inn.simulation import manifest as manifests
from sbi_inn.simulation.failure import SimulationError
from sbi_inn.simulation.piece import Piece
from sbi_inn.simulation.problem import Problem
from sbi_inn.simulation.seeds import Seeds, fresh_seed
from sbi_inn.simulation.simulations import Simulations
from sbi_inn.simulation.stored import read_parts

LOCK = ".lock"


def is_store(path: object) -> bool:
    """Whether a path is that of a store of ours."""
    return isinstance(path, str | Path) and (Path(path) / manifests.NAME).is_file()


@dataclass(frozen=True)
class Store:
    """A store of one problem.

    Attributes
    ----------
    path : Path
    manifest : mapping
        As it was when it was opened.
    """

    path: Path
    manifest: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> Store:
        """Open a store.

        Raises
        ------
        LoadError
            If there is none, or its manifest cannot be read.
        """
        return cls(Path(path), manifests.read(Path(path)))

    @classmethod
    def of(cls, path: str | Path, problem: Problem, seed: int | None) -> Store:
        """Open the store of a problem, or make one; without a seed, with that of the store.

        Raises
        ------
        SimulationError
            If it is of another problem or seed: the message says in what they differ.
        """
        need_zarr()
        path = Path(path)
        if path.exists() and not is_store(path) and (not path.is_dir() or any(path.iterdir())):
            if not (path / LOCK).exists():
                raise SimulationError(f"{path} exists already, and is not a store of simulations")
        path.mkdir(parents=True, exist_ok=True)
        with manifests.locked(path / LOCK):
            if not is_store(path):
                manifests.write(path, manifests.manifest_of(problem, fresh_seed(seed)))
            there = manifests.read(path)
        mine = manifests.manifest_of(problem, there["seed"] if seed is None else fresh_seed(seed))
        found = manifests.differences(mine, there)
        if found:
            lines = "".join(f"\n  {line}" for line in found)
            raise SimulationError(
                f"{path} holds simulations of another problem:{lines}\nTake another folder, or "
                "state the problem as it was"
            )
        return cls(path, there)

    def changed(self, **values: Any) -> Store:
        """Change what the manifest says, unless another run has done so meanwhile."""
        with manifests.locked(self.path / LOCK):
            there = manifests.read(self.path)
            new = {k: v for k, v in values.items() if k == "counts" or not there[k]}
            manifests.write(self.path, there | new)
        return Store.read(self.path)

    def reaching(self, n: int, parts: int) -> Store:
        """Make room for `n` rows: those that are new are divided in so many parts."""
        with manifests.locked(self.path / LOCK):
            there = manifests.read(self.path)
            end = there["runs"][-1]["stop"] if there["runs"] else 0
            if n > end:
                there["runs"].append({"start": end, "stop": n, "parts": parts})
                manifests.write(self.path, there)
        return Store.read(self.path)

    def pieces(self, part: tuple[int, int] | None = None, stop: float = math.inf) -> list[Piece]:
        """List all pieces that begin before row `stop`, or those of one part."""
        block = Seeds(0).block if self.manifest["declared"]["batched"] else 1
        found = []
        for run in self.manifest["runs"]:
            if part is not None and run["parts"] != part[1]:
                continue
            for index in range(run["parts"]) if part is None else (part[0] - 1,):
                start, stop_ = _bounds(run, index, block)
                if start < min(stop_, stop):
                    found.append(Piece.of(self.path, start, stop_))
        return found

    def table(
        self, prior: Prior, n: float = math.inf, pieces: Sequence[Piece] | None = None
    ) -> Simulations:
        """Read what is there of the first `n` rows."""
        pieces = self.pieces(stop=n) if pieces is None else pieces
        last = max((piece.stop for piece in pieces), default=0)
        return read_parts(self.manifest, pieces, prior, int(min(n, last)))

    def missing(self) -> str:
        """Say what is missing; empty if nothing is."""
        lacking = []
        for run in self.manifest["runs"]:
            only = replace(self, manifest={**self.manifest, "runs": [run]})
            for index in range(1, run["parts"] + 1):
                rows = sum(
                    b - a for p in only.pieces((index, run["parts"])) for a, b in p.missing()
                )
                if rows:
                    part = f" of part {index}/{run['parts']}" if run["parts"] > 1 else ""
                    lacking.append(f"{rows:,} rows{part}")
        some = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
        return f"missing: {some}" if lacking else ""


def _bounds(run: Mapping[str, int], index: int, block: int) -> tuple[int, int]:
    """Give the rows of a part of a run: whole blocks, but for its ends."""
    first, last = run["start"] // block, -(-run["stop"] // block)
    start, stop = (first + (last - first) * i // run["parts"] for i in (index, index + 1))
    return max(start * block, run["start"]), min(stop * block, run["stop"])


def read_store(
    path: str | Path, prior: Prior | None = None, *, progress: bool = True
) -> Simulations:
    """Read a store as a table; nothing of it is in memory but what is asked for.

    Raises
    ------
    LoadError
        If it cannot be read, its prior is code and is not given again, or is another one.
    """
    need_zarr()
    store = Store.read(path)
    if prior is None:
        prior = Prior.from_config(store.manifest["prior"])
    check_fingerprint(prior, store.manifest["probes"])
    table = store.table(prior)
    if progress:
        counts = np.unique(table.dataset["status"].values, return_counts=True)
        states = ", ".join(f"{count:,} {status}" for status, count in zip(*counts, strict=True))
        print(f"{path}: {len(table):,} simulations ({states})")
        if store.manifest["noise"] is not None:
            print("noise is code, and is not in the store: pass it again, noise=")
        if missing := store.missing():
            print(missing)
    return table


def need_zarr() -> None:
    """Raise ImportError, with what to install, if stores cannot be read."""
    try:
        import zarr  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'a store of simulations needs zarr, which is missing: pip install "zarr>=3.1", or, in '
            f'a copy of the repository, pip install ".[scale]" ({error})'
        ) from error
