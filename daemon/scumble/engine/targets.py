"""What a style asks for: its statistics at a level's size, computed once and kept.

A style is brought to the size at which its strokes are to be seen, never above its own, and its colours are moved to
the
content's where the recipe says so. The statistics of the result are kept by a hash of everything they depend on, so
that a second job with the same style computes none again.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from scumble.engine.canvas import to_tensor
from scumble.engine.color import gray, match_histogram, match_luminance, match_palette
from scumble.engine.job import BoundStyle
from scumble.engine.resample import fill_transparent, resize_premultiplied
from scumble.engine.shelf import Drawer
from scumble.recipe import KeepColors, Recipe, StyleSize

T = TypeVar("T")


@dataclass(frozen=True)
class StylePicture:
    """A style at its size: `rgb` (1, 3, height, width), `visible` (1, 1, height, width), and a hash of both."""

    rgb: Tensor
    visible: Tensor
    digest: str


def style_size(style: BoundStyle, recipe: Recipe, height: int, width: int) -> tuple[int, int]:
    """(height, width) in px of a style for a painted part of `height` × `width` px: of the same area at stroke scale
    1."""
    if recipe.style_size is StyleSize.CONTENT:
        return height, width
    own_height, own_width = style.rgb.shape[:2]
    scale = min(1.0, style.stroke_scale * math.sqrt(height * width / (own_height * own_width)))
    return max(1, round(own_height * scale)), max(1, round(own_width * scale))


def wanted_above_own(style: BoundStyle, recipe: Recipe, height: int, width: int) -> float:
    """By what factor the style picture is too small for the strokes that were asked for; 1 when it is not."""
    if recipe.style_size is StyleSize.CONTENT:
        return 1.0
    return max(1.0, style.stroke_scale * math.sqrt(height * width / (style.rgb.shape[0] * style.rgb.shape[1])))


def at_size(style: BoundStyle, size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """A style in its own colours, (1, 3, height, width), and what is visible of it, (1, 1, height, width), at `size`
    (height, width)."""
    rgb, visible = to_tensor(style.rgb, device), to_tensor(style.visible, device)
    return resize_premultiplied(fill_transparent(rgb, visible), visible, *size)


def style_picture(
    style: BoundStyle, size: tuple[int, int], content: Tensor, region: Tensor, method: str, device: torch.device
) -> StylePicture:
    """A style at `size` (height, width), its colours moved to those of `content` within `region` where it asks for
    that."""
    rgb, visible = at_size(style, size, device)
    if style.keep_colors is KeepColors.MATCH:
        rgb = match_palette(rgb, content, visible, region, method="cholesky" if method == "cholesky" else "symmetric")
    elif style.keep_colors is KeepColors.HISTOGRAM:
        rgb = match_histogram(rgb, content, visible, region)
    elif style.keep_colors is KeepColors.LUMINANCE:
        rgb = gray(match_luminance(rgb, content, visible, region))
    return StylePicture(rgb, visible, _digest(rgb, visible))


def _digest(*tensors: Tensor) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(repr(tuple(tensor.shape)).encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


@dataclass
class Kept(Generic[T]):
    """Values by key, the least recently used dropped above `limit_bytes`; `computed` counts what was not found.

    With a `drawer` they are on the disk as well.
    """

    size_of: Callable[[T], int]
    limit_bytes: int = 256 * 2**20
    computed: int = 0
    drawer: Drawer[T] | None = None
    _values: OrderedDict[Hashable, T] = field(default_factory=OrderedDict)

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The value of a key, computed when it is not there."""
        if key not in self._values:
            self._values[key] = self._find(key, compute)
            while len(self._values) > 1 and sum(map(self.size_of, self._values.values())) > self.limit_bytes:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]

    def clear(self) -> None:
        """Forget everything that is in memory."""
        self._values.clear()

    def _find(self, key: Hashable, compute: Callable[[], T]) -> T:
        found = None if self.drawer is None else self.drawer.find(key)
        if found is not None:
            return found
        self.computed += 1
        value = compute()
        if self.drawer is not None:
            self.drawer.keep(key, value)
        return value


def bytes_of(tensors: Mapping[Any, Tensor]) -> int:
    """The memory of the tensors of a dict."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
