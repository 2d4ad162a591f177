"""A recipe bound to its pictures: names become arrays, and everything that cannot work is refused here, by name."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.recipe import KeepColors, Recipe, Style


@dataclass(frozen=True)
class BoundStyle:
    """A style and its picture: `rgb` (height, width, 3), `visible` (height, width) what counts of it, both float32
    0..1."""

    style: Style
    label: str
    rgb: np.ndarray
    visible: np.ndarray
    stroke_scale: float
    keep_colors: KeepColors


@dataclass(frozen=True)
class BoundRegion:
    """A region's mask (height, width) in 0..1, the selection counted in, and the styles that paint it."""

    name: str
    mask: np.ndarray
    styles: tuple[BoundStyle, ...]


@dataclass(frozen=True)
class Job:
    """Everything a painting needs, at the content's full size.

    `rgb` (height, width, 3) sRGB-encoded, `visible` the content's alpha, `mix` how much of the painting is shown where:
    the sum of the regions, at most one. `start` is the picture to go on from, if any.
    """

    content: Picture
    recipe: Recipe
    rgb: np.ndarray
    visible: np.ndarray
    regions: tuple[BoundRegion, ...]
    mix: np.ndarray
    start: np.ndarray | None


def bind(content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]) -> Job:
    """Join a recipe with its content and its pictures (by the names that the recipe uses).

    Raises `ScumbleError` missing-picture, bad-mask or empty-mask, naming the field.
    """
    size = (content.height, content.width)
    style_needed = recipe.style_weight is None or recipe.style_weight > 0
    if not recipe.styles and style_needed and recipe.strength > 0:
        raise ScumbleError("missing-picture", "styles: the recipe names no style.", "Add at least one style picture.")
    selection = np.ones(size, np.float32)
    if recipe.selection is not None:
        selection = _mask("selection", recipe.selection, pictures, size)
    visible = content.alpha()
    if recipe.selection is not None and not (selection * (visible > 0)).any():
        raise ScumbleError("empty-mask", f"selection: nothing that is visible is selected by {recipe.selection!r}.")
    styles = [_style(index, style, recipe, pictures) for index, style in enumerate(recipe.styles)]
    regions = _regions(recipe, styles, selection, pictures, size)
    mix = np.minimum(sum((region.mask for region in regions), np.zeros(size, np.float32)), 1.0)
    mix[visible == 0] = 0.0
    if regions and not mix.any():
        raise ScumbleError("empty-mask", "The regions and the selection have no visible pixel in common.")
    start = None
    if recipe.start_picture is not None:
        start = _picture("start_picture", recipe.start_picture, pictures).rgb()
    return Job(content, recipe, content.rgb(), visible, regions, mix, start)


def _regions(
    recipe: Recipe,
    styles: list[BoundStyle],
    selection: np.ndarray,
    pictures: Mapping[str, Picture],
    size: tuple[int, int],
) -> tuple[BoundRegion, ...]:
    if not styles:
        return (BoundRegion("selection", selection, ()),)
    masks = {
        region.name: _mask(f"regions[{index}].mask", region.mask, pictures, size)
        for index, region in enumerate(recipe.regions)
    }
    bound = []
    for name in dict.fromkeys(item.style.region for item in styles):
        mask = selection if name is None else selection * masks[name]
        if not mask.any():
            raise ScumbleError("empty-mask", f"Region {name!r} and the selection have no pixel in common.")
        members = tuple(item for item in styles if item.style.region == name and item.style.weight > 0)
        if members:
            bound.append(BoundRegion(name or "selection", mask, members))
    return tuple(bound)


def _picture(field: str, name: str, pictures: Mapping[str, Picture]) -> Picture:
    if name not in pictures:
        raise ScumbleError("missing-picture", f"{field}: there is no picture {name!r}.")
    return pictures[name]


def _mask(field: str, name: str, pictures: Mapping[str, Picture], size: tuple[int, int]) -> np.ndarray:
    picture = _picture(field, name, pictures)
    if (picture.height, picture.width) != size:
        given, wanted = f"{picture.width} × {picture.height}", f"{size[1]} × {size[0]}"
        raise ScumbleError("bad-mask", f"{field}: the mask {name!r} is {given} px, the content {wanted} px.")
    mask = picture.as_mask()
    if not mask.any():
        raise ScumbleError("empty-mask", f"{field}: the mask {name!r} is black everywhere.")
    return mask


def _style(index: int, style: Style, recipe: Recipe, pictures: Mapping[str, Picture]) -> BoundStyle:
    picture = _picture(f"styles[{index}].picture", style.picture, pictures)
    visible = picture.alpha()
    if style.part is not None:
        visible = visible * _mask(f"styles[{index}].part", style.part, pictures, (picture.height, picture.width))
    if not visible.any():
        raise ScumbleError("empty-mask", f"styles[{index}]: nothing of the picture {style.picture!r} is visible.")
    return BoundStyle(
        style,
        style.picture,
        picture.rgb(),
        visible,
        recipe.stroke_scale if style.stroke_scale is None else style.stroke_scale,
        style.keep_colors or recipe.keep_colors,
    )
