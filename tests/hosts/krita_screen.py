"""The real Krita with its windows, on a screen that nobody sees.

    with roots.inside("trixie") as root:
        ended = krita_screen.play(root, plugin, pictures, environment, limit_s)

`plugin` is a module of this folder that becomes a plug-in of its own, plays, and ends Krita by `os._exit`.
"""

import shutil
from pathlib import Path

import runner
import screen

HERE = Path(__file__).parent
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


def play(root, module, pictures, environment, limit_s, more=""):
    """Start Krita with these pictures and the module as a plug-in; how it ended. `more` is added to kritarc."""
    folders = runner.user_folders(root)
    plugins = runner.install(root.folder / "data" / "krita")
    (plugins / "scumble_test").mkdir()
    shutil.copy(HERE / f"{module}.py", plugins / "scumble_test" / "__init__.py")
    (plugins / "scumble_test.desktop").write_text(_DESKTOP)
    for name, text in _CONFIG.items():
        (root.folder / "config" / name).write_text(text.format(more=more))
    names = " ".join(root.seen(path) for path in pictures)
    return screen.show(root, f"krita --nosplash {names}", {**folders, **environment}, limit_s)
