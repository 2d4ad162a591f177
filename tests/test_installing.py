"""Installing the plug-in: what lies where afterwards, what is never destroyed, and what the commands say."""

import errno
import json
import os
import stat
import sys
import zipfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from click.testing import CliRunner
from made_plugins import INSTALLED, OWN, files, remove

from scumble import __version__, installing, starter
from scumble.bundle import bundle, sources
from scumble.cli import cli
from scumble.errors import ScumbleError
from scumble.hosts import Program
from scumble.installing import Place, State, install, look, place_at, places, uninstall


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "its")


@pytest.fixture
def own(place, program):
    """The folder that is ours alone, in the place."""
    return place.folder / OWN[program]


@pytest.fixture
def old_bundle(plugin_bundle):
    """An earlier version, with two files that are no more, one of them outside the folder that is ours."""
    gone = {plugin_bundle.own / "gone.py": b"", PurePosixPath("actions/old.action"): b""}
    before = {**plugin_bundle.files, **gone, plugin_bundle.own / "link/text.py": b"HELLO = 0\n"}
    return replace(plugin_bundle, files=before, version="0.0.1")


def snapshot(folder):
    """Every file with its content and its inode."""
    return {name: ((folder / name).read_bytes(), (folder / name).stat().st_ino) for name in files(folder)}


# ------------------------------------------------------------------------------------------------------- the files


def test_it_is_put_there(place, plugin_bundle, program):
    assert look(place, plugin_bundle).state is State.ABSENT
    assert install(place, plugin_bundle).state is State.ABSENT
    assert files(place.folder) == INSTALLED[program]
    assert look(place, plugin_bundle) == installing.Found(State.CURRENT, __version__, tuple(plugin_bundle.beside))
    before = snapshot(place.folder)
    assert install(place, plugin_bundle).state is State.CURRENT
    assert snapshot(place.folder) == before  # nothing is written where nothing changes


def test_another_version_is_replaced_wholly(place, own, plugin_bundle, old_bundle, program):
    install(place, old_bundle)
    (own / "__pycache__").mkdir()
    (own / "__pycache__/gone.pyc").touch()
    (place.folder / "actions/other.action").touch()
    assert look(place, plugin_bundle).state is State.OTHER and look(place, plugin_bundle).version == "0.0.1"
    assert install(place, plugin_bundle).version == "0.0.1"
    assert files(place.folder) == sorted((*INSTALLED[program], "actions/other.action"))
    assert (own / "link/text.py").read_bytes() == b"HELLO = 1\n"


@pytest.mark.parametrize("is_gone", [True, False])
def test_what_is_damaged_is_mended(place, plugin_bundle, is_gone):
    install(place, plugin_bundle)
    for name in plugin_bundle.files:
        path = place.folder / name
        path.unlink() if is_gone else path.write_bytes(b"x")
        found = install(place, plugin_bundle)
        assert found.state is State.DAMAGED
        assert found.damage == f"{name} {'is missing' if is_gone else 'was changed'}"
        assert look(place, plugin_bundle).state is State.CURRENT


@pytest.mark.parametrize("marker", [None, "[]", "{", '{"version": 1, "digest": "x"}'])
def test_what_is_foreign_stays(place, own, plugin_bundle, marker):
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


def test_a_link_into_a_checkout_stays(place, own, plugin_bundle, program, tmp_path):
    install(Place(tmp_path / "checkout"), plugin_bundle)
    own.parent.mkdir(parents=True)
    own.symlink_to(tmp_path / "checkout" / OWN[program])
    for act in (install, uninstall):
        with pytest.raises(ScumbleError, match="symbolic link"):
            act(place, plugin_bundle)
    assert files(tmp_path / "checkout") == INSTALLED[program]


def test_it_is_taken_out_alone(place, own, plugin_bundle):
    assert uninstall(place, plugin_bundle).state is State.ABSENT
    install(place, plugin_bundle)
    (own / "__pycache__").mkdir()
    others = [f"{own.parent.name}/{each}" for each in ("other.desktop", "other/__init__.py")]
    for other in (*others, "actions/other.action", "x.png"):
        (place.folder / other).parent.mkdir(exist_ok=True)
        (place.folder / other).touch()
    assert uninstall(place, plugin_bundle).state is State.CURRENT
    assert files(place.folder) == sorted((*others, "actions/other.action", "x.png"))
    assert not own.exists()


