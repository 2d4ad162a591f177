"""How the GIMP dialog's panel shows settings and changes them: the controls, More, presets."""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.gimp()`
import dataclasses
import math

import fake_studio
import plugins
from fake_studio import LinkError, picture
from gtk_play import TWO, entry, keys, settle

plugins.gimp()
from gimp_scumble.gtk import Gtk
from gimp_scumble.inputs import take_typed
from gimp_scumble.link.fields import CONTROLS, FIELDS
from gimp_scumble.link.settings import Settings
from gimp_scumble.link.studio import PresetChoice
from gimp_scumble.link.topics import Topic

# ------------------------------------------------------------------------------------------------------------- controls


def check_numbers_can_be_typed(play):
    for name, value in (("strength", 83), ("stroke_scale", 237), ("size", 3000)):
        if name == "size":
            play.choose("quality", "custom")
            settle()
        play.studio.asked.clear()
        play.type(name.replace("_", "-"), str(value))
        assert play.changes() == {name: value}
        adjustment = play.find(name.replace("_", "-")).get_adjustment()
        assert (adjustment.get_lower(), adjustment.get_upper()) == CONTROLS[name].limits


def check_keys_type_numbers_and_go_to_the_next_control(play):
    play.window.present()
    settle(0.3)
    play.find("strength").grab_focus()
    settle(0.2)
    keys("ctrl+a", "4", "2", "Tab")
    assert play.studio.settings.strength == 42, play.studio.settings.strength
    keys("ctrl+a", "1", "5", "0", "Return")
    assert play.studio.settings.stroke_scale == 150


def check_a_number_that_is_being_typed_counts_when_the_button_is_pressed(play):
    play.find("strength").grab_focus()
    play.find("strength").set_text("17")
    assert play.studio.settings.strength == 60
    take_typed(play.window)
    assert play.studio.settings.strength == 17
    play.stylise.grab_focus()
    take_typed(play.window)


def check_the_middle_of_the_stroke_scale_is_100(play):
    scale = play.find("stroke-scale")
    places = {}
    for value in (25, 50, 100, 200, 400):
        scale.show_value(value)
        places[value] = scale.get_progress_fraction()
    # as far along as the logarithm: 16 times is the whole way
    for value, place in places.items():
        assert abs(place - math.log(value / 25, 16)) < 0.01, places
    assert play.studio.asked == []
    size = play.find("size")
    size.show_value(512)
    assert abs(size.get_progress_fraction() - 0.5) < 0.01, size.get_progress_fraction()


def check_choices_have_the_words_of_the_design_and_set_their_values(play):
    words = {
        "keep_colors": ["Off", "Luminance", "Match palette"],
        "quality": ["Draft", "Normal", "Fine", "Custom"],
        "area": ["Selection", "Whole layer"],
        "result": ["New layer", "New layer + mask"],
    }
    for name, wanted in words.items():
        combo = play.find(name.replace("_", "-"))
        assert [choice.words for choice in combo.choices] == wanted
        for choice in reversed(combo.choices):
            play.choose(combo.get_name(), choice.value)
            assert getattr(play.studio.settings, name) == choice.value


def check_showing_settings_asks_for_nothing(play):
    other = Settings(TWO[:1], 10, 50, "match", "custom", 700, "80, 50", "layer", 12, "layer", more={"seed": 5})
    play.set(*Topic, settings=other)
    play.panel.more.set_expanded(True)
    settle()
    play.set(*Topic, settings=Settings(styles=TWO))
    play.set(*Topic, settings=other)
    assert play.studio.asked == [], play.studio.asked
    shown = {name: play.find(name).value for name in ("strength", "stroke-scale", "size", "feather")}
    assert shown == {"strength": 10, "stroke-scale": 50, "size": 700, "feather": 12}
    assert play.find("iterations").get_text() == "80, 50"
    assert play.find("quality").chosen.words == "Custom"
    assert play.find("more-seed").get_text() == "5"


def check_custom_opens_size_and_iterations(play):
    assert not play.is_seen("size") and not play.is_seen("iterations")
    play.choose("quality", "custom")
    settle(0.1)
    assert play.is_seen("size") and play.is_seen("iterations")
    play.type("iterations", "80, 50")
    assert play.studio.settings.iterations == "80, 50"


def check_typing_is_not_disturbed_by_a_refresh(play):
    play.window.present()
    play.choose("quality", "custom")
    settle(0.2)
    line = play.find("iterations")
    line.grab_focus()
    settle(0.1)
    for end in range(1, 5):
        line.set_text("80, "[:end])
        line.set_position(-1)
        play.set(*Topic)
    assert line.get_text() == "80, "
    assert line.get_position() == 4
    weight = play.find("style-0-weight")
    weight.grab_focus()
    weight.set_text("")
    row = play.panel.styles.rows[0]
    play.set(*Topic)
    assert weight.get_text() == ""
    assert play.panel.styles.rows[0] is row


def check_feather_is_auto_or_a_number(play):
    feather, auto = play.find("feather"), play.find("feather-auto")
    assert auto.get_active()
    assert feather.get_text() == "Auto"
    play.type("feather", "24")
    assert play.studio.settings.feather == 24
    assert not auto.get_active()
    play.click("feather-auto")
    assert play.studio.settings.feather is None
    assert feather.get_text() == "Auto"
    play.click("feather-auto")
    assert play.studio.settings.feather == 0
    assert feather.get_text() == "0"
    feather.spin(Gtk.SpinType.STEP_BACKWARD, 1)
    assert play.studio.settings.feather is None
    # a field that says Auto and is left says so still
    feather.update()
    assert play.studio.settings.feather is None


def check_the_area_line_says_what_the_studio_knows(play):
    line = play.find("area-line")
    assert plain(line.get_text()) == "Selection 812 × 640 at 300, 120; works at 512 × 404; about 14 s; 2.1 GB"
    assert line.get_text().count(" ") == 3  # the others are none to break the line at
    subject = dataclasses.replace(fake_studio.SUBJECT, note="Colours may shift.")
    play.set(Topic.SUBJECT, subject=subject)
    assert line.get_text().splitlines()[1] == "Colours may shift."
    play.set(Topic.SUBJECT, subject=None, area_line="")
    assert not line.get_visible()


def plain(text):
    """A text with spaces only."""
    return text.replace("\u00a0", " ")


def check_an_indexed_image_is_offered_as_a_copy(play):
    assert not play.is_seen("rgb-copy")
    why = LinkError("indexed-colors", "The picture has a palette of few colours.")
    play.set(Topic.SUBJECT, subject=None, area_line="", why_not=why)
    play.click("rgb-copy")
    assert play.copies == [1]
    assert play.looks
    play.set(Topic.SUBJECT, why_not=LinkError("no-layer", "There is no layer."))
    assert not play.is_seen("rgb-copy")


# -------------------------------------------------------------------------------------------------------------- presets


def check_presets_are_used_saved_renamed_and_deleted(play):
    combo, name = play.find("preset"), play.find("preset-name")
    assert [choice.words for choice in combo.choices] == ["No preset", "My own", "Draft", "Gatys 2016"]
    play.choose("preset", "gatys-2016")
    play.click("preset-save")
    assert name.get_mapped()
    assert name.get_text() == play.studio.settings.title()
    name.set_text("  Evening sky ")
    play.click("preset-ok")
    assert not name.get_mapped()
    assert play.studio.asked == [("use_preset", "gatys-2016"), ("save_preset", "Evening sky")]

    bar = play.panel.presets
    for name_of_none in ("", "draft"):
        play.set(Topic.SETTINGS, settings=Settings(preset=name_of_none))
        assert not entry(bar.entries(), "preset-rename").is_on
        assert not entry(bar.entries(), "preset-delete").is_on
    play.set(Topic.SETTINGS, settings=Settings(preset="My own"))
    assert combo.chosen.words == "My own"
    play.studio.asked.clear()
    assert entry(bar.entries(), "preset-rename").is_on
    entry(bar.entries(), "preset-rename").action()
    assert name.get_text() == "My own"
    name.set_text("Mine")
    name.emit("activate")
    entry(bar.entries(), "preset-delete").action()
    settle()
    assert not name.get_mapped()
    play.click("preset-ok")
    assert play.studio.asked == [("rename_preset", "My own", "Mine"), ("delete_preset", "My own")]
    play.choose("preset", "")
    assert play.changes() == {"preset": ""}


def check_a_name_is_needed_and_a_question_can_be_left(play):
    play.window.present()
    play.click("preset-save")
    play.find("preset-name").set_text("   ")
    assert not play.find("preset-ok").get_sensitive()
    play.click("preset-cancel")
    assert not play.is_seen("preset-name")
    play.click("preset-save")
    settle(0.2)
    keys("Escape")
    assert not play.is_seen("preset-name")
    assert play.window.get_visible()
    assert play.studio.asked == []


def check_the_preset_menu_resets_and_takes_the_layers_settings(play):
    entries = play.panel.presets.entries()
    entry(entries, "reset").action()
    entry(entries, "use-layer-recipe").action()
    assert play.studio.asked == [("reset",), ("use_layer_recipe",)]
    play.studio.has_layer_recipe = False
    assert not entry(play.panel.presets.entries(), "use-layer-recipe").is_on


def check_presets_that_come_later_have_their_thumbnails(play):
    own = PresetChoice("x", "X & Y", "What it does.", True, picture())
    play.set(Topic.PRESETS, presets=(own,), settings=Settings(preset="x"))
    combo = play.find("preset")
    assert combo.chosen.words == "X & Y"
    assert combo.chosen.surface is not None
    assert combo.get_tooltip_text() == "What it does."
    play.set(Topic.SETTINGS, settings=Settings(preset="one that is not there"))
    assert combo.value == ""
    assert play.studio.asked == []


# ----------------------------------------------------------------------------------------------------------------- more


def check_more_has_every_field_and_sets_it_as_the_recipe_takes_it(play):
    play.panel.more.set_expanded(True)
    settle(0.2)
    for field in FIELDS:
        play.find(f"more-{field.name.replace('_', '-')}")
    play.type("more-content-weight", "2,5")
    play.type("more-seed", str(2**63 - 1))
    play.type("more-style-layers", "conv1_1, pool3:0.5")
    play.choose("more-optimizer", "lbfgs")
    play.find("more-chain").clicked()
    assert play.studio.settings.more == {
        "content_weight": 2.5,
        "seed": 2**63 - 1,
        "style_layers": {"conv1_1": 1.0, "pool3": 0.5},
        "optimizer": "lbfgs",
        "chain": True,
    }
    assert play.find("more").get_label() == "<b>More (5 changed)</b>"
    play.find("more-reset").clicked()
    assert play.studio.settings.more == {}
    play.stylise.grab_focus()
    play.set(Topic.SETTINGS)
    assert play.find("more-content-weight").get_text() == ""


def check_more_does_not_take_what_is_wrong_and_says_why(play):
    play.panel.more.set_expanded(True)
    settle(0.2)
    line = play.find("more-start-noise")
    style = line.get_style_context()
    play.type("more-start-noise", "7")
    assert "start_noise" not in play.studio.settings.more
    assert style.has_class("error")
    assert "0" in line.get_tooltip_text()
    play.type("more-start-noise", "0.25")
    assert play.studio.settings.more == {"start_noise": 0.25}
    assert not style.has_class("error")
    play.type("more-start-noise", "0.5")
    # the default is left out
    assert play.studio.settings.more == {}


def check_more_shows_settings_that_come_from_elsewhere(play):
    play.panel.more.set_expanded(True)
    settle(0.2)
    more = {"features": "vgg16", "pooling": "max", "style_layers": "all"}
    play.set(Topic.SETTINGS, settings=Settings(more=more))
    assert play.find("more-features").line.get_text() == "vgg16"
    assert play.find("more-pooling").chosen.words == "Maximum"
    assert play.find("more-style-layers").get_text() == "all"
    assert play.studio.asked == []
