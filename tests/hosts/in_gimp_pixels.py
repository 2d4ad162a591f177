"""Runs inside GIMP, without a window: what `GimpCanvas` reads and adds, against formulas of our own.

Every function named `check_…` is one check; what it raises is its failure, "skip: …" why it cannot be made there.
"""

import array
import faulthandler
import json
import os
import struct
import sys
import threading
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
RESULTS = {"version": "", "checks": {}, "seconds": {}, "figures": {}}
WIDTH, HEIGHT = 96, 64
COLORS = [(200, 100, 50), (90, 200, 120), (250, 250, 240), (128, 128, 128), (70, 90, 200), (255, 255, 255), (0, 0, 0)]
ALPHAS = [255, 128, 0]
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


# ------------------------------------------------------------------------------------------------- kinds of pixels


def linear(value):
    """sRGB's decoding, IEC 61966-2-1; 0 to 1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def encoded(value):
    """sRGB's encoding, the other way round."""
    return value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


_CODES = {"u8": ("B", 255), "u16": ("H", 65535), "u32": ("I", 2**32 - 1), "half": ("e", 0), "float": ("f", 0)}
_CODES["double"] = ("d", 0)
_FORMATS = {
    ("rgb", "linear"): "RGBA",
    ("rgb", "non_linear"): "R'G'B'A",
    ("rgb", "perceptual"): "R~G~B~A",
    ("gray", "linear"): "YA",
    ("gray", "non_linear"): "Y'A",
    ("gray", "perceptual"): "Y~A",
}
"""As GIMP keeps them itself: written so, nothing is converted."""


def stored(base, depth, curve, color, alpha):
    """One pixel of an sRGB colour as such an image keeps it, and what that is in sRGB again, from 0 to 255."""
    code, most = _CODES[depth]
    values = [each / 255 for each in (color if base == "rgb" else color[:1])]
    if curve == "linear":
        values = [linear(each) for each in values]
    values.append(alpha / 255)
    packed = struct.pack(f"<{len(values)}{code}", *(round(each * most) if most else each for each in values))
    back = [each / (most or 1) for each in struct.unpack(f"<{len(values)}{code}", packed)]
    if curve == "linear":
        back[:-1] = [encoded(each) for each in back[:-1]]
    return packed, [255 * each for each in (back if base == "rgb" else [*back[:1] * 3, back[1]])]


def check_kind(base, depth, curve):
    image = make(base.upper(), f"{depth.upper()}_{curve.upper()}")
    rect = Rect(-3, 5, len(COLORS) * 4, len(ALPHAS) * 4)
    rows, wanted = bytearray(), {}
    for row, alpha in enumerate(ALPHAS):
        pixels = [stored(base, depth, curve, color, alpha) for color in COLORS]
        rows += b"".join(packed * 4 for packed, _ in pixels) * 4
        wanted.update({(column * 4 + 1, row * 4 + 1): back for column, (_, back) in enumerate(pixels)})
    form = f"{_FORMATS[base, curve]} {depth}"
    kind = "RGBA_IMAGE" if base == "rgb" else "GRAYA_IMAGE"
    layer = add(image, rect, rows, form=form, kind=kind)
    image.clean_all()
    same(subject_of(image, layer).bounds, rect, "the bounds")
    content = take(image, layer, rect).content
    same(image.is_dirty(), False, "the image is changed by reading it")
    same(content.depth, 1 if depth == "u8" else 2, "the depth")
    for (x, y), back in wanted.items():
        # Rounded once; what half floats cannot say is within the two steps of 16 bits.
        near(eight(content, x, y), back, 0.51 if depth == "u8" else 0.02, "at", x, y)
    add_to_kind(image, layer, form, depth, kind)


def add_to_kind(image, source, form, depth, kind):
    box = Rect(10, -4, 60, 40)
    plane, mask = painting(box, 1 if depth == "u8" else 2, kind == "GRAYA_IMAGE"), soft_mask(box)
    # GIMP computes in floats: under any other layer, be it empty, what is seen is rounded once more.
    empty = add(image, box, bytes(4 * 60 * 40), kind=kind)
    before = seen(image, form)
    image.remove_layer(empty)
    new, _ = insert(image, source, box, plane, mask, '{"a": 1}')
    after = seen(image, form)
    size = len(before) // (WIDTH * HEIGHT)
    shown = seen(image, "R'G'B'A u8")
    changed = 0
    # Of 8 bits that are linear there are few in the dark.
    tolerance = 3 if form.endswith("A u8") and "'" not in form and "~" not in form else 1
    for y in range(HEIGHT):
        for x in range(WIDTH):
            at = (y * WIDTH + x) * size
            is_inside = box.x <= x < box.right and box.y <= y < box.bottom
            covered = mask.data[(y - box.y) * box.width + x - box.x] if is_inside else 0
            if not covered:
                same(before[at : at + size], after[at : at + size], "outside the selection, at", x, y)
            if covered == 255:
                pixel = list(shown[(y * WIDTH + x) * 4 : (y * WIDTH + x) * 4 + 4])
                near(pixel, eight(plane, x - box.x, y - box.y), tolerance, "inside the selection, at", x, y)
                changed += 1
            if is_inside and x >= 30:
                near([shown[(y * WIDTH + x) * 4 + 3]], [covered], 1, "where it fades over nothing, at", x, y)
    if changed < 500:
        raise AssertionError(f"only {changed} pixels have changed")
    same([new.get_name(), new.has_alpha(), new.get_opacity()], ["Starry night 60", True, 100.0], "the layer")
    same(bytes(new.get_mask().get_buffer().get(rectangle(mask.rect), 1.0, "Y u8", NONE)), mask.data, "the mask")
    content = take(image, new, box).content
    for x, y in ((25, 5), (40, 20), (55, 38), (59, 4)):
        wanted = [*eight(plane, x, y)[:3], mask.data[y * box.width + x]]
        near(eight(content, x, y), wanted, tolerance, "the new layer, at", x, y)


