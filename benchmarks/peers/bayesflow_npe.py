"""BayesFlow as its documentation uses it: a basic workflow, trained offline with its defaults.

A coupling flow, 100 epochs in batches of 32, AdamW under a cosine schedule. The one choice made for
it is that observations are standardised too, not the parameters alone: without, tasks whose data
are counts or many orders of magnitude apart would train badly.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import bayesflow as bf  # noqa: E402 (the backend has to be chosen first)
import keras  # noqa: E402
import numpy as np  # noqa: E402
from exchange import run  # noqa: E402


class BayesFlow:
    packages = ("bayesflow", "keras", "jax")

    def __init__(self, job, theta, y):
        keras.utils.set_random_seed(job["seed"])
        self.workflow = bf.BasicWorkflow(
            inference_variables=["theta"], inference_conditions=["y"], standardize="all"
        )
        self.data = {"theta": theta, "y": y}

    def train(self):
        self.history = self.workflow.fit_offline(self.data, verbose=2)

    def sample(self, y, n):
        draws = self.workflow.sample(num_samples=n, conditions={"y": y})["theta"]
        return np.asarray(draws, np.float64)

    def log_prob(self, theta, y):
        log_prob = self.workflow.log_prob({"theta": theta, "y": y})
        return np.asarray(log_prob, np.float64)

    def about(self):
        network = self.workflow.approximator.inference_network
        return {
            "method": f"{type(network).__name__} of {network.count_params():,} weights",
            "epochs": len(self.history.history["loss"]),
            "last loss": float(self.history.history["loss"][-1]),
        }


if __name__ == "__main__":
    run(BayesFlow)
