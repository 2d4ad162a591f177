"""What each preset looks like: `python tests/benchmarks/presets.py [-o plugins/link/presets]` paints the small pictures
that the plug-ins show beside the presets' names.

A part of the demo's scene after the bundled painting `night`, each with a preset of its own, at a small size.
"""

import argparse
from pathlib import Path

from PIL import Image

from scumble.drawn import painting, scene
from scumble.engine.painter import Painter
from scumble.picture import Picture
from scumble.recipe import PRESETS, Recipe

FOLDER = Path(__file__).parents[2] / "plugins" / "link" / "presets"
_SIDE_PX, _THUMBNAIL_PX = 224, 112
_ITERATIONS = 150
"""Of the published settings, which ask for hundreds; at this size it is enough to tell them apart."""


def main() -> None:
    """Paint them all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, metavar="DIR")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    drawn = scene(320, _SIDE_PX).rgb[:, 60 : 60 + _SIDE_PX]
    content, style = Picture.from_rgb(drawn), Picture.from_rgb(painting("night", 384, 384))
    painter = Painter()
    for name, preset in PRESETS.items():
        changes = {"size": _SIDE_PX, "stroke_scale": 0.6}
        if "iterations" in preset:
            changes["iterations"] = [_ITERATIONS]
        recipe = Recipe.from_preset(name, styles=[{"picture": "style"}], **changes)
        painted = painter.paint(content, recipe, {"style": style}).picture
        image = Image.fromarray((painted.rgb() * 255).round().clip(0, 255).astype("uint8"))
        image.resize((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.LANCZOS).save(folder / f"{name}.jpg", quality=85)
        print(name)


if __name__ == "__main__":
    main()
