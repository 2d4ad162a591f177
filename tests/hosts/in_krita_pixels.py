"""Runs inside Krita, without a window: what `KritaCanvas` reads and adds, against formulas of our own.

Every function named `check_…` is one check; what it raises is its failure, "skip: …" why it cannot be made there.
"""

import array
import faulthandler
import json
import os
import struct
import threading
import time
import traceback
from pathlib import Path

from krita import Krita, Selection
from PyQt5.QtCore import QByteArray
from PyQt5.QtWidgets import QApplication
from scumble.canvas import KritaCanvas
from scumble.link.canvas import Layer
from scumble.link.errors import LinkError
from scumble.link.pixels import Plane, Rect
from spaces import SPACES

FOLDER = Path(os.environ["SCUMBLE_TEST"])
RESULTS = {"version": "", "checks": {}, "seconds": {}, "figures": {}}
SRGB = "sRGB-elle-V2-srgbtrc.icc"
WIDTH, HEIGHT = 96, 64
COLORS = [(200, 100, 50), (90, 200, 120), (250, 250, 240), (128, 128, 128), (70, 90, 200), (255, 255, 255), (0, 0, 0)]
ALPHAS = [255, 128, 0]
KEPT = []
"""Documents stay open: Krita 5.1.5 crashes where many are closed fast."""


class SkipError(Exception):
    """Why a check cannot be made in this Krita."""


def save():
    part = FOLDER / "results.part"
    part.write_text(json.dumps(RESULTS, indent=1))
    part.replace(FOLDER / "results.json")


def events():
    for _ in range(4):
        QApplication.processEvents()


class TestCanvas(KritaCanvas):
    """Without a window Krita has no active document: the test says which it is."""

    active = (None, None)

    def _active(self):
        return self.active


class House:
    def __init__(self):
        self.app = Krita.instance()
        self.app.setBatchmode(True)
        self.canvas = TestCanvas()

    @property
    def is_51(self):
        return self.app.version().startswith("5.1")

    def document(self, model="RGBA", depth="U8", profile=SRGB, width=WIDTH, height=HEIGHT):
        document = self.app.createDocument(width, height, f"{model} {depth}", model, depth, profile, 72.0)
        document.setBatchmode(True)
        KEPT.append(document)
        document.waitForDone()
        events()
        return document

    def layer(self, document, data, rect, parent=None, name="source"):
        node = document.createNode(name, "paintlayer")
        if data:
            node.setPixelData(QByteArray(bytes(data)), rect.x, rect.y, rect.width, rect.height)
        (parent or document.rootNode()).addChildNode(node, None)
        return self.settle(document) or node

    def settle(self, document):
        document.refreshProjection()
        document.waitForDone()
        events()

    def composed(self, document, is_so):
        """Wait until a picture is composed in such a way."""
        deadline = time.monotonic() + 20
        while not is_so() and time.monotonic() < deadline:
            time.sleep(0.01)
            document.waitForDone()
            events()

    def subject(self, document, node):
        self.canvas.active = (document, node)
        return self.canvas.subject()

    def finish(self, steps, times=None):
        """Do all steps, with Krita's events in between; what they return."""
        while True:
            begin = time.perf_counter()
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            finally:
                if times is not None:
                    times.append(time.perf_counter() - begin)
            QApplication.processEvents()

    def take(self, subject, box=None, regions=(), use_selection=False, times=None):
        return self.finish(self.canvas.take(subject, box or subject.bounds, regions, use_selection), times)


def same(found, wanted, *words):
    if found != wanted:
        raise AssertionError(f"{' '.join(map(str, words))}: {found!r}, not {wanted!r}")


def near(found, wanted, tolerance, *words):
    if len(found) != len(wanted) or any(abs(a - b) > tolerance for a, b in zip(found, wanted, strict=True)):
        raise AssertionError(f"{' '.join(map(str, words))}: {found}, not {wanted} within {tolerance}")


def refused(code, action):
    try:
        action()
    except LinkError as error:
        same(error.code, code, "the error")
    else:
        raise AssertionError(f"no error, not {code}")


# ------------------------------------------------------------------------------------------------------- the formulas


