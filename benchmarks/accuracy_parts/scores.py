"""C2ST of the draws that jobs have kept: a stage of its own, which can be taken up again."""

from __future__ import annotations

import json

import joblib
import numpy as np

from accuracy_parts.jobs import kept_asked, kept_row
from accuracy_parts.tasks import reference_file
from sbi_inn.diagnostics.two_samples import c2st

JOBS = 2  # classifiers at a time, one thread each
FEWEST = 10  # draws that can be judged


def missing(jobs, draws, observations, settings):
    """List the (job, observation) that have no score yet, of those whose draws are there."""
    return [
        (job, observation)
        for job in jobs
        if kept_asked(job, settings)
        for observation in observations
        if str(observation) not in scored(job, draws, settings)
    ]


def scored(job, draws, settings):
    """Read the scores of a job: public observation, as text, to C2ST."""
    file, before = _file(job, draws, settings), f"c2st.{draws}."
    if file.exists():
        return json.loads(file.read_text())
    if settings.result_file(job).exists():  # of other draws than those of the row
        return {}
    row = kept_row(job, settings)
    return {n.removeprefix(before): v for n, v in row.items() if n.startswith(before)}


def score(jobs, draws, observations, settings, *, at_once=JOBS, say=None):
    """Score what is missing, and keep every score as it comes.

    Parameters
    ----------
    jobs : list of Job
    draws : int
        How many, on both sides: the first ones.
    observations : list of int
        Numbers of the public observations, from 1.
    settings : Settings
    at_once : int
    say : callable, optional
        Called with every job, observation and score.
    """
    tasks = [
        joblib.delayed(_one)(job, draws, observation, settings)
        for job, observation in missing(jobs, draws, observations, settings)
    ]
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        scores = joblib.Parallel(at_once, return_as="generator_unordered")(tasks)
        for job, observation, value in scores:
            known = scored(job, draws, settings) | {str(observation): value}
            _file(job, draws, settings).write_text(json.dumps(known))
            if say:
                say(job, observation, value)


def _one(job, draws, observation, settings):
    with np.load(reference_file(job.task, settings.reference)) as reference:
        exact = reference["reference_posterior"][observation - 1, :draws]
    with np.load(settings.arrays_file(job)) as arrays:
        drawn = arrays["draws"][observation - 1]
    return job, observation, compared(exact, drawn, draws, observation)


def compared(exact, drawn, draws, observation):
    """Score the first draws against as many of the reference; what is not finite is passed over."""
    drawn = drawn[np.isfinite(drawn).all(axis=1)][:draws]
    if len(drawn) < FEWEST:
        return 1.0
    return c2st(exact[: len(drawn)], drawn, rng=np.random.default_rng(observation))


def _file(job, draws, settings):
    return settings.scores_folder(job) / f"{draws}.json"
