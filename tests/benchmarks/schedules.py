"""Which road to one loss is the cheapest: `python tests/benchmarks/schedules.py [--size 256] [--json FILE]`

neural-style-pt's loss (see rivals.py), VGG19, six pairs of pictures; every schedule does about the work of 50
iterations at the full size. Told is the least loss of its last five iterations, in thousands.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rivals
import rivals_network
import rivals_plain as plain

from scumble.engine.painter import Painter
from scumble.picture import Picture
from scumble.recipe import Recipe

SCHEDULES: Mapping[str, Mapping[str, Any]] = {
    "L-BFGS": {"optimizer": "lbfgs", "iterations": [50]},
    "L-BFGS, 2 levels": {"optimizer": "lbfgs", "iterations": [60, 35]},
    "L-BFGS, 3 levels": {"optimizer": "lbfgs", "iterations": [60, 60, 31]},
    "Adam": {"optimizer": "adam", "iterations": [50]},
    "Adam, 2 levels": {"optimizer": "adam", "iterations": [60, 35]},
    "Adam at 0.06": {"optimizer": "adam", "iterations": [50], "learning_rate": 0.06},
}


def measure(size: int) -> dict[str, dict[str, float]]:
    """By pair and schedule, the loss that it comes to."""
    painter, found = Painter(), dict[str, dict[str, float]]()
    with tempfile.TemporaryDirectory() as name:
        network = rivals_network.network(*(plain.caffe(each) for each in rivals.pictures(0, 512)))
        rivals_network.write(network, Path(name))
        for index, pair in enumerate(rivals.PAIRS):
            content, style = (Picture.from_rgb(each) for each in rivals.pictures(index, size))
            found[pair] = {}
            for label, schedule in SCHEDULES.items():
                asked = {"features": f"{name}/vgg19.safetensors", "size": size, "least_gain": 0}
                recipe = Recipe.parse({**rivals.LOSS, **asked, "scales": len(schedule["iterations"]), **schedule})
                losses = painter.paint(content, recipe, {"style": style}).losses
                found[pair][label] = min(each["total"] for each in losses[-5:])
            print(f"{pair:12}" + "".join(f"{loss / 1000:18.0f}" for loss in found[pair].values()), flush=True)
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, metavar="PX")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    print(" " * 12 + "".join(f"{label:>18}" for label in SCHEDULES))
    found = measure(asked.size)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
