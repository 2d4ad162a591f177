"""The real GIMP with its windows and the plug-in, on a screen that nobody sees, and what a painter has to do with it.

    with roots.inside("trixie") as root, gimp_screen.running(root, folder, environment) as stage:
        image = stage.open(picture)
        stage.open_dialog(image)
        stage.dialog.press("stylise")

`in_gimp_gui.py` answers inside GIMP: `stage.gimp` for what is there, `stage.dialog` for the plug-in's own window.
Keys and the mouse are real ones.
"""

import itertools
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import runner
import screen
import stage
from gimp_runner import GIMPRC
from PIL import Image

HERE = Path(__file__).parent
PATIENCE_S = 90
SHORTCUT = "ctrl+alt+j"
_CONFIG = {
    "gimprc": GIMPRC,
    "shortcutsrc": """(file-version 1)
(action "plug-in-scumble"{shortcut})
""",
    "sessionrc": """(session-info "toplevel"
    (factory-entry "gimp-single-image-window")
    (position {x} {y})
    (size {width} {height})
    (open-on-exit)
    (aux-info (left-docks-width "{left}") (right-docks-width "{right}") (maximized "no"))
    {docks})
(hide-docks no)
(single-window-mode yes)
(last-tip-shown 0)
""",
}
_LAYERS = '(gimp-dock (side right) (book (dockable "gimp-layer-list" (tab-style automatic) (preview-size 32))))'


@dataclass(frozen=True)
class Layout:
    """Where GIMP's window is and what is in it, so that the plug-in's has room beside it; in px of the screen."""

    x: int
    y: int
    width: int
    height: int
    left: int
    right: int
    docks: str
    dialog_x: int
    dialog_y: int = 0
    dialog_height: int = 0
    """0: as it comes."""
    shortcut: str = ""
    """With which the dialog is opened; as it comes there is none."""


WITH_TOOLS = Layout(
    *(0, 0, 1080, 960, 120, 240),
    f'(gimp-toolbox (side left) (book (dockable "gimp-tool-options"))) {_LAYERS}',
    dialog_x=1100,
    shortcut=' "<Primary><Alt>j"',
)
"""As scenes need it: tools and their options on the left, the layers on the right."""
WITH_LAYERS = Layout(
    *(20, 20, 1046, 940, 76, 220),
    f"(gimp-toolbox (side left)) {_LAYERS}",
    dialog_x=1068,
    dialog_y=20,
    dialog_height=940,
)
"""As pictures show it: as much of the canvas as there can be."""
GIMP, DIALOG = "– GIMP$", "^Scumble$"
"""What titles of windows look like."""
_CORNER = 1595, 995
_DRAW_S = 0.5
_WIDTH_PX = 440
_COLORFUL = 60
"""GIMP's menus are gray."""
_BATCH = "import in_gimp_gui; in_gimp_gui.serve_gimp()"


class Failure(Exception):  # noqa: N818 - it is no error of the program
    """What a scene expects is not so."""


def expect(condition, *words):
    """Fail unless that is so."""
    if not condition:
        raise Failure(" ".join(map(str, words)))


class Gone(Exception):  # noqa: N818 - it may be what a scene wants
    """The process that was asked does not answer any more."""


class Far:
    """Someone inside GIMP who is asked over a socket: `far.layers(3)`."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        try:
            # Inside the root the path is short, outside it may be too long for a socket.
            with _short(path) as near:
                self._socket.connect(str(near))
        except OSError:
            self._socket.close()
            raise
        self._stream = self._socket.makefile("rw")
        self._lock = threading.Lock()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *words: self._ask(name, *words)

    def _ask(self, *question):
        with self._lock:
            try:
                print(json.dumps(question), file=self._stream, flush=True)
                line = self._stream.readline()
            except (OSError, ValueError) as error:
                self._close()
                raise Gone(f"{question[0]}: {error}") from error
        if not line:
            self._close()
            raise Gone(f"{question[0]}: no answer")
        value, *mistake = json.loads(line)
        if mistake:
            raise Failure(f"{question}: {mistake[0]}")
        return value

    def _leave(self):
        """Tell that nothing more is asked."""
        with suppress(OSError, ValueError):
            print(file=self._stream, flush=True)
        self._close()

    def _close(self):
        with suppress(OSError):
            self._stream.close()
        self._socket.close()


@contextmanager
def _short(path):
    """The same file by a short path."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as folder:
        near = Path(folder) / "s"
        near.symlink_to(path)
        yield near


