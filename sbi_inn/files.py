"""JSON and arrays in one zip: how anything of ours is kept on disk.

A file holds `config.json`, one `<group>.safetensors` a group of arrays, and `SHA256SUMS`, by which
`sha256sum -c` knows the others again. All are plain data: reading a file runs no code from it, and
nothing is pickled. What the numbers mean is for the caller to know.

`config.json` is strict JSON, which has no nan and no infinity; such a number is written as
``{"$float": "nan"}`` (or ``"inf"``, ``"-inf"``) and read back as the float it was.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from sbi_inn.errors import LoadError

FORMAT = 3
"""The format that `write` writes, and the newest that `read` reads."""

OLDEST = 2
"""The oldest that `read` reads.

Since 2, splines order the numbers of their networks otherwise: those of 1 would be read wrongly.
"""

SUMMED = 3
"""The oldest format that holds checksums of its members."""

MEMBERS = 20_000
"""Members at most: an ensemble of a thousand networks has five thousand."""

INFLATION = 20
"""How many times the file's own size its members may be; ours are stored as they are."""

DEPTH = 64
"""Levels of lists and objects in `config.json` at most; ours have a dozen."""

Arrays = Mapping[str, Mapping[str, np.ndarray]]

_CONFIG = "config.json"
_SUMS = "SHA256SUMS"
_FLOAT = "$float"
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def write(path: str | os.PathLike[str], config: Mapping[str, Any], arrays: Arrays) -> None:
    """Write settings and groups of arrays to one file, all or nothing.

    The file is written beside `path` and renamed into place, so that a crash leaves the old file,
    if there was one, as it was. The same content gives the same bytes.

    Parameters
    ----------
    path : path
        Where to write. An existing file is replaced, and its permissions are kept; where `path` is
        a symbolic link, so is the file that it leads to, and the link stays.
    config : mapping
        What JSON can say: None, bool, int, float, str, and lists and mappings of them. Numpy
        scalars are stored as Python numbers and tuples come back as lists. The keys "format",
        "library" and "members" belong to the file: they are added, or replaced.
    arrays : mapping of mappings of array
        Group name to array name to array of bool, integer or float, of any shape.

    Raises
    ------
    TypeError
        An array of strings or objects, or a setting that JSON cannot say; the message says where.
    ValueError
        A group or an array whose name cannot be stored: groups are named by letters, digits, _
        and -, arrays by any text but "__metadata__".
    OSError
        It cannot be written, or at `path` there is something that is no regular file.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "small.sbi"
    >>> write(path, {"seed": 1, "best_loss": math.inf}, {"weights": {"bias": np.zeros(3)}})
    >>> config, arrays = read(path)
    >>> config["best_loss"], arrays["weights"]["bias"]
    (inf, array([0., 0., 0.]))
    """
    members = {_check_group(group, named): list(named) for group, named in arrays.items()}
    ours = {"format": FORMAT, "library": version("sbi-inn"), "members": members}
    text = json.dumps(_encode({**config, **ours}, "config"), indent=1, allow_nan=False)
    contents = {_CONFIG: text.encode()}
    for group, named in arrays.items():
        contents[_member(group)] = save_arrays(
            {name: _storable(array, f"{group}[{name!r}]") for name, array in named.items()}
        )
    contents[_SUMS] = _sums(contents)
    with _replacing(Path(path)) as file, zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            # A ZipInfo made from a name alone carries no time of day.
            archive.writestr(zipfile.ZipInfo(name), content)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """Read back what `write` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    config : dict
        The settings, with "format" (int), "library" (the version that wrote the file) and
        "members" (group name to array names).
    arrays : dict of dict of array
        Group name to array name to array, in the order they were written.

    Raises
    ------
    LoadError
        There is no such file; it is truncated or damaged, was changed since it was written, is not
        ours, or of a format that this version does not read.
    OSError
        It may not be read.
    """
    path = Path(path)
    if not path.is_file():
        raise LoadError(f"{path}: there is no such file")
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # whatever a damaged directory of members makes zipfile raise
            raise LoadError(f"{path}: not a file of sbi_inn, or truncated ({error})") from error
        with archive:
            _check_sizes(archive, path)
            config = _read_config(archive, path)
            _check_sums(archive, path, config["format"])
            groups = config["members"].items()
            arrays = {group: _read_group(archive, path, group, names) for group, names in groups}
    return config, arrays


