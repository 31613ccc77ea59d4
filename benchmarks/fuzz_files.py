"""Files of posteriors, damaged or edited in ten thousand ways: each is refused or changes nothing.

    python benchmarks/fuzz_files.py [--mutants 10000] [--seed 1] [--json OUT.json]
    python benchmarks/fuzz_files.py --table              the table of the results page

Half of the edited files get new checksums, as of somebody who wants them to be read. Such a file is
another one, and may say another thing; it still has to be refused, or else to draw, to give
densities and to say what it is. All others are refused, or give the same draws and densities.

Of each mutant the time of the processor is taken, and the peak memory of the process beyond what it
had before.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import resource
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from records import SOURCE, Records, add_options, headed
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

import sbi_inn as si

RECORDS = Records("fuzzed-files", ("kind",))
DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
CONFIG, SUMS = "config.json", "SHA256SUMS"
SECONDS, GIGABYTES = 5.0, 1.0  # at most, for one file
BOMB = 10 * 2**30  # bytes
DEPTH = 100_000

Members = dict[str, bytes]


@dataclass(frozen=True)
class Mutant:
    """A file that something was done to.

    Attributes
    ----------
    kind : str
    content : bytes
    sealed : bool
        Whether its checksums are right, or none are needed.
    what : str
        What was done, in a line.
    """

    kind: str
    content: bytes
    sealed: bool
    what: str


def unpack(content):
    """Take the members out of a file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(members, *, sealed):
    """Put members into a file, with new checksums where it is to be `sealed`."""
    if sealed and SUMS in members:
        lines = (f"{sha256(m).hexdigest()}  {n}\n" for n, m in members.items() if n != SUMS)
        members = {**members, SUMS: "".join(lines).encode()}
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        for name, member in members.items():
            archive.writestr(zipfile.ZipInfo(name), member)
    return found.getvalue()


# -- what is done to the bytes, and to the members -------------------------------------------------


def truncated(content, rng):
    """Cut off the end."""
    kept = int(rng.integers(len(content)))
    return content[:kept], f"{kept} of {len(content)} bytes"


def flipped(content, rng):
    """Change some bytes anywhere."""
    found, places = bytearray(content), rng.integers(len(content), size=rng.integers(1, 9))
    for place in places:
        found[place] ^= int(rng.integers(1, 256))
    return bytes(found), f"bytes {places.tolist()}"


def cut_out(content, rng):
    """Leave out a piece, or write it twice."""
    start, stop = np.sort(rng.integers(len(content), size=2))
    if rng.random() < 0.5:
        return content[:start] + content[stop:], f"without bytes {start} to {stop}"
    return content[:stop] + content[start:], f"bytes {start} to {stop} twice"


def swapped(members, rng):
    """Give two members each other's content."""
    a, b = rng.choice(sorted(members.keys() - {SUMS}), 2, replace=False)
    return {**members, a: members[b], b: members[a]}, f"{a} and {b} swapped"


def left_out(members, rng):
    """Leave out, empty or rename a member."""
    name, how = rng.choice(sorted(members)), rng.integers(3)
    others = {n: m for n, m in members.items() if n != name}
    if how == 0:
        return others, f"without {name}"
    return ({**others, name: b""} if how == 1 else {**others, "other": members[name]}), f"no {name}"


def arrays(members, rng):
    """Change an array: its numbers, its shape or its type."""
    member = rng.choice([n for n in sorted(members) if n.endswith(".safetensors")])
    found = dict(load_arrays(members[member]))
    if not found:
        return members, f"{member} is empty"
    name = rng.choice(sorted(found))
    change = CHANGES[int(rng.integers(len(CHANGES)))]
    found[name] = np.ascontiguousarray(change(found[name]))
    return {**members, member: save_arrays(found)}, f"{member}, {name}: {change.__name__}"


def nan(array):
    return np.full_like(array, np.nan if array.dtype.kind == "f" else 0)


def infinite(array):
    return np.full_like(array, np.inf if array.dtype.kind == "f" else -1)


def zero(array):
    return np.zeros_like(array)


def huge(array):
    return np.full_like(array, 1e30 if array.dtype.kind == "f" else 2**7 - 1)


def longer(array):
    return np.concatenate([np.atleast_1d(array)] * 2)


def empty(array):
    return np.atleast_1d(array)[:0]


def flat(array):
    return array.ravel()


def deeper(array):
    return array[None]


def whole(array):
    return np.nan_to_num(array).astype(np.int16)


CHANGES = (nan, infinite, zero, huge, longer, empty, flat, deeper, whole)


# -- what is done to the settings ------------------------------------------------------------------


