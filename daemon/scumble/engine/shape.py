"""What a transformation network is made of, layer by layer; without torch, for those who only look at its file."""

from dataclasses import dataclass
from enum import Enum

FIRST_KERNEL = 9
NOISE_SCALES = (1, 4, 16)
"""Of the noise beside the picture one map for each: so many px lie between its values."""
POWERS = 3
"""A gain is a polynomial of the strength with so many coefficients."""


class Upsampling(Enum):
    """How sides are doubled: every px four times and then a convolution (Odena et al. 2016, "Deconvolution and
    Checkerboard Artifacts"), smoothly and then a convolution, which leaves no steps for it to make lines of; or a
    transposed convolution, which leaves a checkerboard."""

    BILINEAR = "bilinear"
    NEAREST = "nearest"
    TRANSPOSED = "transposed"


class Change(Enum):
    """What a layer does to the sides."""

    NONE = "none"
    HALVED = "halved"
    DOUBLED = "doubled"


@dataclass(frozen=True)
class Layer:
    """One convolution. `adds` ends a block: what the block began with is added, and nothing is rectified.
    `makes_strokes` are those from the last block to the picture."""

    name: str
    into: int
    out: int
    kernel: int
    change: Change = Change.NONE
    adds: bool = False
    makes_strokes: bool = False

    @property
    def reach(self) -> int:
        """How far beyond a place it looks, in px of what it convolves."""
        return self.kernel // 2


@dataclass(frozen=True)
class Shape:
    """What a transformation network is: `width` channels at full size, twice as many at half, four times at a quarter.
    With `own_filters` each style has its own in the layers that make strokes: by gains and shifts alone three paintings
    got colours of their own in 1500 steps, but the same strokes. With `noise` it sees some beside the picture
    (`scumble.engine.noise`): without it flat ground got a regular hatching, the same everywhere."""

    styles: int = 1
    width: int = 16
    blocks: int = 5
    upsampling: Upsampling = Upsampling.BILINEAR
    own_filters: bool = False
    noise: bool = False

    @property
    def layers(self) -> tuple[Layer, ...]:
        """In order; the last one makes the picture, and is not normalised."""
        w = self.width
        return (
            Layer("in", 3 + len(NOISE_SCALES) * self.noise, w, FIRST_KERNEL),
            Layer("down1", w, 2 * w, 3, Change.HALVED),
            Layer("down2", 2 * w, 4 * w, 3, Change.HALVED),
            *(
                Layer(f"block{index}{half}", 4 * w, 4 * w, 3, adds=half == "b")
                for index in range(1, self.blocks + 1)
                for half in "ab"
            ),
            Layer("up1", 4 * w, 2 * w, 3, Change.DOUBLED, makes_strokes=True),
            Layer("up2", 2 * w, w, 3, Change.DOUBLED, makes_strokes=True),
            Layer("out", w, 3, FIRST_KERNEL, makes_strokes=True),
        )

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """The parameters by name, and their shapes."""
        found: dict[str, tuple[int, ...]] = {}
        for layer in self.layers:
            own = (self.styles,) if self.own_filters and layer.makes_strokes else ()
            found[f"{layer.name}.filters"] = (*own, layer.out, layer.into, layer.kernel, layer.kernel)
            if layer.name == "out":
                found["out.bias"] = (layer.out,)
                found["out.share"] = (self.styles, POWERS, 2)
            else:
                found[f"{layer.name}.gain"] = found[f"{layer.name}.shift"] = (self.styles, POWERS, layer.out)
        return found