class Stage:
    """What scenes have to do with."""

    def __init__(self, root, hand, layout):
        self.root, self.hand, self.layout = root, hand, layout
        self.folder = root.folder / "play"
        self.notes = {}
        self.gimp = None
        self._dialog = None
        self._numbers = itertools.count(1)

    def leave(self):
        """GIMP ends when nothing more is asked."""
        for each in (self._dialog, self.gimp):
            if each is not None:
                each._leave()

    # ------------------------------------------------------------------------------------------------------- waiting

    def until(self, condition, *words, patience_s=PATIENCE_S):
        """Wait until that is true; what it was then."""
        deadline = time.monotonic() + patience_s
        while not (value := condition()):
            expect(time.monotonic() < deadline, "in vain:", *words, "-", self.last_words())
            time.sleep(0.05)
        return value

    def last_words(self):
        """What the dialog says and does."""
        with suppress(Gone, Failure):
            return f"{self.dialog.said()!r}, {self.dialog.why_not()!r}, {self.dialog.runs()}, {self.dialog.status()}"
        return "the dialog does not answer"

    # ------------------------------------------------------------------------------------------- the hand and the eye

    def xdo(self, *words):
        """What the hand does; what xdotool answers, or None where it could not."""
        return screen.xdo(self.root, *words)

    def window(self, title=GIMP):
        """The number of a window by a pattern of its title; None where it is not there."""
        found = self.xdo("search", "--onlyvisible", "--name", title)
        return found.split()[-1] if found else None

    def titles(self):
        """The titles of all windows that are shown."""
        numbers = (self.xdo("search", "--onlyvisible", "--name", ".") or "").split()
        return [title for title in (self.xdo("getwindowname", number) for number in numbers) if title]

    def key(self, *keys, window=GIMP):
        """Press keys in a window."""
        number = self.until(lambda: self.window(window), "no window", window)
        self.xdo("windowactivate", "--sync", number)
        self.until(lambda: self.xdo("getactivewindow") == number, window, "does not become the active window")
        self.xdo("key", "--delay", "60", *keys)

    def click(self, x, y):
        """Click there; then out of the way, where there is no tooltip."""
        self.xdo("mousemove", x, y, "click", "1", "mousemove", *_CORNER)

    def drag(self, *places):
        """Draw with the mouse over places of the screen."""
        words = ["mousemove", *places[0], "mousedown", "1"]
        for place in places[1:]:
            words += ["sleep", "0.05", "mousemove", *place]
        self.xdo(*words, "sleep", "0.05", "mouseup", "1", "mousemove", *_CORNER)

    def screen(self):
        """What is to be seen on the screen, RGB."""
        path = self.folder / "screen.png"
        screen.picture(self.root, path)
        return np.asarray(Image.open(path).convert("RGB"))

    def shot(self, name):
        """Keep a picture of the screen, to be looked at: of what the windows have had the time to draw."""
        time.sleep(_DRAW_S)
        screen.picture(self.root, self.folder / "shots" / f"{name}.png")

    def open_menu(self):
        """Open Filters, Artistic; where Scumble is in it: the only entry there with an icon, which has colours."""
        self.xdo("mousemove", *_CORNER)
        idle = self.screen()
        self.key("alt+r")
        self.until(lambda: self._has_settled(idle), "the menu does not open")
        without = self.screen()
        self.xdo("key", "a")
        return self.until(lambda: self._entry(without), "Scumble is not in the menu")

    def _has_settled(self, before):
        """Whether the screen has changed and does not change any more."""
        first, second = self.screen(), self.screen()
        return (first != before).any() and (first == second).all()

    def _entry(self, without):
        now = self.screen()
        spread = now.max(axis=-1).astype(int) - now.min(axis=-1)
        rows, columns = np.nonzero((now != without).any(axis=-1) & (spread > _COLORFUL))
        return (int(columns.mean()) + 40, int(rows.mean())) if rows.size else None

    def cancel_button(self, without):
        """Where GIMP's status bar has its Cancel: what is rightmost of what was not there without it."""
        right = self.layout.width - self.layout.right
        rows = slice(self.layout.height - 30, self.layout.height + 20)
        new = (self.screen()[rows, :right] != without[rows, :right]).any(axis=-1)
        found = np.nonzero(new.any(axis=0))[0]
        if not found.size or found[-1] < right - 60:
            return None
        return int(found[-1]) - 20, rows.start + int(np.nonzero(new[:, found[-1] - 60 :].any(axis=1))[0].mean())

    # ---------------------------------------------------------------------------------------------------- the images

    def open(self, path):
        """Open a picture; its number."""
        return self.gimp.open(self.root.seen(path))

    def open_new(self, width, height):
        """A picture that is not open yet; its number."""
        path = self.folder / f"{width}x{height}.png"
        if not path.exists():
            stage.picture(path, width, height)
        return self.open(path)

    def fit(self):
        """GIMP's window as large as it was, and all of the picture to be seen in it."""
        number = self.until(self.window, "GIMP has no window")
        self.xdo("windowsize", number, self.layout.width, self.layout.height)
        self.xdo("windowmove", number, self.layout.x, self.layout.y)
        self.key("shift+ctrl+j")

    def clear(self):
        """Neither a dialog nor an image is left."""
        self.close_dialog()
        self.until(lambda: not self._is_run(), "the plug-in does not end")
        self.gimp.close_all()
        self.until(lambda: not self.gimp.images(), "an image stays open")

    def pixels(self, image):
        """All that is seen of an image, rows × columns × RGBA."""
        path = self.folder / f"pixels-{next(self._numbers)}"
        width, height = self.gimp.pixels(image, self.root.seen(path))
        data = np.fromfile(path, np.uint8).reshape(height, width, 4)
        path.unlink()
        return data

    def undo(self):
        self.key("ctrl+z")

    def redo(self):
        self.key("ctrl+y")

    # ---------------------------------------------------------------------------------------------------- the dialog

    @property
    def dialog(self):
        """Who answers in the plug-in's process."""
        if self._dialog is None:
            raise Gone("there is no dialog")
        return self._dialog

    def open_dialog(self):
        """Have GIMP open the dialog for the image that is in its window."""
        self.key(SHORTCUT)
        self.await_dialog()

    def await_dialog(self):
        """Wait for the dialog, and put it beside GIMP's window."""
        self.until(self._find_dialog, "the plug-in is not run")
        self.until(self.dialog.is_open, "no dialog is shown")
        number = self.until(lambda: self.window(DIALOG), "the dialog has no window")
        self.xdo("windowmove", number, self.layout.dialog_x, self.layout.dialog_y)
        self.until(lambda: self._x(number) >= self.layout.dialog_x, "the dialog does not move")
        if self.layout.dialog_height:
            self.xdo("windowsize", number, _WIDTH_PX, self.layout.dialog_height)

    def _x(self, number):
        said = self.xdo("getwindowgeometry", "--shell", number) or ""
        return next((int(line[2:]) for line in said.split() if line.startswith("X=")), -1)

    def close_dialog(self):
        """Close the dialog's window as its user does; wait until the plug-in has ended."""
        if self.has_dialog():
            self.key("alt+F4", window=DIALOG)
            self.until(lambda: not self.has_dialog(), "the plug-in does not end")

    def has_dialog(self):
        """Whether the plug-in's process lives."""
        try:
            self.dialog.is_open()
        except Gone:
            self._dialog = None
        return self._dialog is not None

    def complaint(self):
        """What GIMP complains of in a window of its own; it is closed then."""
        number = self.window("^GIMP Message$")
        if number is None:
            return None
        self.shot(f"complaint-{next(self._numbers)}")
        self.key("Escape", window="^GIMP Message$")
        self.until(lambda: self.window("^GIMP Message$") is None, "GIMP's message stays")
        return "GIMP shows a message"

    def _is_run(self):
        """Whether a process of the plug-in answers; one without a dialog, too."""
        is_run = self._find_dialog()
        if is_run:
            self._dialog._close()
            self._dialog = None
        return is_run

    def _find_dialog(self):
        """A plug-in's process that answers; whether there is one."""
        for path in (self.folder / "sockets").glob("dialog-*"):
            with suppress(OSError):
                self._dialog = Far(path)
                return True
        return False