def check_wide_gamut():
    """An image in Adobe RGB (1998): its primaries and white by the numbers of that standard, its gamma 563 / 256."""
    image = make()
    layer = add(image, Rect(0, 0, WIDTH, HEIGHT), solid(Rect(0, 0, WIDTH, HEIGHT), bytes([120, 140, 90, 255])))
    image.set_color_profile(Gimp.ColorProfile.new_rgb_adobe())
    red, green, blue = ((each / 255) ** (563 / 256) for each in (120, 140, 90))
    srgb = (1.398356 * red - 0.398356 * green, green, -0.042933 * green + 1.042933 * blue)
    wanted = [255 * encoded(each) for each in srgb]
    near(eight(take(image, layer).content, 3, 3), [*wanted, 255], 1.2, "read")
    box = Rect(4, 4, 60, 40)
    new, _ = insert(image, layer, box)
    for x, y in ((3, 3), (50, 20)):
        near(eight(take(image, new, box).content, x, y), eight(painting(box, 1), x, y), 2, "the new layer")


# ---------------------------------------------------------------------------------------------------- kinds of layers


def check_colors_under_alpha_0_are_kept():
    image = make()
    layer = add(image, Rect(2, 2, 8, 8), solid(Rect(0, 0, 8, 8), bytes([200, 100, 50, 0])))
    same(bytes(take(image, layer).content.data), bytes([200, 100, 50, 0]) * 64, "plain")
    mask_of(layer, bytes(64))
    same(bytes(take(image, layer).content.data), bytes([200, 100, 50, 0]) * 64, "masked")


def check_without_alpha_partly_off_the_canvas():
    image = make()
    rect = Rect(-10, -5, 30, 20)
    layer = add(image, rect, bytes([200, 100, 50]) * 600, form="R'G'B' u8", kind="RGB_IMAGE")
    subject = subject_of(image, layer)
    same([subject.bounds, subject.canvas], [rect, Rect(0, 0, WIDTH, HEIGHT)], "the subject")
    taken = take(image, layer, Rect(-12, -7, 40, 30), [f"layer:{layer.get_tattoo()}"])
    for x, y, wanted in ((1, 1, [0] * 4), (2, 2, RGBA), (31, 21, RGBA), (32, 21, [0] * 4), (31, 22, [0] * 4)):
        same(eight(taken.content, x, y), wanted, "at", x, y)
        same(taken.regions[f"layer:{layer.get_tattoo()}"].data[y * 40 + x], wanted[3], "its alpha, at", x, y)


def check_wholly_off_the_canvas():
    image = make()
    rect = Rect(200, 100, 10, 10)
    layer = add(image, rect)
    same(bytes(take(image, layer).content.data), solid(rect), "a layer beyond the canvas")
    new, _ = insert(image, layer, rect)
    same(
        [bytes(take(image, new).content.data), list(new.get_offsets())[1:]], [painting(rect, 1).data, [200, 100]], "new"
    )
    refused("nothing-there", lambda: finish(GimpCanvas(image).picture_of(ids(layer))))


def check_group():
    image = make()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    same(subject_of(image, group).bounds.width <= 1, True, "an empty group")
    rect = Rect(-10, -10, 40, 30)
    inner = add(image, rect, parent=group, name="inner")
    for mode in (Gimp.LayerMode.NORMAL, Gimp.LayerMode.PASS_THROUGH):
        group.set_mode(mode)
        same(subject_of(image, group).bounds, rect, "the bounds", mode)
        same(eight(take(image, group).content, 3, 3), RGBA, mode)
    half = bytes(40 * 15) + b"\x80" * (40 * 15)
    mask_of(group, half)
    same([eight(take(image, group).content, 3, y)[3] for y in (14, 15)], [0, 128], "a group's mask")
    insert(image, inner, Rect(0, 0, 10, 10))
    same(names(group.get_children()), ["Starry night 60", "inner"], "above its source, in its group")
    insert(image, group, Rect(0, 0, 10, 10), title="above")
    same(names(image.get_layers()), ["above", "group"], "above a group")


def check_hidden_layer():
    image = make()
    layer = add(image, Rect(0, 0, 20, 20))
    canvas = GimpCanvas(image)
    canvas.show(ids(image), ids(layer), False)
    same([canvas.is_shown(ids(image), ids(layer)), layer.get_visible()], [False, False], "shown")
    same(seen(image, "R'G'B'A u8")[:4], bytes(4), "the picture")
    same(eight(take(image, layer).content, 3, 3), RGBA, "a hidden layer")
    canvas.show(ids(image), ids(layer), True)
    same(seen(image, "R'G'B'A u8")[:4], SOLID, "shown again")
    same([canvas.is_shown(ids(image), ids(layer)), image.undo_is_enabled()], [True, True], "shown again")


