"""Where the daemon is, and how one is started.

The **runtime file**, `daemon.json` in Scumble's own folder, says where the daemon listens and what its token is; it is
trusted when nobody but its user can have written or read it, and its daemon when it answers to that token and is the
instance that wrote the file. The **start file**, `start.json`, says how one is started. The daemon holds the **lock**,
`daemon.lock`, for all its life. SCUMBLE_URL and SCUMBLE_TOKEN name another daemon, which is never started.
"""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from .errors import LinkError
from .text import tr
from .wire import Unreachable, Wire

PROTOCOL = 1
"""The version of the API that the plug-ins speak."""
URL, TOKEN = "SCUMBLE_URL", "SCUMBLE_TOKEN"

_LARGEST_FILE = 2**16
_LOG_BYTES = 2**20
_ASK_S = 2.0
_PAUSE_S = 0.1
_STOP_S = 30.0
_RACES = 3


def home() -> Path:
    """Scumble's own folder: $SCUMBLE_HOME, or ~/.scumble."""
    return Path(os.environ.get("SCUMBLE_HOME") or "~/.scumble").expanduser()


@dataclass(frozen=True)
class Address:
    """Where a daemon is and what to say to it; of one that SCUMBLE_URL names no more is known."""

    url: str
    token: str = field(repr=False)
    pid: int = 0
    version: str = ""
    instance: str = ""


