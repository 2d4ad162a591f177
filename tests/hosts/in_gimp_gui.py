"""Runs inside GIMP, in two of its processes, and does what `gimp_screen.Stage` asks for, over sockets in $SCUMBLE_TEST.

GIMP's own batch interpreter runs `serve_gimp`, which answers for what there is in GIMP. As `sitecustomize` it is also
imported by the plug-in's process when that is run: there it answers for the dialog, on its main loop, between all
that the plug-in does. A question is a line of JSON, [function, arguments…]; so is the answer, [value] or [null, text].
"""

import gc
import json
import os
import select
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

FOLDER = Path(os.environ["SCUMBLE_TEST"])


def answered(functions, line):
    """The answer to a question."""
    try:
        name, *words = json.loads(line)
        return [getattr(functions, name)(*words)]
    except Exception:
        return [None, traceback.format_exc()]


def listening(name):
    """A socket of that name in the folder `sockets`."""
    path = FOLDER / "sockets" / name
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


class Clock:
    """How long nothing else could happen; each gap with what was going on at its end."""

    def __init__(self, least_s, what):
        self.least_s, self.what = least_s, what
        self.gaps = []
        self.last = time.monotonic()

    def beat(self):
        now = time.monotonic()
        if now - self.last > self.least_s:
            self.gaps.append((round(now - self.last, 3), self.what()))
            now = time.monotonic()
        self.last = now
        return True

    def read(self):
        """The longest ones since the last reading."""
        gaps, self.gaps = sorted(self.gaps, reverse=True)[:5], []
        return gaps


# --------------------------------------------------------------------------------------------------------------- GIMP


class Gallery:
    """What there is in GIMP."""

    def __init__(self):
        import gi

        gi.require_version("Gimp", "3.0")
        gi.require_version("Gegl", "0.4")
        from gi.repository import Gegl, Gimp, Gio

        Gegl.init(None)
        self.gimp, self.gegl, self.gio = Gimp, Gegl, Gio
        self.waits = []

    # ------------------------------------------------------------------------------------------------------- images

    def version(self):
        return self.gimp.version()

    def open(self, path):
        """Open a picture in a window; its number."""
        image = self.gimp.file_load(self.gimp.RunMode.NONINTERACTIVE, self.gio.File.new_for_path(path))
        self.gimp.Display.new(image)
        self.gimp.displays_flush()
        image.clean_all()
        return image.get_id()

    def images(self):
        return [each.get_id() for each in self.gimp.get_images()]

    def close_all(self):
        """Close all windows with their images, by whomever they were opened."""
        for image in self.gimp.get_images():
            image.clean_all()
        for number in range(1, self.newest_display() + 1):
            if self.gimp.Display.id_is_valid(number):
                self.gimp.Display.get_by_id(number).delete()

    def newest_display(self):
        """The highest number of a display until now: there is no list of them."""
        image = self.gimp.Image.new(1, 1, self.gimp.ImageBaseType.RGB)
        display = self.gimp.Display.new(image)
        number = display.get_id()
        display.delete()
        return number

    def clean(self, number):
        """As if it had just been saved."""
        self.image(number).clean_all()

    def image(self, number):
        return self.gimp.Image.get_by_id(number)

    def save(self, number, path):
        """Save as GIMP's own file."""
        image = self.image(number)
        return self.gimp.file_save(self.gimp.RunMode.NONINTERACTIVE, image, self.gio.File.new_for_path(path), None)

    def is_dirty(self, number):
        return self.image(number).is_dirty()

    def make_indexed(self, number):
        image = self.image(number)
        palette = self.gimp.ConvertPaletteType.GENERATE
        image.convert_indexed(self.gimp.ConvertDitherType.NONE, palette, 64, False, False, "")
        self.gimp.displays_flush()

    def is_indexed(self, number):
        return self.image(number).get_base_type() == self.gimp.ImageBaseType.INDEXED

    def select(self, number, *box):
        """Select a rectangle, or nothing."""
        image = self.image(number)
        if box:
            image.select_rectangle(self.gimp.ChannelOps.REPLACE, *box)
        else:
            self.gimp.Selection.none(image)
        self.gimp.displays_flush()

    def select_mask(self, number, path):
        """Select as much of each pixel as a file says, one byte each."""
        image = self.image(number)
        width, height = image.get_width(), image.get_height()
        channel = self.gimp.Channel.new(image, "mask", width, height, 100.0, self.gegl.Color.new("black"))
        image.insert_channel(channel, None, 0)
        channel.get_buffer().set(self.gegl.Rectangle.new(0, 0, width, height), "Y u8", Path(path).read_bytes())
        channel.get_buffer().flush()
        image.select_item(self.gimp.ChannelOps.REPLACE, channel)
        image.remove_channel(channel)
        self.gimp.displays_flush()

    # ------------------------------------------------------------------------------------------------------- layers

    def layers(self, number):
        """The names of the top layers, the uppermost first."""
        return [each.get_name() for each in self.image(number).get_layers()]

    def selected(self, number):
        return [each.get_name() for each in self.image(number).get_selected_layers()]

    def select_layers(self, number, *names):
        image = self.image(number)
        image.set_selected_layers([each for each in image.get_layers() if each.get_name() in names])

    def add_layer(self, number, name, *box):
        """A layer of one colour, on top; it is selected then."""
        image = self.image(number)
        x, y, width, height = box
        layer = self.gimp.Layer.new(
            image, name, width, height, self.gimp.ImageType.RGBA_IMAGE, 100.0, self.gimp.LayerMode.NORMAL
        )
        layer.set_offsets(x, y)
        rectangle = self.gegl.Rectangle.new(0, 0, width, height)
        layer.get_buffer().set(rectangle, "R'G'B'A u8", bytes([40, 90, 200, 255]) * (width * height))
        image.insert_layer(layer, None, 0)
        self.gimp.displays_flush()

    def remove_layer(self, number, name):
        image = self.image(number)
        image.remove_layer(image.get_layer_by_name(name))
        self.gimp.displays_flush()

    def has_mask(self, number, name):
        return self.image(number).get_layer_by_name(name).get_mask() is not None

    def recipe(self, number, name):
        """What is stored with a layer."""
        parasite = self.image(number).get_layer_by_name(name).get_parasite("scumble-recipe")
        return bytes(parasite.get_data()).decode().rstrip("\0") if parasite is not None else None

    def pixels(self, number, path):
        """Write all that is seen of an image, RGBA; its size."""
        image = self.image(number)
        seen = self.gimp.Layer.new_from_visible(image, image, "seen")
        size = seen.get_width(), seen.get_height()
        whole = self.gegl.Rectangle.new(0, 0, *size)
        Path(path).write_bytes(seen.get_buffer().get(whole, 1.0, "R'G'B'A u8", self.gegl.AbyssPolicy.NONE))
        seen.delete()
        return size

    # --------------------------------------------------------------------------------------------------------- time

    def probe(self):
        """Ask GIMP for something that costs nothing; how long it takes is how long GIMP was held."""
        before = time.monotonic()
        self.gimp.get_images()
        self.waits.append(time.monotonic() - before)

    def longest_waits(self):
        """The longest times that GIMP took for an answer, since this was asked before."""
        waits, self.waits = sorted(self.waits, reverse=True)[:5], []
        return [round(each, 3) for each in waits]


