"""Images, layers and channels of GIMP, found by their ids; what has gone is a `LinkError`.

Every question goes to GIMP anew: it ends a plug-in that reads from something that was removed, without a word to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .gimp import Gimp
from .link.canvas import Region
from .link.errors import LinkError
from .link.pixels import Rect
from .link.text import tr

# ------------------------------------------------------------------------------------------------------------- images


def images() -> list[Any]:
    """All that are open, the newest first."""
    return sorted(Gimp.get_images(), key=lambda image: image.get_id(), reverse=True)


def is_open(document: str) -> bool:
    """Whether there still is an image of that id."""
    return document.isdecimal() and Gimp.Image.id_is_valid(int(document))


def image_of(document: str) -> Any:
    """The image of that id. `LinkError` document-closed."""
    if not is_open(document):
        raise LinkError("document-closed", tr("The document was closed."))
    return Gimp.Image.get_by_id(int(document))


def canvas_of(image: Any) -> Rect:
    """The image's own rectangle."""
    return Rect(0, 0, image.get_width(), image.get_height())


def title_of(image: Any) -> str:
    """What the user calls an image."""
    file = image.get_file() or image.get_imported_file()
    name = file.get_basename() if file is not None else ""
    return Path(name or "").name or tr("Untitled")


# -------------------------------------------------------------------------------------------------------------- items


def id_of(item: Any) -> str:
    """The id of a layer, a channel or an image."""
    return str(item.get_id())


def item_of(id: str) -> Any:
    """The layer, mask or channel of that id; None where it is gone."""
    is_there = id.isdecimal() and Gimp.Item.id_is_valid(int(id))
    return Gimp.Item.get_by_id(int(id)) if is_there else None


def layer_of(document: str, layer: str) -> Any:
    """A layer of an image. `LinkError` document-closed, layer-gone."""
    image_of(document)
    found = item_of(layer)
    if found is None or not found.is_layer() or id_of(found.get_image()) != document:
        raise LinkError("layer-gone", tr("The layer is gone."))
    return found


def layers_in(image: Any) -> Iterator[Any]:
    """All layers, as GIMP lists them: from the top down, each group before what is in it."""
    return _walk(image.get_layers())


def _walk(layers: Iterable[Any]) -> Iterator[Any]:
    for layer in layers:
        yield layer
        if layer.is_group():
            yield from _walk(layer.get_children())


def rect_of(drawable: Any) -> Rect:
    """Where a layer or a channel lies in its image."""
    _, x, y = drawable.get_offsets()
    return Rect(x, y, drawable.get_width(), drawable.get_height())


# ------------------------------------------------------------------------------------------------------------ regions


def regions_in(image: Any) -> list[Region]:
    """The image's channels, the masks of its layers, and what its layers cover.

    A region is known by its tattoo, which GIMP saves with the image.
    """
    channels = [Region(f"channel:{each.get_tattoo()}", each.get_name(), "mask") for each in image.get_channels()]
    masks, layers = [], []
    for layer in layers_in(image):
        tattoo, name = layer.get_tattoo(), layer.get_name()
        mask = layer.get_mask()
        if mask is not None:
            masks.append(Region(f"mask:{tattoo}", mask.get_name(), "mask"))
        layers.append(Region(f"layer:{tattoo}", name, "layer"))
    return channels + masks + layers


def region_of(image: Any, region: str) -> tuple[str, Any]:
    """What a region's id stands for: "channel", "mask" or "layer", and the channel or the layer.

    A script may give the name instead of the tattoo. `LinkError` layer-gone.
    """
    kind, _, key = region.partition(":")
    by_tattoo, by_name = {
        "channel": (image.get_channel_by_tattoo, image.get_channel_by_name),
        "mask": (image.get_layer_by_tattoo, image.get_layer_by_name),
        "layer": (image.get_layer_by_tattoo, image.get_layer_by_name),
    }.get(kind, (None, None))
    found = None
    if by_tattoo is not None and by_name is not None:
        found = (by_tattoo(int(key)) if key.isdecimal() else None) or by_name(key)
    if found is None or (kind == "mask" and found.get_mask() is None):
        raise LinkError("layer-gone", tr("The region {name} is gone.", name=key or region))
    return kind, found
