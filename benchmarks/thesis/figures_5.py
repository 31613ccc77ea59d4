"""Figures 5.7, 5.8, 5.11 and 5.14 of the dissertation, from rows that `table_5_1.py` kept."""

from __future__ import annotations

import numpy as np
from sbi_inn.simulators.glyphs import LETTERS

from sbi_inn.plots.style import COLOURS, DOUBLE_COLUMN_MM, GREY, new_figure, style

NAMES = {"digits": "0123456789", "letters": LETTERS}
UNLIKE = ("rotated", "noisy", "other alphabet", "photographs")


def draw_all(rows, latent, folder):
    """Draw what there are rows for."""
    folder.mkdir(parents=True, exist_ok=True)
    gammas = of_gammas(rows)
    if len(gammas):
        save(gamma_figure(gammas, rows), folder, "fig_5_7")
        save(losses_figure(gammas, rows), folder, "fig_5_14")
    if len(latent):
        save(latent_figure(latent), folder, "fig_5_8")
    sweep = rows[rows["model"].str.startswith("sigma")]
    if len(sweep):
        sweep = sweep.assign(sigma=sweep["model"].str.removeprefix("sigma ").astype(float))
        save(sigma_figure(sweep), folder, "fig_5_11")


def of_gammas(rows):
    """Pick the rows of the information bottleneck, with gamma as a number."""
    found = rows["model"].str.extract(r"^IB-INN, gamma ([\d.]+)$")[0].astype(float)
    return rows.assign(gamma=found)[found.notna()]


def lines(ax, rows, x, y, **look):
    """Draw the median over seeds against x, and the range."""
    each = rows.groupby(x)[y]
    middle = each.median()
    ax.plot(middle.index, middle, "o-", ms=2.5, **look)
    ax.fill_between(middle.index, each.min(), each.max(), color=look["color"], alpha=0.2, lw=0)


def gamma_figure(rows, every):
    """Errors, calibration, prediction entropy and detection against gamma (fig. 5.7)."""
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, 55 * rows["data"].nunique())
        kinds = list(rows["data"].unique())
        axes = np.atleast_2d(figure.subplots(len(kinds), 4, sharex=True))
        for line, data in zip(axes, kinds, strict=True):
            here, all_here = rows[rows["data"] == data], every[every["data"] == data]
            lines(line[0], here, "gamma", "error", color=COLOURS[0])
            for place, error in enumerate(("geometric mean", "ECE"), len(UNLIKE)):
                lines(line[1], here, "gamma", error, color=COLOURS[place], label=error)
                floor = here.groupby("gamma")[f"{error}, floor"].median()
                line[1].plot(floor.index, floor, ":", color=COLOURS[place])
            for ax, name in ((line[0], "error"), (line[1], "geometric mean")):
                softmax = all_here.loc[all_here["model"] == "softmax", name].median()
                ax.axhline(softmax, color=GREY, ls="--", lw=0.8)
            for place, name in enumerate(UNLIKE):
                look = {"color": COLOURS[place], "label": name}
                lines(line[2], here, "gamma", f"entropy, {name}", **look)
                lines(line[3], here, "gamma", f"detected, {name}", **look)
            line[0].set_ylabel(f"{data}\n\nclassification error")
            line[1].set(ylabel="calibration error", ylim=(0, None))
            line[2].set_ylabel("increase of entropy [nats]")
            line[3].set_ylabel("detection score")
            for ax in line:
                ax.set_xscale("log")
        for ax in axes[-1]:
            ax.set_xlabel(r"$\gamma$")
        handles = [*axes[0, 1].get_legend_handles_labels(), *axes[0, 3].get_legend_handles_labels()]
        figure.legend(
            handles[0] + handles[2],
            handles[1] + handles[3],
            loc="outside lower center",
            ncols=6,
        )
    return figure


