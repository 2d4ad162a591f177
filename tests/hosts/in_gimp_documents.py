"""Runs inside GIMP, without a window: what is active, what has gone meanwhile, what is kept, and pictures."""

import struct
import threading
import time
from pathlib import Path

from gimp_hand import (
    FOLDER,
    HEIGHT,
    RESULTS,
    RGBA,
    WIDTH,
    add,
    eight,
    finish,
    ids,
    insert,
    kept,
    make,
    near,
    opened,
    painting,
    put,
    refused,
    same,
    soft_mask,
    solid,
    subject_of,
    take,
    unpacked,
    write_bmp,
)
from scumble_gimp.canvas import GimpCanvas
from scumble_gimp.gimp import Gegl, Gimp, Gio, GLib
from scumble_gimp.link.canvas import Layer
from scumble_gimp.link.pixels import Plane, Rect

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
    same(given.recipe(), None, "the recipe of a layer that is gone")


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
    time.sleep(1)
    same([found, thread.is_alive()], [[], True], "before GIMP's own thread came to it")
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


def check_all_is_named():
    same(GimpCanvas(make()).host, f"GIMP {RESULTS['version']}", "the host")
