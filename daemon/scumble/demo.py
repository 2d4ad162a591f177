"""The demo: what Scumble does, in one command and without any download, on pictures that it draws itself.

It paints as any program would: it posts a job to the daemon and follows it. A daemon that it had to start, it stops.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from scumble import console, remote, runtime
from scumble.client import Client
from scumble.drawn import PAINTINGS, painting, scene
from scumble.errors import ScumbleError
from scumble.home import home
from scumble.options import put, write_json
from scumble.picture import Picture, load, save
from scumble.recipe import Recipe
from scumble.sheet import FAINT, GAP, INK, LINE, MARGIN, PAPER, Tile, as_picture, face, fitted, scaled, shelf

SHOWN = {"sky": "bands", "water": "night"}
"""Which region of the scene is painted after which painting."""
_STYLE_SIZE = 512
_RESULT_WIDTH = 760  # px on the contact sheet, at least


def run(folder: Path, size: int, quality: str, changes: Sequence[str] = ()) -> None:
    """Draw, paint, and leave everything in `folder`: pictures, masks, the recipe, the result and a contact sheet.

    `size` is the width of the scene in px; `changes` are further fields of the recipe, as `--set` takes them.
    """
    began = console.now()
    data = _recipe(size, quality)
    for change in changes:
        name, _, value = change.partition("=")
        put(data, name, value)
    recipe = Recipe.parse(data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScumbleError("cannot-write", f"{folder} cannot be made: {error.strerror or error}.") from error
    console.say("Drawing the scene and six paintings.")
    _draw(folder, size)
    write_json(folder / "recipe.json", recipe.as_dict())
    with _daemon() as client:
        files = {name: folder / name for name in recipe.names}
        painted, job = remote.paint(client, folder / "scene.png", recipe, files, name="scene.png")
    save(painted, folder / "result.png")
    save(as_picture(_sheet(folder, painted)), folder / "contact_sheet.png")
    console.conclude_job(job, folder / "result.png")
    console.say(f"All is in {folder}, after {console.now() - began:.0f} s; look at contact_sheet.png first.")
    console.say(f"The same again: scumble paint {folder / 'scene.png'} --recipe {folder / 'recipe.json'}")


@contextlib.contextmanager
def _daemon() -> Iterator[Client]:
    """A daemon; if it had to be started, it is stopped at the end."""
    with remote.connected() as client:
        try:
            yield client
        finally:
            if client.was_started:
                runtime.stop(home())


def _recipe(size: int, quality: str) -> dict[str, Any]:
    return {
        "styles": [{"picture": f"{style}.png", "region": region} for region, style in SHOWN.items()],
        "regions": [{"name": region, "mask": f"mask_{region}.png"} for region in SHOWN],
        "quality": quality,
        "size": size,
    }


def _draw(folder: Path, size: int) -> None:
    drawn = scene(size, max(32, round(size * 0.7)))
    save(Picture.from_rgb(drawn.rgb), folder / "scene.png")
    for name in SHOWN:
        gray = np.rint(drawn.masks[name][..., None] * 255).astype(np.uint8)
        save(Picture(gray), folder / f"mask_{name}.png")
    side = max(32, min(size, _STYLE_SIZE))
    for name in PAINTINGS:
        save(Picture.from_rgb(painting(name, side, side)), folder / f"{name}.png")


def _sheet(folder: Path, result: Picture) -> Image.Image:
    """The scene and its masks on the left, the result beside them as high as both, the six paintings below."""
    width = max(result.width, _RESULT_WIDTH)
    height = round(width * result.height / result.width)
    # beside the result: the scene, and below it two masks, each with its label
    ratio = result.height / result.width
    side = round((height - LINE - GAP + ratio * GAP / 2) / (1.5 * ratio))
    full = 2 * MARGIN + side + GAP + width
    edges = [MARGIN + round(n * (full - 2 * MARGIN + GAP) / len(PAINTINGS)) for n in range(len(PAINTINGS) + 1)]
    styles = edges[1] - edges[0] - GAP
    top = MARGIN + 44
    low = top + height + LINE + GAP + 10
    paper = Image.new("RGB", (full, low + styles + LINE + MARGIN), PAPER)
    pen = ImageDraw.Draw(paper)
    pen.text((MARGIN, MARGIN - 6), "Scumble", font=face(28), fill=INK)
    words = "the sky after one painting, the water after another, the land as it was"
    pen.text((full - MARGIN, MARGIN + 4), words, font=face(15), fill=FAINT, anchor="ra")

    def image(name: str) -> Image.Image:
        return fitted(load(folder / f"{name}.png"), 4096, 4096)

    upper = round(side * ratio)
    shelf(paper, [Tile("scene", image("scene"))], (MARGIN, top), upper)
    masks = [Tile(f"{region}: {style}", image(f"mask_{region}")) for region, style in SHOWN.items()]
    shelf(paper, masks, (MARGIN, top + upper + LINE + GAP), height - upper - LINE - GAP)
    paper.paste(scaled(fitted(result, 4096, 4096), width, height), (MARGIN + side + GAP, top))
    pen.text((MARGIN + side + GAP, top + height + 4), "result", font=face(13), fill=INK)
    for name, left, right in zip(PAINTINGS, edges, edges[1:], strict=False):
        square = scaled(image(name), right - left - GAP, styles)
        shelf(paper, [Tile(name, square)], (left, low), styles)
    return paper
