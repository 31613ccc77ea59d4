"""Rows of the CSV file: one for each job, of its result and its scores in the cache."""

from __future__ import annotations

import json
from dataclasses import asdict

from records import flat

FROM = ("commit", "date", "cores")  # kept with a result when its job ran


def collect(jobs, settings):
    """Make rows of the jobs that the cache has results of."""
    for job in jobs:
        file = settings.result_file(job)
        if file.exists():
            result = json.loads(file.read_text())
            where = {name: result.pop(name) for name in FROM if name in result}
            row = asdict(job) | of_result(result) | of_scores(job, settings)
            threads = result["asked"]["threads"]
            del row["seed"]
            settings.records.add([row], seed=job.seed, threads=threads, **where)


def of_result(result):
    """Flatten a result; of what was asked, what is no column by itself."""
    own = {"task", "budget", "seed", "method"}
    asked = {name: value for name, value in result["asked"].items() if name not in own}
    return flat(result | {"asked": asked})


def of_scores(job, settings):
    """Give the C2ST of a job as columns: draws on each side, public observation."""
    files = sorted(settings.scores_folder(job).glob("*.json"))
    return flat({"c2st": {file.stem: json.loads(file.read_text()) for file in files}})
