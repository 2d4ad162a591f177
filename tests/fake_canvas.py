"""A host without a screen: documents whose layers are arrays, for tests of the studio and of what hosts agree on.

canvas = FakeCanvas()                          # one document, 40 × 30 px, with the layer "paint"
canvas.select(5, 5, 20, 10)
canvas.document.layers[-1]                     # the newest layer
canvas.document.undo()                         # takes the newest away again
canvas.document.composite()                    # the whole picture
canvas.close("document-1")                     # it goes away
canvas.refuse = LinkError("host-refused", …)   # what takes long is refused
"""

from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import plugins

plugins.link()
from krita_scumble.link.canvas import Canvas, LayerName, Placed, Region, Subject, Taken  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.pixels import Plane, Rect, png, scaled_down  # noqa: E402


@dataclass
class FakeLayer:
    """`pixels` is (height, width, 4) uint8, its corner at `x`, `y`; a group has none of its own.

    `group` is the id of the group that it is in.
    """

    id: str
    name: str
    pixels: np.ndarray
    x: int = 0
    y: int = 0
    mask: np.ndarray | None = None
    shown: bool = True
    group: str = ""
    is_group: bool = False

    @property
    def box(self):
        return Rect(self.x, self.y, self.pixels.shape[1], self.pixels.shape[0])


@dataclass
class FakeMask:
    """A mask of a document's own, of the document's size, that can be a region."""

    id: str
    name: str
    data: np.ndarray


@dataclass
class FakeDocument:
    """`layers` are from the bottom up, also those of one group; `active` is the index of one of them."""

    id: str
    width: int
    height: int
    layers: list
    active: int = 0
    selection: np.ndarray | None = None
    masks: list = field(default_factory=list)
    notes: dict = field(default_factory=dict)
    done: list = field(default_factory=list)
    undone: list = field(default_factory=list)
    made: int = 0

    @property
    def canvas(self):
        return Rect(0, 0, self.width, self.height)

    def find(self, id):
        return next((each for each in self.layers if each.id == id), None)

    def listed(self, group=""):
        """All layers from the top down, a group before what is in it."""
        for each in [each for each in reversed(self.layers) if each.group == group]:
            yield each
            yield from self.listed(each.id) if each.is_group else ()

    def insert(self, layer, above):
        """Add a layer above another, or on top, as a step of undo; the active one stays so."""
        self.done.append(list(self.layers))
        self.undone.clear()
        self._set([*self.layers[: above + 1], layer, *self.layers[above + 1 :]])

    def undo(self):
        """Take back one step."""
        self.undone.append(self.layers)
        self._set(self.done.pop())

    def redo(self):
        """Do again what was taken back."""
        self.done.append(self.layers)
        self._set(self.undone.pop())

    def _set(self, layers):
        active, self.layers = self.layers[self.active].id if self.layers else "", layers
        self.active = next((number for number, each in enumerate(layers) if each.id == active), 0)

    def seen(self, layer, box):
        """A layer's pixels in a box as its mask leaves them; a group's are those of what is in it."""
        if layer.is_group:
            return self.composite(box, layer.id)
        pixels = cut(layer.pixels, (layer.x, layer.y), box)
        if layer.mask is not None:
            mask = cut(layer.mask, (layer.x, layer.y), box)
            pixels[..., 3] = np.rint(pixels[..., 3] * (mask / 255.0))
        return pixels

    def bounds(self, layer):
        """Where a layer has pixels."""
        if layer.is_group:
            within = (self.bounds(each) for each in self.layers if each.group == layer.id)
            return reduce(Rect.united, within, Rect(0, 0, 0, 0))
        return layer.box if layer.pixels[..., 3].any() else Rect(0, 0, 0, 0)

    def composite(self, box=None, group=""):
        """The whole picture, or what is in a group, in a box."""
        box = box or self.canvas
        below = np.zeros((box.height, box.width, 4), np.uint8)
        for layer in self.layers:
            if layer.group == group and layer.shown:
                below = over(self.seen(layer, box), below)
        return below