def check_mask_of_the_source():
    """A layer is read as its mask leaves it; an active mask stands for its layer; it is never touched."""
    for precision, depth in (("U8_NON_LINEAR", 1), ("U16_LINEAR", 2), ("FLOAT_PERCEPTUAL", 2)):
        image = make(precision=precision)
        rect = Rect(5, 6, 32, 24)
        values = bytes((7 * each) % 256 for each in range(32 * 24))
        alphas = bytes((5 * each) % 256 for each in range(32 * 24))
        data = b"".join(bytes([200, 100, 50, each]) for each in alphas)
        layer = add(image, rect, data)
        before = bytes(take(image, layer).content.data)
        mask = mask_of(layer, values)
        subject = subject_of(image, layer)
        same([subject.layer, GimpCanvas(image, [mask]).subject().layer], [ids(layer)] * 2, "the mask's layer")
        image.clean_all()
        # From before the layer to beyond it, where there is neither layer nor mask.
        box = Rect(0, 0, 50, 40)
        content = take(image, layer, box).content
        same([image.is_dirty(), content.depth], [False, depth], "dirty, and the depth")
        for y in range(40):
            for x in range(50):
                is_inside = 5 <= x < 37 and 6 <= y < 30
                at = (y - 6) * 32 + x - 5
                wanted = [200, 100, 50, alphas[at] * values[at] / 255] if is_inside else [0] * 4
                near(eight(content, x, y), wanted, 0.51 if depth == 1 else 0.01, precision, "at", x, y)
        region = f"layer:{layer.get_tattoo()}"
        covered = [round(a * v / 255) for a, v in zip(alphas, values, strict=True)]
        near(list(take(image, layer, rect, [region]).regions[region].data), covered, 0, "what it covers")
        same(bytes(mask.get_buffer().get(Gegl.Rectangle.new(0, 0, 32, 24), 1.0, "Y u8", NONE)), values, "the mask")
        layer.set_apply_mask(False)
        same(bytes(take(image, layer).content.data), before, "a mask that is not applied")
        new, _ = insert(image, layer, rect)
        same([layer.get_mask().get_id(), layer.get_apply_mask()], [mask.get_id(), False], "the source's mask")
        same(new.get_mask(), None, "no mask")


def check_text_layer():
    image = make()
    font = Gimp.Font.get_by_name("DejaVu Sans Bold") or Gimp.context_get_font()
    if font is None:
        raise SkipError("there is no font")
    layer = Gimp.TextLayer.new(image, "MMM", font, 40.0, Gimp.Unit.pixel())
    image.insert_layer(layer, None, 0)
    layer.set_color(Gegl.Color.new("rgb(1.0, 0.0, 0.0)"))
    content = take(image, layer).content
    data = bytes(content.data)
    full = [data[at : at + 4] for at in range(0, len(data), 4) if data[at + 3] == 255]
    same(len(full) > 100 and set(full) == {bytes([255, 0, 0, 255])}, True, "red letters")
    insert(image, layer, subject_of(image, layer).bounds)
    same([layer.is_valid(), layer.is_text_layer()], [True, True], "still a text")


def check_link_layer():
    if not hasattr(Gimp, "LinkLayer"):
        raise SkipError("there are none before GIMP 3.2")
    path = FOLDER / "linked.bmp"
    write_bmp(path, 30, 20)
    image = make()
    layer = Gimp.LinkLayer.new(image, Gio.File.new_for_path(str(path)))
    image.insert_layer(layer, None, 0)
    same(eight(take(image, layer).content, 3, 3), RGBA, "a link layer")
    insert(image, layer, Rect(0, 0, 9, 9))
    same(layer.is_link_layer(), True, "still a link")


def check_vector_layer():
    if not hasattr(Gimp, "VectorLayer"):
        raise SkipError("there are none before GIMP 3.2")
    image = make()
    path = Gimp.Path.new(image, "path")
    image.insert_path(path, None, 0)
    corners = [10, 10, 60, 10, 60, 50, 10, 50]
    points = [value for at in range(0, 8, 2) for value in corners[at : at + 2] * 3]
    path.stroke_new_from_points(Gimp.PathStrokeType.BEZIER, points, True)
    layer = Gimp.VectorLayer.new(image, path)
    image.insert_layer(layer, None, 0)
    layer.set_fill_color(Gegl.Color.new("#c86432"))
    layer.refresh()
    subject = subject_of(image, layer)
    at = Rect(30, 30, 2, 2)
    same([subject.bounds.is_empty, eight(take(image, layer, at).content, 1, 1)], [False, RGBA], "a vector layer")


def check_indexed():
    image = make()
    rect = Rect(0, 0, 40, 30)
    layer = add(image, rect, name="few")
    chosen = Gimp.Channel.new(image, "sky", WIDTH, HEIGHT, 50.0, Gegl.Color.new("red"))
    image.insert_channel(chosen, None, 0)
    image.set_selected_layers([layer])
    canvas = GimpCanvas(image, [layer])
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 4, False, False, "")
    refused("indexed-colors", canvas.subject)
    png = unpacked(finish(canvas.picture_of(ids(layer))))
    near(eight(png, 3, 3), RGBA, 1, "a style from it")
    new, placed = insert(image, layer, Rect(0, 0, 20, 20))
    same([bool(placed.notice), new.get_image().get_base_type()], [True, Gimp.ImageBaseType.INDEXED], "added")
    image.set_selected_layers([layer])
    wanted = sorted((each.name, each.id) for each in canvas.regions(ids(image)))
    image.clean_all()
    canvas.work_on_rgb_copy()
    subject = canvas.subject()
    same([subject.document == ids(image), subject.name], [False, "few"], "the subject of the copy")
    same(sorted((each.name, each.id) for each in canvas.regions(subject.document)), wanted, "the copy's regions")
    same([image.is_dirty(), image.get_base_type()], [False, Gimp.ImageBaseType.INDEXED], "the image itself")
    near(eight(finish(canvas.take(subject, rect, (), False)).content, 3, 3), RGBA, 1, "the copy's pixels")
    # What is made there does not get the tattoo of something else.
    copy = Gimp.Image.get_by_id(int(subject.document))
    fresh = add(copy, rect)
    same(f"layer:{fresh.get_tattoo()}" in [id for _, id in wanted], False, "a tattoo again")


