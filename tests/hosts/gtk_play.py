"""The GIMP dialog's panel as a test plays with it: in a dialog of GTK's, with a studio that is not one."""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.gimp()`
import os
import subprocess
import time
from pathlib import Path

import plugins
from fake_studio import FakeStudio, StyleRow

plugins.gimp()
from gimp_scumble.gtk import Gdk, Gtk
from gimp_scumble.link.settings import Settings
from gimp_scumble.panel import Panel

FOLDER = Path(os.environ["SCUMBLE_TEST"])
GIMP = Path("/usr/share/gimp/3.0")
TWO = (StyleRow("library:night", "Swirling night"), StyleRow("library:glass", "Stained glass", 60, "mask-1", "Sky"))
PATIENCE_S = 10


def have_theme(name):
    """Look as GIMP's plug-ins do: its theme over GTK's, its icons."""
    settings, screen = Gtk.Settings.get_default(), Gdk.Screen.get_default()
    if THEMES:
        Gtk.StyleContext.remove_provider_for_screen(screen, THEMES.pop())
    settings.set_property("gtk-application-prefer-dark-theme", name != "light")
    provider = Gtk.CssProvider()
    provider.load_from_path(str(GIMP / "themes" / "Default" / f"gimp-{name}.css"))
    Gtk.StyleContext.add_provider_for_screen(screen, provider, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
    THEMES.append(provider)
    icons = Gtk.IconTheme.get_default()
    if str(GIMP / "icons") not in icons.get_search_path():
        icons.prepend_search_path(str(GIMP / "icons"))
    settings.set_property("gtk-icon-theme-name", "Default")


THEMES = []


def settle(seconds=0.0, until=lambda: False):
    """Let GTK do what is due, for that long at least, until something is so."""
    end = time.monotonic() + seconds
    while True:
        while Gtk.events_pending():
            Gtk.main_iteration()
        if until() or time.monotonic() >= end:
            return
        time.sleep(0.005)


def wait(condition):
    """Let GTK go on until that is so."""
    settle(PATIENCE_S, condition)
    assert condition(), "it was waited for in vain"


class Play:
    """A panel in a dialog, with a studio that is not one; `find` knows its widgets by their names."""

    def __init__(self, width=440, height=640, **state):
        self.studio = FakeStudio(**{"settings": Settings(styles=TWO), **state})
        self.window = Gtk.Dialog(title="Scumble")
        self.window.set_default_size(width, height)
        self.stylise = self.window.add_button("S_tylise", Gtk.ResponseType.OK)
        self.copies, self.looks = [], []
        self.studio.look = lambda: self.looks.append(1)
        self.panel = Panel(self.studio, self.stylise, lambda: self.copies.append(1))
        self.panel.set_border_width(12)
        self.window.get_content_area().pack_start(self.panel, True, True, 0)
        self.window.show_all()
        settle(0.05)
        self.studio.asked.clear()

    def close(self):
        """Take it away; a mistake in a callback, which was told to the studio, is raised."""
        self.window.destroy()
        settle()
        for error in self.studio.reported:
            raise error

    def all(self):
        """All widgets, those of popovers and of a sheet included."""
        sheet = self.panel.sheets.window
        return [each for top in (self.window, *([sheet] if sheet else [])) for each in below(top)]

    def has(self, name):
        """Whether there is a widget of that name."""
        return any(each.get_name() == name for each in self.all())

    def find(self, name):
        """The widget of that name."""
        found = [each for each in self.all() if each.get_name() == name]
        assert len(found) == 1, (name, found)
        return found[0]

    def is_seen(self, name):
        """Whether it is on the screen, or would be if one scrolled there."""
        return self.find(name).get_mapped()

    def click(self, name):
        """As with the mouse."""
        button = self.find(name)
        assert button.is_sensitive() and button.get_mapped(), name
        button.clicked()
        settle()

    def type(self, name, text):
        """Type into a field and leave it."""
        field = self.find(name)
        line = field.line if hasattr(field, "line") else field
        line.grab_focus()
        line.set_text(text)
        if isinstance(field, Gtk.SpinButton):
            field.update()
        settle()

    def choose(self, name, value):
        """Choose as a user does."""
        combo = self.find(name)
        combo.set_active([choice and choice.value for choice in combo._choices].index(value))

    def changes(self):
        """What was asked to be changed, name by name: the last value of each."""
        found = {}
        for what, *values in self.studio.asked:
            if what == "change":
                found.update(values[0])
        return found

    def asked(self):
        """The names of all that was asked."""
        return [name for name, *_ in self.studio.asked]

    def set(self, *topics, **state):
        """Have the studio be otherwise, and tell it."""
        self.studio.set(*topics, **state)
        settle()

    def pixel(self, name, x, y):
        """The colour of a widget at a place of its, as it is on the screen."""
        settle(0.1)
        widget = self.find(name)
        left, top = widget.translate_coordinates(self.window, 0, 0)
        seen = Gdk.pixbuf_get_from_window(self.window.get_window(), left + x, top + y, 1, 1)
        return tuple(seen.get_pixels()[:3])


def below(widget):
    """A widget and all that is in it, what GTK keeps to itself and popovers included."""
    found = [widget]
    if isinstance(widget, Gtk.Container):
        inside = []
        widget.forall(inside.append)
        for each in inside:
            found += below(each)
    return found


def words_of(widget):
    """The text of a label or a button."""
    return widget.get_text() if isinstance(widget, Gtk.Label) else widget.get_label()


def entry(entries, name):
    """An entry of a menu."""
    return next(each for each in entries if each is not None and each.name == name)


def keys(*names):
    """Press keys, as a user does."""
    subprocess.run(["xdotool", "key", "--clearmodifiers", *names], check=True)
    settle(0.15)


def press_on(widget, button=1):
    """Press the mouse on a widget, as a user does."""
    window = widget.get_toplevel().get_window()
    _, left, top = window.get_origin()
    box = widget.get_allocation()
    x, y = widget.translate_coordinates(widget.get_toplevel(), box.width // 2, box.height // 2)
    subprocess.run(["xdotool", "mousemove", str(left + x), str(top + y), "click", str(button)], check=True)
    settle(0.3)
    put_pointer_aside()


def put_pointer_aside():
    """Where it points at nothing."""
    screen = Gdk.Screen.get_default()
    subprocess.run(["xdotool", "mousemove", str(screen.get_width() - 1), str(screen.get_height() - 1)], check=True)
    settle(0.1)
