"""One daemon for one folder: the lock that a daemon holds for its life.

The system frees it with the process, `kill -9` included; the file itself stays, with the holder's pid in it for those
who look.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from scumble.errors import ScumbleError
from scumble.locks import holder, open_lock, take

_GRACE_S = 0.15
"""Somebody who looks whether a daemon runs holds the lock for an instant: that must not pass for a daemon."""


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the file at `path`, made if need be, until the end of the block.

    Raises ScumbleError `daemon-running` where another process holds it, `cannot-write` where it cannot be held at all.
    """
    try:
        descriptor = open_lock(path)
    except OSError as error:
        raise ScumbleError("cannot-write", f"{path} cannot be opened: {error.strerror or error}.") from error
    try:
        _take(descriptor, path)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + _GRACE_S
    while True:
        try:
            return take(descriptor)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(_GRACE_S / 10)
                continue
            pid = holder(path)
            who = f" (process {pid})" if pid else ""
            raise ScumbleError("daemon-running", f"A daemon is running already in {path.parent}{who}.") from None
        except OSError as error:
            raise ScumbleError("cannot-write", f"{path} cannot be locked: {error.strerror or error}.") from error
