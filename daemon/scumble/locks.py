"""One file, one holder: locks that the system frees when their process ends, however it ends.

A lock belongs to an open file, not to its name or its content: *taken* on a descriptor, it lasts until that is closed.
Descriptors are not handed to child processes, so no child prolongs it.
"""

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    _BYTE = 2**30
    """Which byte is locked: far behind the content, since a locked byte cannot be read."""

    def take(descriptor: int) -> None:
        """Lock an open file; BlockingIOError at once where another holds it. Frees itself when the file is closed."""
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, "The file is locked") from error
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

    def _look(descriptor: int) -> None:
        take(descriptor)
else:
    import fcntl

    def take(descriptor: int) -> None:
        """Lock an open file; BlockingIOError at once where another holds it. Frees itself when the file is closed."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _look(descriptor: int) -> None:
        # Shared, so that two who look at the same time do not see each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def open_lock(path: Path, *, create: bool = True) -> int:
    """A descriptor to lock, of a file that is open to its user alone (0600) and is no link. Raises OSError."""
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags | (os.O_CREAT if create else 0), 0o600)
    try:
        if os.name != "nt" and os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_taken(path: Path) -> bool:
    """Whether somebody holds the file. To know it, it is held for an instant itself. Raises OSError."""
    try:
        descriptor = open_lock(path, create=False)
    except FileNotFoundError:
        return False
    try:
        _look(descriptor)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(path: Path) -> int | None:
    """The process that says that it holds the file, if one does: for information only."""
    try:
        return int(path.read_text("ascii")[:20])
    except (OSError, ValueError):
        return None
