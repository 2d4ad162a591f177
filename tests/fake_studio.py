"""A studio that does nothing but remember what it was asked, and shows what a test sets."""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.link()`
import dataclasses
import struct
import zlib
from pathlib import Path

import plugins

plugins.link()

from krita_scumble.link.canvas import LayerName, Region, Subject
from krita_scumble.link.daemon import Device, Health, Job, Style
from krita_scumble.link.errors import LinkError
from krita_scumble.link.pixels import Rect
from krita_scumble.link.results import Result
from krita_scumble.link.settings import Settings, StyleRow
from krita_scumble.link.sheets import Cell, SheetView
from krita_scumble.link.studio import PresetChoice, Status
from krita_scumble.link.tickets import Lesson, Stage, Ticket
from krita_scumble.link.topics import Listeners, Topic

LIBRARY = (
    Style("night", "Swirling night", "", ("oil", "strokes", "blue", "night")),
    Style("woodcut", "Woodcut", "", ("print", "lines", "black and white")),
    Style("watercolour", "Watercolour poppies", "", ("watercolour", "soft", "warm")),
    Style("glass", "Stained glass", "", ("glass", "outlines", "colourful")),
    Style("tides", "Tides", "", ("strokes", "swirls", "blue", "beige")),
)
HEALTH = Health(
    "0.1.0", 1, devices=(Device("cpu", "AMD Ryzen 7, 8 cores", "idle", memory_free_mb=9800.0),), features="embedded"
)
SUBJECT = Subject(
    "doc", "layer-1", "Background", Rect(0, 0, 2000, 1500), Rect(0, 0, 2000, 1500), Rect(300, 120, 812, 640)
)
REGIONS = (
    Region("mask-1", "Sky", "mask"),
    Region("mask-2", "Face", "mask"),
    Region("layer-2", "Trees in the far background of the picture", "layer"),
)
LAYERS = (LayerName("layer-1", "Background", "Lake.kra"), LayerName("layer-9", "Sketch & ink", "Other.kra"))
PRESETS = (
    PresetChoice("My own", "My own", "", is_own=True),
    PresetChoice("draft", "Draft", "For a first look.", is_own=False),
    PresetChoice("gatys-2016", "Gatys 2016", "As in the paper.", is_own=False),
)


def picture(width=64, height=48, color=(40, 90, 200)):
    """A PNG of one colour with a lighter stripe, so that it can be told from nothing."""
    lighter = bytes(min(255, value + 80) for value in color)
    line = b"\0" + bytes(color) * (width // 2) + lighter * (width - width // 2)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(line * height)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def running(number=1, share=0.45, *, preview=None, title="Swirling night 60", warnings=()):
    """A ticket whose job paints."""
    job = Job(
        "job-1",
        "running",
        "painting",
        iteration=round(400 * share),
        iterations=400,
        progress=share,
        seconds_left=12.0,
        warnings=warnings,
    )
    return Ticket(number, title, stage=Stage.RUNNING, job=job, preview=preview, preview_number=int(preview is not None))


def training(number=7, share=0.3, *, preview=None, name="Stained glass", source="library:glass"):
    """A ticket whose job learns a style."""
    job = Job("job-7", "running", "training", 0, round(2000 * share), 2000, share, seconds_left=560.0, kind="train")
    lesson = Lesson(source, name, name)
    shown = {"preview": preview, "preview_number": int(preview is not None)}
    return Ticket(number, f"Training {name}", lesson, stage=Stage.RUNNING, job=job, **shown)


def result(number=1, title="Swirling night 60", **changes):
    """A result with a thumbnail."""
    values = {
        "settings": Settings(strength=number),
        "recipe": {},
        "job_id": f"job-{number}",
        "box": Rect(0, 0, 64, 48),
        "document": "doc",
        "layer": f"layer-of-{number}",
        "thumbnail": picture(color=(40 * number % 200, 90, 120)),
        "seconds": 14.0,
        "features": "embedded",
    }
    return Result(number, title, **{**values, **changes})


def sheet(done=5):
    """A sheet of three by three, of which some cells are done."""
    strengths, scales = (40, 60, 80), (50, 100, 200)
    cells, number = [], 0
    for strength in strengths:
        row = []
        for scale in scales:
            settings = Settings(strength=strength, stroke_scale=scale)
            state = "done" if number < done else "painting" if number == done else "waiting"
            label = f"Strength {strength}, stroke scale {scale} %"
            shown = picture(120, 90, (20 * number, 100, 160)) if state == "done" else None
            row.append(Cell(settings, label, state, shown))
            number += 1
        cells.append(tuple(row))
    return SheetView("Variations", tuple(f"{x} %" for x in scales), tuple(map(str, strengths)), tuple(cells))


class FakeStudio:
    """Attributes are what the widgets see; `tell` says that they changed; `asked` is what the widgets did."""

    host = "Krita 5.2.9"

    def __init__(self, **state):
        self.settings = Settings()
        self.subject, self.regions = SUBJECT, REGIONS
        self.area_line = "Selection 812 × 640 at 300, 120; works at 512 × 404; about 14 s; 2.1 GB"
        self.why_not = None
        self.tickets, self.trainings, self.results = (), (), ()
        self.models, self.learning = {}, set()
        self.status = Status("ready", "AMD Ryzen 7, 8 cores · 9.6 GB free · embedded features")
        self.health = HEALTH
        self.error, self.notice = None, ""
        self.presets, self.library = PRESETS, LIBRARY
        self.sheet = None
        self.has_layer_recipe = True
        self.pictures = {f"library:{style.id}": picture(color=(50 * n, 120, 180)) for n, style in enumerate(LIBRARY)}
        self.visible = {}
        self.checks = ()
        self.reported = []
        self.asked = []
        self._listeners = Listeners()
        for name, value in state.items():
            setattr(self, name, value)

    def listen(self, topic, action):
        return self._listeners.listen(topic, action)

    def tell(self, *topics):
        self._listeners.tell(*topics)

    def set(self, *topics, **state):
        """Set some state and tell it."""
        for name, value in state.items():
            setattr(self, name, value)
        self.tell(*topics)

    def report(self, error):
        self.reported.append(error)

    # what changes the settings does change them, as the widgets rely on it

    def change(self, **fields):
        self.asked.append(("change", fields))
        self.settings = dataclasses.replace(self.settings, **fields)
        self.tell(Topic.SETTINGS, Topic.SUBJECT)

    def take(self, settings):
        self.asked.append(("take", settings))
        self.settings = settings
        self.tell(Topic.SETTINGS, Topic.SUBJECT)

    def change_style(self, index, **fields):
        self.asked.append(("change_style", index, fields))
        rows = list(self.settings.styles)
        rows[index] = dataclasses.replace(rows[index], **fields)
        self.settings = dataclasses.replace(self.settings, styles=tuple(rows))
        self.tell(Topic.SETTINGS)

    def remove_style(self, index):
        self.asked.append(("remove_style", index))
        rows = self.settings.styles
        self.settings = dataclasses.replace(self.settings, styles=rows[:index] + rows[index + 1 :])
        self.tell(Topic.SETTINGS)

    # what answers

    def layers(self):
        return LAYERS

    def thumbnail(self, source, on_bytes):
        if source in self.pictures:
            on_bytes(self.pictures[source])

    def model_of(self, row):
        return self.models.get(row.source, "")

    def is_training(self, row):
        return row.source in self.learning

    def warnings_of(self, ticket):
        return tuple(dict.fromkeys((*ticket.warnings, *(ticket.job.warnings if ticket.job else ()))))

    def is_visible(self, result):
        return self.visible.get(result.number, True)

    def self_test(self, on_checks):
        self.asked.append(("self_test",))
        on_checks(self.checks)

    def diagnostics(self):
        return "Scumble 0.1.0, Krita 5.2.9"

    def log_folder(self):
        return Path.home() / ".scumble" / "logs"

    def __getattr__(self, name):
        if name.startswith("_") or name not in _DONE:
            raise AttributeError(name)
        return lambda *values, **named: self.asked.append((name, *values, *([named] if named else [])))


_DONE = frozenset(
    {
        "add_style_file",
        "add_style_layer",
        "add_style_clipboard",
        "add_style_picture",
        "add_style_library",
        "train_style",
        "forget_trained",
        "use_preset",
        "save_preset",
        "rename_preset",
        "delete_preset",
        "reset",
        "run",
        "stop",
        "withdraw",
        "toggle",
        "add_again",
        "use_settings",
        "go_on",
        "save",
        "discard",
        "use_layer_recipe",
        "open_sheet",
        "close_sheet",
        "pick",
        "start_daemon",
        "restart_daemon",
        "dismiss",
        "look",
        "open",
        "close",
    }
)

__all__ = ["FakeStudio", "LinkError", "StyleRow", "picture", "result", "running", "sheet", "training"]
