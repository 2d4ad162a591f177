"""What a painter does with Scumble in GIMP: scenes, played in order on one `gimp_screen.Stage`.

Each begins with pictures and a dialog of its own, so that what one leaves behind does not matter to the next. Nothing
waits for a time: all waits are for something to become true.
"""

import json

import numpy as np
from gimp_screen import expect

QUICK = {"quality": "custom", "size": 64, "iterations": "2"}
LONG = {"quality": "custom", "size": 192, "iterations": "4000"}
BOX = 60, 40, 160, 120
STROKE = (380, 440), (420, 450), (470, 440)
"""On the screen, inside `BOX` of a small picture in GIMP's window."""
SCENES, STORY = [], []


def scene(function):
    """A scene, by the name of its function."""
    SCENES.append(function)
    return function


def story(function):
    """A scene that is only played when it is asked for by name, for the pictures in the README."""
    STORY.append(function)
    return function


# -------------------------------------------------------------------------------------------------------- what recurs


def begin(stage, width=400, height=300, box=BOX, **settings):
    """A new picture with a selection and the dialog beside it; its number."""
    stage.clear()
    image = stage.open_new(width, height)
    stage.gimp.select(image, *(box or ()))
    stage.gimp.clean(image)
    stage.open_dialog()
    dialog = stage.dialog
    stage.until(lambda: dialog.status()[0] == "ready" and dialog.is_filled(), "the daemon is not there")
    stage.until(lambda: dialog.subject() and dialog.subject()[2] == width, "the picture is not seen")
    dialog.start_afresh({**QUICK, **settings})
    return image


def idle(stage):
    return lambda: not stage.dialog.runs()


def painting(stage):
    def is_so():
        runs = stage.dialog.runs()
        return bool(runs) and runs[0][1] > 0

    return is_so


def done(stage):
    """Wait until nothing is painted any more, and nothing has gone wrong."""
    stage.until(idle(stage), "the run does not end")
    expect(not stage.dialog.has_error(), stage.dialog.said())


def changed(before, after):
    """Where two pictures differ."""
    return (before != after).any(axis=-1)


def states(stage):
    """The states of the daemon's jobs, newest first; asking for the list renews no lease."""
    return [job["state"] for job in stage.hand.daemon.ask("GET", "/v1/jobs").json["jobs"]]


# ------------------------------------------------------------------------------------------------------------- scenes


@scene
def opens_from_the_menu(stage):
    """Filters, Artistic, Scumble: the dialog is there and starts the daemon, which is not running, by itself."""
    stage.open_new(400, 300)
    entry = stage.open_menu()
    stage.shot("menu")
    stage.click(*entry)
    stage.await_dialog()
    stage.until(lambda: stage.dialog.status()[0] == "ready", "the daemon is not started")
    stage.until(stage.dialog.is_filled, "the library stays empty")
    stage.until(lambda: "s" in stage.dialog.area(), "there is no estimate")
    stage.shot("idle")
    stage.notes["status"] = stage.dialog.status()[1]
    stage.notes["names"] = stage.dialog.names()


@scene
def stylises(stage):
    """One press: a new layer directly above, with a mask. Outside the selection not a bit changes; one undo."""
    image = begin(stage)
    stage.gimp.add_layer(image, "on top", 300, 200, 50, 50)
    stage.gimp.select_layers(image, "Background")
    stage.until(lambda: stage.dialog.subject()[1] == "Background", "the layer is not seen")
    before = stage.pixels(image)
    stage.dialog.press("stylise")
    done(stage)
    layers = stage.gimp.layers(image)
    expect(len(layers) == 3 and layers[0] == "on top" and layers[2] == "Background", layers)
    expect(layers[1].endswith(" 60"), layers)
    expect(stage.gimp.has_mask(image, layers[1]), "there is no mask")
    expect(stage.gimp.selected(image) == ["Background"], "the active layer has changed", stage.gimp.selected(image))
    after = stage.pixels(image)
    inside = np.zeros(before.shape[:2], bool)
    inside[40:160, 60:220] = True
    expect(not changed(before, after)[~inside].any(), "something has changed outside the selection")
    expect(changed(before, after)[inside].mean() > 0.5, "hardly anything has changed inside")
    stage.until(lambda: stage.dialog.results(), "no result is listed")
    stage.shot("result")
    stage.undo()
    stage.until(lambda: stage.gimp.layers(image) == ["on top", "Background"], "undo does not take the layer away")
    expect(not changed(before, stage.pixels(image)).any(), "undo leaves something behind")
    stage.redo()
    stage.until(lambda: stage.gimp.layers(image) == layers, "redo does not bring the layer back")
    expect(not changed(after, stage.pixels(image)).any(), "redo brings something else")
    expect(stage.gimp.has_mask(image, layers[1]), "redo does not bring the mask back")


