"""The pictures of Krita in the README: `python tests/hosts/picture_krita.py [--suite forky] [-o docs]`.

In the real Krita, with the real daemon and the styles that come with it: the menu that shows the docker, and a strip of
a run, from the selection to the new layer.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parent))
import roots
import test_krita_gui as theatre

from scumble.drawn import scene

SIZE = (1024, 700)
_STRIP_PX, _GAP_PX = 1000, 8


def main() -> None:
    """Play the story and put its pictures together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="forky", choices=roots.KRITA)
    parser.add_argument("-o", "--output", type=Path, default=Path("docs"), metavar="DIR")
    asked = parser.parse_args()
    drawn = scene(*SIZE)
    with roots.inside(asked.suite) as root:
        folder = root.folder / "play"
        folder.mkdir()
        sky = np.rint(drawn.masks["sky"] * 255).astype(np.uint8)
        (folder / "sky.gray").write_bytes(sky.tobytes())
        picture = folder / "lighthouse.png"
        Image.fromarray((drawn.rgb * 255).round().clip(0, 255).astype(np.uint8)).save(picture)
        played = theatre.play(root, asked.suite, [picture], "tells_the_story", draws=True)
    print(played.outcome["scenes"])
    shots = theatre.SHOTS / asked.suite
    asked.output.mkdir(exist_ok=True)
    full = [Image.open(shots / f"screen-{number}.png").convert("RGB") for number in range(1, 5)]
    frame = (20, 20, 1522, 986)
    full[3].crop(frame).save(asked.output / "krita.jpg", quality=88)
    cells = [each.crop(frame) for each in full]
    height = round(_STRIP_PX * cells[0].height / cells[0].width)
    strip = Image.new("RGB", (2 * _STRIP_PX + _GAP_PX, 2 * height + _GAP_PX), "white")
    for index, cell in enumerate(cells):
        place = ((_STRIP_PX + _GAP_PX) * (index % 2), (height + _GAP_PX) * (index // 2))
        strip.paste(cell.resize((_STRIP_PX, height), Image.Resampling.LANCZOS), place)
    strip.save(asked.output / "krita-run.jpg", quality=85)
    Image.open(shots / "screen-menu.png").convert("RGB").crop((300, 20, 1522, 986)).save(
        asked.output / "krita-menu.jpg", quality=85
    )


if __name__ == "__main__":
    main()
