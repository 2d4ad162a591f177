"""The GIMP dialog's widgets in a root, on a screen that nobody sees, without GIMP itself.

ended = gimp_widgets.run(root, "in_gtk")       # what it writes is in the root's folder
"""

import shlex
import shutil

import screen
from runner import HERE, user_folders

PLUGINS = HERE.parents[1] / "plugins"


def run(root, module, *arguments, environment=None, timeout_s=300):
    """Run a module of this folder in a root, beside a copy of the plug-ins and of what the tests need; how it ended."""
    shutil.copytree(PLUGINS, root.folder / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    tests = root.folder / "tests"
    tests.mkdir()
    beside = (HERE.parent / "plugins.py", HERE.parent / "fake_studio.py", HERE / "gtk_play.py")
    for path in (*beside, *HERE.glob("in_gtk*.py")):
        shutil.copy(path, tests)
    whole = {
        **user_folders(root),
        "SCUMBLE_TEST": root.seen(root.folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_AT_BRIDGE": "1",
        **(environment or {}),
    }
    command = shlex.join(["python3", root.seen(tests / f"{module}.py"), *arguments])
    return screen.show(root, command, whole, timeout_s)
