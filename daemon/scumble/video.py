"""Frames of a video: what the last painted one asks of the next.

The last painting is moved along with its things. Where that is trusted the next one begins with it and stays near it;
elsewhere it begins with its own frame. Where little is trusted, a **cut**, it begins afresh.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scumble.engine.job import mix_of
from scumble.picture import Picture
from scumble.recipe import Output, Recipe, Start

CUT = 0.25
"""Where less of a frame is trusted it shows something else than the last one."""
FAINTEST = 0.25
"""A painting that is shown no more than this is not found again below what shows through it."""
_START, _STEADY, _TRUST = "scumble:start", "scumble:steady", "scumble:trust"


@dataclass(frozen=True)
class Frame:
    """A frame of a video, and what was painted of it."""

    content: Picture
    result: Picture


def going_on(
    last: Frame, content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]
) -> tuple[Recipe, dict[str, Picture]] | None:
    """The recipe and the pictures by which a frame goes on from the last one; None after a cut."""
    from scumble.engine.flow import motion

    if not last.content.size == last.result.size == content.size:
        return None
    found = motion(last.content.rgb(), content.rgb())
    if found.trusted < CUT:
        return None
    painting, known = _painting(last, recipe, pictures)
    carried = found.moved(painting)
    trust = found.trust * np.clip(found.moved(known), 0, 1)
    begun = content.rgb()
    begun += trust[..., None] * (carried - begun)
    changed = recipe.changed(
        start=Start.PICTURE.value, start_picture=_START, steady_picture=_STEADY, steady_mask=_TRUST
    )
    made = {_START: Picture(begun), _STEADY: Picture(carried), _TRUST: Picture(trust[..., None])}
    return changed, {**pictures, **made}


def _painting(last: Frame, recipe: Recipe, pictures: Mapping[str, Picture]) -> tuple[np.ndarray, np.ndarray]:
    """What was painted, without what shows through it, (height, width, 3), and where that is known, (height, width)."""
    mix, shown = mix_of(last.content, recipe, pictures), last.result.rgb()
    known = (mix >= FAINTEST).astype(np.float32)
    if recipe.output is Output.PICTURE:
        ground = last.content.rgb()
    elif recipe.output is Output.LAYER and not last.result.has_alpha:
        ground = np.ones_like(shown)  # in a format without alpha it lies on white
    else:
        return shown, known
    return ground + (shown - ground) / np.maximum(mix, FAINTEST)[..., None], known
