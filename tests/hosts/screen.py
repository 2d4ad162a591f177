"""A screen that nobody sees, for a real host with its windows.

    with roots.inside("trixie") as root:
        ended = screen.show(root, "krita picture.png", environment, limit_s)

What is done with the host meanwhile is done from inside it, or by `screen.xdo`, as a hand would.
"""

import zlib

SIZE = "1600x1000x24"
# Abstract sockets are the whole machine's, whatever root a screen is in; a root's own folder holds the other kind.
_START = """
Xvfb {number} -screen 0 {size} -nolisten tcp -nolisten local >/dev/null 2>&1 &
export DISPLAY={number}
for _ in $(seq 100); do xdpyinfo >/dev/null 2>&1 && break; sleep 0.1; done
openbox >/dev/null 2>&1 &
exec dbus-run-session -- {command}
"""


def number_of(root):
    """The number of the screen of a test's folder in a root: several can be lit at once."""
    return f":{100 + zlib.crc32(root.folder.name.encode()) % 900}"


def show(root, command, environment, limit_s):
    """Run a command, a line of shell, on the screen until it ends; how it ended."""
    start = root.folder / "start.sh"
    start.write_text(_START.format(number=number_of(root), size=SIZE, command=command))
    try:
        return root.run(["bash", root.seen(start)], environment=environment, timeout_s=limit_s)
    finally:
        # A screen that was killed leaves them, and they keep the next one with its number dark while any process has
        # the number that the killed one had.
        for left in (f".X{number_of(root)[1:]}-lock", f".X11-unix/X{number_of(root)[1:]}"):
            (root.at / "tmp" / left).unlink(missing_ok=True)


def picture(root, path):
    """What is on the screen, as a PNG."""
    return root.run(["import", "-display", number_of(root), "-window", "root", root.seen(path)], timeout_s=30)


def xdo(root, *words):
    """What the hand does: xdotool's words; what it answers, or None where it could not."""
    ended = root.run(["xdotool", *map(str, words)], environment={"DISPLAY": number_of(root)}, timeout_s=30)
    return None if ended.code else ended.output.strip()
