"""The prediction of memory beside what is measured, in processes of their own."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parent / "benchmarks" / "memory.py"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system does not tell the peak of a process")
def test_a_prediction_is_near_what_is_measured(tmp_path):
    """Within a third here, on whatever machine; the README has the figures of one."""
    found = tmp_path / "memory.json"
    subprocess.run([sys.executable, BENCHMARK, "--quick", "--json", found], check=True)
    for point in json.loads(found.read_text())["points"]:
        assert 2 / 3 < point["predicted_mb"] / point["peak_mb"] < 4 / 3, point


_SCARCE = """
import resource, sys
import numpy as np
from scumble.engine import painter
from scumble.errors import ScumbleError
from scumble.picture import Picture
from scumble.recipe import Recipe

random = np.random.default_rng(1)
content, style = (Picture((random.random((side, side, 3)) * 255).astype(np.uint8)) for side in (768, 128))
painter.available_bytes = lambda _: 2**50
ours = painter.Painter("cpu")
fields = {"style_loss": "gram", "precision": "float32", "scales": 1, "iterations": [1], "styles": [{"picture": "s"}]}
ours.paint(content, Recipe.parse({**fields, "size": 64}), {"s": style})
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = held + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    print(ours.paint(content, Recipe.parse({**fields, "size": 768}), {"s": style}).plan.tile_px)
except ScumbleError as error:
    print(error.code)
"""


def _painted_with(megabytes, tries=5):
    """What it prints. About one in ten times oneDNN crashes in a convolution instead of saying that it got no memory;
    the daemon then starts another worker, and so does this."""
    for _ in range(tries):
        done = subprocess.run([sys.executable, "-c", _SCARCE, str(megabytes)], capture_output=True, text=True)
        if done.returncode != -signal.SIGSEGV:
            break
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not tell what a process holds")
def test_tiles_are_taken_where_the_system_refuses_memory():
    """Whatever was predicted: with ever less of it a picture is painted in one piece, in tiles, and not at all."""
    found = [_painted_with(megabytes) for megabytes in (1400, 900, 750, 600, 500, 400)]
    assert found[0] == "None"
    assert any(each.isdigit() for each in found), found
    assert set(found) <= {"None", "out-of-memory", *(each for each in found if each.isdigit())}
