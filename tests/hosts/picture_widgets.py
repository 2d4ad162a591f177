"""Pictures of the Krita panel in its states, themes and widths, drawn without Krita or a screen.

    python tests/hosts/picture_widgets.py FOLDER [name…]

`SCUMBLE_QT=5` draws with Qt 5, `SCUMBLE_LANGUAGE=de` in German. Outside Krita there are characters where Krita has
icons.
"""

# ruff: noqa: E402 - the plug-in can be imported only after `plugins.krita()`
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("SCUMBLE_QT", "6")
# this folder has a krita.py, which is not Krita's
_HERE = Path(__file__).resolve().parent
sys.path[:] = [str(_HERE.parent), *(path for path in sys.path if Path(path).resolve() != _HERE)]

import fake_studio
import plugins
from fake_studio import FakeStudio, Status, Topic

plugins.krita()
from krita_scumble.link import text
from krita_scumble.link.errors import LinkError
from krita_scumble.link.settings import Settings, StyleRow
from krita_scumble.panel import Panel
from krita_scumble.qt import Qt, QtCore, QtGui, QtWidgets

# Krita's own schemes (share/color-schemes): window, base, alternate, text, button, button text, highlight, its text
THEMES = {
    "dark": ("#313131", "#262626", "#2b2b2b", "#c8c8c8", "#363636", "#c8c8c8", "#53728e", "#ebebeb"),
    "breeze": ("#31363b", "#232629", "#2b3034", "#eff0f1", "#31363b", "#eff0f1", "#3daee9", "#eff0f1"),
    "light": ("#d4d4d4", "#f4f4f4", "#eaeaea", "#2a2a2a", "#e4e4e4", "#282828", "#5c90bc", "#f0f0f0"),
    "neutral": ("#808080", "#aaaaaa", "#9a9a9a", "#121212", "#888888", "#0a0a0a", "#2a5b8f", "#b4b4b4"),
}


