"""Runs inside GIMP, without a window: pixels of all kinds, selections and regions, against formulas of our own."""

import struct
from pathlib import Path

from gimp_hand import (
    HEIGHT,
    NONE,
    RESULTS,
    SOLID,
    WIDTH,
    add,
    eight,
    finish,
    ids,
    insert,
    make,
    mask_of,
    near,
    painting,
    put,
    rectangle,
    refused,
    same,
    seen,
    select,
    soft_mask,
    solid,
    subject_of,
    take,
)
from precisions import KINDS
from scumble_gimp.canvas import GimpCanvas
from scumble_gimp.gimp import Gegl, Gimp
from scumble_gimp.link.pixels import Plane, Rect

COLORS = [(200, 100, 50), (90, 200, 120), (250, 250, 240), (128, 128, 128), (70, 90, 200), (255, 255, 255), (0, 0, 0)]
ALPHAS = [255, 128, 0]

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
    same([new.is_rgb(), new.is_gray()], [kind == "RGBA_IMAGE", kind == "GRAYA_IMAGE"], "its type")
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


# ------------------------------------------------------------------------------------------------------------- speed


def check_twelve_megapixels():
    """No step is long; the figures are for people to look at, and only what would hang GIMP fails."""
    rect = Rect(0, 0, 4000, 3000)
    # No row is like another: a prime length is repeated.
    noise = (bytes(range(251)) * (4000 * 3000 * 4 // 251 + 1))[: 4000 * 3000 * 4]
    for precision, is_masked in (("U8_NON_LINEAR", False), ("U8_NON_LINEAR", True), ("FLOAT_LINEAR", True)):
        image = make(precision=precision, width=4000, height=3000)
        layer = add(image, rect, noise)
        if is_masked:
            mask_of(layer, b"\xc0" * 12_000_000)
        image.select_rectangle(Gimp.ChannelOps.REPLACE, 100, 100, 3800, 2800)
        taking, adding = [], []
        taken = take(image, layer, use_selection=True, times=taking)
        if not is_masked:
            same(bytes(taken.content.data), noise, "what is read in bands")
        plane = Plane(4000, 3000, 4, taken.content.depth, bytes(taken.content.data))
        new, _ = insert(image, layer, rect, plane, taken.mask, times=adding)
        if not is_masked:
            # The selection has no soft edge: what is in it is there as it was given.
            found = bytes(take(image, new).content.data)
            for y in range(100, 2900, 99):
                inside = slice((y * 4000 + 100) * 4, (y * 4000 + 3900) * 4)
                same(found[inside], noise[inside], "what is written in bands, in row", y)
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
