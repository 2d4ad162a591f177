"""The figures that need a GPU: `python tests/benchmarks/gpu.py [--features NAME] [--rounds 5] [--json FILE]`.

- *step*: loss and gradient of VGG19 at 1024² px as a job takes it, recorded, in the type that `auto` means there; the
  same said anew every time; and what its share is of the card's own peak, the better of a lone 3 × 3 convolution's rate
  and of a matrix product's, measured by turns with it.
- *eager*: the plain loop over torchvision's VGG19, in TF32, by turns with the step.
- *jobs*: everyday paintings in a process that has painted before, from picture in memory to painting in memory:
  1024² `normal` and 4096² `fine`, both painted at that size, with the seconds to the first preview; and the very
  first job, which loads the features and the libraries.

Where there is no GPU it says so, with status 2. An H200 is to take at most 3 s and 30 s for the jobs, and at least
half of its peak and three times the eager loop for a step; first previews at most 1 s.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scumble import bench
from scumble.drawn import painting, scene
from scumble.engine.accelerator import Accelerator, accelerator
from scumble.engine.machine import device_of, dtype_of, is_gpu, processor_name
from scumble.engine.painter import Painter
from scumble.picture import Picture
from scumble.recipe import Precision, Recipe

SIDE = 1024
JOBS = (("normal", 1024), ("fine", 4096))
MATRIX = 8192
"""The side of the matrices whose product tells a peak."""

Figures = dict[str, float]


def main() -> None:
    """Measure, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", default="embedded", metavar="NAME", help="of the jobs; [embedded]")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of the jobs; [5]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    asked = parser.parse_args()
    device = device_of()
    if not is_gpu(device):
        print("There is no GPU here that torch can use, so nothing was measured.", file=sys.stderr)
        sys.exit(2)
    found = measure(device, asked.features, asked.rounds)
    for name, figures in found.items():
        print(f"{name}:", figures if isinstance(figures, str) else ", ".join(_words(figures)))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


def measure(device: torch.device, features: str = "embedded", rounds: int = 5) -> dict[str, Any]:
    """All figures by name; seconds, FLOP/s in units of 10¹², and ratios."""
    jobs = paintings(device, features, rounds)  # before all else, so that its first one is the process's
    return {"device": processor_name(device), "torch": str(torch.__version__), "step": step(device), **jobs}


def step(device: torch.device, side: int = SIDE) -> Figures:
    """One step beside the peaks and the eager loop."""
    dtype = dtype_of(Precision.AUTO, device)
    trunk = bench.trunk_of("vgg19", dtype, device)
    flop = bench.flop_per_px(trunk.geometry) * side**2
    picture = torch.rand(1, 3, side, side, device=device)
    with bench.at_work(trunk, side) as host:
        recorded = bench.step_of(trunk, side, [torch.ones(1, 1, side, side, device=device)])
        said = bench.step_of(trunk, side, [torch.ones(1, 1, side, side, device=device)])._step
        convolution, convolution_flop = bench.lone_convolution(side, dtype, device)
        product, product_flop = _product(dtype, device)
        eager = bench.eager_step(side, device)
        ways = [lambda: recorded(picture), lambda: said(picture), convolution, product, eager]
        many = [_many(way) for way in ways]
        step_s, said_s, convolution_s, product_s, eager_s = (each / _MANY for each in bench.in_turn(many, host))
        memory = _memory(host, lambda: said(picture))
    rate, of_convolution, of_product = flop / step_s, convolution_flop / convolution_s, product_flop / product_s
    return {
        "step_s": step_s,
        "said_anew_s": said_s,
        "eager_tf32_s": eager_s,
        "times_eager": eager_s / step_s,
        "tflops": rate / 1e12,
        "convolution_tflops": of_convolution / 1e12,
        "product_tflops": of_product / 1e12,
        "share_of_convolution": rate / of_convolution,
        "share_of_peak": rate / max(of_convolution, of_product),
        "memory_mb": memory / 1e6,
    }


_MANY = 10


def _many(way: Callable[[], object]) -> Callable[[], None]:
    """As in a job, where nobody waits between two steps."""

    def run() -> None:
        for _ in range(_MANY):
            way()

    return run


def _product(dtype: torch.dtype, device: torch.device) -> tuple[Callable[[], Tensor], float]:
    left, right = (torch.rand(MATRIX, MATRIX, device=device).to(dtype) for _ in range(2))
    return lambda: left @ right, 2.0 * MATRIX**3


def _memory(host: Accelerator, way: Callable[[], object]) -> int:
    host.wait()
    idle = host.reset_peak()
    way()
    host.wait()
    return host.peak_bytes() - idle


def paintings(
    device: torch.device, features: str, rounds: int, jobs: Sequence[tuple[str, int]] = JOBS
) -> dict[str, Figures]:
    """By preset and side: seconds in all, to the first preview, and the peak of the device's memory."""
    painter = Painter(str(device))
    style = Picture.from_rgb(painting("night", 1024, 1024))
    found = {}
    for preset, side in jobs:
        content = Picture.from_rgb(scene(side, side).rgb)
        recipe = Recipe.from_preset(preset, styles=[{"picture": "style"}], features=features, size=side)
        if not found:
            found["first job"] = _job(painter, content, style, recipe)
        each = [_job(painter, content, style, recipe) for _ in range(rounds)]
        found[f"{preset} {side}"] = {key: statistics.median(one[key] for one in each) for key in each[0]}
    return found


def _job(painter: Painter, content: Picture, style: Picture, recipe: Recipe) -> Figures:
    shown: list[float] = []

    def on_step(step: Any) -> None:
        if not shown:
            step.preview()
            shown.append(time.perf_counter() - began)

    host = accelerator(painter.device)
    idle, began = host.reset_peak(), time.perf_counter()
    painted = painter.paint(content, recipe, {"style": style}, on_step)
    seconds = time.perf_counter() - began
    tile = painted.plan.tile_px if painted.plan is not None else None
    memory = (host.peak_bytes() - idle) / 1e6
    return {"seconds": seconds, "first_preview_s": shown[0], "memory_mb": memory, "tile_px": tile or 0}


def _words(figures: Figures) -> list[str]:
    return [f"{name} {value:.3g}" for name, value in figures.items()]


if __name__ == "__main__":
    main()
