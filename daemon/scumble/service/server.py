"""The daemon's socket: waitress, which reads all connections in one loop and gives each complete request to a thread.

A request is *refused* as soon as its headers, or the length of its body, say that it will not be served. Nothing of a
refused body is stored. It is read to its end all the same, for most clients listen only once they have said all; one
that asked first (`Expect: 100-continue`) is answered at once. A connection on which something was refused is closed;
it *lingers* for a moment, so that what the client still sends does not make the answer vanish.
"""

import contextlib
import io
import logging
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import create_server
from waitress.task import ErrorTask
from waitress.utilities import BadRequest

from scumble.errors import ScumbleError
from scumble.service import problems
from scumble.service.guard import Guard
from scumble.service.settings import Limits

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_log = logging.getLogger(__name__)

THREADS = 240
"""Each request that waits for a job holds one."""
GRACE_S = 5.0
"""How long requests may go on once the server is to stop."""
_IDLE_S = 60
"""A connection on which nothing happens for so long is closed."""
_LINGER_S = 2.0
_RECEIVE_BYTES = 2**17
_IN_MEMORY_BYTES = 2**19
_HEADER_BYTES = 2**16
_DRAINED_BYTES = 2**32
"""What is read of a refused body beyond the limit, before the client is cut off."""


class Server:
    """A WSGI application on a port of its own (0: any free one). Bodies are kept in `spool` while they come in."""

    def __init__(
        self, app: "WSGIApplication", guard: Guard, host: str, port: int, limits: Limits, spool: Path | None = None
    ) -> None:
        listening = _listen(host, port)
        self.port: int = listening.getsockname()[1]
        self.url = f"http://{_reachable(host)}:{self.port}"
        guard.port = self.port

        class Channel(_Channel):
            parser_class = partial(_Parser, guard=guard, limits=limits, spool=spool)

        self._map: dict[int, Any] = {}
        self._server = create_server(
            app,
            map=self._map,
            sockets=[listening],
            threads=THREADS,
            connection_limit=_connections(),
            channel_timeout=_IDLE_S,
            recv_bytes=_RECEIVE_BYTES,
            max_request_header_size=_HEADER_BYTES,
            max_request_body_size=sys.maxsize,  # the parser has the limit, and answers in the daemon's own words
            clear_untrusted_proxy_headers=True,
            log_socket_errors=False,
            ident=None,
        )
        self._server.channel_class = Channel
        self._lock = threading.RLock()  # a signal may come while its thread is in `stop` already
        self._is_stopping = False

    def run(self, on_stop: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`. Then nobody new is let in, `on_stop` is called, in a thread, to wake those who wait, and
        those under way get a few seconds."""
        while not self._is_stopping:
            self._turn()
        wasyncore.dispatcher.close(self._server)
        waking = threading.Thread(target=on_stop, name="on-stop")
        waking.start()
        deadline = time.monotonic() + GRACE_S
        while waking.is_alive() or (self._is_busy() and time.monotonic() < deadline):
            self._turn(0.05)
        self._end()

    def stop(self) -> None:
        """Let `run` return soon; from any thread, or a signal handler."""
        self._is_stopping = True
        with self._lock:
            self._server.pull_trigger()

    def _turn(self, timeout_s: float = 1.0) -> None:
        wasyncore.loop(timeout=timeout_s, use_poll=True, map=self._map, count=1)

    def _is_busy(self) -> bool:
        """Whether anybody is still to be answered; closes the connections of all others."""
        busy = False
        for channel in list(self._server.active_channels.values()):
            if channel.requests or channel.total_outbufs_len:
                busy = True
            else:
                channel.will_close = True
        return busy

    def _end(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.task_dispatcher.shutdown(timeout=1)
        with self._lock:
            # a thread that is left would write into whatever file comes to have the trigger's number
            self._server.pull_trigger = lambda: None
            self._server.trigger.close()


# ------------------------------------------------------------------------------------------------------------- requests


class _Body:
    """What a request sends: in memory while it is small, then in a file; nothing at all once it is refused."""

    def __init__(self, limit: int, spool: Path | None) -> None:
        self.size = 0
        self.refusal: ScumbleError | None = None
        self._limit = limit
        folder = None if spool is None else str(spool)
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=folder)  # noqa: SIM115 - closed by `close`

    def __len__(self) -> int:
        return self.size

    def append(self, data: bytes) -> None:
        """Take the next piece."""
        self.announce(self.size + len(data))
        self.size += len(data)
        if self.refusal is None:
            try:
                self._file.write(data)
            except OSError:
                self.refuse(ScumbleError("disk-full", "The disk that takes requests in is full, or cannot be written."))

    def announce(self, size: int) -> None:
        """Refuse it if it is going to be too large."""
        if size > self._limit and self.refusal is None:
            detail = f"The request's body is larger than the limit of {self._limit / 1e6:,.1f} MB."
            hint = "Send less, or raise the limit with `scumble serve --max-body-mb N`."
            self.refuse(ScumbleError("request-too-large", detail, hint))

    def refuse(self, error: ScumbleError) -> None:
        """Forget what has come, and what comes."""
        self.refusal = error
        self.close()

    def getfile(self) -> Any:
        """All of it, from its beginning."""
        if self.refusal is not None:
            return io.BytesIO()
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):  # what was held back has no room on a full disk
            self._file.close()


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request, as it comes in."""

    completed: bool
    error: Any

    def __init__(self, adj: Any, *, guard: Guard, limits: Limits, spool: Path | None) -> None:
        super().__init__(adj)
        self._guard, self._limits, self._spool = guard, limits, spool
        self._body: _Body | None = None
        self._refusal: ScumbleError | None = None

    def parse_header(self, header_plus: bytes) -> None:
        """Read the headers, and refuse what can be refused by them alone."""
        super().parse_header(header_plus)
        headers = {name.lower().replace("_", "-"): value for name, value in self.headers.items()}
        if self.chunked:
            headers["transfer-encoding"] = "chunked"
        self._refusal = self._guard.check(headers, self.path)
        if self.body_rcv is not None:
            self._body = self.body_rcv.buf = _Body(self._limits.body_bytes, self._spool)
            if self._refusal is not None:
                self._body.refuse(self._refusal)
            self._body.announce(self.content_length)

    def received(self, data: bytes) -> int:
        """Take the next piece, and say how much of it was this request's."""
        consumed: int = super().received(data)
        if self._body is not None and not self.completed:
            self._refusal = self._body.refusal
            self._cut_off()
        if self.completed:
            if self._body is not None:
                self._refusal = self._body.refusal
            self.error = self.error or self._refusal
            self.expect_continue = False  # it would be asked to go on, and waited for, though there is nothing to come
        return consumed

    def _cut_off(self) -> None:
        """Do not wait for the rest of a body that nobody needs to send, or that never ends."""
        assert self._body is not None
        is_asking = self._refusal is not None and self.expect_continue
        if is_asking or self._body.size > self._limits.body_bytes + _DRAINED_BYTES:
            self.completed = True
        elif self.chunked and len(self.body_rcv.control_line) + len(self.body_rcv.trailer) > _HEADER_BYTES:
            self.error = BadRequest("a chunk's header or the trailer never ends")
            self.completed = True


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers a request that does not reach the application."""

    def execute(self) -> None:
        """Write the problem document, and let the connection be closed."""
        request = self.request
        status, headers, body = problems.answer(_as_error(request.error))
        self.status = f"{status} {HTTPStatus(status).phrase}"
        self.response_headers.extend(headers.items())
        self.content_length = len(body)
        self.set_close_on_finish()
        self.channel.lingers = True
        command = getattr(request, "command", "?")
        self.write(b"" if command == "HEAD" else body)
        _log.info("%s %s %d refused", command, quote(getattr(request, "path", "?"), encoding="latin-1"), status)


def _as_error(error: Any) -> ScumbleError:
    if isinstance(error, ScumbleError):
        return error
    if error.code == 431:
        return ScumbleError("request-too-large", f"The request's headers are larger than {_HEADER_BYTES} bytes.")
    if error.code >= 500 and error.code != 501:
        return ScumbleError("internal", "The daemon made a mistake while it answered.")
    return ScumbleError("bad-request", "The request is not HTTP as this daemon speaks it.")


class _Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    close_when_flushed: bool
    will_close: bool
    error_task_class = _ErrorTask
    lingers = False
    _lingers_until: float | None = None

    def handle_write(self) -> None:
        """Send what is to be sent, and then close the connection if it is to be closed."""
        if not (self.lingers and self.close_when_flushed):
            super().handle_write()
            return
        self.close_when_flushed = False
        super().handle_write()
        if self.total_outbufs_len:
            self.close_when_flushed = True
        elif self.connected:
            self._lingers_until = time.monotonic() + _LINGER_S
            with contextlib.suppress(OSError):  # the client is gone
                self.socket.shutdown(socket.SHUT_WR)

    def readable(self) -> bool:
        """Whether anything is to be read; asked at every turn of the loop."""
        if self._lingers_until is None:
            return bool(super().readable())
        self.will_close = self.will_close or time.monotonic() > self._lingers_until
        return not self.will_close

    def handle_close(self) -> None:
        """Let go of everything, a request that came in half too."""
        super().handle_close()
        if self.request is not None:
            self.request.close()

    def received(self, data: bytes) -> bool:
        """Take what has come."""
        return self._lingers_until is None and bool(super().received(data))


# -------------------------------------------------------------------------------------------------------------- sockets


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            if sys.platform == "win32":  # where the other option lets two programs listen on one port
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScumbleError("cannot-listen", f"Nothing can listen on {host}, port {port}: {reason}.") from error
    return listening


def _reachable(host: str) -> str:
    """The host as it stands in a URL; for one that means all addresses, this machine's own."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _connections() -> int:
    """How many connections are let in: each takes a file, and files are needed for more than that."""
    most = 1000
    try:
        import resource
    except ImportError:  # Windows, where a loop can watch 512 sockets
        return 400
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else max(50, min(most, files // 2))
