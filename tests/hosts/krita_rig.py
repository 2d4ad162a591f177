"""Krita as the cases of canvas_cases.py need it; runs inside Krita, with or without a window."""

import os
from pathlib import Path

import rig

rig.use("scumble.link")

from canvas_cases import CASES  # noqa: E402
from krita import Krita, Selection  # noqa: E402
from PyQt5.QtCore import QByteArray  # noqa: E402
from PyQt5.QtWidgets import QApplication  # noqa: E402
from scumble.canvas import KritaCanvas  # noqa: E402

FOLDER = Path(os.environ["SCUMBLE_TEST"])
SRGB = "sRGB-elle-V2-srgbtrc.icc"
KEPT = []
"""Documents stay open: Krita 5.1.5 crashes where many are closed fast."""


class Canvas(KritaCanvas):
    """Without a window Krita has no active document: the test says which it is."""

    active = (None, None)

    def _active(self):
        return self.active


class KritaRig(rig.Rig):
    def __init__(self):
        self.app = Krita.instance()
        self.app.setBatchmode(True)
        self.canvas = Canvas()

    # ------------------------------------------------------------------------------------------- what a user does

    def open(self, width, height):
        document = self.app.createDocument(width, height, f"case {len(KEPT)}", "RGBA", "U8", SRGB, 72.0)
        for node in document.rootNode().childNodes():
            node.remove()
        return self._opened(document)

    def _opened(self, document):
        document.setBatchmode(True)
        KEPT.append(document)
        self._settle(document)
        return _id(document.rootNode())

    def close(self, document):
        found = self._document(document)
        found.setModified(False)
        found.close()
        self.breathe()

    def add(self, document, name, box, pixels, group=""):
        node = self._document(document).createNode(name, "paintlayer")
        if pixels:
            node.setPixelData(QByteArray(_turned(pixels)), box.x, box.y, box.width, box.height)
        return self._add(document, node, group)

    def add_group(self, document, name, group=""):
        return self._add(document, self._document(document).createGroupLayer(name), group)

    def add_mask(self, document, name, box, data):
        mask = self._document(document).createSelectionMask(name)
        mask.setSelection(_selection(box, data))
        self._add(document, mask, self.children(document)[0])

    def _add(self, document, node, group):
        found = self._document(document)
        self._parent(document, group).addChildNode(node, None)
        self._settle(found)
        return _id(node)

    def activate(self, document, layer):
        self.canvas.active = (self._document(document), self._node(document, layer) if layer else None)

    def select(self, document, box, data):
        self._select(document, _selection(box, data))

    def select_none(self, document):
        self._select(document, None)

    def invert_selection(self, document):
        selection = self._document(document).selection()
        selection.invert()
        self._select(document, selection)

    def empty_selection(self, document):
        selection = self._document(document).selection()
        selection.clear()
        self._select(document, selection)

    def _select(self, document, selection):
        self._document(document).setSelection(selection)
        self._settle(self._document(document))

    def remove(self, document, layer):
        self._node(document, layer).remove()
        self._settle(self._document(document))

    def undo(self, document):
        self._history(document, "edit_undo")

    def redo(self, document):
        self._history(document, "edit_redo")

    def _history(self, document, action):
        window = self.app.activeWindow()
        if window is None:
            raise rig.CannotPlay("Krita takes nothing back without a window")
        found = self._document(document)
        view = next((each for each in window.views() if each.document() == found), None) or window.addView(found)
        window.showView(view)
        self._settle(found)
        if self.app.activeDocument() != found:
            raise AssertionError("the document does not become the active one")
        self.app.action(action).trigger()
        self._settle(found)

    def reopened(self, document):
        path = FOLDER / f"{len(KEPT)}.kra"
        self._document(document).saveAs(str(path))
        return self._opened(self.app.openDocument(str(path)))

    # ------------------------------------------------------------------------------------------- what a user sees

    def children(self, document, group=""):
        nodes = reversed(self._parent(document, group).childNodes())
        return [_id(each) for each in nodes if not each.type().endswith("mask")]

    def name(self, document, layer):
        return self._node(document, layer).name()

    def active(self, document):
        return _id(self._document(document).activeNode())

    def pixels(self, document, layer, box):
        return _turned(bytes(self._node(document, layer).pixelData(box.x, box.y, box.width, box.height)))

    def mask(self, document, layer, box):
        masks = self._node(document, layer).childNodes()
        if not masks:
            return None
        (mask,) = masks
        if mask.type() != "transparencymask":
            raise AssertionError(f"the mask is a {mask.type()}")
        return bytes(mask.pixelData(box.x, box.y, box.width, box.height))

    def composite(self, document):
        found = self._document(document)
        self._settle(found)
        return _turned(bytes(found.pixelData(0, 0, found.width(), found.height())))

    def set_unmodified(self, document):
        self._document(document).setModified(False)

    def is_modified(self, document):
        return self._document(document).modified()

    # --------------------------------------------------------------------------------------------------- Krita's own

    def breathe(self):
        for _ in range(4):
            QApplication.processEvents()

    def _settle(self, document):
        document.refreshProjection()
        document.waitForDone()
        self.breathe()

    def _document(self, document):
        return next(each for each in self.app.documents() if _id(each.rootNode()) == document)

    def _parent(self, document, group):
        return self._node(document, group) if group else self._document(document).rootNode()

    def _node(self, document, layer):
        def walk(node):
            for each in node.childNodes():
                yield each
                yield from walk(each)

        return next(each for each in walk(self._document(document).rootNode()) if _id(each) == layer)


def _id(node):
    return node.uniqueId().toString().strip("{}")


def _selection(box, data):
    selection = Selection()
    selection.setPixelData(QByteArray(data), box.x, box.y, box.width, box.height)
    return selection


def _turned(pixels):
    """RGBA as BGRA, and back."""
    data = bytearray(pixels)
    data[0::4], data[2::4] = data[2::4], data[0::4]
    return bytes(data)


def main(*_arguments):
    try:
        rig.play(KritaRig(), CASES, FOLDER)
    finally:
        os._exit(0)