def losses_figure(rows, every):
    """Both losses against each other, and bits per dimension against accuracy (fig. 5.14)."""
    kinds = list(rows["data"].unique())
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, 60 * len(kinds))
        axes = np.atleast_2d(figure.subplots(len(kinds), 2))
        for line, data in zip(axes, kinds, strict=True):
            here = rows[rows["data"] == data].groupby("gamma")[["L_X", "L_Y", "bits/dim", "error"]]
            middle = here.median()
            other = every[every["data"] == data].groupby("model")[["L_X", "L_Y", "bits/dim"]]
            ends = other.median()
            pairs = ((line[0], middle["L_X"], middle["L_Y"], "L_X"),)
            pairs += ((line[1], middle["bits/dim"], 1 - middle["error"], "bits/dim"),)
            for ax, x, y, name in pairs:
                ax.plot(x, y, "o-", color=COLOURS[0], ms=3)
                falls = y.diff() < 0
                for gamma in middle.index:
                    # Where accuracy falls, the label above would meet that of the one before.
                    beside = (9, -3) if name == "bits/dim" and falls[gamma] else (3, 3)
                    place = (x[gamma], y[gamma])
                    ax.annotate(f"{gamma:g}", place, beside, textcoords="offset points")
                ax.margins(0.12)
                if "IB-INN, only L_X" in ends.index:
                    ax.axvline(ends.loc["IB-INN, only L_X", name], color=GREY, ls=":", lw=0.8)
            softmax = every[(every["data"] == data) & (every["model"] == "softmax")]
            line[0].axhline(softmax["L_Y"].median(), color=GREY, ls="--", lw=0.8)
            line[1].axhline(1 - softmax["error"].median(), color=GREY, ls="--", lw=0.8)
            line[0].set(
                xlabel=r"$\mathcal{L}_X$ [nats]", ylabel=rf"{data}: $\mathcal{{L}}_Y$ [nats]"
            )
            line[1].set(xlabel="bits per dimension", ylabel="accuracy")
    return figure


def latent_figure(rows):
    """Latents of the tests by class, where the means are furthest apart (fig. 5.8)."""
    models = list(dict.fromkeys(rows["model"]))
    kinds = list(dict.fromkeys(rows["data"]))
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, 60 * len(kinds))
        axes = np.atleast_2d(figure.subplots(len(kinds), len(models)))
        for line, data in zip(axes, kinds, strict=True):
            for ax, model in zip(line, models, strict=True):
                here = rows[(rows["data"] == data) & (rows["model"] == model)]
                points = here.set_index("class").filter(regex=r"^\d+$")
                for k, name in enumerate(NAMES[data]):
                    x, y = points.loc[f"{k} x"].to_numpy(), points.loc[f"{k} y"].to_numpy()
                    look = {"color": COLOURS[k % len(COLOURS)], "alpha": 1 - 0.5 * (k > 5)}
                    ax.plot(x[1:], y[1:], ".", ms=2, mew=0, **look)
                    ax.text(x[0], y[0], name, ha="center", va="center", weight="bold")
                ax.set(title=f"{data}, {model.removeprefix('IB-INN, ')}", xticks=[], yticks=[])
                ax.set_aspect("equal", "datalim")
    return figure


def sigma_figure(rows):
    """Losses and errors against the noise (fig. 5.11)."""
    with style():
        figure = new_figure(DOUBLE_COLUMN_MM, 55)
        left, middle, right = figure.subplots(1, 3)
        lines(left, rows, "sigma", "L_X", color=COLOURS[0])
        lines(middle, rows, "sigma", "L_Y", color=COLOURS[1])
        lines(right, rows, "sigma", "error", color=COLOURS[0], label="classification error")
        lines(right, rows, "sigma", "geometric mean", color=COLOURS[1], label="calibration error")
        for ax, label in ((left, "L_X"), (middle, "L_Y")):
            ax.set_ylabel(rf"$\mathcal{{{label[0]}}}_{label[2]}$ [nats]")
        right.legend()
        for ax in (left, middle, right):
            ax.set(xscale="log", xlabel=r"$\sigma$ [spreads of a pixel]")
    return figure


def save(figure, folder, name):
    figure.savefig(folder / f"{name}.png")
