"""The docker in the real Krita, on a screen that nobody sees, with the real daemon: what a painter does with it.

One Krita for each version plays all scenes of `hosts/in_krita_gui.py`; here each is a test. What a scene asks of the
outside (a killed daemon, a picture of the screen) is done here. Krita sits in a root of its own and cannot start this
machine's daemon: what stands there in the place of its Python asks for it.
"""

import json
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from daemons import Daemon, drawn
from PIL import Image

from scumble.drawn import scene as drawn_scene
from scumble.home import private_folder, write_private

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]
HERE = Path(__file__).parent / "hosts"
sys.path.append(str(HERE))
import roots  # noqa: E402
import screen  # noqa: E402

SHOTS = Path(__file__).parents[1] / "build" / "krita"
"""Where the pictures that are taken on the way can be looked at."""
LIMIT_S = 900
SIZES = {"b-middle": (480, 320), "c-large": (4096, 2900), "a-small": (400, 300)}
"""The last one is the active one; bringing another tab to the front is not all that a click on it does."""
SCENES = [
    line.partition("(")[0].removeprefix("def ")
    for before, line in zip(
        (HERE / "in_krita_gui.py").read_text().splitlines(),
        (HERE / "in_krita_gui.py").read_text().splitlines()[1:],
        strict=False,
    )
    if before == "@scene"
]


@dataclass
class Theatre:
    """What became of the scenes."""

    outcome: dict
    mistakes: list
    said: str


class Stagehand(threading.Thread):
    """Does what scenes ask of the outside, by files in a folder."""

    def __init__(self, folder, daemon, root):
        super().__init__(daemon=True)
        self.folder, self.daemon, self.root = folder, daemon, root
        self.is_over = threading.Event()
        self.mistakes = []

    def run(self):
        while not self.is_over.wait(0.1):
            for file in sorted(self.folder.iterdir()):
                try:
                    self.do(file.name)
                except Exception as error:
                    self.mistakes.append(f"{file.name}: {error!r}")
                file.unlink()

    def do(self, what):
        if what == "start":
            (self.daemon.restart if self.daemon.process else self.daemon.start)()
        elif what == "kill":
            self.daemon.kill()
        elif what.startswith("screen-"):
            screen.picture(self.root, self.folder.parent / "shots" / f"{what}.png")


def picture(path, width, height):
    """The demo's scene; the large one is the small one enlarged."""
    side = min(width, 512)
    rgb = (drawn_scene(side, side * height // width).rgb * 255).round().clip(0, 255).astype(np.uint8)
    Image.fromarray(rgb).resize((width, height)).save(path, compress_level=1)


@contextmanager
def starter(root, folder):
    """In the root, what the daemon's command line begins with: it asks for the daemon outside."""
    program = root.at / Path(sys.executable).relative_to("/")
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\ntouch {root.seen(folder / 'asks' / 'start')}\nsleep 60\n")
    program.chmod(0o755)
    try:
        yield
    finally:
        program.unlink()


@pytest.fixture(scope="module")
def theatres(request):
    """All that are wanted, played at the same time: Krita and its painter wait for each other most of the time."""
    wanted = {item.callspec.params["theatre"] for item in request.session.items if item.fspath == request.node.fspath}
    with ThreadPoolExecutor(len(wanted)) as pool:
        return {suite: pool.submit(_played, suite) for suite in sorted(wanted)}


@pytest.fixture(scope="module", params=roots.KRITA)
def theatre(request, theatres):
    try:
        return theatres[request.param].result()
    except roots.Unavailable as error:
        pytest.skip(str(error))


def _played(suite):
    with roots.inside(suite) as root:
        return play(root, suite)


def play(root, suite, pictures=(), scenes="", draws=False):
    """Have Krita play all scenes, or those named; with `draws` the daemon draws its own styles, as users have them."""
    folder = root.folder / "play"
    for part in ("asks", "shots"):
        (folder / part).mkdir(parents=True)
    if not pictures:
        pictures = [folder / f"{name}.png" for name in SIZES]
        for path, size in zip(pictures, SIZES.values(), strict=True):
            picture(path, *size)
    daemon = Daemon(root.folder / "daemon")
    command = [sys.executable, "-m", "scumble", "serve", "--background"]
    private_folder(daemon.home)
    write_private(daemon.home / "start.json", json.dumps({"command": command, "version": "0"}).encode())
    if not draws:
        drawn(daemon.home)
    stagehand = Stagehand(folder / "asks", daemon, root)
    stagehand.start()
    environment = {"SCUMBLE_HOME": root.seen(daemon.home), "SCUMBLE_TEST": root.seen(folder)}
    environment["SCUMBLE_SCENES"] = scenes or os.environ.get("SCUMBLE_SCENES", "")
    try:
        with starter(root, folder):
            ended = screen.play(root, "in_krita_gui", pictures, environment, LIMIT_S)
    finally:
        stagehand.is_over.set()
        stagehand.join()
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.stop()
    file = folder / "outcome.json"
    outcome = json.loads(file.read_text()) if file.exists() else {"scenes": {}, "notes": {}}
    shots = SHOTS / suite
    shutil.rmtree(shots, ignore_errors=True)
    shutil.copytree(folder / "shots", shots)
    (shots / "notes.json").write_text(json.dumps(outcome, indent=1))
    return Theatre(outcome, stagehand.mistakes, f"{ended.code}: {ended.output[-3000:]}")


@pytest.mark.parametrize("scene", SCENES)
def test_scene(theatre, scene):
    played = theatre.outcome["scenes"].get(scene)
    assert played is not None, f"Krita did not come to it: {theatre.said}"
    assert played["outcome"] == "passed", f"{played['outcome']}\n{theatre.mistakes}"


def test_the_screen_is_never_held_for_long(theatre):
    """A figure to look at, not a limit for this machine: the longest time in which nothing else could happen."""
    gaps = theatre.outcome["notes"].get("gaps")
    assert gaps is not None
    print(f"Krita {theatre.outcome['version']}: longest gaps with 12 megapixels: {gaps}")
