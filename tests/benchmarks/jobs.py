"""How long everyday jobs take: `python tests/benchmarks/jobs.py [--rounds N] [--features NAME] [--json FILE]`.

The demo's scene at 512 × 384 px after the bundled painting `night`, with the presets `draft` and `normal`, by turns, in
one process that has painted one job before, as the daemon's worker has. Medians of wall time and of processor time, and
the time to the first picture that can be shown.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

from scumble.drawn import painting, scene
from scumble.engine.painter import Painter
from scumble.engine.run import Step
from scumble.picture import Picture
from scumble.recipe import Recipe

PRESETS = ("draft", "normal")


def timed(painter: Painter, preset: str, features: str) -> dict[str, float]:
    """Seconds of one job: by the clock, of all cores together, and to its first step."""
    content = Picture.from_rgb(scene(512, 384).rgb)
    style = Picture.from_rgb(painting("night", 512, 512))
    recipe = Recipe.from_preset(preset, styles=[{"picture": "style"}], features=features)
    first: list[float] = []

    def on_step(step: Step) -> None:
        first.append(time.perf_counter())

    began, used = time.perf_counter(), _processor()
    painter.paint(content, recipe, {"style": style}, on_step=on_step)
    return {"wall": time.perf_counter() - began, "processor": _processor() - used, "first": first[0] - began}


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--features", default="embedded", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    painter = Painter()
    timed(painter, "draft", asked.features)
    found: dict[str, list[dict[str, float]]] = {preset: [] for preset in PRESETS}
    for _ in range(asked.rounds):
        for preset in PRESETS:
            found[preset].append(timed(painter, preset, asked.features))
    medians = {
        preset: {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        for preset, rounds in found.items()
    }
    for preset, each in medians.items():
        print(
            f"{preset:8} {each['wall']:6.1f} s   {each['processor']:6.1f} s of processor   first step after"
            f" {each['first']:.1f} s"
        )
    if asked.json:
        asked.json.write_text(json.dumps(medians, indent=2) + "\n")


if __name__ == "__main__":
    main()
