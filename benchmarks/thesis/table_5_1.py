"""Table 5.1 of L. Ardizzone's dissertation, and figures 5.7, 5.8, 5.11 and 5.14, on small pictures.

    python benchmarks/thesis/table_5_1.py                           three seeds
    python benchmarks/thesis/table_5_1.py --table                   the tables of the results page
    python benchmarks/thesis/table_5_1.py --figures docs/results/thesis

Scikit-learn's digits (five folds, so that all serve as tests) and letters (`pictures.py`) stand in
for CIFAR. Every network sees the pixels as they are, by perceptrons: the same coupling flow for all
generative rows, and a perceptron with about as many weights for the others. Rows: the information
bottleneck at several gamma, and at both ends; class-conditional likelihood with means that are
learned or fixed; a softmax classifier; a variational information bottleneck.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from figures_5 import UNLIKE, draw_all
from pictures import SETS
from scipy.special import log_softmax
from shared import Benchmark, Records, headed, main, spread
from torch import nn
from torch.nn import functional as F

from sbi_inn.diagnostics.classification import class_calibration, class_calibration_floor
from sbi_inn.methods.ib_inn.network import Dequantise, LatentNetwork, Numbers
from sbi_inn.methods.ib_inn.settings import IBINNSettings
from sbi_inn.training.loop import fit, seeded
from sbi_inn.training.settings import Training

CLASSES = 10
GAMMAS = (0.02, 0.1, 0.5, 1.0, 5.0, 50.0)
SIGMAS = (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)  # of figure 5.11, in spreads of a pixel
SIGMA_GAMMA = 0.2  # there
HELD_OUT = 0.1  # of the training rows, for validation
KEPT = 60  # points of each class in figure 5.8
SHOWN = (0.02, 1.0, 50.0)  # gammas there
TRAINING = {
    "digits": Training(epochs=40, batch_size=128, learning_rate=3e-3),
    "letters": Training(epochs=25, batch_size=256, learning_rate=3e-3),
}
FLOW = IBINNSettings(blocks=4, hidden=96, transform="affine", clamp=1.0, noise=1e-3)
# Models: how each is trained, by `generative` or `discriminative`, and with what.
MODELS = {
    "IB-INN, only L_X": ("bottleneck", {"gamma": 0.0}),
    **{f"IB-INN, gamma {g:g}": ("bottleneck", {"gamma": g}) for g in GAMMAS},
    "IB-INN, only L_Y": ("bottleneck", {"gamma": np.inf}),
    "IB-INN, gamma 1, smoothed labels": ("bottleneck", {"gamma": 1.0, "smoothing": 0.05}),
    "class likelihood": ("class likelihood", {}),
    "class likelihood, fixed means": ("class likelihood", {"fixed_means": True}),
    "softmax": ("softmax", {}),
    "VIB, gamma 1": ("vib", {}),
    **{f"sigma {s:g}": ("bottleneck", {"gamma": SIGMA_GAMMA, "noise": s}) for s in SIGMAS},
}
TABLE = [name for name in MODELS if not name.startswith("sigma")]
ERRORS = {
    "geometric mean": "geometric_mean",
    "ECE": "expected",
    "MCE": "maximum",
    "ICE": "integrated",
}
LATENT = Records("thesis-table-5-1-latent", ("model", "data", "class"))


# -- models ----------------------------------------------------------------------------------------


class Softmax(nn.Module):
    """A perceptron that gives logits, with about as many weights as the flow."""

    def __init__(self, dim, weights):
        super().__init__()
        width = widest(dim + CLASSES, weights)
        self.layers = nn.Sequential(
            *(nn.Linear(dim, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()),
            nn.Linear(width, CLASSES),
        )

    def forward(self, x):
        return self.layers(x)

    def loss(self, numbers):
        return F.cross_entropy(self(numbers.x), numbers.labels, reduction="none")


class VIB(nn.Module):
    """A variational information bottleneck (Alemi et al. 2017), its losses balanced as eq. 5.17."""

    BOTTLENECK = 32
    DRAWS = 12  # of the bottleneck, for a prediction

    def __init__(self, dim, weights, gamma=1.0):
        super().__init__()
        width = widest(dim + 2 * self.BOTTLENECK, weights)
        self.encoder = nn.Sequential(
            *(nn.Linear(dim, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()),
            nn.Linear(width, 2 * self.BOTTLENECK),
        )
        self.decoder = nn.Linear(self.BOTTLENECK, CLASSES)
        self.balance = 2 / (1 + gamma), 2 * gamma / (1 + gamma)

    def drawn(self, x):
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        noise = torch.randn_like(mean)
        return mean + noise * (0.5 * log_variance).exp(), mean, log_variance

    def forward(self, x):
        """Give log probabilities, the mean over draws of the bottleneck."""
        each = [F.log_softmax(self.decoder(self.drawn(x)[0]), dim=1) for _ in range(self.DRAWS)]
        return torch.logsumexp(torch.stack(each), dim=0)

    def loss(self, numbers):
        z, mean, log_variance = self.drawn(numbers.x)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean(dim=1)
        classes = F.cross_entropy(self.decoder(z), numbers.labels, reduction="none")
        return self.balance[0] * divergence + self.balance[1] * classes


def widest(ends, weights):
    """Give the width of two hidden layers between so many inputs and outputs, for the weights."""
    return int((-ends + np.sqrt(ends**2 + 4 * weights)) / 2)


def class_likelihood(network, numbers):
    """Minus the log density under the component of the true class, per dimension (beta = 1)."""
    z, log_det = network.latent(numbers)
    own = network.mixture.log_each(z).gather(1, numbers.labels[:, None])[:, 0]
    return -(own + log_det) / numbers.x.shape[1]


def built(kind, settings, dim):
    """Make a network, and its loss."""
    flow = replace(FLOW, **settings)
    even = torch.full((CLASSES,), -float(np.log(CLASSES)))
    network = LatentNetwork(flow, dim, 0, CLASSES, even)
    if kind == "bottleneck":
        return network, network.loss
    if kind == "class likelihood":
        return network, partial(class_likelihood, network)
    weights = sum(p.numel() for p in network.parameters())
    network = {"softmax": Softmax, "vib": VIB}[kind](dim, weights)
    return network, network.loss


def rows(x, labels=None):
    """Make rows as a flow reads them."""
    labels = np.zeros(len(x), int) if labels is None else labels
    x = torch.from_numpy(np.asarray(x, np.float32))
    return Numbers(x, torch.zeros(len(x), 0), torch.from_numpy(labels))


def trained(kind, settings, pictures, training, seed):
    """Train a network on pictures, a tenth of which are for validation."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pictures.train))
    held = int(HELD_OUT * len(order))
    others, mine = order[:held], order[held:]
    held_out = rows(pictures.with_noise(pictures.train[others], rng), pictures.train_labels[others])
    seen = rows(pictures.train[mine], pictures.train_labels[mine])  # noise is drawn in each batch
    steps = torch.full((pictures.dim,), pictures.level if pictures.whole else 0.0)
    with seeded(seed):
        network, loss = built(kind, settings, pictures.dim)
    noise = settings.get("noise", FLOW.noise)
    augment = Dequantise(steps, noise)
    history = fit(
        network, loss, seen, held_out, training, seed=seed, augment=augment, progress=False
    )
    network.eval()
    return network, history


