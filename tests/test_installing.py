"""Installing the plug-in: what lies where afterwards, what is never destroyed, and what the commands say."""

import errno
import json
import os
import stat
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from click.testing import CliRunner
from made_plugins import INSTALLED, files

from scumble import __version__, installing, starter
from scumble.bundle import Bundle, sources
from scumble.cli import cli
from scumble.errors import ScumbleError
from scumble.hosts import Program
from scumble.installing import Place, State, install, look, place_at, places, uninstall


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "krita", tmp_path / "config/kritarc")


def snapshot(folder):
    """Every file with its content and its inode."""
    return {name: ((folder / name).read_bytes(), (folder / name).stat().st_ino) for name in files(folder)}


# ------------------------------------------------------------------------------------------------------- the files


def test_it_is_put_there(place, plugin_bundle):
    assert look(place, plugin_bundle).state is State.ABSENT
    assert install(place, plugin_bundle).state is State.ABSENT
    assert files(place.folder) == INSTALLED
    assert look(place, plugin_bundle) == installing.Found(State.CURRENT, __version__, tuple(plugin_bundle.beside))
    before = snapshot(place.folder)
    assert install(place, plugin_bundle).state is State.CURRENT
    assert snapshot(place.folder) == before  # nothing is written where nothing changes


def test_another_version_is_replaced_wholly(place, plugin_bundle, plugin_tree):
    old = {
        **plugin_bundle.files,
        PurePosixPath("pykrita/scumble/gone.py"): b"",
        PurePosixPath("actions/old.action"): b"",
    }
    old[PurePosixPath("pykrita/scumble/link/text.py")] = b"HELLO = 0\n"
    install(place, Bundle(Program.KRITA, plugin_bundle.own, old, "0.0.1"))
    (place.folder / "pykrita/scumble/__pycache__").mkdir()
    (place.folder / "pykrita/scumble/__pycache__/gone.pyc").touch()
    (place.folder / "actions/other.action").touch()
    assert look(place, plugin_bundle).state is State.OTHER and look(place, plugin_bundle).version == "0.0.1"
    assert install(place, plugin_bundle).version == "0.0.1"
    assert files(place.folder) == sorted((*INSTALLED, "actions/other.action"))
    assert (place.folder / "pykrita/scumble/link/text.py").read_bytes() == b"HELLO = 1\n"


@pytest.mark.parametrize("name", ["pykrita/scumble/link/text.py", "pykrita/scumble.desktop", "actions/scumble.action"])
@pytest.mark.parametrize("is_gone", [True, False])
def test_what_is_damaged_is_mended(place, plugin_bundle, name, is_gone):
    install(place, plugin_bundle)
    (place.folder / name).unlink() if is_gone else (place.folder / name).write_bytes(b"x")
    assert install(place, plugin_bundle).state is State.DAMAGED
    assert look(place, plugin_bundle).state is State.CURRENT


@pytest.mark.parametrize("marker", [None, "[]", "{", '{"version": 1, "digest": "x"}'])
def test_what_is_foreign_stays(place, plugin_bundle, marker):
    own = place.folder / "pykrita/scumble"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text("mine")
    if marker is not None:
        (own / "installed.json").write_text(marker)
    before = snapshot(place.folder)
    for act in (install, uninstall):
        with pytest.raises(ScumbleError, match="not put there by Scumble") as caught:
            act(place, plugin_bundle)
        assert caught.value.code == "foreign-plugin" and caught.value.hint
    assert snapshot(place.folder) == before


def test_a_link_into_a_checkout_stays(place, plugin_bundle, tmp_path):
    install(Place(tmp_path / "checkout", None), plugin_bundle)
    (place.folder / "pykrita").mkdir(parents=True)
    (place.folder / "pykrita/scumble").symlink_to(tmp_path / "checkout/pykrita/scumble")
    for act in (install, uninstall):
        with pytest.raises(ScumbleError, match="symbolic link"):
            act(place, plugin_bundle)
    assert files(tmp_path / "checkout") == INSTALLED


