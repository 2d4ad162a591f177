"""A resumable, verified download of one large file over HTTP.

The *part* is what has come so far, `<target>.part`. Its *version* is the server's ETag, or else its date, kept in
`<target>.part.version`: a part goes on only where the server says that the file is still the same (RFC 9110, If-Range).
The *target* appears all at once, and only when its SHA-256 is the expected one.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from scumble.errors import ScumbleError
from scumble.locks import take

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all, or None where the server does not say."""

_CHUNK = 1 << 16
_RETRIED = {408, 425, 429, 500, 502, 503, 504}


def fetch(
    url: str,
    target: Path,
    sha256: str,
    on_progress: Progress | None = None,
    *,
    attempts: int = 6,
    pause: float = 1.0,
    timeout: tuple[float, float] = (10.0, 30.0),
) -> str:
    """Bring `url` to `target`, going on where an earlier call stopped, and return its full SHA-256 in hex.

    `sha256` is the expected digest or its start. A target that is there and has it is left as it is. After a broken
    connection it tries again, `attempts` times in all, with pauses of `pause`, 2 `pause`, 4 `pause`, … seconds;
    `timeout` is in seconds, to connect and between bytes. Hold `exclusive` around it: two calls for one target at once
    would write the same part.

    Raises ScumbleError `download-failed` (the part stays, except when its digest is wrong) or `cannot-write`. What
    `on_progress` raises ends the download and passes through; the part stays.
    """
    part = target.with_name(target.name + ".part")
    version = target.with_name(target.name + ".part.version")
    try:
        if target.exists() and (found := digest(target)).startswith(sha256):
            return found
        _receive(url, part, version, on_progress, attempts, pause, timeout)
        found = digest(part)
        version.unlink(missing_ok=True)
        if not found.startswith(sha256):
            part.unlink()
            raise ScumbleError(
                "download-failed",
                f"What came from {url} is damaged or another file: its SHA-256 starts with {found[: len(sha256)]}, "
                f"expected was {sha256}; it was removed.",
                "Try again. If it happens again, a proxy or the server gives another file.",
            )
        part.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    return found


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold `path` (an empty file, made if need be) for one process and thread; the system frees it even after a crash.

    Raises ScumbleError `download-failed` at once where another holds it, `cannot-write` where it cannot be made.
    """
    try:
        file = path.open("a")
    except OSError as error:
        raise cannot_write(path, error) from error
    with file:
        try:
            take(file.fileno())
        except OSError as error:
            raise ScumbleError(
                "download-failed", f"Another download to {path.parent} is under way.", "Wait until it is done."
            ) from error
        yield


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cannot_write(path: Path, error: OSError) -> ScumbleError:
    """The `cannot-write` error for what the system said about `path`: disk full, permission denied, …"""
    return ScumbleError("cannot-write", f"{path} cannot be written: {error.strerror or error}.")


def _receive(
    url: str,
    part: Path,
    version: Path,
    on_progress: Progress | None,
    attempts: int,
    pause: float,
    timeout: tuple[float, float],
) -> None:
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            return _stream(url, part, version, on_progress, timeout)
        # requests' errors are OSErrors too, so what was raised while writing must not be caught here.
        except requests.RequestException as error:
            reason = _reason(error)
            status = error.response.status_code if error.response is not None else None
            if status is not None and status not in _RETRIED:
                break
    raise ScumbleError("download-failed", f"{url} could not be downloaded: {reason}.")


def _stream(url: str, part: Path, version: Path, on_progress: Progress | None, timeout: tuple[float, float]) -> None:
    have = part.stat().st_size if part.exists() and version.exists() else 0
    # Compressed on the way, the bytes of the range would not be the bytes of the file.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version.read_text()}
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        start, total = _range(answer)
        if answer.status_code == 416 and have == total:
            return  # all of it had come: the caller verifies it
        if answer.status_code == 416 or start not in (0, have):
            part.unlink(missing_ok=True)
            raise requests.ConnectionError("the server's file does not fit to what had come")
        answer.raise_for_status()
        with part.open("ab" if start else "wb") as file:
            if not start:
                _remember(version, answer)
            done = start
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if on_progress is not None:
                    on_progress(done, total)
    if total is not None and done != total:
        raise requests.ConnectionError(f"{done} bytes came instead of {total}")


def _range(answer: requests.Response) -> tuple[int, int | None]:
    """The first byte that an answer brings, and the bytes of the whole file."""
    content_range = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if answer.status_code in (206, 416) and content_range:
        start, total = content_range.groups()
        return int(start or 0), None if total == "*" else int(total)
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if answer.status_code == 200 and length.isdigit() else None


def _remember(version: Path, answer: requests.Response) -> None:
    etag = answer.headers.get("ETag", "")
    # If-Range compares strongly: a weak ETag would never match.
    stamp = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")
    if stamp:
        version.write_text(stamp)
    else:
        version.unlink(missing_ok=True)


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}".rstrip()
    if isinstance(error, requests.Timeout):
        return "the server does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not accepted"
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "the connection failed or broke"
    return str(error)
