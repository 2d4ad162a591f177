"""What all canvases do alike: the cases of hosts/canvas_cases.py with the made-up host, in Krita and in GIMP.

One host with its windows is started for each version, and plays them all; each case is a test here.
"""

import json
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "hosts"
sys.path.append(str(HERE))
import fake_rig  # noqa: E402
import gimp_runner  # noqa: E402
import krita_screen  # noqa: E402
import rig  # noqa: E402
import roots  # noqa: E402
from canvas_cases import CASES  # noqa: E402
from runner import Played  # noqa: E402

LIMIT_S = 400
KRITA_MODULES = ("canvas_cases", "expected", "krita_rig", "rig")


def in_krita(suite):
    with roots.inside(suite) as root:
        for name in KRITA_MODULES:
            shutil.copy(HERE / f"{name}.py", root.folder)
        seen = root.seen(root.folder)
        environment = {"PYTHONPATH": seen, "SCUMBLE_TEST": seen, "SCUMBLE_HOME": f"{seen}/scumble"}
        ended = krita_screen.play(root, "in_krita_cases", [], environment, LIMIT_S)
        written = root.folder / "results.json"
        results = json.loads(written.read_text()) if written.exists() else {"checks": {}}
        return Played(results, ended.code, ended.output)


def in_gimp(suite):
    return gimp_runner.play(suite, ["in_gimp_cases"], timeout_s=LIMIT_S, on_screen=True)


HOSTS = {
    **{f"Krita {version}": (in_krita, suite) for suite, version in roots.KRITA.items()},
    **{f"GIMP {version}": (in_gimp, suite) for suite, version in roots.GIMP.items()},
}


@pytest.fixture(scope="module", params=HOSTS)
def host(request):
    play, suite = HOSTS[request.param]
    try:
        played = play(suite)
    except roots.Unavailable as why:
        pytest.skip(str(why))
    assert played.results["checks"], f"no case was played; it ended with {played.code}:\n{played.output[-3000:]}"
    assert played.results["version"].split()[-1].startswith(request.param.split()[-1])
    return played


def judge(said, more=""):
    if said.startswith("skip: "):
        pytest.skip(said[len("skip: ") :])
    assert not said, f"{said}{more}"


@pytest.mark.parametrize("name", CASES)
def test_made_up(name):
    judge(rig.outcome_of(fake_rig.FakeRig(), CASES[name]))


@pytest.mark.host
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CASES)
def test_real(host, name):
    judge(host.results["checks"].get(name, "not played"), f"\nit ended with {host.code}:\n{host.output[-1500:]}")
