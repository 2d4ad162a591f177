"""The rows of styles in the GIMP dialog's panel, and where a style comes from."""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.gimp()`
import struct
import threading

import fake_studio
import plugins
from fake_studio import StyleRow, picture
from gtk_play import FOLDER, TWO, entry, keys, press_on, settle, wait, words_of

plugins.gimp()
from gimp_scumble import look
from gimp_scumble.gtk import Gdk
from gimp_scumble.link.settings import Settings
from gimp_scumble.link.topics import Topic


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


def check_a_trained_style_has_a_flash(play):
    assert not play.is_seen("style-1-flash")
    play.set(Topic.TRAINED, models={"library:glass": "glass"})
    assert play.is_seen("style-1-flash") and not play.is_seen("style-0-flash")
    assert play.find("style-1-flash").get_tooltip_text() == "Trained: Draft paints with it in an instant."
    settle(0.3)
    flash = play.find("style-1-flash")
    middle = flash.get_allocated_width() // 2, flash.get_allocated_height() // 2
    red, green, blue = play.pixel("style-1-flash", *middle)
    assert red > green > blue and red - blue > 60, (red, green, blue)
    play.set(Topic.SETTINGS, settings=Settings(styles=TWO[::-1]))
    assert play.is_seen("style-0-flash") and not play.is_seen("style-1-flash")
    play.set(Topic.TRAINED, models={})
    assert not play.is_seen("style-0-flash")


def check_the_menu_of_a_style_trains_and_forgets_it(play):
    row = play.panel.styles.rows[1]
    (train,) = row.entries()
    assert (train.text, train.is_on) == ("Train this style", True)
    train.action()
    assert play.studio.asked == [("train_style", 1)]
    play.set(Topic.TRAINED, models={"library:glass": "glass"})
    entry(row.entries(), "style-1-forget").action()
    assert play.studio.asked[1:] == [("forget_trained", 1)]
    play.set(Topic.TRAINED, learning={"library:glass"})
    assert not entry(row.entries(), "style-1-train").is_on
    assert entry(play.panel.styles.rows[0].entries(), "style-0-train").is_on


def check_the_menu_of_a_style_opens_by_the_mouse(play):
    play.window.present()
    settle(0.4)
    press_on(play.find("style-1-menu"))
    keys("Down", "Return")
    assert play.studio.asked == [("train_style", 1)], play.studio.asked


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


def check_a_picture_that_was_read_too_late_is_not_shown(play):
    due = []
    plain, look.decode_aside = look.decode_aside, lambda read, longest, on_picture: due.append(on_picture)
    try:
        thumbnail = play.find("style-0-thumbnail")
        thumbnail.show_picture(picture(), "a")
        thumbnail.show_picture(picture(), "b")
        one, other = look.decode(picture(30, 20)), look.decode(picture(40, 20))
        due[1](other)
        due[0](one)
        assert thumbnail._picture is other
        thumbnail.show_picture(None, "c")
        due[1](other)
        assert not thumbnail.has_picture
    finally:
        look.decode_aside = plain


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
