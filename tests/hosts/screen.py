"""The real Krita with its windows, on a screen that nobody sees.

    with roots.inside("trixie") as root:
        played = screen.play(root, plugin, pictures, environment, limit_s)

`plugin` is a module of this folder that becomes a plug-in of its own, plays, and ends Krita by `os._exit`.
"""

import shutil
from pathlib import Path

import roots
import runner

HERE = Path(__file__).parent
SIZE = "1600x1000x24"
_START = """
Xvfb {number} -screen 0 {size} -nolisten tcp >/dev/null 2>&1 &
export DISPLAY={number}
for _ in $(seq 100); do xdpyinfo >/dev/null 2>&1 && break; sleep 0.1; done
openbox >/dev/null 2>&1 &
exec dbus-run-session -- krita --nosplash {pictures}
"""
_CONFIG = {
    "kritarc": "FetchNews=false\n[python]\nenable_scumble=true\nenable_scumble_test=true\n{more}",
    "kritadisplayrc": "[General]\nOpenGLRenderer=none\n",
}
_DESKTOP = """[Desktop Entry]
Type=Service
ServiceTypes=Krita/PythonPlugin
X-KDE-Library=scumble_test
X-Python-2-Compatible=false
Name=Test of Scumble
Comment=Uses Scumble's docker as a user would.
"""


def number_of(root):
    """The number of a root's screen: several can be lit at once."""
    return f":{77 + sorted(roots.KRITA).index(root.at.name)}"


def play(root, module, pictures, environment, limit_s, more=""):
    """Start Krita with these pictures and the module as a plug-in; how it ended. `more` is added to kritarc."""
    folders = runner.user_folders(root)
    plugins = runner.install(root.folder / "data" / "krita")
    (plugins / "scumble_test").mkdir()
    shutil.copy(HERE / f"{module}.py", plugins / "scumble_test" / "__init__.py")
    (plugins / "scumble_test.desktop").write_text(_DESKTOP)
    for name, text in _CONFIG.items():
        (root.folder / "config" / name).write_text(text.format(more=more))
    start = root.folder / "start.sh"
    names = " ".join(root.seen(path) for path in pictures)
    start.write_text(_START.format(number=number_of(root), size=SIZE, pictures=names))
    command = ["bash", root.seen(start)]
    return root.run(command, environment={**folders, **environment}, timeout_s=limit_s)


def picture(root, path):
    """What is on the screen, as a PNG."""
    return root.run(["import", "-display", number_of(root), "-window", "root", root.seen(path)], timeout_s=30)