@torch.no_grad()
def looked_at(network, x):
    """Give log probabilities (n, 10), and log densities (n,) and latents where there are any."""
    if not isinstance(network, LatentNetwork):
        with seeded(0):
            return log_softmax(network(rows(x).x).double().numpy(), axis=1), None, None
    z, log_det = network.latent(rows(x))
    each = network.mixture.log_each(z)
    density = torch.logsumexp(each, dim=1) - np.log(CLASSES) + log_det
    return log_softmax(each.double().numpy(), axis=1), density.double().numpy(), z.numpy()


# -- measurements ----------------------------------------------------------------------------------


def entropy(log_p):
    return float(-(np.exp(log_p) * log_p).sum(axis=1).mean())


def measured_fold(network, pictures, rng):
    """Look at tests and at pictures unlike them: what is pooled, and what is averaged."""
    test = pictures.with_noise(pictures.test, rng)
    log_p, density, _ = looked_at(network, test)
    one = {"entropy": entropy(log_p)}
    usual = None
    if density is not None:
        _, seen, _ = looked_at(network, pictures.with_noise(pictures.train, rng))
        usual = seen.mean()
        # Pixels were divided by a unit, of which a grey level is `level`.
        one["bits/dim"] = -(density.mean() / pictures.dim + np.log(pictures.level)) / np.log(2)
        one["L_X"] = -density.mean()
    for name, x in pictures.others.items():
        other, scores, _ = looked_at(network, pictures.with_noise(x, rng))
        one[f"entropy, {name}"] = entropy(other) - one["entropy"]
        if scores is not None:
            one[f"detected, {name}"] = detection(density - usual, scores - usual)
    return log_p, pictures.test_labels, one


def detection(inside, outside):
    """Give the area under the curve of the typicality test, of one picture at a time."""
    from sklearn.metrics import roc_auc_score

    distance = np.abs(np.concatenate([inside, outside]))
    return roc_auc_score(np.repeat([0, 1], [len(inside), len(outside)]), distance)


def measure(options):
    """Train one model on both sets of pictures, and measure what the table shows."""
    kind, settings = MODELS[options.part]
    found = []
    for data in SETS if options.part in TABLE else ["digits"]:
        began, folds, steps = time.perf_counter(), [], 0
        for fold, pictures in enumerate(SETS[data](options.seed)):
            seed = 100 * options.seed + fold
            network, history = trained(kind, settings, pictures, TRAINING[data], seed)
            folds.append(measured_fold(network, pictures, np.random.default_rng(seed)))
            steps += history.steps
        if options.seed == options.seeds[0]:
            keep_latent(options, data, network, pictures)
        row = {"data": data, "weights": sum(p.numel() for p in network.parameters())}
        row |= {"seconds": time.perf_counter() - began, "steps": steps / len(folds)}
        found.append(row | pooled(folds, np.random.default_rng(options.seed)))
    return found


