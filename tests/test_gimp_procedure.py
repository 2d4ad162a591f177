"""The real GIMP without a window, and the real daemon: what a script gets from `plug-in-scumble`.

One GIMP for each version makes all the checks of hosts/in_gimp_procedure.py, each of which is a test here.
"""

import json
import os
import re
import shutil
import sys
import time
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
import stage  # noqa: E402

MODULE = HERE / "in_gimp_procedure.py"
CHECKS = re.findall(r"^def check_(\w+)", MODULE.read_text(), re.MULTILINE)
"""The names of all checks, known without starting GIMP."""

PLUGIN = Path(__file__).parents[1] / "plugins"
NOISE = re.compile(r"scumble\.py.*(?:CRITICAL|WARNING|Warning)|duplicate mnemonic|^Traceback")
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


def console(root, environment, script, timeout_s):
    """Have a GIMP without a window do what a script says, by its standard input; how it ended."""
    gimp = "gimp-console -i -d --quit --batch-interpreter python-fu-eval -b -"
    command = ["bash", "-c", f"dbus-run-session -- {gimp} < {root.seen(script)}"]
    return root.run(command, environment=environment, timeout_s=timeout_s)


def play(suite, script, only="", prepare=lambda root: None, **more):
    """What becomes of a script in a suite's GIMP that has the plug-in."""
    with roots.inside(suite) as root, stage.set_up(root) as hand:
        hand.__class__ = Hand
        own = root.folder / "gimp"
        own.mkdir()
        gimp_screen.install(own)
        shutil.copy(script, root.folder / "script.py")
        environment = runner.user_folders(root) | {
            "GIMP3_DIRECTORY": root.seen(own),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCUMBLE_HOME": root.seen(hand.daemon.home),
            "SCUMBLE_TEST": root.seen(hand.folder.parent),
            "SCUMBLE_ONLY": only,
            **more,
        }
        prepare(root)
        ended = console(root, environment, root.folder / "script.py", 600)
        written = hand.folder.parent / "results.json"
        results = json.loads(written.read_text()) if written.exists() else {"checks": {}}
        return Played(results, ended.code, ended.output, hand.mistakes)


@pytest.fixture(scope="module", params=roots.GIMP)
def played(request):
    try:
        return request.param, play(request.param, MODULE, os.environ.get("SCUMBLE_ONLY", ""))
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
