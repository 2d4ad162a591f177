"""Bundles: which files go along and where to, the zip by the rules of Krita's importer, and the wheel."""

import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
import zipfile
from configparser import ConfigParser
from pathlib import Path, PurePosixPath

import pytest
from made_plugins import BESIDE, ENTRY, INSTALLED, NOTES, OWN, SHIPPED, files, make

from scumble import __version__
from scumble import bundle as bundles
from scumble.errors import ScumbleError
from scumble.hosts import Program

REPOSITORY = Path(__file__).parents[1]


def names(bundle):
    whole = {bundle.own / path: data for path, data in bundle.inside.items()} | bundle.beside
    return {str(path): data for path, data in whole.items()}


def test_what_a_program_gets(plugin_bundle, program):
    got, own = names(plugin_bundle), OWN[program]
    assert sorted(got) == INSTALLED[program]
    assert got[f"{own}/link/presets/oil.jpg"] == SHIPPED["link/presets/oil.jpg"]
    assert got[f"{own}/manual.html"] == SHIPPED[f"{program.name.lower()}/scumble/manual.html"]
    assert json.loads(got[f"{own}/installed.json"]) == {
        "version": __version__,
        "digest": plugin_bundle.digest,
        "files": [*BESIDE[program]],
    }


@pytest.mark.usefixtures("plugin_tree")
def test_what_lies_beside_and_what_is_run():
    krita, gimp = (bundles.bundle(program) for program in Program)
    assert names(krita)["pykrita/scumble.desktop"] == SHIPPED["krita/scumble.desktop"] and krita.entry is None
    assert names(gimp)["plug-ins/scumble/scumble.py"] == ENTRY
    assert gimp.entry == PurePosixPath("plug-ins/scumble/scumble.py")


def test_the_digest_knows_names_and_contents(plugin_tree, program):
    digests = {bundles.bundle(program).digest}
    assert bundles.bundle(program).digest in digests
    (plugin_tree / "link/text.py").write_bytes(b"HELLO = 2\n")
    digests.add(bundles.bundle(program).digest)
    (plugin_tree / "link/text.py").rename(plugin_tree / "link/texts.py")
    digests.add(bundles.bundle(program).digest)
    (plugin_tree / "link/.hidden").write_bytes(b"x")
    digests.add(bundles.bundle(program).digest)
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("program", "name"), [(Program.KRITA, "krita/scumble.action"), (Program.GIMP, "gimp/scumble/scumble.py")]
)
def test_a_part_that_is_missing_is_named(plugin_tree, program, name):
    (plugin_tree / name).unlink()
    with pytest.raises(ScumbleError, match=re.escape(name)) as caught:
        bundles.bundle(program)
    assert caught.value.code == "missing-file" and "again" in caught.value.hint


# ---------------------------------------------------------------------------------------------------------- the zip


def imported(data, resources):
    """What Krita's plugin_importer does with a zip (5.1 to 5.3 alike), told again: what it takes, and where to.

    Names come from X-KDE-Library; the module is the first *entry* for a folder of that name with `__init__.py` beside
    it; the action file is the one of that name, wherever it is.
    """
    archive = zipfile.ZipFile(io.BytesIO(data))
    entries = archive.namelist()
    (desktop,) = [name for name in entries if name.endswith(".desktop")]
    config = ConfigParser()
    config.read_string(archive.read(desktop).decode("utf-8"))
    name = config["Desktop Entry"]["X-KDE-Library"]
    assert config["Desktop Entry"]["Name"]
    folders = [each for each in entries if each == f"{name}/" or each.endswith(f"/{name}/")]
    module = next(each for each in folders if f"{each}__init__.py" in entries)
    action = next(each for each in entries if each.rpartition("/")[2] == f"{name}.action")
    found = {f"pykrita/{name}.desktop": archive.read(desktop), f"actions/{name}.action": archive.read(action)}
    for each in entries:
        if each.startswith(module) and not each.endswith("/"):
            found[f"pykrita/{name}/{each.removeprefix(module)}"] = archive.read(each)
    for path, content in found.items():
        (resources / path).parent.mkdir(parents=True, exist_ok=True)
        (resources / path).write_bytes(content)


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