def pooled(folds, rng):
    """Make a row of the folds: errors over all tests, and means of what each fold has."""
    log_p = np.concatenate([fold[0] for fold in folds])
    labels = np.concatenate([fold[1] for fold in folds])
    p = np.exp(log_p)
    calibration = class_calibration(p, labels)
    floor = class_calibration_floor(p, (0.5, 0.95), rng=rng, repetitions=500)
    row = {
        "tests": len(labels),
        "error": float((p.argmax(axis=1) != labels).mean()),
        "L_Y": float(-log_p[np.arange(len(labels)), labels].mean()),
        "overconfidence": calibration.overconfidence,
    }
    for name, attribute in ERRORS.items():
        row[name] = getattr(calibration, attribute)
        row[f"{name}, floor"], row[f"{name}, floor 95 %"] = map(float, getattr(floor, attribute))
    every = pd.DataFrame([fold[2] for fold in folds]).mean()
    return row | every.to_dict()


def keep_latent(options, data, network, pictures):
    """Keep a projection of latents in which the means are furthest apart (fig. 5.8)."""
    gamma = MODELS[options.part][1].get("gamma")
    if options.part not in TABLE or gamma not in SHOWN or "smooth" in options.part:
        return
    _, _, z = looked_at(network, pictures.with_noise(pictures.test, np.random.default_rng(0)))
    means = network.mixture.means.detach().numpy()
    centre = means.mean(axis=0)
    plane = np.linalg.svd(means - centre, full_matrices=False)[2][:2]
    kept = []
    for k in range(CLASSES):
        mine = (z[pictures.test_labels == k] - centre) @ plane.T
        points = np.vstack([(means[k] - centre) @ plane.T, mine[:KEPT]])  # the mean comes first
        for axis, column in zip("xy", points.T.round(2).tolist(), strict=True):
            about = {"model": options.part, "data": data, "class": f"{k} {axis}"}
            kept.append(about | {str(i): value for i, value in enumerate(column)})
    where = {"seed": options.seed, "threads": options.threads}
    replace(LATENT, folder=options.out).add(kept, **where)


# -- tables ----------------------------------------------------------------------------------------


def table(rows):
    """Make the tables of the page, one a set of pictures."""
    parts = []
    for data in SETS:
        here = rows[(rows["data"] == data) & rows["model"].isin(TABLE)]
        if len(here):
            parts += [f"**{data.capitalize()}.** {accuracy(here)}", unlike_table(here)]
    sweep = rows[rows["model"].str.startswith("sigma")]
    if len(sweep):
        parts.append(sigma_table(sweep))
    return "\n\n".join(parts)


def each_model(rows):
    for model in MODELS:
        here = rows[rows["model"] == model]
        if len(here):
            yield model, here


def accuracy(rows):
    lines = []
    for model, here in each_model(rows):
        blank = model == "IB-INN, only L_X"  # its means are no classes
        line = {"model": model, "error": "-" if blank else spread(here["error"], "{:.1%}")}
        line["bits/dim"] = spread(here["bits/dim"], "{:.2f}")
        for name in ERRORS:
            floor = here[f"{name}, floor"].median()
            text = f"{spread(here[name], '{:.2%}')} [{floor:.2%}]"
            line[name] = "-" if blank else text
        line["OCE"] = "-" if blank else spread(here["overconfidence"], "{:.1f}")
        lines.append(line)
    notes = "Medians over seeds (smallest to largest); in square brackets the floor."
    return headed(rows, pd.DataFrame(lines), notes)


def unlike_table(rows):
    lines = []
    for model, here in each_model(rows):
        line = {"model": model}
        for name in UNLIKE:
            gain = "-" if "only L_X" in model else f"{here[f'entropy, {name}'].median():.2f}"
            line[name] = f"{gain} / {spread_or_dash(here, f'detected, {name}')}"
        lines.append(line)
    note = "Increase of the prediction entropy in nats / detection score (area under the curve)."
    return headed(rows, pd.DataFrame(lines), note)


def spread_or_dash(rows, name):
    return f"{rows[name].median():.1%}" if rows[name].notna().any() else "-"


def sigma_table(rows):
    lines = [
        {
            "sigma": model.removeprefix("sigma "),
            "L_X": spread(here["L_X"], "{:.1f}"),
            "L_Y": spread(here["L_Y"], "{:.3f}"),
            "error": spread(here["error"], "{:.1%}"),
            "bits/dim": spread(here["bits/dim"], "{:.2f}"),
            "geometric mean": spread(here["geometric mean"], "{:.2%}"),
        }
        for model, here in each_model(rows)
    ]
    note = f"Digits, gamma {SIGMA_GAMMA}; sigma in spreads of a pixel."
    return headed(rows, pd.DataFrame(lines), note)


def figures(records, folder):
    """Draw figures 5.7, 5.8, 5.11 and 5.14."""
    draw_all(records.read(), replace(LATENT, folder=records.folder).read(), folder)


BENCHMARK = Benchmark(
    Records("thesis-table-5-1", ("model", "data")),
    parts=list(MODELS),
    measure=measure,
    table=table,
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__, figures=figures)