@pytest.mark.parametrize("name", ["../precious", "/precious", "actions/../../precious", "..\\precious", "C:\\precious"])
def test_a_marker_cannot_name_a_file_elsewhere(place, own, old_bundle, tmp_path, name):
    install(place, old_bundle)
    precious = tmp_path / "precious"
    precious.touch()
    (place.folder / name.replace("\\", "_")).parent.mkdir(parents=True, exist_ok=True)
    marker = own / "installed.json"
    name = str(precious) if name == "/precious" else name
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "files": [name, "actions/old.action", 3]}))
    assert [str(path) for path in look(place, old_bundle).beside] == ["actions/old.action", "3"]
    uninstall(place, old_bundle)
    assert precious.exists() and not (place.folder / "actions/old.action").exists()


def test_a_full_disk_leaves_what_was(place, plugin_bundle, old_bundle, program, monkeypatch):
    install(place, old_bundle)
    before = snapshot(place.folder)
    real, room = Path.write_bytes, [5]

    def write(self, data):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", write)
    for files_written in range(len(INSTALLED[program])):
        room[0] = files_written
        with pytest.raises(ScumbleError) as caught:
            install(place, plugin_bundle)
        assert caught.value.code == "disk-full" and "as it was" in caught.value.hint
        assert snapshot(place.folder) == before


@pytest.mark.parametrize(
    ("program", "fault"), [(Program.KRITA, "rename"), (Program.GIMP, "rename"), (Program.GIMP, "chmod")]
)
def test_a_swap_that_fails_is_taken_back(place, own, old_bundle, plugin_bundle, fault, monkeypatch):
    install(place, old_bundle)
    (own / "manual.html").write_text("before")
    before, real = snapshot(place.folder), getattr(Path, fault)

    def refuse(self, target):
        if ".new" in str(self):
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return real(self, target)

    monkeypatch.setattr(Path, fault, refuse)
    with pytest.raises(ScumbleError, match="Permission denied") as caught:
        install(place, plugin_bundle)
    assert caught.value.code == "cannot-write" and snapshot(place.folder) == before


def test_what_a_killed_installation_left_is_swept(place, own, plugin_bundle):
    for name in (".scumble-0123456789ab.new", ".scumble-0123456789ab.old", ".scumble-mine.new"):
        (own.parent / name / "link").mkdir(parents=True)
    install(place, plugin_bundle)
    left = {path.name for path in own.parent.iterdir()}
    assert left - {"scumble.desktop"} == {".scumble-mine.new", "scumble"}


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes")
@pytest.mark.parametrize(
    ("umask", "folder", "file", "entry"), [(0o022, 0o755, 0o644, 0o755), (0o077, 0o700, 0o600, 0o700)]
)
def test_others_can_read_it_as_the_umask_says(place, own, plugin_bundle, umask, folder, file, entry):
    before = os.umask(umask)
    try:
        install(place, plugin_bundle)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (own, *own.iterdir())}
    assert modes.pop("scumble") == modes.pop("link") == folder and len(modes) > 2
    assert modes.pop("scumble.py", entry) == entry
    assert {*modes.values()} == {file}


@pytest.mark.parametrize("program", [Program.GIMP], ids=str)
def test_what_cannot_be_run_is_mended(place, own, plugin_bundle, monkeypatch):
    install(place, plugin_bundle)
    (own / "scumble.py").chmod(0o644)
    assert look(place, plugin_bundle).damage == "plug-ins/scumble/scumble.py may not be run"
    with monkeypatch.context() as there:
        there.setattr(sys, "platform", "win32")  # where no file has a run bit
        assert look(place, plugin_bundle).state is State.CURRENT
    assert install(place, plugin_bundle).state is State.DAMAGED
    assert os.access(own / "scumble.py", os.X_OK) and look(place, plugin_bundle).state is State.CURRENT