@scene
def lets_paint_meanwhile(stage):
    """A stroke of the real brush during the run is a step of its own, and so is the layer that comes after it."""
    image = begin(stage, **LONG)
    before = stage.pixels(image)
    stage.dialog.press("stylise")
    stage.until(painting(stage), "nothing is painted")
    stage.key("n")
    stage.drag(*STROKE)
    stage.until(lambda: changed(before, stage.pixels(image)).any(), "the stroke is not seen")
    with_stroke = stage.pixels(image)
    expect(stage.gimp.layers(image) == ["Background"], stage.gimp.layers(image))
    stage.dialog.press("keep")
    done(stage)
    expect(len(stage.gimp.layers(image)) == 2, stage.gimp.layers(image))
    stage.undo()
    stage.until(lambda: stage.gimp.layers(image) == ["Background"], "undo does not take the layer away")
    expect(not changed(with_stroke, stage.pixels(image)).any(), "undo takes more than the layer")
    stage.undo()
    stage.until(lambda: not changed(before, stage.pixels(image)).any(), "undo does not take the stroke away")


@scene
def shows_a_preview_and_stops(stage):
    """A long run shows progress, here and in GIMP's own bar, and a preview; Stop ends it and adds nothing."""
    image = begin(stage, **LONG)
    stage.dialog.press("stylise")
    stage.until(lambda: painting(stage)() and stage.dialog.has_preview(), "there is no preview")
    stage.until(lambda: stage.dialog.is_shown("preview") and stage.dialog.is_shown("progress"), "nothing is shown")
    stage.shot("running")
    stage.dialog.press("stop")
    done(stage)
    expect(stage.gimp.layers(image) == ["Background"], "Stop has added a layer")
    expect(not stage.gimp.is_dirty(image), "Stop leaves the image changed")


@scene
def stops_and_keeps(stage):
    """Stop & keep adds what is there."""
    image = begin(stage, **LONG)
    stage.dialog.press("stylise")
    stage.until(painting(stage), "nothing is painted")
    stage.dialog.press("keep")
    done(stage)
    expect(len(stage.gimp.layers(image)) == 2, stage.gimp.layers(image))


@scene
def queues(stage):
    """A second run waits, a third is taken back; what was queued is painted after the first."""
    image = begin(stage, **LONG)
    stage.dialog.press("stylise")
    stage.until(painting(stage), "nothing is painted")
    stage.dialog.set(QUICK)
    stage.dialog.press("stylise")
    stage.dialog.press("stylise")
    stage.until(lambda: all(stage.dialog.jobs()) and len(stage.dialog.jobs()) == 3, "they do not queue")
    stage.shot("queue")
    stage.dialog.withdraw_last()
    stage.until(lambda: len(stage.dialog.runs()) == 2, "it is not taken back")
    stage.dialog.stop_first()
    done(stage)
    expect(len(stage.gimp.layers(image)) == 2, stage.gimp.layers(image))


