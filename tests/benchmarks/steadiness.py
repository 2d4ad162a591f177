"""How steady the frames of a video stay: frame by frame, going on from the last one, and kept near it.

    python tests/benchmarks/steadiness.py [--frames 8] [--rounds 1] [--style-loss gram] [--sheet FILE] [--json FILE]

The video is the demo's scene, over which a camera moves and closes in by known parts of a px, so that the true way back
is known. *Unrest* is the mean over what the frame before shows too of |painting − painting before, moved along the true
way back|, in parts of the colour range. *Grain* is what differs from the nearest px in the last frame, in parts of the
first one's: less is smear, more is noise. *Away* is how far the ground colours of the last frame, under a bell of 4 px,
are from those of the frame painted by itself: what drifts off. `flow` is how far the motion that was found misses
the true one where it is trusted, on average, and how much of a frame is.
"""

import argparse
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from scumble.drawn import painting, scene
from scumble.engine.flow import motion, moved
from scumble.engine.painter import Painter
from scumble.picture import Picture, save
from scumble.recipe import Recipe
from scumble.video import Frame, going_on

WIDTH, HEIGHT = 192, 128
WAYS: dict[str, Mapping[str, Any] | None] = {
    "each by itself": None,
    "start only": {"steady_weight": 0},
    "start and loss, weight 1": {"steady_weight": 1},
    "start and loss, weight 4 (--video)": {},
    "start and loss, weight 16": {"steady_weight": 16},
}
SHOWN = ("each by itself", "start only", "start and loss, weight 4 (--video)")


@dataclass(frozen=True)
class Camera:
    """Pixel (x, y) of a frame lies at (left + pitch · x, top + pitch · y) of the large picture."""

    left: float
    top: float
    pitch: float

    @classmethod
    def at(cls, number: int) -> "Camera":
        """Of that frame: 1.4 px to the right and 0.6 px down with each, and closer by 0.6 %."""
        return cls(150 + 4.1 * number, 60 + 1.7 * number, 3 * 1.006**-number)

    def frame(self, large: np.ndarray) -> Picture:
        """What it sees."""
        smooth = cv2.GaussianBlur(large, (0, 0), self.pitch / 2)
        way = np.array([[self.pitch, 0, self.left], [0, self.pitch, self.top]], np.float32)
        seen = cv2.warpAffine(smooth, way, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        return Picture.from_rgb(np.clip(seen, 0, 1))

    def way_back(self, before: "Camera") -> np.ndarray:
        """Where each px was in the frame before, (height, width, 2), in px from where it is."""
        x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
        there = (self.left + self.pitch * x - before.left) / before.pitch
        down = (self.top + self.pitch * y - before.top) / before.pitch
        return np.dstack([there - x, down - y]).astype(np.float32)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """All ways, by turns; paintings under `paintings`."""
    large = scene(960, 672).rgb
    cameras = [Camera.at(number) for number in range(asked.frames)]
    contents = [camera.frame(large) for camera in cameras]
    ways = [camera.way_back(before) for camera, before in zip(cameras[1:], cameras, strict=False)]
    pictures = {"style": Picture.from_rgb(painting(asked.style, 256, 256))}
    recipe = Recipe.parse(
        {"styles": [{"picture": "style"}], "style_loss": asked.style_loss, "features": asked.features}
    )
    painter = Painter("cpu")
    painted: dict[str, list[Picture]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(asked.rounds):
        first = painter.paint(contents[0], recipe, pictures).picture
        for name, fields in WAYS.items():
            began = time.perf_counter()
            painted[name] = _video(painter, contents, first, recipe, pictures, fields)
            seconds[name].append((time.perf_counter() - began) / (asked.frames - 1))
    alone = painted["each by itself"][-1]
    rows = [
        {
            "way": name,
            "unrest": float(np.mean([_unrest(*pair) for pair in zip(found[1:], found, ways, strict=False)])),
            "grain": _grain(found[-1]) / _grain(found[0]),
            "away": float(np.abs(_ground(found[-1]) - _ground(alone)).mean()),
            "seconds": float(np.median(seconds[name])),
        }
        for name, found in painted.items()
    ]
    return {"rows": rows, "flow": _flow(contents, ways), "paintings": {"the frames": contents, **painted}}


def _video(
    painter: Painter,
    contents: list[Picture],
    first: Picture,
    recipe: Recipe,
    pictures: dict[str, Picture],
    fields: Mapping[str, Any] | None,
) -> list[Picture]:
    found = [first]
    for before, content in itertools.pairwise(contents):
        asked, known = recipe, pictures
        if fields is not None:
            gone_on = going_on(Frame(before, found[-1]), content, recipe.changed(**fields), pictures)
            assert gone_on is not None
            asked, known = gone_on
        found.append(painter.paint(content, asked, known).picture)
    return found


def _unrest(after: Picture, before: Picture, way: np.ndarray) -> float:
    away = np.abs(after.rgb() - moved(before.rgb(), way)).mean(2)
    x, y = way[..., 0] + np.arange(WIDTH), way[..., 1] + np.arange(HEIGHT)[:, None]
    return float(away[(x >= 0) & (y >= 0) & (x <= WIDTH - 1) & (y <= HEIGHT - 1)].mean())


def _grain(picture: Picture) -> float:
    rgb = picture.rgb()
    return float(np.abs(np.diff(rgb, axis=0)).mean() + np.abs(np.diff(rgb, axis=1)).mean())


def _ground(picture: Picture) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(picture.rgb(), (0, 0), 4))


def _flow(contents: list[Picture], ways: list[np.ndarray]) -> dict[str, float]:
    found = [motion(before.rgb(), after.rgb()) for before, after in itertools.pairwise(contents)]
    misses = [
        float((np.linalg.norm(each.way_back - way, axis=2) * each.trust).sum() / each.trust.sum())
        for each, way in zip(found, ways, strict=True)
    ]
    return {"misses_px": float(np.mean(misses)), "trusted": float(np.mean([each.trusted for each in found]))}


def _sheet(paintings: Mapping[str, list[Picture]]) -> Picture:
    """Every other frame from left to right, at twice its size; a way in each row."""
    rows = [np.concatenate([each.pixels for each in paintings[name][::2]], axis=1) for name in ("the frames", *SHOWN)]
    whole = Image.fromarray(np.concatenate(rows))
    return Picture(np.asarray(whole.resize((2 * whole.width, 2 * whole.height), Image.Resampling.LANCZOS)))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=8, metavar="N")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="of which seconds are the median")
    parser.add_argument("--style", default="night", metavar="NAME", help="a bundled painting")
    parser.add_argument("--style-loss", default="neighbours", metavar="neighbours|gram")
    parser.add_argument("--features", default="embedded", metavar="NAME")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="a picture of frames")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    found = measure(asked)
    print(f"{'':36} {'unrest':>8} {'grain':>7} {'away':>7} {'s / frame':>10}")
    for row in found["rows"]:
        print(f"{row['way']:36} {row['unrest']:8.4f} {row['grain']:7.2f} {row['away']:7.4f} {row['seconds']:10.2f}")
    flow = found["flow"]
    print(f"flow: misses {flow['misses_px']:.3f} px, {flow['trusted']:.0%} of a frame trusted")
    paintings = found.pop("paintings")
    if asked.sheet:
        save(_sheet(paintings), asked.sheet)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
