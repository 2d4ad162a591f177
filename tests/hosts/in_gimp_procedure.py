"""Played by GIMP itself, without a window: what a script gets from `plug-in-scumble`.

Each check is a function `check_…`; what it raises is written down as the reason why it failed. What is asked of the
outside (start the daemon, kill it) is asked by files in a folder.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

Gegl.init(None)
FOLDER = Path(os.environ["SCUMBLE_TEST"])
HOME = Path(os.environ["SCUMBLE_HOME"])
ASKS = FOLDER / "asks"
PATIENCE_S = 90
QUICK = {"quality": "custom", "size": 48, "iterations": "2"}
SUCCESS, CALLING, EXECUTION = (
    Gimp.PDBStatusType.SUCCESS,
    Gimp.PDBStatusType.CALLING_ERROR,
    Gimp.PDBStatusType.EXECUTION_ERROR,
)


def expect(condition, *words):
    if not condition:
        raise AssertionError(" ".join(map(str, words)))


def until(condition, *words):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        expect(time.monotonic() < deadline, "in vain:", *words)
        time.sleep(0.05)


def ask(what):
    """Have something done outside, and wait until it is."""
    (ASKS / what).touch()
    until(lambda: not (ASKS / what).exists(), what)


# ------------------------------------------------------------------------------------------------------------ pictures


def procedure():
    return Gimp.get_pdb().lookup_procedure("plug-in-scumble")


def painted(width=64, height=48, name="paint"):
    """An image with one layer that has colours of all kinds."""
    image = Gimp.Image.new(width, height, Gimp.ImageBaseType.RGB)
    layer = Gimp.Layer.new(image, name, width, height, Gimp.ImageType.RGB_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(layer, None, 0)
    data = bytes((x * 4 + c * 60 + y * (3 + c)) % 256 for y in range(height) for x in range(width) for c in range(3))
    layer.get_buffer().set(Gegl.Rectangle.new(0, 0, width, height), "R'G'B' u8", data)
    return image, layer


def style(name="style"):
    """The path of a picture file."""
    path = FOLDER / f"{name}.png"
    if not path.exists():
        image, layer = painted(40, 40)
        layer.invert(False)
        Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(str(path)), None)
        image.delete()
    return str(path)


def pixels(item):
    box = Gegl.Rectangle.new(0, 0, item.get_width(), item.get_height())
    return bytes(item.get_buffer().get(box, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE))


def call(image, drawables, run_mode=Gimp.RunMode.NONINTERACTIVE, **given):
    """Call the procedure; its status, and the layer or the sentence."""
    config = procedure().create_config()
    config.set_property("run-mode", run_mode)
    config.set_property("image", image)
    config.set_core_object_array("drawables", drawables)
    for name, value in given.items():
        config.set_property(name.replace("_", "-"), value)
    values = procedure().run(config)
    return values.index(0), values.index(1) if values.length() > 1 else None


def paint(image, layer, **given):
    """The new layer of a call that succeeds."""
    status, new = call(image, [layer], **{**QUICK, "styles": [style()], **given})
    expect(status == SUCCESS, status, new)
    expect(isinstance(new, Gimp.Layer), type(new))
    return new


def refused(expected, words, image, drawables, **given):
    """The sentence of a call that fails; the image is as it was."""
    before = [layer.get_id() for layer in image.get_layers()], image.is_dirty()
    status, said = call(image, drawables, **{**QUICK, "styles": [style()], **given})
    expect(status == expected, "status", status, said)
    said = str(said)
    for word in words:
        expect(word in said, repr(word), "is not in", repr(said))
    expect("Traceback" not in said and "Error:" not in said, said)
    expect(said == Gimp.get_pdb().get_last_error(), Gimp.get_pdb().get_last_error())
    after = [layer.get_id() for layer in image.get_layers()], image.is_dirty()
    expect(before == after, before, after)
    return said


def recipe_of(layer):
    parasite = layer.get_parasite("scumble-recipe")
    expect(parasite is not None, "there is no recipe")
    return json.loads(bytes(parasite.get_data()).decode())


# -------------------------------------------------------------------------------------------------------------- checks


def check_the_signature():
    known = {each.name: each for each in procedure().get_arguments()}
    names = ["run-mode", "image", "drawables", "styles", "strength", "stroke-scale", "keep-colors", "quality", "size"]
    expect(list(known) == [*names, "iterations", "area", "feather", "result", "recipe"], list(known))
    numbers = {"strength": (0, 100, 60), "stroke-scale": (25, 400, 100), "feather": (-1, 1000, -1)}
    for name, (low, high, default) in numbers.items():
        told = known[name]
        expect((told.minimum, told.maximum, told.get_default_value()) == (low, high, default), name)
    for name, default in {"keep-colors": "off", "quality": "normal", "area": "selection", "result": "mask"}.items():
        expect(known[name].get_default_value() == default, name)
        expect(type(known[name]).__name__ == "ParamChoice", name)
    expect(all(each.get_nick() and each.get_blurb() for each in known.values()), "without words")
    (value,) = procedure().get_return_values()
    expect((value.name, value.value_type) == ("layer", Gimp.Layer.__gtype__), value)
    expect(procedure().get_menu_paths() == ["<Image>/Filters/Artistic"], procedure().get_menu_paths())
    expect(procedure().get_menu_label() == "Scumble…", procedure().get_menu_label())
    expect(procedure().get_image_types() == "*", procedure().get_image_types())
    expect(procedure().get_help_id() == "plug-in-scumble?plug-in-scumble", procedure().get_help_id())


def check_a_call_starts_the_daemon_and_gives_the_new_layer():
    expect(not (HOME / "daemon.json").exists(), "a daemon runs already")
    image, layer = painted()
    before = pixels(layer)
    new = paint(image, layer, strength=70)
    expect(new.get_image() == image and image.get_layers() == [new, layer], image.get_layers())
    expect(new.get_name() == "style 70", new.get_name())
    expect((new.get_width(), new.get_height()) == (64, 48), new.get_width(), new.get_height())
    expect(pixels(layer) == before, "the layer itself was changed")
    expect(pixels(new) != before, "nothing was painted")
    image.delete()


def check_all_arguments_are_heard():
    image, layer = painted()
    more = json.dumps({"optimizer": "lbfgs", "seed": 9, "preset": "My own"})
    given = {"strength": 33, "stroke_scale": 150, "keep_colors": "luminance", "result": "layer", "recipe": more}
    new = paint(image, layer, styles=[f"70||{style()}", f"30||{style('other')}"], **given)
    told = recipe_of(new)
    fields = {"strength": 33, "stroke_scale": 1.5, "keep_colors": "luminance", "output": "layer", "size": 48}
    for name, value in {**fields, "iterations": [2], "optimizer": "lbfgs", "seed": 9, "preset": "My own"}.items():
        expect(told[name] == value, name, told.get(name))
    expect([each["weight"] for each in told["styles"]] == [0.7, 0.3], told["styles"])
    expect(new.get_name() == "style + other 33", new.get_name())
    expect(new.get_mask() is None, "there is a mask")
    image.delete()


def check_the_result_is_a_layer_with_a_mask_by_default():
    image, layer = painted()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 10, 10, 30, 20)
    new = paint(image, layer, feather=0)
    expect(new.get_mask() is not None, "no mask")
    image.delete()


def check_what_a_layer_was_painted_with_is_a_recipe():
    """The same again, from what GIMP keeps with the layer: the same pixels."""
    image, layer = painted()
    first = paint(image, layer, strength=20, result="layer", recipe='{"seed": 4}')
    status, second = call(image, [layer], recipe=json.dumps(recipe_of(first)))
    expect(status == SUCCESS, second)
    expect(pixels(first) == pixels(second), "other pixels")
    expect(second.get_name() == f"{first.get_name()} #1", second.get_name())
    image.delete()


def check_a_region_by_the_name_of_a_channel():
    image, layer = painted()
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 32, 48)
    channel = Gimp.Selection.save(image)
    channel.set_name("Left side")
    Gimp.Selection.none(image)
    new = paint(image, layer, styles=[f"|channel:Left side|{style()}", f"||{style('other')}"])
    (region,) = recipe_of(new)["regions"]
    expect(region["name"] == "channel:Left side", region)
    said = refused(EXECUTION, ["Right side"], image, [layer], styles=[f"|channel:Right side|{style()}"])
    expect(". " in said, said)
    refused(EXECUTION, ["sky"], image, [layer], styles=[f"|sky|{style()}"])
    image.delete()


def check_a_style_of_the_library_by_its_name_there():
    image, layer = painted()
    new = paint(image, layer, styles=["library:night"])
    expect(new.get_name() == "Swirling night 60", new.get_name())
    refused(EXECUTION, ["nowhere"], image, [layer], styles=["library:nowhere"])
    image.delete()


def check_a_relative_path_is_one_from_where_gimp_was_started():
    image, layer = painted()
    new = paint(image, layer, styles=[os.path.relpath(style(), Path.cwd())])
    expect(recipe_of(new)["notes"]["styles"][0]["source"] == style(), recipe_of(new)["notes"])
    image.delete()


def check_what_is_wrong_with_a_call_is_a_sentence():
    image, layer = painted()
    other = Gimp.Layer.new(image, "other", 10, 10, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(other, None, 0)
    refused(CALLING, ["2 layers"], image, [layer, other])
    refused(CALLING, ["heavy", "weight|region|path"], image, [layer], styles=[f"heavy|{style()}"])
    refused(CALLING, ["4"], image, [layer], styles=[style()] * 5)
    refused(CALLING, ["JSON", "{strength"], image, [layer], recipe="{strength: 4}")
    refused(CALLING, ["strenght"], image, [layer], recipe='{"strenght": 4}')
    refused(CALLING, ["/nowhere.json"], image, [layer], recipe="/nowhere.json")
    refused(EXECUTION, ["/nowhere/style.png"], image, [layer], styles=["/nowhere/style.png"])
    refused(CALLING, ["weight"], image, [layer], styles=[f"0|{style()}"])
    refused(CALLING, ["many"], image, [layer], iterations="many")
    empty = FOLDER / "empty.png"
    empty.write_bytes(b"this is no picture")
    refused(EXECUTION, ["empty"], image, [layer], styles=[str(empty)])
    image.delete()


def check_without_a_layer_there_is_a_sentence():
    image, _ = painted()
    config = procedure().create_config()
    config.set_property("image", image)
    values = procedure().run(config)
    expect(values.index(0) == CALLING, values.index(0))
    expect("No layer" in str(values.index(1)), values.index(1))
    image.delete()


def check_an_indexed_image_is_a_sentence():
    image, layer = painted()
    image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 8, False, False, "")
    image.clean_all()
    refused(EXECUTION, ["palette"], image, [layer])
    image.delete()


def check_a_selection_beside_the_layer_is_a_sentence():
    image, layer = painted()
    layer.set_offsets(40, 0)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, 20, 20)
    image.clean_all()
    refused(EXECUTION, ["paint", "selection"], image, [layer])
    image.delete()


def check_a_channel_is_a_sentence_and_a_layers_mask_is_its_layer():
    image, layer = painted()
    channel = Gimp.Channel.new(image, "sky", 64, 48, 50, Gegl.Color.new("black"))
    image.insert_channel(channel, None, 0)
    image.clean_all()
    refused(CALLING, ["sky"], image, [channel])
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    new = paint(image, mask)
    expect(image.get_layers() == [new, layer], image.get_layers())
    image.delete()


def check_a_daemon_that_is_killed_meanwhile_is_started_again():
    image, layer = painted(300, 200)
    ask("start")
    (ASKS / "kill-soon").touch()
    new = paint(image, layer, size=160, iterations="100")
    until(lambda: not (ASKS / "kill-soon").exists(), "nobody killed it")
    expect(image.get_layers() == [new, layer], image.get_layers())
    expect((FOLDER / "killed").read_text() == "running", (FOLDER / "killed").read_text())
    image.delete()


def check_with_last_values_there_is_no_dialog():
    image, layer = painted()
    status, new = call(image, [layer], Gimp.RunMode.WITH_LAST_VALS, **QUICK, styles=[style()])
    expect(status == SUCCESS, new)
    # nobody has used the dialog before, so that there are no last values
    expect(new.get_name() == "style 60", new.get_name())
    image.delete()


def check_a_dialog_without_a_screen_is_a_sentence():
    image, layer = painted()
    status, said = call(image, [layer], Gimp.RunMode.INTERACTIVE)
    expect(status == EXECUTION, status, said)
    expect("screen" in str(said) and "NONINTERACTIVE" in str(said), said)
    image.delete()


def check_without_a_daemon_and_without_scumble_there_is_a_sentence():
    """The last one: the daemon is ended, and nobody knows how to start it."""
    image, layer = painted()
    ask("kill")
    for name in ("start.json", "daemon.json"):
        (HOME / name).unlink(missing_ok=True)
    refused(EXECUTION, ["pip install scumble"], image, [layer])
    image.delete()


def main():
    only = os.environ.get("SCUMBLE_ONLY", "")
    results = {"version": Gimp.version(), "checks": {}}
    checks = {name[len("check_") :]: each for name, each in globals().items() if name.startswith("check_")}
    for name, check in checks.items():
        if only not in name:
            continue
        began = time.monotonic()
        try:
            check()
            said = ""
        except Exception:
            said = traceback.format_exc()
        results["checks"][name] = said
        print(f"{name}: {time.monotonic() - began:.1f} s {said}", file=sys.stderr, flush=True)
        (FOLDER / "results.json").write_text(json.dumps(results))


main()