@contextmanager
def running(root, hand, plugin, layout=WITH_TOOLS):
    """GIMP on its screen, with a folder's plug-in as users have it; a stage."""
    folder = root.folder / "play"
    (folder / "sockets").mkdir()
    own = root.folder / "gimp"
    own.mkdir()
    for name, text in _CONFIG.items():
        (own / name).write_text(text if name == "gimprc" else text.format(**vars(layout)))
    plugin(own)
    agent = root.folder / "agent"
    agent.mkdir()
    for name in ("in_gimp_gui.py", "sitecustomize.py"):
        shutil.copy(HERE / "in_gimp_gui.py", agent / name)
    environment = runner.user_folders(root) | {
        "GIMP3_DIRECTORY": root.seen(own),
        "PYTHONPATH": root.seen(agent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SCUMBLE_HOME": root.seen(hand.daemon.home),
        "SCUMBLE_TEST": root.seen(folder),
    }
    command = f"gimp --no-splash --quit --batch-interpreter=python-fu-eval -b '{_BATCH}'"
    played = Stage(root, hand, layout)
    ended = []
    show = threading.Thread(target=lambda: ended.append(screen.show(root, command, environment, 900)), daemon=True)
    show.start()
    try:
        played.until(lambda: (folder / "sockets" / "gimp").exists() or ended, "GIMP does not start")
        expect(not ended, "GIMP has ended:", ended and ended[0].output[-3000:])
        played.gimp = Far(folder / "sockets" / "gimp")
        yield played
    finally:
        played.leave()
        show.join(30)
        (folder / "gimp.log").write_text(ended[0].output if ended else "GIMP did not end")


def install(folder):
    """The plug-in put into a user's folder of GIMP, as users have it put there."""
    command = [sys.executable, "-m", "scumble", "install", "gimp", "--folder", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
