"""A recipe bound to its pictures: names become arrays, and everything that cannot work is refused here, by name.

What is refused is found on **supports**: arrays (height, width) that are not zero where a mask is not, booleans where
the pixels are integers. That takes little memory and no torch, so that a request can be refused before it is queued.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from scumble.engine.box import Box, bounds
from scumble.engine.feather import feathered
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
class Hold:
    """What the painting stays near: `rgb` (·, ·, 3) of any size, and `trust` (height, width), how far, where; both
    float32, 0..1."""

    rgb: np.ndarray
    trust: np.ndarray


@dataclass(frozen=True)
class Job:
    """Everything a painting needs, at the content's full size.

    `mix` (height, width) is how much of the painting is shown where: the sum of the regions, at most one, and nothing
    where the content is transparent. `start` is the picture to go on from, `hold` what to stay near, if any.
    """

    content: Picture
    recipe: Recipe
    regions: tuple[BoundRegion, ...]
    mix: np.ndarray
    start: np.ndarray | None
    hold: Hold | None = None


def check(content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]) -> Box | None:
    """Refuse what cannot be painted, and find the bounds of what will be; None: nothing will.

    `pictures` are the recipe's, by the names that it uses. Raises `ScumbleError` missing-picture, bad-mask or
    empty-mask, naming the field.
    """
    style_needed = recipe.style_weight is None or recipe.style_weight > 0
    if not recipe.styles and style_needed and recipe.strength > 0:
        raise ScumbleError("missing-picture", "styles: the recipe names no style.", "Add at least one style picture.")
    masks = [recipe.selection, *(region.mask for region in recipe.regions)]
    exact = _any_floats(pictures.get(name) for name in masks if name is not None)
    selection = None
    if recipe.selection is not None:
        selection = _mask_support("selection", recipe.selection, pictures, content.size, exact)
    visible = _alpha_support(content)
    if selection is not None and not _product(selection, visible).any():
        raise ScumbleError("empty-mask", f"selection: nothing that is visible is selected by {recipe.selection!r}.")
    for index, style in enumerate(recipe.styles):
        _check_style(index, style, pictures)
    mix = _mix_support(content, recipe, pictures, selection, exact)
    if mix is not None:
        mix = _product(mix, visible)
        if not mix.any():
            raise ScumbleError("empty-mask", "The regions and the selection have no visible pixel in common.")
    if recipe.start_picture is not None:
        _picture("start_picture", recipe.start_picture, pictures)
    if recipe.steady_picture is not None:
        _picture("steady_picture", recipe.steady_picture, pictures)
    if recipe.steady_mask is not None:
        _mask("steady_mask", recipe.steady_mask, pictures, content.size)
    return None if mix is None else bounds(np.broadcast_to(mix, (content.height, content.width)))


def bind(content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]) -> Job:
    """Join a recipe with its content and its pictures, by the names that it uses; refuses what `check` does."""
    check(content, recipe, pictures)
    styles = [_style(style, recipe, pictures) for style in recipe.styles]
    masks = _masks(content, recipe, pictures)
    start = None if recipe.start_picture is None else pictures[recipe.start_picture].rgb()
    mix = _mix(masks.values(), content)
    return Job(content, recipe, _regions(masks, styles), mix, start, _hold(content, recipe, pictures))


def mix_of(content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]) -> np.ndarray:
    """How much of the painting is shown where, `Job.mix` (height, width), of a recipe that `check` has let pass.

    Of `pictures` it needs only the masks over the content: the selection's and the regions'.
    """
    return _mix(_masks(content, recipe, pictures).values(), content)


def _masks(content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]) -> dict[str | None, np.ndarray]:
    """The masks of the regions that will be painted, the selection and its feather counted in; None is all of it."""
    selection: np.ndarray = np.broadcast_to(np.float32(1), (content.height, content.width))  # which takes no memory
    if recipe.selection is not None:
        selection = feathered(pictures[recipe.selection].as_mask(), recipe.feather_px)
    if not recipe.styles:
        return {None: selection}
    names = {region.name: region.mask for region in recipe.regions}
    return {
        name: selection if name is None else selection * pictures[names[name]].as_mask() for name in _painted(recipe)
    }


def _hold(content: Picture, recipe: Recipe, pictures: Mapping[str, Picture]) -> Hold | None:
    if recipe.steady_picture is None or not recipe.steady_weight:
        return None
    trust: np.ndarray = np.broadcast_to(np.float32(1), (content.height, content.width))
    if recipe.steady_mask is not None:
        trust = pictures[recipe.steady_mask].as_mask()
    return Hold(pictures[recipe.steady_picture].rgb(), trust)


def _mix(masks: Iterable[np.ndarray], content: Picture) -> np.ndarray:
    each = list(masks)
    if len(each) == 1 and not content.has_alpha:
        return each[0]
    shown = np.zeros((content.height, content.width), np.float32)
    for mask in each:
        shown += mask
    np.minimum(shown, 1.0, out=shown)
    if content.has_alpha:
        shown[content.pixels[..., -1] <= 0] = 0.0
    return shown


def _regions(masks: Mapping[str | None, np.ndarray], styles: list[BoundStyle]) -> tuple[BoundRegion, ...]:
    return tuple(
        BoundRegion(
            name or "selection",
            mask,
            tuple(each for each in styles if each.style.region == name and each.style.weight > 0),
        )
        for name, mask in masks.items()
    )


def _style(style: Style, recipe: Recipe, pictures: Mapping[str, Picture]) -> BoundStyle:
    picture = pictures[style.picture]
    visible = picture.alpha()
    if style.part is not None:
        visible = visible * pictures[style.part].as_mask()
    return BoundStyle(
        style,
        style.picture,
        picture.rgb(),
        visible,
        recipe.stroke_scale if style.stroke_scale is None else style.stroke_scale,
        style.keep_colors or recipe.keep_colors,
    )


def _painted(recipe: Recipe) -> list[str | None]:
    """The regions that have a style with weight, in order; None is the whole selection."""
    weights: dict[str | None, float] = {}
    for style in recipe.styles:
        weights[style.region] = weights.get(style.region, 0.0) + style.weight
    return [name for name, weight in weights.items() if weight > 0]


def _mix_support(
    content: Picture,
    recipe: Recipe,
    pictures: Mapping[str, Picture],
    selection: np.ndarray | None,
    exact: bool,
) -> np.ndarray | None:
    """Where the regions are that will be painted, whether visible or not; None: no region will be."""
    everywhere = np.ones((1, 1), bool)
    shared: dict[str | None, np.ndarray] = {None: (everywhere if selection is None else selection).astype(bool)}
    if not recipe.styles:
        return shared[None]
    for index, region in enumerate(recipe.regions):
        mask = _mask_support(f"regions[{index}].mask", region.mask, pictures, content.size, exact)
        shared[region.name] = _product(mask, selection).astype(bool)
    for name in dict.fromkeys(style.region for style in recipe.styles):
        if not shared[name].any():
            raise ScumbleError("empty-mask", f"Region {name!r} and the selection have no pixel in common.")
    mix = None
    for name in _painted(recipe):
        mix = shared[name] if mix is None else mix | shared[name]
    return mix


def _check_style(index: int, style: Style, pictures: Mapping[str, Picture]) -> None:
    picture = _picture(f"styles[{index}].picture", style.picture, pictures)
    part = None
    exact = _any_floats([picture, pictures.get(style.part or "")])
    if style.part is not None:
        part = _mask_support(f"styles[{index}].part", style.part, pictures, picture.size, exact)
    visible = _alpha_support(picture, exact)
    seen = visible if part is None else _product(part, visible)
    if seen is not None and not seen.any():
        raise ScumbleError("empty-mask", f"styles[{index}]: nothing of the picture {style.picture!r} is visible.")


def _picture(field: str, name: str, pictures: Mapping[str, Picture]) -> Picture:
    if name not in pictures:
        raise ScumbleError("missing-picture", f"{field}: there is no picture {name!r}.")
    return pictures[name]


def _mask(field: str, name: str, pictures: Mapping[str, Picture], size: tuple[int, int]) -> Picture:
    picture = _picture(field, name, pictures)
    if picture.size != size:
        given, wanted = f"{picture.width} × {picture.height}", f"{size[0]} × {size[1]}"
        raise ScumbleError("bad-mask", f"{field}: the mask {name!r} is {given} px, the content {wanted} px.")
    return picture


def _any_floats(pictures: Iterable[Picture | None]) -> bool:
    """Whether supports must be products of the values themselves: the smallest floats vanish when multiplied."""
    return any(picture is not None and picture.depth == "float32" for picture in pictures)


def _mask_support(
    field: str, name: str, pictures: Mapping[str, Picture], size: tuple[int, int], exact: bool
) -> np.ndarray:
    picture = _mask(field, name, pictures, size)
    found: np.ndarray
    if exact:
        found = picture.as_mask()
    else:
        colours = picture.pixels.shape[2] - picture.has_alpha
        found = picture.pixels[..., 0] > 0
        for channel in range(1, colours):
            found = found | (picture.pixels[..., channel] > 0)
        found = _product(found, _alpha_support(picture))
    if not found.any():
        raise ScumbleError("empty-mask", f"{field}: the mask {name!r} is black everywhere.")
    return found


def _alpha_support(picture: Picture, exact: bool = False) -> np.ndarray | None:
    """Where a picture is visible; None: everywhere."""
    if not picture.has_alpha:
        return None
    return picture.alpha() if exact else picture.pixels[..., -1] > 0


def _product(support: np.ndarray, other: np.ndarray | None) -> np.ndarray:
    return support if other is None else support * other
