"""Runs in a root with GTK: makes the checks of the GIMP dialog's widgets, and writes down what became of them.

    python3 in_gtk.py [name…]

A check begins with a panel of its own, in a dialog of GTK's; without names all are made.
"""

import json
import sys
import traceback

import in_gtk_dialog
import in_gtk_panel
import in_gtk_runs
import in_gtk_settings
import in_gtk_styles
from gtk_play import FOLDER, Play, have_theme, put_pointer_aside, settle

MODULES = (in_gtk_panel, in_gtk_settings, in_gtk_styles, in_gtk_runs, in_gtk_dialog)
CHECKS = {
    name[len("check_") :]: value for each in MODULES for name, value in vars(each).items() if name.startswith("check_")
}


def main(names):
    """Make them all, or those that are named."""
    have_theme("dark")
    put_pointer_aside()
    said = {}
    for name, check in CHECKS.items():
        if names and name not in names:
            continue
        print(f"== {name}", file=sys.stderr, flush=True)
        play = Play()
        try:
            check(play)
            play.close()
            said[name] = ""
        except Exception:
            said[name] = traceback.format_exc()
            play.window.destroy()
            settle()
        (FOLDER / "results.json").write_text(json.dumps({"checks": said}))


if __name__ == "__main__":
    main(sys.argv[1:])