@scene
def is_cancelled_by_gimp(stage):
    """Cancel in GIMP's status bar kills the plug-in: the job ends by its lease, the image is as before."""
    image = begin(stage, **LONG)
    before = stage.pixels(image)
    stage.dialog.shorten_lease(3.0)
    idle_screen = stage.screen()
    stage.dialog.press("stylise")
    stage.until(painting(stage), "nothing is painted")
    x, y = stage.until(lambda: stage.cancel_button(idle_screen), "there is no Cancel in the status bar")
    stage.shot("cancel")
    stage.click(x, y)
    stage.until(lambda: not stage.has_dialog(), "Cancel does not end the plug-in")
    expect(states(stage)[0] == "running", states(stage))
    stage.until(lambda: states(stage)[0] == "stopped", "the job does not end by its lease")
    stage.shot("cancelled")
    expect(stage.gimp.layers(image) == ["Background"], stage.gimp.layers(image))
    expect(not changed(before, stage.pixels(image)).any(), "the image has changed")
    expect(not stage.gimp.is_dirty(image), "the image is marked as changed")
    stage.open_dialog()
    stage.until(lambda: stage.dialog.can_press("stylise"), "there is no run after it")
    stage.dialog.set(QUICK)
    stage.dialog.press("stylise")
    done(stage)
    expect(len(stage.gimp.layers(image)) == 2, stage.gimp.layers(image))


@scene
def stops_when_closed(stage):
    """Closing the window stops the run."""
    image = begin(stage, **LONG)
    stage.dialog.press("stylise")
    stage.until(painting(stage), "nothing is painted")
    stage.close_dialog()
    stage.until(lambda: "running" not in states(stage), "the job goes on")
    expect(stage.gimp.layers(image) == ["Background"], stage.gimp.layers(image))
    expect(not stage.gimp.is_dirty(image), "the image is marked as changed")


@scene
def survives_a_killed_daemon(stage):
    """The daemon is killed while it paints: it is started again, and the run comes to its end."""
    image = begin(stage, **LONG)
    stage.dialog.press("stylise")
    stage.until(painting(stage), "nothing is painted")
    pid = stage.hand.daemon.pid
    stage.hand.daemon.kill()
    stage.until(lambda: stage.hand.daemon.pid != pid and "running" in states(stage), "the daemon is not started again")
    stage.until(painting(stage), "the run does not go on")
    stage.dialog.press("keep")
    done(stage)
    expect(len(stage.gimp.layers(image)) == 2, stage.gimp.layers(image))


@scene
def says_what_is_wrong(stage):
    """What cannot be done is said in the dialog, in a sentence, and nowhere else."""
    begin(stage)
    stage.dialog.add_style(str(stage.folder / "nothing.png"))
    stage.until(lambda: not stage.dialog.can_press("stylise"), "it can be pressed without a style's file")
    stage.shot("missing")
    stage.dialog.remove_last_style()
    broken = stage.folder / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    stage.dialog.add_style(stage.root.seen(broken))
    stage.until(lambda: stage.dialog.can_press("stylise"), "it cannot be pressed")
    stage.dialog.press("stylise")
    stage.until(lambda: idle(stage)() and stage.dialog.has_error(), "nothing is said")
    stage.until(lambda: stage.dialog.is_shown("message"), "nothing is to be seen")
    stage.shot("error")
    stage.notes["error"] = stage.dialog.said()


@scene
def wants_one_layer(stage):
    """Several layers are selected: a sentence; once there is one again it can go on."""
    image = begin(stage)
    stage.gimp.add_layer(image, "second", 0, 0, 400, 300)
    stage.gimp.select_layers(image, "second", "Background")
    stage.until(lambda: not stage.dialog.can_press("stylise"), "it can be pressed")
    stage.notes["several"] = stage.dialog.why_not()
    stage.shot("several")
    stage.gimp.select_layers(image, "Background")
    stage.until(lambda: stage.dialog.can_press("stylise"), "it cannot be pressed")


