"""GIMP 3 as a host: images, layers, selections and their pixels.

Images and layers are known by GIMP's own numbers and looked up anew in every step. A new layer is filled before it is
in the image, where nobody can touch it; what the user sees is one step of undo.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import pictures
from .buffers import ALPHA, COLORS, MASK, OLD_CHANNEL, fill, read
from .gimp import Gegl, Gimp
from .items import (
    canvas_of,
    id_of,
    image_of,
    images,
    is_open,
    item_of,
    layer_of,
    layers_in,
    rect_of,
    region_of,
    regions_in,
    title_of,
)
from .link.canvas import Canvas, Layer, LayerName, Placed, Region, Steps, Subject, Taken
from .link.errors import LinkError
from .link.pixels import Plane, Rect, eight_bits, png, rgb
from .link.steps import aside
from .link.styles import MOST_PX
from .link.text import tr

_RECIPE = "scumble-recipe"
_NOTE = "scumble-{name}"
_LONGEST_TITLE = 60
_TYPES = {
    Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
    Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
    Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
}
_EIGHT_BITS = (Gimp.Precision.U8_LINEAR, Gimp.Precision.U8_NON_LINEAR, Gimp.Precision.U8_PERCEPTUAL)


class GimpCanvas(Canvas):
    """`drawables` are what a script wants painted on; without them it is what is selected in the image's layers, and
    where that image was closed, in those of the newest one that is open."""

    def __init__(self, image: Any, drawables: Sequence[Any] = ()) -> None:
        self._image = id_of(image)
        self._drawables = tuple(map(id_of, drawables))
        self.host = f"GIMP {Gimp.version()}"
        # Without it GEGL's own buffers crash the plug-in; before Gimp.main it would load its operations twice (3.0.4).
        Gegl.init(None)

    # ------------------------------------------------------------------------------------------------ looking

    def subject(self) -> Subject:
        image = self._active_image()
        if image is None:
            raise LinkError("no-document", tr("No document is open."))
        if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
            raise LinkError("indexed-colors", tr("The picture has a palette of few colours, which cannot be painted."))
        layer = _painted(self._chosen(image))
        _, is_selected, left, top, right, bottom = Gimp.Selection.bounds(image)
        return Subject(
            document=id_of(image),
            layer=id_of(layer),
            name=layer.get_name(),
            canvas=canvas_of(image),
            bounds=rect_of(layer),
            selection=Rect(left, top, right - left, bottom - top) if is_selected else None,
            document_name=title_of(image),
        )

    def regions(self, document: str) -> Sequence[Region]:
        return regions_in(image_of(document))

    def layers(self) -> Sequence[LayerName]:
        return [
            LayerName(id_of(layer), layer.get_name(), title_of(image))
            for image in images()
            for layer in layers_in(image)
        ]

    def has_document(self, document: str) -> bool:
        return is_open(document)

    def is_shown(self, document: str, layer: str) -> bool | None:
        try:
            return bool(layer_of(document, layer).get_visible())
        except LinkError:
            return None

    def show(self, document: str, layer: str, shown: bool) -> None:
        image, found = image_of(document), layer_of(document, layer)
        # Comparing before and after would leave a step of undo for every look.
        image.undo_freeze()
        try:
            found.set_visible(shown)
        finally:
            image.undo_thaw()
        Gimp.displays_flush()

    def recipe(self) -> str | None:
        image = self._active_image()
        chosen = self._chosen(image) if image is not None else []
        return _text(_layer(chosen[0]), _RECIPE) or None if len(chosen) == 1 else None

    def item(self, id: str) -> Any:
        """The layer, mask or channel of that id, for what GIMP itself is to be told of it; None where it is gone."""
        return item_of(id)

    # ------------------------------------------------------------------------------------------------ pixels

    def take(self, subject: Subject, box: Rect, regions: Sequence[str], use_selection: bool) -> Steps:
        document, layer = subject.document, subject.layer
        depth = 1 if image_of(document).get_precision() in _EIGHT_BITS else 2
        selection = None
        if use_selection and subject.selection is not None:
            data = yield from read(lambda: _selection(document), box, MASK)
            selection = Plane(box.width, box.height, 1, 1, data)
        data = yield from read(lambda: layer_of(document, layer), box, COLORS[depth])
        content = Plane(box.width, box.height, 4, depth, data)
        found = {}
        for region in regions:
            found[region] = yield from _covered(document, region, box)
        return Taken(subject, box, content, selection, found)

    def insert(self, layer: Layer) -> Steps:
        box, document = layer.box, layer.document
        image = image_of(document)
        form = _TYPES[image.get_base_type()]
        title = layer.title[:_LONGEST_TITLE]
        new = Gimp.Layer.new(image, title, box.width, box.height, form, 100.0, Gimp.LayerMode.NORMAL)
        if new is None:
            raise LinkError("host-refused", tr("GIMP did not add the layer."))
        is_added = False
        try:
            new.set_offsets(box.x, box.y)
            yield from fill(new, rgb(layer.pixels), COLORS[layer.pixels.depth], lambda: image_of(document))
            if layer.mask is not None:
                mask = new.create_mask(Gimp.AddMaskType.WHITE)
                new.add_mask(mask)
                # Who then clicks on the layer paints on it, not on its mask.
                new.set_edit_mask(False)
                yield from fill(mask, eight_bits(layer.mask), MASK, lambda: image_of(document))
            if layer.recipe:
                _keep(new, _RECIPE, layer.recipe)
            placed = _add(new, layer)
            is_added = True
            return placed
        finally:
            # GIMP crashes where a layer is deleted whose image is gone (3.0).
            if not is_added and is_open(document) and new.is_valid():
                new.delete()

    def picture_of(self, layer: str) -> Steps:
        found = item_of(layer)
        if found is None or not found.is_layer():
            raise LinkError("layer-gone", tr("The layer is gone."))
        image, name = found.get_image(), found.get_name()
        document = id_of(image)
        box = rect_of(found).intersected(canvas_of(image))
        if box.is_empty:
            raise LinkError("nothing-there", tr("The layer {name} is empty.", name=name))
        data = yield from read(lambda: layer_of(document, layer), box, COLORS[1])
        if not data[3::4].strip(b"\0"):
            raise LinkError("nothing-there", tr("The layer {name} is empty.", name=name))
        plane = Plane(box.width, box.height, 4, 1, data)
        return (yield from aside(lambda: png(self.shrunk(plane, MOST_PX))))

    def clipboard(self) -> bytes | None:
        return pictures.png_of_clipboard()

    def as_png(self, path: str) -> bytes | None:
        return pictures.png_of_file(path)

    def shrunk(self, plane: Plane, longest: int) -> Plane:
        return pictures.shrunk(plane, longest)

    # ------------------------------------------------------------------------------------------------ memory

    def remembered(self, name: str) -> str:
        try:
            return _memory(name).read_text("utf-8")
        except (OSError, ValueError):
            return ""

    def remember(self, name: str, text: str) -> None:
        path = _memory(name)
        # A full disk does not stop anybody from painting; GIMP itself remembers the last values as well.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(text, "utf-8")
            part.replace(path)

    def noted(self, document: str, name: str) -> str:
        return _text(image_of(document), _NOTE.format(name=name))

    def note(self, document: str, name: str, text: str) -> None:
        _keep(image_of(document), _NOTE.format(name=name), text)

    # ------------------------------------------------------------------------------------------------ indexed

    def work_on_rgb_copy(self) -> None:
        """Turn to a copy of the image that has all colours, shown where GIMP shows images. `LinkError` no-document,
        host-refused."""
        image = self._active_image()
        if image is None:
            raise LinkError("no-document", tr("No document is open."))
        copy = image.duplicate()
        if copy is None or not copy.convert_rgb():
            raise LinkError("host-refused", tr("GIMP did not copy the picture."))
        # GIMP gives a copy other tattoos, by which the settings know their regions.
        for theirs, ours in ((layers_in(copy), layers_in(image)), (copy.get_channels(), image.get_channels())):
            for new, old in zip(theirs, ours):
                new.set_tattoo(old.get_tattoo())
        copy.set_tattoo_state(image.get_tattoo_state())
        if Gimp.default_display() is not None:
            Gimp.Display.new(copy)
            Gimp.displays_flush()
        self._image, self._drawables = id_of(copy), ()

    # ------------------------------------------------------------------------------------------------ details

    def _active_image(self) -> Any:
        """The image that is meant; None where none is open. A script's image is not exchanged for another."""
        if not is_open(self._image):
            others = images()
            if self._drawables or not others:
                return None
            self._image = id_of(others[0])
        return image_of(self._image)

    def _chosen(self, image: Any) -> list[Any]:
        """What is to be painted on: layers, or masks or channels instead; None stands for one that is gone."""
        if not self._drawables:
            return list(image.get_selected_layers())
        return [item_of(each) for each in self._drawables]


