"""How a plug-in starts the daemon: the **start file**, `start.json` in Scumble's own folder.

The runtime file names the command too, but goes with the daemon; this one stays. It is to be trusted as the runtime
file is: when nobody but its user can have written it, for what stands in it will be run.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from scumble import __version__
from scumble.errors import ScumbleError
from scumble.home import NO_ROOM, private_folder, write_private

COMMAND = (sys.executable, "-m", "scumble", "serve", "--background")
"""A daemon of this installation, with nothing of its own set."""


def start_file(home: Path) -> Path:
    """Where the start file for a daemon with that folder is."""
    return home / "start.json"


def write(home: Path, command: Sequence[str] = COMMAND) -> Path:
    """Write the start file, in place of whatever has its name; ScumbleError `cannot-write` or `disk-full`."""
    path = start_file(private_folder(home))
    data = json.dumps({"command": list(command), "version": __version__}, indent=1)
    try:
        write_private(path, data.encode() + b"\n")
    except OSError as error:
        code = "disk-full" if error.errno in NO_ROOM else "cannot-write"
        raise ScumbleError(code, f"{path} cannot be written: {error.strerror or error}.") from error
    return path
