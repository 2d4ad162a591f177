"""The programs that Scumble's plug-ins run in: which of them are on this machine, and where their plug-ins go.

A **host** is one installation of Krita or GIMP; of the same program there may be several, each by its own *channel*:
installed by the system, as a flatpak, a snap or an AppImage. A flatpak and a snap have folders of their own, but GIMP's
flatpak shares the system's.
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
    folders: tuple[Path, ...]
    """Its own folders, see `own_folders`."""
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


def find(system: System | None = None, programs: Sequence[Program] = tuple(Program)) -> list[Host]:
    """All hosts on this machine, Krita's first."""
    system = system or System()
    found = [host for program in programs for host in _installed(program, system)]
    if _has_boxes(system):
        found += [host for program in programs for host in _boxed(program, system)]
    return sorted(found, key=lambda host: host.program is Program.GIMP)


def _has_boxes(system: System) -> bool:
    return system.platform.startswith("linux")


def _host(program: Program, channel: str, executable: Path, version: str | None, system: System) -> Host:
    folders = own_folders(program, channel, version, system)
    return Host(program, channel, executable, version, folders, settings_file(program, channel, system))


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
        yield _host(program, "AppImage" if is_bundle else "installed", path, version, system)


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
            yield _host(program, "flatpak", folder, found[1] if found else None, system)
            break
    folder = system.root / "snap" / program.value.lower() / "current"
    if folder.is_dir():
        yield _host(program, "snap", folder, _version_of_snap(folder), system)


def _version_of_snap(folder: Path) -> str | None:
    try:
        told = (folder / "meta/snap.yaml").read_text("utf-8")
    except (OSError, ValueError):
        return None
    found = re.search(r"^version:(.*)", told, re.MULTILINE)
    return _version_in(found[1]) if found else None


# ----------------------------------------------------------------------------------------------------- their folders


def channels(system: System | None = None) -> tuple[str, ...]:
    """The channels whose folders may differ on this machine, the usual one first."""
    return ("installed", "flatpak", "snap") if _has_boxes(system or System()) else ("installed",)


def own_folders(program: Program, channel: str, version: str | None, system: System | None = None) -> tuple[Path, ...]:
    """The folders in which a program's plug-ins lie in a folder of their own; they need not exist.

    Krita's is its data folder, with `pykrita`; GIMP's is that of its settings, with `plug-ins`, for each minor version
    another: where the version is not known those of all GIMP 3 that were ever started.
    """
    system = system or System()
    data, config = _user_folders(program, channel, system)
    if program is Program.KRITA:
        return (data / "krita",)
    if named := system.environment.get("GIMP3_DIRECTORY"):
        return (system.home / named,)
    if version is not None:
        return (config / "GIMP" / ".".join(version.split(".")[:2]),)
    found = sorted((config / "GIMP").glob("3.*"), key=lambda path: _digits(path.name))
    return tuple(path for path in found if path.is_dir())


def settings_file(program: Program, channel: str, system: System | None = None) -> Path | None:
    """The file in which a program turns plug-ins on; it need not exist, and GIMP has none."""
    system = system or System()
    if program is Program.GIMP:
        return None
    _, config = _user_folders(program, channel, system)
    if system.platform == "win32":
        config = system.folder("LOCALAPPDATA", system.home / "AppData" / "Local")
    elif system.platform == "darwin":
        config = system.home / "Library" / "Preferences"
    return config / "kritarc"


def _user_folders(program: Program, channel: str, system: System) -> tuple[Path, Path]:
    """Where a program keeps its user's data and settings."""
    if system.platform == "win32":
        roaming = system.folder("APPDATA", system.home / "AppData" / "Roaming")
        return roaming, roaming
    if system.platform == "darwin":
        support = system.home / "Library" / "Application Support"
        return support, support
    if channel == "snap":
        own = system.home / "snap" / program.value.lower() / "current"
        return own / ".local/share", own / ".config"
    # GIMP's flatpak is let into the user's own settings (xdg-config/GIMP:create, since 3.0) and sees no others
    if channel == "flatpak" and program is Program.KRITA:
        box = system.home / ".var/app" / _FLATPAKS[program]
        return box / "data", box / "config"
    return (
        system.folder("XDG_DATA_HOME", system.home / ".local/share"),
        system.folder("XDG_CONFIG_HOME", system.home / ".config"),
    )


def _digits(text: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", text)]
