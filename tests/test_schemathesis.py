"""The daemon against its own description: requests made from it, good ones and bad ones, and every answer checked.

What it answers has to be as described (status, media type, headers, schema), never an internal error; what the
description allows is taken, what it forbids refused; nothing is open without the token. SCUMBLE_THOROUGH=1 asks more.
"""

import os
import re
import subprocess
import sys

import pytest
from daemons import running

pytest.importorskip("schemathesis")

THOROUGH = os.environ.get("SCUMBLE_THOROUGH") == "1"
SECONDS = 600 if THOROUGH else 70
EXAMPLES = 200 if THOROUGH else 12

CONFIG = """
[[operations]]
include-path = "/v1/shutdown"
enabled = false

# What makes a good request of these cannot all be said in a schema: that pictures are pictures of equal size, that a
# recipe names what is there, that a crop lies inside.
[[operations]]
include-path-regex = "^/v1/(jobs|estimate|styles|models|train)(/[^/]+(/continue)?)?$"
include-method = ["POST", "PATCH"]
checks.positive_data_acceptance.enabled = false

# In a form everything is text, so that nothing is of a wrong type.
[[operations]]
include-path = ["/v1/jobs", "/v1/styles", "/v1/train"]
include-method = "POST"
checks.negative_data_rejection.enabled = false
"""


@pytest.fixture
def fresh(tmp_path):
    """A daemon of its own, for nobody can say what will become of it."""
    with running(tmp_path / "daemon", "--queue", 8) as daemon:
        yield daemon


@pytest.mark.timeout(SECONDS + 300)
def test_what_is_described_is_what_is_done(fresh, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"),
        *(f"{fresh.url}/v1/openapi.json", "--header", f"Authorization: Bearer {fresh.token}"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", 1),
        *("--continue-on-failure", "--max-time", SECONDS, "--request-timeout", 120, "--warnings", "off", "--no-color"),
    ]
    ended = subprocess.run(
        list(map(str, command)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS + 200,
        check=False,
        # what it makes of a seed must not depend on the order of its sets
        env={**fresh.environment, "PYTHONHASHSEED": "0"},
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said[-20_000:]
    assert int(re.search(r"(\d+) generated", said)[1]) > 300
    assert fresh.process.poll() is None
    log = fresh.log()
    assert "ERROR" not in log
    assert "Traceback" not in log