def _check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise LoadError where members are too many, too large or named twice; none is read yet."""
    members, size = archive.infolist(), path.stat().st_size
    inside = sum(member.file_size for member in members)
    if len(members) > MEMBERS or inside > INFLATION * size:
        raise LoadError(
            f"{path}: not a file of sbi_inn: {len(members):,} members of {inside:,} bytes in a "
            f"file of {size:,}; expected at most {MEMBERS:,}, and {INFLATION} times its size"
        )
    name, times = Counter(archive.namelist()).most_common(1)[0] if members else ("", 1)
    if times > 1:
        raise LoadError(f"{path}: not a file of sbi_inn: it holds {name} {times} times")


def _read_config(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    """Return the settings of an open file, of a format that this version reads."""
    if _CONFIG not in archive.namelist():
        raise LoadError(f"{path}: a zip, but not a file of sbi_inn: it holds no {_CONFIG}")
    content = _read_member(archive, path, _CONFIG)
    if (depth := _depth(content)) > DEPTH:
        raise LoadError(f"{path}: {_CONFIG} is nested {depth:,} deep; expected at most {DEPTH}")
    try:
        config = json.loads(content, object_hook=_decode)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise LoadError(f"{path}: {_CONFIG} is damaged ({error})") from error
    _check_format(config, path)
    members = config.get("members")
    if not isinstance(members, dict) or not all(map(_names, members.values())):
        raise LoadError(f"{path}: {_CONFIG} should list the file's arrays under 'members'")
    return config


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _depth(content: bytes) -> int:
    """Count how deep JSON is nested, without reading it.

    >>> _depth(b'{"a[[": [1, {"b": []}]}')
    4
    """
    text = np.frombuffer(re.sub(rb'"(?:[^"\\]|\\.)*+"', b"", content, flags=re.DOTALL), np.uint8)
    step = np.zeros(256, np.int8)
    step[list(b"[{")], step[list(b"]}")] = 1, -1
    return int(np.cumsum(step[text], dtype=np.int32).max(initial=0))


def _sums(contents: Mapping[str, bytes]) -> bytes:
    """List the checksum of each member, as `sha256sum` does."""
    lines = (f"{sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
    return "".join(lines).encode()


def _check_sums(archive: zipfile.ZipFile, path: Path, number: int) -> None:
    """Raise LoadError unless the members are those that were written; format 2 has no list."""
    names = archive.namelist()
    if _SUMS not in names:
        if number < SUMMED:
            return
        raise LoadError(f"{path}: incomplete: {_SUMS} is missing")
    found = _sums({name: _read_member(archive, path, name) for name in names if name != _SUMS})
    expected = _read_member(archive, path, _SUMS)
    differ = {*found.splitlines()} ^ {*expected.splitlines()}
    if differ:
        which = sorted({line[66:].decode(errors="replace") for line in differ})
        raise LoadError(
            f"{path}: changed since it was written, incomplete or damaged: {', '.join(which)[:200]}"
            f" should be as {_SUMS} says"
        )


def _check_format(config: object, path: Path) -> None:
    """Raise LoadError unless the settings are of a format that this version reads."""
    number = config.get("format") if isinstance(config, dict) else None
    if not isinstance(config, dict) or type(number) is not int or number < 1:
        raise LoadError(
            f"{path}: not a file of sbi_inn: {_CONFIG} should be an object with a whole number, "
            f"1 or more, under 'format'; got {number!r}"
        )
    if number > FORMAT:
        raise LoadError(
            f"{path}: written by sbi_inn {config.get('library', '(unknown)')} in format {number}; "
            f"the installed sbi_inn {version('sbi-inn')} reads formats up to {FORMAT}. "
            "Upgrade sbi_inn to read it."
        )
    if number < OLDEST:
        raise LoadError(
            f"{path}: written by sbi_inn {config.get('library', '(unknown)')} in format {number}, "
            f"which the installed sbi_inn {version('sbi-inn')} no longer reads: it reads formats "
            f"{OLDEST} to {FORMAT}. Fit the posterior again"
        )


def _read_group(
    archive: zipfile.ZipFile, path: Path, group: str, names: list[str]
) -> dict[str, np.ndarray]:
    """Return one group's arrays, in the order of `names`."""
    member = _member(group)
    if member not in archive.namelist():
        raise LoadError(f"{path}: incomplete: {member} is missing")
    content = _read_member(archive, path, member)
    try:
        found = load_arrays(content)
    except Exception as error:  # of safetensors, or of numpy for a type that it does not know
        raise LoadError(f"{path}: {member} is damaged ({error})") from error
    if set(found) != set(names):
        raise LoadError(f"{path}: {member} should hold {sorted(names)}; it holds {sorted(found)}")
    return {name: np.require(found[name], requirements="W") for name in names}


