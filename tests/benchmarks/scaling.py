"""How the time of an iteration grows: with the picture, with the selection, with the number of regions.

    python tests/benchmarks/scaling.py [--rounds 3] [--most 4096] [--features NAME] [--json FILE]

Every figure is the median over the rounds, in which all its rows are measured by turns, of the median iteration of a
job at one scale after the bundled painting `night`. What comes once per job (matching, pieces) is not in it.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from squares import square

from scumble.drawn import painting
from scumble.engine.painter import Painter
from scumble.engine.run import Step
from scumble.picture import Picture
from scumble.recipe import Recipe

SIDES = (256, 512, 1024, 2048, 4096)
AREAS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
REGIONS = (1, 2, 3, 4, 6, 8)
SELECTED_SIDE, REGIONS_SIDE = 1024, 512
FEWEST, MOST, ITERATED_PX = 5, 40, 2**22
"""Iterations of a job: fewer the larger it is; the first ones of all are slower, until memory has settled."""

Row = dict[str, float]
Case = tuple[Picture, Recipe, dict[str, Picture]]


def measure(features: str = "embedded", rounds: int = 3, most: int = SIDES[-1]) -> dict[str, list[dict[str, float]]]:
    """Seconds of one iteration: `pixels` by side, `selection` by share of the picture, `regions` by their number."""
    painter = Painter()
    style = Picture.from_rgb(painting("night", 512, 512))

    def case(side: int, masks: dict[str, np.ndarray], **fields: Any) -> Case:
        content = square(side)
        iterations = max(FEWEST, min(MOST, ITERATED_PX // side**2))
        recipe = Recipe(scales=1, iterations=(iterations,), size=side, features=features, least_gain=0, **fields)
        pictures = {name: Picture(np.round(mask * 255).astype(np.uint8)[..., None]) for name, mask in masks.items()}
        return content, recipe, {**pictures, "style": style}

    def whole(side: int) -> Case:
        return case(side, {}, styles=({"picture": "style"},))

    def selected(share: float) -> Case:
        fields = {"selection": "mask", "styles": ({"picture": "style"},)}
        return case(SELECTED_SIDE, {"mask": _middle(SELECTED_SIDE, share)}, **fields)

    def divided(count: int) -> Case:
        masks = {f"mask{index}": mask for index, mask in enumerate(_bands(REGIONS_SIDE, count))}
        regions = [{"name": name, "mask": name} for name in masks]
        return case(REGIONS_SIDE, masks, regions=regions, styles=[{"picture": "style", "region": n} for n in masks])

    return {
        "pixels": _rows(painter, "side", [side for side in SIDES if side <= most], whole, rounds),
        "selection": _rows(painter, "share", AREAS, selected, rounds),
        "regions": _rows(painter, "regions", REGIONS, divided, rounds),
    }


def _rows(painter: Painter, label: str, values: Sequence[float], case: Callable[[Any], Case], rounds: int) -> list[Row]:
    found: dict[float, list[Row]] = {value: [] for value in values}
    for _ in range(rounds):
        for value in values:
            found[value].append(_iteration(painter, case(value)))
    return [
        {label: value, **{key: statistics.median(each[key] for each in rows) for key in rows[0]}}
        for value, rows in found.items()
    ]


def _iteration(painter: Painter, case: Case) -> Row:
    """The median iteration of one job: seconds, the pixels it computes, and the side of its tiles (0: in one piece)."""
    content, recipe, pictures = case
    times: list[float] = []
    pixels: list[int] = []

    def on_step(step: Step) -> None:
        times.append(time.perf_counter())
        pixels.append(step.width * step.height)

    painted = painter.paint(content, recipe, pictures, on_step)
    assert painted.plan is not None
    between = [later - earlier for earlier, later in itertools.pairwise(times)]
    return {"seconds": statistics.median(between), "pixels": pixels[-1], "tile": painted.plan.tile_px or 0}


def _middle(side: int, share: float) -> np.ndarray:
    """A square mask in the middle, of that share of the area."""
    within = np.abs(np.arange(side) + 0.5 - side / 2) <= side * share**0.5 / 2
    return np.outer(within, within).astype(np.float32)


def _bands(side: int, count: int) -> list[np.ndarray]:
    """Upright bands side by side, which meet softly over 16 px."""
    x = np.arange(side) + 0.5
    edges = [np.clip((x - side * index / count) / 16 + 0.5, 0, 1) for index in range(1, count)]
    starts = [np.ones(side), *edges]
    ends = [*edges, np.zeros(side)]
    return [np.broadcast_to(start - end, (side, side)) for start, end in zip(starts, ends, strict=True)]


def line(rows: Sequence[Row]) -> tuple[float, float]:
    """Seconds that any iteration takes and seconds per pixel, of the straight line from which the farthest of all rows
    is the fewest per cent away: the one that misses some three of them alternately by as much, and as much as any three
    can be missed (de la Vallée-Poussin)."""
    seconds, pixels = (np.array([row[key] for row in rows]) for key in ("seconds", "pixels"))
    missed = 0.0, np.linalg.lstsq(np.stack([1 / seconds, pixels / seconds], 1), np.ones(len(rows)), rcond=None)[0]
    for three in map(list, itertools.combinations(np.argsort(pixels), 3)):
        terms = np.stack([1 / seconds[three], pixels[three] / seconds[three], [1, -1, 1]], 1)
        *found, by = np.linalg.solve(terms, np.ones(3))
        missed = max(missed, (abs(by), found), key=lambda each: each[0])
    anyway, each = missed[1]
    return float(anyway), float(each)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--most", type=int, default=SIDES[-1], metavar="PX", help="the largest side")
    parser.add_argument("--features", default="embedded", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    found = measure(asked.features, asked.rounds, asked.most)
    anyway, slope = line(found["pixels"])
    print(f"{'side':>10} {'s / iteration':>14} {'ns / px':>8} {'of the line':>12} {'tiles':>6}")
    for row in found["pixels"]:
        each, part = row["seconds"] / row["pixels"] * 1e9, row["seconds"] / (anyway + slope * row["pixels"])
        print(f"{row['side']:>9}² {row['seconds']:14.3f} {each:8.0f} {part:12.2f} {row['tile'] or '-':>6}")
    print(f"the line: {anyway * 1e3:.1f} ms and {slope * 1e9:.0f} ns / px")
    for name, label in (("selection", "share"), ("regions", "regions")):
        whole = found[name][-1 if name == "selection" else 0]
        print(f"\n{label:>10} {'s / iteration':>14} {'times':>8} {'pixels':>14}")
        for row in found[name]:
            times = row["seconds"] / whole["seconds"]
            print(f"{row[label]:>10g} {row['seconds']:14.3f} {times:8.2f} {row['pixels']:14,.0f}")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
