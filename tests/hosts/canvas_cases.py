"""What every canvas does alike, in the real hosts and in the made-up one: each function `case_…` is one case.

A case is given a `Rig` (see rig.py), which does what only the host can. What is expected is what we painted, or a sum.
Only the standard library is used: this runs in the hosts' own Pythons.
"""

import array

from expected import (
    cut,
    gray,
    masked,
    near,
    over,
    picture,
    pixel,
    plain,
    refused,
    rgba,
    same,
    seen,
    slope,
    unpacked,
    veiled,
)
from link.canvas import Layer
from link.pixels import Plane, Rect

WIDTH, HEIGHT = 64, 48
CANVAS = Rect(0, 0, WIDTH, HEIGHT)


# ------------------------------------------------------------------------------------------------------- what is there


def scene(rig, name="ground", in_window=False):
    """A document with an opaque layer all over it; both ids, and the layer's pixels."""
    document = rig.open(WIDTH, HEIGHT, in_window)
    pixels = picture(CANVAS, 7)
    return document, rig.add(document, name, CANVAS, pixels), pixels


def result(document, above, box, mask=None, pixels=None, title="Painted 60", recipe=""):
    """A finished picture on its way into the document."""
    plane = Plane(box.width, box.height, 4, 1, picture(box, 99) if pixels is None else pixels)
    plane_of_mask = None if mask is None else Plane(box.width, box.height, 1, 1, mask)
    return Layer(document, above, title, box, plane, plane_of_mask, recipe)


def id_of_picture(rig, name):
    """What `Canvas.layers` calls the only layer of that name in all documents."""
    ids = [each.id for each in rig.canvas.layers() if each.name == name]
    same(len(ids), 1, "layers called", name)
    return ids[0]


# --------------------------------------------------------------------------------------------------- reading: the layer


def case_takes_what_was_painted(rig):
    """Whatever the box: the layer's own rectangle, within it, across its edges, beyond the canvas, or all elsewhere."""
    document, _, _ = scene(rig)
    has = Rect(5, 6, 40, 30)
    pixels = picture(has)
    subject = rig.subject(document, rig.add(document, "paint", has, pixels))
    for box in (
        has,
        Rect(10, 10, 7, 5),
        Rect(0, 0, 12, 48),
        CANVAS,
        Rect(40, 30, 1, 1),
        Rect(-9, -8, 90, 70),
        Rect(-30, 20, 20, 9),
        Rect(200, 300, 8, 6),
        Rect(50, 2, 10, 40),
    ):
        taken = rig.take(subject, box)
        same(taken.box, box, "the box")
        same([taken.content.width, taken.content.height], [box.width, box.height], "its size")
        same(rgba(taken.content), cut(pixels, has, box), "in", box)
        same([taken.mask, dict(taken.regions)], [None, {}], "what was not asked for")


def case_takes_a_layer_that_is_larger_than_the_canvas(rig):
    document, _, _ = scene(rig)
    has = Rect(-13, -7, 100, 80)
    pixels = picture(has)
    subject = rig.subject(document, rig.add(document, "paint", has, pixels))
    same([subject.bounds, subject.canvas], [has, CANVAS], "the bounds and the canvas")
    for box in (has, CANVAS, Rect(-20, -20, 30, 30), Rect(60, 40, 40, 40)):
        same(rgba(rig.take(subject, box).content), cut(pixels, has, box), "in", box)


def case_takes_colors_under_alpha_0(rig):
    document, _, _ = scene(rig)
    has = Rect(3, 4, 50, 21)
    pixels = veiled(has)
    subject = rig.subject(document, rig.add(document, "veil", has, pixels))
    same(subject.bounds, has, "the bounds")
    same(rgba(rig.take(subject, has).content), pixels, "every alpha")


def case_takes_a_hidden_layer(rig):
    document, _, _ = scene(rig)
    has = Rect(0, 0, 20, 20)
    layer = rig.add(document, "paint", has, picture(has))
    rig.canvas.show(document, layer, False)
    same(rgba(rig.take(rig.subject(document, layer), has).content), picture(has), "a hidden layer")


def case_takes_an_empty_layer(rig):
    document, _, _ = scene(rig)
    subject = rig.subject(document, rig.add(document, "empty", None, None))
    same(subject.bounds.is_empty, not rig.layers_have_edges, "its bounds are empty:", subject.bounds)
    same(seen(rgba(rig.take(subject, Rect(3, 3, 9, 9)).content)), bytes(4 * 81), "nothing")


