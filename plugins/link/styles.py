"""Style pictures on their way to the daemon: files as they are, drawings of Krita and MyPaint by the picture in them.

A **snapshot** is a picture that has no file of its own, such as a layer or the clipboard's; it is kept in Scumble's
folder as a PNG that is named by what it holds.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

from .errors import LinkError
from .text import tr

LARGEST_BYTES = 2**29
MOST_PX = 4096
"""The longest side of a picture that a host makes for a style."""
KEPT = 100
"""How many snapshots are kept."""

_MERGED = "mergedimage.png"


def sniff(data: bytes) -> str:
    """What kind of file it is, by its beginning: "png", "jpeg", "webp", "tiff", "zip", or empty for all else."""
    head = bytes(data[:16])
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    return "zip" if head[:4] == b"PK\x03\x04" else ""


def read(source: str) -> tuple[bytes, str]:
    """A picture's file, as the daemon takes it, and a name for it. Reads the disk: not on the host's thread.

    `LinkError`: missing-style; not-a-picture, also for what a host may know nevertheless.
    """
    path = Path(source)
    name = path.stem or str(source)
    try:
        if path.stat().st_size > LARGEST_BYTES:
            detail = tr("{name} takes more than {limit} MB.", name=path.name, limit=LARGEST_BYTES // 2**20)
            raise LinkError("not-a-picture", detail)
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        detail = tr("The style {name} cannot be read: {reason}.", name=path.name, reason=reason)
        raise LinkError("missing-style", detail) from None
    kind = sniff(data)
    if kind == "zip":
        data, kind = _merged(data, path.name), "png"
    if not kind:
        raise LinkError("not-a-picture", tr("{name} is no picture that Scumble can read.", name=path.name))
    return data, name


def _merged(data: bytes, name: str) -> bytes:
    """The picture of all layers in a .kra or .ora file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            about = archive.getinfo(_MERGED)
            picture = archive.read(about) if about.file_size <= LARGEST_BYTES else b""
    except (KeyError, RuntimeError, NotImplementedError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
        picture = b""
    if sniff(picture) != "png":
        hint = tr("Open it, save it again, or export it as a PNG.")
        raise LinkError("not-a-picture", tr("There is no picture of all layers in {name}.", name=name), hint)
    return picture


class Snapshots:
    """Pictures without a file, kept in a folder: the `kept` ones that were used last."""

    def __init__(self, folder: Path, kept: int = KEPT) -> None:
        self._folder = Path(folder)
        self._kept = kept

    def keep(self, png: bytes) -> Path:
        """Keep the bytes of a PNG; where they are. `LinkError` not-a-picture, cannot-save."""
        if sniff(png) != "png":
            raise LinkError("not-a-picture", tr("There is no picture there."))
        path = self._folder / f"{hashlib.sha256(png).hexdigest()}.png"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.exists():
                os.utime(path)  # it is the newest again
            else:
                write_whole(path, png)
        except OSError as error:
            detail = tr("{path} cannot be written: {reason}.", path=path, reason=error.strerror or error)
            raise LinkError("cannot-save", detail) from None
        self._prune(path)
        return path

    def used(self, source: str) -> None:
        """A style was painted with: if it is one of these, it is the newest again."""
        path = Path(source)
        if path.parent == self._folder:
            with suppress(OSError):
                os.utime(path)

    def _prune(self, newest: Path) -> None:
        with suppress(OSError):  # another host may be pruning too
            ages = sorted((path.stat().st_mtime_ns, path) for path in self._folder.glob("*.png") if path != newest)
            for _, path in ages[: max(0, len(ages) + 1 - self._kept)]:
                path.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all, for its user alone. OSError."""
    number, name = tempfile.mkstemp(prefix=".half-done-", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise
