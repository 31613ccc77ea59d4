"""Poses of a head in an X-ray image (dissertation, sec. 3.8.2): two modes, and a plate that tells.

    python benchmarks/thesis/xray_pose.py --only symmetric plate           three seeds
    python benchmarks/thesis/xray_pose.py --table            the table of the results page
    python benchmarks/thesis/xray_pose.py --figures docs/results/thesis    figure 3.20 of the rows

A cINN with default settings for each of three heads: one that is its own mirror image, where a pose
and its twin cast the same shadow; one with a bony lump on its left side, hardly more than the
noise; and one with a plate of titanium there. Of test images whose twin is clearly another pose,
the share of the draws on the truth's side, and near the truth, near its twin and near neither of
them; of all test images, how far the shadows of the draws are from the noiseless image, and the
calibration error. The likelihood of counted photons can be written down: it says by how much truth
and twin differ, and gives the draws weights, which say how sharp the network is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from sbi_inn.simulators import xray_pose as xray
from scipy.special import expit
from shared import (
    Benchmark,
    Records,
    caption,
    draw,
    drawn,
    fitted,
    log_ratio,
    main,
    markdown,
    spread,
)

import sbi_inn as si
from sbi_inn.diagnostics.calibration import calibration_error
from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, new_figure, style

PARTS = {
    "symmetric": xray.HEAD,
    "lump": (*xray.HEAD, replace(xray.PLATE, absorption=xray.BONE - xray.WATER)),
    "plate": xray.HEAD_WITH_PLATE,
}
DRAWS = 200  # of each
CAST = 5  # draws of each test image whose shadows are looked at
WEIGHED = 50  # test images whose draws are weighed
CANDIDATES = 1_000  # draws of each of these
APART = 20.0  # degrees of turn and tilt between the truth and the mirror, from which on twins count
NEAR = 10.0  # degrees of turn and tilt
SHOWN = {"turn": 28.0, "tilt": 6.0, "roll": -8.0, "across": 5.0, "up": 3.0}
MIRROR = np.array([-1.0, -1.0, 1.0, 1.0, 1.0])  # of a pose, to its twin
LOOKS = {
    "higher peak": (COLOURS[0], "--"),
    "lower peak": (COLOURS[1], ":"),
    "mean": (COLOURS[2], "-."),
}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # over images
EXAMPLE = Records("thesis-xray-pose-example", ("head", "of", "row"))
TURNS = np.linspace(-60, 60, 121)  # degrees, edges of the histogram of figure 3.20


def run_one(options):
    """Train on images of one head, and look at the draws for others."""
    body = PARTS[options.part]
    problem = xray.pose_of(body)
    posterior = si.fit_posterior(
        problem,
        n_simulations=options.simulations,
        training=si.Training(max_seconds=options.seconds),
        seed=options.seed,
        progress=False,
    )
    # Other simulations than were trained on: a seed of their own.
    tests = si.simulate(problem, n=options.tests, seed=options.seed + 10_000, progress=False)
    rng = np.random.default_rng(options.seed)
    found = measured(posterior, tests, body, rng) | weighed(posterior, tests, body, rng)
    about = {
        "training [s]": posterior.history.seconds,
        "steps": posterior.history.steps,
        "stopped": posterior.history.stopped,
        "network": fitted(posterior).describe(),
    }
    if options.seed == options.seeds[0]:
        rows = [{"head": options.part} | row for row in example(posterior, body, options.seed)]
        records = replace(EXAMPLE, folder=options.out)
        records.add(rows, seed=options.seed, threads=options.threads)
    return [row | about for row in as_rows(found)]


def as_rows(found):
    """Make a row of each quantity: its mean and its quantiles over images, if it has them."""
    rows = []
    for name, value in found.items():
        if isinstance(value, list):
            names = (f"{name} of {parameter}" for parameter in SHOWN)
            rows += [{"of": n, "mean": v} for n, v in zip(names, value, strict=True)]
        else:
            rows.append({"of": name} | (value if isinstance(value, dict) else {"mean": value}))
    return rows


def measured(posterior, tests, body, rng):
    """Measure sides, re-projections and calibration over the test images."""
    truth, observations = tests.prior.flatten(tests.parameters()), tests.observations()
    sides, places, gaps, middles = [], [], [], []
    for here, draws, placed in drawn(posterior, truth, observations, DRAWS, rng):
        places.append(placed)
        sides.append(about(truth[here], draws))
        exact = shadows(body, truth[here])
        gaps.append(root_mean_square(shadows(body, draws[:, :CAST]) - exact[:, None]))
        middles.append(root_mean_square(shadows(body, draws.mean(axis=1)) - exact))
    sides, gaps, middles = (np.concatenate(x) for x in (sides, gaps, middles))
    prior = tests.prior.flatten(tests.prior.sample(len(truth), rng))
    blind = root_mean_square(shadows(body, prior) - shadows(body, truth))
    calibration = calibration_error(np.concatenate(places))
    apart = np.hypot(truth[:, 0], truth[:, 1]) > APART
    mine, near, far = sides[apart].T
    # Both modes are as wide: of the exact posterior, each has its share of the likelihood.
    exact = log_likelihood(body, truth, observations.vector)
    exact = expit(exact - log_likelihood(body, truth * MIRROR, observations.vector))[apart]
    return {
        "images with a twin apart": int(apart.sum()),
        "on the truth's side": over_images(mine),
        "likelihood's share of the truth": over_images(exact),
        "their correlation": float(np.corrcoef(mine, exact)[0, 1]) if exact.std() > 1e-6 else None,
        "near the truth": over_images(near),
        "near the twin": over_images(far),
        "near neither": float(1 - near.mean() - far.mean()),
        "both modes with at least 1 in 4": float(((mine > 0.25) & (mine < 0.75)).mean()),
        "re-projection of a draw": over_images(gaps.ravel()),
        "re-projection of the mean": over_images(middles),
        "re-projection of the prior": over_images(blind),
        "pooled calibration error": calibration.pooled,
        "calibration error": calibration.per_parameter.tolist(),
    }


def about(truth, draws):
    """Give shares of the draws: on the truth's side, near it, near its twin; shape (n, 3)."""
    turns, mine = draws[:, :, :2], truth[:, None, :2]
    to_truth, to_twin = (np.linalg.norm(turns - pose, axis=2) for pose in (mine, -mine))
    return np.stack(
        [(side).mean(axis=1) for side in (to_truth < to_twin, to_truth < NEAR, to_twin < NEAR)],
        axis=1,
    )