def test_it_is_taken_out_alone(place, plugin_bundle):
    assert uninstall(place, plugin_bundle).state is State.ABSENT
    install(place, plugin_bundle)
    (place.folder / "pykrita/scumble/__pycache__").mkdir()
    for other in ("pykrita/other.desktop", "pykrita/other/__init__.py", "actions/other.action", "x.png"):
        (place.folder / other).parent.mkdir(exist_ok=True)
        (place.folder / other).touch()
    assert uninstall(place, plugin_bundle).state is State.CURRENT
    assert files(place.folder) == [
        "actions/other.action",
        "pykrita/other.desktop",
        "pykrita/other/__init__.py",
        "x.png",
    ]
    assert not (place.folder / "pykrita/scumble").exists()


@pytest.mark.parametrize("name", ["../precious", "/precious", "actions/../../precious", "..\\precious", "C:\\precious"])
def test_a_marker_cannot_name_a_file_elsewhere(place, plugin_bundle, tmp_path, name):
    install(place, plugin_bundle)
    precious = tmp_path / "precious"
    precious.touch()
    (place.folder / name.replace("\\", "_")).parent.mkdir(parents=True, exist_ok=True)
    marker = place.folder / "pykrita/scumble/installed.json"
    name = str(precious) if name == "/precious" else name
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "files": [name, "actions/scumble.action", 3]}))
    assert [str(path) for path in look(place, plugin_bundle).beside] == ["actions/scumble.action", "3"]
    uninstall(place, plugin_bundle)
    assert precious.exists() and not (place.folder / "actions/scumble.action").exists()


def test_a_full_disk_leaves_what_was(place, plugin_bundle, monkeypatch):
    old = Bundle(Program.KRITA, plugin_bundle.own, {**plugin_bundle.files, PurePosixPath("actions/a.action"): b""}, "0")
    install(place, old)
    before = snapshot(place.folder)
    real, room = Path.write_bytes, [5]

    def write(self, data):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    for files_written in range(len(INSTALLED)):
        room[0] = files_written
        with pytest.raises(ScumbleError) as caught:
            install(place, plugin_bundle)
        assert caught.value.code == "disk-full" and "as it was" in caught.value.hint
        assert snapshot(place.folder) == before


def test_a_swap_that_fails_is_taken_back(place, plugin_bundle, monkeypatch):
    install(place, Bundle(Program.KRITA, plugin_bundle.own, {**plugin_bundle.files}, "0.0.1"))
    (place.folder / "pykrita/scumble/manual.html").write_text("before")
    before, real = snapshot(place.folder), Path.rename

    def rename(self, target):
        if self.name.endswith(".new"):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ScumbleError, match="Permission denied") as caught:
        install(place, plugin_bundle)
    assert caught.value.code == "cannot-write" and snapshot(place.folder) == before


def test_what_a_killed_installation_left_is_swept(place, plugin_bundle):
    for name in (".scumble-0123456789ab.new", ".scumble-0123456789ab.old", ".scumble-mine.new"):
        (place.folder / "pykrita" / name / "link").mkdir(parents=True)
    install(place, plugin_bundle)
    assert sorted(path.name for path in (place.folder / "pykrita").iterdir()) == [
        ".scumble-mine.new",
        "scumble",
        "scumble.desktop",
    ]


def test_others_can_read_it_as_the_umask_says(place, plugin_bundle):
    before = os.umask(0o022)
    try:
        install(place, plugin_bundle)
    finally:
        os.umask(before)
    own = place.folder / "pykrita/scumble"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (own, own / "manual.html")] == [0o755, 0o644]


# ------------------------------------------------------------------------------------------------------ the places


def test_kritas_that_share_a_folder_are_one_place(krita_machine):
    native, flatpak = places(Program.KRITA, krita_machine)
    home = krita_machine.home
    assert native.folder == home / ".local/share/krita" and native.settings == home / ".config/kritarc"
    assert [host.channel for host in native.hosts] == ["installed", "AppImage"]
    assert flatpak.folder == home / ".var/app/org.kde.krita/data/krita" and flatpak.channel == "flatpak"
    assert flatpak.settings == home / ".var/app/org.kde.krita/config/kritarc"


def test_a_folder_that_is_named(krita_machine, tmp_path, monkeypatch):
    assert place_at(krita_machine.home / ".local/share/krita").settings == krita_machine.home / ".config/kritarc"
    assert place_at(tmp_path / "portable").settings is None
    monkeypatch.chdir(tmp_path)
    assert place_at(Path("portable")).folder == tmp_path / "portable"


# ---------------------------------------------------------------------------------------------------- the commands


