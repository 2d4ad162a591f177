"""Runs inside Krita as a plug-in of its own: uses the Scumble docker as a user would, and writes down what happened.

Each *scene* is a generator on Krita's own thread: it yields a condition and goes on once that is true, or seconds to
wait. What it raises is its failure. Between scenes everything is as Krita left it; they are played in order. What only
the outside can do (kill the daemon, look at the screen) is asked for by a file in the folder `asks`.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

from krita import Extension, Krita, Selection
from PyQt5.QtCore import QByteArray, Qt, QTimer
from PyQt5.QtWidgets import QApplication, QMdiArea, QProgressBar, QWidget

FOLDER = Path(os.environ["SCUMBLE_TEST"])
PATIENCE_S = 90
QUICK = {"quality": "custom", "size": 64, "iterations": "2"}
LONG = {"quality": "custom", "size": 192, "iterations": "4000"}
SCENES, STORY = [], []


def scene(function):
    """A scene, by the name of its function."""
    SCENES.append(function)
    return function


def story(function):
    """A scene that is only played when it is asked for by name, for the pictures in the README."""
    STORY.append(function)
    return function


class Failure(Exception):  # noqa: N818 - it is no error of the program
    """What a scene expects is not so."""


def expect(condition, *words):
    """Fail unless that is so."""
    if not condition:
        raise Failure(" ".join(map(str, words)))


def time_of_thread():
    """What the clock says, how long this thread has been ready to run while others had the cores, and how long it ran,
    in s; the last two are 0 where the system does not count them."""
    try:
        ran, waited, _ = Path("/proc/thread-self/schedstat").read_text().split()
    except OSError:
        ran = waited = "0"
    return time.monotonic(), int(waited) / 1e9, int(ran) / 1e9


class Stage:
    """What scenes have to do with."""

    def __init__(self):
        self.app = Krita.instance()
        self.notes = {}
        self.gaps = []

    @property
    def window(self):
        return self.app.activeWindow()

    @property
    def docker(self):
        return next(each for each in self.app.dockers() if each.objectName() == "scumble")

    @property
    def studio(self):
        from scumble.docker import ScumbleDocker

        return ScumbleDocker.instances()[0].studio

    @property
    def document(self):
        return self.app.activeDocument()

    def find(self, name, kind=QWidget):
        """A widget of the docker by its name; shown or not."""
        found = self.docker.findChild(kind, name)
        expect(found is not None, "there is no widget", name)
        return found

    def press(self, name):
        """A click on a button that can be clicked."""
        button = self.find(name)
        expect(button.isVisible() and button.isEnabled(), name, "cannot be pressed")
        button.click()

    def set(self, **fields):
        self.studio.change(**fields)

    def action(self, name):
        found = self.app.action(name)
        expect(found is not None, "there is no action", name)
        found.trigger()

    def ask(self, what):
        """Have the outside do something; a condition that it is done."""
        file = FOLDER / "asks" / what
        file.write_text("")
        return lambda: not file.exists()

    def shot(self, name, widget=None):
        """A picture of the docker, or of a widget."""
        QApplication.processEvents()
        (widget or self.docker).grab().save(str(FOLDER / "shots" / f"{name}.png"))

    def layers(self, document=None):
        """The names of the top layers, from the bottom."""
        # Krita names a layer that it is just taking away, and has none to give
        return [each and each.name() for each in (document or self.document).rootNode().childNodes()]

    def pixels(self, document=None):
        document = document or self.document
        document.waitForDone()
        return bytes(document.pixelData(0, 0, document.width(), document.height()))

    def select(self, x, y, width, height, document=None):
        selection = Selection()
        selection.select(x, y, width, height, 255)
        (document or self.document).setSelection(selection)

    def use(self, index):
        """Make one of the opened documents the active one; to be waited for."""
        document = self.documents[index]
        tabs = self.window.qwindow().findChild(QMdiArea)
        name = Path(document.fileName()).name
        # Neither showView nor setActiveDocument brings another tab to the front (5.2.9).
        wanted = next(each for each in tabs.subWindowList() if name in each.windowTitle())
        for _ in range(5):
            if self.is_used(document):
                break
            for tab in (*tabs.subWindowList(), wanted):
                tabs.setActiveSubWindow(tab)
                yield 0.2
        expect(self.is_used(document), name, "does not become the active document")
        document.setActiveNode(document.rootNode().childNodes()[0])
        yield 0.2
        self.studio.look()

    def is_used(self, document):
        """Whether it is the active document for Krita and for the docker."""
        self.studio.look()
        subject = self.studio.subject
        return self.document == document and subject is not None and subject.canvas.width == document.width()

    @property
    def documents(self):
        return sorted(self.app.documents(), key=lambda each: each.width())

    def idle(self):
        return not self.studio.tickets

    def is_painting(self):
        job = self.studio.tickets and self.studio.tickets[0].job
        return bool(job and job.iteration > 0)

    def watched(self, figures, name):
        """Begin to look at how long the host's thread is held; when it is played, write the longest times down: in s,
        how much of it the thread was ready and had no core, how much it ran, and what was being done."""
        self.gaps.clear()

        def end():
            yield 1.5  # in which the canvas still draws
            figures[name] = sorted(self.gaps, reverse=True)[:3]

        return end()

    def said(self):
        error = self.studio.error
        return (error.code + ": " + error.detail) if error else self.studio.notice


# ------------------------------------------------------------------------------------------------------------- scenes


@scene
def opens(stage):
    """The docker is there, finds the documents, and starts the daemon, which is not running, by itself."""
    yield lambda: len(stage.app.documents()) == 3
    yield 1.0
    stage.window.qwindow().resize(1500, 940)
    stage.window.qwindow().move(20, 20)
    for docker in stage.app.dockers():
        if docker.objectName() not in ("KisLayerBox", "scumble", "ToolBox"):
            docker.setVisible(False)
    stage.action("scumble_show")
    stage.docker.setVisible(True)
    stage.docker.raise_()
    yield lambda: stage.docker.isVisible()
    yield from stage.use(0)
    yield lambda: stage.studio.status.dot == "ready"
    yield lambda: stage.studio.subject is not None
    yield lambda: stage.studio.library and stage.studio.presets
    yield 2.0
    stage.shot("idle")
    stage.notes["status"] = stage.studio.status.line
    stage.notes["shortcut"] = stage.app.action("scumble_run").shortcut().toString()


@scene
def stylises(stage):
    """One press: a new layer above the source, with a mask; outside the selection not a bit changes."""
    document = stage.document
    stage.select(60, 40, 160, 120)
    stage.set(**QUICK)
    stage.studio.look()
    yield lambda: "160 × 120" in stage.studio.area_line and "s" in stage.studio.area_line
    before, layers = stage.pixels(), stage.layers()
    active = document.activeNode().uniqueId()
    stage.press("stylise")
    yield stage.idle
    expect(stage.studio.error is None, stage.said())
    after = stage.pixels()
    expect(len(stage.layers()) == len(layers) + 1, stage.layers())
    expect(document.activeNode().uniqueId() == active, "the active layer has changed")
    changed = [
        divmod(at // 4, document.width())
        for at in range(0, len(before), 4)
        if before[at : at + 4] != after[at : at + 4]
    ]
    inside = sum(60 <= column < 220 and 40 <= row < 160 for row, column in changed)
    expect(inside == len(changed), len(changed) - inside, "pixels changed outside the selection")
    expect(inside > 0.5 * 160 * 120, "only", inside, "pixels changed inside")
    new = document.rootNode().childNodes()[1]
    expect(new.name().endswith("60"), new.name())
    expect([each.type() for each in new.childNodes()] == ["transparencymask"], "there is no mask")
    stage.before, stage.after, stage.old_layers = before, after, layers
    yield lambda: stage.studio.results and stage.studio.results[0].thumbnail
    stage.shot("result")


@scene
def undoes_in_one_step(stage):
    """One undo takes the layer and its mask away, one redo brings both back."""
    stage.action("edit_undo")
    yield lambda: stage.layers() == stage.old_layers
    expect(stage.pixels() == stage.before, "undo leaves something behind")
    stage.action("edit_redo")
    yield lambda: len(stage.layers()) == len(stage.old_layers) + 1
    yield 0.5
    expect(stage.pixels() == stage.after, "redo brings something else")
    expect(len(stage.document.rootNode().childNodes()[1].childNodes()) == 1, "no mask")


@scene
def results_are_of_use(stage):
    """Hide, show, use settings, save as PNG, add again."""
    result = stage.studio.results[0]
    expect(stage.studio.is_visible(result) is True, "it is not seen as visible")
    stage.studio.toggle(result)
    expect(stage.studio.is_visible(result) is False, "it is not hidden")
    yield lambda: stage.pixels() == stage.before
    stage.studio.toggle(result)
    yield lambda: stage.pixels() == stage.after
    count = len(stage.layers())
    stage.studio.add_again(result)
    yield lambda: len(stage.layers()) == count + 1
    path = FOLDER / "saved.png"
    stage.studio.save(result, str(path))
    yield lambda: path.exists() and path.read_bytes().endswith(b"IEND\xaeB`\x82")
    stage.set(strength=33)
    stage.studio.use_settings(result)
    expect(stage.studio.settings.strength == 60, "the settings are not those of the result")


@scene
def remembers_in_the_file(stage):
    """Saved and opened again, the layer still knows its recipe."""
    path = FOLDER / "kept.kra"
    document = stage.document
    document.setBatchmode(True)
    expect(document.saveAs(str(path)), "it cannot be saved")
    document.waitForDone()
    again = stage.app.openDocument(str(path))
    node = again.rootNode().childNodes()[1]
    types = [each for each in again.annotationTypes() if node.uniqueId().toString().strip("{}") in each]
    expect(len(types) == 1, again.annotationTypes())
    recipe = json.loads(bytes(again.annotation(types[0])).decode())
    expect(recipe["styles"] and recipe["size"] == 64, recipe)
    again.close()
    yield 0.2


@scene
def shows_a_preview_and_stops(stage):
    """A long run shows progress and a preview; Stop ends it and adds nothing. Painting goes on meanwhile."""
    stage.select(30, 30, 300, 240)
    stage.set(**LONG)
    layers = stage.layers()
    stage.press("stylise")
    yield lambda: stage.is_painting() and stage.studio.tickets[0].preview is not None
    yield 1.0
    label = stage.find("preview")
    expect(label.isVisible(), "no preview is to be seen")
    progress = stage.find("progress", QProgressBar)
    expect(progress.isVisible(), "no progress is to be seen")
    stage.shot("running")
    yield stage.ask("screen-running")
    node = stage.document.activeNode()
    node.setPixelData(QByteArray(b"\x10\x20\x30\xff" * 16), 0, 0, 4, 4)
    stage.document.refreshProjection()
    stage.press("stop")
    yield stage.idle
    expect(stage.layers() == layers, "Stop has added a layer")
    expect(stage.studio.error is None, stage.said())


@scene
def stops_and_keeps(stage):
    """Stop & keep adds what is there."""
    layers = stage.layers()
    stage.press("stylise")
    yield stage.is_painting
    stage.press("keep")
    yield stage.idle
    expect(len(stage.layers()) == len(layers) + 1, stage.said())


@scene
def queues(stage):
    """A second run waits, a third is taken back; what was queued is painted after the first."""
    layers = stage.layers()
    stage.press("stylise")
    yield stage.is_painting
    stage.set(**QUICK)
    stage.press("stylise")
    stage.press("stylise")
    yield lambda: len(stage.studio.tickets) == 3 and stage.studio.tickets[2].job is not None
    yield 0.5
    stage.shot("queue")
    stage.studio.withdraw(stage.studio.tickets[2])
    yield lambda: len(stage.studio.tickets) == 2
    stage.studio.stop(stage.studio.tickets[0], False)
    yield stage.idle
    expect(len(stage.layers()) == len(layers) + 1, stage.layers(), stage.said())


@scene
def survives_a_killed_daemon(stage):
    """The daemon is killed while it paints: it is started again and the run comes to its end."""
    stage.set(quality="custom", size=128, iterations="60")
    layers = stage.layers()
    stage.press("stylise")
    yield stage.is_painting
    yield stage.ask("kill")
    yield stage.idle
    expect(len(stage.layers()) == len(layers) + 1, stage.said())
    expect(stage.studio.error is None, stage.said())


@scene
def says_what_is_wrong(stage):
    """What cannot be done is said in the panel, in a sentence with a hint, and nowhere else."""
    stage.set(**QUICK)
    stage.select(0, 0, 0, 0)
    stage.studio.add_style_file(str(FOLDER / "nothing.png"))
    yield 0.3
    expect(not stage.find("stylise").isEnabled(), "it can be pressed without a style's file")
    stage.shot("missing")
    stage.studio.remove_style(len(stage.studio.settings.styles) - 1)
    (FOLDER / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    stage.studio.add_style_file(str(FOLDER / "broken.png"))
    yield 0.3
    stage.press("stylise")
    yield stage.idle
    yield lambda: stage.studio.error is not None
    expect(stage.find("message").isVisible(), "nothing is said")
    stage.shot("error")
    stage.notes["error"] = stage.said()
    stage.studio.remove_style(len(stage.studio.settings.styles) - 1)
    stage.studio.dismiss()


@scene
def paints_variations(stage):
    """A sheet of small results; a click takes the settings."""
    stage.select(60, 40, 160, 120)
    stage.studio.look()
    stage.press("variations")
    yield lambda: stage.studio.sheet is not None
    yield lambda: all(cell.state == "done" for row in stage.studio.sheet.cells for cell in row)
    yield 0.5
    window = next(each for each in QApplication.topLevelWidgets() if each.objectName() == "sheet")
    stage.shot("sheet", window)
    cell = stage.studio.sheet.cells[0][0]
    stage.studio.pick(cell)
    expect(stage.studio.settings == cell.settings, "other settings")
    stage.studio.close_sheet()
    window.close()
    stage.studio.reset()


@scene
def keeps_what_a_closed_document_cannot_take(stage):
    """The document is closed during the run: the result is kept, and goes into another document."""
    yield from stage.use(1)
    yield lambda: stage.document.width() == stage.documents[1].width()
    stage.select(20, 20, 100, 100)
    stage.set(**QUICK)
    stage.set(iterations="150")
    results = len(stage.studio.results)
    stage.studio.look()
    stage.press("stylise")
    yield stage.is_painting
    stage.document.setModified(False)
    stage.action("file_close")
    yield lambda: len(stage.app.documents()) == 2
    yield stage.idle
    expect(len(stage.studio.results) == results + 1, stage.said())
    expect(stage.studio.notice, "nothing is said")
    stage.notes["closed"] = stage.said()
    yield from stage.use(0)
    yield 0.5
    layers = stage.layers()
    stage.studio.add_again(stage.studio.results[0])
    yield lambda: len(stage.layers()) == len(layers) + 1


@scene
def paints_where_the_layer_is_gone(stage):
    """The source layer is removed during the run: the result goes on top, and that is said."""
    document = stage.document
    layer = document.createNode("short-lived", "paintlayer")
    layer.setPixelData(QByteArray(bytes([40, 90, 200, 255]) * (200 * 150)), 30, 30, 200, 150)
    document.rootNode().addChildNode(layer, None)
    yield 0.3
    stage.select(40, 40, 120, 100)
    stage.set(**QUICK)
    stage.set(iterations="300")

    def is_active():
        """Krita may take a while to hear of a new layer."""
        document.setActiveNode(layer)
        stage.studio.look()
        return stage.studio.subject.name == "short-lived"

    yield is_active
    stage.press("stylise")
    yield stage.is_painting
    layer.remove()
    yield lambda: "short-lived" not in stage.layers(document)
    yield stage.idle
    expect(stage.studio.error is None and "gone" in stage.studio.notice, stage.said())
    stage.notes["gone"] = stage.said()
    document.setActiveNode(document.rootNode().childNodes()[0])


@scene
def leaves_the_screen_alone(stage):
    """With twelve megapixels nothing holds the host's thread for long: reading, writing, all of it.

    Beside it stands what Krita's own actions take on the same document.
    """
    yield from stage.use(-1)
    yield 1.0
    document = stage.document
    expect(document.width() * document.height() > 11e6, document.width(), document.height())
    stage.set(**QUICK)
    stage.notes["gaps"] = found = {}
    for model, depth in (("RGBA", "U8"), ("RGBA", "F32"), ("CMYKA", "U8")):
        yield from _one_layer(stage, document, model, depth)
        layers = len(stage.layers())
        figures = found[f"{model} {depth}"] = {}
        watched = stage.watched(figures, "a run, one layer")
        stage.press("stylise")
        yield stage.idle
        yield from watched
        expect(len(stage.layers()) == layers + 1, stage.said())
        document.setActiveNode(document.rootNode().childNodes()[0])
        yield 0.5
        result = stage.studio.results[0]
        watched = stage.watched(figures, "added again, two layers")
        stage.studio.add_again(result)
        yield lambda count=layers + 2: len(stage.layers()) == count
        yield from watched
        for name in ("hidden", "shown again"):
            watched = stage.watched(figures, name)
            stage.studio.toggle(result)
            yield from watched
        for name in ("add_new_paint_layer", "edit_undo", "edit_redo"):
            watched = stage.watched(figures, f"Krita's {name}")
            stage.action(name)
            yield from watched


def _one_layer(stage, document, model, depth):
    """The document flat and in a space, nearly all of it selected."""
    document.setSelection(None)
    document.flatten()
    if (document.colorModel(), document.colorDepth()) != (model, depth):
        profile = {"F32": "sRGB-elle-V2-g10.icc"}.get(depth) or stage.app.profiles(model, depth)[0]
        expect(document.setColorSpace(model, depth, profile), "no", model, depth, profile)
    yield 1.0
    document.setActiveNode(document.rootNode().childNodes()[0])
    selection = Selection()
    selection.select(10, 10, document.width() - 20, document.height() - 20, 255)
    document.setSelection(selection)
    yield 0.5
    stage.studio.look()
    yield 2.0


@scene
def undoes_while_it_composes(stage):
    """Undo from the moment the layer is in the list, long before the picture is composed: it goes, and nothing else."""
    layers = stage.layers()

    def is_undone():
        """Krita takes no undo while it composes; who wants it presses again."""
        if len(stage.layers()) > len(layers):
            stage.action("edit_undo")
        return stage.layers() == layers

    for _ in range(3):
        stage.studio.add_again(stage.studio.results[0])
        yield lambda: len(stage.layers()) == len(layers) + 1
        yield is_undone
        yield 0.5
        expect(stage.layers() == layers, stage.layers())
        expect(stage.studio.error is None, stage.said())


@scene
def restarts_the_daemon(stage):
    """Restart, self-test and diagnostics from the status line."""
    instance = stage.studio.health.instance
    stage.studio.restart_daemon()
    yield lambda: stage.studio.health is not None and stage.studio.health.instance != instance
    found = []
    stage.studio.self_test(found.extend)
    yield lambda: found
    expect(all(each.ok for each in found), found)
    text = stage.studio.diagnostics()
    expect(stage.app.version() in text and "okens" not in text, text)
    stage.notes["diagnostics"] = text


# --------------------------------------------------------------------------------------------------- for the README


@story
def tells_the_story(stage):
    """Select the sky, press the button, watch it form."""
    window = stage.window.qwindow()
    window.resize(1500, 940)
    window.move(20, 20)
    for docker in stage.app.dockers():
        docker.setVisible(docker.objectName() in ("KisLayerBox", "scumble", "ToolBox"))
    layers = next(each for each in stage.app.dockers() if each.objectName() == "KisLayerBox")
    window.resizeDocks([stage.docker, layers], [330, 330], Qt.Horizontal)
    window.resizeDocks([layers, stage.docker], [210, 740], Qt.Vertical)
    yield lambda: stage.studio.status.dot == "ready" and stage.studio.library
    seen = []
    for style in ("night", "bands"):
        stage.studio.thumbnail(f"library:{style}", seen.append)
    yield lambda: len(seen) == 2
    yield from _menu(stage, window)
    document = stage.document
    mask = (FOLDER / "sky.gray").read_bytes()
    selection = Selection()
    selection.setPixelData(QByteArray(mask), 0, 0, document.width(), document.height())
    document.setSelection(selection)
    stage.action("view_zoom_fit_to_view") if stage.app.action("view_zoom_fit_to_view") else stage.action("zoom_to_fit")
    stage.set(quality="normal")
    stage.studio.look()
    yield lambda: "about" in stage.studio.area_line
    yield 1.0
    yield stage.ask("screen-1")
    stage.press("stylise")
    for number, share in ((2, 0.1), (3, 0.5)):
        yield (
            lambda share=share: (
                stage.studio.tickets and stage.studio.tickets[0].job and stage.studio.tickets[0].job.progress > share
            )
        )
        yield 1.2
        yield stage.ask(f"screen-{number}")
    yield stage.idle
    yield 2.5
    document.setSelection(None)
    yield 0.5
    yield stage.ask("screen-4")


def _menu(stage, window):
    """Settings, Dockers."""
    bar = window.menuBar()
    settings = next(each.menu() for each in bar.actions() if each.text().replace("&", "") == "Settings")
    settings.popup(bar.mapToGlobal(bar.actionGeometry(settings.menuAction()).bottomLeft()))
    yield 0.5
    dockers = next(each for each in settings.actions() if each.menu() and each.text().replace("&", "") == "Dockers")
    dockers.menu().popup(settings.mapToGlobal(settings.actionGeometry(dockers).topRight()))
    entry = next(each for each in dockers.menu().actions() if each.text().replace("&", "") == "Scumble")
    dockers.menu().setActiveAction(entry)
    yield 0.5
    yield stage.ask("screen-menu")
    dockers.menu().close()
    settings.close()
    yield 0.3


# ------------------------------------------------------------------------------------------------------------ the play


class Play:
    """Plays the scenes."""

    def __init__(self):
        self.stage = Stage()
        self.outcome = {"version": self.stage.app.version(), "scenes": {}, "notes": self.stage.notes}
        wanted = [name for name in os.environ.get("SCUMBLE_SCENES", "").split(",") if name]
        self.rest = [each for each in (*SCENES, *STORY) if each.__name__ in wanted] if wanted else [*SCENES]
        self.now = None
        self.watch = QTimer()
        self.watch.timeout.connect(self._beat)
        self.last = time_of_thread()
        self.watch.start(5)
        self.timer = QTimer()
        self.timer.timeout.connect(self._turn)
        self.timer.start(40)

    def _beat(self):
        if sys._getframe().f_back is not None:
            return  # within a call into Krita, which waits in an event loop that leaves the user's input lying
        now = time_of_thread()
        gap = [round(new - old, 3) for new, old in zip(now, self.last, strict=True)]
        if gap[0] > 0.05:
            tickets = self.stage.studio.tickets
            self.stage.gaps.append((*gap, tickets[0].stage.value if tickets else ""))
        self.last = now

    def _turn(self):
        try:
            self._step()
        except StopIteration:
            self._ended("passed")
        except BaseException:
            self._ended(traceback.format_exc() + f"\nin the panel: {self._said()}")

    def _said(self):
        try:
            return self.stage.said()
        except Exception as error:
            return error

    def _step(self):
        if self.now is None:
            if not self.rest:
                self._leave()
                return
            function = self.rest.pop(0)
            self.now = (function.__name__, function(self.stage), time.monotonic())
            self.wanted, self.since = None, time.monotonic()
        _, play, _ = self.now
        now = time.monotonic()
        if isinstance(self.wanted, (int, float)):
            if now - self.since < self.wanted:
                return
        elif self.wanted is not None and not self.wanted():
            if now - self.since > PATIENCE_S:
                play.throw(Failure(f"in vain in line {play.gi_frame.f_lineno}: {self._said()}"))
            return
        self.wanted, self.since = next(play), now

    def _ended(self, how):
        name, _, began = self.now
        self.now = None
        self.outcome["scenes"][name] = {"outcome": how, "seconds": time.monotonic() - began}
        if how != "passed":
            self.stage.shot(f"failed-{name}")
        self._write()

    def _write(self):
        beside = FOLDER / "outcome.tmp"
        beside.write_text(json.dumps(self.outcome, indent=1))
        beside.replace(FOLDER / "outcome.json")

    def _leave(self):
        self.outcome["is_whole"] = True
        self._write()
        os._exit(0)


class Actor(Extension):
    """Begins when the window is there."""

    def setup(self):
        notifier = Krita.instance().notifier()
        notifier.setActive(True)
        notifier.windowCreated.connect(self._begin)

    def _begin(self):
        QTimer.singleShot(3000, self._play)

    def _play(self):
        self.play = Play()

    def createActions(self, window):  # noqa: N802
        pass


if os.environ.get("SCUMBLE_TEST"):
    Krita.instance().addExtension(Actor(Krita.instance()))