@scene
def works_on_a_copy_of_what_is_indexed(stage):
    """An indexed image: a sentence and an offer to work on an RGB copy, which then is an image of its own."""
    stage.clear()
    image = stage.open_new(400, 300)
    stage.gimp.make_indexed(image)
    stage.gimp.clean(image)
    stage.open_dialog()
    stage.until(stage.dialog.is_filled, "the daemon is not there")
    expect(not stage.dialog.can_press("stylise"), "it can be pressed")
    stage.notes["indexed"] = stage.dialog.why_not()
    stage.shot("indexed")
    stage.dialog.press("Work on an RGB copy")
    stage.until(lambda: len(stage.gimp.images()) == 2, "there is no copy")
    (copy,) = set(stage.gimp.images()) - {image}
    stage.until(lambda: stage.dialog.can_press("stylise"), "it cannot be pressed on the copy")
    stage.dialog.set(QUICK)
    stage.dialog.press("stylise")
    done(stage)
    expect(len(stage.gimp.layers(copy)) == 2 and not stage.gimp.is_indexed(copy), stage.gimp.layers(copy))
    expect(stage.gimp.layers(image) == ["Background"] and stage.gimp.is_indexed(image), "the original has changed")
    expect(not stage.gimp.is_dirty(image), "the original is marked as changed")


@scene
def keeps_what_a_closed_image_cannot_take(stage):
    """The image is closed during the run: the result is kept, and goes into another image."""
    stage.clear()
    other = stage.open_new(320, 240)
    image = stage.open_new(480, 320)
    stage.open_dialog()
    stage.until(lambda: stage.dialog.subject() and stage.dialog.subject()[2] == 480, "the picture is not seen")
    stage.dialog.start_afresh(LONG)
    stage.dialog.press("stylise")
    stage.until(painting(stage), "nothing is painted")
    stage.gimp.clean(image)
    stage.key("ctrl+w")
    stage.until(lambda: stage.gimp.images() == [other], "the image is not closed")
    stage.dialog.press("keep")
    done(stage)
    expect(len(stage.dialog.results()) == 1, "there is no result")
    stage.notes["closed"] = stage.dialog.said()
    expect("closed" in stage.notes["closed"], stage.notes["closed"])
    stage.shot("closed")
    stage.until(lambda: stage.dialog.subject() and stage.dialog.subject()[2] == 320, "the other picture is not seen")
    stage.dialog.add_again()
    stage.until(lambda: len(stage.gimp.layers(other)) == 2, "it is not added to the other image")
    stage.close_dialog()


@scene
def paints_where_the_layer_is_gone(stage):
    """The source layer is removed during the run: the result goes on top, and that is said."""
    image = begin(stage, **LONG)
    stage.gimp.add_layer(image, "short-lived", 30, 30, 250, 200)
    stage.gimp.select_layers(image, "short-lived")
    stage.until(lambda: stage.dialog.subject()[1] == "short-lived", "the layer is not seen")
    stage.dialog.press("stylise")
    stage.until(painting(stage), "nothing is painted")
    stage.gimp.remove_layer(image, "short-lived")
    stage.dialog.press("keep")
    done(stage)
    layers = stage.gimp.layers(image)
    expect(len(layers) == 2 and layers[1] == "Background", layers)
    stage.notes["gone"] = stage.dialog.said()
    expect("gone" in stage.notes["gone"], stage.notes["gone"])


@scene
def paints_variations(stage):
    """A sheet of small results; a click takes the settings."""
    begin(stage)
    stage.dialog.press("variations")
    stage.until(lambda: set(stage.dialog.sheet() or ["none"]) == {"done"}, "the sheet is not painted")
    stage.until(lambda: stage.window("^Strength and stroke scale$"), "it has no window")
    stage.shot("sheet")
    expect(stage.dialog.pick(), "other settings are set")


@scene
def keeps_its_settings(stage):
    """What was set is there again in the next dialog; GIMP's own buttons save, load and reset."""
    begin(stage, strength=41)
    stage.close_dialog()
    stage.open_dialog()
    expect(stage.dialog.settings()["strength"] == 41, stage.dialog.settings())
    stage.dialog.set({"strength": 33})
    stage.dialog.press("Save Settings")
    stage.dialog.set({"strength": 80})
    stage.until(lambda: stage.dialog.can_press("Load Saved Settings"), "nothing was saved")
    stage.dialog.press("Load Saved Settings")
    stage.until(lambda: stage.dialog.settings()["strength"] == 33, "what was saved does not come back")
    stage.dialog.press("Reset")
    stage.notes["reset"] = stage.dialog.names()
    stage.dialog.press("Reset to Factory Defaults")
    stage.until(lambda: stage.dialog.settings()["strength"] == 60, "it is not reset")


