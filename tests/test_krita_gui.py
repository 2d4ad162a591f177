"""The docker in the real Krita, on a screen that nobody sees, with the real daemon: what a painter does with it.

One Krita for each version plays all scenes of `hosts/in_krita_gui.py`; here each is a test. What a scene asks of the
outside (a killed daemon, a picture of the screen) is done by a stagehand, see `hosts/stage.py`.
"""

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.host, pytest.mark.timeout(1200)]
HERE = Path(__file__).parent / "hosts"
sys.path.append(str(HERE))
import krita_screen  # noqa: E402
import roots  # noqa: E402
import stage  # noqa: E402

SHOTS = Path(__file__).parents[1] / "build" / "krita"
"""Where the pictures that are taken on the way can be looked at."""
LIMIT_S = 900
SIZES = {"b-middle": (480, 320), "c-large": (4096, 2900), "a-small": (400, 300)}
"""The last one is the active one; bringing another tab to the front is not all that a click on it does."""
SCENES = [
    line.partition("(")[0].removeprefix("def ")
    for before, line in zip(
        (HERE / "in_krita_gui.py").read_text().splitlines(),
        (HERE / "in_krita_gui.py").read_text().splitlines()[1:],
        strict=False,
    )
    if before == "@scene"
]


@dataclass
class Theatre:
    """What became of the scenes."""

    outcome: dict
    mistakes: list
    said: str


@pytest.fixture(scope="module")
def theatres(request):
    """All that are wanted, played at the same time: Krita and its painter wait for each other most of the time."""
    wanted = {item.callspec.params["theatre"] for item in request.session.items if item.fspath == request.node.fspath}
    with ThreadPoolExecutor(len(wanted)) as pool:
        return {suite: pool.submit(_played, suite) for suite in sorted(wanted)}


@pytest.fixture(scope="module", params=roots.KRITA)
def theatre(request, theatres):
    try:
        return theatres[request.param].result()
    except roots.Unavailable as error:
        pytest.skip(str(error))


def _played(suite):
    with roots.inside(suite) as root:
        return play(root, suite)


def play(root, suite, pictures=(), scenes="", draws=False):
    """Have Krita play all scenes, or those named; with `draws` the daemon draws its own styles, as users have them."""
    folder = root.folder / "play"
    with stage.set_up(root, draws) as hand:
        if not pictures:
            pictures = [folder / f"{name}.png" for name in SIZES]
            for path, size in zip(pictures, SIZES.values(), strict=True):
                stage.picture(path, *size)
        environment = {"SCUMBLE_HOME": root.seen(hand.daemon.home), "SCUMBLE_TEST": root.seen(folder)}
        environment["SCUMBLE_SCENES"] = scenes or os.environ.get("SCUMBLE_SCENES", "")
        ended = krita_screen.play(root, "in_krita_gui", pictures, environment, LIMIT_S)
    file = folder / "outcome.json"
    outcome = json.loads(file.read_text()) if file.exists() else {"scenes": {}, "notes": {}}
    shots = SHOTS / suite
    shutil.rmtree(shots, ignore_errors=True)
    shutil.copytree(folder / "shots", shots)
    (shots / "notes.json").write_text(json.dumps(outcome, indent=1))
    return Theatre(outcome, hand.mistakes, f"{ended.code}: {ended.output[-3000:]}")


@pytest.mark.parametrize("scene", SCENES)
def test_scene(theatre, scene):
    played = theatre.outcome["scenes"].get(scene)
    assert played is not None, f"Krita did not come to it: {theatre.said}"
    assert played["outcome"] == "passed", f"{played['outcome']}\n{theatre.mistakes}"


def test_the_screen_is_never_held_for_long(theatre):
    """Figures to look at, not limits for this machine: the longest times in which Krita took no input, in s."""
    gaps = theatre.outcome["notes"].get("gaps")
    assert gaps is not None
    for space, figures in gaps.items():
        for what, longest in figures.items():
            print(f"Krita {theatre.outcome['version']}, 12 megapixels, {space}, {what}: {longest}")