@pytest.mark.parametrize("program", [Program.GIMP], ids=str)
def test_what_was_there_before_gives_no_run_bit(place, own, plugin_tree, plugin_bundle):
    """Neither do the sources: all that is run is the one file."""
    for path in plugin_tree.rglob("*.py"):
        path.chmod(0o777)
    install(place, bundle(Program.GIMP))
    assert [name for name in files(own) if os.access(own / name, os.X_OK)] == ["scumble.py"]


# ------------------------------------------------------------------------------------------------------ the places


def test_hosts_that_share_a_folder_are_one_place(machine):
    home = machine.home
    native, flatpak = places(Program.KRITA, machine)
    assert native.folder == home / ".local/share/krita" and native.settings == home / ".config/kritarc"
    assert [host.channel for host in native.hosts] == ["installed", "AppImage"]
    assert flatpak.folder == home / ".var/app/org.kde.krita/data/krita" and flatpak.channels == ("flatpak",)
    assert flatpak.settings == home / ".var/app/org.kde.krita/config/kritarc"
    first, second = places(Program.GIMP, machine)
    assert first.folder == home / ".config/GIMP/3.0" and first.channels == ("installed", "flatpak")
    assert second.folder == home / ".config/GIMP/3.2" and second.channels == ("AppImage",)
    assert first.settings is second.settings is None


def test_a_folder_that_is_named(machine, tmp_path, monkeypatch):
    home = machine.home
    assert place_at(Program.KRITA, home / ".local/share/krita").settings == home / ".config/kritarc"
    assert place_at(Program.KRITA, tmp_path / "portable").settings is None
    assert place_at(Program.GIMP, home / ".config/GIMP/3.2") == Place(home / ".config/GIMP/3.2")
    monkeypatch.chdir(tmp_path)
    assert place_at(Program.KRITA, Path("portable")).folder == tmp_path / "portable"
    # as the programs themselves show it
    assert place_at(Program.GIMP, home / ".config/GIMP/3.2/plug-ins").folder == home / ".config/GIMP/3.2"
    assert place_at(Program.KRITA, home / ".local/share/krita/pykrita").settings == home / ".config/kritarc"


# ---------------------------------------------------------------------------------------------------- the commands


def scumble(*words, status=0):
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == status, done.output + repr(done.exception)
    assert "Traceback" not in done.output
    return " ".join(done.stdout.split()), " ".join(done.stderr.split())


@pytest.fixture
def name(program):
    """What the program is called on the command line."""
    return program.name.lower()


@pytest.mark.usefixtures("plugin_tree")
def test_the_command_installs_into_every_krita(machine, tmp_path):
    settings = machine.home / ".config/kritarc"
    settings.parent.mkdir()
    settings.write_bytes(b"[python]\r\nenable_scumble=false\r\n")
    out, err = scumble("install", "krita")
    native, flatpak = places(Program.KRITA, machine)
    for place in (native, flatpak):
        assert files(place.folder) == INSTALLED[Program.KRITA] and installing.is_on(place)
        assert f"version {__version__} into {place.folder / 'pykrita/scumble'}" in out and str(place.settings) in out
    assert settings.read_bytes() == b"[python]\r\nenable_scumble=true\r\n"
    assert "Krita 5.2.9, installed and Krita 5.3.0, AppImage" in out and "Settings ▸ Dockers ▸ Scumble" in out
    assert "flatpak override --user --filesystem=~/.scumble:ro org.kde.krita" in out and err == ""
    assert "GIMP" not in out and not (machine.home / ".config/GIMP").exists()
    start = tmp_path / "scumble-home/start.json"
    assert json.loads(start.read_text()) == {
        "command": [sys.executable, "-m", "scumble", "serve", "--background"],
        "version": __version__,
    }
    assert "already" in scumble("install", "krita")[0]