def _read_member(archive: zipfile.ZipFile, path: Path, member: str) -> bytes:
    """Return the bytes of one member, whose checksum must be right."""
    try:
        return archive.read(member)
    except Exception as error:  # which one depends on which of its bytes was hit
        raise LoadError(f"{path}: {member} is damaged ({error})") from error


def _member(group: str) -> str:
    """Name the member that holds a group of arrays."""
    return f"{group}.safetensors"


def _check_group(group: str, named: Mapping[str, np.ndarray]) -> str:
    """Return a group's name if it and its arrays' names can be stored."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", group):
        raise ValueError(f"group names are of letters, digits, _ and -; got {group!r}")
    if "__metadata__" in named:
        raise ValueError(f"{group}: safetensors keeps the name '__metadata__' to itself")
    return group


def _storable(array: np.ndarray, where: str) -> np.ndarray:
    """Return the array in C order and native bytes; raise TypeError where it is not of numbers."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{where}: expected a numpy array, got {type(array).__name__}")
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(
            f"{where}: expected an array of bool, integers or floats of at most 64 bits, "
            f"got dtype {array.dtype}"
        )
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _encode(value: object, where: str) -> object:
    """Return `value` as strict JSON can say it; `where` names it in errors."""
    if isinstance(value, np.bool_ | np.integer | np.floating):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: str(float(value))}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_encode(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {
            _encode_key(key, where): _encode(item, f"{where}[{key!r}]")
            for key, item in value.items()
        }
    raise TypeError(f"{where}: JSON cannot hold a {type(value).__name__}: {value!r}")


def _encode_key(key: object, where: str) -> str:
    """Return a key that JSON can say and that does not stand for a non-finite number."""
    if not isinstance(key, str) or key == _FLOAT:
        raise TypeError(f"{where}: keys are strings other than {_FLOAT!r}; got {key!r}")
    return key


def _decode(found: dict[str, Any]) -> Any:
    """Return what a JSON object stands for: a non-finite number, or itself."""
    return _NON_FINITE[found[_FLOAT]] if _FLOAT in found else found


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` that takes its place once it is wholly written."""
    path = Path(os.path.realpath(path))
    mode = _mode(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        # Not tempfile: its files can be read by their owner only, and would stay so.
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            beside.chmod(mode)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _mode(path: Path) -> int | None:
    """Look up the permissions of a file that is to be replaced; None where there is none."""
    try:
        found = path.stat().st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found):
        kind = "a folder" if stat.S_ISDIR(found) else "no regular file"
        raise OSError(f"{path}: expected a new name or a file to replace; it is {kind}")
    return stat.S_IMODE(found)
