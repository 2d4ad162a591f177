"""The dialog in the real GIMP, on a screen that nobody sees, with the real daemon: what a painter does with it.

One GIMP for each version plays all scenes of `hosts/gimp_scenes.py`; here each is a test.
"""

import json
import os
import shutil
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]
sys.path.append(str(Path(__file__).parent / "hosts"))
import gimp_scenes  # noqa: E402
import gimp_screen  # noqa: E402
import roots  # noqa: E402
import stage as stages  # noqa: E402

SHOTS = Path(__file__).parents[1] / "build" / "gimp"
"""Where the pictures that are taken on the way can be looked at."""
_MOST_FAILURES = 4
"""After so many no more is played: each may have waited for its full time."""
SCENES = [each.__name__ for each in gimp_scenes.SCENES]


@dataclass
class Theatre:
    """What became of the scenes."""

    version: str = ""
    outcomes: dict = field(default_factory=dict)
    """Of each scene: "passed", or what went wrong."""
    seconds: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)
    said: str = ""


@pytest.fixture(scope="module")
def theatres(request):
    """All that are wanted, played at the same time: GIMP and its painter wait for each other most of the time."""
    wanted = {item.callspec.params["theatre"] for item in request.session.items if item.fspath == request.node.fspath}
    with ThreadPoolExecutor(len(wanted)) as pool:
        return {suite: pool.submit(_played, suite) for suite in sorted(wanted)}


@pytest.fixture(scope="module", params=roots.GIMP)
def theatre(request, theatres):
    try:
        return theatres[request.param].result()
    except roots.Unavailable as error:
        pytest.skip(str(error))


def _played(suite):
    named = [name for name in os.environ.get("SCUMBLE_SCENES", "").split(",") if name]
    scenes = [each for each in gimp_scenes.SCENES if not named or each.__name__ in named]
    with roots.inside(suite) as root:
        return play(root, suite, scenes)


def play(root, suite, scenes, draws=False, layout=gimp_screen.WITH_TOOLS):
    """Play scenes in order; with `draws` the daemon draws its own styles, as users have them."""
    played = Theatre()
    with stages.set_up(root, draws) as hand:
        try:
            with gimp_screen.running(root, hand, gimp_screen.install, layout) as stage:
                played.version, played.notes = stage.gimp.version(), stage.notes
                for scene in scenes:
                    before = time.monotonic()
                    played.outcomes[scene.__name__] = _outcome(stage, scene)
                    played.seconds[scene.__name__] = round(time.monotonic() - before, 1)
                    (root.folder / "play" / "shots" / "notes.json").write_text(json.dumps(vars(played), indent=1))
                    if sum(outcome != "passed" for outcome in played.outcomes.values()) == _MOST_FAILURES:
                        break
        finally:
            folder, shots = root.folder / "play", SHOTS / suite
            shutil.rmtree(shots, ignore_errors=True)
            shutil.copytree(folder / "shots", shots)
            # Where GIMP was not even started there is no log, and why it was not matters more.
            if (log := folder / "gimp.log").exists():
                shutil.copy(log, shots)
                played.said = log.read_text()[-3000:]
    return played


def _outcome(stage, scene):
    try:
        scene(stage)
        gimp_screen.expect(not (complaint := stage.complaint()), complaint)
    except Exception:
        stage.shot(f"failed-{scene.__name__}")
        return traceback.format_exc() + f"\nin the dialog: {stage.last_words()}"
    return "passed"


@pytest.mark.parametrize("scene", SCENES)
def test_scene(theatre, scene):
    outcome = theatre.outcomes.get(scene)
    assert outcome is not None, f"GIMP did not come to it: {theatre.said}"
    assert outcome == "passed", outcome


def test_the_screen_is_never_held_for_long(theatre):
    """Figures to look at, not a limit for this machine: the longest times in which nothing else could happen."""
    gaps, waits = theatre.notes.get("gaps"), theatre.notes.get("waits")
    assert gaps is not None and waits
    print(f"GIMP {theatre.version}: longest gaps with 12 megapixels: dialog {gaps} s, GIMP {waits} s")
