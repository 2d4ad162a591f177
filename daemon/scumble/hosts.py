"""The programs that Scumble's plug-ins run in: which of them are on this machine, and where their plug-ins go.

A **host** is one installation of Krita or GIMP; of the same program there may be several, each by its own *channel*:
installed by the system, as a flatpak, a snap or an AppImage. A flatpak and a snap have folders of their own.
"""

import os
import plistlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Program(Enum):
    """A program with a plug-in of ours."""

    KRITA = "Krita"
    GIMP = "GIMP"


OLDEST = {Program.KRITA: (5, 1), Program.GIMP: (3, 0)}
"""The first version that the plug-in works with."""
PLUGIN = "scumble"
"""What the plug-in's folder is called."""
_FLATPAKS = {Program.KRITA: "org.kde.krita", Program.GIMP: "org.gimp.GIMP"}
_NAMES = {
    Program.KRITA: ("krita",),
    # the console comes first: it tells its version without a display
    Program.GIMP: tuple(f"{name}{end}" for name in ("gimp-console", "gimp") for end in ("-3.2", "-3.0", "-3", "")),
}
_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Host:
    """One installation. `version` is as the program tells it, None where that is not cheap to know."""

    program: Program
    channel: str
    executable: Path
    version: str | None
    plugin_folders: tuple[Path, ...]
    """Where its plug-ins belong; they need not exist. Several where the version is not known."""
    settings: Path | None = None
    """The file in which Krita turns plug-ins on; it need not exist. GIMP has none."""

    @property
    def number(self) -> tuple[int, ...] | None:
        """The version's numbers."""
        found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", self.version or "")
        return tuple(int(each) for each in found.groups() if each is not None) if found else None

    @property
    def is_too_old(self) -> bool:
        """Whether the plug-in is known not to work there."""
        return self.number is not None and self.number < OLDEST[self.program]

    @property
    def has_plugin(self) -> bool:
        """Whether something lies where the plug-in belongs."""
        return any((folder / PLUGIN).is_dir() for folder in self.plugin_folders)


def _run(command: Sequence[str]) -> str:
    """What a command says; nothing where it cannot be run."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE_S,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


@dataclass(frozen=True)
class System:
    """What is looked at: another one in tests."""

    platform: str = sys.platform
    home: Path = field(default_factory=Path.home)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    root: Path = Path("/")
    run: Callable[[Sequence[str]], str] = _run

    def which(self, name: str) -> Path | None:
        """A program on the PATH."""
        found = shutil.which(name, path=self.environment.get("PATH", os.defpath))
        return Path(found) if found else None

    def folder(self, variable: str, otherwise: Path) -> Path:
        """A folder that the environment may name."""
        return Path(self.environment.get(variable) or otherwise)


def find(system: System | None = None) -> list[Host]:
    """All hosts on this machine, Krita's first."""
    system = system or System()
    found = [host for program in Program for host in _installed(program, system)]
    if system.platform.startswith("linux"):
        found += [host for program in Program for host in _boxed(program, system)]
    return sorted(found, key=lambda host: host.program is Program.GIMP)


def _installed(program: Program, system: System) -> Iterator[Host]:
    seen: set[Path] = set()
    for path in _candidates(program, system):
        if not path.is_file():
            continue
        real = path.resolve()
        # gimp, gimp-3.0 and gimp-console-3.0 are one installation
        place = real if program is Program.KRITA or path.suffix.lower() == ".appimage" else real.parent
        if place in seen or real.name in {"flatpak", "snap"} or _is_export(path):
            continue
        seen.add(place)
        is_bundle = path.suffix.lower() == ".appimage"
        version = _version_in(path.name) if is_bundle else _version(program, path, system)
        yield Host(
            program,
            "AppImage" if is_bundle else "installed",
            path,
            version,
            _plugin_folders(program, version, *_own_folders(system)),
            _settings(program, "installed", system),
        )


def _is_export(path: Path) -> bool:
    """Whether it is the name under which a flatpak or a snap can be started; those are found by themselves."""
    return "flatpak" in path.parts or path.parts[-3:-1] == ("snap", "bin")


