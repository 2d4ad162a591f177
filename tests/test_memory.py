"""The prediction of memory beside what is measured, in processes of their own."""

import json
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
