"""What a job holds at most, beside what its plan predicts.

    python tests/benchmarks/memory.py [--quick | --large] [--only TEXT] [--json FILE]

Every point is a process of its own, which paints at one scale until its optimiser remembers all that it will, or once
with a trained style. What is measured is its peak above what it held when all was imported and the pictures were there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from squares import square

from scumble.drawn import painting
from scumble.engine import models
from scumble.engine.accelerator import accelerator
from scumble.engine.box import Box
from scumble.engine.machine import device_of
from scumble.engine.painter import Painter
from scumble.engine.shape import Shape
from scumble.engine.transformation import Transformation
from scumble.picture import Picture
from scumble.recipe import Recipe

LITE, FULL = "embedded", "seeded-vgg19"


@dataclass(frozen=True)
class Point:
    """A square picture of `side` px painted at that size; `memory_mb` is the limit that makes tiles of it."""

    side: int
    features: str = LITE
    precision: str = "auto"
    optimizer: str = "adam"
    style_loss: str = "neighbours"
    memory_mb: int | None = None
    engine: str = "optimise"

    @property
    def name(self) -> str:
        """All that tells it from others."""
        limit = f", {self.memory_mb} MB" if self.memory_mb else ""
        if self.engine == "fast":
            return f"{self.side}², one pass {self.precision}{limit}"
        return f"{self.side}², {self.features} {self.precision}, {self.optimizer}, {self.style_loss}{limit}"


POINTS = (
    *(Point(side) for side in (256, 512, 1024, 2048, 4096)),
    *(Point(side, style_loss="gram") for side in (256, 512, 1024, 2048)),
    *(Point(side, precision="float32") for side in (512, 1024)),
    *(Point(side, precision="float32", style_loss="gram") for side in (512, 1024)),
    *(Point(side, optimizer="lbfgs", style_loss=loss) for side in (512, 1024) for loss in ("gram", "neighbours")),
    *(Point(side, FULL, style_loss=loss) for side in (256, 512, 1024) for loss in ("gram", "neighbours")),
    *(Point(side, FULL, "float32", style_loss="gram") for side in (256, 512)),
    *(Point(side, engine="fast") for side in (512, 1024, 2048, 4096)),
    *(Point(side, precision="float32", engine="fast") for side in (512, 2048)),
    Point(2048, memory_mb=700),
    Point(2048, style_loss="gram", memory_mb=700),
    Point(1024, FULL, style_loss="gram", memory_mb=700),
    Point(4096, style_loss="gram", memory_mb=2600),
)
LARGE = Point(8192)
"""Takes some minutes, and 8 GB."""
QUICK = (
    Point(512),
    Point(1024),
    Point(1024, engine="fast"),
    Point(1024, style_loss="gram"),
    Point(1024, style_loss="gram", memory_mb=500),
)
ITERATIONS = {"adam": 2, "lbfgs": 12}
"""After so many all is there that an optimiser remembers."""


def measured(point: Point) -> dict[str, Any]:
    """One point, in a fresh process."""
    ran = subprocess.run(
        [sys.executable, __file__, "--point", json.dumps(asdict(point))], check=True, stdout=subprocess.PIPE, text=True
    )
    return {**asdict(point), **json.loads(ran.stdout)}


def _here(point: Point) -> dict[str, float]:
    device = device_of("auto")
    host, painter = accelerator(device), Painter(str(device))
    content, style = square(point.side), Picture.from_rgb(painting("night", 512, 512))
    asked = {name: value for name, value in asdict(point).items() if name != "side"}
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe.parse(
            {
                **asked,
                "size": point.side,
                "styles": [{"picture": "style", "model": str(_untrained(Path(folder)))}],
                "scales": 1,
                "iterations": [ITERATIONS[point.optimizer]],
            }
        )
        todo = painter.plan(content.size, Box(0, 0, *content.size), recipe)
        idle = host.reset_peak()
        painter.paint(content, recipe, {"style": style})
    return {
        "peak_mb": (host.peak_bytes() - idle) / 2**20,
        "predicted_mb": todo.memory_mb,
        "tile_px": todo.tile_px or 0,
    }


def _untrained(folder: Path) -> Path:
    """A model of the usual shape; what a pass takes does not depend on what was learnt."""
    shape, file = Shape(noise=True), folder / "untrained.scumble"
    about = models.About(
        styles=[models.TrainedStyle(name="style", digest="0" * 64)],
        width=shape.width,
        blocks=shape.blocks,
        upsampling=shape.upsampling,
        noise=shape.noise,
        recipe=Recipe.parse({"styles": [{"picture": "style"}]}).as_dict(),
        size=512,
        features=LITE,
        steps=1,
        minutes=0,
    )
    tensors = Transformation(shape, torch.Generator().manual_seed(0)).tensors()
    models.write(models.Model(about, tensors, [np.zeros((8, 8, 3), np.uint8)]), file)
    return file


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few points only")
    parser.add_argument("--large", action="store_true", help="8192² px as well, which takes 8 GB and minutes")
    parser.add_argument("--only", default="", metavar="TEXT", help="points whose name has this in it")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.point:
        print(json.dumps(_here(Point(**json.loads(asked.point)))))
        return
    rows = []
    print(f"{'':58} {'tiles':>6} {'measured':>9} {'predicted':>10}")
    points = QUICK if asked.quick else POINTS
    for point in (*points, LARGE) if asked.large else points:
        if asked.only in point.name:
            row = measured(point)
            rows.append(row)
            off = row["predicted_mb"] / row["peak_mb"] - 1
            tiles = row["tile_px"] or "-"
            print(f"{point.name:58} {tiles:>6} {row['peak_mb']:6.0f} MB {row['predicted_mb']:7.0f} MB {off:+6.0%}")
            sys.stdout.flush()
    if asked.json:
        asked.json.write_text(json.dumps({"points": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