def case_takes_a_group_as_it_shows(rig):
    document, _, _ = scene(rig)
    group = rig.add_group(document, "group")
    low, high = Rect(4, 4, 30, 20), Rect(20, 10, 30, 30)
    rig.add(document, "low", low, picture(low), group)
    rig.add(document, "high", high, picture(high, 50), group)
    subject = rig.subject(document, group)
    same([subject.name, subject.bounds], ["group", Rect(4, 4, 46, 36)], "the group")
    found = rgba(rig.take(subject, CANVAS).content)
    for x, y in ((5, 5), (19, 12), (20, 10), (33, 23), (49, 39)):
        has, seed = (high, 50) if x >= 20 and y >= 10 else (low, 0)
        same(pixel(found, CANVAS, x, y), pixel(picture(has, seed), has, x, y), "at", x, y)
    same(pixel(found, CANVAS, 10, 30)[3], 0, "beside both")


def case_takes_a_layer_as_its_mask_leaves_it(rig):
    """Painting on what a mask hides would bring it back."""
    document, ground, _ = scene(rig)
    box = Rect(6, 5, 30, 20)
    new = rig.insert(result(document, ground, box, slope(box))).layer
    found = rgba(rig.take(rig.subject(document, new), box).content)
    same(seen(found), seen(masked(picture(box, 99), slope(box))), "with its mask")
    id = region_named(rig, document, "Painted 60", "layer")
    same(gray(rig.take(rig.subject(document, ground), box, [id]).regions[id]), slope(box), "as a region")


def case_taking_changes_nothing(rig):
    document, ground, pixels = scene(rig, "untouched")
    box = Rect(5, 5, 30, 30)
    rig.select(document, box, slope(box))
    subject = rig.subject(document, ground)
    rig.set_unmodified(document)
    regions = [each.id for each in rig.canvas.regions(document)]
    rig.take(subject, Rect(-5, -5, 60, 60), regions, use_selection=True)
    rig.finish(rig.canvas.picture_of(id_of_picture(rig, "untouched")))
    same(rig.is_modified(document), False, "modified by reading")
    same(rig.composite(document), pixels, "the picture")
    same(rig.names(document), ["untouched"], "the layers")


# ----------------------------------------------------------------------------------------------- reading: the selection


def case_nothing_selected(rig):
    document, ground, _ = scene(rig)
    subject = rig.subject(document, ground)
    same(subject.selection, None, "no selection")
    same(rig.take(subject, CANVAS, use_selection=True).mask, None, "everything")


def case_a_soft_selection_arrives_exactly(rig):
    document, ground, _ = scene(rig)
    has = Rect(20, 12, 32, 8)
    data = bytes(range(256))
    rig.select(document, has, data)
    subject = rig.subject(document, ground)
    same(subject.selection, has, "the selection's bounds")
    for box in (has, Rect(25, 15, 30, 20), Rect(-4, -4, 80, 60), Rect(0, 0, 5, 5)):
        same(gray(rig.take(subject, box, use_selection=True).mask), cut(data, has, box), "in", box)
    same(rig.take(subject, has).mask, None, "where it is not asked for")


def case_an_inverted_selection(rig):
    document, ground, _ = scene(rig)
    has = Rect(10, 8, 40, 30)
    rig.select(document, has, slope(has))
    rig.invert_selection(document)
    subject = rig.subject(document, ground)
    same(subject.selection, CANVAS, "its bounds")
    wanted = bytes(255 - each for each in cut(slope(has), has, CANVAS))
    same(gray(rig.take(subject, CANVAS, use_selection=True).mask), wanted, "what was not selected is")


def case_an_emptied_selection_is_none(rig):
    document, ground, _ = scene(rig)
    rig.select(document, Rect(5, 5, 10, 10), b"\xff" * 100)
    rig.empty_selection(document)
    subject = rig.subject(document, ground)
    same(subject.selection, None, "an emptied selection")
    same(rig.take(subject, CANVAS, use_selection=True).mask, None, "everything")


def case_a_selection_that_went_meanwhile(rig):
    document, ground, _ = scene(rig)
    rig.select(document, Rect(5, 5, 10, 10), b"\xff" * 100)
    subject = rig.subject(document, ground)
    rig.select_none(document)
    refused("nothing-selected", lambda: rig.take(subject, CANVAS, use_selection=True))


# ------------------------------------------------------------------------------------------------- reading: the regions


def region_named(rig, document, name, kind):
    """The id of the only region of that name and kind."""
    found = [each.id for each in rig.canvas.regions(document) if (each.name, each.kind) == (name, kind)]
    same(len(found), 1, "regions called", name)
    return found[0]


def case_a_region_is_what_a_layer_covers(rig):
    document, ground, _ = scene(rig)
    has = Rect(-6, 7, 40, 30)
    rig.add(document, "sky", has, veiled(has))
    subject, id = rig.subject(document, ground), region_named(rig, document, "sky", "layer")
    for box in (CANVAS, has, Rect(10, 10, 9, 7)):
        taken = rig.take(subject, box, [id])
        same(list(taken.regions), [id], "the regions")
        same(gray(taken.regions[id]), cut(veiled(has)[3::4], has, box), "in", box)


