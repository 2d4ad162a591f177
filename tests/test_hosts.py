"""Hosts: what is found in made-up systems of every kind, and where its plug-ins would go."""

import plistlib
import time

import pytest

from scumble import hosts
from scumble.hosts import Program, System, channels, find, own_folders


@pytest.fixture
def linux(tmp_path):
    """An empty Linux; `says` is what programs answer, by the name of the command."""
    return made(tmp_path, "linux")


def made(tmp_path, platform, **environment):
    says = {}

    def run(command):
        ran.append(command)
        return says.get(command[0].rpartition("/")[2], "")

    ran = []
    home, root = tmp_path / "home", tmp_path / "root"
    home.mkdir()
    (root / "bin").mkdir(parents=True)
    system = System(platform, home, {"PATH": str(root / "bin"), **environment}, root, run)
    object.__setattr__(system, "says", says)
    object.__setattr__(system, "ran", ran)
    return system


def program(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_nothing_is_found_where_nothing_is(linux):
    assert find(linux) == []


def test_krita_on_the_path(linux):
    path = program(linux.root / "bin/krita")
    linux.says["krita"] = "krita 5.2.9-beta1 (git 0a1b2c3)\n"
    (host,) = find(linux)
    assert (host.program, host.channel, host.executable, host.version) == (
        Program.KRITA,
        "installed",
        path,
        "5.2.9-beta1",
    )
    assert host.folders == (linux.home / ".local/share/krita",)
    assert host.settings == linux.home / ".config/kritarc"
    assert host.number == (5, 2, 9) and not host.is_too_old


def test_gimp_is_one_installation_under_all_its_names(linux):
    for name in ("gimp", "gimp-3.0", "gimp-console-3.0"):
        program(linux.root / "bin" / name)
    linux.says["gimp-console-3.0"] = "GNU Image Manipulation Program version 3.0.4\n"
    (host,) = find(linux)
    assert host.executable.name == "gimp-console-3.0" and host.version == "3.0.4"
    assert host.folders == (linux.home / ".config/GIMP/3.0",)
    assert len(linux.ran) == 1


def test_only_what_is_asked_for_is_looked_at(linux):
    for name in ("krita", "gimp"):
        program(linux.root / "bin" / name)
        (linux.root / "snap" / name / "current").mkdir(parents=True)
    assert [host.program for host in find(linux, [Program.GIMP])] == [Program.GIMP] * 2
    assert [command[0].rpartition("/")[2] for command in linux.ran] == ["gimp"]


def test_the_environment_names_the_folders(tmp_path):
    system = made(tmp_path, "linux", XDG_DATA_HOME="/data", XDG_CONFIG_HOME="/config")
    for name, says in (("krita", "krita 5.2.9"), ("gimp", "version 3.2.6")):
        program(system.root / "bin" / name)
        system.says[name] = says
    krita, gimp = find(system)
    assert [str(each) for each in krita.folders + gimp.folders] == ["/data/krita", "/config/GIMP/3.2"]
    assert str(krita.settings) == "/config/kritarc" and gimp.settings is None


@pytest.mark.parametrize(("named", "folder"), [("elsewhere", "elsewhere"), ("/else/where", "/else/where")])
def test_gimps_own_variable_names_its_folder(tmp_path, named, folder):
    system = made(tmp_path, "linux", GIMP3_DIRECTORY=named)
    program(system.root / "bin/gimp")
    program(system.root / "bin/krita")
    system.says["gimp"] = "version 3.0.4"
    krita, gimp = find(system)
    assert gimp.folders == (system.home / folder,) and krita.folders == (system.home / ".local/share/krita",)


@pytest.mark.parametrize(
    ("says", "is_too_old"),
    [
        ("version 2.10.36", True),
        ("version 2.99.18", True),
        ("version 3.0.0-RC1", False),
        ("version 3.0.0", False),
        ("", False),
    ],
)
def test_an_old_gimp_is_told(linux, says, is_too_old):
    program(linux.root / "bin/gimp")
    linux.says["gimp"] = says
    assert find(linux)[0].is_too_old is is_too_old


def test_without_a_version_the_folders_that_are_there_are_told(linux):
    program(linux.root / "bin/gimp")
    for name in ("3.10", "3.0", "2.10", "3.2"):
        (linux.home / ".config/GIMP" / name).mkdir(parents=True)
    (linux.home / ".config/GIMP/3.4").touch()
    assert [path.name for path in find(linux)[0].folders] == ["3.0", "3.2", "3.10"]


@pytest.mark.parametrize("place", ["root/var/lib/flatpak", "home/.local/share/flatpak"])
def test_flatpaks_and_their_folders(linux, tmp_path, place):
    """Krita's has its own; GIMP's is let into the user's settings, as its manifest on Flathub says."""
    for app in ("org.kde.krita", "org.gimp.GIMP"):
        (tmp_path / place / "app" / app).mkdir(parents=True)
    program(linux.root / "var/lib/flatpak/exports/bin/krita")
    system = System("linux", linux.home, {"PATH": str(linux.root / "var/lib/flatpak/exports/bin")}, linux.root, flatpak)
    krita, gimp = find(system)
    assert krita.channel == gimp.channel == "flatpak" and krita.version == "5.2.9" and gimp.version == "3.0.4"
    assert krita.folders == (linux.home / ".var/app/org.kde.krita/data/krita",)
    assert krita.settings == linux.home / ".var/app/org.kde.krita/config/kritarc" and gimp.settings is None
    assert gimp.folders == (linux.home / ".config/GIMP/3.0",)


def flatpak(command):
    version = {"org.kde.krita": "5.2.9", "org.gimp.GIMP": "3.0.4"}[command[-1]]
    return f"Name\n\n          ID: {command[-1]}\n     Version: {version}\n"


@pytest.mark.parametrize(
    ("says", "version", "folders"),
    [
        ("name: gimp\nversion: '3.2.6'\nbase: core24\n", "3.2.6", ["3.2"]),
        ("name: gimp\nversion: 2.10.38\n", "2.10.38", ["2.10"]),
        ("name: gimp\n", None, ["3.0"]),
        (None, None, ["3.0"]),
    ],
)
def test_snaps_have_folders_of_their_own(linux, says, version, folders):
    (linux.root / "snap/gimp/current/meta").mkdir(parents=True)
    if says is not None:
        (linux.root / "snap/gimp/current/meta/snap.yaml").write_text(says)
    own = linux.home / "snap/gimp/current/.config/GIMP"
    (own / "3.0").mkdir(parents=True)
    (host,) = find(linux)
    assert host.channel == "snap" and host.version == version
    assert host.folders == tuple(own / each for each in folders)


def test_kritas_snap(linux):
    (linux.root / "snap/krita/current").mkdir(parents=True)
    (host,) = find(linux)
    own = linux.home / "snap/krita/current"
    assert (host.folders, host.settings) == ((own / ".local/share/krita",), own / ".config/kritarc")


def test_appimages_are_found_by_their_names_and_not_run(linux):
    program(linux.home / "Applications/krita-5.2.9-x86_64.appimage")
    program(linux.home / "Downloads/GIMP-3.0.4-x86_64.AppImage")
    program(linux.home / "Downloads/other.AppImage")
    assert [(host.channel, host.program, host.version) for host in find(linux)] == [
        ("AppImage", Program.KRITA, "5.2.9"),
        ("AppImage", Program.GIMP, "3.0.4"),
    ]
    assert linux.ran == []


def test_windows(tmp_path):
    files = tmp_path / "Program Files"
    system = made(tmp_path, "win32", ProgramFiles=str(files), ProgramW6432=str(files), APPDATA=str(tmp_path / "roam"))
    system.environment["LOCALAPPDATA"] = str(tmp_path / "local")
    program(files / "Krita (x64)/bin/krita.exe")
    program(files / "GIMP 3/bin/gimp-3.0.exe")
    program(files / "GIMP 3/bin/gimp-3.exe")
    krita, gimp = find(system)
    assert krita.folders == (tmp_path / "roam/krita",) and krita.version is None
    assert krita.settings == tmp_path / "local/kritarc" and channels(system) == ("installed",)
    assert gimp.folders == (tmp_path / "roam/GIMP/3.0",) and gimp.version == "3.0"
    assert system.ran == []


def test_a_gimp_on_windows_that_does_not_tell_its_version(tmp_path):
    system = made(tmp_path, "win32", ProgramFiles=str(tmp_path / "files"), APPDATA=str(tmp_path / "roam"))
    program(tmp_path / "files/GIMP 3/bin/gimp-3.exe")
    assert [(host.version, host.folders) for host in find(system)] == [(None, ())]
    for name in ("2.10", "3.2"):
        (tmp_path / "roam/GIMP" / name).mkdir(parents=True)
    assert find(system)[0].folders == own_folders(Program.GIMP, "installed", None, system)
    assert find(system)[0].folders == (tmp_path / "roam/GIMP/3.2",)


def test_macos(tmp_path):
    system = made(tmp_path, "darwin")
    program(system.root / "Applications/krita.app/Contents/MacOS/krita")
    program(system.home / "Applications/GIMP.app/Contents/MacOS/gimp")
    with (system.home / "Applications/GIMP.app/Contents/Info.plist").open("wb") as file:
        plistlib.dump({"CFBundleShortVersionString": "3.0.4"}, file)
    krita, gimp = find(system)
    support = system.home / "Library/Application Support"
    assert krita.folders == (support / "krita",) and krita.version is None
    assert krita.settings == system.home / "Library/Preferences/kritarc"
    assert gimp.folders == (support / "GIMP/3.0",) and gimp.version == "3.0.4"


def test_a_program_that_hangs_or_is_none_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "_PATIENCE_S", 0.2)
    began = time.monotonic()
    assert hosts._run(["sleep", "30"]) == "" and time.monotonic() - began < 15
    assert hosts._run([str(tmp_path / "nothing")]) == ""
    assert hosts._run(["echo", "5.2.9"]) == "5.2.9\n"