def place(value, rng):
    """Walk down a JSON value by chance; give the path of what is to be changed.

    Step by step, not evenly over all values: most of these are the losses of long histories.
    """
    path = ()
    while isinstance(value, dict | list) and value and (not path or rng.random() < 0.7):
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        path += (keys[int(rng.integers(len(keys)))],)
        value = value[path[-1]]
    return path


ODD = (
    None, True, False, 0, 1, -1, 2, 3, 7, 0.5, -2.5, 10**9, 2**31, 2**63, -(2**63), 10**30, 1e308,
    1e-308, "", "x", "nan", "cinn", "norm", "simulation", [], {}, [0], [[1]], [None], [1, 2, 3],
    {"a": 1}, {"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}, {"$float": []}, [10**9] * 3,
)  # fmt: skip


def edited(members, rng):
    """Change one value of the settings, leave one out, or add one."""
    config = json.loads(members[CONFIG])
    path, inner = place(config, rng), config
    for key in path[:-1]:
        inner = inner[key]
    how, before = rng.random(), inner[path[-1]]
    if how < 0.15:
        inner.pop(path[-1])
    elif how < 0.25 and isinstance(before, dict | list):
        grown(before, rng)
    elif how < 0.4 and type(before) in (int, float):
        inner[path[-1]] = before * [2, 10, 10**6, -1][int(rng.integers(4))] + int(rng.integers(2))
    elif how < 0.55:
        inner[path[-1]] = copy.deepcopy(looked_up(config, place(config, rng), before))
    else:
        inner[path[-1]] = ODD[int(rng.integers(len(ODD)))]
    after = dict(enumerate(inner) if isinstance(inner, list) else inner).get(path[-1], "nothing")
    text = json.dumps(config, indent=1).encode()
    return {**members, CONFIG: text}, f"{path}: {before!r:.60} becomes {after!r:.60}"


def grown(value, rng):
    """Give a list more or fewer entries, or an object a key that it does not know."""
    if isinstance(value, dict):
        value["more"] = 1
    elif value and rng.random() < 0.5:
        value.append(value[0])
    elif value:
        del value[-1]
    else:
        value.append(1)


def looked_up(config, path, instead):
    """Look up a value elsewhere in the settings, if it is still there."""
    for key in path:
        try:
            config = config[key]
        except (KeyError, IndexError, TypeError):
            return instead
    return config


# -- single ones -----------------------------------------------------------------------------------


def bombs(members, size=BOMB, depth=DEPTH):
    """Make files that hold far more than they are large."""
    deep = {**members, CONFIG: b'{"format": 3, "a": ' + b"[" * depth + b"]" * depth + b"}"}
    yield Mutant("bomb", pack(deep, sealed=True), True, f"JSON of depth {depth:,}")
    yield Mutant("bomb", pack({**deep, CONFIG: b"[" * depth}, sealed=True), True, "never closed")
    for name in (CONFIG, "weights.safetensors"):
        found = io.BytesIO()
        with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for other in members.keys() - {name}:
                archive.writestr(other, members[other])
            with archive.open(name, "w", force_zip64=True) as file:
                block = bytes(2**24)
                for _ in range(max(1, size // len(block))):
                    file.write(block)
        yield Mutant("bomb", found.getvalue(), True, f"{name} of {size:,} bytes")


BYTES = {"truncated": truncated, "flipped": flipped, "cut": cut_out}
PARTS = {"members": swapped, "left out": left_out, "arrays": arrays, "settings": edited}
SHARES = (0.1, 0.15, 0.05, 0.03, 0.05, 0.17, 0.45)


def mutants(originals, n, seed):
    """Make mutants of files in turn, always the same.

    Parameters
    ----------
    originals : list of bytes
    n, seed : int
    """
    rng = np.random.default_rng(seed)
    inside = [unpack(content) for content in originals]
    for number in range(n):
        which = number % len(originals)
        kind = str(rng.choice([*BYTES, *PARTS], p=SHARES))
        if kind in BYTES:
            content, what = BYTES[kind](originals[which], rng)
            yield which, Mutant(kind, content, False, what)
        else:
            sealed = bool(rng.random() < 0.5) or SUMS not in inside[which]
            members, what = PARTS[kind](inside[which], rng)
            kind = f"{kind}, {'with' if sealed else 'without'} new checksums"
            yield which, Mutant(kind, pack(members, sealed=sealed), sealed, what)


# -- what becomes of them --------------------------------------------------------------------------


@dataclass(frozen=True)
class Original:
    """What a file says that nothing was done to."""

    content: bytes
    y: dict
    said: tuple

    @classmethod
    def of(cls, path):
        posterior = si.load_posterior(path)
        core = posterior.core
        y = posterior.schema.unstack(core.simulations.observations(core.test_rows[:1]), 0)
        return cls(Path(path).read_bytes(), y, cls.asked(posterior, y))

    @staticmethod
    def asked(posterior, y):
        """Ask for everything that tells two posteriors apart."""
        draws = posterior.sample(y, 20)
        density = posterior.log_prob(draws, y)
        known = posterior.schema, posterior.prior, posterior.settings, posterior.seed
        return draws, density, repr(posterior), posterior.core.fitted.histories, *known


def same(one, other):
    return one[0].identical(other[0]) and one[1].equals(other[1]) and one[2:] == other[2:]


def outcome(path, mutant, original):
    """Say what became of a mutant: "refused", "the same", "another", or what went wrong."""
    path.write_bytes(mutant.content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            posterior = si.load_posterior(path)
        except si.LoadError:
            return "refused"
        except Exception as error:
            return f"WRONG: {type(error).__name__}: {error}"
        return judged(posterior, mutant, original)


def judged(posterior, mutant, original):
    """Say what a mutant that was read gives."""
    try:
        y = original.y
        if mutant.sealed:  # its observations may be other ones now
            core = posterior.core
            y = posterior.schema.unstack(core.simulations.observations(core.test_rows[:1]), 0)
        found = original.asked(posterior, y)
    except (si.NoDensityError, si.ShapeError):
        return "another" if mutant.sealed else "WRONG: it is read, and gives no draws"
    except Exception as error:
        return f"WRONG: it is read, and then {type(error).__name__}: {error}"
    if same(found, original.said):
        return "the same"
    return "another" if mutant.sealed else "WRONG: it is read, and gives something else"


def peak_reset():
    """Forget the peak memory so far, where the system can; give the memory now, in GB."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return memory("VmRSS")


def memory(field):
    text = Path("/proc/self/status").read_text()
    return int(text.split(f"{field}:")[1].split()[0]) * 1024 / 1e9


def run(originals, pairs, folder, say: Callable[[str], None] = print):
    """Try mutants one by one; one row each."""
    rows, path = [], folder / "mutant.sbi"
    for which, mutant in pairs:
        before, start = peak_reset(), time.process_time()
        found = outcome(path, mutant, originals[which])
        seconds = time.process_time() - start
        grown_by = memory("VmHWM") - before
        if seconds > SECONDS or grown_by > GIGABYTES:
            found = f"WRONG: {found}, {seconds:.1f} s, {grown_by:.2f} GB"
        if found.startswith("WRONG"):
            say(f"{mutant.kind}: {mutant.what}: {found}")
        rows.append(
            {
                "kind": mutant.kind,
                "outcome": found.split(":")[0],
                "seconds": seconds,
                "gigabytes": max(0.0, grown_by),
                "said": found,
                "what": mutant.what,
            }
        )
    return pd.DataFrame(rows)


def summed(rows):
    """Count outcomes by kind."""
    counts = pd.crosstab(rows["kind"], rows["outcome"])
    for name in ("refused", "the same", "another", "WRONG"):
        counts[name] = counts.get(name, 0)
    counts = counts[["refused", "the same", "another", "WRONG"]]
    by = rows.groupby("kind")
    counts.insert(0, "files", by.size())
    counts["longest [s]"] = by["seconds"].max().round(2)
    counts["most memory [GB]"] = by["gigabytes"].max().round(3)
    return counts.reset_index()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--bomb", type=int, default=BOMB, help="bytes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    add_options(parser)
    options = parser.parse_args()
    records = replace(RECORDS, folder=options.out)
    if options.table:
        rows = records.read()
        print(headed(rows, rows.drop(columns=list(SOURCE))))
        return
    warnings.filterwarnings("ignore", "the last check of this posterior said")
    originals = [Original.of(path) for path in sorted(DATA.glob("*.sbi"))]
    with tempfile.TemporaryDirectory() as folder:
        contents = [original.content for original in originals]
        pairs = list(mutants(contents, options.mutants, options.seed))
        rows = run(originals, pairs, Path(folder))
        single = ((0, one) for one in bombs(unpack(contents[0]), options.bomb))
        rows = pd.concat([rows, run(originals, single, Path(folder))], ignore_index=True)
    print(summed(rows).to_string(index=False))
    if options.json:
        options.json.write_text(rows.to_json(orient="records", indent=1))
    records.add(summed(rows).to_dict("records"), seed=options.seed, threads=1)


if __name__ == "__main__":
    main()
