"""What a recipe asks of a network, without the network: enough to plan a job, in milliseconds and from any thread.

Nothing here reads filters; what can be known of them stands in the header of their file.
"""

from dataclasses import dataclass

import torch

from scumble.engine.compose import Weighting, weighting
from scumble.engine.features import describe, profile
from scumble.engine.footprint import Footprint, footprint
from scumble.engine.geometry import Geometry, filter_values, halo
from scumble.engine.weights import Description
from scumble.recipe import Optimizer, Recipe


@dataclass(frozen=True)
class Outline:
    """A recipe's networks: the trunk's geometry, the frame's if there is one, and what is asked of them."""

    gpu: bool
    found: Description
    asked: Weighting
    trunk: Geometry
    frame: Geometry | None

    @property
    def halo(self) -> float:
        """Half the deepest receptive field in use, in px."""
        return halo([self.trunk] if self.frame is None else [self.trunk, self.frame])

    def footprint(self, dtype: torch.dtype, optimizer: Optimizer) -> Footprint:
        """The memory of a step in that type."""
        columns = sum(self.trunk.channels.get(tap.replace("preact", "conv"), 512) for tap in self.asked.neighbours)
        architecture, depth = self.found.architecture, len(self.trunk.channels)
        # all as they were read, and those in use for both directions
        filters = 4 * filter_values(architecture) + 2 * dtype.itemsize * filter_values(architecture, depth)
        return footprint(self.trunk.channels_per_px, dtype.itemsize, optimizer, filters, columns, keeps=not self.gpu)


def outline(recipe: Recipe, *, gpu: bool) -> Outline:
    """The outline of what a recipe would be painted with, on a GPU or without.

    Raises `ScumbleError` as painting would, for features that are not there and layers that they lack.
    """
    found = describe(recipe.features, gpu=gpu)
    suited = profile(found)
    asked = weighting(recipe, suited, found.architecture)
    trunk = Geometry.of(found.architecture, asked.taps)
    frame = Geometry.of_frame(suited.frame_scales) if asked.framed else None
    return Outline(gpu, found, asked, trunk, frame)


def features_name(recipe: Recipe, *, gpu: bool) -> str:
    """The name of the features that a recipe would be painted with, as `Painting.features` tells it."""
    return describe(recipe.features, gpu=gpu).name
