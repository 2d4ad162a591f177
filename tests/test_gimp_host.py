"""The real GIMP: what `GimpCanvas` reads and adds, in every version that a Debian has.

For each suite one GIMP without a window makes all the checks of hosts/in_gimp_pixels.py, in_gimp_layers.py and
in_gimp_documents.py, and one with windows those of in_gimp_shown.py. Each check is a test here.
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

PIXELS = ["in_gimp_pixels", "in_gimp_layers", "in_gimp_documents"]
SHOWN = ["in_gimp_shown"]


def checks(modules):
    """The names of all checks of modules, known without starting GIMP."""
    sources = [(HERE / f"{module}.py").read_text() for module in modules]
    names = [name for source in sources for name in re.findall(r"^def check_(\w+)", source, re.MULTILINE)]
    return [each for name in names for each in (["_".join(("kind", *k)) for k in KINDS] if name == "kind" else [name])]


def play(suite, modules, **how):
    try:
        played = gimp_runner.play(suite, modules, timeout_s=400, **how)
    except roots.Unavailable as why:
        pytest.skip(str(why))
    assert played.results["checks"], f"GIMP made no check; it ended with {played.code}:\n{played.output[-3000:]}"
    return played


def judge(played, name):
    said = played.results["checks"].get(name, "not made")
    if said.startswith("skip: "):
        pytest.skip(said[len("skip: ") :])
    assert not said, f"{said}\nGIMP ended with {played.code}:\n{played.output[-1500:]}"


@pytest.fixture(scope="module", params=list(roots.GIMP))
def played(request):
    played = play(request.param, PIXELS)
    print(f"GIMP {played.results['version']}, 12 megapixels: {played.results['figures']}")
    return request.param, played


@pytest.fixture(scope="module", params=list(roots.GIMP))
def shown(request):
    return play(request.param, SHOWN, on_screen=True)


def test_is_the_version_that_it_should_be(played):
    suite, play = played
    assert play.results["version"].startswith(roots.GIMP[suite])


@pytest.mark.parametrize("name", checks(PIXELS))
def test_pixels(played, name):
    judge(played[1], name)


@pytest.mark.parametrize("name", checks(SHOWN))
def test_shown(shown, name):
    judge(shown, name)