def check_locked():
    """Locks hold for what is there; a layer may be added above."""
    image = make()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    layer = add(image, Rect(0, 0, 20, 20), parent=group)
    for each in (group, layer):
        each.set_lock_content(True)
        each.set_lock_position(True)
    layer.set_lock_alpha(True)
    same(eight(take(image, layer).content, 3, 3), RGBA, "a locked layer")
    new, placed = insert(image, layer, Rect(2, 2, 9, 9), mask=soft_mask(Rect(2, 2, 9, 9)))
    same([names(group.get_children()), placed.notice], [["Starry night 60", "source"], ""], "added")
    same(bytes(take(image, layer).content.data), solid(Rect(0, 0, 20, 20)), "the layer below")
    same([new.get_lock_content(), new.get_lock_alpha()], [False, False], "the new layer's locks")


def check_kinds_of_planes():
    """Pixels as BGR, as 16 bits, as floats, and masks of 16 bits, into a document of 8 bits: all the same layer."""
    image = make()
    rect = Rect(2, 3, 24, 20)
    layer = add(image, rect)
    plain, mask = painting(rect, 1), soft_mask(rect)
    data = bytearray(plain.data)
    data[0::4], data[2::4] = data[2::4], data[0::4]
    floats = array.array("f", (each / 255 for each in plain.data)).tobytes()
    kinds = {
        "RGB": plain,
        "BGR": Plane(24, 20, 4, 1, bytes(data), is_bgr=True),
        "16 bits": painting(rect, 2),
        "floats": Plane(24, 20, 4, 4, floats),
        "a view": Plane(24, 20, 4, 1, memoryview(plain.data)),
    }
    masks = {"16 bits": Plane(24, 20, 1, 2, array.array("H", (257 * each for each in mask.data)).tobytes())}
    wanted = bytearray(plain.data)
    wanted[3::4] = mask.data
    for name, plane in kinds.items():
        new, _ = insert(image, layer, rect, plane, masks.get(name, mask), title=name)
        same(bytes(take(image, new, rect).content.data), bytes(wanted), name)


# ------------------------------------------------------------------------------------------------------------- adding


def check_adding_is_one_step():
    """Nothing is done to the image before the layer, its mask and its recipe are there at once."""
    image = make()
    layer = add(image, Rect(0, 0, WIDTH, HEIGHT))
    box = Rect(2, 3, 700, 500)
    image.clean_all()
    steps = GimpCanvas(image).insert(
        Layer(ids(image), ids(layer), "new", box, painting(box, 2), soft_mask(box), '{"a": 1}')
    )
    turns = 0
    while len(image.get_layers()) == 1:
        same([image.is_dirty(), names(image.get_selected_layers())], [False, ["source"]], "before the layer is there")
        turns += 1
        try:
            next(steps)
        except StopIteration as end:
            new = Gimp.Item.get_by_id(int(end.value.layer))
    same([image.is_dirty(), turns > 4, new.get_mask() is not None], [True, True, True], "the step")
    same(
        [new.get_parasite("scumble-recipe").get_flags(), new.get_edit_mask()], [Gimp.PARASITE_PERSISTENT, False], "new"
    )


def check_what_is_selected_stays_so():
    image = make()
    first, second = add(image, Rect(0, 0, 9, 9), name="first"), add(image, Rect(0, 0, 9, 9), name="second")
    channel = Gimp.Channel.new(image, "sky", WIDTH, HEIGHT, 50.0, Gegl.Color.new("red"))
    image.insert_channel(channel, None, 0)
    select(image, b"\xff" * 100, Rect(20, 20, 10, 10))
    for layers in ([first], [first, second]):
        image.set_selected_layers(layers)
        insert(image, first, Rect(0, 0, 9, 9))
        same(set(names(image.get_selected_layers())), set(names(layers)), "layers")
    image.set_selected_channels([channel])
    insert(image, first, Rect(0, 0, 9, 9))
    same([names(image.get_selected_channels()), image.get_selected_layers()], [["sky"], []], "a channel")
    same(list(Gimp.Selection.bounds(image))[1:], [True, 20, 20, 30, 30], "the selection")


def check_titles():
    image = make()
    layer = add(image, Rect(0, 0, 9, 9))
    long = "Größe 星 " * 20
    same(insert(image, layer, Rect(0, 0, 9, 9), title=long)[0].get_name(), long[:60], "a long title")


def check_source_is_gone():
    image = make()
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    source = add(image, Rect(0, 0, 9, 9), parent=group)
    layer = Layer(ids(image), ids(source), "new", Rect(0, 0, 9, 9), painting(Rect(0, 0, 9, 9), 1))
    image.remove_layer(source)
    placed = finish(GimpCanvas(image).insert(layer))
    same([names(image.get_layers()), bool(placed.notice)], [["new", "group"], True], "on top, with a notice")


