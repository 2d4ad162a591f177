"""Daemons that are led into trouble: what is written into a folder happens in their processes, at a given place.

A **place** is a call inside the daemon or its workers; Python source that is put there runs just before it. No line of
the product knows of it: a `sitecustomize` module on the processes' PYTHONPATH does it.
"""

import contextlib
import json
import os
import subprocess
import sys

from daemons import Daemon, drawn

EVALUATE, PAINTER, DECODE, SIGNED, WRITE = "evaluate", "painter", "decode", "signed", "write"
"""Before an iteration is computed, after a worker has made its painter, before a picture is decoded (in any process),
before a finished picture is encoded, and before a small file is written (in any process)."""

_MODULE = """
import importlib.util
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
real = time.time


def shifted():
    try:
        return real() + float((HERE / "clock").read_text())
    except (OSError, ValueError):
        return real()


time.time = shifted


def act(place, *args):
    path = HERE / f"{place}.py"
    try:
        source = path.read_text()
    except FileNotFoundError:
        return
    exec(compile(source, str(path), "exec"), {"HERE": HERE, "PATH": path, "ARGS": args})


def before(owner, name, place):
    whole = getattr(owner, name)

    def led(*args, **named):
        act(place, *args)
        return whole(*args, **named)

    setattr(owner, name, led)


def painter(module):
    whole = module.Painter.__init__

    def made(self, *args, **named):
        whole(self, *args, **named)
        act("painter")

    module.Painter.__init__ = made


def records(module):
    class Shifted(module.datetime):
        @classmethod
        def now(cls, zone=None):
            return cls.fromtimestamp(time.time(), zone)

    module.datetime = Shifted


CHANGES = {
    "scumble.engine.objective": lambda module: before(module.Objective, "evaluate", "evaluate"),
    "scumble.engine.painter": painter,
    "scumble.signature": lambda module: before(module, "signed", "signed"),
    "scumble.picture": lambda module: before(module, "decode", "decode"),
    "scumble.home": lambda module: before(module, "write_private", "write"),
    "scumble.service.records": records,
}
try:
    CONSTANTS = json.loads((HERE / "constants.json").read_text())
except FileNotFoundError:
    CONSTANTS = {}


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name not in CHANGES and name not in CONSTANTS:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        execute = spec.loader.exec_module

        def changed(module):
            execute(module)
            CHANGES.get(name, lambda module: None)(module)
            for constant, value in CONSTANTS.get(name, {}).items():
                assert hasattr(module, constant), constant
                setattr(module, constant, value)

        spec.loader.exec_module = changed
        return spec


sys.meta_path.insert(0, Finder())
"""


class Sabotaged(Daemon):
    """A daemon whose processes do what is written; `constants` are other values for constants of its modules."""

    def __init__(self, folder, *options, constants=None, env=None, **more):
        super().__init__(folder, *options, **more)
        self.tricks = self.folder / "tricks"
        self.tricks.mkdir(parents=True)
        (self.tricks / "sitecustomize.py").write_text(_MODULE)
        if constants:
            (self.tricks / "constants.json").write_text(json.dumps(constants))
        also = self.environment.get("PYTHONPATH")
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(self.tricks), also]))
        self.environment |= env or {}

    def do(self, place, source, *, once=False):
        """From now on this happens at that place; with `once` a single time."""
        whole = self.tricks / f".{place}.new"
        whole.write_text(("PATH.unlink()\n" if once else "") + source)
        whole.replace(self.tricks / f"{place}.py")

    def behave(self):
        """Nothing happens any more."""
        for path in self.tricks.glob("*.py"):
            if path.name != "sitecustomize.py":
                path.unlink()

    def shift_clock(self, seconds):
        """Let its clock, not the machine's, be wrong by so much."""
        whole = self.tricks / ".clock.new"
        whole.write_text(str(seconds))
        whole.replace(self.tricks / "clock")


@contextlib.contextmanager
def sabotaged(folder, *options, **more):
    """Such a daemon for the block; it need not have ended well."""
    daemon = Sabotaged(folder, *options, **more)
    drawn(daemon.home)
    try:
        yield daemon.start()
    finally:
        daemon.behave()
        end(daemon)


def end(daemon):
    """End a daemon, by force if need be."""
    if daemon.process is not None and daemon.process.poll() is None:
        workers = daemon.workers()
        try:
            daemon.stop(timeout_s=40)
        except subprocess.TimeoutExpired:
            daemon.kill()
            raise
        assert not [each for each in workers if each.is_running()]


@contextlib.contextmanager
def small_disk(place, megabytes):
    """A file system of its own at that place, of so many MB; false where none can be mounted."""
    place.mkdir(parents=True)
    is_there = False
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "scumble-test", str(place)]
            is_there = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield is_there
    finally:
        if is_there:
            subprocess.run(["umount", "-l", str(place)], check=True)