class Finder:
    """Finds, starts and ends the daemon of a folder: `home`, else $SCUMBLE_HOME or ~/.scumble."""

    def __init__(self, home: Path | None = None) -> None:
        self._home = home

    @property
    def home(self) -> Path:
        """The daemon's folder."""
        return (self._home or home()).absolute()

    @property
    def log_folder(self) -> Path:
        """Where the daemon writes its logs."""
        return self.home / "logs"

    @property
    def is_elsewhere(self) -> bool:
        """Whether the environment names the daemon."""
        return bool(os.environ.get(URL))

    def find(self) -> Address | None:
        """The daemon, which has just answered; None if there is none, whatever the runtime file says.

        `LinkError`: bad-runtime-file, incompatible-daemon, unreachable where there is one that is mute; for one that
        the environment names also unauthorized.
        """
        if self.is_elsewhere:
            return _elsewhere()
        live = self._live()
        if live is None:
            return None
        address, protocol = live
        _check_protocol(protocol, address.version)
        return address

    def is_held(self) -> bool:
        """Whether a daemon has the folder, however busy it is or far in its start; True for one elsewhere."""
        return self.is_elsewhere or _is_taken(self.home / "daemon.lock")

    # ------------------------------------------------------------------------------------------------- start and stop

    def command(self) -> list[str] | None:
        """The command line that starts the daemon; None where none is found. `LinkError` bad-runtime-file."""
        with contextlib.suppress(LinkError):
            told = self._runtime()
            if told is not None and _can_run(told["command"]):
                return list(told["command"])
        told = _told(self.home / "start.json")
        if told is not None and _can_run(told.get("command")):
            return list(told["command"])
        program = _program()
        return [program, "serve", "--background"] if program else None

    def start(self, timeout_s: float = 60.0, on_wait: Callable[[], None] | None = None) -> Address:
        """The daemon; where there is none it is started, to live on when this process ends.

        `on_wait` is called about ten times a second meanwhile; what it raises ends the wait. `LinkError`:
        not-installed, no-daemon where it cannot be started from here, unreachable with what the daemon said when it
        could not start, or when it is not up in time; and those of `find`. One that the environment names is only
        found.
        """
        elsewhere = self.find() if self.is_elsewhere else None
        if elsewhere is not None:
            return elsewhere
        deadline = time.monotonic() + timeout_s
        child: _Child | None = None
        tries = 0
        while True:
            found, mute = self._found()
            if found is not None:
                return found
            if child is not None and child.status not in (None, 0) and not self.is_held():
                # Two that start at the same moment: one finds the lock held, and the other may have failed since.
                if tries >= _RACES or not child.lost_race:
                    child.fail()
                child = None
            if time.monotonic() > deadline:
                raise mute or Unreachable(
                    tr("The daemon did not answer within {seconds} s.", seconds=round(timeout_s)), was_sent=False
                )
            if child is None and not self.is_held():
                child, tries = self._spawn(), tries + 1
            if on_wait is not None:
                on_wait()
            time.sleep(_PAUSE_S)

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """End the daemon, of whatever version, and wait until it has saved everything; where there is none, nothing.

        `LinkError` unreachable where it does not end in time, or is one that the environment names.
        """
        if self.is_elsewhere:
            raise LinkError("unreachable", tr("The daemon is on another machine."), tr("Restart it there."))
        deadline = time.monotonic() + timeout_s
        asked = ""
        while self.is_held():
            with contextlib.suppress(Unreachable):
                live = self._live()
                if live is not None and live[0].instance != asked:
                    Wire(live[0].url, live[0].token).ask("POST", "/v1/shutdown", timeout_s=_ASK_S)
                    asked = live[0].instance
            if time.monotonic() > deadline:
                detail = tr("The daemon has not ended within {seconds} s.", seconds=round(timeout_s))
                raise LinkError("unreachable", detail, tr("In a terminal: `scumble stop`."))
            time.sleep(_PAUSE_S)

    def _live(self) -> tuple[Address, Any] | None:
        """The daemon that has just answered, of whatever version, and its protocol."""
        told = self._runtime()
        if told is None:
            return None
        address = _address(told)
        try:
            health = Wire(address.url, address.token).ask("GET", "/v1/health", timeout_s=_ASK_S).json
        except LinkError as error:
            if isinstance(error, Unreachable) and error.is_late and self.is_held():
                raise
            return None
        # Another program may have got the port, or another daemon: only who knows the instance wrote the file.
        if not isinstance(health, dict) or not address.instance or health.get("instance") != address.instance:
            return None
        return address, health.get("protocol")

    def _found(self) -> tuple[Address | None, LinkError | None]:
        """What `find` gives, or the error where the daemon is mute."""
        try:
            return self.find(), None
        except LinkError as error:
            if error.code != "unreachable":
                raise
            return None, error

    def _spawn(self) -> _Child:
        if _is_sandboxed():  # what is started from there lives in there, and ends with the host
            detail = tr("This program is in a sandbox, from which no daemon can be started.")
            raise LinkError("no-daemon", detail, tr("In a terminal: `scumble start`."))
        command = self.command()
        if command is None:
            raise LinkError("not-installed", tr("No Scumble was found on this machine."))
        return _Child(command, self.home)

    def _runtime(self) -> dict[str, Any] | None:
        """What the runtime file says, checked as the daemon's own client does; None if there is none."""
        path = self.home / "daemon.json"
        told = _told(path)
        if told is None:
            return None
        kinds = {"url": str, "token": str, "pid": int, "version": str, "protocol": int, "command": list}
        for name, kind in kinds.items():
            if not isinstance(told.get(name), kind):
                _distrust(path, tr("is not what a daemon writes"))
        if not _is_token(told["token"]):
            _distrust(path, tr("holds no usable token"))
        if not _is_address_here(told["url"]):
            _distrust(path, tr("names an address that is not on this machine"))
        return told


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a program of the system, made of that of a host which may bring its own libraries.

    A host from an AppImage, or with a Python of its own, points the loader, Python and Qt at what is inside of it.
    """
    clean = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_FOREIGN_BEGINNINGS) and name not in _FOREIGN and not name.endswith("_ORIG")
    }
    # AppImages and frozen programs keep the user's own value under this name.
    clean.update(
        {name[: -len("_ORIG")]: value for name, value in environment.items() if name.endswith("_ORIG") and value}
    )
    inside = environment.get("APPDIR", "").rstrip("/")
    if inside:
        clean = {name: _outside(value, inside) for name, value in clean.items()}
        clean = {name: value for name, value in clean.items() if value or not environment.get(name)}
    return clean


_FOREIGN_BEGINNINGS = ("PYTHON", "QT_", "DYLD_", "GST_", "GI_", "GDK_PIXBUF_", "QML", "LD_")
_FOREIGN = frozenset({"APPIMAGE", "APPDIR", "ARGV0", "OWD", "VIRTUAL_ENV", "PYTHONHOME", "KRITA_PLUGIN_PATH"})


def _outside(value: str, folder: str) -> str:
    """A list of paths without those inside a folder; any other value as it is."""
    kept = [each for each in value.split(":") if each != folder and not each.startswith(f"{folder}/")]
    return ":".join(kept)


class _Child:
    """A daemon, or what starts one, that was started here and needs nothing of this process."""

    def __init__(self, command: Sequence[str], home: Path) -> None:
        self._log = home / "logs" / "start.log"
        environment = {**clean_environment(os.environ), "SCUMBLE_HOME": str(home), "PYTHONSAFEPATH": "1"}
        try:
            _private_folder(home)
            _private_folder(self._log.parent)
            with _appended(self._log) as log:
                self._began = os.fstat(log).st_size  # before it can say anything
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=home,
                    close_fds=True,
                    env=environment,
                    **_apart(),
                )
        except OSError as error:
            reason = error.strerror or str(error)
            raise LinkError("unreachable", tr("The daemon cannot be started: {reason}.", reason=reason)) from None
        # Where this process lives on, the daemon shall not stay as a zombie after its end.
        threading.Thread(target=self._process.wait, name="scumble-daemon", daemon=True).start()

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    @property
    def lost_race(self) -> bool:
        """Whether it ended because another daemon runs."""
        return any("is running already" in line for line in self._said())

    def fail(self) -> NoReturn:
        """Raise what it said before it died."""
        lines = self._said()
        errors = [line[len("Error:") :].strip() for line in lines if line.startswith("Error:")]
        hints = [line[len("Hint:") :].strip() for line in lines if line.startswith("Hint:")]
        if errors:
            detail = tr("The daemon did not start: {reason}", reason=errors[-1].split("did not start: ")[-1])
            raise LinkError("unreachable", detail, hints[-1] if hints else None)
        hint = tr("{file} has all it said.", file=str(self._log))
        last = lines[-1][:300] if lines else tr("nothing")
        detail = tr("The daemon ended with status {status}; it said: {last}", status=self.status, last=last)
        raise LinkError("unreachable", detail, hint)

    def _said(self) -> list[str]:
        try:
            with self._log.open("rb") as file:
                file.seek(self._began)
                said = file.read(_LOG_BYTES).decode("utf-8", "replace")
        except OSError:
            said = ""
        return [line.strip() for line in said.splitlines() if line.strip()]


def _apart() -> dict[str, Any]:
    if sys.platform == "win32":
        flags = ("DETACHED_PROCESS", "CREATE_NO_WINDOW", "CREATE_NEW_PROCESS_GROUP")
        return {"creationflags": sum(getattr(subprocess, flag) for flag in flags)}
    return {"start_new_session": True}


def _private_folder(path: Path) -> None:
    for missing in [each for each in reversed(path.parents) if not each.exists()]:
        missing.mkdir(mode=0o700, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


@contextlib.contextmanager
def _appended(path: Path) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if sys.platform != "win32":
            os.fchmod(descriptor, 0o600)
        if os.fstat(descriptor).st_size > _LOG_BYTES:
            os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


# ----------------------------------------------------------------------------------------------------- what to believe


def _elsewhere() -> Address:
    url, token = os.environ[URL].rstrip("/"), os.environ.get(TOKEN, "")
    if not _is_token(token):
        raise LinkError("unauthorized", tr("There is no token for {url}.", url=url), tr("Set SCUMBLE_TOKEN to it."))
    health = Wire(url, token).ask("GET", "/v1/health", timeout_s=5 * _ASK_S).json
    if not isinstance(health, dict):
        raise LinkError("incompatible-daemon", tr("What answers does not speak as Scumble does."))
    version, instance = str(health.get("version", "")), str(health.get("instance") or "")
    _check_protocol(health.get("protocol"), version)
    return Address(url, token, version=version, instance=instance)


def _check_protocol(protocol: Any, version: str) -> None:
    if protocol != PROTOCOL:
        detail = tr(
            "The daemon that is running is version {version} and speaks protocol {protocol}, not {ours}.",
            version=version,
            protocol=protocol,
            ours=PROTOCOL,
        )
        raise LinkError("incompatible-daemon", detail)


def _address(told: Mapping[str, Any]) -> Address:
    instance = told.get("instance")
    return Address(
        told["url"], told["token"], told["pid"], told["version"], instance if isinstance(instance, str) else ""
    )


def _told(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file that only its user can write or read; None if there is none."""
    data = _read_private(path)
    if data is None:
        return None
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        _distrust(path, tr("is not what a daemon writes"))
    return told


