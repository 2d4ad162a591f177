"""The plug-ins' files: which of them a program gets, where it wants them, and the same as a zip.

Their sources stand in `plugins/` at the top of a checkout; a wheel carries the same tree in the package, where
`setup.py` puts it. A **bundle** is what one program gets, by the path in the program's own folder. One folder of it is
*ours alone*; in that lies the **marker**, which says what was installed.
"""

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePosixPath

from scumble import __version__
from scumble.errors import ScumbleError
from scumble.hosts import PLUGIN, Program

MARKER = "installed.json"
"""In the folder that is ours alone: version and digest of what was installed, and its files outside that folder."""
PACKED = "plugins"
"""The folder of the package that a wheel has them in."""


@dataclass(frozen=True)
class _Layout:
    own: str
    """The folder that is ours alone."""
    parts: tuple[tuple[str, str], ...]
    """What goes where: a file or a folder of `plugins/`, and its place in the program's folder."""
    entry: str | None = None
    """The file that the program runs, which it takes only with the run bit."""


_LAYOUTS = {
    Program.KRITA: _Layout(
        own=f"pykrita/{PLUGIN}",
        parts=(
            ("krita/scumble.desktop", "pykrita/scumble.desktop"),
            ("krita/scumble.action", "actions/scumble.action"),
            ("krita/scumble", f"pykrita/{PLUGIN}"),
            ("link", f"pykrita/{PLUGIN}/link"),
        ),
    ),
    Program.GIMP: _Layout(
        own=f"plug-ins/{PLUGIN}",
        parts=(
            ("gimp/scumble/scumble.py", f"plug-ins/{PLUGIN}/{PLUGIN}.py"),
            ("gimp/scumble", f"plug-ins/{PLUGIN}"),
            ("link", f"plug-ins/{PLUGIN}/link"),
        ),
        entry=f"plug-ins/{PLUGIN}/{PLUGIN}.py",
    ),
}


@dataclass(frozen=True)
class Bundle:
    """What one program gets. The paths are relative to the program's own folder: Krita's is the one with `pykrita`,
    GIMP's the one with `plug-ins`."""

    program: Program
    own: PurePosixPath
    """The folder that is ours alone."""
    files: Mapping[PurePosixPath, bytes]
    """All files but the marker, in order."""
    version: str = __version__
    entry: PurePosixPath | None = None
    """The one of them that needs the run bit. A wheel loses that, so it is never taken from the sources."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all names and contents."""
        whole = hashlib.sha256()
        for path, data in self.files.items():
            whole.update(f"{path}\0{len(data)}\0".encode() + data)
        return whole.hexdigest()

    @property
    def inside(self) -> dict[PurePosixPath, bytes]:
        """What goes into the folder that is ours alone, by the path in it; the marker comes last."""
        found = {path.relative_to(self.own): data for path, data in self.files.items() if self._is_inside(path)}
        return found | {PurePosixPath(MARKER): self._marker()}

    @property
    def beside(self) -> dict[PurePosixPath, bytes]:
        """What goes elsewhere in the program's folder."""
        return {path: data for path, data in self.files.items() if not self._is_inside(path)}

    def _is_inside(self, path: PurePosixPath) -> bool:
        return path.is_relative_to(self.own)

    def _marker(self) -> bytes:
        said = {"version": self.version, "digest": self.digest, "files": [str(path) for path in self.beside]}
        return json.dumps(said, indent=1).encode() + b"\n"


def sources() -> Path:
    """The folder with the sources of all plug-ins."""
    here = Path(__file__).resolve().parent
    packed = here / PACKED
    return packed if packed.is_dir() else here.parent.parent / "plugins"


def bundle(program: Program, folder: Path | None = None) -> Bundle:
    """The bundle for a program, from the sources in `folder`; `ScumbleError("missing-file")` if they are not there."""
    folder = folder or sources()
    layout = _LAYOUTS[program]
    files: dict[PurePosixPath, bytes] = {}
    try:
        for source, target in layout.parts:
            start = folder / source
            if start.is_dir():
                for path in shipped(start):
                    files[PurePosixPath(target) / path.relative_to(start).as_posix()] = path.read_bytes()
            else:
                files[PurePosixPath(target)] = start.read_bytes()
    except OSError as error:
        detail = f"The plug-in for {program.value} is not whole: {error.filename}: {error.strerror or error}."
        hint = "Install Scumble again, as it was installed before."
        raise ScumbleError("missing-file", detail, hint) from error
    entry = PurePosixPath(layout.entry) if layout.entry else None
    return Bundle(program, PurePosixPath(layout.own), dict(sorted(files.items())), entry=entry)


def shipped(folder: Path) -> Iterator[Path]:
    """The files in a folder that go along, in order; not what is hidden, compiled or a test."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "test_")) or path.name in {"__pycache__", "tests", "conftest.py"}:
            continue
        if path.is_dir():
            yield from shipped(path)
        elif path.suffix != ".pyc":
            yield path


def packed(bundle: Bundle) -> bytes:
    """The bundle as a zip, to be unpacked where plug-ins lie; the same bytes every time.

    Krita's Tools ▸ Scripts ▸ Import Python Plugin from File does that: it wants the module's folder as an entry of its
    own, and sorts .desktop and .action by their names.
    """
    top = PurePosixPath(bundle.own.name)
    entries: dict[str, bytes] = {path.name: data for path, data in bundle.beside.items()}
    for path, data in bundle.inside.items():
        for parent in reversed((top / path).parents[:-1]):
            entries[f"{parent}/"] = b""
        entries[str(top / path)] = data
    runs = str(top / bundle.entry.relative_to(bundle.own)) if bundle.entry else None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(entries.items()):
            info = zipfile.ZipInfo(name, _time(bundle))
            mode = stat.S_IFDIR | 0o755 if name.endswith("/") else stat.S_IFREG | (0o755 if name == runs else 0o644)
            info.create_system = 3  # Unix, so that the mode means something
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return buffer.getvalue()


def _time(bundle: Bundle) -> tuple[int, int, int, int, int, int]:
    """What its files in a zip have as their time: one that its contents alone decide, and another for others.

    GIMP asks a plug-in what it can do only when the time of its file has changed, and Python compiles a module again
    only then.
    """
    first = datetime(1980, 1, 1)  # as early as a zip can tell; it tells every second second
    moment = first + timedelta(seconds=2 * (int(bundle.digest[:8], 16) % (20 * 365 * 24 * 60 * 30)))
    return moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second