def check_floating_selection():
    image = make()
    layer = add(image, Rect(0, 0, 40, 40), name="below")
    select(image, b"\xff" * 100, Rect(5, 5, 10, 10))
    floating = Gimp.Selection.float(image, [layer], 12, 0)
    refused("floating-selection", GimpCanvas(image).subject)
    same(GimpCanvas(image, [layer]).subject().layer, ids(layer), "what a script says")
    insert(image, layer, Rect(20, 20, 9, 9), mask=soft_mask(Rect(0, 0, 9, 9)))
    same(image.get_floating_sel().get_id(), floating.get_id(), "it floats on")
    Gimp.floating_sel_anchor(floating)
    same([names(image.get_layers()), image.get_floating_sel()], [["Starry night 60", "below"], None], "anchored below")
    data = bytes(take(image, layer).content.data)
    same([data[(10 * 40 + 10) * 4 + 3], data[(10 * 40 + 20) * 4 + 3]], [0, 255], "where it was cut from, where it went")


# ------------------------------------------------------------------------------------------------ selections, regions


def check_selections():
    image = make()
    layer = add(image, Rect(-20, 0, WIDTH + 40, HEIGHT))
    same(subject_of(image, layer).selection, None, "no selection")
    select(image, bytes(range(0, 200, 10)) * 10, Rect(30, 20, 20, 10))
    same(subject_of(image, layer).selection, Rect(31, 20, 19, 10), "a soft selection's bounds")
    taken = take(image, layer, Rect(25, 15, 30, 20), use_selection=True)
    row = bytes(5) + bytes(range(0, 200, 10)) + bytes(5)
    same(bytes(taken.mask.data), bytes(150) + row * 10 + bytes(150), "a soft selection, bit for bit")
    same(take(image, layer, Rect(25, 15, 30, 20)).mask, None, "where it is not asked for")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 10, 50, 30)
    Gimp.Selection.invert(image)
    same(subject_of(image, layer).selection, Rect(0, 0, WIDTH, HEIGHT), "an inverted selection's bounds")
    data = bytes(take(image, layer, Rect(8, 8, 4, 4), use_selection=True).mask.data)
    same(data, b"\xff" * 10 + b"\0\0" + b"\xff\xff" + b"\0\0", "an inverted selection")
    data = bytes(take(image, layer, Rect(-2, 0, 4, 1), use_selection=True).mask.data)
    same(data, b"\0\0\xff\xff", "beyond the canvas nothing is selected")
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 10, 5, 5)
    image.select_rectangle(Gimp.ChannelOps.SUBTRACT, 0, 0, 50, 50)
    same(subject_of(image, layer).selection, None, "an emptied selection")


def check_selections_and_channels_in_all_kinds():
    """What is selected is linear whatever the image is, and so is what GIMP itself keeps of it as a channel."""
    for base, depth, curve in KINDS:
        image = make(base.upper(), f"{depth.upper()}_{curve.upper()}")
        layer = add(image, Rect(0, 0, WIDTH, HEIGHT), kind="RGBA_IMAGE" if base == "rgb" else "GRAYA_IMAGE")
        values, box = bytes(range(1, 256)) + b"\x80", Rect(8, 8, 64, 4)
        select(image, values, box)
        region = f"channel:{Gimp.Selection.save(image).get_tattoo()}"
        taken = take(image, layer, box, [region], use_selection=True)
        same(bytes(taken.mask.data), values, "the selection,", base, depth, curve)
        same(bytes(taken.regions[region].data), values, "the channel,", base, depth, curve)


def check_selection_gone_meanwhile():
    image = make()
    layer = add(image, Rect(0, 0, 40, 40))
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 1, 1, 20, 20)
    subject = subject_of(image, layer)
    Gimp.Selection.none(image)
    refused("nothing-selected", lambda: finish(GimpCanvas(image).take(subject, subject.bounds, (), True)))


def check_regions():
    image = make(precision="FLOAT_LINEAR")
    rect = Rect(4, 4, 20, 20)
    group = Gimp.GroupLayer.new(image, "group")
    image.insert_layer(group, None, 0)
    layer = add(image, rect, solid(rect, SOLID[:3] + b"\x80"), name="half", parent=group)
    plain = add(image, Rect(0, 0, 30, 30), name="plain")
    mask_of(layer, bytes(range(200)) * 2)
    channel = Gimp.Channel.new(image, "sky", WIDTH, HEIGHT, 50.0, Gegl.Color.new("red"))
    put(channel, "Y u8", bytes(range(WIDTH)) * HEIGHT)
    image.insert_channel(channel, None, 0)
    found = GimpCanvas(image).regions(ids(image))
    wanted = [("sky", "mask"), ("half mask", "mask"), ("plain", "layer"), ("group", "layer"), ("half", "layer")]
    same([(each.name, each.kind) for each in found], wanted, "all regions")
    named = ["channel:sky", "mask:half", "layer:plain", "layer:group", "layer:half"]
    for chosen in ([each.id for each in found], named):
        taken = take(image, plain, Rect(0, 0, 30, 30), chosen)
        same(list(taken.regions), chosen, "those that were asked for")
        sky, mask, whole, _, half = (bytes(plane.data) for plane in taken.regions.values())
        same(sky, bytes(range(30)) * 30, "a channel")
        rows = [bytes(4) + (bytes(range(200)) * 2)[row * 20 : row * 20 + 20] + bytes(6) for row in range(20)]
        same(mask, bytes(120) + b"".join(rows) + bytes(180), "a mask, in its layer's place")
        same(whole, b"\xff" * 900, "a whole layer")
        masked = [round(128 * each / 255) for each in mask]
        near(half, masked, 1, "half a layer, masked")
    for gone in ("channel:999", "mask:plain", "layer:nowhere", "sky", "other:1"):
        refused("layer-gone", lambda gone=gone: take(image, plain, Rect(0, 0, 9, 9), [gone]))


