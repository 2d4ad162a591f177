"""The figures of `speed.py` as one picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scaling import line

OURS, PEER, PLAIN, FAINT = "#c2410c", "#1d4ed8", "#15803d", "#8a8578"
PAPER, INK = "#faf7f0", "#1b1b1b"
_DPI = 110


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Write a picture of every part that there is a drawing for."""
    drawn = [(part, drawing) for part, drawing in DRAWINGS if part in found]
    rows = -(-len(drawn) // 2)
    style = {"font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": FAINT, "axes.facecolor": PAPER}
    with plt.rc_context({**style, "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}):
        figure = Figure(figsize=(9.6, 3.1 * rows), dpi=_DPI, facecolor=PAPER, layout="constrained")
        axes = figure.subplots(rows, 2, squeeze=False).flatten()
        for (part, drawing), place in zip(drawn, axes, strict=False):
            drawing(place, found[part])
            place.spines[["top", "right"]].set_visible(False)
        for place in axes[len(drawn) :]:
            place.set_axis_off()
        figure.savefig(path)


def _jobs(axes: Axes, found: Mapping[str, Mapping[str, float]]) -> None:
    names = [name for name in ("gmic", "draft command", "normal command") if name in found]
    labels = {"gmic": "G'MIC stylize", "draft command": "scumble, draft", "normal command": "scumble, normal"}
    walls = [found[name]["wall"] for name in names]
    bars = axes.barh([labels[name] for name in names], walls, color=[PEER if n == "gmic" else OURS for n in names])
    axes.bar_label(bars, [f"{wall:.1f} s" for wall in walls], padding=3)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set_title("Whole commands, 512 × 384 px")


def _rivals(axes: Axes, found: Mapping[str, Any]) -> None:
    name, race = next(iter(found["races"].items()))
    for label, curve, colour in (
        (race["rival"]["name"], race["curves"]["rival"], PEER),
        ("scumble", race["curves"]["scumble"], OURS),
    ):
        axes.plot(*zip(*curve, strict=True), color=colour, label=label)
    axes.axhline(race["goal"], color=FAINT, linewidth=0.8, linestyle="--")
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel="neural-style-pt's loss")
    axes.set_ylim(top=race["goal"] * 30)
    axes.legend(frameon=False)
    axes.set_title(f"One loss, VGG19, {found['size']} px, “{name}” (dashed: goal)")


def _bench(axes: Axes, found: Mapping[str, Any]) -> None:
    rows = found["rows"]
    labels = [f"{row.get('network', 'vgg19')}\n{row['size_px']}² {row['precision']}" for row in rows]
    bars = axes.bar(labels, [100 * row["share_of_peak"] for row in rows], color=OURS)
    axes.bar_label(bars, [f"{row['step_s']:.2g} s" for row in rows], fontsize=8)
    axes.set(ylabel="% of the convolution peak", ylim=(0, 100))
    axes.tick_params(axis="x", labelsize=7)
    axes.set_title("One step: share of the machine's own peak")


def _scaling(axes: Axes, found: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    rows = found["pixels"]
    pixels, seconds = [row["pixels"] / 1e6 for row in rows], [row["seconds"] for row in rows]
    axes.loglog(pixels, seconds, "o-", color=OURS, label="whole pictures")
    anyway, slope = line(rows)
    straight = [anyway + slope * row["pixels"] for row in rows]
    axes.loglog(pixels, straight, "--", color=FAINT, linewidth=0.8, label="a straight line")
    selected = found["selection"]
    axes.loglog(
        [row["share"] * 1024**2 / 1e6 for row in selected],
        [row["seconds"] for row in selected],
        "s-",
        color=PLAIN,
        markersize=3,
        label="selections in 1024²",
    )
    axes.set(xlabel="megapixels painted", ylabel="s / iteration")
    axes.legend(frameon=False)
    axes.set_title("An iteration grows with what is painted")


def _regions(axes: Axes, found: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    rows = found["regions"]
    times = [row["seconds"] / rows[0]["seconds"] for row in rows]
    axes.plot([row["regions"] for row in rows], times, "o-", color=OURS)
    axes.set(xlabel="regions, each with a style", ylabel="times one region", ylim=(0, 1.2 * max(times)))
    axes.set_title("An iteration with several regions, 512²")


def _memory(axes: Axes, found: Mapping[str, Any]) -> None:
    rows = found["points"]
    sides = [row["side"] for row in rows]
    axes.loglog(sides, [row["peak_mb"] for row in rows], "o", color=OURS, label="measured peak")
    axes.loglog(sides, [row["predicted_mb"] for row in rows], "_", color=INK, markersize=12, label="predicted")
    axes.set_xticks(sorted(set(sides)), [str(side) for side in sorted(set(sides))])
    axes.minorticks_off()
    axes.set(xlabel="side, px", ylabel="MB resident")
    axes.legend(frameon=False)
    axes.set_title("Memory")


DRAWINGS = (
    ("jobs", _jobs),
    ("rivals", _rivals),
    ("bench", _bench),
    ("memory", _memory),
    ("scaling", _scaling),
    ("scaling", _regions),
)
