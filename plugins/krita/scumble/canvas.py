"""Krita 5.1 to 6 as a host: documents, layers, selections and their pixels.

Documents and layers are known by the ids of their nodes and looked up anew in every step: Krita's Python objects
outlive what they stand for, and then crash it. Pixels are read and written in bands, as fast as they turn out to be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from . import pictures
from .bench import Bench, Space, space_of, srgb
from .link.canvas import Canvas, Layer, LayerName, Placed, Region, Steps, Subject, Taken
from .link.errors import LinkError
from .link.pixels import Plane, Rect, bgr, eight_bits, png, rgb
from .link.steps import aside, in_bands, write
from .link.styles import MOST_PX
from .link.text import mark, tr
from .qt import Qt, QtCore, QtWidgets
from .waiter import Waiter

_GROUP = "scumble"
_RECIPE = "scumble/layer/{layer}"
_PATIENCE_S = 60.0
"""How long a new layer waits for the end of a brush stroke."""
_NAP_S = 0.002
"""How long a step rests that only waits."""
_LOOK_MS = 20
"""How long a picture that Krita still composes is left alone."""
_BAND_PX = 1 << 17
"""The pixels that are converted at a time."""
_EVERYWHERE = ("filterlayer", "filllayer")
"""Layers whose bounds are said to be empty, though they show something on the whole canvas."""
_MASKS = ("transparencymask", "filtermask", "transformmask", "selectionmask", "colorizemask")
_NO_LAYERS = (*_MASKS, "referenceimageslayer", "")
_SOME_LOST = mark("The colours here are {model}; what is painted is sRGB, so that strong colours change slightly.")


class KritaCanvas(Canvas):
    """`docker` says which window's document is meant; without one it is the active window's."""

    def __init__(self, docker: Any = None) -> None:
        from krita import Krita

        self._krita = Krita.instance()
        self._docker = docker
        self._waiter = Waiter(self._krita)
        self._bench = Bench(self._krita, self._waiter)
        self.host = f"Krita {self._krita.version().split()[0]}"

    # ------------------------------------------------------------------------------------------------ looking

    def subject(self) -> Subject:
        document, node = self._active()
        if document is None:
            raise LinkError("no-document", tr("No document is open."))
        layer = _layer_of(node)
        if layer is None:
            raise LinkError("no-layer", tr("No layer is active."))
        canvas = Rect(0, 0, document.width(), document.height())
        selection = document.selection()
        selected = _bounds(selection).intersected(canvas) if selection is not None else None
        return Subject(
            document=_id(document.rootNode()),
            layer=_id(layer),
            name=layer.name(),
            canvas=canvas,
            bounds=_extent(document, layer),
            # Krita keeps a selection that was emptied: it means none.
            selection=None if selected is None or selected.is_empty else selected,
            document_name=_title(document),
            note=_note(document),
        )

    def regions(self, document: str) -> Sequence[Region]:
        nodes = list(_walk(self._document(document).rootNode()))
        masks = [Region(f"mask:{_id(node)}", node.name(), "mask") for node in nodes if node.type() == "selectionmask"]
        return masks + [Region(f"layer:{_id(node)}", node.name(), "layer") for node in nodes if _is_layer(node)]

    def layers(self) -> Sequence[LayerName]:
        return [
            LayerName(f"{_id(document.rootNode())}/{_id(node)}", node.name(), _title(document))
            for document in self._documents()
            for node in _walk(document.rootNode())
            if _is_layer(node)
        ]

    def has_document(self, document: str) -> bool:
        return any(_id(each.rootNode()) == document for each in self._documents())

    def is_shown(self, document: str, layer: str) -> bool | None:
        try:
            return bool(self._node(document, layer).visible())
        except LinkError:
            return None

    def show(self, document: str, layer: str, shown: bool) -> None:
        self._node(document, layer).setVisible(shown)
        self._compose(document, layer, shown)

    def _compose(self, document: str, layer: str, shown: bool) -> None:
        """Have the picture composed with a layer that was shown or hidden, as soon as Krita has time for it."""
        try:
            found, node = self._document(document), self._node(document, layer)
        except LinkError:
            return
        if node.visible() != shown:
            return
        if _is_idle(found):
            self._waiter.refresh(found, node)
        else:
            QtCore.QTimer.singleShot(_LOOK_MS, lambda: self._compose(document, layer, shown))

    def recipe(self) -> str | None:
        document, node = self._active()
        layer = _layer_of(node)
        if document is None or layer is None:
            return None
        return _annotation(document, _RECIPE.format(layer=_id(layer))) or None

    # ------------------------------------------------------------------------------------------------ pixels

    def take(self, subject: Subject, box: Rect, regions: Sequence[str], use_selection: bool) -> Steps:
        document, layer = subject.document, subject.layer
        depth = 1 if self._document(document).colorDepth() == "U8" else 2
        selection = None
        if use_selection and subject.selection is not None:
            data = yield from _read(lambda: _pixels_of_selection(self._document(document)), box)
            selection = Plane(box.width, box.height, 1, 1, data)
        space = space_of(self._node(document, layer))
        # All is read before anything is converted, which is slow: the user may paint on meanwhile.
        raw = yield from _read(lambda: self._node(document, layer).projectionPixelData, box)
        found = {}
        for region in regions:
            found[region] = yield from self._region(document, region, box)
        data = yield from self._converted(raw, box, space, srgb(depth))
        content = Plane(box.width, box.height, 4, depth, data, is_bgr=True)
        return Taken(subject, box, content, selection, found)

    def insert(self, layer: Layer) -> Steps:
        box = layer.box
        if layer.mask is not None:
            yield from self._bench.prepared()
        document = self._document(layer.document)
        new = document.createNode(layer.title, "paintlayer")
        if layer.mask is not None:
            new = self._bench.masked(document, new, tr("Transparency mask"))
            yield
        yield from self._paint(new, layer)
        if layer.mask is not None:
            document = self._document(layer.document)
            mask = new.childNodes()[0]
            # The tiles of a mask say where Krita composes anew. A group that had a single layer, whose own pixels it
            # showed, would show nothing beyond them with a second one (5.1.5 to 5.3.4): so they reach all corners.
            for x, y in ((0, 0), (document.width() - 1, document.height() - 1)):
                mask.setPixelData(QtCore.QByteArray(b"\0"), x, y, 1, 1)

            def cover(data: Any, x: int, y: int, width: int, height: int) -> None:
                self._document(layer.document)
                mask.setPixelData(QtCore.QByteArray(bytes(data)), x, y, width, height)

            yield from write(cover, eight_bits(layer.mask), box)
        yield from self._pause(layer.document)
        return (yield from self._add(layer, new))

    def _paint(self, new: Any, layer: Layer) -> Steps:
        """Give the pixels of a layer to a node that is not yet in its document."""
        box, plane, view = layer.box, layer.pixels, memoryview(layer.pixels.data).cast("B")
        source, target = srgb(plane.depth), space_of(new)
        ordered = rgb if plane.depth == 4 else bgr
        for y, rows in _bands(box):
            rest = view[y * plane.stride : (y + rows) * plane.stride]
            band = ordered(Plane(box.width, rows, 4, plane.depth, rest, plane.is_bgr))
            data = yield from self._bench.converted(bytes(band.data), box.width * rows, source, target)
            self._document(layer.document)
            new.setPixelData(QtCore.QByteArray(data), box.x, box.y + y, box.width, rows)
            yield

    def _add(self, layer: Layer, new: Any) -> Steps:
        """The step of undo, and what must be put right after it."""
        document = self._document(layer.document)
        before = document.activeNode()
        active = _id(before) if before is not None else ""
        notices = []
        below = _layer_of(_find(document, layer.above))
        if below is None:
            notices.append(tr("The layer that it was made from is gone, so it lies on top."))
            below = _top(document)
        parent = below.parentNode() if below is not None else document.rootNode()
        if below is not None:
            new.setInheritAlpha(below.inheritAlpha())
            if below.animated():
                notices.append(tr("The layer is animated; the new one is the same in all frames."))
        if layer.recipe:
            name = _RECIPE.format(layer=_id(new))
            document.setAnnotation(name, "Scumble", QtCore.QByteArray(layer.recipe.encode()))
        adding = self._waiter.add(parent, new, below)
        was_there, turns = False, 3
        while turns:
            adding.join(_NAP_S)
            yield
            document = self._document(layer.document)
            was_there = was_there or _find(document, _id(new)) is not None
            # Krita may make the new layer the active one (5.3), and says so only when its own events had their turn.
            _give_back(document, active, _id(new))
            turns -= not adding.is_alive()
        if not was_there:
            raise LinkError("host-refused", tr("Krita did not add the layer."))
        return Placed(_id(new), " ".join(notices))

    def picture_of(self, layer: str) -> Steps:
        document, _, node = layer.partition("/")
        try:
            mine, found = self._document(document), self._node(document, node)
        except LinkError as gone:
            raise LinkError("layer-gone", tr("The layer is gone.")) from gone
        name = found.name()
        box = _extent(mine, found).intersected(Rect(0, 0, mine.width(), mine.height()))
        if box.is_empty:
            raise LinkError("nothing-there", tr("The layer {name} is empty.", name=name))
        space = space_of(found)
        raw = yield from _read(lambda: self._node(document, node).projectionPixelData, box)
        data = yield from self._converted(raw, box, space, srgb(1))
        plane = Plane(box.width, box.height, 4, 1, data, is_bgr=True)
        return (yield from aside(lambda: png(self.shrunk(plane, MOST_PX))))

    def clipboard(self) -> bytes | None:
        return pictures.png_of_image(QtWidgets.QApplication.clipboard().image())

    def as_png(self, path: str) -> bytes | None:
        return pictures.png_of_file(path)

    def shrunk(self, plane: Plane, longest: int) -> Plane:
        return pictures.shrunk(plane, longest)

    # ------------------------------------------------------------------------------------------------ memory

    def remembered(self, name: str) -> str:
        return str(self._krita.readSetting(_GROUP, name, "") or "")

    def remember(self, name: str, text: str) -> None:
        self._krita.writeSetting(_GROUP, name, text)

    def noted(self, document: str, name: str) -> str:
        return _annotation(self._document(document), f"{_GROUP}/{name}")

    def note(self, document: str, name: str, text: str) -> None:
        self._document(document).setAnnotation(f"{_GROUP}/{name}", "Scumble", QtCore.QByteArray(text.encode()))

    # ------------------------------------------------------------------------------------------------ finding

    def _documents(self) -> list[Any]:
        return [each for each in self._krita.documents() if each.rootNode() is not None]

    def _document(self, document: str) -> Any:
        for each in self._documents():
            if _id(each.rootNode()) == document:
                return each
        raise LinkError("document-closed", tr("The document was closed."))

    def _node(self, document: str, node: str) -> Any:
        found = _find(self._document(document), node)
        if found is None:
            raise LinkError("layer-gone", tr("The layer is gone."))
        return found

    def _active(self) -> tuple[Any, Any]:
        """The active document and its active node; each None where there is none."""
        if self._docker is None:
            document = self._krita.activeDocument()
        else:
            canvas = self._docker.canvas()
            view = canvas.view() if canvas is not None else None
            document = view.document() if view is not None else None
        if document is None or document.rootNode() is None:
            return None, None
        return document, document.activeNode()

    # ------------------------------------------------------------------------------------------------ details

    def _region(self, document: str, region: str, box: Rect) -> Generator[None, None, Plane]:
        """A selection mask's pixels or a layer's alpha, as 8 bits."""
        kind, _, id = region.partition(":")
        if kind == "mask":
            data = yield from _read(lambda: self._node(document, id).pixelData, box)
            return Plane(box.width, box.height, 1, 1, data)
        space = space_of(self._node(document, id))
        raw = yield from _read(lambda: self._node(document, id).projectionPixelData, box)
        if space.depth in ("U8", "U16"):
            # Alpha comes last in all of Krita's colour models, and its upper byte last of all.
            size = len(raw) // (box.width * box.height)
            return Plane(box.width, box.height, 1, 1, raw[size - 1 :: size])
        data = yield from self._converted(raw, box, space, srgb(1))
        return Plane(box.width, box.height, 1, 1, data[3::4])

    def _converted(self, raw: bytearray, box: Rect, source: Space, target: Space) -> Generator[None, None, bytearray]:
        if source == target:
            return raw
        out, view = bytearray(), memoryview(raw)
        stride = len(raw) // box.height
        for y, rows in _bands(box):
            band = bytes(view[y * stride : (y + rows) * stride])
            out += yield from self._bench.converted(band, box.width * rows, source, target)
        return out

    def _pause(self, document: str) -> Steps:
        """Wait for the end of a brush stroke: a layer added meanwhile would cut it short."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            is_held = QtWidgets.QApplication.mouseButtons() != Qt.MouseButton.NoButton
            if not is_held and _is_idle(self._document(document)):
                return
            time.sleep(_NAP_S)
            yield


