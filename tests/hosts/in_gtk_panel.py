"""What the GIMP dialog's panel is as a whole: names, order, keys, size, life; its words and its file dialogs."""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.gimp()`
import gc
import os
import time
from pathlib import Path

import fake_studio
import plugins
from fake_studio import FakeStudio, LinkError, StyleRow, picture, result, running
from gtk_play import FOLDER, TWO, Play, below, entry, have_theme, settle, wait, words_of

plugins.gimp()
from gimp_scumble import files, look, widget
from gimp_scumble.gtk import Gdk, Gtk
from gimp_scumble.link import text as texts
from gimp_scumble.link.settings import Settings
from gimp_scumble.link.studio import Status
from gimp_scumble.link.tickets import Ticket
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
    play.looks.clear()
    settle(1.3)
    assert not play.looks


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


# --------------------------------------------------------------------------------------------------------- words, files


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


def check_the_next_file_is_looked_for_where_the_last_one_was(play):
    folder = FOLDER / "paintings"
    folder.mkdir()
    play.set(Topic.SETTINGS, settings=Settings(styles=(StyleRow(str(folder / "a.png"), "a"), *TWO)))
    play.panel.styles._from_file()
    (dialog,) = (each for each in Gtk.Window.list_toplevels() if each.get_name() == "choose-pictures")
    wait(lambda: dialog.get_current_folder() == str(folder))
    dialog.response(Gtk.ResponseType.CANCEL)


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
