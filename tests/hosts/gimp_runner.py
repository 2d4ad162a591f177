"""The real GIMP with the plug-in's modules in it, without a window: `gimp-console` plays a module of this folder.

    played = gimp_runner.play("trixie", "in_gimp_pixels")
    played.results                                      # what the module wrote down: {"checks": {…}, "figures": {…}}

The module's `main` writes its results to the file $SCUMBLE_TEST/results.json whenever there is something new: GIMP ends
a plug-in that asks for what is not there.
"""

import json
import shutil
from pathlib import Path

import roots
from runner import HERE, Played, user_folders

PLUGINS = HERE.parents[1] / "plugins"
MODULES = ("precisions.py",)
_START = "import sys; sys.path.append({folder!r}); import {module}; {module}.main()"


def lay_out(folder):
    """The plug-in's modules as they are installed, with the link in them; the folder `scumble`."""
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PLUGINS / "gimp" / "scumble", folder / "scumble", ignore=no_caches)
    shutil.copytree(PLUGINS / "link", folder / "scumble" / "link", ignore=no_caches)
    return folder / "scumble"


def play(suite, module, timeout_s=240, only=""):
    """Run `main` of a module in GIMP, all its checks or those with `only` in their names. `roots.Unavailable` where
    there is no GIMP."""
    with roots.inside(suite) as root:
        environment = user_folders(root)
        plugin = lay_out(root.folder)
        for name in (f"{module}.py", *MODULES):
            shutil.copy(HERE / name, root.folder / name)
        environment |= {
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCUMBLE_PLUGIN": root.seen(plugin),
            "SCUMBLE_TEST": root.seen(root.folder),
            "SCUMBLE_ONLY": only,
        }
        start = _START.format(folder=root.seen(root.folder), module=module)
        batch = ["--batch-interpreter=python-fu-eval", "-b", start, "--quit"]
        ended = root.run(["gimp-console", "-i", "-d", *batch], environment=environment, timeout_s=timeout_s)
        written = Path(root.folder / "results.json")
        results = json.loads(written.read_text()) if written.exists() else {"checks": {}, "figures": {}}
        return Played(results, ended.code, ended.output)
