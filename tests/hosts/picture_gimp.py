"""The pictures of GIMP in the README: `python tests/hosts/picture_gimp.py [--suite forky] [-o docs]`.

In the real GIMP, with the real daemon and the styles that come with it: the menu that opens the dialog, and a strip of
a run, from the selection to the new layer.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent))
import gimp_scenes
import gimp_screen
import roots
import test_gimp_gui as theatre

from scumble.drawn import scene

SIZE = (1024, 700)
_FRAME = (20, 20, 1522, 986)
_MENU_FRAME = (20, 20, 1082, 760)
_STRIP_PX, _GAP_PX = 1000, 8


def main() -> None:
    """Play the story and put its pictures together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="forky", choices=roots.GIMP)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"), metavar="DIR")
    asked = parser.parse_args()
    drawn = scene(*SIZE)
    with roots.inside(asked.suite) as root:
        folder = root.folder / "play"
        folder.mkdir()
        (folder / "sky.gray").write_bytes(np.rint(drawn.masks["sky"] * 255).astype(np.uint8).tobytes())
        Image.fromarray((drawn.rgb * 255).round().clip(0, 255).astype(np.uint8)).save(folder / "lighthouse.png")
        played = theatre.play(root, asked.suite, gimp_scenes.STORY, True, gimp_screen.WITH_LAYERS)
    print(played.outcomes)
    shots = theatre.SHOTS / asked.suite
    asked.output.mkdir(exist_ok=True)
    cells = [Image.open(shots / f"story-{number}.png").convert("RGB").crop(_FRAME) for number in range(1, 5)]
    cells[3].save(asked.output / "gimp.jpg", quality=88)
    height = round(_STRIP_PX * cells[0].height / cells[0].width)
    strip = Image.new("RGB", (2 * _STRIP_PX + _GAP_PX, 2 * height + _GAP_PX), "white")
    for index, cell in enumerate(cells):
        place = ((_STRIP_PX + _GAP_PX) * (index % 2), (height + _GAP_PX) * (index // 2))
        strip.paste(cell.resize((_STRIP_PX, height), Image.Resampling.LANCZOS), place)
    strip.save(asked.output / "gimp-run.jpg", quality=85)
    Image.open(shots / "menu.png").convert("RGB").crop(_MENU_FRAME).save(asked.output / "gimp-menu.jpg", quality=85)


if __name__ == "__main__":
    main()
