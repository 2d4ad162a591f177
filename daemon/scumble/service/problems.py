"""Errors as HTTP answers: a problem document (RFC 9457) with the status that the table of errors gives."""

from scumble.errors import ScumbleError
from scumble.protocol import Problem

MEDIA_TYPE = "application/problem+json"
_RETRY_S = 5


def problem(error: ScumbleError) -> Problem:
    """What the document says."""
    return Problem(title=error.title, status=error.http_status, detail=error.detail, code=error.code, hint=error.hint)


def answer(error: ScumbleError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    if error.http_status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.http_status == 503:
        headers["Retry-After"] = str(_RETRY_S)
    return error.http_status, headers, problem(error).model_dump_json().encode()
