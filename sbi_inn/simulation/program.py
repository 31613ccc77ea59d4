"""A simulator that is a program: each run in a folder of its own, and never through a shell."""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sbi_inn.simulation.execution import check_limits
from sbi_inn.simulation.failure import OutOfTime, SimulationError
from sbi_inn.simulation.identity import identity

PLACE = re.compile(r"\{([A-Za-z_]\w*)(?:\[(\d+)\])?(?::([^{}]*))?\}")
"""A name in a template, with the entry of a vector and a format: `{mass}`, `{x[0]:.3e}`."""

TAIL = 2_000
"""Characters of what a program wrote to its standard error, that a failure shows."""

OUT, ERR = "stdout.txt", "stderr.txt"


@dataclass(frozen=True)
class Program:
    """A command-line program as a simulator.

    Attributes
    ----------
    command : tuple of str
        The program, found, and its arguments, in which names in braces are filled in.
    files : dict of str to str
        What is written before each run, by name, filled in likewise.
    read : callable
        From the folder of a run to its observables.
    timeout : float or None
        Seconds for one run.
    retries : int
        Further tries of a run that fails.
    keep : Path or None
        Where the folders of runs that fail are moved to.
    """

    command: tuple[str, ...]
    files: Mapping[str, str]
    read: Callable[[Path], Any]
    timeout: float | None = None
    retries: int = 0
    keep: Path | None = None
    __signature__: inspect.Signature = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        texts = (*self.command, *self.files, *self.files.values())
        names = dict.fromkeys(found[1] for text in texts for found in PLACE.finditer(text))
        kind = inspect.Parameter.KEYWORD_ONLY
        signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
        object.__setattr__(self, "__signature__", signature)
        object.__setattr__(self, "__name__", Path(self.command[0]).name)
        object.__setattr__(self, "__doc__", f"Run {shlex.join(self.command)}.")

    @property
    def identity(self) -> str:
        """What it is known again by: the command, the files, and how they are read."""
        program = hashlib.sha256(Path(self.command[0]).read_bytes()).hexdigest()
        arguments = (*self.command[1:], *(f"{n}: {t}" for n, t in self.files.items()))
        read = identity(self.read)["source"]
        if read is None:
            raise TypeError("there is no source of read= to compare")
        return "\n".join((Path(self.command[0]).name, program, *arguments, read))

    def __call__(self, **values: Any) -> Any:
        """Run it once, or as often as it may be tried."""
        for left in range(self.retries, -1, -1):
            try:
                return self._try(values)
            except Exception:
                if not left:
                    raise
        raise AssertionError

    def _try(self, values: Mapping[str, Any]) -> Any:
        folder = Path(tempfile.mkdtemp(prefix="sbi_inn-"))
        try:
            for name, text in self.files.items():
                path = folder / _filled(name, values)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_filled(text, values))
            self._run([_filled(part, values) for part in self.command], folder)
            return self._read(folder)
        except Exception:
            self._keep(folder)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, command: list[str], folder: Path) -> None:
        with open(folder / OUT, "wb") as out, open(folder / ERR, "wb") as err:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
            try:
                code = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                name = Path(command[0]).name
                limit = f"{name} took longer than timeout={self.timeout:g} s"
                raise OutOfTime(limit + _tail(folder)) from None
            finally:
                _kill(process)
        if code:
            ended = f"was ended by signal {-code}" if code < 0 else f"exited with {code}"
            raise RuntimeError(f"{Path(command[0]).name} {ended}{_tail(folder)}")

    def _read(self, folder: Path) -> Any:
        try:
            return self.read(folder)
        except Exception as error:
            there = ", ".join(sorted(path.name for path in folder.iterdir() if path.stat().st_size))
            raise RuntimeError(
                f"read= raised {type(error).__name__}: {error}. The program exited with 0; files "
                f"that are not empty: {there or 'none'}{_tail(folder)}"
            ) from error

    def _keep(self, folder: Path) -> None:
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):
                shutil.copytree(folder, self.keep / folder.name.removeprefix("sbi_inn-"))


def program(
    command: str | Sequence[str],
    *,
    read: Callable[[Path], Any],
    files: Mapping[str, str | Path] | None = None,
    timeout: float | None = None,
    retries: int = 0,
    keep: str | Path | None = None,
) -> Program:
    """Make a simulator of a command-line program.

    Each run has an empty folder of its own, in which its files are written and the program is
    started; it is removed afterwards. In the command and in the files, names in braces are replaced
    by parameters, givens and `seed`: `{mass}`, `{x[0]}` for an entry of a vector, `{mass:.3e}` with
    a format. Other braces are left as they are.

    Parameters
    ----------
    command : str or sequence of str
        A string is split as a shell would do, but no shell is used. The program is looked up once,
        now.
    read : callable
        Takes the folder, a `pathlib.Path`, and returns the observables. Output of the program is in
        `stdout.txt` and `stderr.txt`.
    files : mapping of str to str or Path, optional
        Texts by file name; for a Path, the text in that file.
    timeout : float, optional
        Seconds for one run. After that, the program and what it has started are killed (status
        "timeout").
    retries : int
        How often a run that fails is tried again, with the same seed.
    keep : path, optional
        Where folders of failed runs are copied to.

    Returns
    -------
    Program
        A simulator for `simulate`, `fit_posterior` and `Problem`.

    Raises
    ------
    SimulationError
        If the program cannot be found, or a setting is invalid.

    Examples
    --------
    >>> import scipy.stats as st
    >>> import sbi_inn as si
    >>> double = si.program(
    ...     [sys.executable, "-c", "print(2 * {a})"],
    ...     read=lambda folder: float((folder / "stdout.txt").read_text()),
    ...     timeout=60,
    ... )
    >>> table = si.simulate(double, si.Prior(a=st.norm()), n=3, seed=1, progress=False)
    >>> bool((table.dataset["y"] == 2 * table.dataset["a"]).all())
    True
    """
    parts = shlex.split(command) if isinstance(command, str) else [str(part) for part in command]
    if not parts:
        raise SimulationError("expected a command, such as './blade in.yaml'; got none")
    check_limits(timeout, retries)
    if not callable(read):
        raise SimulationError(f"read= takes a folder and returns observables; got {read!r:.80}")
    found = shutil.which(parts[0])
    if found is None:
        raise SimulationError(
            f"{parts[0]}: there is no such program, or it may not be run (looked in "
            f"{os.getcwd() if os.sep in parts[0] else 'PATH'})"
        )
    texts = {n: t.read_text() if isinstance(t, Path) else t for n, t in (files or {}).items()}
    outside = [name for name in texts if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise SimulationError(f"files= are written in the folder of a run; got {outside[0]!r}")
    kept = None if keep is None else Path(keep).absolute()
    return Program((os.path.abspath(found), *parts[1:]), texts, read, timeout, retries, kept)


def _filled(text: str, values: Mapping[str, Any]) -> str:
    """Fill names in braces in; numbers so that they are read back as they are."""

    def value(found: re.Match[str]) -> str:
        name, entry, form = found.groups()
        array = np.asarray(values[name])
        if entry is not None:
            array = array[int(entry)]
        numbers = array.reshape(-1).tolist()
        return " ".join(format(number, form) if form else repr(number) for number in numbers)

    return PLACE.sub(value, text)


def _tail(folder: Path) -> str:
    text = (folder / ERR).read_bytes()[-4 * TAIL :].decode(errors="replace")[-TAIL:].strip()
    return f". It said: {text}" if text else ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it has started."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Have the system kill the program when the process that started it ends; Linux only."""
    if _libc is not None:
        _libc.prctl(1, signal.SIGKILL)