# ------------------------------------------------------------------------------------------- documents, notes, recipes


def check_nothing_to_paint_on():
    image = make()
    canvas = GimpCanvas(image)
    refused("no-layer", canvas.subject)
    same(canvas.recipe(), None, "no recipe")
    first, second = add(image, Rect(0, 0, 9, 9), name="first"), add(image, Rect(0, 0, 9, 9), name="second")
    image.set_selected_layers([first, second])
    refused("several-layers", canvas.subject)
    refused("several-layers", GimpCanvas(image, [first, second]).subject)
    same(canvas.recipe(), None, "no recipe")
    channel = Gimp.Channel.new(image, "sky", WIDTH, HEIGHT, 50.0, Gegl.Color.new("red"))
    image.insert_channel(channel, None, 0)
    image.set_selected_channels([channel])
    refused("no-layer", canvas.subject)
    refused("no-layer", GimpCanvas(image, [channel]).subject)
    same([canvas.recipe(), GimpCanvas(image, [channel]).recipe()], [None, None], "no recipe")
    image.set_selected_layers([second])
    same([canvas.subject().name, GimpCanvas(image, [first]).subject().name], ["second", "first"], "what is chosen")
    given = GimpCanvas(image, [first])
    image.remove_layer(first)
    refused("layer-gone", given.subject)


def check_subject():
    image = make()
    layer = add(image, Rect(1, 2, 5, 4), name="Ink")
    subject = subject_of(image, layer)
    same([subject.name, subject.canvas, subject.bounds], ["Ink", Rect(0, 0, WIDTH, HEIGHT), Rect(1, 2, 5, 4)], "it")
    same([subject.document_name, subject.note], ["Untitled", ""], "of a new image")
    image.set_file(Gio.File.new_for_path(str(FOLDER / "Bild ä.xcf")))
    same(subject_of(image).document_name, "Bild ä.xcf", "the document's name")


def check_another_image_when_ours_is_closed():
    for image in Gimp.get_images():
        image.delete()
    first, second, third = make(), make(), make()
    layers = [add(each, Rect(0, 0, 9, 9)) for each in (first, second, third)]
    canvas, script = GimpCanvas(second), GimpCanvas(second, [layers[1]])
    same([canvas.subject().document, len(canvas.layers())], [ids(second), 3], "its own")
    second.delete()
    same(canvas.subject().document, ids(third), "the newest other one")
    refused("no-document", script.subject)
    same(script.recipe(), None, "a script's recipe")
    third.delete()
    first.delete()
    refused("no-document", canvas.subject)
    same([canvas.recipe(), list(canvas.layers())], [None, []], "nothing is open")


def check_two_documents():
    """Each has its own: a file that was opened twice has the same tattoos."""
    image = make()
    layer = add(image, Rect(0, 0, 20, 20))
    path = FOLDER / "twice.xcf"
    first, second = kept(image, path), opened(path)
    twin = second.get_layers()[0]
    put(twin, "R'G'B'A u8", bytes([1, 2, 3, 255]) * 400)
    same([eight(take(*each).content, 3, 3) for each in ((image, layer), (second, twin))], [RGBA, [1, 2, 3, 255]], "two")
    insert(second, twin, Rect(0, 0, 20, 20))
    same([len(each.get_layers()) for each in (image, second)], [1, 2], "layers")
    canvas = GimpCanvas(image)
    refused("layer-gone", lambda: canvas.show(ids(image), ids(twin), False))
    same(canvas.is_shown(ids(image), ids(twin)), None, "another image's layer")
    same(len({each.id for each in canvas.layers()}), len(canvas.layers()), "ids of layers")
    same(first, True, "saved")


def kept(image, path):
    return Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(str(path)), None)


def opened(path):
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(path)))


def check_all_survives_saving():
    image = make()
    layer = add(image, Rect(0, 0, 20, 20))
    recipe = '{"strength": 60, "name": "Grüße 星"}'
    rect = Rect(-3, 5, 24, 20)
    new, _ = insert(image, layer, rect, mask=soft_mask(rect), recipe=recipe, title="painted")
    channel = Gimp.Channel.new(image, "sky", WIDTH, HEIGHT, 50.0, Gegl.Color.new("red"))
    image.insert_channel(channel, None, 0)
    image.set_selected_layers([new])
    canvas = GimpCanvas(image)
    same([canvas.recipe(), GimpCanvas(image, [new.get_mask()]).recipe()], [recipe, recipe], "the recipe")
    same(GimpCanvas(image, [layer]).recipe(), None, "another layer's recipe")
    image.clean_all()
    canvas.note(ids(image), "settings", '{"ä": 1}')
    same(image.is_dirty(), False, "a note changes the picture")
    regions = canvas.regions(ids(image))
    kept(image, FOLDER / "kept.xcf")
    again = opened(FOLDER / "kept.xcf")
    reopened = again.get_layer_by_name("painted")
    there = GimpCanvas(again)
    again.set_selected_layers([reopened])
    same(there.recipe(), recipe, "the recipe after opening again")
    same([there.noted(ids(again), "settings"), there.noted(ids(again), "other")], ['{"ä": 1}', ""], "the notes")
    same(there.regions(ids(again)), regions, "the regions' ids")
    same(there.subject().bounds, rect, "its place")
    wanted = bytearray(painting(rect, 1).data)
    wanted[3::4] = soft_mask(rect).data
    same(bytes(take(again, reopened, rect).content.data), bytes(wanted), "layer and mask")
    copy = image.duplicate()
    copy.set_selected_layers([copy.get_layer_by_name("painted")])
    same(GimpCanvas(copy).recipe(), recipe, "the recipe in a copy of the image")


