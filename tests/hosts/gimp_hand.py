"""Inside GIMP: what its checks have in common. Images are made and looked at by GIMP's own means, pixel by pixel.

    gimp_hand.play("in_gimp_pixels", "in_gimp_layers")   # in GIMP's Python: makes all checks of these modules

Every function of a module that is named `check_…` is one check; what it raises is its failure, "skip: …" why it cannot
be made there.
"""

import array
import faulthandler
import importlib
import json
import os
import struct
import sys
import time
import traceback
import zlib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from precisions import KINDS


def plugin():
    """The plug-in's package, as its own entry loads it."""
    folder = Path(os.environ["SCUMBLE_PLUGIN"])
    spec = spec_from_file_location("scumble_gimp", folder / "__init__.py", submodule_search_locations=[str(folder)])
    package = sys.modules["scumble_gimp"] = module_from_spec(spec)
    spec.loader.exec_module(package)


plugin()
from scumble_gimp.canvas import GimpCanvas  # noqa: E402
from scumble_gimp.gimp import Gegl, Gimp, Gio, GLib  # noqa: E402
from scumble_gimp.link.canvas import Layer  # noqa: E402
from scumble_gimp.link.errors import LinkError  # noqa: E402
from scumble_gimp.link.pixels import Plane, Rect  # noqa: E402

FOLDER = Path(os.environ["SCUMBLE_TEST"])
RESULTS = {"version": Gimp.version(), "checks": {}, "seconds": {}, "figures": {}}
WIDTH, HEIGHT = 96, 64
NONE = Gegl.AbyssPolicy.NONE


class SkipError(Exception):
    """Why a check cannot be made in this GIMP."""


def save():
    part = FOLDER / "results.part"
    part.write_text(json.dumps(RESULTS, indent=1))
    part.replace(FOLDER / "results.json")


def same(found, wanted, *words):
    if found != wanted and isinstance(wanted, bytes) and len(found) == len(wanted):
        at = next(at for at in range(len(found)) if found[at] != wanted[at])
        raise AssertionError(f"{' '.join(map(str, words))}: at byte {at} {found[at]}, not {wanted[at]}")
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


# ---------------------------------------------------------------------------------------------------- images, by hand


def make(base="RGB", precision="U8_NON_LINEAR", width=WIDTH, height=HEIGHT):
    return Gimp.Image.new_with_precision(
        width, height, getattr(Gimp.ImageBaseType, base), getattr(Gimp.Precision, precision)
    )


def rectangle(rect):
    return Gegl.Rectangle.new(rect.x, rect.y, rect.width, rect.height)


def put(drawable, form, data):
    """All pixels of a drawable, written by GIMP's own means."""
    whole = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    buffer = drawable.get_buffer()
    buffer.set(whole, form, bytes(data))
    buffer.flush()
    drawable.update(0, 0, drawable.get_width(), drawable.get_height())


def add(image, rect, data=None, *, form="R'G'B'A u8", kind="RGBA_IMAGE", parent=None, name="source"):
    """A layer with these pixels, on top of a group or of the image."""
    layer = Gimp.Layer.new(
        image, name, rect.width, rect.height, getattr(Gimp.ImageType, kind), 100.0, Gimp.LayerMode.NORMAL
    )
    layer.set_offsets(rect.x, rect.y)
    put(layer, form, solid(rect) if data is None else data)
    image.insert_layer(layer, parent, 0)
    return layer


def mask_of(layer, data):
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    put(mask, "Y u8", data)
    return mask


def select(image, data, rect):
    """A selection with these values, where there were none."""
    whole = bytearray(image.get_width() * image.get_height())
    for row in range(rect.height):
        at = (rect.y + row) * image.get_width() + rect.x
        whole[at : at + rect.width] = data[row * rect.width : (row + 1) * rect.width]
    put(image.get_selection(), "Y u8", whole)


def ids(item):
    return str(item.get_id())


def seen(image, form):
    """What GIMP itself shows of the whole image."""
    layer = Gimp.Layer.new_from_visible(image, image, "")
    try:
        return bytes(layer.get_buffer().get(rectangle(canvas_of(image)), 1.0, form, NONE))
    finally:
        layer.delete()


