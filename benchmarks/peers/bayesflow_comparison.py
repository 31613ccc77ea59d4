"""BayesFlow's model comparison, as its documentation uses it, on simulations from a file.

A classifier of four layers of 32; for sets of measurements, a deep set of eight features before it,
and the square root of their number beside it. Batches of 64 under a cosine schedule, 30 passes; the
sets of a batch are all of one size, as BayesFlow needs it.

    python bayesflow_comparison.py JOB.npz FOUND.npz

JOB.npz holds `x` (n, width), padded with nan where sizes differ, `labels` (n,), `tests` (m, width),
`seed` and whether rows are `sets`.
"""

from __future__ import annotations

import os
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"

import bayesflow as bf  # noqa: E402 (the backend has to be chosen first)
import keras  # noqa: E402
import numpy as np  # noqa: E402

BATCH, EPOCHS, RATE = 64, 30, 5e-4


class OfOneSize(keras.utils.PyDataset):
    """Batches of rows whose sets are of one size, in another order in each pass."""

    def __init__(self, x, labels, sets, seed):
        super().__init__()
        self.x, self.sets = x.astype(np.float32), sets
        self.labels = np.eye(2, dtype=np.float32)[labels]
        self.sizes = (~np.isnan(x)).sum(axis=1)
        self.rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def on_epoch_end(self):
        groups = []
        for size in np.unique(self.sizes):
            rows = self.rng.permutation(np.flatnonzero(self.sizes == size))
            groups += [rows[i : i + BATCH] for i in range(0, len(rows) - BATCH + 1, BATCH)]
        self.groups = [groups[i] for i in self.rng.permutation(len(groups))]

    def __len__(self):
        return len(self.groups)

    def __getitem__(self, place):
        rows = self.groups[place]
        return read(self.x[rows], self.sets) | {"inference_variables": self.labels[rows]}


def read(x, sets):
    """Give rows of one size as the networks take them."""
    if not sets:
        return {"inference_conditions": x}
    size = int((~np.isnan(x[0])).sum())
    beside = np.full((len(x), 1), np.sqrt(size), np.float32)
    return {"summary_variables": x[:, :size, None], "inference_conditions": beside}


def main():
    job = np.load(sys.argv[1])
    sets, seed = bool(job["sets"]), int(job["seed"])
    keras.utils.set_random_seed(seed)
    data = OfOneSize(job["x"], job["labels"], sets, seed)
    approximator = bf.approximators.ModelComparisonApproximator(
        num_models=2,
        classifier_network=bf.networks.MLP(widths=[32] * 4),
        summary_network=bf.networks.DeepSet(summary_dim=8, dropout=0.0) if sets else None,
        standardize=None if sets else "inference_conditions",
    )
    schedule = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * len(data), alpha=1e-2)
    approximator.compile(optimizer=keras.optimizers.AdamW(schedule, clipnorm=1.0))
    began = time.perf_counter()
    approximator.fit(dataset=data, epochs=EPOCHS, verbose=0)
    seconds = time.perf_counter() - began
    tests = job["tests"].astype(np.float32)
    sizes, logits = (~np.isnan(tests)).sum(axis=1), np.empty((len(tests), 2))
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        logits[rows] = approximator.predict(conditions=read(tests[rows], sets), probs=False)
    np.savez(sys.argv[2], logits=logits, seconds=seconds, version=bf.__version__)


if __name__ == "__main__":
    main()
