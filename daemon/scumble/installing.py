"""Putting a plug-in into a program, looking at what is there, and taking it out again.

A **place** is a folder that one or several hosts take their plug-ins from, with the file of settings that belongs to
it. What lies there under our name is *foreign* unless it has our marker: then it is neither replaced nor removed.
"""

import contextlib
import json
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

from scumble import hosts, kritarc
from scumble.bundle import MARKER, Bundle
from scumble.errors import ScumbleError
from scumble.home import NO_ROOM
from scumble.hosts import Host, Program, System


class State(Enum):
    """What lies where the plug-in belongs."""

    ABSENT = "absent"
    FOREIGN = "foreign"
    OTHER = "other"
    """Ours, of another version or build."""
    DAMAGED = "damaged"
    """This one, but not whole."""
    CURRENT = "current"


@dataclass(frozen=True)
class Found:
    """What lies there, and its version, if it is ours."""

    state: State
    version: str | None = None
    beside: tuple[PurePosixPath, ...] = ()
    """Its files outside the folder that is ours alone."""
    damage: str | None = None
    """What is not as it was installed, if something is not."""

    @property
    def is_ours(self) -> bool:
        """Whether it may be replaced or removed."""
        return self.state in {State.OTHER, State.DAMAGED, State.CURRENT}


@dataclass(frozen=True)
class Place:
    """A folder for plug-ins."""

    folder: Path
    """The program's own, see `hosts.own_folders`."""
    settings: Path | None = None
    """The file in which the plug-in is turned on; None where that is not known, or where there is none."""
    channels: tuple[str, ...] = ()
    """Those that its programs came by: those in a flatpak or a snap live in a box."""
    hosts: tuple[Host, ...] = ()
    """Those that are known to look there."""

    @property
    def is_too_old(self) -> bool:
        """Whether nobody who looks there can use the plug-in."""
        return bool(self.hosts) and all(host.is_too_old for host in self.hosts)


def places(program: Program, system: System | None = None) -> list[Place]:
    """Where the programs that are on this machine look; each place once."""
    found: dict[Path, Place] = {}
    for place in (each for host in hosts.find(system, [program]) for each in places_of(host)):
        known = found.get(place.folder, Place(place.folder))
        channels = tuple(dict.fromkeys(known.channels + place.channels))
        found[place.folder] = replace(place, channels=channels, hosts=known.hosts + place.hosts)
    return list(found.values())


def places_of(host: Host) -> list[Place]:
    """Where one host looks."""
    return [Place(folder, host.settings, (host.channel,), (host,)) for folder in host.folders]


def usual_places(program: Program, system: System | None = None) -> list[Place]:
    """Where such programs of every kind would look, whether they are there or not."""
    found: dict[Path, Place] = {}
    for channel in hosts.channels(system):
        settings = hosts.settings_file(program, channel, system)
        for folder in hosts.own_folders(program, channel, None, system):
            found.setdefault(folder, Place(folder, settings, (channel,)))
    return list(found.values())


def place_at(program: Program, folder: Path, system: System | None = None) -> Place:
    """The place at a folder that somebody names; its settings are known if it is one of the usual.

    Who names the folder of the plug-ins, as GIMP's Preferences do, means the one that it is in.
    """
    folder = folder.absolute()
    folder = folder.parent if folder.name in {"pykrita", "plug-ins"} else folder
    return next((each for each in usual_places(program, system) if each.folder == folder), Place(folder))


# ------------------------------------------------------------------------------------------------------- the files


def look(place: Place, bundle: Bundle) -> Found:
    """What lies in a place, compared with the bundle."""
    own = place.folder / bundle.own
    with _told(own, "looked at"):
        if not own.exists() and not own.is_symlink():
            return Found(State.ABSENT)
        marker = None if own.is_symlink() else _marker(own / MARKER)
        if marker is None:
            return Found(State.FOREIGN)
        beside = tuple(_safe(marker.get("files")))
        if marker["digest"] != bundle.digest:
            return Found(State.OTHER, marker["version"], beside)
        damage = _damage(place, bundle)
        return Found(State.DAMAGED if damage else State.CURRENT, marker["version"], beside, damage)


def check(place: Place, bundle: Bundle) -> Found:
    """What lies there, if it may be replaced or removed; else ScumbleError `foreign-plugin`."""
    found = look(place, bundle)
    if found.state is State.FOREIGN:
        own = place.folder / bundle.own
        what = "is a symbolic link" if own.is_symlink() else "was not put there by Scumble"
        raise ScumbleError("foreign-plugin", f"{own} {what}, and stays as it is.")
    return found


