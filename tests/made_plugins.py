"""A made-up tree of plug-ins, laid out as `plugins/` is, with what must not go along; and a machine to install on."""

import shutil

import pytest

from scumble import bundle, hosts
from scumble.hosts import Program, System

DESKTOP = b"""[Desktop Entry]
Type=Service
ServiceTypes=Krita/PythonPlugin
X-KDE-Library=scumble
X-Krita-Manual=manual.html
Name=Scumble
"""
ACTION = b'<ActionCollection><Actions><Action name="scumble_run"/></Actions></ActionCollection>\n'
ENTRY = b"#!/usr/bin/env python3\nfrom link import text\n"
SHIPPED = {
    "gimp/scumble/__init__.py": b"",
    "gimp/scumble/manual.html": b"<p>\xc3\xb6</p>",
    "gimp/scumble/scumble.py": ENTRY,
    "krita/scumble.desktop": DESKTOP,
    "krita/scumble.action": ACTION,
    "krita/scumble/__init__.py": b"from .link import text\n",
    "krita/scumble/manual.html": b"<p>\xc3\xa4</p>",
    "link/__init__.py": b"",
    "link/text.py": b"HELLO = 1\n",
    "link/locale/de.json": b"{}",
    "link/presets/oil.jpg": bytes(range(256)) * 9,
}
NOTES = ("gimp/notes.md", "krita/notes.md")
"""What stands beside the plug-ins: it goes into a wheel, but into no program."""
KEPT_BACK = (
    *(
        "link/__pycache__/text.cpython-311.pyc",
        "link/__pycache__/x.txt",
        "link/old.pyc",
        "link/tests/helper.py",
        "krita/scumble/test_docker.py",
    ),
    *("krita/scumble/.hidden", "krita/scumble/conftest.py", "gimp/scumble/__pycache__/x.pyc", *NOTES),
)
OWN = {Program.KRITA: "pykrita/scumble", Program.GIMP: "plug-ins/scumble"}
"""The folder that is ours alone, in the program's own."""
BESIDE = {Program.KRITA: ("actions/scumble.action", "pykrita/scumble.desktop"), Program.GIMP: ()}
_LINK = ("link/__init__.py", "link/text.py", "link/locale/de.json", "link/presets/oil.jpg")
_INSIDE = ("__init__.py", "manual.html", "installed.json", *_LINK)
INSTALLED = {
    program: sorted((*BESIDE[program], *(f"{OWN[program]}/{each}" for each in inside)))
    for program, inside in {Program.KRITA: _INSIDE, Program.GIMP: (*_INSIDE, "scumble.py")}.items()
}


def make(folder):
    """The tree, in that folder."""
    for name, data in (*SHIPPED.items(), *((name, b"?") for name in KEPT_BACK)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def files(folder):
    """All files in a folder, by their paths in it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def plugin_tree(tmp_path, monkeypatch):
    """The tree, in place of the real one."""
    folder = make(tmp_path / "plugins")
    monkeypatch.setattr(bundle, "sources", lambda: folder)
    return folder


@pytest.fixture(params=Program, ids=lambda program: program.value)
def program(request):
    """One after the other."""
    return request.param


@pytest.fixture
def plugin_bundle(plugin_tree, program):
    """The bundle made of it for the program."""
    return bundle.bundle(program)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A Linux with three Kritas and three GIMPs: each one on the PATH, an AppImage and a flatpak. The Kritas look in
    two places, the flatpak in its own; so do the GIMPs, those of one version in the same."""
    home, root = tmp_path / "user", tmp_path / "root"
    images = [home / f"Applications/{name}-x86_64.appimage" for name in ("krita-5.3.0", "GIMP-3.2.6")]
    for path in (root / "bin/krita", root / "bin/gimp", *images):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    for app in ("org.kde.krita", "org.gimp.GIMP"):
        (home / ".local/share/flatpak/app" / app).mkdir(parents=True)
    says = {"krita": "krita 5.2.9\n", "gimp": "GNU Image Manipulation Program version 3.0.4\n"}
    flatpaks = {"org.kde.krita": "5.2.6", "org.gimp.GIMP": "3.0.8"}

    def run(command):
        name = command[0].rpartition("/")[2]
        return f"     Version: {flatpaks[command[-1]]}\n" if name == "flatpak" else says.get(name, "")

    system = System("linux", home, {"PATH": str(root / "bin")}, root, run)
    monkeypatch.setattr(hosts, "System", lambda: system)
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "scumble-home"))
    object.__setattr__(system, "says", says)
    object.__setattr__(system, "flatpaks", flatpaks)
    return system


def remove(machine, name, channels=("installed", "AppImage", "flatpak")):
    """Take a program from it, as far as it came by those channels."""
    if "installed" in channels:
        (machine.root / "bin" / name).unlink(missing_ok=True)
    if "AppImage" in channels:
        for path in [*(machine.home / "Applications").iterdir()]:
            if path.name.lower().startswith(name):
                path.unlink()
    if "flatpak" in channels:
        app = {"krita": "org.kde.krita", "gimp": "org.gimp.GIMP"}[name]
        shutil.rmtree(machine.home / ".local/share/flatpak/app" / app, ignore_errors=True)