@pytest.mark.usefixtures("plugin_tree")
def test_the_command_installs_into_every_gimp(machine, tmp_path):
    out, err = scumble("install", "gimp")
    for folder in (machine.home / ".config/GIMP/3.0", machine.home / ".config/GIMP/3.2"):
        assert files(folder) == INSTALLED[Program.GIMP]
        assert os.access(folder / "plug-ins/scumble/scumble.py", os.X_OK)
        assert f"version {__version__} into {folder / 'plug-ins/scumble'}" in out
    assert "GIMP 3.0.4, installed and GIMP 3.0.8, flatpak" in out and "GIMP 3.2.6, AppImage" in out
    assert out.count("A flatpak cannot start it: run `scumble start`") == 1 and "flatpak override" not in out
    assert out.endswith("Restart GIMP if it is running; it is under Filters ▸ Artistic ▸ Scumble….") and err == ""
    assert "Krita" not in out and "turned on" not in out and not (machine.home / ".local/share/krita").exists()
    assert (tmp_path / "scumble-home/start.json").is_file()
    assert "already" in scumble("install", "gimp")[0]


@pytest.mark.usefixtures("plugin_tree")
@pytest.mark.parametrize("names", [(), ("krita", "gimp"), ("gimp", "krita")])
def test_the_command_installs_into_both(machine, names):
    out, _ = scumble("install", *names)
    for program in Program:
        for place in places(program, machine):
            assert files(place.folder) == INSTALLED[program]
    assert out.index("Restart Krita") < out.index("Restart GIMP") and out.count("Restart") == 2
    out, _ = scumble("uninstall", *names)
    assert out.count("out of") == 4
    assert out.endswith("Restart Krita if it is running. Restart GIMP if it is running.")
    assert not [each for each in files(machine.home) if "scumble" in each]


@pytest.mark.usefixtures("plugin_tree")
@pytest.mark.parametrize(("program", "other"), [(Program.KRITA, "gimp"), (Program.GIMP, "krita")])
def test_where_there_is_only_one_of_both(machine, program, other):
    remove(machine, other)
    out, err = scumble("install")
    assert {name for place in places(program, machine) for name in files(place.folder)} == {*INSTALLED[program]}
    assert out.count("Restart") == 1 and err == ""
    scumble("uninstall")
    out, err = scumble("install", "krita", "gimp", status=3)  # who names it wants it
    assert "was not found on this machine" in err and f"scumble install {other} --folder" in err
    assert all(files(place.folder) == INSTALLED[program] for place in places(program, machine))


@pytest.mark.usefixtures("plugin_tree")
def test_what_a_snap_cannot_do_is_told(machine, program, name):
    (machine.root / "snap" / name / "current").mkdir(parents=True)
    own = machine.home / "snap" / name / "current"
    (own / ".config/GIMP/3.2").mkdir(parents=True)
    out, _ = scumble("install", name)
    assert "A snap can neither start it" in out and f"Take {program.value}'s" in out
    folder = {"krita": own / ".local/share/krita", "gimp": own / ".config/GIMP/3.2"}[name]
    assert files(folder) == INSTALLED[program]


@pytest.mark.usefixtures("plugin_tree")
def test_a_dry_run_changes_nothing(machine, name, program, tmp_path):
    before = files(tmp_path)
    out, _ = scumble("install", name, "--dry-run")
    assert files(tmp_path) == before and "Nothing was changed" in out and OWN[program] in out
    scumble("install", name)
    before = snapshot(tmp_path)
    out, _ = scumble("uninstall", name, "--dry-run")
    assert snapshot(tmp_path) == before and "Nothing was changed" in out


@pytest.mark.usefixtures("plugin_tree")
def test_it_is_not_turned_on_unasked(machine, tmp_path):
    out, _ = scumble("install", "krita", "--no-enable")
    assert not (machine.home / ".config").exists() and "Python Plugin Manager" in out
    out, _ = scumble("install", "krita", "--folder", str(tmp_path / "portable"))
    assert files(tmp_path / "portable") == INSTALLED[Program.KRITA] and "Python Plugin Manager" in out
    out, _ = scumble("install", "--no-enable")
    assert "That is left to you" in out and not (machine.home / ".config/kritarc").exists()
    _, err = scumble("install", "gimp", "--no-enable", status=2)
    assert "GIMP has nothing to turn on" in err


