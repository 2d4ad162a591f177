"""The made-up host as the cases of canvas_cases.py need it."""

import numpy as np
import rig
from fake_canvas import FakeCanvas, FakeLayer, FakeMask, cut
from krita_scumble.link.pixels import Rect

rig.use("krita_scumble.link")


class FakeRig(rig.Rig):
    def __init__(self):
        self.canvas = FakeCanvas()
        self.states = {}

    # ------------------------------------------------------------------------------------------- what a user does

    def open(self, width, height, in_window=False):
        document = self.canvas.add(f"document-{len(self.canvas.documents) + 1}", width, height)
        document.layers.clear()
        return document.id

    def close(self, document):
        self.canvas.close(document)

    def add(self, document, name, box, pixels, group=""):
        box = box or Rect(0, 0, 1, 1)
        array = np.frombuffer(pixels or bytes(4), np.uint8).reshape(box.height, box.width, 4).copy()
        return self._add(document, FakeLayer(f"{document}-{name}", name, array, box.x, box.y, group=group))

    def add_group(self, document, name, group=""):
        none = np.zeros((0, 0, 4), np.uint8)
        return self._add(document, FakeLayer(f"{document}-{name}", name, none, group=group, is_group=True))

    def _add(self, document, layer):
        self.canvas.documents[document].layers.append(layer)
        return layer.id

    def add_mask(self, document, name, box, data):
        mask = FakeMask(f"{document}-{name}", name, self._whole(document, box, data))
        self.canvas.documents[document].masks.append(mask)

    def _whole(self, document, box, data):
        array = np.frombuffer(data, np.uint8).reshape(box.height, box.width)
        return cut(array, (box.x, box.y), self.canvas.documents[document].canvas)

    def activate(self, document, layer):
        self.canvas.active = document
        if layer:
            found = self.canvas.document.find(layer)
            self.canvas.document.active = self.canvas.document.layers.index(found)

    def select(self, document, box, data):
        self.canvas.documents[document].selection = self._whole(document, box, data)

    def select_none(self, document):
        self.canvas.documents[document].selection = None

    def invert_selection(self, document):
        np.subtract(255, self.canvas.documents[document].selection, out=self.canvas.documents[document].selection)

    def empty_selection(self, document):
        self.canvas.documents[document].selection[:] = 0

    def remove(self, document, layer):
        self.canvas.documents[document].layers.remove(self.canvas.documents[document].find(layer))

    def undo(self, document):
        self.canvas.documents[document].undo()

    def redo(self, document):
        self.canvas.documents[document].redo()

    def reopened(self, document):
        raise rig.CannotPlay("the made-up host has no files")

    # ------------------------------------------------------------------------------------------- what a user sees

    def children(self, document, group=""):
        return [each.id for each in self.canvas.documents[document].listed(group) if each.group == group]

    def name(self, document, layer):
        return self.canvas.documents[document].find(layer).name

    def active(self, document):
        return self.canvas.documents[document].layers[self.canvas.documents[document].active].id

    def pixels(self, document, layer, box):
        found = self.canvas.documents[document].find(layer)
        return cut(found.pixels, (found.x, found.y), box).tobytes()

    def mask(self, document, layer, box):
        found = self.canvas.documents[document].find(layer)
        return None if found.mask is None else cut(found.mask, (found.x, found.y), box).tobytes()

    def composite(self, document):
        return self.canvas.documents[document].composite().tobytes()

    def set_unmodified(self, document):
        self.states[document] = len(self.canvas.documents[document].done)

    def is_modified(self, document):
        return len(self.canvas.documents[document].done) != self.states[document]