def palette(name):
    roles = QtGui.QPalette.ColorRole
    window, base, alternate, text, button, on_button, highlight, on_highlight = map(QtGui.QColor, THEMES[name])
    made = QtGui.QPalette(button, window)
    for role, color in (
        (roles.Window, window),
        (roles.WindowText, text),
        (roles.Base, base),
        (roles.AlternateBase, alternate),
        (roles.Text, text),
        (roles.Button, button),
        (roles.ButtonText, on_button),
        (roles.Highlight, highlight),
        (roles.HighlightedText, on_highlight),
        (roles.ToolTipBase, window),
        (roles.ToolTipText, text),
    ):
        made.setColor(role, color)
    for role, color in ((roles.WindowText, text), (roles.Text, text), (roles.ButtonText, on_button)):
        pale = QtGui.QColor(*((a + b) // 2 for a, b in zip(color.getRgb()[:3], window.getRgb()[:3], strict=True)))
        made.setColor(QtGui.QPalette.ColorGroup.Disabled, role, pale)
    return made


def painted(width, height, seed):
    """A picture with something in it, as a JPEG."""
    image = QtGui.QImage(width, height, QtGui.QImage.Format.Format_RGB32)
    painter = QtGui.QPainter(image)
    sky = QtGui.QLinearGradient(0, 0, 0, height)
    sky.setColorAt(0, QtGui.QColor.fromHsv(seed * 67 % 360, 150, 220))
    sky.setColorAt(1, QtGui.QColor.fromHsv((seed * 67 + 120) % 360, 110, 120))
    painter.fillRect(image.rect(), sky)
    for each in range(60):
        color = QtGui.QColor.fromHsv((seed * 67 + each * 13) % 360, 140, 90 + each * 2, 190)
        painter.setPen(QtGui.QPen(color, height / 24, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        x, y = each * 97 % width, (each * each * 31 + seed * 17) % height
        painter.drawArc(x - 20, y - 10, width // 6, height // 6, each * 320, 16 * 130)
    painter.end()
    data = QtCore.QByteArray()
    buffer = QtCore.QBuffer(data)
    buffer.open(QtCore.QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "JPG")
    return bytes(data)


def studio(**state):
    made = FakeStudio(**state)
    made.pictures = {f"library:{style.id}": painted(160, 120, n) for n, style in enumerate(fake_studio.LIBRARY)}
    return made


TWO = (
    StyleRow("library:night", "Swirling night", 100),
    StyleRow("library:watercolour", "Watercolour poppies in a vase by the window", 60, "mask-1", "Sky"),
)


def results(count=5):
    return tuple(fake_studio.result(n, thumbnail=painted(120, 90 + 40 * (n % 2), n)) for n in range(count, 0, -1))


def idle():
    return studio(settings=Settings(styles=TWO))


def queued():
    busy = fake_studio.running(
        preview=painted(512, 380, 3), warnings=("The device ran out of memory; the size is 384.",)
    )
    others = [fake_studio.Ticket(n, f"Watercolour poppies in a vase by the window {n}0") for n in (2, 3)]
    return studio(
        tickets=(busy, *others),
        status=Status("running", "AMD Ryzen 7, 8 cores · 3.1 GB free"),
        settings=Settings(styles=TWO),
    )


def trained():
    """One of the styles is trained, the other is being trained while a picture is painted."""
    learning = fake_studio.training(preview=painted(768, 128, 5), name=TWO[1].name, source=TWO[1].source)
    return studio(
        tickets=(fake_studio.running(preview=painted(512, 300, 3)),),
        trainings=(learning,),
        models={TWO[0].source: "night"},
        learning={TWO[1].source},
        settings=Settings(styles=TWO),
    )


def error():
    detail = (
        "The daemon at /home/marie/.local/share/scumble/daemons/very-long-name-without-a-space.json does not answer."
    )
    problem = LinkError("unreachable", detail)
    return studio(error=problem, status=Status("error", detail), health=None)


def notice():
    return studio(notice="The source layer is gone; the result was added on top.", results=results(1))


def missing():
    rows = (StyleRow("/home/marie/pictures/gone.jpg", "gone", 100), *TWO)
    why = LinkError("missing-style", "The picture of the style gone is not there.", "Choose it anew or take it away.")
    return studio(settings=Settings(styles=rows, quality="custom"), why_not=why)


def finished():
    made = studio(results=results(7))
    made.visible = {5: False, 3: None}
    return made


def more():
    return studio(settings=Settings(more={"optimizer": "lbfgs", "content_weight": 5.0, "chain": True}))


def sheet():
    made = studio()
    view = fake_studio.sheet()
    cells = tuple(
        tuple(
            replace(cell, picture=painted(256, 190, 3 * r + c)) if cell.picture else cell for c, cell in enumerate(row)
        )
        for r, row in enumerate(view.cells)
    )
    made.sheet = replace(view, cells=cells)
    return made


STATES = {
    "idle": idle,
    "running": queued,
    "trained": trained,
    "error": error,
    "notice": notice,
    "missing": missing,
    "results": finished,
    "more": more,
    "sheet": sheet,
}


def grab(name, theme, width, folder, height=820):
    app = QtWidgets.QApplication.instance()
    app.setPalette(palette(theme))
    made = STATES[name]()
    panel = Panel(made)
    panel.resize(width, height)
    panel.show()
    made.tell(*Topic)
    if name == "more":
        panel.more.set_open(True)
        panel.results.hide()
    for _ in range(5):
        app.processEvents()
    if name == "more":
        panel.scroll.ensureWidgetVisible(panel.more.content, 0, 0)
        panel.scroll.verticalScrollBar().setValue(panel.more.y())
    if name == "error":
        panel.message.details.setChecked(True)
    for _ in range(5):
        app.processEvents()
    shown = {"": panel}
    if name == "sheet":
        shown = {"": panel.sheets.window}
    if name == "idle":
        panel.status.popup.open_at(panel.status.line)
        panel.styles._from_library()
        app.processEvents()
        shown["-popup"] = panel.status.popup
        shown["-library"] = panel.findChild(QtWidgets.QFrame, "library-popup")
    for suffix, widget in shown.items():
        widget.grab().save(str(folder / f"{name}{suffix}-{theme}-{width}.png"))
    panel.close()
    # left to Python's collector it would be deleted in the midst of something of Qt's
    panel.deleteLater()
    app.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    if made.reported:
        raise made.reported[0]


def main():
    app = QtWidgets.QApplication(["pictures"])
    app.setStyle("Fusion")
    font = app.font()
    font.setPointSizeF(9)
    app.setFont(font)
    text.use(os.environ.get("SCUMBLE_LANGUAGE", "en"))
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    names = sys.argv[2:] or list(STATES)
    for name in names:
        for theme, width in (("dark", 260), ("breeze", 380), ("light", 260), ("light", 380)):
            grab(name, theme, width, folder)


if __name__ == "__main__":
    main()
