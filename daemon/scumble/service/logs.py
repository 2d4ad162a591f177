r"""The daemon's log: what it writes, and what never gets into it.

A **line** is one event: `2026-11-21 11:30:12 INFO  [job 3f2a91c0] text`, with the job if it concerns one. Text that
came from elsewhere cannot pass for a line: what would end one is written as `\n`, and the lines of a traceback are
indented. A **secret** is the daemon's token, or what stands behind `Authorization:` or `Bearer`; in a finished line it
is replaced, wherever it came from: the message, its arguments, a traceback.
"""

import contextlib
import contextvars
import io
import json
import logging
import os
import re
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

from scumble.errors import ScumbleError
from scumble.home import private_folder

FILE = "daemon.log"
FILE_BYTES = 2 * 2**20
FILES = 5
"""How many files are kept in all, the one that is written among them."""
HIDDEN = "[hidden]"

_LEVELS = {logging.WARNING: "WARN", logging.CRITICAL: "FATAL"}
_CREDENTIALS = re.compile(
    r"""(\b(?:proxy-)?authorization\b['"]?\s*[:=,]\s*b?['"]?)"""
    r"""(?:(?:basic|bearer|digest)\s+[^\s'"]+|[^\s'"]+(?:[ \t]+[^\s'"]+)?)"""
    r"""|(\bbearer(?:\s|%20|\+)+)[^\s'"]+""",
    re.IGNORECASE,
)
_INDENT = "    "

_job: contextvars.ContextVar[str | None] = contextvars.ContextVar("scumble_job", default=None)


@contextlib.contextmanager
def job_context(id: str) -> Iterator[None]:
    """What is logged in this block, by this thread, concerns that job."""
    before = _job.set(id)
    try:
        yield
    finally:
        _job.reset(before)


@contextlib.contextmanager
def keep(folder: Path, token: str, *, foreground: bool = False, level: int = logging.INFO) -> Iterator[None]:
    """Write what is logged in this process to `folder`, and to stderr too in the foreground, until the block ends.

    Warnings of Python and the end of a thread by an exception are logged as well. Raises ScumbleError `cannot-write`.
    """
    private_folder(folder)
    form = Form(token)
    try:
        handlers: list[logging.Handler] = [PrivateFile(folder / FILE)]
    except OSError as error:
        raise ScumbleError("cannot-write", f"{folder / FILE} cannot be written: {error.strerror or error}.") from error
    if foreground:
        handlers.append(_Screen(sys.stderr))
    root = logging.getLogger()
    level_before, hook_before = root.level, threading.excepthook

    def on_thread_end(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_type is SystemExit or ended.exc_value is None:
            return
        name = ended.thread.name if ended.thread else "?"
        about = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        logging.getLogger("scumble").error("The thread %s has ended", name, exc_info=about)

    for handler in handlers:
        handler.setFormatter(form)
        root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    threading.excepthook = on_thread_end
    try:
        yield
    finally:
        threading.excepthook = hook_before
        logging.captureWarnings(False)
        root.setLevel(level_before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


class Form(logging.Formatter):
    """Makes a finished line of an event: one line, without secrets."""

    def __init__(self, token: str) -> None:
        super().__init__()
        spellings = {token, repr(token)[1:-1], json.dumps(token)[1:-1], urllib.parse.quote(token, safe="")}
        longest_first = sorted(filter(None, spellings), key=len, reverse=True)
        self._token = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def format(self, record: logging.LogRecord) -> str:
        """The line, and indented ones below it for a traceback."""
        job = _job.get()
        concern = f"[job {_flat(job)[:16]}] " if job else ""
        level = _LEVELS.get(record.levelno, record.levelname)
        # Before the message is flattened: a secret may hold what is spelled differently then.
        text = (
            f"{self.formatTime(record, '%Y-%m-%d %H:%M:%S')} {level:5} {concern}{_flat(self._hide(_message(record)))}"
        )
        below = ""
        if record.exc_info and record.exc_info[0] is not None:
            below += self.formatException(record.exc_info) + "\n"
        if record.stack_info:
            below += self.formatStack(record.stack_info)
        for line in self._hide(below).split("\n"):
            if line:
                text += f"\n{_INDENT}{_flat(line)}"
        return text

    def _hide(self, text: str) -> str:
        text = self._token.sub(HIDDEN, text)
        return _CREDENTIALS.sub(lambda found: (found[1] or found[2]) + HIDDEN, text)


class PrivateFile(RotatingFileHandler):
    """A file of limited size, with its predecessors beside it, all open to their user alone; a link is not followed."""

    def __init__(self, path: Path, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        super().__init__(path, maxBytes=file_bytes, backupCount=files - 1, encoding="utf-8")

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self.baseFilename, flags, 0o600)
        if sys.platform != "win32":
            os.fchmod(descriptor, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Go on without it, the disk is full perhaps: what logging would say to stderr shows arguments as they are."""


class _Screen(logging.StreamHandler):  # type: ignore[type-arg]
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """As with the file."""


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # an event that is badly put is still one
        return f"{record.msg} {record.args!r}"


def _flat(text: str) -> str:
    """The text without anything that would end a line or move a terminal's cursor."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)
