"""The real Krita with the plug-in in it, without a window: `kritarunner` plays a module of this folder.

    played = runner.play("trixie", "in_krita_pixels")
    played.results                                      # what the module wrote down: {"checks": {…}, "figures": {…}}

The module's `main` writes its results to the file $SCUMBLE_TEST/results.json whenever there is something new, and ends
by `os._exit`: Krita's own end is not always one.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import roots

HERE = Path(__file__).parent
MODULES = ("spaces.py",)


@dataclass(frozen=True)
class Played:
    """What a module wrote down, and what Krita said at the end."""

    results: dict
    code: int | None
    output: str


def install(folder):
    """The plug-in put into a folder of Krita's as users have it put there; where its plug-ins are."""
    command = [sys.executable, "-m", "scumble", "install", "krita", "--folder", folder, "--no-enable"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SCUMBLE_HOME": str(folder / "home")})
    return folder / "pykrita"


def user_folders(root):
    """Variables for a user who never started Krita, in the test's own folder."""
    places = {"XDG_DATA_HOME": "data", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache"}
    found = {name: root.folder / folder for name, folder in {**places, "XDG_RUNTIME_DIR": "run"}.items()}
    for folder in found.values():
        folder.mkdir(mode=0o700)
    return {name: root.seen(folder) for name, folder in found.items()}


def play(suite, module, timeout_s=240, only=""):
    """Run `main` of a module in Krita, all its checks or those with `only` in their names. `roots.Unavailable` where
    there is no Krita."""
    with roots.inside(suite) as root:
        environment = user_folders(root)
        plugin = install(root.folder / "data" / "krita")
        for name in (f"{module}.py", *MODULES):
            shutil.copy(HERE / name, root.folder / name)
        environment |= {
            "QT_QPA_PLATFORM": "offscreen",
            "PYTHONPATH": f"{root.seen(root.folder)}:{root.seen(plugin)}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCUMBLE_HOME": root.seen(root.folder / "scumble"),
            "SCUMBLE_TEST": root.seen(root.folder),
            "SCUMBLE_ONLY": only,
        }
        command = ["dbus-run-session", "--", "kritarunner", "-s", module, "-f", "main"]
        ended = root.run(command, environment=environment, timeout_s=timeout_s)
        written = root.folder / "results.json"
        results = json.loads(written.read_text()) if written.exists() else {"checks": {}, "figures": {}}
        return Played(results, ended.code, ended.output)
