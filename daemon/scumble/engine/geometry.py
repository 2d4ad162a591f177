"""Where the layers of a network look, from its architecture alone: no weights are needed for any of it.

A layer's *stride* is how many px of the picture one position of it spans, its *radius* half its receptive field in px.
A **tap** is a layer whose map a loss reads.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from scumble.engine.weights import ARCHITECTURES

FRAME_CHANNELS = 54


@dataclass(frozen=True)
class Geometry:
    """A network up to the deepest of its `taps`: its layers in order (`steps`), and for each layer and tap the stride
    and the radius. `channels` are those of its convolutions."""

    taps: tuple[str, ...]
    steps: tuple[str, ...]
    stride: Mapping[str, int]
    radius: Mapping[str, float]
    channels: Mapping[str, int]

    @classmethod
    def of(cls, architecture: str, taps: Iterable[str], channels: Mapping[str, int] | None = None) -> "Geometry":
        """Of a VGG network; `channels` by convolution, if they are not the architecture's."""
        order = layer_order(architecture)
        found = tuple(sorted({canonical(tap) for tap in taps}, key=lambda tap: order.index(step_of(tap))))
        steps = order[: max(order.index(step_of(tap)) for tap in found) + 1]
        stride, radius = _fields(steps)
        for tap in found:
            stride[tap], radius[tap] = stride[step_of(tap)], radius[step_of(tap)]
        channels = channels or _channels(architecture)
        return cls(found, steps, stride, radius, {name: channels[name] for name in steps if name.startswith("conv")})

    @classmethod
    def of_frame(cls, scales: Iterable[int]) -> "Geometry":
        """Of the colour frame, a single 3 × 3 convolution at each of several scales."""
        stride = {f"frame{scale}": scale for scale in scales}
        radius = {tap: 1.5 * scale for tap, scale in stride.items()}
        return cls(tuple(stride), tuple(stride), stride, radius, dict.fromkeys(stride, FRAME_CHANNELS))

    @property
    def channels_per_px(self) -> dict[str, float]:
        """For each convolution, channels / stride²: what its map holds per pixel of the picture."""
        return {name: channels / self.stride[name] ** 2 for name, channels in self.channels.items()}


class Looking(Protocol):
    """Whatever has radii: a network, or its geometry."""

    @property
    def radius(self) -> Mapping[str, float]:
        """Half a layer's receptive field in px."""


def halo(networks: Iterable[Looking]) -> float:
    """Half the deepest receptive field of several networks, in px."""
    return max(max(network.radius.values()) for network in networks)


def layer_order(architecture: str) -> tuple[str, ...]:
    """("conv1_1", …, "pool1", "conv2_1", …, "pool5")."""
    return tuple(
        name
        for block, channels in enumerate(ARCHITECTURES[architecture], 1)
        for name in (*(f"conv{block}_{i}" for i in range(1, len(channels) + 1)), f"pool{block}")
    )


def filter_values(architecture: str, depth: int | None = None) -> int:
    """How many numbers all filters of an architecture are, or those of its first convolutions."""
    widths = [3, *list(_channels(architecture).values())[:depth]]
    return sum(9 * depth * width for depth, width in pairwise(widths))


def canonical(tap: str) -> str:
    """`relu4_2` is `conv4_2`: the rectified response."""
    return tap.replace("relu", "conv")


def step_of(tap: str) -> str:
    """The layer that a tap belongs to."""
    return canonical(tap).replace("preact", "conv")


def _channels(architecture: str) -> dict[str, int]:
    names = (name for name in layer_order(architecture) if name.startswith("conv"))
    return dict(zip(names, sum(ARCHITECTURES[architecture], ()), strict=True))


def _fields(steps: Iterable[str]) -> tuple[dict[str, int], dict[str, float]]:
    stride, field = 1, 1
    strides: dict[str, int] = {}
    radii: dict[str, float] = {}
    for name in steps:
        field += stride if name.startswith("pool") else 2 * stride
        stride *= 2 if name.startswith("pool") else 1
        strides[name], radii[name] = stride, field / 2
    return strides, radii
