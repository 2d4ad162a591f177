"""Runs inside GIMP, without a window: what `GimpCanvas` reads of all kinds of layers, and how it adds one."""

import array

from gimp_hand import (
    FOLDER,
    HEIGHT,
    NONE,
    RGBA,
    SOLID,
    WIDTH,
    SkipError,
    add,
    eight,
    finish,
    ids,
    insert,
    make,
    mask_of,
    names,
    near,
    painting,
    refused,
    same,
    seen,
    select,
    soft_mask,
    solid,
    subject_of,
    take,
    unpacked,
    write_bmp,
)
from scumble_gimp.canvas import GimpCanvas
from scumble_gimp.gimp import Gegl, Gimp, Gio
from scumble_gimp.link.canvas import Layer
from scumble_gimp.link.pixels import Plane, Rect

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
    for _ in range(6):  # tattoos that are gone
        image.remove_layer(add(image, rect))
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
    same([bool(placed.notice), new.is_indexed()], [True, True], "added")
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
    known = {int(id.partition(":")[2]) for _, id in wanted}
    same(known & {add(copy, rect).get_tattoo() for _ in range(12)}, set(), "tattoos again")


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
    mask_of(first, bytes(81))
    image.set_selected_layers([first])
    for edits in (True, False):
        first.set_edit_mask(edits)
        insert(image, first, Rect(0, 0, 9, 9))
        same(
            [names(image.get_selected_layers()), first.get_edit_mask()], [["first"], edits], "what of it is painted on"
        )


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
