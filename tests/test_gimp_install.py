"""The real GIMP takes what is installed: where `scumble install gimp` puts it, and again when that has changed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from scumble import bundle, hosts
from scumble.cli import cli
from scumble.hosts import Program, System
from scumble.installing import Place, State, look

sys.path.append(str(Path(__file__).parent / "hosts"))
import roots

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

MADE = """#!/usr/bin/env python3
import sys

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp


class Made(Gimp.PlugIn):
    def do_query_procedures(self):
        return ["plug-in-NAME"]

    def do_create_procedure(self, name):
        return Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, lambda *_: None, None)

    def do_set_i18n(self, name):
        return False


Gimp.main(Made.__gtype__, sys.argv)
"""
ASK = """
import json, pathlib
there = [each for each in {names} if Gimp.get_pdb().procedure_exists(each)]
pathlib.Path({path!r}).write_text(json.dumps([there, Gimp.version()]))
"""


class InGimp:
    """A user with a GIMP in a root: for `scumble` it is as if this were that machine."""

    def __init__(self, root, folder):
        self.root, self.home = root, folder
        self.environment = {
            name: root.seen(folder / part)
            for name, part in {"HOME": ".", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache"}.items()
        }
        there = {"PATH": str(root.at / "usr/bin"), "XDG_CONFIG_HOME": str(folder / "config")}
        self.system = System("linux", folder, there, root.at, self._run)

    def _run(self, command):
        return self.root.run([self.root.seen(command[0]), *command[1:]], environment=self.environment).output

    def ask(self, *names):
        """Which of these procedures it has, started for that."""
        told = self.home / "told.json"
        told.unlink(missing_ok=True)
        code = ASK.format(names=names, path=self.root.seen(told))
        command = ["gimp-console", "-i", "-d", "-f", "--batch-interpreter=python-fu-eval", "-b", code, "--quit"]
        ended = self.root.run(command, environment=self.environment, timeout_s=240)
        assert told.exists(), f"GIMP said nothing; it ended with {ended.code}:\n{ended.output[-3000:]}"
        there, self.version = json.loads(told.read_text())
        return there


@pytest.fixture(scope="module", params=list(roots.GIMP))
def root(request):
    try:
        with roots.inside(request.param) as root:
            yield request.param, root
    except roots.Unavailable as why:
        pytest.skip(str(why))


@pytest.fixture
def gimp(root, tmp_path, monkeypatch):
    _, root = root
    folder = root.folder / tmp_path.name
    folder.mkdir()
    gimp = InGimp(root, folder)
    monkeypatch.setattr(hosts, "System", lambda: gimp.system)
    monkeypatch.setenv("SCUMBLE_HOME", str(tmp_path / "scumble-home"))
    yield gimp
    shutil.rmtree(folder)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Puts a plug-in with a procedure of that name in place of the real one."""
    folder = tmp_path / "made"
    for name in ("gimp/scumble", "link", "krita/scumble"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setattr(bundle, "sources", lambda: folder)
    return lambda name: (folder / "gimp/scumble/scumble.py").write_text(MADE.replace("NAME", name))


def scumble(*words):
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.stdout


def test_the_plugin_is_found_where_it_was_installed(root, gimp):
    suite, _ = root
    out = scumble("install", "gimp")
    (place,) = hosts.find(gimp.system, [Program.GIMP])
    assert (place.folders, place.channel) == ((gimp.home / "config/GIMP" / roots.GIMP[suite],), "installed")
    assert gimp.ask("plug-in-scumble") == ["plug-in-scumble"]
    assert place.version == gimp.version and f"GIMP {gimp.version}, installed" in out
    scumble("uninstall", "gimp")
    assert gimp.ask("plug-in-scumble") == []


def test_what_has_changed_is_asked_again(gimp, made):
    """GIMP remembers what a plug-in said, by the time of its file."""
    made("first")
    scumble("install", "gimp")
    assert gimp.ask("plug-in-first", "plug-in-second") == ["plug-in-first"]
    made("second")
    scumble("install", "gimp")
    assert gimp.ask("plug-in-first", "plug-in-second") == ["plug-in-second"]


def test_without_the_run_bit_it_is_not_found(gimp, made):
    made("first")
    scumble("install", "gimp")
    (entry,) = gimp.home.glob("config/GIMP/*/plug-ins/scumble/scumble.py")
    entry.chmod(0o644)
    assert gimp.ask("plug-in-first") == []
    assert "may not be run" in scumble("install", "gimp")
    assert gimp.ask("plug-in-first") == ["plug-in-first"]


@pytest.mark.skipif(shutil.which("unzip") is None, reason="there is no unzip")
def test_a_zip_that_is_unpacked_over_another(root, gimp, made, tmp_path):
    suite, _ = root
    folder = gimp.home / "config/GIMP" / roots.GIMP[suite] / "plug-ins"
    folder.mkdir(parents=True)
    for name in ("first", "second", "third"):
        made(name)
        scumble("install", "gimp", "--zip", str(tmp_path / "scumble.zip"))
        subprocess.run(["unzip", "-qo", str(tmp_path / "scumble.zip"), "-d", str(folder)], check=True)
        assert look(Place(folder.parent), bundle.bundle(Program.GIMP)).state is State.CURRENT
        assert gimp.ask("plug-in-first", "plug-in-second", "plug-in-third") == [f"plug-in-{name}"]