def case_a_region_is_a_mask_of_the_host(rig):
    document, ground, _ = scene(rig)
    has = Rect(12, 9, 32, 8)
    rig.add_mask(document, "sky", has, bytes(range(256)))
    subject, id = rig.subject(document, ground), region_named(rig, document, "sky", "mask")
    for box in (CANVAS, has, Rect(10, 10, 9, 5), Rect(-5, -5, 70, 70)):
        same(gray(rig.take(subject, box, [id]).regions[id]), cut(bytes(range(256)), has, box), "in", box)


def case_several_regions_at_once(rig):
    document, ground, _ = scene(rig)
    first, second = Rect(0, 0, 20, 20), Rect(30, 10, 20, 20)
    rig.add(document, "first", first, picture(first))
    rig.add(document, "second", second, picture(second))
    ids = [region_named(rig, document, name, "layer") for name in ("second", "first")]
    found = rig.take(rig.subject(document, ground), CANVAS, ids).regions
    same(list(found), ids, "in the order in which they were asked for")
    for id, has in zip(ids, (second, first), strict=True):
        same(gray(found[id]), cut(b"\xff" * 400, has, CANVAS), "the region in", has)


def case_a_region_that_is_gone(rig):
    document, ground, _ = scene(rig)
    has = Rect(0, 0, 20, 20)
    layer = rig.add(document, "sky", has, picture(has))
    id = region_named(rig, document, "sky", "layer")
    rig.remove(document, layer)
    refused("layer-gone", lambda: rig.take(rig.subject(document, ground), CANVAS, [id]))


def case_regions_and_layers_are_listed_from_the_top(rig):
    """Masks before layers; a group before what is in it."""
    document, _, _ = scene(rig, "listed ground")
    has = Rect(2, 2, 10, 10)
    group = rig.add_group(document, "listed group")
    inner = rig.add_group(document, "listed inner", group)
    rig.add(document, "listed deep", has, picture(has), inner)
    rig.add(document, "listed high", has, picture(has), group)
    rig.add(document, "listed top", has, picture(has))
    rig.add_mask(document, "mask", has, b"\xff" * 100)
    order = [f"listed {name}" for name in ("top", "group", "high", "inner", "deep", "ground")]
    regions = rig.canvas.regions(document)
    same([each.name for each in regions if each.kind == "layer"], order, "the layers among the regions")
    same([each.kind for each in regions], ["mask"] + ["layer"] * 6, "masks come first")
    layers = rig.canvas.layers()
    same([each.name for each in layers if each.name.startswith("listed")], order, "the layers of all documents")
    same(len({each.id for each in layers}), len(layers), "ids are of one layer only")


# ---------------------------------------------------------------------------------------------------------- the subject


def case_the_subject_is_the_active_layer(rig):
    document, ground, _ = scene(rig)
    has = Rect(3, 4, 5, 6)
    layer = rig.add(document, "Ink", has, picture(has))
    for id, name, bounds in ((layer, "Ink", has), (ground, "ground", CANVAS)):
        subject = rig.subject(document, id)
        same([subject.document, subject.layer, subject.name], [document, id, name], "the subject")
        same([subject.canvas, subject.bounds, subject.note], [CANVAS, bounds, ""], "its places, and no note on sRGB")
        same(bool(subject.document_name), True, "the document has a name")


def case_a_document_without_a_layer(rig):
    document = rig.open(WIDTH, HEIGHT)
    rig.activate(document, "")
    refused("no-layer", rig.canvas.subject)
    same(rig.canvas.recipe(), None, "no recipe")
    same([list(rig.canvas.regions(document)), rig.canvas.has_document(document)], [[], True], "nothing in it")


# ---------------------------------------------------------------------------------------------------- adding: its place


def case_a_result_lies_above_its_source(rig):
    document, ground, _ = scene(rig, in_window=True)
    has, box = Rect(3, 4, 50, 40), Rect(9, 8, 30, 20)
    source = rig.add(document, "source", has, picture(has))
    rig.add(document, "top", has, picture(has, 5))
    rig.activate(document, source)
    placed = rig.insert(result(document, source, box, slope(box)))
    same(rig.names(document), ["top", "Painted 60", "source", "ground"], "the layers")
    same([placed.layer, placed.notice], [rig.children(document)[1], ""], "what is said of it")
    same(rig.pixels(document, placed.layer, box), picture(box, 99), "its pixels")
    same(rig.mask(document, placed.layer, box), slope(box), "its mask")
    same(rig.active(document), source, "the active layer")
    subject = rig.subject(document, placed.layer)
    visible = Rect(box.x + 10, box.y, 20, 20)
    same(subject.bounds.united(visible), subject.bounds, "its bounds hold all that shows:", subject.bounds)
    same(subject.bounds.united(box), box, "and nothing beside its box:", subject.bounds)
    del ground


