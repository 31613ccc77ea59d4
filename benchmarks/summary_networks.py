"""Which summary network reads series, sets and images best in the same processor time?

    python benchmarks/summary_networks.py                     all sections: about half an hour
    python benchmarks/summary_networks.py series --seconds 60
    python benchmarks/summary_networks.py sets images --table    tables of the results page

Each network is trained with one thread on 10,000 simulations, for as many steps as fit into the
processor time; its posterior is scored at 1,000 others. The excess is the mean log density that it
lacks there beside the exact posterior, in nats: 0 is perfect. Where no exact one is at hand, the
gain of the posterior over the prior is what there is to compare.
"""

import argparse
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from records import Records, add_options, headed
from summary_parts.candidates import dilated, pooled, transformer
from summary_parts.tasks import Autoregression, Blob, Change, Edges, Oscillation, Points, Sample
from torch import nn

from sbi_inn.methods import CINN
from sbi_inn.methods.cinn.network import SUMMARY_HIDDEN, DropoutAndBlur, Network, Pairs, Shape
from sbi_inn.methods.cinn.training import REGRESSION, learn
from sbi_inn.summary_networks import DeepSet, ImageNet, SeriesNet
from sbi_inn.training.loop import Training, seeded

TIMED = 5  # steps
RECORDS = Records(
    "summary-networks", ("section", "asked_seconds", "simulations", "task", "network")
)

SERIES = {
    "recurrent, steps of 4": SeriesNet,
    "recurrent, steps of 8": partial(SeriesNet, patch=8),
    "attention pooling alone": pooled,
    "dilated convolutions": dilated,
    "transformer": transformer,
}
SETS = {p: partial(DeepSet, pooling=p) for p in ("mean", "attention")}
IMAGES = {f"residual, {width} channels": partial(ImageNet, hidden=width) for width in (16, 32)}
SECTIONS = {
    "series": (SERIES, (Autoregression, Change, Oscillation)),
    "sets": (SETS, (Sample, Points, Edges)),
    "images": (IMAGES, (Blob,)),
}


class Summary(nn.Module):
    """A network for the only part of a task's observations."""

    def __init__(self, build, task, settings):
        super().__init__()
        widths = {"features": settings.features, "hidden": SUMMARY_HIDDEN}
        if task.images:
            (self.name,), (shape,) = task.images, task.images.values()
            self.net = build(*shape, features=settings.features)
        else:
            (self.name,), (columns,) = task.sets, task.sets.values()
            self.net = build(columns, **widths)
        self.features = self.net.features

    def forward(self, batch):
        return self.net((batch.images or batch.sets)[self.name])


def trained(build, task, rows, seconds, seed=1):
    """Train a network for so many processor seconds; gives it and what was spent on a step."""
    dim = task.latent.shape[1]
    settings = CINN().resolve(len(rows["train"]), dim)
    pairs = {name: Pairs(task.latent[r], task.batch[r]) for name, r in rows.items()}
    with seeded(seed):
        network = Network(
            settings, Shape(dim=dim, vector=0, sets={}), seed, Summary(build, task, settings)
        )
    network.start_from(pairs["train"])
    training = CINN().schedule(Training(epochs=1), len(pairs["train"]))
    batch = pairs["train"][torch.arange(training.batch_size)]
    spent = []
    for _ in range(TIMED):
        start = time.process_time()
        network.loss(batch).mean().backward()
        spent.append(time.process_time() - start)
    network.zero_grad(set_to_none=True)
    step = float(np.median(spent))
    if task.images:  # the regression that comes first takes its share
        seconds /= 1 + REGRESSION
    epochs = max(1, round(seconds / step * training.batch_size / len(pairs["train"])))
    history = learn(
        network,
        pairs["train"],
        pairs["validation"],
        replace(training, epochs=epochs),
        seed=seed,
        augment=DropoutAndBlur(network.dropout, settings.dropout, settings.blur),
        features_first=bool(task.images),
        progress=False,
    )
    return network, history, step


@torch.inference_mode()
def score(network, task, rows):
    """Log of posterior over prior density at the truth, shape (rows,)."""
    found = []
    for part in rows.split(250):
        pairs = Pairs(task.latent[part], task.batch[part])
        found.append(-network.loss(pairs) - network.latent.log_prob(pairs.latent))
    return torch.cat(found).double().numpy()


def section(name, seconds, n):
    candidates, tasks = SECTIONS[name]
    found = []
    for kind in tasks:
        task = kind(n + 1_000, 1)
        parts = {"train": (0, n - n // 10), "validation": (n - n // 10, n)}
        rows = {part: torch.arange(*ends) for part, ends in parts.items()}
        test = torch.arange(n, n + 1_000)
        exact = task.gain(test.numpy())
        for label, build in candidates.items():
            start = time.process_time()
            network, history, step = trained(build, task, rows, seconds)
            spent = time.process_time() - start
            gain = score(network, task, test)
            lacks = exact - gain
            found.append(
                {
                    "task": kind.__name__,
                    "network": label,
                    "excess": lacks.mean(),
                    "error": (lacks if np.isfinite(lacks).all() else gain).std() / len(test) ** 0.5,
                    "gain": gain.mean(),
                    "steps": history.steps,
                    "ms_a_step": 1e3 * step,
                    "seconds": spent,
                }
            )
            print(pd.DataFrame(found[-1:]).to_string(index=False, header=False), flush=True)
    return pd.DataFrame(found)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--seconds", type=float, default=60, help="processor time of a training")
    parser.add_argument("--simulations", type=int, default=10_000)
    add_options(parser)
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"expected sections among {', '.join(SECTIONS)}; got {', '.join(unknown)}")
    torch.set_num_threads(1)
    records = replace(RECORDS, folder=options.out)
    chosen = options.sections or list(SECTIONS)
    about = {"asked_seconds": options.seconds, "simulations": options.simulations}
    for name in [] if options.table else chosen:
        found = section(name, options.seconds, options.simulations)
        rows = [about | {"section": name} | row for row in found.to_dict("records")]
        records.add(rows, seed=1, threads=1)
    print(tables(records.read(), chosen))


def tables(rows, sections):
    """Make a table of each section."""
    written = []
    for name in sections:
        here = rows[rows["section"] == name]
        if len(here):
            shown = here[["task", "network", "excess", "error", "gain", "steps", "ms_a_step"]]
            text = shown.map(lambda v: f"{v:.3g}" if isinstance(v, float) else str(v))
            seconds = f"{here['asked_seconds'].iloc[0]:g} s of one processor for each training."
            written.append(headed(here, text, seconds))
    return "\n\n".join(written)


if __name__ == "__main__":
    main()
