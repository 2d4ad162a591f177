"""What all canvases do alike: the cases of hosts/canvas_cases.py with the made-up host, in Krita and in GIMP."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "hosts"
sys.path.append(str(HERE))
import fake_rig  # noqa: E402
import rig  # noqa: E402
from canvas_cases import CASES  # noqa: E402


def judge(said, more=""):
    if said.startswith("skip: "):
        pytest.skip(said[len("skip: ") :])
    assert not said, f"{said}{more}"


@pytest.mark.parametrize("name", CASES)
def test_made_up(name):
    judge(rig.outcome_of(fake_rig.FakeRig(), CASES[name]))
