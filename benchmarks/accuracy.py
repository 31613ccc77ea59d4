"""The public benchmark of simulation-based inference: posteriors against reference posteriors.

    python benchmarks/accuracy.py                             ours, all tasks: hours
    python benchmarks/accuracy.py --tasks two_moons --budgets 1000 --seeds 1
    python benchmarks/accuracy.py --peers sbi_nsf bayesflow   beside the peers
    python benchmarks/accuracy.py --table                     the tables of docs/results/accuracy.md

Every training is a process of its own, which leaves its result in the cache and a row in
docs/results/accuracy.csv. What has a row is not run again, so that the command can be stopped and
taken up, on another day too. All methods train on the same simulations. The C2ST (classifier
two-sample test; .5: cannot be told from the reference, 1: can be always) is that of sbibm 1.1.0 on
as many draws as `--draws` says, on both sides. Peers run in environments of their own, made on
first use (`environments.py`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from accuracy_parts import report, scores
from accuracy_parts.jobs import DRAWN, PEERS, Settings, done, planned, run
from accuracy_parts.rows import collect
from accuracy_parts.settings import read
from accuracy_parts.tasks import OURS_ONLY, REFERENCE, TASKS, published
from records import CACHE, Records, add_options, caption, markdown


def parser():
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = (*TASKS, *OURS_ONLY)
    add = made.add_argument
    add_options(made)
    add(
        "--cache",
        type=Path,
        default=CACHE / "accuracy",
        metavar="DIR",
        help="of what is made again",
    )
    add("--tasks", nargs="+", choices=known, default=known, metavar="TASK", help=", ".join(known))
    add("--budgets", nargs="+", type=int, default=[1_000, 10_000, 100_000], metavar="N")
    add("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="SEED")
    add("--observations", nargs="+", type=int, choices=range(1, 6), default=range(1, 6))
    add("--draws", type=int, default=DRAWN, help="draws on each side of the C2ST")
    add("--peers", nargs="+", choices=PEERS, default=[], help="beside ours")
    add("--peer-calibration", action="store_true", help="of the peers too, which takes long")
    add("--ours", action=argparse.BooleanOptionalAction, default=True)
    add("--label", default="ours", help="name of our method, where settings are tried")
    add("--settings", nargs="+", default=[], metavar="CALL", help='as in "CINN(blocks=4)"')
    add("--threads", type=int, default=1, help="of a job")
    add("--jobs", type=int, default=1, help="jobs at a time")
    add("--timing", action=argparse.BooleanOptionalAction, default=True, help="are times to count?")
    add("--again", action="store_true", help="run jobs again that are done")
    add("--c2st", action=argparse.BooleanOptionalAction, default=True, help="score the draws")
    add("--reference", type=Path, default=REFERENCE, help="folder of reference posteriors")
    return made


def main():
    made = parser()
    options = made.parse_args()
    if options.label in PEERS:
        made.error(f"--label is the name of our method; {options.label} is a peer")
    try:
        read(options.settings)
    except (ValueError, TypeError) as error:
        made.error(str(error))
    settings = Settings(
        options.cache.resolve(),
        tuple(options.settings),
        threads=options.threads,
        jobs=options.jobs,
        timed=options.timing,
        peer_calibration=options.peer_calibration,
        reference=options.reference.resolve(),
        records=Records("accuracy", ("task", "budget", "method"), options.out),
    )
    methods = [options.label] * options.ours + list(options.peers)
    jobs = planned(options.tasks, options.budgets, options.seeds, methods)
    failed = []
    if not options.table:
        failed = run_all(jobs, settings, options)
        if options.c2st:
            scores.score(jobs, options.draws, options.observations, settings, say=_scored)
        collect(jobs, settings)
    print(tables(jobs, settings, options))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see {settings.out / 'logs'}")


def run_all(jobs, settings, options):
    """Run what is not done, and name the jobs that failed."""
    unscored = set()
    if options.c2st:
        missing = scores.missing(jobs, options.draws, options.observations, settings)
        unscored = {job for job, _ in missing if not settings.arrays_file(job).exists()}
    todo = [job for job in jobs if options.again or not done(job, settings) or job in unscored]
    failed = []

    def one(job):
        print(f"{job.name} ...", flush=True)
        try:
            run(job, settings)
        except subprocess.CalledProcessError:
            failed.append(job.name)

    pool = ThreadPoolExecutor(options.jobs)
    try:
        list(pool.map(one, todo))
    finally:  # on Ctrl-C, the running jobs end with this process and no other begins
        pool.shutdown(cancel_futures=True)
    return failed


def _scored(job, observation, value):
    print(f"{job.name}, observation {observation}: C2ST {value:.3f}", flush=True)


def tables(jobs, settings, options):
    """Make a table of each number of simulations, as markdown."""
    observations = list(options.observations)
    line = published(settings.reference)
    found = report.rows(settings.records.read(), jobs, options.draws, observations, line)
    if found.empty:
        return "no results yet"
    written = []
    for budget in options.budgets:
        here = found[found.budget == budget]
        if here.empty:
            continue
        over = "median over seeds" if here.seed.nunique() > 1 else "one seed"
        title = (
            f"### {budget:,} simulations, C2ST on {options.draws:,} draws at public observations "
            f"{', '.join(map(str, observations))}, {over}"
        )
        written += [title, caption(here), markdown(report.shown(found, budget, options.label))]
        bullets = [f"- {line}" for line in report.wins(found, budget, options.label)]
        if bullets:
            written.append("\n".join(bullets))
    return "\n\n".join([*written, *report.remarks(found)])


if __name__ == "__main__":
    main()
