"""The real Krita, without a window: what `KritaCanvas` reads and adds, in every version that a Debian has.

One Krita is started for each suite; it makes all the checks of hosts/in_krita_pixels.py, each of which is a test here.
"""

import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "hosts"
sys.path.append(str(HERE))
import roots  # noqa: E402
import runner  # noqa: E402
from spaces import SPACES  # noqa: E402

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

_SOURCE = (HERE / "in_krita_pixels.py").read_text()
_NAMES = [name for name in re.findall(r"^def check_(\w+)", _SOURCE, re.MULTILINE) if name != "space"]
CHECKS = [*(f"space_{model}_{depth}" for model, depth in SPACES), *_NAMES]
"""The names of all checks, known without starting Krita."""


@pytest.fixture(scope="module", params=list(roots.KRITA))
def played(request):
    try:
        played = runner.play(request.param, "in_krita_pixels", timeout_s=400)
    except roots.Unavailable as why:
        pytest.skip(str(why))
    assert played.results["checks"], f"Krita made no check; it ended with {played.code}:\n{played.output[-3000:]}"
    for space, figures in played.results["figures"].items():
        print(f"Krita {played.results['version']}, 12 megapixels, {space}: {figures}")
    return request.param, played


def test_is_the_version_that_it_should_be(played):
    suite, play = played
    assert play.results["version"].startswith(roots.KRITA[suite])


@pytest.mark.parametrize("name", CHECKS)
def test_pixels(played, name):
    _, play = played
    said = play.results["checks"].get(name, "not made")
    if said.startswith("skip: "):
        pytest.skip(said[len("skip: ") :])
    assert not said, f"{said}\nKrita ended with {play.code}:\n{play.output[-1500:]}"