@pytest.mark.usefixtures("plugin_tree", "machine")
@pytest.mark.parametrize("end", ["", "/plug-ins"])
def test_a_gimp_that_is_named_by_its_folder(tmp_path, end):
    folder = tmp_path / "portable"
    out, _ = scumble("install", "gimp", "--folder", f"{folder}{end}")
    assert files(folder) == INSTALLED[Program.GIMP] and str(folder / "plug-ins/scumble") in out
    assert "Filters ▸ Artistic" in out and "flatpak" not in out and "turned on" not in out
    assert "out of" in scumble("uninstall", "gimp", "--folder", f"{folder}{end}")[0] and files(folder) == []


@pytest.mark.usefixtures("plugin_tree", "machine")
@pytest.mark.parametrize("names", [(), ("krita", "gimp")])
@pytest.mark.parametrize("words", [("install", "--zip"), ("install", "--folder"), ("uninstall", "--folder")])
def test_what_is_for_one_program_needs_its_name(tmp_path, names, words):
    before = files(tmp_path)
    _, err = scumble(words[0], *names, words[1], str(tmp_path / "x"), status=2)
    assert f"{words[1]} needs one program: krita or gimp" in err and files(tmp_path) == before


@pytest.mark.usefixtures("plugin_tree")
def test_the_command_uninstalls(machine, program, name, tmp_path):
    settings = machine.home / ".config/kritarc"
    settings.parent.mkdir()
    settings.write_bytes(b"[scumble]\nquality=fine\n[python]\nenable_other=true\n")
    before = settings.read_bytes()
    assert f"in no {program.value}" in scumble("uninstall", name)[0]
    scumble("install", name)
    remove(machine, name)  # also where the program itself has gone
    out, _ = scumble("uninstall", name)
    assert "out of" in out and settings.read_bytes() == before
    assert out.endswith(f"Restart {program.value} if it is running.")
    assert not [each for each in files(tmp_path / "user") if "scumble" in each]
    assert (tmp_path / "scumble-home/start.json").exists()
    assert "in no Krita and no GIMP of yours" in scumble("uninstall")[0]


@pytest.mark.usefixtures("plugin_tree")
def test_a_program_that_is_not_there(machine, program, name, tmp_path):
    usual = {"krita": ".local/share/krita", "gimp": ".config/GIMP/3.0"}[name]
    remove(machine, name)
    out, err = scumble("install", name, status=3)
    assert f"{program.value} was not found" in err and f"--folder {machine.home}/{usual}" in err and out == ""
    remove(machine, "krita"), remove(machine, "gimp")
    _, err = scumble("install", status=3)
    assert "Krita was not found on this machine. GIMP was not found on this machine." in err
    assert not (tmp_path / "scumble-home").exists()


@pytest.mark.usefixtures("plugin_tree")
def test_an_old_krita(machine):
    machine.flatpaks["org.kde.krita"] = "4.4.8"
    out, _ = scumble("install", "krita")
    assert "too old" in out and not (machine.home / ".var").exists()
    remove(machine, "krita", ["AppImage"])
    machine.says["krita"] = "krita 5.0.2\n"
    _, err = scumble("install", "krita", status=3)
    assert "Krita 5.0.2, installed is too old: the plug-in needs 5.1 or later" in err


@pytest.mark.usefixtures("plugin_tree")
@pytest.mark.parametrize("version", ["2.10.36", "2.99.18"])
def test_an_old_gimp(machine, version):
    machine.says["gimp"] = f"GNU Image Manipulation Program version {version}\n"
    out, _ = scumble("install", "gimp")
    folder = machine.home / ".config/GIMP"
    assert f"GIMP {version}, installed" in out and "too old" in out
    assert sorted(path.name for path in folder.iterdir()) == ["3.0", "3.2"]
    remove(machine, "gimp", ["AppImage", "flatpak"])
    out, err = scumble("install", "gimp", status=3)
    assert f"GIMP {version}, installed is too old: the plug-in needs 3.0 or later" in err and out == ""
    out, err = scumble("install")  # then Krita is what was meant
    assert "too old" in out and "Restart GIMP" not in out and "Restart Krita" in out and err == ""