def case_the_active_layer_stays_active(rig):
    """Also where it is neither the source nor beside it."""
    document, ground, _ = scene(rig, in_window=True)
    has = Rect(3, 4, 20, 20)
    group = rig.add_group(document, "group")
    inner = rig.add(document, "inner", has, picture(has), group)
    for active, source in ((inner, ground), (ground, inner), (group, inner), (group, group)):
        rig.activate(document, active)
        rig.insert(result(document, source, has, slope(has)))
        same(rig.active(document), active, "the active layer")


def case_a_result_lies_in_its_sources_group(rig):
    document, _, _ = scene(rig)
    has = Rect(3, 4, 50, 40)
    group = rig.add_group(document, "group")
    inner = rig.add_group(document, "inner", group)
    deep = rig.add(document, "deep", has, picture(has), inner)
    rig.add(document, "deep top", has, picture(has, 3), inner)
    rig.add(document, "high", has, picture(has, 5), group)
    new = rig.insert(result(document, deep, has, slope(has))).layer
    same(rig.names(document, inner), ["deep top", "Painted 60", "deep"], "in the inner group")
    same(rig.children(document, inner)[1], new, "its id")
    rig.insert(result(document, inner, has, title="Of the group"))
    same(rig.names(document, group), ["high", "Of the group", "inner"], "above a group that is the source")
    same(rig.names(document), ["group", "ground"], "and nothing else has moved")


def case_several_results_in_a_row(rig):
    document, ground, _ = scene(rig)
    box = Rect(5, 5, 20, 20)
    ids = [
        rig.insert(result(document, ground, box.moved(number, 0), slope(box), picture(box, number), f"{number}")).layer
        for number in range(5)
    ]
    same(len(set(ids)), 5, "ids")
    same(rig.names(document), ["0", "1", "2", "3", "4", "ground"], "each directly above its source")
    for number, id in enumerate(ids):
        same(rig.pixels(document, id, box.moved(number, 0)), picture(box, number), "pixels of", number)


def case_a_source_that_is_gone(rig):
    """The result goes on top, and the user is told."""
    document, ground, pixels = scene(rig)
    has = Rect(3, 4, 20, 20)
    group = rig.add_group(document, "group")
    source = rig.add(document, "source", has, picture(has), group)
    rig.activate(document, ground)
    steps = rig.canvas.insert(result(document, source, has, slope(has), title="In the middle"))
    next(steps)
    rig.remove(document, source)
    for made in (steps, rig.canvas.insert(result(document, source, has, title="Afterwards"))):
        placed = rig.finish(made)
        same(bool(placed.notice), True, "a notice")
        same(rig.children(document)[0], placed.layer, "on top")
    same(rig.names(document), ["Afterwards", "In the middle", "group", "ground"], "the layers")
    same(rig.pixels(document, ground, CANVAS), pixels, "the ground")


def case_a_box_beyond_the_canvas(rig):
    document, ground, pixels = scene(rig)
    box = Rect(-9, 30, 90, 40)
    new = rig.insert(result(document, ground, box, slope(box))).layer
    same(rig.pixels(document, new, box), picture(box, 99), "its pixels, also off the canvas")
    same(rig.mask(document, new, box), slope(box), "its mask")
    shared = box.intersected(CANVAS)
    wanted = masked(picture(box, 99), slope(box))
    found = rgba(rig.take(rig.subject(document, new), shared).content)
    same(seen(found), seen(cut(wanted, box, shared)), "what is taken of it")
    same(rig.composite(document)[: 4 * WIDTH * 30], pixels[: 4 * WIDTH * 30], "the picture above it")


def case_names_of_all_kinds(rig):
    """Of a very long one a host may keep the beginning."""
    document, ground, _ = scene(rig)
    box = Rect(5, 5, 9, 9)
    for title in ("Grüße aus 星 🎨 ñ", "<b>&amp; \"quoted\" 'too' \\ / | ; % {x} %s", "word " * 60 + "end"):
        new = rig.insert(result(document, ground, box, slope(box), title=title)).layer
        name = rig.name(document, new)
        same([title.startswith(name), len(name) >= min(len(title), 50)], [True, True], "the name", name)
        same(rig.subject(document, new).name, name, "the subject's name")


# ---------------------------------------------------------------------------------------------------- adding: its looks


def compare(rig, document, canvas, before, box):
    """That a document looks as a result in a box, with a slope for its mask, leaves what was there, all opaque."""
    after, mask, new = rig.composite(document), cut(slope(box), box, canvas), cut(picture(box, 99), box, canvas)
    for y in range(canvas.height):
        for x in range(canvas.width):
            covered = mask[y * canvas.width + x]
            found, above, below = (pixel(data, canvas, x, y) for data in (after, new, before))
            if covered == 0:
                same(found, below, "outside, at", x, y)
            elif covered == 255:
                same(found, above, "inside, at", x, y)
            else:
                near(found, over(rig, above, below, covered), 1, "half of both, at", x, y)