def weighed(posterior, tests, body, rng):
    """Weigh draws by the exact likelihood: how many draws of the exact posterior are they worth?"""
    worth, observations = [], tests.observations()
    for row in range(min(WEIGHED, len(tests))):
        one = observations[[row]]
        draws = draw(posterior, one, CANDIDATES, rng)
        density = log_ratio(posterior, draws, one)[0]
        weight = log_likelihood(body, draws[0], one.vector) - density  # the prior is uniform
        weight = np.exp(weight - weight.max())
        worth.append(weight.sum() ** 2 / (weight**2).sum())
    return {f"worth of {CANDIDATES:,} draws": over_images(worth)}


def log_likelihood(body, poses, pixels):
    """Log probability of the counted photons, up to a constant, shape (n,)."""
    counts = xray.PHOTONS * np.exp(-pixels) - 0.5
    absorbed = shadows(body, poses).reshape(len(poses), -1)
    return -(counts * absorbed + xray.PHOTONS * np.exp(-absorbed)).sum(axis=1)


def shadows(body, flat):
    """Give noiseless images of poses (..., 5), shape (..., 24, 24)."""
    return xray.shadow(body, *np.moveaxis(flat, -1, 0))


def root_mean_square(gap):
    return np.sqrt((gap**2).mean(axis=(-1, -2)))


def over_images(values):
    """Sum up values over images: their mean and quantiles."""
    found = dict(zip(map(str, QUANTILES), np.quantile(values, QUANTILES).tolist(), strict=True))
    return {"mean": float(np.mean(values)), **found}


def example(posterior, body, seed):
    """Give what figure 3.20 shows of one image."""
    rng = np.random.default_rng(seed)
    y = xray.exposed(xray.shadow(body, **SHOWN), rng)
    draws = posterior.sample(y, 20_000)
    flat = np.stack([draws[name].values for name in SHOWN], axis=1)
    density = posterior.log_prob(draws, y).values
    peaks = []
    for side in (flat[:, 0] > 0, flat[:, 0] <= 0):
        highest = np.where(side, density, -np.inf).argmax() if side.any() else None
        peaks.append(None if highest is None else (float(side.mean()), flat[highest].tolist()))
    rows = [("image", i, None, line) for i, line in enumerate(y.round(4).tolist())]
    rows.append(("turn", 0, None, np.histogram(flat[:, 0], TURNS, density=True)[0].tolist()))
    rows.append(("mean", 0, None, flat.mean(axis=0).tolist()))
    rows += [("peak", i, share, pose) for i, (share, pose) in enumerate(filter(None, peaks))]
    return [
        {"of": name, "row": i, "share": share} | dict(enumerate(values))
        for name, i, share, values in rows
    ]


