"""The GIMP dialog's widgets under GTK, in both Debians that have a GIMP 3: what they show of a studio, and ask of it.

The checks are those of hosts/in_gtk_*.py, made in one process for each suite; each is a test here.
"""

import json
import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "hosts"
sys.path.append(str(HERE))
import gimp_widgets  # noqa: E402
import roots  # noqa: E402

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

_SOURCES = "".join(path.read_text() for path in sorted(HERE.glob("in_gtk_*.py")))
CHECKS = re.findall(r"^def check_(\w+)", _SOURCES, re.MULTILINE)
"""The names of all checks, known without GTK."""


@pytest.fixture(scope="module", params=list(roots.GIMP))
def made(request):
    try:
        with roots.inside(request.param) as root:
            ended = gimp_widgets.run(root, "in_gtk", timeout_s=600)
            written = root.folder / "results.json"
            said = json.loads(written.read_text())["checks"] if written.exists() else {}
    except roots.Unavailable as why:
        pytest.skip(str(why))
    assert said, f"there was no check; it ended with {ended.code}:\n{ended.output[-3000:]}"
    return said, ended


@pytest.mark.parametrize("name", CHECKS)
def test_widgets(made, name):
    said, ended = made
    assert not said.get(name, f"not made; it ended with {ended.code}:\n{ended.output[-1500:]}"), said.get(name)


def test_gtk_has_nothing_to_complain_of(made):
    _, ended = made
    about, complaints = "", []
    for line in ended.output.splitlines():
        if line.startswith("== "):
            about = line[3:]
        elif re.search(r"-(WARNING|CRITICAL) \*\*|Warning:|Traceback", line) and "dbind" not in line:
            complaints.append(f"{about}: {line}")
    assert not complaints, "\n".join(complaints)
    assert ended.code == 0, ended.output[-1500:]
