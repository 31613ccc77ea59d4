"""Does the verdict find what is wrong, and leave alone what is right?

    python benchmarks/trust/run.py                      all sections: about an hour on two cores
    python benchmarks/trust/run.py power local          some of them
    python benchmarks/trust/run.py power --repetitions 20 --json trust.json

Sections
    power      linear-Gaussian posteriors, exact and wrong on purpose: how often check() objects
    local      posterior SBC: exact everywhere, and wrong only near y
    strange    observations that the simulator does not make: how often check(y) objects
    defaults   what fits with default settings are told, and how long check(y) takes
"""

import argparse
import json
import os
import time
from pathlib import Path

import pandas as pd
from sections import defaults, local, power, strange

SECTIONS = {"power": power, "local": local, "strange": strange, "defaults": defaults}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"expected sections among {', '.join(SECTIONS)}; got {', '.join(unknown)}")
    found = {}
    for name in options.sections or SECTIONS:
        started = time.perf_counter()
        table = SECTIONS[name](options.repetitions)
        seconds = time.perf_counter() - started
        print(f"\n== {name}, {options.repetitions} repetitions, {seconds:.0f} s")
        with pd.option_context("display.width", 200, "display.max_colwidth", 160):
            print(table.to_string(index=False, float_format="{:.3g}".format), flush=True)
        found[name] = {"seconds": seconds, "rows": table.to_dict("records")}
        if options.json:
            about = {"cores": os.cpu_count(), "repetitions": options.repetitions}
            options.json.write_text(json.dumps(about | {"sections": found}, indent=1))


if __name__ == "__main__":
    main()