def check_removed_layer():
    image = make(width=3000, height=2000)
    layer = add(image, Rect(0, 0, 3000, 2000))
    subject = subject_of(image, layer)
    canvas = GimpCanvas(image)
    steps = canvas.take(subject, subject.bounds, (), False)
    next(steps)
    image.remove_layer(layer)
    refused("layer-gone", lambda: finish(steps))
    refused("layer-gone", lambda: finish(canvas.take(subject, subject.bounds, (), False)))
    refused("layer-gone", lambda: canvas.show(subject.document, subject.layer, True))
    refused("layer-gone", lambda: finish(canvas.picture_of(subject.layer)))
    refused("layer-gone", lambda: finish(canvas.picture_of("no number")))
    same(
        [canvas.is_shown(subject.document, subject.layer), canvas.item(subject.layer)], [None, None], "a removed layer"
    )


def check_closed_document():
    for precision in ("U8_NON_LINEAR", "DOUBLE_LINEAR"):
        close_document(precision)


def close_document(precision):
    image = make(precision=precision)
    layer = add(image, Rect(0, 0, 40, 40))
    rect = Rect(0, 0, 700, 500)
    subject, canvas = subject_of(image, layer), GimpCanvas(image)
    new = Layer(subject.document, subject.layer, "new", rect, painting(rect, 1), soft_mask(rect))
    taking, adding, masking = (canvas.take(subject, rect, (), False), *(canvas.insert(new) for _ in range(2)))
    next(adding)
    while not any(Gimp.Item.id_is_layer_mask(each) for each in range(layer.get_id(), layer.get_id() + 9)):
        next(masking)
    same(canvas.has_document(subject.document), True, "open")
    image.delete()
    same(canvas.has_document(subject.document), False, "closed")
    for steps in (taking, adding, masking, canvas.insert(new)):
        refused("document-closed", lambda steps=steps: finish(steps))
    refused("document-closed", lambda: canvas.regions(subject.document))
    refused("document-closed", lambda: canvas.noted(subject.document, "settings"))
    refused("document-closed", lambda: canvas.note(subject.document, "settings", ""))
    refused("document-closed", lambda: canvas.show(subject.document, subject.layer, True))
    refused("layer-gone", lambda: finish(canvas.picture_of(subject.layer)))
    same(canvas.is_shown(subject.document, subject.layer), None, "shown")


def check_adding_called_off():
    """Where adding ends early nothing of it stays: the layer that was being filled is no longer there."""
    image = make()
    layer = add(image, Rect(0, 0, 40, 40))
    rect = Rect(0, 0, 400, 300)
    steps = GimpCanvas(image).insert(Layer(ids(image), ids(layer), "new", rect, painting(rect, 1)))
    next(steps)
    newest = max(number for number in range(layer.get_id(), layer.get_id() + 9) if Gimp.Item.id_is_valid(number))
    same(newest > layer.get_id(), True, "the layer that is filled")
    steps.close()
    same([Gimp.Item.id_is_valid(newest), len(image.get_layers())], [False, 1], "called off")


def check_memory_of_the_user():
    canvas = GimpCanvas(make())
    same(canvas.remembered("never-set"), "", "nothing")
    for text in ('{"ä": "x=1; [y]"}', ""):
        canvas.remember("settings", text)
        same(GimpCanvas(make()).remembered("settings"), text, "what was remembered")
    folder = Path(Gimp.directory()) / "scumble"
    same([each.name for each in folder.iterdir()], ["settings.json"], "its file")
    (folder / "settings.json").write_bytes(b"\xff\xfe")
    same(canvas.remembered("settings"), "", "a file that was spoilt")
    (folder / "settings.json").unlink()
    (folder / "settings.json").mkdir()
    canvas.remember("settings", "text")
    same(canvas.remembered("settings"), "", "what cannot be written")


# ----------------------------------------------------------------------------------------------------------- pictures


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


def check_pictures_of_layers():
    image = make(precision="U16_LINEAR")
    layer = add(image, Rect(-4, 4, 24, 10))
    plane = unpacked(finish(GimpCanvas(image).picture_of(ids(layer))))
    same([plane.width, plane.height, eight(plane, 3, 3)], [20, 10, RGBA], "what lies on the canvas")
    wide = make(width=5000, height=10)
    add(wide, Rect(0, 0, 5000, 10))
    plane = unpacked(finish(GimpCanvas(wide).picture_of(ids(wide.get_layers()[0]))))
    same([plane.width, plane.height, eight(plane, 4095, 7)], [4096, 8, RGBA], "a wide layer")


def check_pictures_in_files():
    canvas = GimpCanvas(make())
    before = len(Gimp.get_images())
    write_bmp(FOLDER / "drawn.bmp", 30, 20)
    plane = unpacked(canvas.as_png(str(FOLDER / "drawn.bmp")))
    same([plane.width, plane.height, {eight(plane, x, 3)[0] for x in range(30)}], [30, 20, {200}], "a BMP")
    write_bmp(FOLDER / "wide.bmp", 5000, 10)
    plane = unpacked(canvas.as_png(str(FOLDER / "wide.bmp")))
    same([plane.width, plane.height, eight(plane, 4095, 7)], [4096, 8, RGBA], "a wide BMP")
    image = make(precision="HALF_LINEAR")
    add(image, Rect(0, 0, 50, 64), name="below")
    add(image, Rect(0, 0, 20, 64), solid(Rect(0, 0, 20, 64), bytes([1, 2, 3, 255])))
    kept(image, FOLDER / "layers.xcf")
    image.delete()
    plane = unpacked(canvas.as_png(str(FOLDER / "layers.xcf")))
    same([eight(plane, x, 9) for x in (5, 30, 80)], [[1, 2, 3, 255], RGBA, [0] * 4], "all layers of an XCF")
    (FOLDER / "text.bmp").write_text("no picture")
    same([canvas.as_png(str(FOLDER / name)) for name in ("text.bmp", "nowhere.bmp")], [None, None], "no picture")
    same(len(Gimp.get_images()), before, "images that stay")


