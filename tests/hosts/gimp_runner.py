"""The real GIMP with the plug-in's modules in it: modules of this folder play in its Python.

    played = gimp_runner.play("trixie", ["in_gimp_pixels"])                     # gimp-console, which has no window
    played = gimp_runner.play("trixie", ["in_gimp_shown"], on_screen=True)      # GIMP, on a screen that nobody sees
    played.results                                      # what was written down: {"checks": {…}, "figures": {…}}

The results are in the file $SCUMBLE_TEST/results.json as soon as there is something new: GIMP ends a plug-in that asks
for what is not there.
"""

import json
import shlex
import shutil

import roots
import screen
from runner import HERE, Played, user_folders

PLUGINS = HERE.parents[1] / "plugins"
MODULES = ("gimp_hand", "precisions", "in_gimp_shown", "rig", "canvas_cases", "expected")
_START = "import sys; sys.path.append({folder!r}); import gimp_hand; gimp_hand.play({modules})"
GIMPRC = """(show-welcome-dialog no)
(color-profile-policy keep)
(check-updates no)
(save-session-info no)
(config-version "3.2.6")
"""
"""Without windows that ask something; without config-version one opens in spite of show-welcome-dialog."""


def lay_out(folder):
    """The plug-in's modules as they are installed, with the link in them; the folder `scumble`."""
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PLUGINS / "gimp" / "scumble", folder / "scumble", ignore=no_caches)
    shutil.copytree(PLUGINS / "link", folder / "scumble" / "link", ignore=no_caches)
    return folder / "scumble"


def play(suite, modules, timeout_s=240, only="", on_screen=False):
    """Make all checks of modules in GIMP, or those with `only` in their names. `roots.Unavailable` where there is no
    GIMP."""
    with roots.inside(suite) as root:
        environment = user_folders(root)
        plugin = lay_out(root.folder)
        for name in (*modules, *MODULES):
            shutil.copy(HERE / f"{name}.py", root.folder)
        config = root.folder / "config" / "GIMP" / roots.GIMP[suite]
        config.mkdir(parents=True)
        (config / "gimprc").write_text(GIMPRC)
        environment |= {
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCUMBLE_PLUGIN": root.seen(plugin),
            "SCUMBLE_TEST": root.seen(root.folder),
            "SCUMBLE_ONLY": only,
        }
        start = _START.format(folder=root.seen(root.folder), modules=", ".join(map(repr, modules)))
        batch = ["--batch-interpreter=python-fu-eval", "-b", start, "--quit"]
        if on_screen:
            ended = screen.show(root, shlex.join(["gimp", *batch]), environment, timeout_s)
        else:
            ended = root.run(["gimp-console", "-i", "-d", *batch], environment=environment, timeout_s=timeout_s)
        written = root.folder / "results.json"
        results = json.loads(written.read_text()) if written.exists() else {"checks": {}, "figures": {}}
        return Played(results, ended.code, ended.output)