@pytest.fixture
def krita_bundle(plugin_tree):
    return bundles.bundle(Program.KRITA, plugin_tree)


def test_the_zip_is_what_kritas_importer_wants(krita_bundle, tmp_path):
    imported(bundles.packed(krita_bundle), tmp_path / "krita")
    assert contents(tmp_path / "krita") == names(krita_bundle)


KRITAS = [Path("/usr/share/krita"), *Path(os.environ.get("SCUMBLE_ROOTS", "/none")).glob("*/usr/share/krita")]
IMPORTERS = [
    each for each in (path / "pykrita/plugin_importer/plugin_importer.py" for path in KRITAS) if each.is_file()
]


@pytest.mark.parametrize("importer", IMPORTERS, ids=str)
def test_the_real_importers_take_the_zip(importer, krita_bundle, tmp_path, monkeypatch):
    """With Debian's roots in the folder SCUMBLE_ROOTS, or Krita on this machine."""
    import builtins

    monkeypatch.setattr(builtins, "i18n", lambda text: text, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    spec = importlib.util.spec_from_file_location("plugin_importer", importer)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "scumble.zip").write_bytes(bundles.packed(krita_bundle))
    (tmp_path / "krita").mkdir()
    with contextlib.closing(zipfile.ZipFile(tmp_path / "scumble.zip")) as archive:
        monkeypatch.setattr(module.zipfile, "ZipFile", lambda _: archive)
        (plugin,) = module.PluginImporter("scumble.zip", str(tmp_path / "krita"), lambda _: False).import_all()
    assert plugin["name"] == "scumble"
    assert contents(tmp_path / "krita") == names(krita_bundle)


@pytest.mark.skipif(shutil.which("unzip") is None, reason="there is no unzip")
def test_the_zip_is_unpacked_among_gimps_plugins(plugin_tree, tmp_path):
    """By the program that people use, which keeps the run bit; it is then as if it had been installed."""
    from scumble.installing import Place, State, look

    ours = bundles.bundle(Program.GIMP, plugin_tree)
    (tmp_path / "scumble.zip").write_bytes(bundles.packed(ours))
    (tmp_path / "gimp/plug-ins").mkdir(parents=True)
    subprocess.run(["unzip", "-q", str(tmp_path / "scumble.zip")], cwd=tmp_path / "gimp/plug-ins", check=True)
    assert contents(tmp_path / "gimp") == names(ours)
    runs = [name for name in files(tmp_path / "gimp") if os.access(tmp_path / "gimp" / name, os.X_OK)]
    assert runs == ["plug-ins/scumble/scumble.py"]
    assert look(Place(tmp_path / "gimp"), ours).state is State.CURRENT


def test_the_zip_is_the_same_every_time(plugin_tree, program, tmp_path):
    first = bundles.packed(bundles.bundle(program))
    again = make(tmp_path / "again")
    for path in again.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert bundles.packed(bundles.bundle(program, again)) == first
    infos = entries(first)
    assert [each.filename for each in infos] == sorted(each.filename for each in infos)
    modes = {each.filename: each.external_attr >> 16 for each in infos}
    if program is Program.GIMP:
        assert modes.pop("scumble/scumble.py") == 0o100755
    assert {*modes.values()} == {0o40755, 0o100644}