# ------------------------------------------------------------------------------------------------------------- layers


def _layer(item: Any) -> Any:
    """The layer that an item is, or that it is the mask of; None for a channel, and for what is gone."""
    if item is not None and item.is_layer_mask():
        return Gimp.Layer.from_mask(item)
    return item if item is not None and item.is_layer() else None


def _painted(chosen: Sequence[Any]) -> Any:
    """The one layer that can be painted on. `LinkError` no-layer, several-layers, layer-gone, floating-selection."""
    if not chosen:
        raise LinkError("no-layer", tr("No layer is active."))
    if len(chosen) > 1:
        raise LinkError("several-layers", tr("{count} layers are selected.", count=len(chosen)))
    if chosen[0] is None:
        raise LinkError("layer-gone", tr("The layer is gone."))
    layer = _layer(chosen[0])
    if layer is None:
        raise LinkError("no-layer", tr("{name} is a channel, not a layer.", name=chosen[0].get_name()))
    if layer.is_floating_sel():
        raise LinkError("floating-selection", tr("A selection floats above the layers."))
    return layer


def _add(new: Any, layer: Layer) -> Placed:
    """The step of undo: the new layer above its source; what is selected in the list stays so."""
    image, notices = image_of(layer.document), []
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        notices.append(tr("The picture has a palette now, so the new layer has only its colours."))
    layers, channels = image.get_selected_layers(), image.get_selected_channels()
    parent, position = None, 0
    try:
        source = layer_of(layer.document, layer.above)
        parent, position = source.get_parent(), image.get_item_position(source)
    except LinkError:
        notices.append(tr("The layer that it was made from is gone, so it lies on top."))
    if not image.insert_layer(new, parent, position):
        raise LinkError("host-refused", tr("GIMP did not add the layer."))
    # While a selection floats, GIMP keeps that one selected itself.
    if image.get_floating_sel() is None:
        if channels:
            image.set_selected_channels(channels)
        else:
            image.set_selected_layers(layers)
    Gimp.displays_flush()
    return Placed(id_of(new), " ".join(notices))