def scumble(*words, status=0):
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == status, done.output + repr(done.exception)
    assert "Traceback" not in done.output
    return " ".join(done.stdout.split()), " ".join(done.stderr.split())


@pytest.mark.usefixtures("plugin_tree")
def test_the_command_installs_into_every_krita(krita_machine, tmp_path):
    settings = krita_machine.home / ".config/kritarc"
    settings.parent.mkdir()
    settings.write_bytes(b"[python]\r\nenable_scumble=false\r\n")
    out, err = scumble("install", "krita")
    native, flatpak = places(Program.KRITA, krita_machine)
    for place in (native, flatpak):
        assert files(place.folder) == INSTALLED and installing.is_on(place)
        assert f"version {__version__} into {place.folder / 'pykrita/scumble'}" in out and str(place.settings) in out
    assert settings.read_bytes() == b"[python]\r\nenable_scumble=true\r\n"
    assert "Krita 5.2.9, installed and Krita 5.3.0, AppImage" in out and "Settings ▸ Dockers ▸ Scumble" in out
    assert "flatpak override --user --filesystem=~/.scumble:ro org.kde.krita" in out and err == ""
    start = tmp_path / "scumble-home/start.json"
    assert json.loads(start.read_text()) == {
        "command": [sys.executable, "-m", "scumble", "serve", "--background"],
        "version": __version__,
    }
    assert "already" in scumble("install", "krita")[0]


@pytest.mark.usefixtures("plugin_tree")
def test_what_a_snap_cannot_do_is_told(krita_machine):
    (krita_machine.root / "snap/krita/current").mkdir(parents=True)
    out, _ = scumble("install", "krita")
    assert "A snap can neither start it" in out
    assert (krita_machine.home / "snap/krita/current/.local/share/krita/pykrita/scumble.desktop").is_file()


@pytest.mark.usefixtures("plugin_tree")
def test_a_dry_run_changes_nothing(krita_machine, tmp_path):
    before = files(tmp_path)
    out, _ = scumble("install", "krita", "--dry-run")
    assert files(tmp_path) == before and "Nothing was changed" in out and "pykrita/scumble" in out
    scumble("install", "krita")
    before = files(tmp_path)
    out, _ = scumble("uninstall", "krita", "--dry-run")
    assert files(tmp_path) == before and "Nothing was changed" in out
    assert all(installing.is_on(place) for place in places(Program.KRITA, krita_machine))


@pytest.mark.usefixtures("plugin_tree")
def test_it_is_not_turned_on_unasked(krita_machine, tmp_path):
    out, _ = scumble("install", "krita", "--no-enable")
    assert not (krita_machine.home / ".config").exists() and "Python Plugin Manager" in out
    out, _ = scumble("install", "krita", "--folder", str(tmp_path / "portable"))
    assert files(tmp_path / "portable") == INSTALLED and "Python Plugin Manager" in out


@pytest.mark.usefixtures("plugin_tree")
def test_the_command_uninstalls(krita_machine, tmp_path):
    settings = krita_machine.home / ".config/kritarc"
    settings.parent.mkdir()
    settings.write_bytes(b"[scumble]\nquality=fine\n[python]\nenable_other=true\n")
    before = settings.read_bytes()
    assert "in no Krita" in scumble("uninstall", "krita")[0]
    scumble("install", "krita")
    for path in (krita_machine.root / "bin/krita", *krita_machine.home.glob("Applications/*")):
        path.unlink()  # also where Krita itself has gone
    out, _ = scumble("uninstall", "krita")
    assert "out of" in out and settings.read_bytes() == before
    assert not [name for name in files(tmp_path / "user") if "scumble" in name]
    assert (tmp_path / "scumble-home/start.json").exists()


@pytest.mark.usefixtures("plugin_tree")
def test_no_krita(krita_machine):
    (krita_machine.root / "bin/krita").unlink()
    (krita_machine.home / "Applications/krita-5.3.0-x86_64.appimage").unlink()
    (krita_machine.home / ".local/share/flatpak/app/org.kde.krita").rmdir()
    out, err = scumble("install", "krita", status=3)
    assert "Krita was not found" in err and f"--folder {krita_machine.home}/.local/share/krita" in err and out == ""


