"""The GIMP dialog's widgets in a root, on a screen that nobody sees, without GIMP itself."""

import shutil
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
SIZE = "1366x768x24"
_START = """
Xvfb {number} -screen 0 {size} -nolisten tcp >/dev/null 2>&1 &
export DISPLAY={number}
for _ in $(seq 100); do xdpyinfo >/dev/null 2>&1 && break; sleep 0.1; done
openbox >/dev/null 2>&1 &
xdotool mousemove 1365 767
cd {tests}
exec dbus-run-session -- python3 in_gimp_widgets.py "$@"
"""
_NUMBERS = {"trixie": ":97", "forky": ":98"}


def run(root, *arguments, environment=None, timeout_s=300):
    """Run in_gimp_widgets.py in a root, in a copy of the plug-ins and of what the tests need; how it ended.

    What it writes is in the root's folder.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(TESTS.parent / "plugins", root.folder / "plugins", ignore=ignored)
    (root.folder / "tests").mkdir()
    for name in ("plugins.py", "fake_studio.py", "hosts/in_gimp_widgets.py"):
        shutil.copy(TESTS / name, root.folder / "tests")
    tests = root.seen(root.folder / "tests")
    (root.folder / "start.sh").write_text(_START.format(number=_NUMBERS[root.at.name], size=SIZE, tests=tests))
    places = {"XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache", "XDG_RUNTIME_DIR": "run"}
    for folder in places.values():
        (root.folder / folder).mkdir(mode=0o700)
    whole = {name: root.seen(root.folder / folder) for name, folder in places.items()}
    whole |= {"SCUMBLE_TEST": root.seen(root.folder), "PYTHONDONTWRITEBYTECODE": "1", "NO_AT_BRIDGE": "1"}
    command = ["bash", root.seen(root.folder / "start.sh"), *arguments]
    return root.run(command, environment={**whole, **(environment or {})}, timeout_s=timeout_s)