def table(rows):
    """Make the table of the page: medians over seeds, a column for each head."""
    if rows.empty:
        return ""
    lines = []
    for name in dict.fromkeys(rows["of"]):
        line = {"": name}
        for head in (head for head in PARTS if (rows["head"] == head).any()):
            here = rows[(rows["of"] == name) & (rows["head"] == head)]
            line[head] = cell(here)
        lines.append(line)
    images = f"{rows['tests'].max():,} images, {DRAWS} draws each"
    return (
        f"{caption(rows)} {images}. The mean over images (median over seeds, and in brackets the "
        f"smallest and the largest of a seed), and the 5 % and 95 % quantiles over images.\n\n"
        f"{markdown(pd.DataFrame(lines))}"
    )


def cell(here):
    """Write one quantity of one head."""
    if here.empty:
        return "-"
    text = spread(here["mean"], "{:.4g}")
    if here["0.05"].notna().any():
        text += f"; {here['0.05'].median():.3g} to {here['0.95'].median():.3g}"
    return text


def figure_3_20(records, folder):
    """Draw input, posterior over the turn, and the shadows of its peaks and of its mean."""
    rows = replace(EXAMPLE, folder=records.folder).read()
    heads = [head for head in PARTS if (rows["head"] == head).any()]
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, 38 * len(heads) + 10)
        widths = (1, 1.4, 1, 1, 1)
        axes = figure.subplots(len(heads), 5, width_ratios=widths, squeeze=False)
        for row, head in zip(axes, heads, strict=True):
            draw_row(row, head, rows[rows["head"] == head].set_index("of"))
        for ax in axes[-1, [0, 2, 3, 4]]:
            ax.set_xlabel("across [mm]")
        axes[-1, 1].set_xlabel("turn [deg]")
        handles, labels = axes[0, 1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "fig_3_20.png")


def numbers(rows, name):
    """Give the numbers of a part of the example, shape (rows, n)."""
    found = rows.loc[[name]].filter(regex=r"^\d+$").dropna(axis=1, how="all")
    return found.to_numpy(float)


def draw_row(row, part, one):
    """Draw one head: what is seen, the turn, and shadows with their share of the draws."""
    body, half = PARTS[part], xray.SIDE * xray.PIXEL / 2
    shown = {"mean": (numbers(one, "mean")[0], "mean")}
    peaks = zip(one.loc[["peak"], "share"], numbers(one, "peak"), strict=True)
    peaks = sorted(peaks, key=lambda peak: peak[0], reverse=True)
    for name, (share, pose) in zip(("higher peak", "lower peak"), peaks, strict=False):
        shown[name] = pose, f"{name}, {share:.1%}"
    row[1].stairs(numbers(one, "turn")[0], TURNS, fill=True, color="0.75")
    row[1].axvline(SHOWN["turn"], color="black", label="truth")
    row[1].set(xlim=(-60, 60), xticks=(-60, -30, 0, 30, 60), yticks=[], ylabel="density")
    images = {row[0]: (numbers(one, "image"), "input")}
    for ax, (name, (colour, dashes)) in zip(row[2:], LOOKS.items(), strict=True):
        if name not in shown:
            ax.set_axis_off()
            continue
        pose, title = shown[name]
        row[1].axvline(pose[0], color=colour, ls=dashes, label=name)
        images[ax] = shadows(body, np.array(pose)), title
    for ax, (image, title) in images.items():
        ax.imshow(image, cmap="gray", vmin=0, vmax=6, extent=(-half, half, -half, half))
        ax.set(title=title, xticks=(-100, 0, 100), yticks=(-100, 0, 100))
    row[0].set_ylabel(f"{part}\nup [mm]")


BENCHMARK = Benchmark(
    Records("thesis-xray-pose", ("head", "simulations", "seconds", "tests", "of")),
    parts=list(PARTS),
    measure=run_one,
    table=table,
    settings={"simulations": 50_000, "seconds": 450.0, "tests": 5_000},
)

if __name__ == "__main__":
    main(BENCHMARK, __doc__, figures=figure_3_20)
