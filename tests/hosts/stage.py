"""What a real host's theatre is given: pictures to paint on, and a daemon outside that it can have started.

A host sits in a root of its own and cannot start this machine's daemon: what stands there in the place of its Python
asks for it, by a file in a folder.
"""

import json
import sys
import threading
from contextlib import contextmanager

import numpy as np
import screen
from daemons import Daemon, drawn
from PIL import Image

from scumble.drawn import scene as drawn_scene
from scumble.home import private_folder, write_private


class Stagehand(threading.Thread):
    """Does what is asked of the outside, by files in a folder."""

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


@contextmanager
def set_up(root, draws=False):
    """A stagehand and a daemon that is not running; their folders are asks and shots in the root's folder "play".

    With `draws` the daemon draws its own styles, as users have them.
    """
    folder = root.folder / "play"
    for part in ("asks", "shots"):
        (folder / part).mkdir(parents=True)
    daemon = Daemon(root.folder / "daemon")
    command = [sys.executable, "-m", "scumble", "serve", "--background"]
    private_folder(daemon.home)
    write_private(daemon.home / "start.json", json.dumps({"command": command, "version": "0"}).encode())
    if not draws:
        drawn(daemon.home)
    _put_starter(root)
    stagehand = Stagehand(folder / "asks", daemon, root)
    stagehand.start()
    try:
        yield stagehand
    finally:
        stagehand.is_over.set()
        stagehand.join()
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.stop()


def _put_starter(root):
    """In the root, what the daemon's command line begins with: it asks for the daemon of the test that it stems from.

    It stays there: another test may be using it.
    """
    program = root.at / sys.executable.lstrip("/")
    program.parent.mkdir(parents=True, exist_ok=True)
    beside = program.with_name(f"{root.folder.name}.new")
    beside.write_text('#!/bin/sh\ntouch "$SCUMBLE_TEST/asks/start"\nsleep 60\n')
    beside.chmod(0o755)
    beside.replace(program)


def picture(path, width, height):
    """The demo's scene; a large one is a small one enlarged."""
    side = min(width, 512)
    rgb = (drawn_scene(side, side * height // width).rgb * 255).round().clip(0, 255).astype(np.uint8)
    Image.fromarray(rgb).resize((width, height)).save(path, compress_level=1)