def case_outside_the_mask_nothing_changes(rig):
    """There not a bit differs; inside is what was inserted; in between the mask mixes both."""
    document, ground, before = scene(rig)
    same(rig.composite(document), before, "the picture, as it was painted")
    box = Rect(7, 6, 45, 30)
    rig.insert(result(document, ground, box, slope(box)))
    compare(rig, document, CANVAS, before, box)


def case_outside_the_mask_nothing_changes_in_a_group(rig):
    """Also where the source was alone in it, and far away: hosts compose a picture in pieces."""
    canvas, box = Rect(0, 0, 200, 150), Rect(7, 6, 45, 30)
    document, before = rig.open(canvas.width, canvas.height), picture(canvas, 31)
    source = rig.add(document, "alone", canvas, before, rig.add_group(document, "group"))
    same(rig.composite(document), before, "the picture, as it was painted")
    rig.insert(result(document, source, box, slope(box)))
    compare(rig, document, canvas, before, box)


def case_over_nothing(rig):
    """Where the source has no pixels the result's alpha is its mask."""
    document = rig.open(WIDTH, HEIGHT)
    source = rig.add(document, "small", Rect(0, 0, 4, 4), picture(Rect(0, 0, 4, 4)))
    box = Rect(6, 5, 30, 20)
    rig.insert(result(document, source, box, slope(box)))
    found, wanted = rig.composite(document), cut(masked(picture(box, 99), slope(box)), box, CANVAS)
    for y in range(box.y, HEIGHT):
        for x in range(WIDTH):
            color, alpha = pixel(wanted, CANVAS, x, y)[:3], pixel(wanted, CANVAS, x, y)[3]
            near(pixel(found, CANVAS, x, y)[3:], [alpha], 0, "alpha at", x, y)
            if alpha:
                near(pixel(found, CANVAS, x, y)[:3], color, 1, "the colour at", x, y)


def case_a_mask_mixes_by_its_value(rig):
    document, ground, _ = scene(rig)
    box = Rect(0, 0, WIDTH, 4)
    rig.add(document, "base", CANVAS, plain(CANVAS, (40, 200, 90, 255)))
    base = rig.children(document)[0]
    mask = bytes(range(256))
    rig.insert(result(document, base, box, mask, plain(box, (220, 10, 90, 255))))
    found = rig.composite(document)
    for value in range(256):
        wanted = over(rig, (220, 10, 90), (40, 200, 90), value)
        near(found[4 * value : 4 * value + 4], wanted, 1, "at", value)
    del ground


def case_without_a_mask_alpha_says_it(rig):
    document, ground, before = scene(rig)
    box = Rect(7, 6, 45, 30)
    pixels = veiled(box, 99)
    new = rig.insert(result(document, ground, box, None, pixels)).layer
    same(rig.mask(document, new, box), None, "no mask")
    same(rig.pixels(document, new, box), pixels, "its pixels, colours under alpha 0 too")
    after = rig.composite(document)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            found, below = pixel(after, CANVAS, x, y), pixel(before, CANVAS, x, y)
            is_inside = box.x <= x < box.right and box.y <= y < box.bottom
            above = pixel(pixels, box, x, y) if is_inside else [0, 0, 0, 0]
            if above[3] in (0, 255):
                same(found, above if above[3] else below, "at", x, y)
            else:
                near(found, over(rig, above, below, above[3]), 1, "at", x, y)


def case_planes_of_all_kinds(rig):
    """In BGR, of 16 bits, of floats, as a view, masks of 16 bits: all the same layer in a document of 8 bits."""
    document, ground, _ = scene(rig)
    box = Rect(2, 3, 24, 20)
    size, data, mask = (box.width, box.height), picture(box, 99), slope(box)
    turned = bytearray(data)
    turned[0::4], turned[2::4] = turned[2::4], turned[0::4]
    wide = array.array("H", (257 * each for each in data)).tobytes()
    turned_wide = array.array("H", (257 * each for each in turned)).tobytes()
    kinds = {
        "RGB": Plane(*size, 4, 1, data),
        "BGR": Plane(*size, 4, 1, bytes(turned), is_bgr=True),
        "a view": Plane(*size, 4, 1, memoryview(data)),
        "a bytearray": Plane(*size, 4, 1, bytearray(data)),
        "16 bits": Plane(*size, 4, 2, wide),
        "16 bits in BGR": Plane(*size, 4, 2, turned_wide, is_bgr=True),
        "floats": Plane(*size, 4, 4, array.array("f", (each / 255 for each in data)).tobytes()),
    }
    masks = [Plane(*size, 1, 1, mask), Plane(*size, 1, 2, array.array("H", (257 * each for each in mask)).tobytes())]
    for name, plane in kinds.items():
        for covering in masks:
            new = rig.insert(Layer(document, ground, name, box, plane, covering)).layer
            same(rig.pixels(document, new, box), data, "pixels,", name)
            same(rig.mask(document, new, box), mask, "the mask,", name, "and a mask of", covering.depth)