@pytest.mark.usefixtures("plugin_tree")
def test_an_old_krita(krita_machine):
    krita_machine.says["flatpak"] = "     Version: 4.4.8\n"
    out, _ = scumble("install", "krita")
    assert "too old" in out and not (krita_machine.home / ".var").exists()
    (krita_machine.home / "Applications/krita-5.3.0-x86_64.appimage").unlink()
    krita_machine.says["krita"] = "krita 5.0.2\n"
    _, err = scumble("install", "krita", status=3)
    assert "Krita 5.0.2, installed is too old: the plug-in needs 5.1 or later" in err


@pytest.mark.usefixtures("plugin_tree")
def test_one_that_fails_does_not_keep_the_others(krita_machine):
    native, flatpak = places(Program.KRITA, krita_machine)
    (native.folder / "pykrita/scumble").mkdir(parents=True)
    out, err = scumble("install", "krita", status=3)
    assert "not put there by Scumble" in err and "failed" in out
    assert files(flatpak.folder) == INSTALLED and installing.is_on(flatpak) and not installing.is_on(native)


@pytest.mark.usefixtures("plugin_tree")
@pytest.mark.parametrize("broken", ["folder", "settings"])
def test_what_cannot_be_written_is_told(krita_machine, broken):
    (krita_machine.home / ".local/share/flatpak/app/org.kde.krita").rmdir()
    (place,) = places(Program.KRITA, krita_machine)
    if broken == "folder":
        place.folder.parent.mkdir(parents=True, exist_ok=True)
        place.folder.write_text("a file")
    else:
        place.settings.mkdir(parents=True)
    out, err = scumble("install", "krita", status=2)
    assert f"Error: {place.folder if broken == 'folder' else place.settings}" in err and "Hint:" in err
    assert ("pykrita/scumble" in out) == (broken == "settings")  # what was done before it is told


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.usefixtures("plugin_tree")
def test_a_folder_that_is_read_only(tmp_path):
    (tmp_path / "krita").mkdir(mode=0o500)
    _, err = scumble("install", "krita", "--folder", str(tmp_path / "krita"), status=2)
    assert "Permission denied" in err and "Hint:" in err


@pytest.mark.usefixtures("plugin_tree", "krita_machine")
def test_the_command_writes_a_zip(tmp_path):
    before = files(tmp_path)
    out, _ = scumble("install", "krita", "--zip", str(tmp_path / "s.zip"))
    assert "Import Python Plugin from File" in out
    assert files(tmp_path) == sorted((*before, "s.zip"))
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert "scumble/installed.json" in archive.namelist()
    assert "cannot be written" in scumble("install", "krita", "--zip", str(tmp_path / "no/s.zip"), status=2)[1]
    assert "--zip" in scumble("install", "krita", "--zip", "s.zip", "--no-enable", status=2)[1]


def test_nothing_heavy_is_needed(plugin_tree, krita_machine):
    import subprocess

    code = (
        "import sys; from pathlib import Path; from scumble import bundle, installing; from scumble.hosts import *;"
        "installing.install(installing.place_at(Path(sys.argv[2])), bundle.bundle(Program.KRITA, Path(sys.argv[1])));"
        "print(*sys.modules)"
    )
    folder = krita_machine.home / "elsewhere"
    done = subprocess.run(
        [sys.executable, "-c", code, str(plugin_tree), str(folder)], capture_output=True, text=True, check=True
    )
    assert files(folder) == INSTALLED
    assert not {"torch", "pydantic", "numpy", "rich", "PIL"} & {*done.stdout.split()}


# --------------------------------------------------------------------------------------------------- the start file


def test_the_start_file_is_its_users_alone(tmp_path):
    home = tmp_path / "home"
    path = starter.write(home, ["python", "-m", "scumble", "start", "--port=7878"])
    assert path == home / "start.json" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert json.loads(path.read_text())["command"][-1] == "--port=7878"
    other = tmp_path / "other"
    other.write_text("keep")
    path.unlink()
    path.symlink_to(other)
    starter.write(home)
    assert not path.is_symlink() and other.read_text() == "keep"
    assert json.loads(path.read_text())["command"] == [*starter.COMMAND]


def test_a_start_file_that_cannot_be_written(tmp_path):
    (tmp_path / "start.json").mkdir()
    with pytest.raises(ScumbleError, match=r"start\.json cannot be written") as caught:
        starter.write(tmp_path)
    assert caught.value.code == "cannot-write"


def test_the_bundle_of_this_checkout_reads_the_checkout():
    assert sources() == Path(__file__).parents[1] / "plugins"