@pytest.mark.usefixtures("plugin_tree")
def test_a_gimp_that_does_not_tell_its_version(machine, tmp_path):
    remove(machine, "gimp", ["AppImage", "flatpak"])
    machine.says["gimp"] = ""
    _, err = scumble("install", "gimp", status=3)
    assert "not known before it has been started once" in err and "Start GIMP" in err
    for name in ("2.10", "3.0", "3.2"):
        (machine.home / ".config/GIMP" / name).mkdir(parents=True)
    out, _ = scumble("install", "gimp")
    assert [files(machine.home / ".config/GIMP" / name) for name in ("2.10", "3.0", "3.2")] == [
        [],
        *[INSTALLED[Program.GIMP]] * 2,
    ]
    assert out.count("version unknown") == 2


@pytest.mark.usefixtures("plugin_tree")
def test_one_that_fails_does_not_keep_the_others(machine, program, name):
    first, second = places(program, machine)
    (first.folder / OWN[program]).mkdir(parents=True)
    out, err = scumble("install", name, status=3)
    assert "not put there by Scumble" in err and "failed" in out
    assert files(second.folder) == INSTALLED[program] and files(first.folder) == []
    assert not installing.is_on(first) and installing.is_on(second) is {"krita": True, "gimp": None}[name]


@pytest.mark.usefixtures("plugin_tree")
@pytest.mark.parametrize(("name", "broken"), [("krita", "folder"), ("krita", "settings"), ("gimp", "folder")])
def test_what_cannot_be_written_is_told(machine, name, broken):
    remove(machine, name, ["AppImage", "flatpak"])
    (place,) = places(Program[name.upper()], machine)
    if broken == "folder":
        place.folder.parent.mkdir(parents=True, exist_ok=True)
        place.folder.write_text("a file")
    else:
        place.settings.mkdir(parents=True)
    out, err = scumble("install", name, status=2)
    assert f"Error: {place.folder if broken == 'folder' else place.settings}" in err and "Hint:" in err
    assert ("pykrita/scumble" in out) == (broken == "settings")  # what was done before it is told


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.usefixtures("plugin_tree")
def test_a_folder_that_is_read_only(name, tmp_path):
    (tmp_path / "its").mkdir(mode=0o500)
    _, err = scumble("install", name, "--folder", str(tmp_path / "its"), status=2)
    assert "Permission denied" in err and "Hint:" in err


@pytest.mark.usefixtures("plugin_tree", "machine")
def test_the_command_writes_a_zip(tmp_path, name):
    before = files(tmp_path)
    out, _ = scumble("install", name, "--zip", str(tmp_path / "s.zip"))
    words = {
        "krita": ["Import Python Plugin from File"],
        "gimp": ["Folders ▸ Plug-ins", "scumble/scumble.py", "restart"],
    }
    assert all(each in out for each in words[name])
    assert files(tmp_path) == sorted((*before, "s.zip"))
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert "scumble/installed.json" in archive.namelist()
        assert ("scumble/scumble.py" in archive.namelist()) == (name == "gimp")
    assert "cannot be written" in scumble("install", name, "--zip", str(tmp_path / "no/s.zip"), status=2)[1]
    assert "--zip" in scumble("install", name, "--zip", "s.zip", "--dry-run", status=2)[1]


def test_nothing_heavy_is_needed(plugin_tree, machine, program):
    import subprocess

    code = (
        "import sys; from pathlib import Path; from scumble import bundle, installing; from scumble.hosts import *;"
        "program = Program[sys.argv[3]]; place = installing.place_at(program, Path(sys.argv[2]));"
        "installing.install(place, bundle.bundle(program, Path(sys.argv[1])));"
        "print(*sys.modules)"
    )
    folder = machine.home / "elsewhere"
    command = [sys.executable, "-c", code, str(plugin_tree), str(folder), program.name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert files(folder) == INSTALLED[program]
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