# ------------------------------------------------------------------------------------------------------------- pixels


def _selection(document: str) -> Any:
    image = image_of(document)
    if Gimp.Selection.is_empty(image):
        raise LinkError("nothing-selected", tr("The selection is gone."))
    return image.get_selection()


def _covered(document: str, region: str, box: Rect) -> Generator[None, None, Plane]:
    """What a region covers of a box: a channel, a layer's mask, or its alpha."""

    def find() -> Any:
        kind, item = region_of(image_of(document), region)
        return item.get_mask() if kind == "mask" else item

    if region.startswith("layer:"):
        form = ALPHA
    elif region.startswith("channel:") and image_of(document).get_precision() == Gimp.Precision.U8_NON_LINEAR:
        form = OLD_CHANNEL
    else:
        form = MASK
    data = yield from read(find, box, form)
    return Plane(box.width, box.height, 1, 1, data)


# -------------------------------------------------------------------------------------------------------------- texts


def _keep(owner: Any, name: str, text: str) -> None:
    """Keep a text with an image or a layer; it is saved with it, and is no step of undo."""
    # To the bindings its bytes have signs.
    data = memoryview(text.encode()).cast("b").tolist()
    owner.attach_parasite(Gimp.Parasite.new(name, Gimp.PARASITE_PERSISTENT, data))


def _text(owner: Any, name: str) -> str:
    """A text kept with an image or a layer; empty where there is none."""
    parasite = owner.get_parasite(name) if owner is not None else None
    data = parasite.get_data() if parasite is not None else ()
    return bytes(each & 0xFF for each in data).decode("utf-8", "replace")


def _memory(name: str) -> Path:
    return Path(Gimp.directory()) / "scumble" / f"{name}.json"