def painted(width, height, seed=0):
    """Opaque pixels of all kinds."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    return pixels


def cut(array, at, box):
    """The part of an array in a box of the document; zeros where it has nothing."""
    full = np.zeros((box.height, box.width, *array.shape[2:]), array.dtype)
    there = Rect(at[0], at[1], array.shape[1], array.shape[0]).intersected(box)
    if not there.is_empty:
        x, y = there.x - at[0], there.y - at[1]
        full[there.y - box.y :, there.x - box.x :][: there.height, : there.width] = array[
            y : y + there.height, x : x + there.width
        ]
    return full


def over(above, below):
    """Pixels over others; straight alpha."""
    share = above[..., 3:] / 255.0
    under = below[..., 3:] / 255.0 * (1 - share)
    alpha = share + under
    color = (share * above[..., :3] + under * below[..., :3]) / np.where(alpha == 0, 1, alpha)
    return np.rint(np.concatenate([color, 255 * alpha], axis=2)).astype(np.uint8)


def array_of(plane):
    """A plane as (height, width, channels) uint8, RGB."""
    types = {1: ("u1", 1), 2: ("<u2", 257), 4: ("<f4", 1 / 255)}
    kind, unit = types[plane.depth]
    found = np.frombuffer(bytes(plane.data), kind).reshape(plane.height, plane.width, plane.channels)
    found = np.rint(found / unit).astype(np.uint8)
    return found[..., [2, 1, 0, 3]] if plane.is_bgr else found


class FakeCanvas(Canvas):
    host = "Fake 1.0"

    def __init__(self):
        self.documents = {}
        self.active = ""
        self.memory, self.refuse, self.picture, self.readable = {}, None, None, {}
        self.add("document-1", 40, 30)

    def add(self, id, width, height):
        """Open one more document."""
        layer = FakeLayer(f"{id}-paint", "paint", painted(width, height))
        self.documents[id] = FakeDocument(id, width, height, [layer])
        self.active = id
        return self.documents[id]

    def close(self, id):
        """Close a document."""
        del self.documents[id]
        self.active = next(iter(self.documents), "")

    @property
    def document(self):
        return self.documents[self.active]

    def select(self, x, y, width, height, value=255):
        """Select a rectangle."""
        self.document.selection = np.zeros((self.document.height, self.document.width), np.uint8)
        self.document.selection[y : y + height, x : x + width] = value

    # ----------------------------------------------------------------------------------------------------- looking

    def subject(self):
        if not self.active:
            raise LinkError("no-document", "No document is open.")
        document = self.document
        if not document.layers:
            raise LinkError("no-layer", "No layer is active.")
        layer = document.layers[document.active]
        selection = None
        if document.selection is not None and document.selection.any():
            rows, columns = np.nonzero(document.selection)
            x, y = int(columns.min()), int(rows.min())
            selection = Rect(x, y, int(columns.max()) - x + 1, int(rows.max()) - y + 1)
        bounds = document.bounds(layer)
        return Subject(document.id, layer.id, layer.name, document.canvas, bounds, selection, document.id)

    def regions(self, document):
        found = self._document(document)
        masks = [Region(f"mask:{each.id}", each.name, "mask") for each in found.masks]
        return masks + [Region(f"layer:{each.id}", each.name, "layer") for each in found.listed()]

    def layers(self):
        return [LayerName(each.id, each.name, one.id) for one in self.documents.values() for each in one.listed()]

    def has_document(self, document):
        return document in self.documents

    def is_shown(self, document, layer):
        found = self.documents[document].find(layer) if document in self.documents else None
        return found.shown if found else None

    def show(self, document, layer, shown):
        self._layer(document, layer).shown = shown

    def recipe(self):
        if not self.active or not self.document.layers:
            return None
        return self.document.notes.get(f"recipe {self.document.layers[self.document.active].id}") or None

    def _document(self, document):
        if document not in self.documents:
            raise LinkError("document-closed", "The document was closed.")
        return self.documents[document]

    def _layer(self, document, layer):
        found = self._document(document).find(layer)
        if found is None:
            raise LinkError("layer-gone", "The layer is gone.")
        return found

    # ------------------------------------------------------------------------------------------------------ pixels

    def take(self, subject, box, regions, use_selection):
        yield
        if self.refuse:
            raise self.refuse
        document = self._document(subject.document)
        content = document.seen(self._layer(subject.document, subject.layer), box)
        mask = None
        if use_selection and subject.selection is not None:
            if document.selection is None:
                raise LinkError("nothing-selected", "The selection is gone.")
            mask = self._gray(cut(document.selection, (0, 0), box))
        yield
        found = {}
        for region in regions:
            found[region] = self._gray(self._covered(subject.document, region, box))
        content = Plane(box.width, box.height, 4, 1, content[..., [2, 1, 0, 3]].tobytes(), is_bgr=True)
        return Taken(subject, box, content, mask, found)

    def _covered(self, document, region, box):
        kind, _, id = region.partition(":")
        if kind == "layer":
            layer = self._layer(document, id)
            return self.documents[document].seen(layer, box)[..., 3]
        mask = next((each for each in self._document(document).masks if each.id == id), None)
        if mask is None:
            raise LinkError("layer-gone", "The region is gone.")
        return cut(mask.data, (0, 0), box)

    @staticmethod
    def _gray(array):
        return Plane(array.shape[1], array.shape[0], 1, 1, array.tobytes())

    def insert(self, layer):
        yield
        if self.refuse:
            raise self.refuse
        document = self._document(layer.document)
        pixels = array_of(layer.pixels).copy()
        mask = None if layer.mask is None else array_of(layer.mask)[..., 0].copy()
        document.made += 1
        new = FakeLayer(f"{document.id}-{document.made}", layer.title, pixels, layer.box.x, layer.box.y, mask)
        below = document.find(layer.above)
        new.group = below.group if below else ""
        document.insert(new, len(document.layers) if below is None else document.layers.index(below))
        document.notes[f"recipe {new.id}"] = layer.recipe
        return Placed(new.id, "" if below else "The layer is gone; the result is on top.")

    def picture_of(self, layer):
        yield
        for document in self.documents.values():
            found = document.find(layer)
            if found is not None:
                box = document.bounds(found)
                if box.is_empty:
                    raise LinkError("nothing-there", "The layer is empty.")
                return png(Plane(box.width, box.height, 4, 1, document.seen(found, box).tobytes()))
        raise LinkError("layer-gone", "The layer is gone.")

    def clipboard(self):
        return self.picture

    def as_png(self, path):
        return self.readable.get(path)

    def shrunk(self, plane, longest):
        return scaled_down(plane, longest)

    # ------------------------------------------------------------------------------------------------------ memory

    def remembered(self, name):
        return self.memory.get(name, "")

    def remember(self, name, text):
        self.memory[name] = text

    def noted(self, document, name):
        return self._document(document).notes.get(name, "")

    def note(self, document, name, text):
        self._document(document).notes[name] = text
