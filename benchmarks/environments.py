"""Environments for the packages that benchmarks compare with: one each, apart from ours.

    python benchmarks/environments.py sbi        make it, and print where its interpreter is

What an environment holds stands in benchmarks/peers/NAME.txt, as releases from the package
registry.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
ENVIRONMENTS = HERE / ".environments"


def python(name):
    """Give the interpreter of a peer's environment, which is made on first use."""
    wanted = PEERS / f"{name}.txt"
    if not wanted.exists():
        known = ", ".join(sorted(p.stem for p in PEERS.glob("*.txt")))
        raise ValueError(f"expected an environment among {known}; got {name!r}")
    place = ENVIRONMENTS / name
    interpreter = place / "bin" / "python"
    stamp = place / "holds"
    holds = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == holds):
        print(f"making the environment of {name} ...", file=sys.stderr, flush=True)
        venv.create(place, with_pip=True, clear=True)
        install = [interpreter, "-m", "pip", "install", "--quiet", "-r", wanted]
        subprocess.run([str(part) for part in install], check=True)
        stamp.write_text(holds)
    return interpreter


if __name__ == "__main__":
    print(python(sys.argv[1]))
