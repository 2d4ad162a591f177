"""A host without a screen: documents of one group, whose layers are arrays, for tests of the studio.

canvas = FakeCanvas()                          # one document, 40 × 30 px, with the layer "paint"
canvas.select(5, 5, 20, 10)
canvas.document.layers[-1]                     # the newest layer
canvas.close("document-1")                     # it goes away
canvas.refuse = LinkError("host-refused", …)   # what takes long is refused
"""

from dataclasses import dataclass, field

import numpy as np
import plugins

plugins.link()
from krita_scumble.link.canvas import Canvas, LayerName, Placed, Region, Subject, Taken  # noqa: E402
from krita_scumble.link.errors import LinkError  # noqa: E402
from krita_scumble.link.pixels import Plane, Rect, png, scaled_down  # noqa: E402


@dataclass
class FakeLayer:
    """`pixels` is (height, width, 4) uint8, its corner at `x`, `y`."""

    id: str
    name: str
    pixels: np.ndarray
    x: int = 0
    y: int = 0
    mask: np.ndarray | None = None
    shown: bool = True

    @property
    def box(self):
        return Rect(self.x, self.y, self.pixels.shape[1], self.pixels.shape[0])


@dataclass
class FakeDocument:
    id: str
    width: int
    height: int
    layers: list
    active: int = 0
    selection: np.ndarray | None = None
    notes: dict = field(default_factory=dict)
    undo: list = field(default_factory=list)

    def find(self, id):
        return next((each for each in self.layers if each.id == id), None)


def painted(width, height, seed=0):
    """Opaque pixels of all kinds."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    return pixels


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
        canvas = Rect(0, 0, document.width, document.height)
        visible = layer.pixels[..., 3].any()
        bounds = layer.box if visible else Rect(0, 0, 0, 0)
        return Subject(document.id, layer.id, layer.name, canvas, bounds, selection, document.id)

    def regions(self, document):
        return [Region(f"layer:{each.id}", each.name, "layer") for each in self.documents[document].layers]

    def layers(self):
        return [LayerName(each.id, each.name, one.id) for one in self.documents.values() for each in one.layers]

    def has_document(self, document):
        return document in self.documents

    def is_shown(self, document, layer):
        found = self.documents[document].find(layer) if document in self.documents else None
        return found.shown if found else None

    def show(self, document, layer, shown):
        if self.is_shown(document, layer) is None:
            raise LinkError("layer-gone", "The layer is gone.")
        self.documents[document].find(layer).shown = shown

    def recipe(self):
        return (
            self.document.notes.get(f"recipe {self.document.layers[self.document.active].id}") if self.active else None
        )

    # ------------------------------------------------------------------------------------------------------ pixels

    def _cut(self, array, at, box):
        """The part of an array in a box of the document; zeros where it has nothing."""
        full = np.zeros((box.height, box.width, *array.shape[2:]), array.dtype)
        there = Rect(at[0], at[1], array.shape[1], array.shape[0]).intersected(box)
        if not there.is_empty:
            x, y = there.x - at[0], there.y - at[1]
            full[there.y - box.y :, there.x - box.x :][: there.height, : there.width] = array[
                y : y + there.height, x : x + there.width
            ]
        return full

    def take(self, subject, box, regions, use_selection):
        yield
        if self.refuse:
            raise self.refuse
        if subject.document not in self.documents:
            raise LinkError("document-closed", "The document was closed.")
        document = self.documents[subject.document]
        layer = document.find(subject.layer)
        if layer is None:
            raise LinkError("layer-gone", "The layer is gone.")
        content = self._cut(layer.pixels, (layer.x, layer.y), box)
        mask = self._gray(self._cut(document.selection, (0, 0), box)) if use_selection else None
        yield
        found = {}
        for region in regions:
            other = document.find(region.partition(":")[2])
            if other is None:
                raise LinkError("layer-gone", "The region is gone.")
            found[region] = self._gray(self._cut(other.pixels[..., 3], (other.x, other.y), box))
        content = Plane(box.width, box.height, 4, 1, content[..., [2, 1, 0, 3]].tobytes(), is_bgr=True)
        return Taken(subject, box, content, mask, found)

    @staticmethod
    def _gray(array):
        return Plane(array.shape[1], array.shape[0], 1, 1, array.tobytes())

    def insert(self, layer):
        yield
        if self.refuse:
            raise self.refuse
        if layer.document not in self.documents:
            raise LinkError("document-closed", "The document was closed.")
        document = self.documents[layer.document]
        size = (layer.box.height, layer.box.width)
        pixels = np.frombuffer(bytes(layer.pixels.data), np.uint8).reshape(*size, 4)
        if layer.pixels.is_bgr:
            pixels = pixels[..., [2, 1, 0, 3]]
        mask = None if layer.mask is None else np.frombuffer(bytes(layer.mask.data), np.uint8).reshape(size)
        new = FakeLayer(
            f"{document.id}-{len(document.undo)}", layer.title, pixels.copy(), layer.box.x, layer.box.y, mask
        )
        index = next((number for number, each in enumerate(document.layers) if each.id == layer.above), None)
        document.undo.append(new.id)
        document.layers.insert(len(document.layers) if index is None else index + 1, new)
        document.notes[f"recipe {new.id}"] = layer.recipe
        return Placed(new.id, "" if index is not None else "The layer is gone; the result is on top.")

    def picture_of(self, layer):
        yield
        for document in self.documents.values():
            found = document.find(layer)
            if found is not None:
                data = found.pixels.tobytes()
                return png(Plane(found.box.width, found.box.height, 4, 1, data))
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
        return self.documents[document].notes.get(name, "")

    def note(self, document, name, text):
        self.documents[document].notes[name] = text
