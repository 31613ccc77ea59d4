"""Our method as `peers/exchange.py` runs it: python -m accuracy_parts.ours JOB, in benchmarks/."""

from __future__ import annotations

import inside
import numpy as np
from peers.exchange import run

import sbi_inn as si
from accuracy_parts.settings import read
from accuracy_parts.tasks import observations, table


class Ours:
    """`fit_posterior` with default settings, but for those that the job names."""

    packages = ("sbi-inn", "torch", "scipy")

    def __init__(self, job, theta, y):
        self.job = job
        self.table = table(job["task"], theta, y)
        self.rng = np.random.default_rng(job["seed"])

    def train(self):
        chosen = read(self.job["settings"])
        self.posterior = si.fit_posterior(
            self.table, **chosen, seed=self.job["seed"], progress=False
        )

    def sample(self, y, n):
        return inside.draw(self.posterior, observations(self.job["task"], y), n, self.rng)

    def log_prob(self, theta, y):
        prior = self.posterior.prior
        observed = observations(self.job["task"], y)
        ratio = inside.log_ratio(self.posterior, theta[:, None], observed)[:, 0]
        return ratio + prior.log_prob(prior.unflatten(theta))

    def about(self):
        history = self.posterior.history
        return {
            "method": inside.fitted(self.posterior).describe(),
            "settings": repr(self.posterior.settings),
            "steps": history.steps,
            "stopped": history.stopped,
            "seconds": history.seconds,
        }


if __name__ == "__main__":
    run(Ours)
