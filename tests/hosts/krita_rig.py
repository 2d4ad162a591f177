"""Krita with its window as the cases of canvas_cases.py need it.

Cases are played on a thread of their own, and what they ask for is done on Krita's: before what its event loop has
called returns, Krita makes no layer the active one (5.1, 5.2).
"""

import os
import threading
import time
import types
from pathlib import Path

import rig

rig.use("scumble.link")

from krita import Krita, Selection  # noqa: E402
from PyQt5.QtCore import QByteArray, QObject, pyqtSignal  # noqa: E402
from PyQt5.QtWidgets import QMdiArea  # noqa: E402
from scumble.canvas import KritaCanvas  # noqa: E402

FOLDER = Path(os.environ["SCUMBLE_TEST"])
SRGB = "sRGB-elle-V2-srgbtrc.icc"
KEPT = []
"""Documents stay open: Krita 5.1.5 crashes where many are closed fast."""


class Canvas(KritaCanvas):
    """`pretended` is the active document and node in the place of Krita's own: one without a window is never that."""

    pretended = None

    def _active(self):
        return self.pretended or super()._active()


class KritaRig(rig.Rig):
    """All of it runs on Krita's thread."""

    def __init__(self):
        self.app = Krita.instance()
        self.app.setBatchmode(True)
        self.window = self.app.activeWindow()
        self.canvas = Canvas()

    # ------------------------------------------------------------------------------------------- what a user does

    def open(self, width, height, in_window=False):
        document = self.app.createDocument(width, height, f"case {len(KEPT)}", "RGBA", "U8", SRGB, 72.0)
        for node in document.rootNode().childNodes():
            node.remove()
        if in_window:
            self.window.addView(document)
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
        found, node = self._document(document), self._node(document, layer) if layer else None
        if not self.is_in_window(document):
            self.canvas.pretended = (found, node)
        elif node is not None:
            self.canvas.pretended = None
            found.setActiveNode(node)

    def is_in_window(self, document):
        """Whether it can be the active one at all."""
        return any(each.document() == self._document(document) for each in self.window.views())

    def is_active(self, document):
        """Whether it is the active one."""
        return self.app.activeDocument() == self._document(document)

    def bring_forward(self, document):
        """Have its tab be the one that is seen, as soon as Krita has time."""
        tabs = self.window.qwindow().findChild(QMdiArea)
        views = self.window.views()
        number = next(at for at, view in enumerate(views) if view.document() == self._document(document))
        tabs.setActiveSubWindow(tabs.subWindowList()[number])

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
        self.app.action("edit_undo").trigger()
        self._document(document).waitForDone()

    def redo(self, document):
        self.app.action("edit_redo").trigger()
        self._document(document).waitForDone()

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
        node = self._document(document).activeNode()
        return "" if node is None else _id(node)

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
        found.waitForDone()  # and no more: what the user sees is what Krita composes by itself
        return _turned(bytes(found.pixelData(0, 0, found.width(), found.height())))

    def set_unmodified(self, document):
        self._document(document).setModified(False)

    def is_modified(self, document):
        return self._document(document).modified()

    # --------------------------------------------------------------------------------------------------- Krita's own

    def _settle(self, document):
        document.refreshProjection()
        document.waitForDone()

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


# ------------------------------------------------------------------------------------------------- from another thread


class Desk(QObject):
    """Has things done on the thread that it was made on."""

    asked = pyqtSignal(object)

    def __init__(self):
        super().__init__()
        self.asked.connect(lambda action: action())

    def do(self, action):
        """Have it done there and wait; what it returns, or raises."""
        done, outcome = threading.Event(), []

        def run():
            try:
                outcome.append((action(), None))
            except BaseException as error:  # raised again on the other thread
                outcome.append((None, error))
            done.set()

        self.asked.emit(run)
        done.wait()
        value, error = outcome[0]
        if error is not None:
            raise error
        return value


class Far:
    """An object whose methods are called at a desk; generators among what they return go on there as well."""

    def __init__(self, desk, near):
        self._desk, self._near = desk, near

    def __getattr__(self, name):
        found = getattr(self._near, name)
        return (lambda *words, **more: self._call(found, *words, **more)) if callable(found) else found

    def _call(self, method, *words, **more):
        value = self._desk.do(lambda: method(*words, **more))
        return FarSteps(self._desk, value) if isinstance(value, types.GeneratorType) else value


class FarSteps:
    def __init__(self, desk, steps):
        self._desk, self._steps = desk, steps

    def __next__(self):
        # A StopIteration cannot pass through: what is asked for here is a step, or what all of them came to.
        is_over, value = self._desk.do(self._step)
        if is_over:
            raise StopIteration(value)

    def _step(self):
        try:
            next(self._steps)
        except StopIteration as end:
            return True, end.value
        return False, None

    def close(self):
        self._desk.do(self._steps.close)


class FarRig(rig.Rig):
    """Does on Krita's thread what is Krita's, and waits where a user would see that it takes a moment."""

    def __init__(self, desk, near):
        self.near, self.canvas = Far(desk, near), Far(desk, near.canvas)

    def activate(self, document, layer):
        if not self.near.is_in_window(document):
            self.near.activate(document, layer)
            return
        self._bring_forward(document)
        self.near.activate(document, layer)
        self._until(lambda: self.near.active(document) == layer, lambda: self.near.activate(document, layer))

    def _bring_forward(self, document):
        self._until(lambda: self.near.is_active(document), lambda: self.near.bring_forward(document))

    def active(self, document):
        time.sleep(0.2)  # what Krita does by itself after a layer was added
        return self.near.active(document)

    def undo(self, document):
        self._bring_forward(document)
        self.near.undo(document)

    def redo(self, document):
        self._bring_forward(document)
        self.near.redo(document)

    def _until(self, condition, action):
        """Do something until it has come true."""
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("Krita does not come to it")
            action()
            time.sleep(0.02)

    def __getattribute__(self, name):
        is_own = name in FarRig.__dict__ or name not in rig.Rig.__abstractmethods__
        return object.__getattribute__(self, name) if is_own else getattr(self.near, name)


FarRig.__abstractmethods__ = frozenset()
