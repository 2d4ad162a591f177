"""A made-up tree of plug-ins, laid out as `plugins/` is, with what must not go along; and a machine to install on."""

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
SHIPPED = {
    "krita/scumble.desktop": DESKTOP,
    "krita/scumble.action": ACTION,
    "krita/scumble/__init__.py": b"from .link import text\n",
    "krita/scumble/manual.html": b"<p>\xc3\xa4</p>",
    "link/__init__.py": b"",
    "link/text.py": b"HELLO = 1\n",
    "link/locale/de.json": b"{}",
    "link/presets/oil.jpg": bytes(range(256)) * 9,
}
KEPT_BACK = (
    *(
        "link/__pycache__/text.cpython-311.pyc",
        "link/__pycache__/x.txt",
        "link/old.pyc",
        "link/tests/helper.py",
        "krita/scumble/test_docker.py",
    ),
    *("krita/scumble/.hidden", "krita/scumble/conftest.py", "krita/notes.md"),
)
INSTALLED = sorted(
    (
        *("actions/scumble.action", "pykrita/scumble.desktop", "pykrita/scumble/installed.json"),
        *(f"pykrita/scumble/{each}" for each in ("__init__.py", "manual.html", "link/__init__.py", "link/text.py")),
        *("pykrita/scumble/link/locale/de.json", "pykrita/scumble/link/presets/oil.jpg"),
    )
)


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


@pytest.fixture
def plugin_bundle(plugin_tree):
    """The bundle for Krita made of it."""
    return bundle.bundle(Program.KRITA)


@pytest.fixture
def krita_machine(tmp_path, monkeypatch):
    """A Linux with three Kritas, in two places: one on the PATH, an AppImage, a flatpak."""
    home, root = tmp_path / "user", tmp_path / "root"
    for path in (root / "bin/krita", home / "Applications/krita-5.3.0-x86_64.appimage"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    (home / ".local/share/flatpak/app/org.kde.krita").mkdir(parents=True)
    says = {"krita": "krita 5.2.9\n", "flatpak": "     Version: 5.2.6\n"}
    run = lambda command: says.get(command[0].rpartition("/")[2], "")  # noqa: E731
    system = System("linux", home, {"PATH": str(root / "bin")}, root, run)
    monkeypatch.setattr(hosts, "System", lambda: system)
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "scumble-home"))
    object.__setattr__(system, "says", says)
    return system