def entries(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.infolist()


def test_other_files_have_another_time_in_the_zip(plugin_tree, program):
    """Or GIMP would not ask what it can do now, nor Python compile it again, when one is unpacked over the other."""
    times = []
    for number in range(20):
        (plugin_tree / "link/text.py").write_bytes(b"HELLO = %d\n" % number)
        found = {each.date_time for each in entries(bundles.packed(bundles.bundle(program)))}
        times += found
        assert len(found) == 1
    assert len({*times}) == 20 and all((1980, 1, 1) <= each[:3] < (2000, 1, 1) for each in times)
    assert not any(each[-1] % 2 for each in times)  # a zip knows even seconds only


# -------------------------------------------------------------------------------------------------------- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of this repository with made-up plug-ins, unpacked."""
    folder = tmp_path_factory.mktemp("build")
    source, made = folder / "source", folder / "made"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(
        REPOSITORY / "daemon/scumble", source / "daemon/scumble", ignore=shutil.ignore_patterns("__pycache__")
    )
    make(source / "plugins")
    stale = source / "build/lib/scumble/plugins/link/gone.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    code = "from setuptools import build_meta as b; b.build_wheel('out'); b.build_sdist('out')"
    (source / "out").mkdir()
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (file,) = (source / "out").glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(made)
    (archive,) = (source / "out").glob("*.tar.gz")
    shutil.unpack_archive(archive, folder / "sdist", filter="data")
    return made, next((folder / "sdist").iterdir())


def test_a_wheel_has_the_plugins(wheel):
    made, _ = wheel
    assert files(made / "scumble/plugins") == sorted((*SHIPPED, *NOTES))


def test_a_source_archive_has_the_plugins(wheel):
    _, unpacked = wheel
    assert files(unpacked / "plugins") == sorted((*SHIPPED, *NOTES))
    assert (unpacked / "setup.py").is_file()


def test_the_plugin_is_installed_from_a_wheel(wheel, program, tmp_path):
    made, _ = wheel
    for path in files(made / "scumble/plugins"):
        assert not os.access(made / "scumble/plugins" / path, os.X_OK)  # a wheel has lost it, so it has to be given
    data = tmp_path / "data/krita"
    home = {"HOME": str(tmp_path), "SCUMBLE_HOME": str(tmp_path / "own"), "XDG_DATA_HOME": str(tmp_path / "data")}
    environment = {**os.environ, **home, "XDG_CONFIG_HOME": str(tmp_path / "config"), "PYTHONPATH": str(made)}
    command = [sys.executable, "-m", "scumble", "install", program.name.lower(), "--folder", str(data)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert files(data) == INSTALLED[program]
    assert (tmp_path / "own/start.json").is_file()
    if program is Program.KRITA:
        assert (tmp_path / "config/kritarc").read_bytes() == b"[python]\nenable_scumble=true\n"
    else:
        assert os.access(data / "plug-ins/scumble/scumble.py", os.X_OK) and not (tmp_path / "config").exists()


# --------------------------------------------------------------------------------------------------- the real thing


def test_kritas_real_plugin_is_whole():
    real = bundles.bundle(Program.KRITA)
    assert {PurePosixPath("pykrita/scumble/__init__.py"), PurePosixPath("pykrita/scumble/link/__init__.py")} <= {
        *real.files
    }
    desktop = ConfigParser()
    desktop.read_string(real.files[PurePosixPath("pykrita/scumble.desktop")].decode())
    entry = desktop["Desktop Entry"]
    assert entry["X-KDE-Library"] == "scumble" and entry["ServiceTypes"] == "Krita/PythonPlugin"
    assert PurePosixPath("pykrita/scumble") / entry["X-Krita-Manual"] in real.files
    assert ET.fromstring(real.files[PurePosixPath("actions/scumble.action")]).find(".//Action") is not None


def test_gimps_real_plugin_is_whole():
    real = bundles.bundle(Program.GIMP)
    own = PurePosixPath("plug-ins/scumble")
    assert {own / "__init__.py", own / "link/__init__.py"} <= {*real.files}
    # GIMP's own Python, wherever that is, as in GIMP's own plug-ins
    assert real.files[real.entry].splitlines()[0] == b"#!/usr/bin/env python3"
