"""A daemon's life, from its lock to its end.

It takes the lock, opens the log, brings the jobs back, binds the port, and only then writes the runtime file: who finds
that file finds a daemon that answers. It ends when it is asked to, or by a signal: running jobs are saved, then the
runtime file is removed, then the lock is free.
"""

import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from scumble import __version__, runtime, starter
from scumble.errors import ScumbleError
from scumble.home import private_folder, refuse_links
from scumble.protocol import PROTOCOL, RuntimeFile
from scumble.service import logs
from scumble.service.app import create_app
from scumble.service.guard import Guard
from scumble.service.jobs import Jobs
from scumble.service.library import Library
from scumble.service.lock import hold
from scumble.service.server import Server
from scumble.service.settings import Settings

_log = logging.getLogger(__name__)

_M_MMAP_THRESHOLD, _MMAP_BYTES = -3, 2**18  # glibc's name for it; what a picture takes is more, all else is less

_SETTLED_S = 60.0


def serve(
    settings: Settings,
    *,
    foreground: bool,
    command: Sequence[str] = (),
    on_ready: Callable[[RuntimeFile], None] | None = None,
) -> None:
    """Be the daemon until it is stopped. In the foreground the log goes to stderr too.

    `command` starts a daemon like this one, for the runtime file; `on_ready` hears of that file once it is written.
    Raises ScumbleError `daemon-running`, `cannot-write`, ….
    """
    if sys.platform != "win32":
        os.umask(0o077)
    _give_memory_back()
    home = private_folder(settings.home)
    with contextlib.ExitStack() as life:
        life.enter_context(hold(runtime.lock_file(home)))
        store = settings.store
        inside = (store / name for name in ("jobs", "pictures", "incoming", "jobs.db"))
        refuse_links((settings.logs, store, *inside, settings.library, settings.cache))
        life.enter_context(logs.keep(settings.logs, settings.token, foreground=foreground))
        life.callback(_log.info, "Stopped")
        try:
            _run(settings, life, command, on_ready)
        except Exception:
            _log.exception("The daemon ends by an error")
            raise


def _run(
    settings: Settings,
    life: contextlib.ExitStack,
    command: Sequence[str],
    on_ready: Callable[[RuntimeFile], None] | None,
) -> None:
    library = Library(settings.library, settings.limits.pixels)
    jobs = Jobs(settings, library)
    address = _address(settings.host)
    named = {settings.host} - {address}
    guard = Guard(settings.token, {*settings.allowed_hosts, *named}, settings.is_remote)
    app = create_app(jobs, library, guard, settings.limits, lambda: server.stop())
    server = Server(app, guard, address, settings.port, settings.limits, settings.store / "incoming")
    life.enter_context(_stopped_by_signals(server))
    # Once: by the server while it stops, so that those who wait are answered; or at the end, where it never ran.
    close = _Once(jobs.close)
    life.callback(close)
    jobs.start()
    file = RuntimeFile(
        url=server.url,
        token=settings.token,
        pid=os.getpid(),
        version=__version__,
        protocol=PROTOCOL,
        command=list(command or (sys.executable, "-m", "scumble", "start")),
        instance=jobs.instance,
    )
    life.callback(runtime.remove, settings.home, jobs.instance)
    runtime.write(settings.home, file)
    try:
        starter.write(settings.home, file.command)
    except ScumbleError as error:  # without it only a plug-in cannot start the next daemon
        _log.warning("%s", error)
    threading.Thread(target=_prepare, args=(library, jobs), name="styles", daemon=True).start()
    _log.info("Scumble %s listens at %s, process %d", __version__, server.url, os.getpid())
    if on_ready is not None:
        on_ready(file)
    server.run(close)
    _log.info("Stopping")


def _prepare(library: Library, jobs: Jobs) -> None:
    """Draw the bundled styles, after a while, when nothing else wants to be done."""
    until = time.monotonic() + _SETTLED_S
    while time.monotonic() < until:  # the first job is not to wait for them
        if jobs.closing:
            return
        time.sleep(0.5)
    if sys.platform == "linux":  # where niceness is a thread's own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    library.prepare(lambda: jobs.closing)


def _give_memory_back() -> None:
    """Let the C library give what a picture took back at once; left alone it keeps some of it for every thread."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is not None and hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)


def _address(host: str) -> str:
    """The host as a number: a name in the runtime file could come to mean another machine, and get the token."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError):
        return host  # the server says what is wrong with it


@contextlib.contextmanager
def _stopped_by_signals(server: Server) -> Iterator[None]:
    """In this block the first signal stops the server, and the second ends the process where it stands."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only there can signals be heard
        return
    heard: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if heard:
            os._exit(128 + number)
        heard.append(number)
        server.stop()

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    # What is ignored from the beginning stays so: that is how nohup works.
    before = {kind: signal.signal(kind, on_signal) for kind in kinds if signal.getsignal(kind) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


class _Once:
    """Something that is done a single time, whoever asks first; who asks later waits for it."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._lock = threading.Lock()
        self._is_done = False

    def __call__(self) -> None:
        with self._lock:
            if not self._is_done:
                self._is_done = True
                self._action()
