"""How long everyday jobs take, beside G'MIC's filter: `python tests/benchmarks/jobs.py [--rounds N] [--json FILE]`.

The demo's scene at 512 × 384 px after the bundled painting `night`, with the presets `draft` and `normal`:

- *warm*: in a process that has painted before, as the daemon's worker has; also the time to the first step;
- *command*: the whole of `scumble paint`, from the shell to the file, with everything that it loads;
- *gmic*: the whole of G'MIC's `stylize` on the same files with its own settings, where `gmic` is installed.

All by turns; medians of the rounds.
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from scumble.drawn import painting, scene
from scumble.engine.painter import Painter
from scumble.engine.run import Step
from scumble.picture import Picture
from scumble.recipe import Recipe

PRESETS = ("draft", "normal")
_SCUMBLE = "from scumble.cli import main; main()"

Figures = dict[str, float]


def measure(features: str = "embedded", rounds: int = 3) -> dict[str, Figures]:
    """By what was run (`draft warm`, `draft command`, …, `gmic`) its figures in seconds."""
    content = Picture.from_rgb(scene(512, 384).rgb)
    style = Picture.from_rgb(painting("night", 512, 512))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.png" for name in ("content", "style", "out")]
        for picture, path in zip((content, style), paths, strict=False):
            Image.fromarray((picture.rgb() * 255).round().astype("uint8")).save(path)
        ways = _ways(content, style, paths, features)
        found: dict[str, list[Figures]] = {name: [] for name in ways}
        ways["draft warm"]()  # the first job loads the features
        for _ in range(rounds):
            for name, way in ways.items():
                found[name].append(way())
    return {
        name: {key: statistics.median(each[key] for each in figures) for key in figures[0]}
        for name, figures in found.items()
    }


def _ways(content: Picture, style: Picture, paths: Sequence[Path], features: str) -> dict[str, Callable[[], Figures]]:
    painter = Painter()
    drawn, after, out = map(str, paths)
    ways: dict[str, Callable[[], Figures]] = {}
    for preset in PRESETS:
        recipe = Recipe.from_preset(preset, styles=[{"picture": "style"}], features=features)
        command = [sys.executable, "-c", _SCUMBLE, "paint", drawn, "--style", after, "--preset", preset]
        command += ["--features", features, "-o", out]
        ways[f"{preset} warm"] = lambda recipe=recipe: _job(painter, content, style, recipe)
        ways[f"{preset} command"] = lambda command=command: _command(command)
    if shutil.which("gmic"):
        ways["gmic"] = lambda: _command(["gmic", after, drawn, "stylize[1]", "[0]", "remove[0]", "output", out])
    return ways


def _job(painter: Painter, content: Picture, style: Picture, recipe: Recipe) -> Figures:
    first: list[float] = []

    def on_step(step: Step) -> None:
        first.append(time.perf_counter())

    began, used = time.perf_counter(), _processor(resource.RUSAGE_SELF)
    painter.paint(content, recipe, {"style": style}, on_step=on_step)
    wall, processor = time.perf_counter() - began, _processor(resource.RUSAGE_SELF) - used
    return {"wall": wall, "processor": processor, "first": first[0] - began}


def _command(command: Sequence[str]) -> Figures:
    began, used = time.perf_counter(), _processor(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    wall = time.perf_counter() - began
    return {"wall": wall, "processor": _processor(resource.RUSAGE_CHILDREN) - used}


def _processor(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--features", default="embedded", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    found = measure(asked.features, asked.rounds)
    rival = found.get("gmic", {}).get("wall")
    print(f"{'':16} {'s':>7} {'s of processor':>15} {'first step, s':>14} {'times G`MIC':>12}".replace("`", "'"))
    for name, each in found.items():
        first = f"{each['first']:.2f}" if "first" in each else ""
        times = f"{each['wall'] / rival:.2f}" if rival else ""
        print(f"{name:16} {each['wall']:7.2f} {each['processor']:15.2f} {first:>14} {times:>12}")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
