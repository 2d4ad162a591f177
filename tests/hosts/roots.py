"""Debian roots with the real hosts in them, made once and kept under ${XDG_CACHE_HOME:-~/.cache}/scumble/hosts.

    with roots.inside("trixie") as root:        # Krita 5.2.9, GIMP 3.0.4; raises Unavailable where there can be none
        root.run(["kritarunner", "--version"], timeout_s=60)
        root.folder                             # a fresh folder in the root, /tmp/…, gone at the end

Needs root and mmdebstrap; making one takes 2 to 3 minutes, 450 MB of packages, 1.5 GB of disk. SCUMBLE_ROOTS names a
folder with roots that are there already, which are taken as they are.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

KRITA = {"bookworm": "5.1.5", "trixie": "5.2.9", "forky": "5.3.4"}
"""Which Krita is in which suite."""
GIMP = {"trixie": "3.0", "forky": "3.2"}
"""Which GIMP is in which suite; bookworm's is older than the plug-in can be."""

SCREEN = "xvfb,xauth,xdotool,imagemagick,x11-utils,dbus,openbox,fonts-dejavu-core,procps,python3"
# Krita only recommends PyQt5, without which no plug-in in Python is loaded.
_KRITA_PACKAGES = "krita,python3-pyqt5"
_GIMP_PACKAGES = "gimp,gir1.2-gimp-3.0,gir1.2-gegl-0.4,gir1.2-gtk-3.0,python3-gi,python3-gi-cairo"
_RECIPE = [
    "mmdebstrap",
    "--mode=root",
    "--variant=essential",
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    # forky's Release file can be past its date by this machine's clock.
    '--aptopt=Acquire::Check-Valid-Until "false"',
]
CLEAN = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "TERM": "dumb"}
_DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}


class Unavailable(Exception):  # noqa: N818 - a state of this machine
    """Why there is no root here: a sentence."""


@dataclass(frozen=True)
class Finished:
    """How a command ended; `code` is None where it ran out of time."""

    code: int | None
    output: str


@dataclass(frozen=True)
class Root:
    """One that is entered. `folder` is a folder of this test in it, `at` the root's own folder."""

    at: Path
    folder: Path

    @property
    def home(self):
        """A home of the test's own: a Krita that was killed leaves what it saved there, and the next one asks about it
        in a window before it opens anything."""
        return self.folder / "home"

    def seen(self, path):
        """A path below the root as those inside see it."""
        return "/" + str(Path(path).relative_to(self.at))

    def run(self, command, *, environment=None, timeout_s=120):
        """A command in the root, with a clean environment; when its time is up all that it started is ended."""
        whole = [*(["nice"] if os.nice(0) < 5 else []), "chroot", str(self.at), *command]
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                whole,
                env={**CLEAN, "HOME": self.seen(self.home), "TMPDIR": self.seen(self.folder), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                # What a screen or a bus left running would hold the root's mounts.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            output.seek(0)
            return Finished(code, output.read().decode(errors="replace"))


@contextmanager
def inside(suite):
    """A root that commands can be run in. `Unavailable` says why not."""
    at = _root(suite)
    with _proc(at):
        _devices(at)
        folder = Path(tempfile.mkdtemp(prefix="scumble-", dir=at / "tmp"))
        try:
            root = Root(at, folder)
            root.home.mkdir()
            yield root
        finally:
            _remove(folder)


def _remove(folder):
    """What was just killed may still be putting files there."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    raise OSError(f"{folder} cannot be removed")


def _root(suite):
    if os.geteuid() != 0:
        raise Unavailable("entering a root with the host needs root's rights")
    if given := os.environ.get("SCUMBLE_ROOTS"):
        at = Path(given) / suite
        if not (at / "usr").is_dir():
            raise Unavailable(f"there is no root {at}")
        return at
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scumble" / "hosts"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _made(suite, cache)


def _recipe(suite):
    packages = [SCREEN, _KRITA_PACKAGES, *([_GIMP_PACKAGES] if suite in GIMP else [])]
    return [*_RECIPE, f"--include={','.join(packages)}", suite]


def _made(suite, cache):
    at, stamp = cache / suite, cache / f"{suite}.recipe"
    recipe = hashlib.sha256("\n".join(_recipe(suite)).encode()).hexdigest()
    if at.is_dir() and stamp.exists() and stamp.read_text() == recipe:
        return at
    if shutil.which("mmdebstrap") is None:
        raise Unavailable("a root with the host is made by mmdebstrap, which is not installed")
    stamp.unlink(missing_ok=True)
    if (at / "proc").is_mount():
        subprocess.run(["umount", str(at / "proc")], check=True)
    if at.exists():
        shutil.rmtree(at)
    # Another python3 may come first in this process's PATH, which apt's helpers would run.
    environment = {**CLEAN, "HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    made = subprocess.run([*_recipe(suite), str(at)], env=environment, capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(at, ignore_errors=True)
        raise Unavailable(f"mmdebstrap could not make {suite}: {made.stderr.strip()[-600:]}")
    stamp.write_text(recipe)
    return at


@contextmanager
def _proc(at):
    """The root's /proc, for as long as someone is inside: the last one out takes it away."""
    proc = at / "proc"
    lock = os.open(at, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not proc.is_mount():
            mounted = subprocess.run(["mount", "-t", "proc", "proc", str(proc)], capture_output=True, text=True)
            if mounted.returncode and not proc.is_mount():
                raise Unavailable(f"/proc cannot be mounted: {mounted.stderr.strip()}")
        yield
    finally:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            while proc.is_mount() and not subprocess.run(["umount", str(proc)], capture_output=True).returncode:
                pass
        os.close(lock)


def _devices(at):
    for name, (major, minor) in _DEVICES.items():
        device = at / "dev" / name
        if not device.is_char_device():
            device.unlink(missing_ok=True)
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
            device.chmod(0o666)
    shared = at / "dev" / "shm"
    shared.mkdir(exist_ok=True)
    shared.chmod(0o1777)


def main():
    """Make all of them, so that they are there when they are wanted."""
    for suite in KRITA:
        try:
            with inside(suite) as root:
                print(f"{suite}: {root.at}")
        except Unavailable as why:
            print(f"{suite}: {why}")


if __name__ == "__main__":
    main()