def canvas_of(image):
    return Rect(0, 0, image.get_width(), image.get_height())


def finish(steps, times=None):
    """Do all steps, with GLib's events in between; what they return."""
    while True:
        begin = time.perf_counter()
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        finally:
            if times is not None:
                times.append(time.perf_counter() - begin)
        while GLib.MainContext.default().iteration(False):
            pass


def subject_of(image, *layers):
    if layers:
        image.set_selected_layers(list(layers))
    return GimpCanvas(image).subject()


def take(image, layer, box=None, regions=(), use_selection=False, times=None):
    subject = subject_of(image, layer)
    return finish(GimpCanvas(image).take(subject, box or subject.bounds, regions, use_selection), times)


def insert(image, above, box, pixels=None, mask=None, recipe="", title="Starry night 60", times=None):
    layer = Layer(ids(image), ids(above), title, box, pixels or painting(box, 1), mask, recipe)
    placed = finish(GimpCanvas(image).insert(layer), times)
    return Gimp.Item.get_by_id(int(placed.layer)), placed


def names(layers):
    return [layer.get_name() for layer in layers]


def eight(plane, x, y):
    """A pixel of a plane as RGBA from 0 to 255, with fractions."""
    begin = (y * plane.width + x) * plane.pixel_bytes
    values = memoryview(bytes(plane.data[begin : begin + plane.pixel_bytes]))
    values = list(values if plane.depth == 1 else values.cast("H"))
    return [value / (257 if plane.depth == 2 else 1) for value in values]


SOLID = bytes([200, 100, 50, 255])
RGBA = list(SOLID)


def solid(rect, pixel=SOLID):
    return pixel * (rect.width * rect.height)


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


# ------------------------------------------------------------------------------------------------------------- files


def kept(image, path):
    return Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(str(path)), None)


def opened(path):
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(path)))


def write_bmp(path, width, height):
    """A BMP of 24 bits of one colour, written by hand."""
    row = bytes([50, 100, 200]) * width
    rows = (row + bytes(-len(row) % 4)) * height
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    path.write_bytes(struct.pack("<2sIHHI", b"BM", 54 + len(rows), 0, 0, 54) + head + rows)


def unpacked(png):
    """The pixels of one of our own PNGs: RGBA of 8 bits, no row filtered."""
    at, data, size = 8, b"", None
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            size = struct.unpack(">IIBBBBB", body)
        data += body if kind == b"IDAT" else b""
        at += 12 + length
    width, height = size[:2]
    same(size[2:], (8, 6, 0, 0, 0), "the kind of PNG")
    rows = zlib.decompress(data)
    stride = 4 * width + 1
    return Plane(width, height, 4, 1, b"".join(rows[y * stride + 1 : (y + 1) * stride] for y in range(height)))


# ---------------------------------------------------------------------------------------------------------- playing


def checks(module):
    for name, function in list(vars(module).items()):
        if name == "check_kind":
            for kind in KINDS:
                yield "_".join(("kind", *kind)), lambda function=function, kind=kind: function(*kind)
        elif name.startswith("check_"):
            yield name[len("check_") :], function


def play(*modules):
    """Make all checks of modules, or those with $SCUMBLE_ONLY in their names."""
    faulthandler.enable(2)  # says on stderr where Python was when it crashed, or what it was at after a minute
    wanted = os.environ.get("SCUMBLE_ONLY", "")
    for module in modules:
        for name, function in checks(importlib.import_module(module)):
            if wanted in name:
                make_check(name, function)
    faulthandler.cancel_dump_traceback_later()


def make_check(name, function):
    RESULTS["checks"][name] = "crashed"
    save()
    os.write(2, f"check {name}\n".encode())  # so that what GIMP says is known to belong to it
    begin = time.perf_counter()
    faulthandler.dump_traceback_later(60, file=2)
    try:
        function()
        RESULTS["checks"][name] = ""
    except SkipError as why:
        RESULTS["checks"][name] = f"skip: {why}"
    except BaseException:
        RESULTS["checks"][name] = traceback.format_exc()
    RESULTS["seconds"][name] = round(time.perf_counter() - begin, 2)
    save()
