"""Procedural paintings for the style library: a few styles out of hundreds, chosen by eye.

`python -m scumble.training.swatches` draws them anew, into `scumble/drawn/swatches`. On another kind of processor the
cells of a picture may fall otherwise: the style stays the same, the picture need not.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scumble.drawn.swatches import FOLDER, SIZE_PX, SWATCHES
from scumble.training.pictures import draw
from scumble.training.styles import Styles

_STYLES, _SEED = 400, 77
_ZOOM = 2.0


def drawn(number: int, size: int = SIZE_PX) -> NDArray[np.uint8]:
    """A picture (size, size, 3) of the style `number`, 0..399."""
    styles = Styles.drawn(_STYLES, _SEED)
    generator = torch.Generator().manual_seed(number)
    sample = draw(styles, torch.tensor([number]), size, generator, jitter=False, zoom=_ZOOM)
    return np.asarray((sample.pictures[0] * 255).round().byte().permute(1, 2, 0).numpy())


def main() -> None:
    """Draw all of them."""
    for name, number in SWATCHES.items():
        Image.fromarray(drawn(number)).save(FOLDER / f"{name}.jpg", quality=88, subsampling=0)


if __name__ == "__main__":
    main()
