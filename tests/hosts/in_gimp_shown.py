"""Runs inside GIMP, on a screen that nobody sees: what needs its windows, such as undo, displays and the clipboard."""

import struct
import subprocess
import time

from gimp_hand import (
    FOLDER,
    HEIGHT,
    RGBA,
    SOLID,
    WIDTH,
    add,
    ids,
    insert,
    make,
    names,
    near,
    same,
    seen,
    soft_mask,
    subject_of,
    take,
    write_bmp,
)
from scumble_gimp.canvas import GimpCanvas
from scumble_gimp.gimp import Gimp, Gio
from scumble_gimp.link.pixels import Plane, Rect

PATIENCE_S = 20
FORM = "R'G'B'A u8"


def shown(image):
    """The image in GIMP's window, in front, with nothing of what was done so far to be undone."""
    display = Gimp.Display.new(image)
    Gimp.displays_flush()
    wait(lambda: subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "GIMP$"]).returncode == 0)
    subprocess.run(["xdotool", "search", "--onlyvisible", "--name", "GIMP$", "windowactivate", "--sync"], check=False)
    image.clean_all()
    return display


def wait(is_so):
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {PATIENCE_S} s it is not so yet")
        time.sleep(0.05)


def press(keys, is_so):
    """What the user's hand does, until it had its effect."""
    subprocess.run(["xdotool", "key", keys], check=True)
    wait(is_so)


def tree(image):
    """All that the list of layers shows."""
    return [
        (each.get_name(), each.get_visible(), each.get_mask() is not None, list(each.get_offsets())[1:])
        for each in image.get_layers()
    ]


def check_one_undo_takes_all_away_and_redo_brings_all_back():
    image = make()
    source = add(image, Rect(0, 0, WIDTH, HEIGHT))
    add(image, Rect(0, 0, 20, 20), name="above")
    display = shown(image)
    image.set_selected_layers([source])
    source.set_name("renamed")  # the user's own last step
    before, picture = tree(image), seen(image, FORM)
    canvas, box, recipe = GimpCanvas(image), Rect(-3, 5, 24, 20), '{"name": "Grüße 星"}'
    new, _ = insert(image, source, box, mask=soft_mask(box), recipe=recipe)
    canvas.note(ids(image), "settings", "kept")
    after, painted, pixels = tree(image), seen(image, FORM), bytes(take(image, new, box).content.data)
    same([len(after), painted == picture], [3, False], "the new layer")
    # Looking at the picture without the new layer, and with it, is no step.
    for is_shown in (False, True):
        canvas.show(ids(image), ids(new), is_shown)
    image.set_selected_layers([source])
    press("ctrl+z", lambda: len(image.get_layers()) == 2)
    same([tree(image), seen(image, FORM) == picture], [before, True], "undone")
    same(canvas.is_shown(ids(image), ids(new)), None, "what was undone is shown")
    press("ctrl+y", lambda: len(image.get_layers()) == 3)
    same([tree(image), seen(image, FORM) == painted], [after, True], "done again")
    same(bytes(take(image, new, box).content.data), pixels, "its pixels and its mask")
    image.set_selected_layers([new])
    same([canvas.recipe(), canvas.noted(ids(image), "settings")], [recipe, "kept"], "its recipe, and the note")
    press("ctrl+z", lambda: len(image.get_layers()) == 2)
    press("ctrl+z", lambda: source.get_name() == "source")
    same(
        tree(image), [("above", True, False, [0, 0]), ("source", True, False, [0, 0])], "the step before is the user's"
    )
    display.delete()


def check_what_is_done_is_seen_at_once():
    image = make(width=200, height=150)
    source = add(image, Rect(0, 0, 200, 150))
    display = shown(image)
    color = bytes([12, 222, 111])  # of nothing else on the screen

    def is_seen():
        taken = subprocess.run(["import", "-window", "root", "-depth", "8", "rgb:-"], check=True, capture_output=True)
        return taken.stdout.count(color) > 1000

    same(is_seen(), False, "before")
    box = Rect(20, 20, 150, 100)
    new, _ = insert(image, source, box, Plane(150, 100, 4, 1, (color + b"\xff") * 15000))
    wait(is_seen)
    canvas = GimpCanvas(image)
    canvas.show(ids(image), ids(new), False)
    wait(lambda: not is_seen())
    canvas.show(ids(image), ids(new), True)
    wait(is_seen)
    display.delete()


def check_the_copy_in_rgb_is_shown():
    image = make()
    add(image, Rect(0, 0, 20, 20), name="few")
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 4, False, False, "")
    display = shown(image)
    known = display.get_id()
    canvas = GimpCanvas(image)
    canvas.work_on_rgb_copy()
    same([canvas.subject().name, Gimp.Display.id_is_valid(known + 1)], ["few", True], "a display of the copy")
    same(names(image.get_layers()), ["few"], "the image itself")
    Gimp.Display.get_by_id(known + 1).delete()
    display.delete()


def check_clipboard():
    canvas = GimpCanvas(make())
    write_bmp(FOLDER / "copied.bmp", 30, 20)
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(FOLDER / "copied.bmp")))
    display = shown(image)
    same(canvas.clipboard(), None, "an empty clipboard")
    Gimp.edit_copy(image.get_layers())
    png = canvas.clipboard()
    same(struct.unpack(">II", png[16:24]), (30, 20), "its size")
    (FOLDER / "pasted.png").write_bytes(png)
    pasted = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(FOLDER / "pasted.png")))
    near(list(seen(pasted, FORM)[:4]), RGBA, 0, "its colours")
    display.delete()


def check_subject_follows_the_list_of_layers():
    """What is clicked on there is what is painted; here a key goes from one to the next."""
    image = make()
    below, above = add(image, Rect(0, 0, 9, 9), name="below"), add(image, Rect(0, 0, 9, 9), name="above")
    display = shown(image)
    canvas = GimpCanvas(image)
    same(subject_of(image, above).name, "above", "at first")
    press("Next", lambda: canvas.subject().layer == ids(below))
    same(seen(image, FORM)[:4], SOLID, "the picture")
    display.delete()
