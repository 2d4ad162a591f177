"""The real GIMP without a window, and the real daemon: what a script gets from `plug-in-scumble`.

One GIMP for each version makes all the checks of hosts/in_gimp_procedure.py, each of which is a test here.
"""

import json
import os
import re
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from daemons import PATIENCE_S

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]
HERE = Path(__file__).parent / "hosts"
sys.path.append(str(HERE))
import gimp_screen  # noqa: E402
import roots  # noqa: E402
import runner  # noqa: E402
import screen  # noqa: E402
import stage  # noqa: E402

MODULE = HERE / "in_gimp_procedure.py"
CHECKS = re.findall(r"^def check_(\w+)", MODULE.read_text(), re.MULTILINE)
"""The names of all checks, known without starting GIMP."""
_README = (HERE.parents[1] / "README.md").read_text()
EXAMPLE = re.search(r"<!-- ci: gimp -->\n```python\n(.*?)```", _README, re.DOTALL)[1]
COMMAND = re.search(r"`(gimp-console .*) < script.py`", _README)[1]
"""The README's example of a script, and how it is run."""

NOISE = re.compile(r"(?:scumble\.py|plug-ins/scumble/).*(?:CRITICAL|WARNING|Warning)|duplicate mnemonic|^Traceback")
"""What GIMP's terminal says where a plug-in was made badly."""
QUIET = re.compile(r"gimp_flush\(\): error: Broken pipe")
"""What it says of every plug-in: its last words to a GIMP that has heard enough."""


@dataclass(frozen=True)
class Played:
    """What the checks wrote down, and what GIMP said at the end."""

    results: dict
    code: int | None
    output: str
    mistakes: list


class Hand(stage.Stagehand):
    """Can also kill the daemon in the middle of a job."""

    def do(self, what):
        if what != "kill-soon":
            return super().do(what)
        client, deadline = self.daemon.client(), time.monotonic() + PATIENCE_S
        while not (found := [job.state for job in client.jobs(state="running") if job.iteration]):
            assert time.monotonic() < deadline, "no job is running"
            time.sleep(0.05)
        self.daemon.kill()
        (self.folder.parent / "killed").write_text(found[0].value)
        return None


@contextmanager
def gimp(suite):
    """A root with a GIMP that has the plug-in, what is done outside for it, and its environment."""
    with roots.inside(suite) as root, stage.set_up(root) as hand:
        hand.__class__ = Hand
        own = root.folder / "gimp"
        own.mkdir()
        gimp_screen.install(own)
        yield (
            root,
            hand,
            runner.user_folders(root)
            | {
                "GIMP3_DIRECTORY": root.seen(own),
                "PYTHONDONTWRITEBYTECODE": "1",
                "SCUMBLE_HOME": root.seen(hand.daemon.home),
                "SCUMBLE_TEST": root.seen(hand.folder.parent),
            },
        )


def console(root, environment, script):
    """Have a GIMP without a window do what a script says, as the README has it; how it ended."""
    (root.folder / "script.py").write_text(script)
    command = f"cd {root.seen(root.folder)}; dbus-run-session -- {COMMAND} < script.py"
    return root.run(["bash", "-c", command], environment=environment, timeout_s=600)


def play(suite):
    with gimp(suite) as (root, hand, environment):
        only = {"SCUMBLE_ONLY": os.environ.get("SCUMBLE_ONLY", "")}
        ended = console(root, environment | only, MODULE.read_text())
        written = hand.folder.parent / "results.json"
        results = json.loads(written.read_text()) if written.exists() else {"checks": {}}
        return Played(results, ended.code, ended.output, hand.mistakes)


@pytest.fixture(scope="module", params=roots.GIMP)
def played(request):
    try:
        return request.param, play(request.param)
    except roots.Unavailable as why:
        pytest.skip(str(why))


def test_is_the_version_that_it_should_be(played):
    suite, play = played
    assert play.results["version"].startswith(roots.GIMP[suite]), play.output[-3000:]


@pytest.mark.parametrize("name", CHECKS)
def test_procedure(played, name):
    _, play = played
    said = play.results["checks"].get(name, "not made")
    assert not said, f"{said}\n{play.mistakes}\nGIMP ended with {play.code}:\n{play.output[-3000:]}"


def test_gimp_has_nothing_to_complain_of(played):
    _, play = played
    lines = [line for line in play.output.splitlines() if NOISE.search(line) and not QUIET.search(line)]
    assert not lines


@pytest.fixture(params=roots.GIMP)
def given(request):
    try:
        with gimp(request.param) as given:
            yield given
    except roots.Unavailable as why:
        pytest.skip(str(why))


def test_a_folder_of_pictures_is_painted_as_the_readme_says(given):
    root, _, environment = given
    photos = root.folder / "photos"
    photos.mkdir()
    for name in ("first", "second"):
        stage.picture(photos / f"{name}.png", 90, 60)
    ended = console(root, environment, EXAMPLE)
    assert ended.code == 0, ended.output[-3000:]
    for name in ("first", "second"):
        assert f"photos/{name}.png has the layer Swirling night 60" in ended.output, ended.output[-3000:]
    assert {path.name for path in photos.glob("*.xcf")} == {"first.xcf", "second.xcf"}


HANDLER = """[Desktop Entry]
Type=Application
Name=A browser
Exec=/bin/sh -c 'echo "$0" >> {file}' %u
MimeType=text/html;x-scheme-handler/file;
"""
ASKS_FOR_HELP = """
import time

procedure = Gimp.get_pdb().lookup_procedure("plug-in-scumble")
print("it says:", procedure.get_blurb())
Gimp.help("plug-in-scumble", "plug-in-scumble")
time.sleep(10)
"""


def test_gimps_help_shows_our_manual_in_the_users_language(given):
    root, _, environment = given
    script = root.folder / "script.py"
    script.write_text(ASKS_FOR_HELP)
    (root.folder / "gimp" / "gimprc").write_text('(show-welcome-dialog no)\n(config-version "3.2.6")\n')
    places, browsed = root.folder / "data" / "applications", root.folder / "browsed"
    places.mkdir()
    (places / "browser.desktop").write_text(HANDLER.format(file=root.seen(browsed)))
    (root.folder / "config" / "mimeapps.list").write_text("[Default Applications]\ntext/html=browser.desktop\n")
    run = f"exec(open('{root.seen(script)}').read())"
    command = f'gimp --no-splash --quit --batch-interpreter python-fu-eval -b "{run}"'
    ended = screen.show(root, command, environment | {"LANGUAGE": "de"}, 120)
    assert "it says: Den ausgewählten Teil" in ended.output, ended.output[-3000:]
    assert browsed.read_text().strip() == root.seen(root.folder / "gimp/plug-ins/scumble/manual.de.html")