def _read_private(path: Path) -> bytes | None:
    # Not to wait for a writer where the name is a pipe's; and what is looked at is the file that is read, not its name.
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    if path.is_symlink():
        _distrust(path, tr("is a symbolic link"))
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        _distrust(path, tr("cannot be read: {reason}", reason=error.strerror or str(error)))
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            _distrust(path, tr("is not an ordinary file"))
        if sys.platform != "win32":
            if found.st_uid != os.geteuid():
                _distrust(path, tr("belongs to another user"))
            if found.st_mode & 0o077:
                mode = f"{stat.S_IMODE(found.st_mode):04o}"
                _distrust(path, tr("is open to other users (mode {mode}, should be 0600)", mode=mode))
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        _distrust(path, tr("is far too large"))
    return data


def _distrust(path: Path, reason: str) -> NoReturn:
    # Without the error that led here: what it quotes may be the token.
    raise LinkError("bad-runtime-file", tr("{file} {reason}.", file=str(path), reason=reason)) from None


def _is_token(text: str) -> bool:
    return bool(text) and all("!" <= sign <= "~" for sign in text)


def _is_address_here(url: str) -> bool:
    """Whether it is `http://` an address of this machine `:PORT`: the token must not go anywhere else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme != "http" or not port or parts.username is not None or parts.path.strip("/") or parts.query:
        return False
    if parts.hostname == "localhost":
        return True
    try:
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return False
    if address.is_loopback:
        return True
    if address.is_unspecified or address.is_multicast:
        return False
    # A daemon that was told to listen on one of the machine's other addresses: only those can be bound.
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _is_taken(path: Path) -> bool:
    """Whether somebody holds the lock. To know it, it is held for an instant itself."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return False
    try:
        _look(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _look(descriptor: int) -> None:
    """OSError where an open file is locked."""
    if sys.platform == "win32":
        import msvcrt

        # The daemon locks a byte far behind the content, since a locked byte cannot be read.
        os.lseek(descriptor, 2**30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        # Shared, so that two who look at the same time do not see each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


# ----------------------------------------------------------------------------------------------------- what to start it


def _can_run(command: Any) -> bool:
    """Whether it is a command line whose program is still there."""
    if not (isinstance(command, list) and command and all(isinstance(word, str) for word in command)):
        return False
    return Path(command[0]).is_absolute() and shutil.which(command[0]) is not None


def _program() -> str | None:
    """Where `scumble` is: on the PATH, or where pip, pipx and uv put programs that a host's PATH may lack."""
    found = shutil.which("scumble", path=clean_environment(os.environ).get("PATH"))
    # Windows looks into the current folder first, which may be that of the document just opened.
    if found and Path(found).absolute().parent != Path.cwd():
        return str(Path(found).absolute())
    for pattern in _places():
        for place in sorted(glob.glob(os.path.expandvars(os.path.expanduser(pattern))), reverse=True):  # noqa: PTH111, PTH207
            if os.access(place, os.X_OK):
                return place
    return None


def _places() -> Sequence[str]:
    if sys.platform == "win32":
        return (
            r"~\.local\bin\scumble.exe",
            r"%APPDATA%\Python\Scripts\scumble.exe",
            r"%APPDATA%\Python\Python3*\Scripts\scumble.exe",
            r"%LOCALAPPDATA%\Programs\Python\Python3*\Scripts\scumble.exe",
        )
    return (
        "~/.local/bin/scumble",
        "~/Library/Python/3.*/bin/scumble",
        "/opt/homebrew/bin/scumble",
        "/usr/local/bin/scumble",
    )


def _is_sandboxed() -> bool:
    """Whether the host is a flatpak or a snap, which have other programs than the system."""
    return Path("/.flatpak-info").exists() or "SNAP" in os.environ
