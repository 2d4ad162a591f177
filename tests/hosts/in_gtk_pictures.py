"""Runs in a root with GTK: pictures of the GIMP dialog's content in its states, themes and widths.

python3 in_gtk_pictures.py [name…]
"""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.gimp()`
import os
import struct
import sys
import zlib
from dataclasses import replace

import fake_studio
import plugins
from fake_studio import LinkError, StyleRow, result, running, training
from gtk_play import FOLDER, Play, have_theme, put_pointer_aside, settle

plugins.gimp()
from gimp_scumble.gtk import Gdk
from gimp_scumble.link import text as texts
from gimp_scumble.link.settings import Settings
from gimp_scumble.link.studio import Status
from gimp_scumble.link.tickets import Ticket
from gimp_scumble.link.topics import Topic


def painted(width, height, seed):
    """A picture with something in it, as a PNG."""
    rows = []
    for y in range(height):
        line = bytearray(b"\0")
        for x in range(width):
            wave = ((x * (seed + 3) + y * y // (seed + 7)) // 9 + seed * 31) % 96
            line += bytes((40 + (seed * 67 + wave) % 180, 60 + (wave * 2 + y * 90 // height) % 160, 90 + (x + y) % 130))
        rows.append(bytes(line))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


LONG = (
    StyleRow("library:night", "Swirling night"),
    StyleRow(
        "library:watercolour", "Watercolour poppies in a vase by the window of the summer house", 60, "mask-1", "Sky"
    ),
)
PICTURES = {f"library:{style.id}": painted(160, 120, n) for n, style in enumerate(fake_studio.LIBRARY)}
UNREACHABLE = (
    "The daemon at /home/marie/.local/share/scumble/daemons/very-long-name-without-a-space.json does not answer."
)


def _results(count=5):
    return tuple(result(n, thumbnail=painted(120, 90 + 40 * (n % 2), n)) for n in range(count, 0, -1))


def _idle():
    return {}


def _running():
    busy = running(preview=painted(512, 380, 3), warnings=("The device ran out of memory; the size is 384.",))
    others = [Ticket(n, f"Watercolour poppies in a vase by the window {n}0") for n in (2, 3)]
    return {"tickets": (busy, *others), "status": Status("running", "AMD Ryzen 7, 8 cores · 3.1 GB free")}


def _trained():
    learning = training(preview=painted(768, 128, 5), name=LONG[1].name, source=LONG[1].source)
    models, learnt = {LONG[0].source: "night"}, {LONG[1].source}
    busy = running(preview=painted(512, 300, 3))
    return {"tickets": (busy,), "trainings": (learning,), "models": models, "learning": learnt}


def _error():
    error = LinkError("unreachable", UNREACHABLE)
    return {"error": error, "status": Status("error", UNREACHABLE), "health": None}


def _missing():
    rows = (StyleRow("/home/marie/pictures/gone.jpg", "gone", 100), *LONG)
    why = LinkError("missing-style", "The picture of the style gone is not there.", "Choose it anew or take it away.")
    return {"settings": Settings(styles=rows, quality="custom"), "why_not": why}


def _indexed():
    why = LinkError("indexed-colors", "The picture has a palette of few colours, which cannot be painted.")
    return {"why_not": why, "subject": None, "area_line": ""}


def _more():
    return {"settings": Settings(styles=LONG, more={"optimizer": "lbfgs", "content_weight": 5.0, "chain": True})}


def _sheet():
    view = fake_studio.sheet()
    cells = tuple(
        tuple(
            replace(cell, picture=painted(256, 190, 3 * r + c)) if cell.picture else cell for c, cell in enumerate(row)
        )
        for r, row in enumerate(view.cells)
    )
    return {"sheet": replace(view, cells=cells)}


STATES = {
    "idle": _idle,
    "running": _running,
    "trained": _trained,
    "style-menu": _trained,
    "error": _error,
    "notice": lambda: {"notice": "The source layer is gone; the result was added on top.", "results": _results(1)},
    "missing": _missing,
    "indexed": _indexed,
    "results": lambda: {"results": _results(7), "visible": {5: False, 3: None}},
    "more": _more,
    "sheet": _sheet,
    "popup": _idle,
    "library": _idle,
    "menu": _idle,
}


def shoot(name, theme, width, height=640):
    """A picture of the screen with the dialog in a state."""
    have_theme(theme)
    made = Play(width, height, **{"settings": Settings(styles=LONG), "pictures": PICTURES, **STATES[name]()})
    panel = made.panel
    made.studio.tell(*Topic)
    if name == "more":
        panel.more.set_expanded(True)
    settle(0.3)
    if name in ("results", "more"):
        at = panel.scroll.get_vadjustment()
        at.set_value(panel.more.get_allocation().y if name == "more" else at.get_upper())
    if name == "error":
        panel.message.details.set_active(True)
    if name == "popup":
        panel.status.popup.open()
    if name == "library":
        panel.styles._from_library()
    if name == "style-menu":
        panel.styles.rows[0]._open_menu()
    if name == "menu":
        panel.styles._open_menu()
    settle(0.5)
    folder = FOLDER / "pictures"
    folder.mkdir(exist_ok=True)
    root = Gdk.get_default_root_window()
    seen = Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height())
    x, y = made.window.get_position()
    wide, high = made.window.get_size()
    if name != "sheet":
        scale = made.window.get_scale_factor()
        x, y = scale * max(0, x - 4), scale * max(0, y - 30)
        wide, high = scale * (wide + 60), scale * (high + 40)
        seen = seen.new_subpixbuf(x, y, min(wide, seen.get_width() - x), min(high, seen.get_height() - y))
    seen.savev(str(folder / f"{name}-{theme}-{width}.png"), "png", [], [])
    made.close()


def pictures(names):
    """Draw them all, or those that are named."""
    texts.use(os.environ.get("SCUMBLE_LANGUAGE", "en"))
    put_pointer_aside()
    for name in names or STATES:
        for theme, width in (("dark", 440), ("light", 440), ("gray", 360)):
            shoot(name, theme, width)


if __name__ == "__main__":
    pictures(sys.argv[1:])
