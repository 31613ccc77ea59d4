"""sbi as its tutorials use it: NPE with a named density estimator, default training.

Draws outside the prior's support are rejected, as `posterior.sample` does; where that takes too
long, the density estimator's own draws stand in, which is recorded. The density is that of the
estimator: without the correction for what leaks out of the support, which would take a rejection
run for each observation.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch._dynamo  # noqa: F401 (what torch would load on the first step: imports do not count)
from exchange import run
from sbi.inference import NPE
from sbi.utils import BoxUniform, MultipleIndependent

PATIENCE = 30.0  # seconds of rejection


class Sbi:
    packages = ("sbi", "torch")

    def __init__(self, job, theta, y):
        torch.manual_seed(job["seed"])
        torch.set_num_threads(job["threads"])
        self.inference = NPE(
            prior_of(job["prior"]), density_estimator=job["density"], show_progress_bars=False
        )
        self.inference.append_simulations(_tensor(theta), _tensor(y))
        self.unrejected = []  # observations in each call that rejection took too long for

    def train(self):
        self.inference.train()
        self.posterior = self.inference.build_posterior()

    def sample(self, y, n):
        with torch.no_grad():
            return self._sample(y, n).transpose(0, 1).double().numpy()

    def _sample(self, y, n):
        asked = {"x": _tensor(y), "show_progress_bars": False}
        try:
            return self.posterior.sample_batched((n,), **asked, max_sampling_time=PATIENCE)
        except RuntimeError:  # of all these observations, though it may be one that takes long
            self.unrejected.append(len(y))
            return self.posterior.sample_batched((n,), **asked, reject_outside_prior=False)

    def log_prob(self, theta, y):
        estimator = self.posterior.posterior_estimator
        with torch.no_grad():
            parts = [
                estimator.log_prob(rows[None], condition=condition)[0]
                for rows, condition in zip(
                    _tensor(theta).split(1000), _tensor(y).split(1000), strict=True
                )
            ]
        return torch.cat(parts).double().numpy()

    def about(self):
        return {
            "method": f"NPE, {type(self.posterior.posterior_estimator).__name__}",
            "epochs": self.inference.summary["epochs_trained"][-1],
            "not rejected": {
                "public observations": self.unrejected.count(1),
                "tests": sum(n for n in self.unrejected if n > 1),
            },
        }


def prior_of(config):
    """Build the prior from names and arguments of scipy.stats."""
    parameters = [(p["distribution"], p["args"], p["kwds"]) for p in config["parameters"]]
    if all(name == "uniform" for name, _, _ in parameters):
        ends = [_uniform(*args, **kwds) for _, args, kwds in parameters]
        low, high = torch.tensor(ends).T
        return BoxUniform(low, high)
    parts = [KNOWN[name](*args, **kwds) for name, args, kwds in parameters]
    return parts[0] if len(parts) == 1 else MultipleIndependent(parts)


def _uniform(loc=0.0, scale=1.0):
    return float(loc), float(loc + scale)


def _normal(loc=0.0, scale=1.0):
    return torch.distributions.Normal(torch.tensor([float(loc)]), torch.tensor([float(scale)]))


def _lognormal(s, loc=0.0, scale=1.0):
    if loc:
        raise ValueError(f"expected a log-normal that starts at 0; got loc={loc}")
    centre, spread = torch.tensor([math.log(scale)]), torch.tensor([float(s)])
    return torch.distributions.LogNormal(centre, spread)


def _multivariate_normal(mean, cov):
    return torch.distributions.MultivariateNormal(torch.tensor(mean), torch.tensor(cov))


KNOWN = {
    "uniform": lambda *args, **kwds: BoxUniform(*torch.tensor([_uniform(*args, **kwds)]).T),
    "norm": _normal,
    "lognorm": _lognormal,
    "multivariate_normal": _multivariate_normal,
}


def _tensor(array):
    return torch.as_tensor(np.asarray(array, np.float32))


if __name__ == "__main__":
    run(Sbi)