# ------------------------------------------------------------------------------------------------------------ one step


def case_nothing_is_done_before_the_layer_is_there(rig):
    """So that adding is one step of undo, and what fails in the middle leaves nothing behind."""
    document, ground, pixels = scene(rig)
    box = Rect(7, 6, 45, 30)
    rig.activate(document, ground)
    rig.set_unmodified(document)

    def look():
        is_there = len(rig.children(document)) == 2
        same(rig.is_modified(document), is_there, "modified, where the layer is there:", is_there)

    steps = rig.canvas.insert(result(document, ground, box, slope(box), recipe='{"a": 1}'))
    placed = rig.finish(steps, look)
    same(rig.is_modified(document), True, "modified by the layer")
    same(rig.children(document)[0], placed.layer, "where it is")
    same(rig.mask(document, placed.layer, box), slope(box), "its mask")
    same(rig.pixels(document, ground, CANVAS), pixels, "the source")


def case_steps_that_are_dropped_leave_nothing(rig):
    document, ground, pixels = scene(rig)
    rig.activate(document, ground)
    rig.set_unmodified(document)
    steps = rig.canvas.insert(result(document, ground, CANVAS, slope(CANVAS), recipe='{"a": 1}'))
    next(steps)
    steps.close()
    same(rig.names(document), ["ground"], "the layers")
    same(rig.is_modified(document), False, "modified by what was dropped")
    same(rig.composite(document), pixels, "the picture")


def case_one_undo_takes_it_away(rig):
    """And one redo brings it back: pixels, mask, recipe, place; twice."""
    document, ground, before = scene(rig, in_window=True)
    box = Rect(7, 6, 45, 30)
    rig.activate(document, ground)
    recipe = '{"strength": 60}'
    new = rig.insert(result(document, ground, box, slope(box), recipe=recipe)).layer
    after = rig.composite(document)
    for _ in range(2):
        rig.undo(document)
        same(rig.names(document), ["ground"], "the layers after an undo")
        same(rig.composite(document), before, "the picture after an undo")
        same(rig.canvas.is_shown(document, new), None, "a layer that was undone is gone")
        rig.activate(document, ground)
        same(rig.canvas.recipe(), None, "the source's recipe")
        rig.redo(document)
        same(rig.names(document), ["Painted 60", "ground"], "the layers after a redo")
        again = rig.children(document)[0]
        same(again, new, "its id")
        same(rig.pixels(document, again, box), picture(box, 99), "its pixels")
        same(rig.mask(document, again, box), slope(box), "its mask")
        same(rig.composite(document), after, "the picture after a redo")
        rig.activate(document, again)
        same(rig.canvas.recipe(), recipe, "its recipe")


def case_undo_goes_back_result_by_result(rig):
    """What is noted in the document is no step, and neither is hiding a result and showing it again."""
    document, ground, before = scene(rig, in_window=True)
    box = Rect(7, 6, 45, 30)
    rig.activate(document, ground)
    rig.insert(result(document, ground, box, slope(box), title="first", recipe="{}"))
    rig.canvas.note(document, "settings", '{"a": 1}')
    second = rig.insert(result(document, ground, box, None, title="second")).layer
    rig.canvas.note(document, "settings", '{"a": 2}')
    for is_shown in (False, True):
        rig.canvas.show(document, second, is_shown)
    rig.undo(document)
    same(rig.names(document), ["first", "ground"], "after one undo")
    rig.undo(document)
    same(rig.names(document), ["ground"], "after two")
    same(rig.composite(document), before, "the picture")


# -------------------------------------------------------------------------------------------------- what goes meanwhile


def case_a_layer_that_is_removed(rig):
    document, ground, _ = scene(rig)
    has = Rect(0, 0, 40, 40)
    layer = rig.add(document, "removed", has, picture(has))
    subject, id = rig.subject(document, layer), id_of_picture(rig, "removed")
    steps = rig.canvas.take(subject, has, (), False)
    rig.activate(document, ground)
    rig.remove(document, layer)
    refused("layer-gone", lambda: rig.finish(steps))
    refused("layer-gone", lambda: rig.take(subject, has))
    refused("layer-gone", lambda: rig.canvas.show(document, layer, True))
    refused("layer-gone", lambda: rig.finish(rig.canvas.picture_of(id)))
    same(rig.canvas.is_shown(document, layer), None, "a removed layer is shown")
    same("removed" in [each.name for each in rig.canvas.regions(document)], False, "a removed layer is a region")