def install(place: Place, bundle: Bundle) -> Found:
    """Put the plug-in there, in place of an earlier one; what was there before.

    It is all written beside and then swapped, so that a full disk leaves what was. ScumbleError `foreign-plugin`,
    `cannot-write`, `disk-full`.
    """
    found = check(place, bundle)
    if found.state is State.CURRENT:
        return found
    own = place.folder / bundle.own
    staged: list[tuple[Path, Path]] = []
    with _told(own, "written"):
        own.parent.mkdir(parents=True, exist_ok=True)
        _sweep(own)
        try:
            fresh = _beside(own, "new")
            staged.append((fresh, own))
            for path, data in bundle.inside.items():
                (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                (fresh / path).write_bytes(data)
            for path, data in bundle.beside.items():
                target = place.folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                staged.append((_beside(target, "new"), target))
                staged[-1][0].write_bytes(data)
            if bundle.entry is not None:
                _let_run(fresh / bundle.entry.relative_to(bundle.own))
            _swap(fresh, own)
            for written, target in staged[1:]:
                written.replace(target)
        except BaseException:
            for written, _ in staged:
                _remove(written)
            raise
        for path in {*found.beside} - {*bundle.beside}:
            (place.folder / path).unlink(missing_ok=True)
    return found


def uninstall(place: Place, bundle: Bundle) -> Found:
    """Take the plug-in out; what was there before. ScumbleError as in `install`."""
    found = check(place, bundle)
    if found.is_ours:
        own = place.folder / bundle.own
        with _told(own, "removed"):
            for path in found.beside:
                (place.folder / path).unlink(missing_ok=True)
            old = _beside(own, "old")
            own.rename(old)
            _sweep(own)
    return found


def _marker(path: Path) -> dict[str, Any] | None:
    try:
        marker = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    is_ours = isinstance(marker, dict) and all(isinstance(marker.get(key), str) for key in ("version", "digest"))
    return marker if is_ours else None


def _safe(names: object) -> Iterator[PurePosixPath]:
    """Of the files that a marker names those that lie in the program's folder: somebody may have changed it."""
    for name in names if isinstance(names, list) else ():
        path = PurePosixPath(str(name))
        if path.parts and not path.is_absolute() and not {"..", "\\", ":"} & {*str(name), *path.parts}:
            yield path


def _damage(place: Place, bundle: Bundle) -> str | None:
    """The first thing that is not as it was installed."""
    for path, data in bundle.files.items():
        try:
            if (place.folder / path).read_bytes() != data:
                return f"{path} was changed"
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return f"{path} is missing"
    if bundle.entry is not None and not _may_run(place.folder / bundle.entry):
        return f"{bundle.entry} may not be run"
    return None


def _may_run(path: Path) -> bool:
    return sys.platform == "win32" or bool(path.stat().st_mode & stat.S_IXUSR)


def _let_run(path: Path) -> None:
    """Let all run it who may read it."""
    mode = path.stat().st_mode
    path.chmod(mode | (mode & 0o444) >> 2)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(f".{path.name}-{secrets.token_hex(6)}.{end}")


def _swap(fresh: Path, own: Path) -> None:
    old = _beside(own, "old")
    if own.exists():
        own.rename(old)
    try:
        fresh.rename(own)
    except OSError:
        if old.exists():
            old.rename(own)
        raise
    _remove(old)


def _sweep(own: Path) -> None:
    """Remove what an installation that was killed has left beside it."""
    leftover = re.compile(rf"\.{re.escape(own.name)}-[0-9a-f]{{12}}\.(new|old)")
    for path in own.parent.iterdir():
        if leftover.fullmatch(path.name):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    """The system's refusals as sentences."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        if error.errno in NO_ROOM:
            hint = "Free some space, then try again; what was there is as it was."
            raise ScumbleError("disk-full", f"There is no room for {where}.", hint) from error
        hint = "Check its permissions; close the program if it runs, then try again."
        raise ScumbleError("cannot-write", f"{where} cannot be {done}: {error.strerror or error}.", hint) from error


# ---------------------------------------------------------------------------------------------------- turning it on


def is_on(place: Place) -> bool | None:
    """Whether the plug-in is turned on there; None where that is not known. ScumbleError `cannot-write`."""
    if place.settings is None:
        return None
    with _told(place.settings, "read"):
        return kritarc.is_on(kritarc.read(place.settings))


def turn_on(place: Place) -> bool:
    """Turn it on; whether it was off. ScumbleError `cannot-write`, `disk-full`."""
    return _change(place, kritarc.turned_on)


def forget(place: Place) -> bool:
    """Take the word about it out of the settings; whether there was one. ScumbleError as in `turn_on`."""
    return _change(place, kritarc.forgotten)


def _change(place: Place, how: Callable[[bytes], bytes]) -> bool:
    if place.settings is None:
        return False
    with _told(place.settings, "changed"):
        return kritarc.change(place.settings, how)
