"""Jobs: a task, a number of simulations, a seed and a method; each a process and a row of results.

The cache, which can be deleted, holds

    simulations/TASK-BUDGET-SEED.npz    what all methods train on
    tests/TASK.npz                      fresh simulations that none has seen
    arrays/JOB.npz                      draws at the public observations, ranks of the tests
    results/JOB.json                    everything else that a job has found
    c2st/JOB/DRAWS.json                 scores of its draws (`scores.py`)
    logs/JOB.log                        what a job has printed

Results and scores become rows of the CSV file (`rows.py`), which stay valid without the cache: a
job that has a row is not run again, unless a score of its draws is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import environments
import numpy as np
import records

import sbi_inn as si
from accuracy_parts.tasks import OURS_ONLY, REFERENCE, reference_file, simulated
from sbi_inn.diagnostics.calibration import calibration_error

HERE = Path(__file__).resolve().parent.parent
DRAWN = 5_000  # at each public observation
TESTS, TEST_SEED = 5_000, 987_654_321
RANKED = 200  # draws that a true parameter is ranked among

_simulating = threading.Lock()  # jobs that run at a time may share their simulations

# The script of a peer, its environment, and what the job tells it.
PEERS = {
    "sbi_nsf": ("sbi_npe.py", "sbi", {"density": "nsf"}),
    "sbi_maf": ("sbi_npe.py", "sbi", {"density": "maf"}),
    "bayesflow": ("bayesflow_npe.py", "bayesflow", {}),
}


@dataclass(frozen=True)
class Job:
    """One training of one method."""

    task: str
    budget: int
    seed: int
    method: str

    @property
    def name(self):
        return f"{self.task}-{self.budget}-{self.seed}-{self.method}"


@dataclass(frozen=True)
class Settings:
    """What all jobs of a command share.

    Attributes
    ----------
    out : Path
        The folder of the cache.
    settings : tuple of str
        Of our method; empty for the defaults.
    threads : int
        Of a job.
    jobs : int
        At a time.
    timed : bool
        False where something else runs beside, so that times are not to be compared.
    peer_calibration : bool
        Whether peers draw for the test simulations too.
    drawn, tests, ranked : int
        Draws at a public observation, test simulations, draws for each of these.
    records : Records
        The rows of all jobs that were ever run.
    """

    out: Path
    settings: tuple[str, ...] = ()
    threads: int = 1
    jobs: int = 1
    timed: bool = True
    peer_calibration: bool = False
    reference: Path = REFERENCE
    drawn: int = DRAWN
    tests: int = TESTS
    ranked: int = RANKED
    peers: dict = field(default_factory=lambda: PEERS)
    records: records.Records = records.Records("accuracy", ("task", "budget", "method"))

    def file(self, folder, name):
        place = self.out / folder
        place.mkdir(parents=True, exist_ok=True)
        return place / name

    def result_file(self, job):
        return self.file("results", f"{job.name}.json")

    def arrays_file(self, job):
        return self.file("arrays", f"{job.name}.npz")

    def scores_folder(self, job):
        return self.file(f"c2st/{job.name}", "")

    def asked(self, job):
        """What a result depends on: it is kept with it, and another makes the job run again."""
        if job.method in self.peers:
            about, ranks = self.peers[job.method][2], self.ranked * self.peer_calibration
        else:
            about, ranks = {"settings": list(self.settings)}, self.ranked
        shared = {"draws": self.drawn, "tests": self.tests, "threads": self.threads}
        return asdict(job) | about | shared | {"ranks": ranks}


def planned(tasks, budgets, seeds, methods, peers=PEERS):
    """List the jobs; a task that only we can be told of is not for peers."""
    return [
        Job(task, budget, seed, method)
        for budget in budgets
        for task in tasks
        for seed in seeds
        for method in methods
        if not (task in OURS_ONLY and method in peers)
    ]


def done(job, settings):
    """Whether there is a result of just this job; ranks that nobody asked for do no harm."""
    kept, asked = kept_asked(job, settings), records.flat(settings.asked(job))
    ranks = kept.get("ranks", -1)
    return kept == asked | {"ranks": ranks} and ranks >= asked["ranks"]


def kept_asked(job, settings):
    """Say what the kept result of a job depends on, flat; empty if none is kept."""
    file = settings.result_file(job)
    if file.exists():
        return records.flat(json.loads(file.read_text())["asked"])
    row = kept_row(job, settings)
    asked = {n.removeprefix("asked."): v for n, v in row.items() if n.startswith("asked.")}
    return asdict(job) | asked if row else {}


def kept_row(job, settings):
    """Give the row of a job, without its gaps; empty if there is none."""
    rows = settings.records.read()
    for name, value in asdict(job).items():
        rows = rows[rows[name] == value]
    return rows.iloc[0].dropna().to_dict() if len(rows) else {}


def run(job, settings):
    """Run a job in a process of its own, and keep what it has found.

    Raises
    ------
    CalledProcessError
        If it fails; logs/JOB.log says why.
    """
    simulations = shared_simulations(job, settings)
    tests = test_simulations(job, settings)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        details = settings.asked(job) | {
            "prior": si.get(job.task).prior.to_config(),
            "simulations": str(simulations),
            "tests": str(tests),
            "reference": str(reference_file(job.task, settings.reference)),
            "arrays": str(scratch / "arrays.npz"),
            "found": str(scratch / "found.json"),
        }
        about = {
            "asked": settings.asked(job),
            "timed": settings.timed,
            "jobs at a time": settings.jobs,
            "load before": os.getloadavg()[0],
            "source": source(job, settings),
            "commit": records.commit(),
            "date": records.today(),
            "cores": os.cpu_count(),
        }
        _process(job, details, scratch, settings)
        found = json.loads((scratch / "found.json").read_text())
        with np.load(scratch / "arrays.npz") as arrays:
            kept = dict(arrays)
    with np.load(simulations) as made:
        about["simulating"] = float(made["seconds"])
    _keep(job, found | about | _judged(kept), kept, settings)


def _judged(arrays):
    """Say what draws and ranks show by themselves."""
    judged = {"finite": float(np.isfinite(arrays["draws"]).all(axis=2).mean())}
    if "ranks" in arrays:
        errors = calibration_error(arrays["ranks"])
        each = errors.per_parameter.tolist()
        judged["calibration"] = {"pooled": errors.pooled, "per_parameter": each}
    return judged


def _keep(job, found, arrays, settings):
    """Write a result, and forget the scores of the draws that were there before."""
    settings.result_file(job).unlink(missing_ok=True)
    for scores in settings.scores_folder(job).iterdir():
        scores.unlink()
    _save_arrays(settings.arrays_file(job), **arrays)
    part = settings.result_file(job).with_suffix(".part")
    part.write_text(json.dumps(found, indent=1))
    part.replace(settings.result_file(job))


def _process(job, details, scratch, settings):
    """Run the process of a job, one thread or as many as asked for."""
    file = scratch / "job.json"
    file.write_text(json.dumps(details))
    if job.method in settings.peers:
        script, environment, _ = settings.peers[job.method]
        command = [environments.python(environment), HERE / "peers" / script]
        place = scratch  # some peers leave logs where they run
    else:
        command, place = [sys.executable, "-m", "accuracy_parts.ours"], HERE
    limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")  # NPROC: JAX
    threads = dict.fromkeys(limits, str(settings.threads))
    if settings.threads == 1:
        threads["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    with settings.file("logs", f"{job.name}.log").open("w") as log:
        subprocess.run(
            [str(part) for part in (*command, file)],
            cwd=place,
            env={**os.environ, **threads},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )


def shared_simulations(job, settings):
    """Simulate what all methods of a task, budget and seed train on, once; gives the file."""
    flat = OURS_ONLY.get(job.task, job.task)
    file = settings.file("simulations", f"{flat}-{job.budget}-{job.seed}.npz")
    return _simulated_once(file, job.task, job.budget, job.seed, settings)


def test_simulations(job, settings):
    """Simulate what all methods of a task are tested on, once; gives the file."""
    flat = OURS_ONLY.get(job.task, job.task)
    file = settings.file("tests", f"{flat}-{settings.tests}.npz")
    return _simulated_once(file, job.task, settings.tests, TEST_SEED, settings)


def _simulated_once(file, task, n, seed, settings):
    with _simulating:
        if not file.exists():
            started = time.perf_counter()
            arrays = simulated(task, n, seed, n_jobs=settings.threads)
            _save_arrays(file, **arrays, seconds=time.perf_counter() - started)
    return file


def source(job, settings):
    """Give a fingerprint of the package's source, or of the peer's script."""
    if job.method in settings.peers:
        files = [HERE / "peers" / settings.peers[job.method][0]]
    else:
        files = sorted((HERE.parent / "sbi_inn").rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _save_arrays(file, **arrays):
    """Write arrays so that the file is there whole or not at all."""
    part = file.with_suffix(".part.npz")
    np.savez(part, **arrays)
    part.replace(file)