def case_a_layer_that_is_removed_between_steps(rig):
    """What was read by then may be given; else the user is told."""
    document = rig.open(1500, 1500)
    ground = rig.add(document, "ground", Rect(0, 0, 8, 8), picture(Rect(0, 0, 8, 8)))
    has = Rect(0, 0, 1500, 1500)
    pixels = bytes(range(100, 250)) * (4 * 1500 * 10)
    layer = rig.add(document, "large", has, pixels)
    steps = rig.canvas.take(rig.subject(document, layer), has, [region_named(rig, document, "large", "layer")], False)
    next(steps)
    rig.activate(document, ground)
    rig.remove(document, layer)
    refused("layer-gone", lambda: rig.finish(steps))


def case_a_document_that_is_closed(rig):
    document, ground, _ = scene(rig, "closed")
    subject, id = rig.subject(document, ground), id_of_picture(rig, "closed")
    taking = rig.canvas.take(subject, CANVAS, (), False)
    adding = rig.canvas.insert(result(document, ground, CANVAS, slope(CANVAS)))
    next(adding)
    same(rig.canvas.has_document(document), True, "open")
    rig.close(document)
    canvas = rig.canvas
    same(canvas.has_document(document), False, "closed")
    refused("document-closed", lambda: rig.finish(adding))
    refused("document-closed", lambda: rig.finish(taking))
    refused("document-closed", lambda: rig.take(subject, CANVAS))
    refused("document-closed", lambda: rig.insert(result(document, ground, CANVAS)))
    refused("document-closed", lambda: canvas.regions(document))
    refused("document-closed", lambda: canvas.show(document, ground, False))
    refused("document-closed", lambda: canvas.note(document, "settings", "{}"))
    refused("document-closed", lambda: canvas.noted(document, "settings"))
    refused("layer-gone", lambda: rig.finish(canvas.picture_of(id)))
    same(canvas.is_shown(document, ground), None, "a layer of it is shown")
    same(id in [each.id for each in canvas.layers()], False, "its layers are listed")


# -------------------------------------------------------------------------------------------------------------- recipes


def case_a_recipe_stays_with_its_layer(rig):
    document, ground, _ = scene(rig)
    box = Rect(7, 6, 20, 20)
    recipes = ['{"strength": 60, "name": "Grüße 星 🎨"}', '{"long": "' + "x" * 5000 + '"}', ""]
    layers = [
        rig.insert(result(document, ground, box, slope(box), title=f"{number}", recipe=recipe)).layer
        for number, recipe in enumerate(recipes)
    ]
    for layer, recipe in zip([*layers, ground], [*recipes, ""], strict=True):
        rig.activate(document, layer)
        same(rig.canvas.recipe(), recipe or None, "the recipe of", rig.name(document, layer))


def case_a_recipe_survives_saving(rig):
    """And so do the layer, its mask, and the document's notes."""
    document, ground, _ = scene(rig)
    box, recipe = Rect(7, 6, 20, 20), '{"strength": 60, "name": "Grüße 星"}'
    rig.insert(result(document, ground, box, slope(box), recipe=recipe))
    rig.canvas.note(document, "settings", '{"ä": 1}')
    before = rig.composite(document)
    again = rig.reopened(document)
    same(rig.names(again), ["Painted 60", "ground"], "the layers")
    new, ground = rig.children(again)
    rig.activate(again, new)
    same(rig.canvas.recipe(), recipe, "the recipe")
    rig.activate(again, ground)
    same(rig.canvas.recipe(), None, "another layer's recipe")
    same([rig.canvas.noted(again, "settings"), rig.canvas.noted(again, "other")], ['{"ä": 1}', ""], "the notes")
    same(rig.pixels(again, new, box), picture(box, 99), "its pixels")
    same(rig.mask(again, new, box), slope(box), "its mask")
    same(rig.composite(again), before, "the picture")


def case_regions_keep_their_ids_through_saving(rig):
    """A style's region is a setting, and settings are kept with the document."""
    document, _, _ = scene(rig)
    has = Rect(2, 2, 32, 8)
    rig.add(document, "cloud", has, veiled(has))
    rig.add_mask(document, "sky", has, bytes(range(256)))
    before = [(each.id, each.name, each.kind) for each in rig.canvas.regions(document)]
    again = rig.reopened(document)
    same([(each.id, each.name, each.kind) for each in rig.canvas.regions(again)], before, "the regions")


# ---------------------------------------------------------------------------------------------------- showing, pictures


def case_showing_and_hiding(rig):
    document, ground, before = scene(rig)
    has = Rect(3, 4, 20, 20)
    layer = rig.add(document, "paint", has, picture(has))
    with_it = rig.composite(document)
    same(rig.canvas.is_shown(document, layer), True, "shown")
    rig.canvas.show(document, layer, False)
    same([rig.canvas.is_shown(document, layer), rig.canvas.is_shown(document, ground)], [False, True], "hidden")
    same(rig.composite(document), before, "the picture without it")
    rig.canvas.show(document, layer, True)
    same(rig.canvas.is_shown(document, layer), True, "shown again")
    same(rig.composite(document), with_it, "the picture with it")
    same(rig.canvas.is_shown(document, "0"), None, "a layer that never was")


