"""Settings with names: the user's own, in files that all hosts share, and pictures for those that the daemon brings.

A file holds `{"name", "settings", "thumbnail"}`, the picture as base64. Its own name is made from the preset's, which
may hold whatever a user can type; the name inside is the one that counts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import LinkError
from .settings import Settings
from .styles import sniff, write_whole
from .text import tr

LONGEST_NAME = 100
_LONGEST_SLUG = 40
_LARGEST_FILE = 2**21
_PICTURES = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class Preset:
    """One of the user's own; `thumbnail` is a PNG or JPEG."""

    name: str
    settings: Settings
    thumbnail: bytes | None = None


class Presets:
    """The user's own presets, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self._seen: Any = None
        self._known: tuple[tuple[Path, Preset], ...] = ()

    def list(self) -> tuple[Preset, ...]:
        """All of them by name; what is no preset is passed over. Reads only what has changed since."""
        return tuple(preset for _, preset in self._read())

    def find(self, name: str) -> Preset | None:
        """The one of that name."""
        return next((preset for preset in self.list() if preset.name == name), None)

    def save(self, name: str, settings: Settings, thumbnail: bytes | None = None) -> Preset:
        """Keep settings under a name, in place of what had it. `LinkError` cannot-save."""
        preset = Preset(_tidy(name), settings, thumbnail)
        self._write(self._path_of(preset.name), preset)
        return preset

    def rename(self, old: str, new: str) -> Preset:
        """Call one otherwise. `LinkError` cannot-save, also where the new name is taken or the old one is gone."""
        new, preset = _tidy(new), self.find(old)
        if preset is None:
            raise LinkError("cannot-save", tr("There is no preset {name}.", name=old))
        if new == preset.name:
            return preset
        if self.find(new) is not None:
            raise LinkError(
                "cannot-save", tr("There is a preset {name} already.", name=new), tr("Choose another name.")
            )
        renamed = self.save(new, preset.settings, preset.thumbnail)
        self.delete(old)
        return renamed

    def delete(self, name: str) -> None:
        """Remove one, if it is there. `LinkError` cannot-save."""
        for path, preset in self._read():
            if preset.name == name:
                try:
                    path.unlink()
                except FileNotFoundError:  # another host was faster
                    pass
                except OSError as error:
                    raise _refused(path, error) from None
        self._seen = None

    # ------------------------------------------------------------------------------------------------------- files

    def _path_of(self, name: str) -> Path:
        """Where a preset is, or where it may go."""
        for path, preset in self._read():
            if preset.name == name:
                return path
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", plain)[:_LONGEST_SLUG].strip("-")
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]  # other names may have the same slug
        return self._folder / f"{slug or 'preset'}-{digest}.json"

    def _write(self, path: Path, preset: Preset) -> None:
        picture = base64.b64encode(preset.thumbnail).decode() if preset.thumbnail else ""
        told = {"name": preset.name, "settings": preset.settings.as_dict(), "thumbnail": picture}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, json.dumps(told, ensure_ascii=False, indent=1).encode())
        except OSError as error:
            raise _refused(path, error) from None
        self._seen = None

    def _read(self) -> tuple[tuple[Path, Preset], ...]:
        seen = self._files()
        if seen != self._seen:
            found = [(path, preset) for path, *_ in seen for preset in [_preset(path)] if preset is not None]
            found.sort(key=lambda each: each[1].name.casefold())
            self._known, self._seen = tuple(found), seen
        return self._known

    def _files(self) -> tuple[tuple[Path, int, int], ...]:
        found = []
        with suppress(OSError):
            for path in sorted(self._folder.glob("*.json")):
                with suppress(OSError):
                    about = path.stat()
                    found.append((path, about.st_mtime_ns, about.st_size))
        return tuple(found)


def thumbnail_of(name: str) -> bytes | None:
    """The picture of a preset that the daemon brings, a JPEG; None where there is none."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        return None
    try:
        return (_PICTURES / f"{name}.jpg").read_bytes()
    except OSError:
        return None


def _tidy(name: str) -> str:
    plain = unicodedata.normalize("NFC", "".join(each if each.isprintable() else " " for each in name))
    tidy = " ".join(plain.split())[:LONGEST_NAME].rstrip()
    if not tidy:
        raise LinkError("cannot-save", tr("The preset has no name."), tr("Give it one."))
    return tidy


def _preset(path: Path) -> Preset | None:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return None
        told = json.loads(path.read_text("utf-8"))
        name = _tidy(told["name"])
        if not isinstance(told["settings"], dict):
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError, LinkError):
        return None
    return Preset(name, Settings.from_dict(told["settings"]), _picture(told.get("thumbnail")))


def _picture(text: Any) -> bytes | None:
    try:
        data = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        return None
    return data if sniff(data) in ("png", "jpeg") else None


def _refused(path: Path, error: OSError) -> LinkError:
    detail = tr("{path} cannot be written: {reason}.", path=path, reason=error.strerror or error)
    return LinkError("cannot-save", detail)
