"""One question and its answer over HTTP, with the standard library; pictures are sent as they lie in memory.

Nothing is asked of proxies and no redirection is followed, so the token goes nowhere but to the address it belongs to.
"""

from __future__ import annotations

import contextlib
import http.client
import json as json_text
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .errors import LinkError, from_problem
from .pixels import BAND_BYTES, Bytes
from .text import tr

NPY = "application/x-npy"
FILE = "application/octet-stream"

_CONNECT_S = 10.0
_PROBLEM = "application/problem+json"
_LATE = (socket.timeout, TimeoutError)


@dataclass(frozen=True)
class Part:
    """A part of a form: a field, or with a file name a file. Its data come in pieces, which are not joined."""

    name: str
    chunks: Sequence[Bytes] = field(repr=False)
    file_name: str | None = None
    media_type: str = FILE


@dataclass(frozen=True)
class Answer:
    """What came back; the headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON. `LinkError` incompatible-daemon where it is none."""
        try:
            return json_text.loads(self.body)
        except (ValueError, RecursionError):
            raise LinkError("incompatible-daemon", tr("What answers does not speak as Scumble does.")) from None


class Unreachable(LinkError):  # noqa: N818 - as its code is called
    """Nobody answers, or nobody who is a daemon.

    `was_sent`: the question may have been heard. `is_late`: somebody is there, but silent.
    """

    def __init__(self, detail: str, *, was_sent: bool, is_late: bool = False) -> None:
        super().__init__("unreachable", detail)
        self.was_sent = was_sent
        self.is_late = is_late


class Wire:
    """The way to one address. Every question has a connection of its own, so threads may share it."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token

    def __repr__(self) -> str:
        return f"Wire({self.url!r})"

    def ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        parts: Sequence[Part] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """What the daemon answers; the body is `json`, or a form of `parts`, or nothing.

        `timeout_s` is how long it may be silent. `LinkError`: what a problem document of the daemon says;
        unreachable (`Unreachable`) where nobody answers, or something that is no daemon.
        """
        said = {"Accept": f"application/json, {_PROBLEM}", "Connection": "close", **(headers or {})}
        said["Authorization"] = f"Bearer {self._token}"
        chunks: Sequence[Bytes] = ()
        if json is not None:
            chunks, said["Content-Type"] = [json_text.dumps(json).encode()], "application/json"
        elif parts is not None:
            boundary = f"scumble-{uuid.uuid4().hex}"
            chunks, said["Content-Type"] = list(_form(parts, boundary)), f"multipart/form-data; boundary={boundary}"
        if chunks:
            said["Content-Length"] = str(sum(memoryview(chunk).nbytes for chunk in chunks))
        answer = self._exchange(method, path, chunks, said, timeout_s)
        if 200 <= answer.status < 300:
            return answer
        raise self._refusal(answer)

    def _exchange(
        self, method: str, path: str, chunks: Sequence[Bytes], headers: Mapping[str, str], timeout_s: float
    ) -> Answer:
        parts = self._parts()
        was_sent = False
        try:
            with contextlib.closing(_connection(parts, min(timeout_s, _CONNECT_S))) as connection:
                connection.connect()
                connection.sock.settimeout(timeout_s)
                was_sent = True
                try:
                    connection.request(method, parts.path + path, _pieces(chunks) if chunks else None, dict(headers))
                except ConnectionError as error:
                    # Who refuses a body hangs up before its end, but may have said why.
                    return _last_words(connection, error)
                return _read(connection)
        except (OSError, http.client.HTTPException, ValueError) as error:
            detail = tr("{url} does not answer: {reason}.", url=self.url, reason=_why(error))
            raise Unreachable(detail, was_sent=was_sent, is_late=isinstance(error, _LATE)) from None

    def _parts(self) -> SplitResult:
        with contextlib.suppress(ValueError):
            parts = urlsplit(self.url)
            if parts.scheme in ("http", "https") and parts.hostname and parts.username is None and parts.port != 0:
                return parts
        raise LinkError(
            "unreachable", tr("That is no daemon's address."), tr("Give one like {url}.", url="http://127.0.0.1:8765")
        )

    def _refusal(self, answer: Answer) -> LinkError:
        if answer.headers.get("content-type", "").split(";")[0].strip() == _PROBLEM:
            with contextlib.suppress(ValueError, RecursionError):
                problem = json_text.loads(answer.body)
                if isinstance(problem, dict) and isinstance(problem.get("code"), str):
                    return from_problem(problem)
        detail = tr("{url} answers with the status {status}: it is no daemon.", url=self.url, status=answer.status)
        return Unreachable(detail, was_sent=True)


def _connection(parts: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout_s)


def _pieces(chunks: Sequence[Bytes]) -> Iterator[memoryview]:
    """The data in small pieces: the time allowed is that for sending one."""
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        for begin in range(0, len(view), BAND_BYTES):
            yield view[begin : begin + BAND_BYTES]


def _read(connection: http.client.HTTPConnection) -> Answer:
    return _answer(connection.getresponse())


def _last_words(connection: http.client.HTTPConnection, error: OSError) -> Answer:
    response = http.client.HTTPResponse(connection.sock)
    with contextlib.closing(response):
        try:
            response.begin()
            return _answer(response)
        except (OSError, http.client.HTTPException):
            raise error from None


def _answer(response: http.client.HTTPResponse) -> Answer:
    with contextlib.closing(response):
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())


def _why(error: Exception) -> str:
    if isinstance(error, _LATE):
        return tr("it takes too long")
    if isinstance(error, ConnectionRefusedError):
        return tr("nobody is there")
    return tr("the connection broke")


def _form(parts: Sequence[Part], boundary: str) -> Iterator[Bytes]:
    for part in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(part.name)}"'
        if part.file_name is not None:
            head += f'; filename="{_quoted(part.file_name)}"\r\nContent-Type: {part.media_type}'
        yield f"{head}\r\n\r\n".encode()
        yield from part.chunks
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _quoted(name: str) -> str:
    for sign in '"\r\n':
        name = name.replace(sign, f"%{ord(sign):02X}")
    return name