def _bands(box: Rect) -> Iterator[tuple[int, int]]:
    """Where bands of a box begin, and how many rows they have: what takes long in them is waited for elsewhere."""
    rows = max(_BAND_PX // box.width, 1)
    for y in range(0, box.height, rows):
        yield y, min(rows, box.height - y)


def _read(source: Callable[[], Callable[..., Any]], box: Rect) -> Generator[None, None, bytearray]:
    """The pixels of a box, from the function that `source` finds for each band."""
    out = bytearray()

    def work(y: int, rows: int) -> None:
        out.extend(source()(box.x, box.y + y, box.width, rows).data())

    yield from in_bands(box, 1 << 20, work)
    return out


# ------------------------------------------------------------------------------------------------------------- nodes


def _id(node: Any) -> str:
    return str(node.uniqueId().toString()).strip("{}")


def _walk(parent: Any) -> Iterator[Any]:
    """All nodes beneath one, as Krita lists them: from the top down, each before what is in it."""
    for node in reversed(parent.childNodes()):
        yield node
        yield from _walk(node)


def _find(document: Any, node: str) -> Any:
    return next((each for each in _walk(document.rootNode()) if _id(each) == node), None)


def _give_back(document: Any, active: str, new: str) -> None:
    """Make the layer active again that was it before the new one took its place."""
    now, wanted = document.activeNode(), _find(document, active)
    if now is not None and wanted is not None and _id(now) == new:
        document.setActiveNode(wanted)


def _is_layer(node: Any) -> bool:
    return node.type() not in _NO_LAYERS


def _layer_of(node: Any) -> Any:
    """The layer that a node is, or that a mask belongs to; None where there is none, as for a global selection."""
    while node is not None and node.type() in _MASKS:
        node = node.parentNode()
    if node is None or not _is_layer(node) or node.parentNode() is None:
        return None
    return node


def _top(document: Any) -> Any:
    """The topmost layer; None where there is none. The global selection lies above it."""
    return next((node for node in reversed(document.rootNode().childNodes()) if _is_layer(node)), None)


def _extent(document: Any, node: Any) -> Rect:
    """Where a layer has pixels; with no width and no height where it has none."""
    canvas = Rect(0, 0, document.width(), document.height())
    if node.type() in _EVERYWHERE:
        return canvas
    found = node.bounds()
    extent = Rect(found.x(), found.y(), max(found.width(), 0), max(found.height(), 0))
    # What masks leave of a layer is computed on the canvas only.
    is_masked = any(each.type() in _MASKS and each.type() != "selectionmask" for each in node.childNodes())
    return extent.intersected(canvas) if is_masked else extent


def _bounds(selection: Any) -> Rect:
    return Rect(selection.x(), selection.y(), selection.width(), selection.height())


def _pixels_of_selection(document: Any) -> Callable[..., Any]:
    selection = document.selection()
    if selection is None:
        raise LinkError("nothing-selected", tr("The selection is gone."))
    return selection.pixelData


def _title(document: Any) -> str:
    return Path(document.fileName()).name or document.name() or tr("Untitled")


def _note(document: Any) -> str:
    names = {"CMYKA": "CMYK", "YCbCrA": "YCbCr"}
    model = names.get(document.colorModel())
    return tr(_SOME_LOST, model=model) if model else ""


def _is_idle(document: Any) -> bool:
    """Whether nothing is being painted or computed."""
    if not document.tryBarrierLock():
        return False
    document.unlock()
    return True


def _annotation(document: Any, name: str) -> str:
    if name not in document.annotationTypes():
        return ""
    return bytes(document.annotation(name)).decode("utf-8", "replace")
