"""The real GIMP, without a window: what `GimpCanvas` reads and adds, in every version that a Debian has.

One GIMP is started for each suite; it makes all the checks of hosts/in_gimp_pixels.py, each of which is a test here.
"""

import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "hosts"
sys.path.append(str(HERE))
import gimp_runner  # noqa: E402
import roots  # noqa: E402
from precisions import KINDS  # noqa: E402

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

_SOURCE = (HERE / "in_gimp_pixels.py").read_text()
_NAMES = [name for name in re.findall(r"^def check_(\w+)", _SOURCE, re.MULTILINE) if name != "kind"]
CHECKS = [*("_".join(("kind", *kind)) for kind in KINDS), *_NAMES]
"""The names of all checks, known without starting GIMP."""


@pytest.fixture(scope="module", params=list(roots.GIMP))
def played(request):
    try:
        played = gimp_runner.play(request.param, "in_gimp_pixels", timeout_s=400)
    except roots.Unavailable as why:
        pytest.skip(str(why))
    assert played.results["checks"], f"GIMP made no check; it ended with {played.code}:\n{played.output[-3000:]}"
    print(f"GIMP {played.results['version']}, 12 megapixels: {played.results['figures']}")
    return request.param, played


def test_is_the_version_that_it_should_be(played):
    suite, play = played
    assert play.results["version"].startswith(roots.GIMP[suite])


@pytest.mark.parametrize("name", CHECKS)
def test_pixels(played, name):
    _, play = played
    said = play.results["checks"].get(name, "not made")
    if said.startswith("skip: "):
        pytest.skip(said[len("skip: ") :])
    assert not said, f"{said}\nGIMP ended with {play.code}:\n{play.output[-1500:]}"