def linear(value):
    """sRGB's decoding, IEC 61966-2-1; 0 to 1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def xyz(color):
    """CIE XYZ relative to D50, Bradford-adapted, of an sRGB colour from 0 to 255."""
    red, green, blue = (linear(each / 255) for each in color)
    return (
        0.4360747 * red + 0.3850649 * green + 0.1430804 * blue,
        0.2225045 * red + 0.7168786 * green + 0.0606169 * blue,
        0.0139322 * red + 0.0971045 * green + 0.7141733 * blue,
    )


def lab(color):
    """CIE L*a*b* relative to D50."""

    def f(value):
        return value ** (1 / 3) if value > (6 / 29) ** 3 else value / (3 * (6 / 29) ** 2) + 4 / 29

    x, y, z = (f(value / white) for value, white in zip(xyz(color), (0.9642, 1.0, 0.8249), strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def packed(depth, values, whole):
    """Values from 0 to 1 (`whole` is what 1 is among integers, by depth) as Krita keeps them."""
    if depth in ("U8", "U16"):
        most, code = (255, "B") if depth == "U8" else (65535, "H")
        return struct.pack(f"<{len(values)}{code}", *(min(max(round(v * whole[depth]), 0), most) for v in values))
    return struct.pack(f"<{len(values)}{'e' if depth == 'F16' else 'f'}", *values)


FULL = {"U8": 255, "U16": 65535}


def encoded(model, depth, profile, color, alpha):
    """One pixel of an sRGB colour in one of Krita's spaces; None where there is no formula."""
    a = packed(depth, [alpha / 255], FULL)
    curve = linear if "g10" in profile else float
    if model == "RGBA":
        red, green, blue = (curve(each / 255) for each in color)
        order = (red, green, blue) if depth in ("F16", "F32") else (blue, green, red)
        return packed(depth, order, FULL) + a
    if model == "GRAYA":
        return packed(depth, [curve(color[0] / 255)], FULL) + a
    if model == "XYZA":
        # Integers hold up to 1 + 32767 / 32768, and so does what LittleCMS takes a half float for.
        values = [each * 32768 / 65535 if depth == "F16" else each for each in xyz(color)]
        return packed(depth, values, {"U8": 255 * 32768 / 65535, "U16": 32768}) + a
    if model == "LABA":
        lightness, first, second = lab(color)
        if depth == "F32":
            return struct.pack("<3f", lightness, first, second) + a
        full, unit = (255, 1) if depth == "U8" else (65535, 257)
        values = (lightness * full / 100, (first + 128) * unit, (second + 128) * unit)
        return struct.pack("<3B" if depth == "U8" else "<3H", *(min(max(round(v), 0), full) for v in values)) + a
    return None


TOLERANCE = {("LABA", "U8"): 5, ("XYZA", "U8"): 6}
"""How exact a space is itself, in steps of 8 bits; others are exact to one."""
NARROW = ("CMYKA", "YCbCrA")
"""Spaces with profiles of their own, and colours that they do not have."""


def colors_of(model):
    return [(each[1],) * 3 for each in COLORS] if model == "GRAYA" else COLORS


def eight(plane, x, y):
    """A pixel of a plane as RGBA from 0 to 255, with fractions."""
    begin = (y * plane.width + x) * plane.pixel_bytes
    values = memoryview(bytes(plane.data[begin : begin + plane.pixel_bytes]))
    values = list(values if plane.depth == 1 else values.cast("H"))
    values = [value / (257 if plane.depth == 2 else 1) for value in values]
    if plane.is_bgr:
        values[0], values[2] = values[2], values[0]
    return values


# --------------------------------------------------------------------------------------------------------- the spaces


def space_document(house, model, depth):
    """A document, its layer with all colours at all alphas (lying partly off the canvas), and where that lies."""
    document = house.document(model, depth, SRGB if (model, depth) == ("RGBA", "U8") else "")
    profile = document.colorProfile()
    rect = Rect(-3, 5, len(COLORS) * 4, len(ALPHAS) * 4)
    rows = bytearray()
    for alpha in ALPHAS:
        pixels = [encoded(model, depth, profile, color, alpha) for color in colors_of(model)]
        if pixels[0] is None:
            pixels = [bytes((*color[::-1], alpha)) for color in COLORS]
        rows += b"".join(each * 4 for each in pixels) * 4
    node = document.createNode("source", "paintlayer")
    if model in NARROW:  # Krita's own way there, and its own way to the screen as what is expected back
        node.setColorSpace("RGBA", "U8", SRGB)
        node.setPixelData(QByteArray(bytes(rows)), rect.x, rect.y, rect.width, rect.height)
        node.setColorSpace(model, depth, profile)
    else:
        node.setPixelData(QByteArray(bytes(rows)), rect.x, rect.y, rect.width, rect.height)
    document.rootNode().addChildNode(node, None)
    house.settle(document)
    return document, node, rect


def on_screen(document, x, y):
    """What Krita shows at a place of the whole picture, as RGBA."""
    color = document.projection(x, y, 1, 1).pixelColor(0, 0)
    return [color.red(), color.green(), color.blue(), color.alpha()]


