"""Contents × styles on one sheet, to be looked at: `python tests/benchmarks/gallery.py -o sheet.jpg`.

Without arguments it paints six contents that Scumble draws after six styles that came with it, with the everyday
preset at 512 px. `--content` and `--style` name pictures of your own. With `--rivals` each content is painted after one
style only, by several ways side by side: He's random filters, seeded features, Scumble's own, and G'MIC's `stylize` if
`gmic` is installed.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path

from PIL import Image, ImageDraw

from scumble.drawn import painting, scene, swatches
from scumble.engine.painter import Painter
from scumble.engine.weights import save as save_weights
from scumble.picture import Picture, decode, load
from scumble.recipe import Recipe
from scumble.sheet import GAP, INK, PAPER, face, fitted
from scumble.training.measures import plain

SIDE = 512
CONTENTS = ("scene", "night", "watercolour", "dabs", "glass", "woodcut")
STYLES = ("bands", "tides", "sea-glass", "charcoal-strokes", "moonlit-brush", "torn-paper")


def drawn(name: str) -> Picture:
    """A picture that came with Scumble or that it draws, or that of a file."""
    if name == "scene":
        return Picture.from_rgb(scene(SIDE, SIDE * 3 // 4).rgb)
    if name in swatches.SWATCHES:
        return decode(swatches.swatch(name))
    if Path(name).suffix:
        return load(name)
    return Picture.from_rgb(painting(name, SIDE, SIDE))


def painted(content: Picture, style: Picture, features: str) -> Picture:
    """The everyday preset."""
    recipe = Recipe.from_preset("normal", styles=[{"picture": "style"}], features=features, size=SIDE)
    began = time.perf_counter()
    found = _PAINTER.paint(content, recipe, {"style": style})
    print(f"  {features}: {time.perf_counter() - began:.1f} s", flush=True)
    return found.picture


def stylized(content: Picture, style: Picture) -> Picture:
    """G'MIC's filter with its own settings."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.png" for name in ("content", "style", "out")]
        for picture, path in zip((content, style), paths, strict=False):
            fitted(picture, SIDE, SIDE).save(path)
        began = time.perf_counter()
        command = ["gmic", str(paths[1]), str(paths[0]), "stylize[1]", "[0]", "remove[0]", "output", str(paths[2])]
        subprocess.run(command, check=True, capture_output=True)
        print(f"  gmic: {time.perf_counter() - began:.1f} s", flush=True)
        return load(paths[2])


def sheet(names: Sequence[str], rows: Sequence[Sequence[Picture | None]], cell: int) -> Image.Image:
    """Rows of pictures under their columns' names."""
    height = cell * 3 // 4
    paper = Image.new("RGB", (GAP + len(names) * (cell + GAP), 30 + len(rows) * (height + GAP)), PAPER)
    pen = ImageDraw.Draw(paper)
    for column, name in enumerate(names):
        pen.text((GAP + column * (cell + GAP), 8), name, font=face(15), fill=INK)
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            if picture is not None:
                at = (GAP + column * (cell + GAP), 30 + row * (height + GAP))
                paper.paste(_cropped(picture, cell, height), at)
    return paper


def _cropped(picture: Picture, width: int, height: int) -> Image.Image:
    """The middle of a picture, filling `width` × `height`."""
    image = fitted(picture, 4096, 4096).convert("RGB")
    scale = max(width / image.width, height / image.height)
    image = image.resize((max(width, round(image.width * scale)), max(height, round(image.height * scale))))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def main() -> None:
    """Paint the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--content", nargs="+", default=CONTENTS, metavar="NAME|FILE")
    parser.add_argument("--style", nargs="+", default=STYLES, metavar="NAME|FILE")
    parser.add_argument("--features", default="embedded")
    parser.add_argument("--rivals", action="store_true", help="one style a content, painted in several ways")
    parser.add_argument("--cell", type=int, default=320, metavar="PX", help="width of a picture on the sheet")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    contents, styles = ([drawn(name) for name in names] for names in (asked.content, asked.style))
    made = _rivals(contents, styles, asked) if asked.rivals else _all(contents, styles, asked)
    made.save(asked.output, quality=88)


def _all(contents: Sequence[Picture], styles: Sequence[Picture], asked: argparse.Namespace) -> Image.Image:
    painted_rows = [[content, *(painted(content, style, asked.features) for style in styles)] for content in contents]
    rows: list[list[Picture | None]] = [[None, *styles], *painted_rows]
    return sheet(["", *(Path(name).stem for name in asked.style)], rows, asked.cell)


def _rivals(contents: Sequence[Picture], styles: Sequence[Picture], asked: argparse.Namespace) -> Image.Image:
    with tempfile.TemporaryDirectory() as folder:
        random = Path(folder) / "plain.safetensors"
        save_weights(plain("vgg19-lite"), random)
        ways: dict[str, Callable[[Picture, Picture], Picture]] = {
            name: partial(painted, features=features)
            for name, features in (
                ("He, random", str(random)),
                ("seeded", "seeded-vgg19-lite"),
                (asked.features, asked.features),
            )
        }
        if shutil.which("gmic"):
            ways["G'MIC stylize"] = stylized
        rows = [
            [content, style, *(way(content, style) for way in ways.values())]
            for content, style in zip(contents, cycle(styles), strict=False)
        ]
    return sheet(["content", "style", *ways], rows, asked.cell)


_PAINTER = Painter()

if __name__ == "__main__":
    main()
