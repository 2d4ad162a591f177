"""A trained style against optimisation: how near its losses come, how much sooner it is, and what it saves as a start.

    python tests/benchmarks/fast.py MODEL STYLE [--size 512] [--unseen 4] [--most 4096] [--json FILE]

MODEL is a .scumble file, STYLE the picture that it was trained for. Losses are those that it was trained by, at
strength 60, of pictures that no training sees: of the content, of one pass, and of 200 iterations of Adam at one scale.
How far a pass comes on the way from the first to the last is told in per cent; the iteration at which an optimisation
from the content has come as far; and how many iterations from the pass reach what 100 from the content do. Times are of
a painter that is warm.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from squares import square

from scumble.engine import models
from scumble.engine.painter import Painter
from scumble.picture import Picture, load
from scumble.recipe import Recipe
from scumble.style_training.report import unseen

ITERATIONS = 200
SIDES = (512, 1024, 2048, 4096)


def recipe(file: Path, size: int, **fields: Any) -> Recipe:
    """What the model was trained by, at strength 60."""
    about = models.describe(file)
    styles = [{"picture": "style", "model": str(file)}]
    return Recipe.parse({**about.recipe, "styles": styles, "size": size, "scales": 1, "least_gain": 0, **fields})


def losses(painter: Painter, file: Path, style: Picture, size: int, count: int) -> list[dict[str, float]]:
    """Of each unseen picture: the total loss of the content, of a pass, and of the optimisation, and how many
    iterations lead from the content to where the pass begins."""
    found = []
    for content in unseen((size, size * 3 // 4), count):
        picture = Picture.from_rgb(content[0].permute(1, 2, 0).numpy(), "float32")
        pictures = {"style": style}
        side = max(picture.size)
        _, objective = painter.objective(picture, recipe(file, side), pictures)

        def total(shown: Picture, objective: Any = objective) -> float:
            x = torch.from_numpy(shown.rgb().transpose(2, 0, 1).copy())[None]
            return float(objective.evaluate(x).total)

        fast = painter.paint(picture, recipe(file, side, engine="fast"), pictures).picture
        slow = painter.paint(picture, recipe(file, side, iterations=ITERATIONS), pictures)
        going_on = painter.paint(
            picture, recipe(file, side, iterations=ITERATIONS // 2, engine="fast+optimise"), pictures
        )
        curve = [each["total"] for each in slow.losses]
        row = {"content": total(picture), "fast": total(fast), "optimised": total(slow.picture)}
        row["way"] = (row["content"] - row["fast"]) / (row["content"] - row["optimised"])
        row["begins_at"] = next((n for n, loss in enumerate(curve) if loss <= row["fast"]), ITERATIONS)
        goal = curve[ITERATIONS // 2 - 1]
        row["after_half"] = goal
        row["sooner"] = next((n for n, each in enumerate(going_on.losses, 1) if each["total"] <= goal), ITERATIONS // 2)
        found.append(row)
    return found


def times(painter: Painter, file: Path, style: Picture, most: int, rounds: int = 3) -> list[dict[str, float]]:
    """Seconds of a pass, from the content to the painting, and of the optimisation (of a few iterations, by as many as
    200 take)."""
    found = []
    for side in (side for side in SIDES if side <= most):
        content, pictures = square(side), {"style": style}

        def seconds(asked: Recipe, content: Picture = content, pictures: dict[str, Picture] = pictures) -> float:
            return painter.paint(content, asked, pictures).seconds

        passes = [seconds(recipe(file, side, engine="fast")) for _ in range(rounds + 1)][1:]
        few, more = (statistics.median(seconds(recipe(file, side, iterations=n)) for _ in range(1)) for n in (2, 6))
        step = (more - few) / 4
        found.append({"side": side, "fast": statistics.median(passes), "optimise": few + step * (ITERATIONS - 2)})
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("style")
    parser.add_argument("--size", type=int, default=512, metavar="PX")
    parser.add_argument("--unseen", type=int, default=4, metavar="N", help="how many scenes; one more is none")
    parser.add_argument("--most", type=int, default=SIDES[-1], metavar="PX", help="the largest side to time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    painter, style = Painter(), load(asked.style)
    began = time.monotonic()
    each = losses(painter, asked.model, style, asked.size, asked.unseen)
    head = f"{'content':>9} {'one pass':>9} {ITERATIONS:>4} iterations  {'way':>5}"
    print(f"{head}  as iteration  instead of {ITERATIONS // 2}")
    for row in each:
        print(
            f"{row['content']:9.3f} {row['fast']:9.3f} {row['optimised']:15.3f}  {row['way']:5.0%}"
            f"  {row['begins_at']:12.0f}  {row['sooner']:12.0f}"
        )
    middle = statistics.median(row["fast"] / row["optimised"] for row in each)
    print(f"median loss of a pass: {middle:.2f} times that of the optimisation")
    timed = times(painter, asked.model, style, asked.most)
    print(f"\n{'side':>6} {'one pass, s':>12} {f'{ITERATIONS} iterations, s':>18} {'times':>8}")
    for row in timed:
        print(f"{row['side']:>5.0f}² {row['fast']:12.2f} {row['optimise']:18.1f} {row['optimise'] / row['fast']:8.0f}")
    print(f"\nmeasured in {time.monotonic() - began:.0f} s")
    if asked.json:
        asked.json.write_text(json.dumps({"losses": each, "times": timed}, indent=2) + "\n")


if __name__ == "__main__":
    main()