def _candidates(program: Program, system: System) -> Iterator[Path]:
    for name in _NAMES[program]:
        if (path := system.which(name)) is not None:
            yield path
    if system.platform == "win32":
        for variable in ("ProgramFiles", "ProgramW6432", "LOCALAPPDATA"):
            if folder := system.environment.get(variable):
                base = Path(folder) / "Programs" if variable == "LOCALAPPDATA" else Path(folder)
                patterns = {Program.KRITA: "Krita*/bin/krita.exe", Program.GIMP: "GIMP*/bin/gimp-[23]*.exe"}
                yield from sorted(base.glob(patterns[program]))
    elif system.platform == "darwin":
        for base in (system.root / "Applications", system.home / "Applications"):
            yield from sorted(base.glob(f"{program.value}*.app/Contents/MacOS/{program.value.lower()}"))
            yield from sorted(base.glob(f"{program.value.lower()}*.app/Contents/MacOS/{program.value.lower()}"))
    else:
        for base in (system.home / "Applications", system.home / "Downloads", system.home / ".local/bin"):
            for path in sorted(base.glob("*")):
                if path.suffix.lower() == ".appimage" and path.name.lower().startswith(program.value.lower()):
                    yield path


def _version(program: Program, path: Path, system: System) -> str | None:
    if system.platform == "darwin":
        try:
            with (path.parent.parent / "Info.plist").open("rb") as file:
                return str(plistlib.load(file)["CFBundleShortVersionString"])
        except (OSError, ValueError, KeyError, plistlib.InvalidFileException):
            return None
    if system.platform == "win32":  # asking would open a window
        return _version_in(path.name) or _version_in(path.parent.parent.name)
    return _version_in(system.run([str(path), "--version"]))


def _version_in(text: str) -> str | None:
    found = re.search(r"\d+\.\d+(?:\.\d+)*(?:-(?:alpha|beta|rc)\d*)?", text, re.IGNORECASE)
    return found[0] if found else None


def _boxed(program: Program, system: System) -> Iterator[Host]:
    app = _FLATPAKS[program]
    for base in (system.root / "var/lib/flatpak", system.home / ".local/share/flatpak"):
        folder = base / "app" / app
        if folder.is_dir():
            found = re.search(r"^\s*Version:\s*(\S+)", system.run(["flatpak", "info", app]), re.MULTILINE)
            own = system.home / ".var/app" / app
            version = found[1] if found else None
            folders = _plugin_folders(program, version, own / "data", own / "config")
            yield Host(program, "flatpak", folder, version, folders, _settings(program, "flatpak", system))
            break
    folder = system.root / "snap" / program.value.lower() / "current"
    if folder.is_dir():
        own = system.home / "snap" / program.value.lower() / "current"
        folders = _plugin_folders(program, None, own / ".local/share", own / ".config")
        yield Host(program, "snap", folder, None, folders, _settings(program, "snap", system))


def krita_folders(system: System | None = None) -> dict[str, tuple[Path, Path]]:
    """By its channel, where a Krita would keep its data and its settings, whether there is one or not."""
    system = system or System()
    data, config = _own_folders(system)
    if system.platform == "win32":
        config = system.folder("LOCALAPPDATA", system.home / "AppData" / "Local")
    elif system.platform == "darwin":
        config = system.home / "Library" / "Preferences"
    found = {"installed": (data / "krita", config / "kritarc")}
    if system.platform.startswith("linux"):
        box = system.home / ".var/app" / _FLATPAKS[Program.KRITA]
        found["flatpak"] = (box / "data/krita", box / "config/kritarc")
        own = system.home / "snap/krita/current"
        found["snap"] = (own / ".local/share/krita", own / ".config/kritarc")
    return found


def _settings(program: Program, channel: str, system: System) -> Path | None:
    return krita_folders(system)[channel][1] if program is Program.KRITA else None


def _own_folders(system: System) -> tuple[Path, Path]:
    """Where programs keep their data and their settings."""
    if system.platform == "win32":
        roaming = system.folder("APPDATA", system.home / "AppData" / "Roaming")
        return roaming, roaming
    if system.platform == "darwin":
        support = system.home / "Library" / "Application Support"
        return support, support
    return (
        system.folder("XDG_DATA_HOME", system.home / ".local/share"),
        system.folder("XDG_CONFIG_HOME", system.home / ".config"),
    )


def _plugin_folders(program: Program, version: str | None, data: Path, config: Path) -> tuple[Path, ...]:
    if program is Program.KRITA:
        return (data / "krita" / "pykrita",)
    if version is not None:
        return (config / "GIMP" / ".".join(version.split(".")[:2]) / "plug-ins",)
    # one for each minor version that was ever started
    found = sorted((config / "GIMP").glob("3.*"), key=lambda path: _digits(path.name))
    return tuple(path / "plug-ins" for path in found if path.is_dir())


def _digits(text: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", text)]