def check_space(house, model, depth):
    document, node, rect = space_document(house, model, depth)
    document.setModified(False)
    subject = house.subject(document, node)
    same(subject.bounds, Rect(rect.x, rect.y, rect.width, len(ALPHAS[:2]) * 4), "the bounds: alpha 0 is nothing")
    taken = house.take(subject, rect)
    same(document.modified(), False, "the document is modified by reading it")
    same(taken.content.depth, 1 if depth == "U8" else 2, "the depth")
    tolerance = TOLERANCE.get((model, depth), 1)
    for row, alpha in enumerate(ALPHAS[:2]):
        for column, color in enumerate(colors_of(model)):
            found = eight(taken.content, column * 4 + 1, row * 4 + 1)
            if model in NARROW and alpha == 255:
                x, y = rect.x + column * 4 + 3, rect.y + row * 4 + 1
                near(found, on_screen(document, x, y), 2, color, "as on the screen")
            elif model in NARROW:
                same(round(found[3]), alpha, "alpha")
            else:
                near(found, [*color, alpha], tolerance, color, "at", alpha)
    add_to_space(house, document, node, model, depth, tolerance)


def add_to_space(house, document, node, model, depth, tolerance):
    box = Rect(10, -4, 60, 40)
    plane, mask = painting(box, 1 if depth == "U8" else 2, is_gray=model == "GRAYA"), soft_mask(box)
    before = bytes(document.pixelData(0, 0, WIDTH, HEIGHT))
    size = len(before) // (WIDTH * HEIGHT)
    layer = Layer(subject_ids(document), ids(node), "Starry night 60", box, plane, mask, '{"a": 1}')
    steps = house.canvas.insert(layer)
    placed = house.finish(steps)
    house.settle(document)
    after = bytes(document.pixelData(0, 0, WIDTH, HEIGHT))
    changed = 0
    for y in range(HEIGHT):
        for x in range(WIDTH):
            at = (y * WIDTH + x) * size
            is_inside = box.x <= x < box.right and box.y <= y < box.bottom
            covered = mask.data[(y - box.y) * box.width + x - box.x] if is_inside else 0
            is_same = before[at : at + size] == after[at : at + size]
            if not covered:
                same(is_same, True, "outside the selection, at", x, y)
            changed += covered == 255 and not is_same
    if changed < 500:
        raise AssertionError(f"only {changed} pixels have changed")
    new = by_id(document, placed.layer)
    same([new.name(), new.type()], ["Starry night 60", "paintlayer"], "the layer")
    same([new.colorModel(), new.colorDepth(), new.colorProfile()], [model, depth, document.colorProfile()], "its space")
    same([each.type() for each in new.childNodes()], ["transparencymask"], "its masks")
    if model in NARROW:
        tolerance = 60
    content = house.take(house.subject(document, new), box).content
    for x, y in ((25, 5), (40, 20), (55, 38), (59, 4)):
        wanted = eight(plane, x, y)
        wanted[3] = mask.data[y * box.width + x]
        near(eight(content, x, y), wanted, tolerance + 1, "the new layer, at", x, y)
    same(house.subject(document, new).bounds.y, 0, "where a masked layer begins that reaches beyond the canvas")


def painting(box, depth, is_gray=False):
    """A picture of smooth colours within every space's reach."""
    values = array.array("B" if depth == 1 else "H")
    unit = 1 if depth == 1 else 257
    for y in range(box.height):
        for x in range(box.width):
            color = (90 + 2 * x % 120, 80 + 3 * y % 120, 140 - x % 50)
            values.extend(unit * each for each in (*((color[0],) * 3 if is_gray else color), 255))
    return Plane(box.width, box.height, 4, depth, values.tobytes())


