"""Pictures of the GIMP dialog's content in its states, themes and widths, drawn in a root without GIMP itself.

    python tests/hosts/picture_gimp_widgets.py SUITE FOLDER [name…]

`SCUMBLE_LANGUAGE=de` draws in German, `GDK_SCALE=2` for a fine screen.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main():
    """Draw them in a root, and fetch them."""
    sys.path.append(str(HERE))
    import gimp_widgets
    import roots

    suite, folder, *names = sys.argv[1:]
    with roots.inside(suite) as root:
        passed = {name: os.environ[name] for name in ("SCUMBLE_LANGUAGE", "GDK_SCALE") if name in os.environ}
        ended = gimp_widgets.run(root, "in_gtk_pictures", *names, environment=passed)
        print(ended.output)
        Path(folder).mkdir(parents=True, exist_ok=True)
        for path in (root.folder / "pictures").glob("*.png"):
            (Path(folder) / path.name).write_bytes(path.read_bytes())


if __name__ == "__main__":
    main()
