"""Runs in a root with GTK: what the GIMP dialog's widgets show of a studio, and what they ask of it.

    python3 in_gimp_widgets.py [name…]

It makes the checks, each of which begins with a panel of its own, and writes down what became of them.
"""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.gimp()`
import dataclasses
import gc
import json
import math
import os
import struct
import sys
import threading
import time
import traceback
from pathlib import Path

import fake_studio
import plugins
from fake_studio import FakeStudio, LinkError, StyleRow, picture, result, running
from gtk_play import (
    FOLDER,
    TWO,
    Play,
    below,
    entry,
    have_theme,
    keys,
    press_on,
    put_pointer_aside,
    settle,
    wait,
    words_of,
)

plugins.gimp()
from gimp_scumble import files, look, status_bar, widget
from gimp_scumble.gtk import Gdk, Gtk
from gimp_scumble.inputs import take_typed
from gimp_scumble.link import text as texts
from gimp_scumble.link.fields import CONTROLS, FIELDS
from gimp_scumble.link.settings import Settings
from gimp_scumble.link.studio import PresetChoice, Status
from gimp_scumble.link.tickets import Stage, Ticket
from gimp_scumble.link.topics import Topic
from gimp_scumble.panel import Panel


def check_every_control_has_a_name_a_tooltip_and_words_for_a_screen_reader(play):
    play.panel.more.set_expanded(True)
    play.set(Topic.SHEET, sheet=fake_studio.sheet())
    kinds = (Gtk.Button, Gtk.Entry, Gtk.ComboBox, Gtk.FlowBox, Gtk.TextView, Gtk.ProgressBar, Gtk.Expander)
    seen = []
    for each in play.all():
        if not isinstance(each, kinds) or each.get_name().startswith(("Gtk", "gtk")) or each is play.window:
            continue
        seen.append(each.get_name())
        if each.get_name() in ("results-section", "preset-ok"):
            continue
        accessible = each.get_accessible()
        assert accessible.get_name(), each.get_name()
        if each.get_name() not in ("results", "library-list"):
            assert each.get_tooltip_text(), each.get_name()
        assert accessible.get_description(), each.get_name()
    assert len(seen) == len(set(seen)), sorted(seen)
    wanted = {"stylise", "stop", "keep", "strength", "style-0-weight", "style-1-region", "status", "more-seed"}
    assert wanted <= set(seen), wanted - set(seen)
    # the field of one that proposes is a widget of its own, which has the focus
    inner = {each for each in below(play.panel) if isinstance(each, Gtk.Entry) and each.get_name() == "GtkEntry"}
    assert [each.get_accessible().get_name() for each in inner] == ["Features"]


def check_it_is_usable_at_any_width_without_scrolling_sideways(play):
    for width in (360, 700):
        play.set(
            *Topic,
            tickets=(running(preview=picture(300, 200)), Ticket(2, "W" * 60)),
            results=tuple(result(n) for n in range(1, 8)),
            error=LinkError("unreachable", f"/home/{'x' * 80}/{'y' * 80} is not there"),
            why_not=LinkError("missing-style", "The file " + "z" * 90 + " is gone."),
            area_line="Selection " + "8" * 70,
            settings=Settings(
                styles=(StyleRow("/" + "n" * 90, "n" * 90, 50, "gone", "r" * 90), *TWO), quality="custom"
            ),
            status=Status("error", "e" * 200),
        )
        play.panel.more.set_expanded(True)
        play.panel.message.details.set_active(True)
        play.window.resize(width, 640)
        settle(0.3)
        assert play.panel.get_preferred_width()[0] <= 340, play.panel.get_preferred_width()
        assert play.window.get_size()[0] == width
        right = play.panel.scroll.get_allocated_width()
        for each in below(play.panel.scroll):
            if each.get_mapped() and not isinstance(each, Gtk.Scrollbar):
                edge = each.translate_coordinates(play.panel.scroll, each.get_allocated_width(), 0)[0]
                assert edge <= right, (width, each.get_name(), edge, right)


def check_it_fits_a_small_screen_with_all_that_can_be_said(play):
    play.set(
        *Topic,
        tickets=(running(preview=picture(300, 300), warnings=("It is slow.",)), Ticket(2, "Second 60")),
        error=LinkError("unreachable", "The daemon does not answer."),
    )
    settle(0.2)
    # what GIMP puts around it, and the title bar, take about 130 px
    high = play.panel.get_preferred_height_for_width(416)[0]
    assert high <= 768 - 130, high
    assert play.panel.scroll.get_allocated_height() >= 140


def check_the_main_controls_stand_in_the_order_of_the_manual(play):
    names = ("preset", "style-0-weight", "strength", "stroke-scale", "keep-colors", "quality", "area", "feather")
    places = [
        play.find(name).translate_coordinates(play.window, 0, 0)[1]
        for name in (*names, "result", "more", "status", "stylise")
    ]
    scrolled = places[:-2]
    assert scrolled == sorted(scrolled)
    assert places[-2] < places[-1]


def check_the_tab_key_goes_through_the_controls_from_top_to_bottom(play):
    play.window.present()
    settle(0.3)
    play.find("preset").grab_focus()
    seen = []
    for _ in range(40):
        focus = play.window.get_focus()
        while focus is not None and focus.get_name().startswith("Gtk"):
            focus = focus.get_parent()
        name = focus.get_name() if focus is not None else ""
        if name in seen[:-1]:
            break
        if not seen or seen[-1] != name:
            seen.append(name)
        play.window.child_focus(Gtk.DirectionType.TAB_FORWARD)
    wanted = ["preset", "preset-save", "preset-menu", "style-0-remove", "style-0-weight", "style-0-region"]
    wanted += ["style-1-weight", "add-style", "strength", "stroke-scale", "keep-colors", "quality", "area", "feather"]
    wanted += ["feather-auto", "result", "more", "status", "variations", "stylise"]
    assert [name for name in seen if name in wanted] == wanted, seen


def check_the_wheel_changes_nothing_until_a_control_has_the_focus(play):
    play.window.present()
    play.stylise.grab_focus()
    names = ("strength", "stroke-scale", "quality", "style-0-weight", "style-0-region", "feather")
    for name in names:
        turn_wheel(play.find(name))
    assert play.studio.asked == [], play.studio.asked
    play.find("strength").grab_focus()
    turn_wheel(play.find("strength"))
    assert play.changes() == {"strength": 61}, play.changes()


def turn_wheel(widget):
    """Turn it once away from the user, over a widget."""
    play_window = widget.get_toplevel().get_window()
    event = Gdk.Event.new(Gdk.EventType.SCROLL)
    event.scroll.window = widget.get_window() or play_window
    event.scroll.send_event = True
    event.scroll.direction = Gdk.ScrollDirection.UP
    event.scroll.time = Gdk.CURRENT_TIME
    event.set_device(Gdk.Display.get_default().get_default_seat().get_pointer())
    widget.event(event)
    settle()


def check_it_listens_no_more_when_it_is_gone(play):
    play.window.destroy()
    settle()
    play.studio.tell(*Topic)
    assert all(not actions for actions in play.studio._listeners._by_topic.values())


def check_what_is_destroyed_may_still_be_called_back(play):
    late = []
    play.studio.thumbnail = lambda source, on_bytes: late.append(on_bytes)
    play.studio.self_test = late.append
    play.set(Topic.SETTINGS, settings=Settings(styles=(StyleRow("library:tides", "Tides"),)))
    play.set(Topic.RUNS, tickets=(running(preview=picture(300, 200)), Ticket(2, "Second 60")))
    play.panel.styles._from_library()
    play.click("status")
    play.click("self-test")
    play.find("queue-1-withdraw").clicked()
    play.find("style-0-remove").clicked()
    play.window.destroy()
    *thumbnails, checks_ = late
    for call in thumbnails:
        call(picture())
    checks_(())
    settle(0.5)
    assert "withdraw" not in play.asked() or play.asked().count("withdraw") == 1
    assert "remove_style" not in play.asked()


def check_a_mistake_in_a_callback_goes_to_the_studio(play):
    def wrong(kind):
        raise RuntimeError(f"that was wrong: {kind}")

    play.studio.open_sheet = wrong
    menu = widget._menu(play.studio, [entry(play.panel.variations.entries(), "variations-weights")])
    menu.get_children()[0].activate()
    menu.destroy()
    assert [str(error) for error in play.studio.reported] == ["that was wrong: weights"]
    play.studio.reported.clear()


def check_it_opens_the_studio_once_and_looks_while_it_is_shown(play):
    settle(2.3)
    assert "open" not in play.asked()  # that was before
    assert 1 <= len(play.looks) <= 3
    play.window.hide()
    settle(0.1)
    play.looks.clear()
    settle(1.3)
    assert not play.looks
    play.window.show()
    settle(1.3)
    assert "open" not in play.asked()
    assert play.looks


def check_it_opens_the_studio(_play):
    studio = FakeStudio()
    window = Gtk.Dialog()
    window.get_content_area().add(Panel(studio, window.add_button("S_tylise", 1), lambda: None))
    assert studio.asked == []
    window.show_all()
    settle(0.2)
    assert [name for name, *_ in studio.asked].count("open") == 1
    window.destroy()


def check_nothing_grows_when_it_is_refreshed_a_thousand_times(play):
    play.set(*Topic, tickets=(running(preview=picture(60, 40)), Ticket(2, "Second 60")), results=(result(2), result(1)))
    play.panel.more.set_expanded(True)

    def refresh(times):
        for number in range(times):
            play.studio.tell(*Topic)
            if not number % 50:
                settle()
        settle(0.2)
        gc.collect()
        return len(gc.get_objects()), len(play.all()), resident_mb()

    refresh(200)
    before = refresh(20)
    after = refresh(1000)
    assert after[1] == before[1]
    assert after[0] - before[0] < 200, (before, after)
    assert after[2] - before[2] < 4, (before, after)


def check_nothing_is_left_of_rows_that_come_and_go(play):
    two, one = Settings(styles=TWO), Settings(styles=TWO[:1])

    def go(times):
        for _ in range(times):
            play.studio.set(Topic.SETTINGS, settings=one)
            play.studio.set(Topic.SETTINGS, settings=two)
            play.studio.set(Topic.RUNS, tickets=(running(), Ticket(2, "Second 60")))
            play.studio.set(Topic.RUNS, tickets=())
            settle()
        settle(0.3)
        gc.collect()
        return sum(isinstance(each, Gtk.Widget) for each in gc.get_objects())

    go(5)
    before = go(1)
    assert go(60) - before < 20


def resident_mb():
    """The memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


# ----------------------------------------------------------------------------------------------------------- controls


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


# ------------------------------------------------------------------------------------------------------------- styles


def check_a_row_shows_its_style_and_changes_it(play):
    assert words_of(play.find("style-1-name")) == "Stained glass"
    assert play.find("style-1-weight").value == 60
    region = play.find("style-1-region")
    assert region.chosen.words == "Sky"
    assert [choice.words for choice in region.choices][:3] == ["Whole selection", "Sky", "Face"]
    play.type("style-1-weight", "35")
    play.choose("style-1-region", "layer-2")
    row = play.studio.settings.styles[1]
    assert (row.weight, row.region) == (35, "layer-2")
    assert row.region_name == "Trees in the far background of the picture"
    assert play.studio.settings.styles[0] == TWO[0]


def check_a_region_that_is_gone_is_still_named(play):
    play.set(Topic.SUBJECT, regions=())
    assert play.find("style-1-region").chosen.words == "Sky (gone)"
    assert play.studio.asked == []


def check_the_cross_takes_a_style_away(play):
    play.click("style-0-remove")
    assert [row.name for row in play.studio.settings.styles] == ["Stained glass"]
    assert words_of(play.find("style-0-name")) == "Stained glass"
    assert len(play.panel.styles.rows) == 1
    play.click("style-0-remove")
    assert play.is_seen("no-style")


def check_there_are_four_styles_at_most(play):
    play.set(Topic.SETTINGS, settings=Settings(styles=TWO * 2))
    assert not play.find("add-style").get_sensitive()
    play.set(Topic.SETTINGS, settings=Settings(styles=TWO))
    assert play.find("add-style").get_sensitive()


def check_a_missing_file_has_a_red_border_until_it_is_back(play):
    path = FOLDER / "style.png"
    path.unlink(missing_ok=True)
    play.set(Topic.SETTINGS, settings=Settings(styles=(StyleRow(str(path), "style"),)))

    def redness():
        red, green, blue = play.pixel("style-0-thumbnail", 1, 20)
        return red - max(green, blue)

    assert redness() > 80
    assert str(path) in play.find("style-0-thumbnail").get_tooltip_text()
    path.write_bytes(picture())
    play.studio.pictures[str(path)] = picture()
    play.panel.look()
    wait(lambda: play.find("style-0-thumbnail").has_picture)
    assert redness() < 40
    assert "is not there" not in play.find("style-0-thumbnail").get_tooltip_text()


def check_a_thumbnail_that_comes_late_goes_to_the_style_that_it_belongs_to(play):
    asked = []
    play.studio.thumbnail = lambda source, on_bytes: asked.append((source, on_bytes))
    play.set(Topic.SETTINGS, settings=Settings(styles=(StyleRow("library:a", "A"),)))
    play.set(Topic.SETTINGS, settings=Settings(styles=(StyleRow("library:b", "B"),)))
    thumbnail = play.find("style-0-thumbnail")
    assert [source for source, _ in asked] == ["library:a", "library:b"]
    asked[0][1](picture())
    settle(0.4)
    assert not thumbnail.has_picture
    asked[1][1](picture())
    wait(lambda: thumbnail.has_picture)


def check_pictures_are_read_on_another_thread(play):
    threads = []
    plain = look.decode
    look.decode = lambda *given: threads.append(threading.current_thread()) or plain(*given)
    try:
        thumbnail = play.find("style-0-thumbnail")
        thumbnail.show_picture(picture(), "x")
        assert not thumbnail.has_picture
        wait(lambda: thumbnail.has_picture)
    finally:
        look.decode = plain
    assert threads and threads[0] is not threading.main_thread()


def check_styles_are_added_from_everywhere(play):
    entries = play.panel.styles.entries()
    words = ["From file…", "From layer", "From clipboard", "From library…"]
    assert [each.text for each in entries] == words
    entry(entries, "add-from-clipboard").action()
    layers = entry(entries, "add-from-layer").entries
    assert [each.text for each in layers] == ["Background – Lake.kra", "Sketch & ink – Other.kra"]
    layers[1].action()
    play.panel.styles._add_files(["/a.png", "/b.png"])
    files = [("add_style_file", "/a.png"), ("add_style_file", "/b.png")]
    assert play.studio.asked == [("add_style_clipboard",), ("add_style_layer", "layer-9"), *files]


def check_a_menu_opens_by_the_mouse_and_by_keys(play):
    play.window.present()
    settle(0.4)
    press_on(play.find("add-style"))
    keys("Down", "Down", "Down", "Return")
    assert play.studio.asked == [("add_style_clipboard",)], play.studio.asked
    play.studio.asked.clear()
    play.find("preset-menu").grab_focus()
    keys("space")
    keys("Up", "Return")
    assert play.studio.asked == [("reset",)], play.studio.asked


def check_the_library_is_searched_by_name_and_tag(play):
    play.panel.styles._from_library()
    popup = play.panel.styles.library
    settle(0.4)
    assert len(popup.found) == 5
    wait(lambda: all(each.get_child().get_children()[0].has_picture for each in popup.grid.get_children()))
    popup.search.set_text("blue")
    settle(0.3)
    assert [style.name for style in popup.found] == ["Swirling night", "Tides"]
    popup.search.set_text("OIL night")
    settle(0.3)
    assert [style.name for style in popup.found] == ["Swirling night"]
    assert [each.get_accessible().get_name() for each in popup.grid.get_children() if each.get_mapped()] == [
        "Swirling night"
    ]
    popup.search.emit("activate")
    settle(0.6)
    assert play.studio.asked == [("add_style_library", fake_studio.LIBRARY[0])]
    assert not play.has("library-popup")


def check_an_empty_library_says_why(play):
    play.set(Topic.LIBRARY, library=())
    play.panel.styles._from_library()
    popup = play.panel.styles.library
    assert "does not run" in popup._nothing.get_text()
    assert popup._nothing.get_visible()
    play.set(Topic.LIBRARY, library=fake_studio.LIBRARY)
    assert len(popup.found) == 5
    popup.search.set_text("zzz")
    settle(0.3)
    assert popup._nothing.get_text() == "No style is called so."
    popup.popdown()
    settle(0.5)


class Dropped:
    """What GTK gives for something that was dropped."""

    def __init__(self, uris=(), pixbuf=None):
        self.uris, self.pixbuf = uris, pixbuf

    def get_uris(self):
        return list(self.uris)

    def get_pixbuf(self):
        return self.pixbuf


def check_files_and_pictures_are_dropped_on_the_panel(play):
    path = FOLDER / "a picture.png"
    path.write_bytes(picture())
    play.panel._take(Dropped([path.as_uri(), "https://example.org/b.png", "file:///nowhere.png"]))
    assert play.studio.asked == [("add_style_file", str(path))]
    play.studio.asked.clear()
    play.panel._take(Dropped(pixbuf=look.decode(picture(20, 10))))
    (what, png, name), *_ = play.studio.asked
    assert (what, name) == ("add_style_picture", "Dropped picture")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (20, 10)
    play.studio.asked.clear()
    play.panel._take(Dropped())
    assert play.studio.asked == []
    targets = [atom.name() for atom in play.panel.drag_dest_get_target_list() and atoms(play.panel)]
    assert "text/uri-list" in targets and "image/png" in targets, targets


def atoms(panel):
    """What the panel takes when it is dropped."""
    wanted = ("text/uri-list", "image/png")
    targets = panel.drag_dest_get_target_list()
    return [Gdk.Atom.intern(name, False) for name in wanted if targets.find(Gdk.Atom.intern(name, False))[0]]


# ---------------------------------------------------------------------------------------------------------------- run


def check_the_button_says_why_it_is_off(play):
    assert play.stylise.get_sensitive()
    why = LinkError("missing-style", "The picture of the style gone is not there.", "Choose it anew.")
    play.set(Topic.SETTINGS, why_not=why)
    assert not play.stylise.get_sensitive()
    assert not play.find("variations").is_sensitive()
    assert words_of(play.find("why-not")) == "The picture of the style gone is not there. Choose it anew."
    assert play.is_seen("why-not")
    assert play.stylise.get_tooltip_text() == why.text
    play.set(Topic.SUBJECT, why_not=None)
    assert play.stylise.get_sensitive()
    assert not play.is_seen("why-not")


def check_a_run_shows_progress_with_the_time_left_and_a_picture(play):
    assert not play.is_seen("progress")
    play.set(Topic.RUNS, tickets=(running(share=0.45, preview=picture(400, 100)),))
    bar, preview = play.find("progress"), play.find("preview")
    assert bar.get_mapped()
    assert abs(bar.get_fraction() - 0.45) < 0.002
    assert bar.get_text() == "45 %"
    assert "12 s" in words_of(play.find("progress-line"))
    wait(preview.get_mapped)
    settle(0.2)
    # as wide as the panel lets it, in its own proportions
    assert abs(preview.get_allocated_height() - preview.get_allocated_width() / 4) <= 1
    play.set(Topic.RUNS, tickets=(running(share=0.5, preview=picture(100, 2000)),))
    play.studio.tickets[0].preview_number = 2
    play.set(Topic.RUNS)
    wait(lambda: preview.get_allocated_height() == 190)
    play.set(Topic.RUNS, tickets=())
    assert not bar.get_mapped()
    assert play.stylise.get_label() == "S_tylise"


def check_no_button_moves_when_a_run_begins(play):
    play.set(Topic.RUNS, tickets=())
    width, before = play.window.get_size()[0], play.stylise.get_allocation().x
    play.set(Topic.RUNS, tickets=(running(), Ticket(2, "Second 60")))
    settle(0.3)
    assert play.stylise.get_label() == "S_tylise (queue)"
    assert play.window.get_size()[0] == width
    assert play.stylise.get_allocation().x == before


def check_before_the_daemon_paints_the_bar_only_says_that_something_goes_on(play):
    play.set(Topic.RUNS, tickets=(Ticket(1, "Tides 60", stage=Stage.STARTING),))
    progress = play.panel.run_bar.progress
    assert progress._pulse
    assert not progress.bar.get_text()
    assert "Starting…" in words_of(play.find("progress-line"))
    assert play.find("stop").get_sensitive()
    assert not play.find("keep").get_sensitive()
    play.set(Topic.RUNS, tickets=(running(),))
    assert not progress._pulse


def check_stop_and_stop_and_keep(play):
    ticket = running()
    play.set(Topic.RUNS, tickets=(ticket,))
    play.click("stop")
    play.click("keep")
    assert play.studio.asked == [("stop", ticket, False), ("stop", ticket, True)]
    ticket.is_stopping = True
    play.set(Topic.RUNS)
    assert not play.find("stop").get_sensitive()
    assert not play.find("keep").get_sensitive()


def check_more_clicks_queue_up_and_are_taken_back_one_by_one(play):
    tickets = (running(1), Ticket(2, "Second 60"), Ticket(3, "Third 60"))
    play.set(Topic.RUNS, tickets=tickets)
    assert play.stylise.get_accessible().get_name() == "Stylise (queue)"
    play.click("queue-2-withdraw")
    assert play.studio.asked == [("withdraw", tickets[2])]
    play.set(Topic.RUNS, tickets=tickets[:2])
    assert not play.has("queue-2-withdraw")
    play.click("queue-1-withdraw")
    assert play.studio.asked[1:] == [("withdraw", tickets[1])]


def check_warnings_stand_under_the_progress(play):
    play.set(Topic.RUNS, tickets=(running(warnings=("Out of memory; the size is 384.",)),))
    assert "Out of memory; the size is 384." in words_of(play.find("warnings"))
    assert play.is_seen("warnings")


# --------------------------------------------------------------------------------------------------- message, status


def check_an_error_stands_in_the_panel_with_its_fix_and_details(play):
    assert not play.is_seen("message")
    error = LinkError("out-of-memory", "The device has 2 GB, 3 are needed.", "Choose a smaller size.")
    play.set(Topic.ERROR, error=error)
    assert words_of(play.find("message-sentence")) == "The device has 2 GB, 3 are needed."
    assert words_of(play.find("message-fix")) == "Choose a smaller size."
    assert play.find("message").get_accessible().get_name() == error.detail
    assert not play.is_seen("message-report")
    play.click("message-details")
    assert play.is_seen("message-report")
    buffer = play.find("message-report").get_buffer()
    assert "out-of-memory" in buffer.get_text(*buffer.get_bounds(), False)
    play.click("message-copy")
    assert Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text() == error.report
    red, green, blue = play.pixel("message", 1, 10)
    assert red > 1.5 * max(green, blue)
    play.click("message-dismiss")
    assert play.studio.asked == [("dismiss",)]
    play.set(Topic.ERROR, error=None)
    assert not play.is_seen("message")


def check_a_notice_has_no_details(play):
    play.set(Topic.ERROR, notice="The source layer is gone; the result is on top.")
    assert play.is_seen("message")
    assert not play.is_seen("message-details")
    assert not play.is_seen("message-copy")


def check_a_path_in_an_error_may_be_broken_but_is_copied_as_it_is(play):
    path = "/home/marie/<b>" + "long" * 30 + "/file&.json"
    play.set(Topic.ERROR, error=LinkError("missing-file", path))
    shown = words_of(play.find("message-sentence"))
    assert "\u200b" in shown
    assert shown.replace("\u200b", "") == path
    play.find("message-copy").clicked()
    assert Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text() == play.studio.error.report


def check_the_dot_says_how_the_daemon_stands(play):
    seen = {}
    for theme in ("dark", "light"):
        have_theme(theme)
        for name in ("starting", "ready", "running", "error", "down"):
            play.set(Topic.STATUS, status=Status(name, f"It is {name}"))
            seen[name] = play.pixel("status-dot", 5, 5)
            assert name in play.find("status").get_accessible().get_name()
        red, green = seen["error"], seen["ready"]
        assert red[0] > 1.5 * max(red[1:]), red
        assert green[1] > 1.5 * max(green[0], green[2]), green
        assert len(set(seen.values())) == 5
    have_theme("dark")


def check_a_click_on_the_status_opens_what_is_known(play):
    opened = []
    status_bar.open_path = opened.append
    play.click("status")
    settle(0.4)
    assert play.is_seen("status-popup")
    shown = {name: words_of(play.find(f"status-{name}")) for name in ("version", "device", "memory", "features")}
    assert shown == {
        "version": "0.1.0",
        "device": "AMD Ryzen 7, 8 cores",
        "memory": "9.6 GB free",
        "features": "embedded",
    }
    play.studio.checks = (Check("found", True, "it is there"), Check("paint", False, "it is not"))
    play.click("self-test")
    assert words_of(play.find("self-test-result")).splitlines() == ["✓ found: it is there", "✕ paint: it is not"]
    play.studio.self_test = lambda on_checks: None
    play.click("self-test")
    assert words_of(play.find("self-test-result")) == "Testing…"
    play.set(Topic.ERROR, error=LinkError("no-daemon", "It does not run.", "Start it."))
    assert words_of(play.find("self-test-result")) == "It does not run. Start it."
    play.click("diagnostics-copy")
    assert Gtk.Clipboard.get(Gdk.SELECTION_CLIPBOARD).wait_for_text() == play.studio.diagnostics()
    play.click("log-open")
    assert opened == [play.studio.log_folder()]
    play.click("daemon-restart")
    assert play.studio.asked[-1] == ("restart_daemon",)
    play.set(Topic.STATUS, health=None)
    play.click("daemon-restart")
    assert play.studio.asked[-1] == ("start_daemon",)


@dataclasses.dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    text: str


# ----------------------------------------------------------------------------------------------------------- results


def check_the_results_are_shown_newest_first_and_the_newest_is_chosen(play):
    assert not play.is_seen("results-section")
    play.set(Topic.RESULTS, results=(result(1),))
    assert play.panel.results.chosen.number == 1
    play.set(Topic.RESULTS, results=(result(2), result(1)))
    assert play.panel.results.chosen.number == 2
    play.panel.results.choose(1)
    play.set(Topic.RESULTS, results=(result(3), result(2), result(1)))
    assert play.panel.results.chosen.number == 1
    play.set(Topic.RESULTS, results=(result(3), result(2)))
    assert play.panel.results.chosen.number == 2
    assert play.find("results-section").get_label() == "<b>Results (2)</b>"


def check_a_result_can_be_used_in_six_ways(play):
    one = result(1)
    play.set(Topic.RESULTS, results=(result(2), one))
    play.panel.results.choose(1)
    for name in ("toggle", "add-again", "use-settings", "go-on"):
        play.find(f"result-{name}").clicked()
    play.find("result-save").clicked()
    (dialog,) = [each for each in Gtk.Window.list_toplevels() if each.get_name() == "save-png"]
    assert dialog.get_current_name() == "Swirling night 60.png"
    assert not dialog.get_modal()
    dialog.set_current_folder(str(FOLDER))
    settle(0.5)
    dialog.set_current_name("kept")
    dialog.response(Gtk.ResponseType.ACCEPT)
    wait(lambda: "save" in play.asked())
    play.find("result-discard").clicked()
    assert play.studio.asked == [
        ("toggle", one),
        ("add_again", one),
        ("use_settings", one),
        ("go_on", one),
        ("save", one, str(FOLDER / "kept.png")),
        ("discard", one),
    ]
    words = ["Show/hide", "Add again", "Use these settings", "Go on", "Save as PNG…", "Discard"]
    assert [each.text for each in play.panel.results.entries()] == words


def check_results_are_reached_with_the_keyboard_and_a_context_menu(play):
    one = result(1)
    play.set(Topic.RESULTS, results=(one,))
    play.window.present()
    scroll = play.panel.scroll.get_vadjustment()
    scroll.set_value(scroll.get_upper())
    settle(0.3)
    play.find("results").get_child_at_index(0).grab_focus()
    settle(0.2)
    keys("Return", "Delete")
    assert play.studio.asked == [("toggle", one), ("discard", one)], play.studio.asked
    play.studio.asked.clear()
    press_on(play.find("results").get_child_at_index(0), 3)
    keys("Down", "Down", "Return")
    assert play.studio.asked == [("add_again", one)], play.studio.asked


def check_a_hidden_result_is_dimmed_and_one_whose_layer_is_gone_cannot_be_shown(play):
    play.studio.visible = {1: True}
    play.set(Topic.RESULTS, results=(result(1, thumbnail=picture(64, 64, (255, 0, 0))),))
    scroll = play.panel.scroll.get_vadjustment()
    settle(0.2)
    scroll.set_value(scroll.get_upper())
    tile = play.find("results").get_child_at_index(0)
    wait(lambda: tile.has_picture)
    tile.get_child().set_name("tile")

    def redness():
        red, green, _ = play.pixel("tile", 20, 32)
        return red - green

    assert redness() > 200
    play.studio.visible = {1: False}
    play.set(Topic.RESULTS)
    assert 30 < redness() < 150
    assert play.find("result-toggle").get_sensitive()
    play.studio.visible = {1: None}
    play.panel.results.look()
    assert not play.find("result-toggle").get_sensitive()
    assert "gone" in words_of(play.find("result-about"))


def check_a_thumbnail_that_comes_later_is_shown(play):
    play.set(Topic.RESULTS, results=(result(1, thumbnail=b""),))
    grid = play.find("results")
    settle(0.2)
    assert not grid.get_child_at_index(0).has_picture
    play.set(Topic.RESULTS, results=(result(1),))
    wait(lambda: grid.get_child_at_index(0).has_picture)


# ----------------------------------------------------------------------------------------------------------- presets


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


# -------------------------------------------------------------------------------------------------------------- more


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


# ------------------------------------------------------------------------------------------------------------- sheet


def check_one_click_makes_a_sheet_and_a_click_in_it_takes_the_settings(play):
    play.click("variations")
    assert play.studio.asked == [("open_sheet", "strength")]
    view = fake_studio.sheet()
    play.set(Topic.SHEET, sheet=view)
    window = play.panel.sheets.window
    settle(0.2)
    assert window.get_visible()
    assert not window.get_modal()
    assert play.find("cell-0-0").has_picture
    assert play.find("cell-1-2").words == "Painting…"
    assert play.find("cell-1-2").get_accessible().get_name().endswith("Painting…")
    play.click("cell-1-0")
    assert play.studio.asked[-1] == ("pick", view.cells[1][0])
    play.set(Topic.SETTINGS, settings=view.cells[1][0].settings)
    checked = [button.get_name() for row in window.buttons for button in row if button.get_active()]
    assert checked == ["cell-1-0"]
    play.click("cell-1-0")
    assert play.find("cell-1-0").get_active()
    play.set(Topic.SHEET, sheet=fake_studio.sheet(done=9))
    assert play.panel.sheets.window is window
    assert play.find("cell-2-2").has_picture
    window.close()
    settle(0.2)
    assert play.studio.asked[-1] == ("close_sheet",)
    assert play.panel.sheets.window is None


def check_a_sheet_that_the_studio_ends_is_closed_without_asking(play):
    play.set(Topic.SHEET, sheet=fake_studio.sheet())
    play.set(Topic.SHEET, sheet=None)
    assert play.studio.asked == []
    assert play.panel.sheets.window is None
    play.set(Topic.SHEET, sheet=fake_studio.sheet())
    play.window.destroy()
    settle()
    assert play.panel.sheets.window is None
    assert not [each for each in Gtk.Window.list_toplevels() if each.get_name() == "sheet"]


def check_weights_need_two_styles(play):
    weights = entry(play.panel.variations.entries(), "variations-weights")
    assert weights.is_on
    weights.action()
    assert play.studio.asked == [("open_sheet", "weights")]
    play.set(Topic.SETTINGS, settings=Settings())
    assert not entry(play.panel.variations.entries(), "variations-weights").is_on


# ------------------------------------------------------------------------------------------------------- words, files


def check_it_speaks_german(_play):
    texts.use("de_DE.UTF-8")
    try:
        play = Play()
        play.set(Topic.RUNS, tickets=(running(),))
        assert words_of(play.find("stop")) == "Anhalten"
        assert play.find("strength").get_accessible().get_name() != "Strength"
        settle(0.2)
        assert play.panel.get_preferred_width()[0] <= 416
        play.close()
    finally:
        texts.use("en")


def check_pictures_are_read_at_the_size_that_is_needed(_play):
    assert look.decode(picture(400, 100), 100).get_width() == 100
    assert look.decode(picture(400, 100), 1000).get_width() == 400
    assert look.decode(b"no picture") is None
    look.decode(picture()[:60])  # may be a part, or nothing
    assert look.decode(None) is None
    for width, height, fill, wanted in (
        (400, 100, False, (96, 24)),
        (400, 100, True, (96, 96)),
        (2, 1, True, (96, 96)),
    ):
        surface = look.fitted(look.decode(picture(width, height)), 48, 48, 2, fill=fill)
        assert (surface.get_width(), surface.get_height()) == wanted


def check_a_file_is_chosen_with_a_picture_of_it(play):
    path = FOLDER / "to choose.png"
    path.write_bytes(picture(300, 200))
    got = []
    started = time.monotonic()
    dialog = files.choose_pictures(play.panel, play.studio, got.append)
    assert time.monotonic() - started < 5
    assert not dialog.get_modal()
    assert dialog.get_transient_for() is play.window
    dialog.select_filename(str(path))
    settle(0.5)
    wait(dialog.get_preview_widget_active)
    dialog.response(Gtk.ResponseType.ACCEPT)
    wait(lambda: got)
    assert got == [[str(path)]]
    files.choose_pictures(play.panel, play.studio, got.append).response(Gtk.ResponseType.CANCEL)
    assert len(got) == 1


def check_a_theme_changed_while_it_is_shown_is_followed(play):
    light = play.pixel("scumble-panel", 2, 2)
    have_theme("light")
    try:
        settle(0.3)
        other = play.pixel("scumble-panel", 2, 2)
        assert sum(other) > sum(light) + 200
        window, text = look.ground(play.panel.message)
        assert sum(window) > sum(text)
    finally:
        have_theme("dark")
    window, text = look.ground(play.panel.message)
    assert sum(window) < sum(text)


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]


def checks(names):
    """Make them all, or those that are named; write down what became of them."""
    have_theme("dark")
    put_pointer_aside()
    said = {}
    for check in CHECKS:
        name = check.__name__[len("check_") :]
        if names and name not in names:
            continue
        print(f"== {name}", file=sys.stderr, flush=True)
        play = Play()
        try:
            check(play)
            play.close()
            said[name] = ""
        except Exception:
            said[name] = traceback.format_exc()
            play.window.destroy()
            settle()
        (FOLDER / "results.json").write_text(json.dumps({"checks": said, "version": gtk_version()}))


def gtk_version():
    """Which GTK it is."""
    return f"{Gtk.get_major_version()}.{Gtk.get_minor_version()}.{Gtk.get_micro_version()}"


if __name__ == "__main__":
    checks(sys.argv[1:])
