"""Make the pictures of README from its own first example, and copy its quotes from a notebook.

    make figures        or: python docs/figures/make.py

Takes some minutes on two cores. It prints the verdicts, with which the pictures are to agree.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import sbi_inn as si

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
HOME = HERE.parent / "index.md"
NOTEBOOK = HERE.parents[1] / "notebooks" / "03-trust.ipynb"
FIT = "posterior = si.fit_posterior("  # the line of the example with which computing begins

LABELS = {
    "height": "height on the rail",
    "shoulder": "shoulder angle",
    "elbow": "elbow angle",
    "wrist": "wrist angle",
}
UNITS = {"height": "m", "shoulder": "rad", "elbow": "rad", "wrist": "rad", "across": "m", "up": "m"}
ABC_SIMULATIONS = 200_000  # twenty times the network's: enough for contours


def example() -> dict[str, Any]:
    """Return what the first block of README defines before it fits, and its observation y."""
    text = README.read_text(encoding="utf-8")
    before, _, after = text.partition("```python\n")[2].partition("```")[0].partition(FIT)
    (y,) = re.findall(r"^y = .*$", after, re.MULTILINE)
    names: dict[str, Any] = {}
    exec(f"{before}\n{y}", names)
    return names


def first_sentence(verdict: str) -> str:
    """Give the first sentence, which is the verdict with its reasons, whole."""
    return re.split(r"(?<=[.]) (?=[A-Z])", verdict)[0]


def quote() -> None:
    """Copy what the notebook says of a good fit, into README, and of a strange star."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    texts = ["".join(o.get("text") or o.get("data", {}).get("text/plain", "")) for o in outputs]
    said = [t.splitlines()[0] for t in texts if re.match(r"(Trust|Use|Do not trust) this ", t)]
    good, _, strange, _ = said  # the others are the good fit at a star, and a careless one
    for page, verdicts in ((README, (good, strange)), (HOME, (strange,))):
        text = page.read_text(encoding="utf-8")
        quoted = re.findall(r"(?:^> .*\n)+", text, re.MULTILINE)
        for old, new in zip(quoted, verdicts, strict=True):
            lines = textwrap.fill(first_sentence(new), 118)
            text = text.replace(old, textwrap.indent(lines, "> ") + "\n")
        page.write_text(text, encoding="utf-8")


def main() -> None:
    """Fit the example once, and draw its corner plot and its calibration."""
    quote()
    names = example()
    problem = si.Problem(names["arm"], names["prior"], labels=LABELS, units=UNITS)
    posterior = si.fit_posterior(problem, seed=1, progress=False)
    print(posterior.check(progress=False).sentence)
    print(posterior.check(names["y"], progress=False).sentence)
    abc = posterior.rejection_abc(names["y"], n_simulations=ABC_SIMULATIONS)
    compare = {f"ABC, {ABC_SIMULATIONS:,} simulations": abc}
    corner = posterior.corner(names["y"], 20_000, compare=compare)
    corner.savefig(HERE / "corner.png", dpi=150)
    posterior.plot_calibration().savefig(HERE / "calibration.png", dpi=150)


if __name__ == "__main__":
    main()