def serve_gimp():
    """Answer until nothing more is to be asked: an empty line."""
    gallery, server = Gallery(), listening("gimp")
    connection, _ = server.accept()
    with connection, connection.makefile("rw") as stream:
        while True:
            while not select.select([connection], [], [], 0.02)[0]:
                gallery.probe()
            line = stream.readline()
            if not line.strip():
                return
            print(json.dumps(answered(gallery, line)), file=stream, flush=True)


# --------------------------------------------------------------------------------------------------------- the dialog


class Dialog:
    """The plug-in's window and its studio. All of it is called on the plug-in's main loop."""

    def __init__(self):
        self.clock = None
        self.thumbnails = set()

    @property
    def gtk(self):
        from gi.repository import Gtk

        return Gtk

    def is_open(self):
        return any(each.get_visible() and each.get_title() for each in self._windows()) and bool(self._studios())

    def windows(self):
        return [[each.get_title(), each.get_name()] for each in self._windows() if each.get_visible()]

    def _windows(self):
        return self.gtk.Window.list_toplevels() if "gi.repository.Gtk" in sys.modules else []

    def _studios(self):
        return [each for each in gc.get_objects() if type(each).__name__ == "Studio"]

    @property
    def studio(self):
        return self._studios()[0]

    # ------------------------------------------------------------------------------------------------------ widgets

    def _all(self):
        def walk(widget):
            yield widget
            if isinstance(widget, self.gtk.Container):
                inside = []
                widget.forall(inside.append)
                for each in inside:
                    yield from walk(each)

        for window in self._windows():
            yield from walk(window)

    def _find(self, name):
        """A widget by its name, or by the words on it; one that is shown rather than another."""
        found = [each for each in self._all() if name in (each.get_name(), _words_of(each))]
        assert found, f"there is no widget {name}"
        return max(found, key=lambda each: each.get_mapped())

    def _button(self, name):
        """A button or an entry of a menu by its name, or by the words on it."""
        found = self._find(name)
        kinds = (self.gtk.MenuItem, self.gtk.Button)
        return next(each for each in (found, *map(found.get_ancestor, kinds)) if isinstance(each, kinds))

    def names(self):
        """All names and words, to see what there is."""
        return [
            [type(each).__name__, each.get_name(), _words_of(each), each.get_mapped(), each.get_sensitive()]
            for each in self._all()
        ]

    def can_press(self, name):
        button = self._button(name)
        return button.get_mapped() and button.is_sensitive()

    def press(self, name):
        """A click on a button that can be clicked."""
        assert self.can_press(name), f"{name} cannot be pressed"
        button = self._button(name)
        button.activate() if isinstance(button, self.gtk.MenuItem) else button.clicked()

    def is_shown(self, name):
        found = [each for each in self._all() if name in (each.get_name(), _words_of(each))]
        return any(each.get_mapped() for each in found)

    def words(self, name):
        return _words_of(self._find(name))

    def place(self, name):
        """Where a widget is on the screen: its middle."""
        widget = self._find(name)
        _, x, y = widget.get_window().get_origin()
        at = widget.get_allocation()
        return [x + at.x + at.width // 2, y + at.y + at.height // 2]

    # ------------------------------------------------------------------------------------------------------- studio

    def start_afresh(self, fields):
        """Everything as it was at first, but for some settings."""
        settings = type(self.studio.settings)()
        self.studio.change(**{**vars(settings), **fields})

    def set(self, fields):
        self.studio.change(**fields)

    def settings(self):
        return json.loads(self.studio.settings.as_json)

    def add_style(self, path):
        self.studio.add_style_file(path)

    def remove_last_style(self):
        self.studio.remove_style(len(self.studio.settings.styles) - 1)

    def use_layer_recipe(self):
        """Take the settings that are stored with the layer; the strength that is set then."""
        assert self.studio.has_layer_recipe, "the layer has no recipe"
        self.studio.use_layer_recipe()
        return self.studio.settings.strength

    def status(self):
        return [self.studio.status.dot, self.studio.status.line]

    def subject(self):
        """The layer that would be painted on."""
        subject = self.studio.subject
        return subject and [subject.document, subject.name, subject.canvas.width]

    def area(self):
        return self.studio.area_line

    def why_not(self):
        error = self.studio.why_not
        return error and f"{error.code}: {error.detail}"

    def is_filled(self):
        return bool(self.studio.library and self.studio.presets)

    def runs(self):
        return [[each.stage.value, each.job.iteration if each.job else 0] for each in self.studio.tickets]

    def jobs(self):
        return [each.job.id if each.job else None for each in self.studio.tickets]

    def progress(self):
        """How far the first run is, 0 to 1."""
        job = self.studio.tickets[0].job if self.studio.tickets else None
        return job.progress if job else 0.0

    def has_thumbnail(self, source):
        """Whether the picture of a style is there; it is asked for."""
        self.studio.thumbnail(source, lambda data: self.thumbnails.add(source))
        return source in self.thumbnails

    def has_preview(self):
        return any(each.preview is not None for each in self.studio.tickets)

    def withdraw_last(self):
        self.studio.withdraw(self.studio.tickets[-1])

    def stop_first(self):
        self.studio.stop(self.studio.tickets[0], False)

    def results(self):
        return [each.title for each in self.studio.results]

    def add_again(self):
        self.studio.add_again(self.studio.results[0])

    def said(self):
        error = self.studio.error
        return f"{error.code}: {error.detail}" if error else self.studio.notice

    def has_error(self):
        return self.studio.error is not None

    def sheet(self):
        """The states of its cells."""
        view = self.studio.sheet
        return view and [cell.state for row in view.cells for cell in row]

    def pick(self):
        """Take the first cell's settings; whether they are the ones that are set then."""
        cell = self.studio.sheet.cells[0][0]
        self.studio.pick(cell)
        return self.studio.settings == cell.settings

    # --------------------------------------------------------------------------------------------------------- time

    def shorten_lease(self, seconds):
        """How soon a job ends that nobody asks after, of those that are sent from now on."""
        for name, module in tuple(sys.modules.items()):
            if name.startswith("scumble_gimp.link.") and hasattr(module, "LEASE_S"):
                module.LEASE_S = seconds

    def doing(self):
        """Where the run under way is."""
        runs = self.runs() if self._studios() else []
        return runs[0][0] if runs else ""

    def longest_gaps(self):
        return self.clock.read()


def _words_of(widget):
    """What stands on a button, a label, an entry."""
    for method in ("get_label", "get_text"):
        if hasattr(widget, method):
            try:
                return (getattr(widget, method)() or "").replace("_", "")
            except TypeError:
                continue
    return ""


def serve_dialog():
    """Answer for as long as the plug-in runs; from the moment when its main loop does."""
    from gi.repository import GLib

    dialog = Dialog()
    server = listening(f"dialog-{os.getpid()}")

    def on_the_loop(line):
        answers, done = [], threading.Event()

        def answer():
            answers.append(answered(dialog, line))
            done.set()

        GLib.idle_add(answer)
        done.wait()
        return answers[0]

    def begin():
        dialog.clock = Clock(0.03, dialog.doing)
        GLib.timeout_add(5, dialog.clock.beat)
        return False

    def serve():
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rw") as stream:
                for line in stream:
                    print(json.dumps(on_the_loop(line)), file=stream, flush=True)

    GLib.idle_add(begin)
    threading.Thread(target=serve, name="test", daemon=True).start()


def _is_the_plug_in(words):
    """Whether this process is Scumble's plug-in, run and not only asked what it is."""
    return any(word.endswith("/scumble.py") for word in words) and "-run" in words


if __name__ == "sitecustomize" and _is_the_plug_in(sys.orig_argv):
    serve_dialog()