def check_files_on_another_thread():
    """The worker waits for GIMP, which answers when its own thread comes to it."""
    canvas, found = GimpCanvas(make()), []
    write_bmp(FOLDER / "other.bmp", 30, 20)
    thread = threading.Thread(target=lambda: found.append(canvas.as_png(str(FOLDER / "other.bmp"))))
    thread.start()
    deadline = time.monotonic() + 20
    while thread.is_alive() and time.monotonic() < deadline:
        GLib.MainContext.default().iteration(False)
        time.sleep(0.001)
    same([len(found), eight(unpacked(found[0]), 3, 3)], [1, RGBA], "a file")


def check_shrunk():
    canvas = GimpCanvas(make())
    box = Rect(0, 0, 60, 40)
    for depth in (1, 2):
        small = canvas.shrunk(painting(box, depth), 15)
        same([small.width, small.height, small.channels, small.depth], [15, 10, 4, depth], "shrunk")
        # The mean of the 4 × 4 px that became one.
        block = [eight(painting(box, depth), 12 + x, 8 + y) for x in range(4) for y in range(4)]
        near(eight(small, 3, 2), [sum(each) / 16 for each in zip(*block, strict=True)], 1, "its colours")
    for channels, depth in ((1, 1), (1, 2), (1, 4), (3, 1), (3, 2), (4, 4)):
        pixel = b"\x00\x00\x00\x3f" if depth == 4 else b"\x80" * depth
        small = canvas.shrunk(Plane(101, 50, channels, depth, pixel * channels * 5050, is_bgr=channels == 3), 37)
        same([small.width, small.height, small.is_bgr], [37, 18, channels == 3], channels, depth)
        code = {1: "B", 2: "H", 4: "f"}[depth]
        values, (value,) = memoryview(bytes(small.data)).cast(code), struct.unpack(f"<{code}", pixel)
        near([min(values), max(values)], [value] * 2, 1e-6, "one colour stays so, to the edges", channels, depth)
    plane = painting(box, 1)
    same(canvas.shrunk(plane, 60) is plane, True, "one that is small enough")
    same(canvas.shrunk(Plane(4000, 1, 1, 1, bytes(4000)), 40).height, 1, "a line")


def check_shrunk_on_other_threads():
    canvas, box = GimpCanvas(make()), Rect(0, 0, 600, 400)
    plane = painting(box, 1)
    wanted, found = bytes(canvas.shrunk(plane, 150).data), []

    def work():
        found.extend(bytes(canvas.shrunk(plane, 150).data) == wanted for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    image = make()
    layer = add(image, box)
    for _ in range(20):
        take(image, layer)
    for thread in threads:
        thread.join(30)
    same([len(found), all(found)], [80, True], "the same on each")


def check_clipboard_without_a_display():
    same(GimpCanvas(make()).clipboard(), None, "the clipboard")


# ------------------------------------------------------------------------------------------------------------- speed


def check_twelve_megapixels():
    """No step is long; the figures are for people to look at, and only what would hang GIMP fails."""
    rect = Rect(0, 0, 4000, 3000)
    noise = bytes(range(256)) * (4000 * 3000 * 4 // 256)
    for precision, is_masked in (("U8_NON_LINEAR", False), ("U8_NON_LINEAR", True), ("FLOAT_LINEAR", True)):
        image = make(precision=precision, width=4000, height=3000)
        layer = add(image, rect, noise)
        if is_masked:
            mask_of(layer, b"\xc0" * 12_000_000)
        image.select_rectangle(Gimp.ChannelOps.REPLACE, 100, 100, 3800, 2800)
        taking, adding = [], []
        taken = take(image, layer, use_selection=True, times=taking)
        plane = Plane(4000, 3000, 4, taken.content.depth, bytes(taken.content.data))
        insert(image, layer, rect, plane, taken.mask, times=adding)
        RESULTS["figures"][f"{precision}{', masked' * is_masked}"] = {
            "take_s": round(sum(taking), 3),
            "take_longest_step_s": round(max(taking), 3),
            "insert_s": round(sum(adding), 3),
            "insert_longest_step_s": round(max(adding), 3),
            "mib": int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20,
        }
        image.delete()
        if max(taking + adding) > 5:
            raise AssertionError(f"a step took {max(taking + adding):.1f} s")


def check_all_is_named():
    same(GimpCanvas(make()).host, f"GIMP {RESULTS['version']}", "the host")


def checks():
    for name, function in list(globals().items()):
        if name == "check_kind":
            for kind in KINDS:
                yield "_".join(("kind", *kind)), lambda kind=kind: check_kind(*kind)
        elif name.startswith("check_"):
            yield name[len("check_") :], function


def main():
    faulthandler.enable(2)  # says on stderr where Python was when it crashed, or what it was at after a minute
    RESULTS["version"] = Gimp.version()
    wanted = os.environ.get("SCUMBLE_ONLY", "")
    for name, function in checks():
        if wanted and wanted not in name:
            continue
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
    faulthandler.cancel_dump_traceback_later()
