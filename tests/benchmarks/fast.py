"""A trained style against optimisation: how near its losses come, how much sooner it is, and what it saves as a start.

    python tests/benchmarks/fast.py MODEL STYLE [--size 512] [--unseen 4 | --images DIR] [--most 4096] [--json FILE]

MODEL is a .scumble file (FILE#NAME where it holds several styles), STYLE the picture that it was trained for. Losses
are those that it was trained by, at strength 60, of pictures that no training sees, or of photographs that this one did
not: of the content, of one pass, and of 200 iterations of Adam at one scale. How far a pass comes on the way from the
first to the last is told in per cent; the iteration at which an optimisation from the content has come as far; and how
many iterations from the pass reach what 100 from the content do. Times are of a painter that is warm.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from squares import square

from scumble.engine import models
from scumble.engine.objective import Objective
from scumble.engine.painter import Painter, Step
from scumble.engine.resample import resize
from scumble.picture import Picture, load
from scumble.recipe import Recipe
from scumble.style_training.report import unseen

ITERATIONS, HALF = 200, 100
LOOKS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 60, 80, HALF, 150, ITERATIONS)
"""The iterations after which the loss is taken."""
SIDES = (512, 1024, 2048, 4096)


def recipe(model: str, size: int, **fields: Any) -> Recipe:
    """What the model was trained by, at strength 60."""
    about = models.describe(Path(model.partition("#")[0]))
    styles = [{"picture": "style", "model": model}]
    return Recipe.parse({**about.recipe, "styles": styles, "size": size, "scales": 1, "least_gain": 0, **fields})


def scenes(size: int, count: int) -> list[Picture]:
    """Pictures that Scumble draws, and no training sees; none for 0."""
    if not count:
        return []
    return [
        Picture.from_rgb(content[0].permute(1, 2, 0).numpy(), "float32")
        for content in unseen((size, size * 3 // 4), count)
    ]


def photographs(folder: Path, size: int) -> list[Picture]:
    """What lies in a folder, brought to a longest side of `size` px."""
    found = []
    for file in sorted(each for each in folder.iterdir() if each.is_file()):
        rgb = torch.from_numpy(load(str(file)).rgb()).permute(2, 0, 1)[None]
        shrink = size / max(rgb.shape[2:])
        small = resize(rgb, *(round(side * shrink) for side in rgb.shape[2:])).clamp(0, 1)
        found.append(Picture.from_rgb(small[0].permute(1, 2, 0).numpy(), "float32"))
    return found


def losses(painter: Painter, file: str, style: Picture, contents: list[Picture]) -> list[dict[str, Any]]:
    """Of each content the total loss of itself, of a pass, and after so many iterations from the one and from the
    other; where neighbours are looked for, with those of the picture itself."""
    found = []
    for picture in contents:
        pictures, side = {"style": style}, max(picture.size)
        _, objective = painter.objective(picture, recipe(file, side), pictures)

        asked = {"engine": "optimise", "iterations": ITERATIONS}
        total = partial(_total, objective)
        fast = painter.paint(picture, recipe(file, side, engine="fast"), pictures).picture
        row = {
            "content": total(picture.rgb()),
            "fast": total(fast.rgb()),
            "from_content": _descent(painter, picture, recipe(file, side, **asked), pictures, total),
            "from_pass": _descent(
                painter, picture, recipe(file, side, **{**asked, "engine": "fast+optimise"}), pictures, total
            ),
        }
        row["way"] = (row["content"] - row["fast"]) / (row["content"] - row["from_content"][ITERATIONS])
        row["begins_at"] = _reaches(row["from_content"], row["fast"])
        row["saved"] = HALF - _reaches(row["from_pass"], row["from_content"][HALF])
        found.append(row)
    return found


def _total(objective: Objective, shown: np.ndarray) -> float:
    x = torch.from_numpy(np.ascontiguousarray(shown.transpose(2, 0, 1)))[None]
    if objective.matches:
        objective.match(x, by_content_alone=False)
    return float(objective.evaluate(x).total)


def _descent(
    painter: Painter,
    picture: Picture,
    asked: Recipe,
    pictures: dict[str, Picture],
    total: Callable[[np.ndarray], float],
) -> dict[int, float]:
    """The loss after the iterations that are looked at."""
    reached = {}

    def on_step(step: Step) -> None:
        if step.iteration in LOOKS:
            reached[step.iteration] = total(step.preview())

    painter.paint(picture, asked, pictures, on_step)
    return reached


def _reaches(curve: dict[int, float], loss: float) -> int:
    """The first iteration looked at whose loss is no more; all of them where none is."""
    return next((n for n, each in curve.items() if each <= loss), ITERATIONS)


def times(painter: Painter, file: str, style: Picture, most: int, rounds: int = 3) -> list[dict[str, float]]:
    """Seconds of a pass, from the content to the painting, and of 200 iterations, by the median of the few that are
    made; the search for neighbours is not in them."""
    found = []
    for side in (side for side in SIDES if side <= most):
        content, pictures = square(side), {"style": style}
        asked = recipe(file, side, engine="fast")
        passes = [painter.paint(content, asked, pictures).seconds for _ in range(rounds + 1)][1:]
        at: list[float] = []
        few = recipe(file, side, iterations=4, matchings=1)
        painter.paint(content, few, pictures, lambda step, at=at: at.append(time.perf_counter()))
        step = statistics.median(later - earlier for earlier, later in itertools.pairwise(at))
        found.append({"side": side, "fast": statistics.median(passes), "optimise": step * ITERATIONS})
    return found


def _tell(each: list[dict[str, Any]]) -> None:
    print(f"{'content':>9} {'one pass':>9} {ITERATIONS:>4} iterations  {'way':>5}  as iteration  saves of {HALF}")
    for row in each:
        print(
            f"{row['content']:9.3f} {row['fast']:9.3f} {row['from_content'][ITERATIONS]:15.3f}  {row['way']:5.0%}"
            f"  {row['begins_at']:12.0f}  {row['saved']:12.0f}"
        )
    middle = statistics.median(row["fast"] / row["from_content"][ITERATIONS] for row in each)
    print(f"median loss of a pass: {middle:.2f} times that of the optimisation")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("style")
    parser.add_argument("--size", type=int, default=512, metavar="PX")
    parser.add_argument(
        "--unseen", type=int, default=4, metavar="N", help="how many scenes, and one that is none; 0: no losses"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="photographs to take instead")
    parser.add_argument("--most", type=int, default=SIDES[-1], metavar="PX", help="the largest side to time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    painter, style = Painter(), load(asked.style)
    began = time.monotonic()
    contents = photographs(asked.images, asked.size) if asked.images else scenes(asked.size, asked.unseen)
    each = losses(painter, asked.model, style, contents)
    if each:
        _tell(each)
    timed = times(painter, asked.model, style, asked.most)
    print(f"\n{'side':>6} {'one pass, s':>12} {f'{ITERATIONS} iterations, s':>18} {'times':>8}")
    for row in timed:
        print(f"{row['side']:>5.0f}² {row['fast']:12.2f} {row['optimise']:18.1f} {row['optimise'] / row['fast']:8.0f}")
    print(f"\nmeasured in {time.monotonic() - began:.0f} s")
    if asked.json:
        asked.json.write_text(json.dumps({"losses": each, "times": timed}, indent=2) + "\n")


if __name__ == "__main__":
    main()