def soft_mask(box):
    """None on the left, then a slope, then all."""
    row = bytes(min(max(255 * (x - box.width // 4) // (box.width // 3), 0), 255) for x in range(box.width))
    return Plane(box.width, box.height, 1, 1, row * box.height)


def ids(node):
    return node.uniqueId().toString().strip("{}")


def subject_ids(document):
    return ids(document.rootNode())


def by_id(document, id):
    def walk(node):
        for each in node.childNodes():
            yield each
            yield from walk(each)

    return next(each for each in walk(document.rootNode()) if ids(each) == id)


# ------------------------------------------------------------------------------------------------------ kinds of layers

SOLID = bytes([50, 100, 200, 255])
RGBA = [200, 100, 50, 255]


def solid(rect, pixel=SOLID):
    return pixel * (rect.width * rect.height)


def check_group(house):
    document = house.document()
    group = document.createGroupLayer("group")
    document.rootNode().addChildNode(group, None)
    rect = Rect(-10, -10, 40, 30)
    inner = house.layer(document, solid(rect), rect, group, "inner")
    for passes in (False, True):
        group.setPassThroughMode(passes)
        house.settle(document)
        subject = house.subject(document, group)
        same(subject.bounds, rect, "the bounds, passing through:", passes)
        near(eight(house.take(subject).content, 3, 3), RGBA, 0, "passing through:", passes)
    box = Rect(0, 0, 10, 10)
    layer = Layer(subject_ids(document), ids(inner), "new", box, painting(box, 1))
    new = by_id(document, house.finish(house.canvas.insert(layer)).layer)
    same([each.name() for each in group.childNodes()], ["inner", "new"], "above its source, in its group")
    same(new.childNodes(), [], "no mask")


def check_transparency_mask_of_the_source(house):
    """A layer is read as its masks leave it; a mask that is active stands for its layer."""
    document = house.document()
    box = Rect(0, 0, 40, 30)
    base = house.layer(document, b"", None)
    layer = Layer(subject_ids(document), ids(base), "masked", box, painting(box, 1), soft_mask(box))
    new = by_id(document, house.finish(house.canvas.insert(layer)).layer)
    subject = house.subject(document, new.childNodes()[0])
    same([subject.layer, subject.name], [ids(new), "masked"], "the mask's layer")
    content = house.take(subject, box).content
    near([eight(content, x, 3)[3] for x in (2, 16, 39)], [0, soft_mask(box).data[16], 255], 0, "alpha")


def check_vector_layer(house):
    if house.is_51:
        raise SkipError("Krita 5.1.5 crashes on addShapesFromSvg without a window")
    document = house.document()
    node = document.createVectorLayer("vectors")
    document.rootNode().addChildNode(node, None)
    node.addShapesFromSvg(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}px" height="{HEIGHT}px">'
        f'<rect x="10" y="10" width="30" height="20" fill="#c86432"/></svg>'
    )
    deadline = time.monotonic() + 5
    while node.bounds().isEmpty() and time.monotonic() < deadline:  # drawn when Krita finds time
        time.sleep(0.05)
        house.settle(document)
    subject = house.subject(document, node)
    same(subject.bounds.is_empty, False, "the bounds are empty")
    middle = Rect(subject.bounds.x + 10, subject.bounds.y + 10, 4, 4)
    near(eight(house.take(subject, middle).content, 1, 1), RGBA, 0, "a vector layer")


def check_filter_and_clone_layer(house):
    document = house.document()
    rect = Rect(0, 0, WIDTH, HEIGHT)
    source = house.layer(document, solid(rect), rect)
    clone = document.createCloneLayer("clone", source)
    document.rootNode().addChildNode(clone, None)
    house.settle(document)
    near(eight(house.take(house.subject(document, clone)).content, 3, 3), RGBA, 0, "a clone layer")
    node = document.createFilterLayer("filter", house.app.filter("invert"), Selection())
    document.rootNode().addChildNode(node, None)
    house.settle(document)
    subject = house.subject(document, node)
    same(subject.bounds, rect, "a filter layer's bounds")
    same(len(house.take(subject).content.data), WIDTH * HEIGHT * 4, "its pixels")


def check_layer_of_another_space(house):
    """A layer keeps its own space; the new one above it gets the document's."""
    document = house.document()
    node = document.createNode("lab", "paintlayer")
    node.setColorSpace("LABA", "U16", "Lab identity built-in")
    pixel = encoded("LABA", "U16", "", (200, 100, 50), 255)
    node.setPixelData(QByteArray(pixel * 400), 4, 4, 20, 20)
    document.rootNode().addChildNode(node, None)
    house.settle(document)
    subject = house.subject(document, node)
    near(eight(house.take(subject).content, 3, 3), RGBA, 1, "a LAB layer in an RGB document")
    layer = Layer(subject.document, subject.layer, "new", subject.bounds, painting(subject.bounds, 1))
    new = by_id(document, house.finish(house.canvas.insert(layer)).layer)
    same([new.colorModel(), new.colorDepth()], ["RGBA", "U8"], "the new layer's space")


def check_inherit_alpha(house):
    document = house.document()
    rect = Rect(0, 0, 20, 20)
    node = house.layer(document, solid(rect), rect)
    node.setInheritAlpha(True)
    layer = Layer(subject_ids(document), ids(node), "new", rect, painting(rect, 1), soft_mask(rect))
    same(by_id(document, house.finish(house.canvas.insert(layer)).layer).inheritAlpha(), True, "inherit alpha")


def check_beside_a_single_layer(house):
    """A group that has a single layer shows that one's own pixels; with a second one it still shows all of them."""
    whole, rect = Rect(0, 0, WIDTH, HEIGHT), Rect(30, 20, 16, 12)
    for is_in_group in (False, True):
        for mask in (None, soft_mask(rect)):
            document = house.document()
            node = document.rootNode().childNodes()[0]
            if is_in_group:
                group = document.createGroupLayer("group")
                document.rootNode().addChildNode(group, node)
                node.remove()
                node = house.layer(document, None, None, group)
            node.setPixelData(QByteArray(solid(whole)), 0, 0, WIDTH, HEIGHT)
            house.settle(document)
            layer = Layer(subject_ids(document), ids(node), "new", rect, painting(rect, 1), mask)
            house.finish(house.canvas.insert(layer))
            document.waitForDone()
            found = bytes(document.pixelData(0, 0, WIDTH, HEIGHT))
            same([found[at : at + 4] for at in (0, len(found) - 4)], [SOLID, SOLID], "in a group:", is_in_group)
            seen = sum(found[at : at + 4] != SOLID for at in range(0, len(found), 4))
            same(50 < seen <= rect.width * rect.height, True, seen, "pixels are other")


def large(house):
    """A document that takes Krita a while to compose, and a layer for it."""
    document = house.document("RGBA", "F32", "", 4000, 3000)
    node = document.rootNode().childNodes()[0]
    node.setPixelData(QByteArray(array.array("f", [0.5, 0.25, 0.75, 1]).tobytes() * (4000 * 3000)), 0, 0, 4000, 3000)
    house.settle(document)
    rect = Rect(3900, 2900, 100, 100)
    return document, Layer(subject_ids(document), ids(node), "new", rect, painting(rect, 1), soft_mask(rect))


def check_krita_goes_on_while_it_composes(house):
    """The layer is there for many steps before adding it is done: Krita takes input meanwhile."""
    document, layer = large(house)
    steps, turns = house.canvas.insert(layer), 0
    for _ in steps:
        QApplication.processEvents()
        turns += len(document.rootNode().childNodes()) == 2
    same(turns > 6, True, "Krita's thread was held until all was composed:", turns)
    same(document.tryBarrierLock(), True, "in the end it is composed")
    document.unlock()


def check_krita_goes_on_while_it_converts(house):
    """What waits for a conversion are many short steps, none of which waits for all of it."""
    document, _ = large(house)
    node = document.rootNode().childNodes()[0]
    steps = house.canvas.take(house.subject(document, node), Rect(0, 0, 1000, 1000), (), False)
    turns, most = 0, 0
    for _ in steps:
        QApplication.processEvents()
        waits = any(thread.name == "scumble-waiter" for thread in threading.enumerate())
        turns = turns + 1 if waits else 0
        most = max(most, turns)
    same(most > 3, True, "Krita's thread was held until all was converted:", most)


def check_closed_while_it_converts(house):
    """What is converted on another thread was read before, and needs its document no more."""
    for _ in range(3):
        document, _ = large(house)
        node = document.rootNode().childNodes()[0]
        steps = house.canvas.take(house.subject(document, node), Rect(0, 0, 1000, 1000), (), False)
        while not any(thread.name == "scumble-waiter" for thread in threading.enumerate()):
            next(steps)
        KEPT.remove(document)
        document.setModified(False)
        document.close()
        plane = house.finish(steps).content
        near(eight(plane, 999, 999), [188, 137, 225, 255], 1, "the last pixel")


def check_closed_while_it_composes(house):
    for _ in range(3):
        document, layer = large(house)
        steps = house.canvas.insert(layer)
        while len(document.rootNode().childNodes()) == 1:
            next(steps)
        KEPT.remove(document)
        document.setModified(False)
        document.close()
        refused("document-closed", lambda steps=steps: house.finish(steps))
        events()
        time.sleep(0.1)
        events()


def check_adding_is_one_step(house):
    """Nothing is done to the document before the layer and its mask are there at once: Krita has no other step."""
    document = house.document("LABA", "U16", "")
    node = house.layer(document, b"", None)
    rect = Rect(2, 3, 24, 20)
    document.setModified(False)
    steps = house.canvas.insert(
        Layer(subject_ids(document), ids(node), "new", rect, painting(rect, 2), soft_mask(rect))
    )
    while len(document.rootNode().childNodes()) == 2:
        same(document.modified(), False, "modified before the layer is there")
        next(steps)
        events()
    same([len(each.childNodes()) for each in document.rootNode().childNodes()], [0, 0, 1], "masks")
    house.finish(steps)
    same(document.modified(), True, "modified by the layer")


# ------------------------------------------------------------------------------------------------ selections, regions


def select(house, document, selection):
    document.setSelection(selection)
    house.settle(document)


def check_selections(house):
    document = house.document()
    rect = Rect(-20, 0, WIDTH + 40, HEIGHT)
    node = house.layer(document, solid(rect), rect)
    same(house.subject(document, node).selection, None, "no selection")
    soft = Selection()
    soft.setPixelData(QByteArray(bytes(range(0, 200, 10)) * 10), 30, 20, 20, 10)
    select(house, document, soft)
    subject = house.subject(document, node)
    same(subject.selection, Rect(31, 20, 19, 10), "a soft selection's bounds")
    taken = house.take(subject, Rect(25, 15, 30, 20), use_selection=True)
    row = bytes(5) + bytes(range(0, 200, 10)) + bytes(5)
    same(bytes(taken.mask.data), bytes(150) + row * 10 + bytes(150), "a soft selection, bit for bit")
    same(house.take(subject, Rect(25, 15, 30, 20)).mask, None, "where it is not asked for")
    turned = Selection()
    turned.select(10, 10, 50, 30, 255)
    turned.invert()
    select(house, document, turned)
    subject = house.subject(document, node)
    same(subject.selection, subject.canvas, "an inverted selection's bounds")
    data = bytes(house.take(subject, Rect(8, 8, 4, 4), use_selection=True).mask.data)
    same(data, b"\xff" * 10 + b"\0\0" + b"\xff\xff" + b"\0\0", "an inverted selection")
    emptied = document.selection()
    emptied.clear()
    select(house, document, emptied)
    same(house.subject(document, node).selection, None, "an emptied selection")


def check_regions(house):
    document = house.document()
    rect = Rect(4, 4, 20, 20)
    node = house.layer(document, solid(rect, SOLID[:3] + b"\x80"), rect, name="half")
    chosen = Selection()
    chosen.select(6, 6, 10, 10, 200)
    mask = document.createSelectionMask("sky")
    mask.setSelection(chosen)
    node.addChildNode(mask, None)
    deep = house.document("RGBA", "F32", "")
    half = house.layer(deep, encoded("RGBA", "F32", deep.colorProfile(), (9, 9, 9), 128) * 400, rect, name="deep half")
    house.settle(document)
    found = house.canvas.regions(subject_ids(document))
    same(
        [(each.name, each.kind) for each in found], [("sky", "mask"), ("half", "layer"), ("Background", "layer")], "all"
    )
    box = Rect(0, 0, 30, 30)
    chosen = [each.id for each in found[:2]]
    taken = house.take(house.subject(document, node), box, chosen)
    same(list(taken.regions), chosen, "those that were asked for")
    sky, layer = taken.regions.values()
    same([sky.data[3 * 30 + 3], sky.data[10 * 30 + 10], sum(sky.data)], [0, 200, 200 * 100], "the selection mask")
    same([layer.data[3 * 30 + 3], layer.data[10 * 30 + 10], sum(layer.data)], [0, 128, 128 * 400], "the layer's alpha")
    id = next(each.id for each in house.canvas.regions(subject_ids(deep)) if each.name == "deep half")
    plane = house.take(house.subject(deep, half), box, [id]).regions[id]
    same([plane.data[3 * 30 + 3], plane.data[10 * 30 + 10], sum(plane.data)], [0, 128, 128 * 400], "alpha in float")


def check_global_selection_is_no_layer(house):
    document = house.document()
    rect = Rect(0, 0, 20, 20)
    node = house.layer(document, solid(rect), rect)
    chosen = Selection()
    chosen.select(1, 1, 10, 10, 255)
    select(house, document, chosen)
    mask = next(each for each in document.rootNode().childNodes() if each.type() == "selectionmask")
    refused("no-layer", lambda: house.subject(document, mask))
    same([each.kind for each in house.canvas.regions(subject_ids(document))], ["mask", "layer", "layer"], "the regions")
    names = [each.name for each in house.canvas.layers() if each.id.startswith(subject_ids(document))]
    same(names, ["source", "Background"], "the layers")
    gone = Layer(subject_ids(document), "gone", "new", rect, painting(rect, 1))
    placed = house.finish(house.canvas.insert(gone))
    same(bool(placed.notice), True, "a notice")
    layers = [each.name() for each in document.rootNode().childNodes() if each.type() == "paintlayer"]
    same(layers, ["Background", "source", "new"], "on top")
    del node


# ------------------------------------------------------------------------------------------- documents, notes, recipes


def check_nothing_active(house):
    document = house.document()
    house.canvas.active = (None, None)
    refused("no-document", house.canvas.subject)
    house.canvas.active = (document, None)
    refused("no-layer", house.canvas.subject)
    same(house.canvas.recipe(), None, "no recipe")


def check_subject(house):
    document = house.document("CMYKA", "U8", "")
    rect = Rect(0, 0, 5, 4)
    node = house.layer(document, b"\x10\x20\x30\x40\xff" * 20, rect, name="Ink")
    subject = house.subject(document, node)
    same([subject.name, subject.canvas, subject.bounds], ["Ink", Rect(0, 0, WIDTH, HEIGHT), rect], "the subject")
    same("CMYK" in subject.note, True, "a note on CMYK", subject.note)
    same(subject.document_name, "CMYKA U8", "the document's name")
    plain = house.document()
    same(house.subject(plain, house.layer(plain, b"", None)).note, "", "no note on sRGB")


def check_two_documents(house):
    """Each has its own, also where the layers' ids are equal: a file that was opened twice."""
    first = house.document()
    rect = Rect(0, 0, 20, 20)
    node = house.layer(first, solid(rect), rect)
    path = FOLDER / "twice.kra"
    first.saveAs(str(path))
    second = house.app.openDocument(str(path))
    KEPT.append(second)
    same(subject_ids(first) == subject_ids(second), False, "one id for two documents")
    twin = by_id(second, ids(node))
    twin.setPixelData(QByteArray(solid(rect, bytes([1, 2, 3, 255]))), 0, 0, 20, 20)
    house.settle(second)
    near(eight(house.take(house.subject(first, node)).content, 3, 3), RGBA, 0, "the first")
    near(eight(house.take(house.subject(second, twin)).content, 3, 3), [3, 2, 1, 255], 0, "the second")
    layer = Layer(subject_ids(second), ids(twin), "new", rect, painting(rect, 1))
    house.finish(house.canvas.insert(layer))
    same([len(each.rootNode().childNodes()) for each in (first, second)], [2, 3], "layers")
    same(len({each.id for each in house.canvas.layers()}), len(house.canvas.layers()), "ids of layers")


def check_recipe_survives_saving(house):
    document = house.document()
    rect = Rect(0, 0, 20, 20)
    node = house.layer(document, solid(rect), rect)
    recipe = '{"strength": 60, "name": "Grüße 星"}'
    layer = Layer(subject_ids(document), ids(node), "painted", rect, painting(rect, 1), soft_mask(rect), recipe)
    placed = house.finish(house.canvas.insert(layer))
    house.canvas.active = (document, by_id(document, placed.layer))
    same(house.canvas.recipe(), recipe, "the recipe")
    house.canvas.active = (document, node)
    same(house.canvas.recipe(), None, "another layer's recipe")
    house.canvas.note(subject_ids(document), "settings", '{"ä": 1}')
    path = FOLDER / "kept.kra"
    document.saveAs(str(path))
    again = house.app.openDocument(str(path))
    KEPT.append(again)
    house.settle(again)
    reopened = by_id(again, placed.layer)
    house.canvas.active = (again, reopened)
    same(house.canvas.recipe(), recipe, "the recipe after opening again")
    house.canvas.active = (again, reopened.childNodes()[0])
    same(house.canvas.recipe(), recipe, "by the layer's mask")
    same(house.canvas.noted(subject_ids(again), "settings"), '{"ä": 1}', "the document's note")
    same(house.canvas.noted(subject_ids(again), "other"), "", "no note")
    before, after = (
        house.take(house.subject(*each), rect).content.data
        for each in ((document, by_id(document, placed.layer)), (again, reopened))
    )
    same(bytes(after), bytes(before), "layer and mask after opening again")


def check_pictures(house):
    from PyQt5.QtGui import QColor, QImage

    document = house.document("LABA", "U16", "")
    rect = Rect(4, 4, 20, 10)
    pixel = encoded("LABA", "U16", "", (200, 100, 50), 255)
    node = house.layer(document, pixel * 200, rect)
    png = house.finish(house.canvas.picture_of(f"{subject_ids(document)}/{ids(node)}"))
    image = QImage.fromData(png)
    same([image.width(), image.height()], [20, 10], "a layer as a picture")
    color = image.pixelColor(5, 5)
    near([color.red(), color.green(), color.blue(), color.alpha()], RGBA, 1, "its colours")
    drawn = QImage(30, 20, QImage.Format_RGB32)
    drawn.fill(QColor(200, 100, 50))
    drawn.save(str(FOLDER / "drawn.bmp"))
    same(QImage.fromData(house.canvas.as_png(str(FOLDER / "drawn.bmp"))).pixelColor(3, 3).red(), 200, "a BMP")
    (FOLDER / "text.bmp").write_text("no picture")
    same(house.canvas.as_png(str(FOLDER / "text.bmp")), None, "no picture")
    QApplication.clipboard().setImage(drawn)
    same(QImage.fromData(house.canvas.clipboard()).size(), drawn.size(), "the clipboard")
    QApplication.clipboard().setText("no picture")
    same(house.canvas.clipboard(), None, "a clipboard without a picture")
    for depth in (1, 2):
        small = house.canvas.shrunk(painting(Rect(0, 0, 60, 40), depth), 15)
        same([small.width, small.height, small.channels, small.depth], [15, 10, 4, depth], "shrunk")
        near(eight(small, 3, 2), eight(painting(Rect(0, 0, 60, 40), depth), 13, 9), 8, "its colours")


# ------------------------------------------------------------------------------------------------------------- speed


def check_twelve_megapixels(house):
    """No step is long; the figures are for people to look at, and only what would hang Krita fails."""
    rect = Rect(0, 0, 4000, 3000)
    noise = {"U8": bytes(range(256)) * (4000 * 3000 * 5 // 256)}
    noise["F32"] = array.array("f", (each % 997 / 996 for each in range(48000))).tobytes() * 1000
    for model, depth in (("RGBA", "U8"), ("RGBA", "F32"), ("CMYKA", "U8")):
        document = house.document(model, depth, SRGB if depth == "U8" and model == "RGBA" else "", 4000, 3000)
        node = document.createNode("large", "paintlayer")
        size = 4 if depth == "U8" and model == "RGBA" else 16 if depth == "F32" else 5
        node.setPixelData(QByteArray(noise[depth][: 4000 * 3000 * size]), 0, 0, 4000, 3000)
        document.rootNode().addChildNode(node, None)
        chosen = Selection()
        chosen.select(100, 100, 3800, 2800, 200)
        select(house, document, chosen)
        taking, adding = [], []
        begin = time.perf_counter()
        subject = house.subject(document, node)
        looking = time.perf_counter() - begin
        taken = house.take(subject, rect, use_selection=True, times=taking)
        plane = Plane(4000, 3000, 4, taken.content.depth, taken.content.data)
        layer = Layer(subject.document, subject.layer, "large", rect, plane, taken.mask)
        house.finish(house.canvas.insert(layer), adding)
        mib = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20
        RESULTS["figures"][f"{model} {depth}"] = {
            "subject_s": round(looking, 3),
            "take_s": round(sum(taking), 3),
            "take_longest_step_s": round(max(taking), 3),
            "insert_s": round(sum(adding), 3),
            "insert_longest_step_s": round(max(adding), 3),
            "insert_last_steps_s": [round(each, 3) for each in adding[-5:]],
            "mib": mib,
        }
        if max(taking + adding) > 5:
            raise AssertionError(f"a step took {max(taking + adding):.1f} s")


def check_all_is_named(house):
    same(house.canvas.host, f"Krita {RESULTS['version']}", "the host")


def checks():
    for name, function in list(globals().items()):
        if name == "check_space":
            for model, depth in SPACES:
                yield f"space_{model}_{depth}", lambda house, m=model, d=depth: check_space(house, m, d)
        elif name.startswith("check_"):
            yield name[len("check_") :], function


def main(*_arguments):
    faulthandler.enable(2)  # says on stderr where Krita crashed, or what it was at after a minute
    try:
        house = House()
        RESULTS["version"] = house.app.version().split()[0]
        wanted = os.environ.get("SCUMBLE_ONLY", "")
        for name, function in checks():
            if wanted and wanted not in name:
                continue
            RESULTS["checks"][name] = "crashed"
            save()
            os.write(2, f"check {name}\n".encode())  # so that what Krita says is known to belong to it
            begin = time.perf_counter()
            faulthandler.dump_traceback_later(60, file=2)
            try:
                function(house)
                RESULTS["checks"][name] = ""
            except SkipError as why:
                RESULTS["checks"][name] = f"skip: {why}"
            except BaseException:
                RESULTS["checks"][name] = traceback.format_exc()
            RESULTS["seconds"][name] = round(time.perf_counter() - begin, 2)
            save()
    finally:
        save()
        os._exit(0)