@scene
def repeats(stage):
    """Filters, Repeat: the same once more, without a dialog."""
    # strokes so small that the little style of tests is large enough: GIMP would show a warning in a window
    image = begin(stage, strength=45, stroke_scale=25)
    stage.dialog.press("stylise")
    done(stage)
    first = stage.gimp.layers(image)[0]
    stage.close_dialog()
    stage.key("ctrl+f")
    stage.until(lambda: len(stage.gimp.layers(image)) == 3, "it is not repeated")
    second = next(name for name in stage.gimp.layers(image) if name not in (first, "Background"))
    recipes = [json.loads(stage.gimp.recipe(image, name)) for name in (first, second)]
    expect(recipes[0] == recipes[1], recipes)
    expect(stage.gimp.selected(image) == ["Background"], "the active layer has changed")


@scene
def remembers_in_the_file(stage):
    """Saved and opened again, the layer still knows its recipe, and the dialog can use it."""
    image = begin(stage, strength=52)
    stage.dialog.press("stylise")
    done(stage)
    name = stage.gimp.layers(image)[0]
    path = stage.folder / "kept.xcf"
    stage.gimp.save(image, stage.root.seen(path))
    stage.clear()
    again = stage.open(path)
    recipe = json.loads(stage.gimp.recipe(again, name))
    expect(recipe["styles"] and recipe["size"] == 64, recipe)
    stage.gimp.select_layers(again, name)
    stage.open_dialog()
    stage.until(lambda: stage.dialog.subject(), "the picture is not seen")
    expect(stage.dialog.use_layer_recipe() == 52, "the recipe says something else")


@scene
def leaves_the_screen_alone(stage):
    """With twelve megapixels nothing holds the dialog or GIMP for long: reading, writing, all of it."""
    image = begin(stage, 4096, 2900, (10, 10, 4076, 2880))
    stage.until(lambda: "4076" in stage.dialog.area(), "the selection is not seen")
    stage.dialog.longest_gaps()
    stage.gimp.longest_waits()
    stage.dialog.press("stylise")
    done(stage)
    expect(len(stage.gimp.layers(image)) == 2, stage.gimp.layers(image))
    stage.notes["gaps"] = stage.dialog.longest_gaps()
    stage.notes["waits"] = stage.gimp.longest_waits()


# --------------------------------------------------------------------------------------------------- for the README


@story
def tells_the_story(stage):
    """Select the sky, press the button, watch it form. The picture and the mask are in the stage's folder."""
    image = stage.open(stage.folder / "lighthouse.png")
    stage.fit()
    x, y = stage.open_menu()
    stage.xdo("mousemove", x, y)
    stage.shot("menu")
    stage.xdo("click", "1")
    stage.await_dialog()
    stage.until(lambda: stage.dialog.status()[0] == "ready" and stage.dialog.is_filled(), "the daemon is not there")
    stage.until(lambda: stage.dialog.has_thumbnail("library:night"), "the style is not drawn")
    stage.gimp.select_mask(image, stage.root.seen(stage.folder / "sky.gray"))
    stage.dialog.start_afresh({"quality": "normal"})
    stage.until(lambda: "Selection" in stage.dialog.area() and "about" in stage.dialog.area(), "there is no estimate")
    stage.shot("story-1")
    stage.dialog.press("stylise")
    stage.until(lambda: stage.dialog.progress() > 0.1, "nothing is painted")
    stage.shot("story-2")
    stage.until(lambda: stage.dialog.progress() > 0.5, "it is not half done")
    stage.shot("story-3")
    done(stage)
    stage.until(stage.dialog.results, "there is no result")
    stage.gimp.select(image)
    stage.shot("story-4")