def case_a_layer_as_a_picture(rig):
    document, _, _ = scene(rig)
    for name, make in (("seen", picture), ("seen through", veiled)):
        has = Rect(5, 6, 30, 20)
        rig.add(document, name, has, make(has))
        found = rig.finish(rig.canvas.picture_of(id_of_picture(rig, name)))
        width, height, pixels = unpacked(found)
        same([width, height], [30, 20], "its size")
        same(seen(pixels), seen(make(has)), "its pixels,", name)


def case_an_empty_layer_is_no_picture(rig):
    document, _, _ = scene(rig)
    rig.add(document, "nothing", None, None)
    id = id_of_picture(rig, "nothing")
    refused("nothing-there", lambda: rig.finish(rig.canvas.picture_of(id)))
    refused("layer-gone", lambda: rig.finish(rig.canvas.picture_of("0")))


def case_scaling_down(rig):
    """The longest side is at most what was asked for, the other in proportion; the mean colour stays."""
    for width, height in ((60, 40), (40, 60), (61, 7)):
        data = b"".join(bytes((4 * x, 4 * y, 100, 255)) for y in range(height) for x in range(width))
        for depth in (1, 2):
            items = data if depth == 1 else array.array("H", (257 * each for each in data)).tobytes()
            small = rig.canvas.shrunk(Plane(width, height, 4, depth, items), 15)
            same([small.channels, small.depth], [4, depth], "its kind")
            near([max(small.width, small.height)], [13], 2, "its longest side")
            scale = max(small.width, small.height) / max(width, height)
            near([small.width, small.height], [width * scale, height * scale], 1, "its sides")
            found = memoryview(bytes(small.data))
            found = [each / (257 if depth == 2 else 1) for each in (found if depth == 1 else found.cast("H"))]
            found = [sum(found[at::4]) / (small.width * small.height) for at in range(4)]
            near(found, [sum(data[at::4]) / (width * height) for at in range(4)], 8, "its mean colour")
        same(rgba(rig.canvas.shrunk(Plane(width, height, 4, 1, data), 61)), data, "what is small enough")


# --------------------------------------------------------------------------------------------------------------- memory


def case_memory_of_the_user(rig):
    same(rig.canvas.remembered("never-set"), "", "nothing")
    for text in ('{"ä": "x=1; [y]\\n"}', "two\nlines, 星 🎨", "x" * 20000, ""):
        rig.canvas.remember("case", text)
        same(rig.canvas.remembered("case"), text, "what was remembered")


def case_notes_of_a_document(rig):
    document, _, _ = scene(rig)
    other, _, _ = scene(rig)
    same(rig.canvas.noted(document, "settings"), "", "nothing")
    for text in ('{"ä": "x=1; [y]"}', "two\nlines, 星 🎨", "x" * 20000):
        rig.canvas.note(document, "settings", text)
        same(rig.canvas.noted(document, "settings"), text, "what was noted")
    same([rig.canvas.noted(document, "other"), rig.canvas.noted(other, "settings")], ["", ""], "elsewhere")


def case_two_documents(rig):
    """Whichever is active, each is read and added to by its own id."""
    first, second = rig.open(WIDTH, HEIGHT), rig.open(30, 20)
    has = Rect(2, 2, 20, 16)
    layers = [rig.add(document, "paint", has, picture(has, seed)) for document, seed in ((first, 1), (second, 2))]
    rig.select(second, Rect(4, 4, 10, 10), b"\x80" * 100)
    one, two = rig.subject(first, layers[0]), rig.subject(second, layers[1])
    same([one.document, two.document, first == second], [first, second, False], "the documents")
    same([one.canvas, two.canvas], [CANVAS, Rect(0, 0, 30, 20)], "their sizes")
    same([one.selection, two.selection], [None, Rect(4, 4, 10, 10)], "their selections")
    for active in (layers[0], layers[1]):
        rig.activate(first if active == layers[0] else second, active)
        same(rgba(rig.take(one, has).content), picture(has, 1), "the first")
        taken = rig.take(two, has, use_selection=True)
        same(rgba(taken.content), picture(has, 2), "the second")
        same(gray(taken.mask), cut(b"\x80" * 100, Rect(4, 4, 10, 10), has), "its selection")
    rig.activate(first, layers[0])
    new = rig.insert(result(second, layers[1], has, recipe='{"second": 1}')).layer
    same([rig.names(first), rig.names(second)], [["paint"], ["Painted 60", "paint"]], "the layers")
    same([rig.canvas.is_shown(first, new), rig.canvas.is_shown(second, new)], [None, True], "where it is")
    same(rig.canvas.recipe(), None, "the first one's recipe")


CASES = {name[len("case_") :]: function for name, function in list(globals().items()) if name.startswith("case_")}
"""All of them, by name, in the order of this file."""
