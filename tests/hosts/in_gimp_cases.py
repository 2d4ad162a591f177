"""Runs inside GIMP, on a screen that nobody sees: the cases of canvas_cases.py, each as a check."""

from functools import partial

import rig
from gimp_hand import FOLDER, add, ids, kept, make, opened, rectangle, seen, select
from gimp_hand import NONE as OUTSIDE_NOTHING
from in_gimp_shown import press, shown
from scumble_gimp.canvas import GimpCanvas
from scumble_gimp.gimp import Gimp, GLib
from scumble_gimp.link.pixels import Rect

rig.use("scumble_gimp.link")
from canvas_cases import CASES  # noqa: E402

FORM = "R'G'B'A u8"


class GimpRig(rig.Rig):
    """GIMP keeps no images in windows unless it is told to: only those that need one have one."""

    mixes_linear_light = True
    layers_have_edges = True

    def __init__(self):
        self.saved = 0
        self.open(8, 8)

    # ------------------------------------------------------------------------------------------- what a user does

    def open(self, width, height, in_window=False):
        image = make(width=width, height=height)
        if in_window:
            shown(image)
        self.canvas = GimpCanvas(image)
        return ids(image)

    def close(self, document):
        _image(document).delete()

    def add(self, document, name, box, pixels, group=""):
        box = box or Rect(0, 0, _image(document).get_width(), _image(document).get_height())
        pixels = pixels or bytes(4 * box.width * box.height)
        return ids(add(_image(document), box, pixels, parent=_item(group), name=name))

    def add_group(self, document, name, group=""):
        made = Gimp.GroupLayer.new(_image(document), name)
        _image(document).insert_layer(made, _item(group), 0)
        return ids(made)

    def add_mask(self, document, name, box, data):
        self.select(document, box, data)
        Gimp.Selection.save(_image(document)).set_name(name)
        self.select_none(document)

    def activate(self, document, layer):
        self.canvas = GimpCanvas(_image(document))
        _image(document).set_selected_layers([_item(layer)] if layer else [])

    def select(self, document, box, data):
        select(_image(document), data, box)

    def select_none(self, document):
        Gimp.Selection.none(_image(document))

    def invert_selection(self, document):
        Gimp.Selection.invert(_image(document))

    def empty_selection(self, document):
        image = _image(document)
        image.select_rectangle(Gimp.ChannelOps.SUBTRACT, 0, 0, image.get_width(), image.get_height())

    def remove(self, document, layer):
        _image(document).remove_layer(_item(layer))

    def undo(self, document):
        self._press("ctrl+z", document)

    def redo(self, document):
        self._press("ctrl+y", document)

    def _press(self, keys, document):
        before = self.children(document)
        press(keys, lambda: self.children(document) != before)

    def reopened(self, document):
        self.saved += 1
        path = FOLDER / f"case-{self.saved}.xcf"
        kept(_image(document), path)
        return ids(opened(path))

    # ------------------------------------------------------------------------------------------- what a user sees

    def children(self, document, group=""):
        return [ids(each) for each in (_item(group).get_children() if group else _image(document).get_layers())]

    def name(self, document, layer):
        return _item(layer).get_name()

    def active(self, document):
        (layer,) = _image(document).get_selected_layers()
        return ids(layer)

    def pixels(self, document, layer, box):
        return _pixels(_item(layer), _item(layer), box, FORM)

    def mask(self, document, layer, box):
        mask = _item(layer).get_mask()
        return None if mask is None else _pixels(mask, _item(layer), box, "Y u8")

    def composite(self, document):
        return seen(_image(document), FORM)

    def set_unmodified(self, document):
        _image(document).clean_all()

    def is_modified(self, document):
        return _image(document).is_dirty()

    def breathe(self):
        while GLib.MainContext.default().iteration(False):
            pass


def _image(document):
    return Gimp.Image.get_by_id(int(document))


def _item(layer):
    return Gimp.Item.get_by_id(int(layer)) if layer else None


def _pixels(drawable, layer, box, form):
    _, x, y = layer.get_offsets()
    return bytes(drawable.get_buffer().get(rectangle(box.moved(-x, -y)), 1.0, form, OUTSIDE_NOTHING))


RIG = GimpRig()
globals().update({f"check_{name}": partial(case, RIG) for name, case in CASES.items()})
