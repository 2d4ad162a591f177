"""Who may ask: the token, the Host and the Origin of a request.

The token keeps other users of the machine out. Host and Origin keep web pages out: a page of the user's own browser can
reach the loopback interface, under a name of its own (DNS rebinding) or with a request that the browser sends for it.
"""

import hmac
import ipaddress
from collections.abc import Collection, Mapping

from scumble.errors import ScumbleError

_LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
_OPEN = {"/", "/v1/health"}
_HTTP_PORT = 80


class Guard:
    """What stands between the network and the daemon. `allowed_hosts` are names besides the loopback's, which a proxy
    may give with another port or none; `is_remote`: other machines can reach the daemon, by its addresses."""

    def __init__(self, token: str, allowed_hosts: Collection[str], is_remote: bool) -> None:
        self._token = token.encode()
        self._allowed = {host.lower() for host in allowed_hosts}
        self._is_remote = is_remote
        self.port = 0

    def check(self, headers: Mapping[str, str], path: str) -> ScumbleError | None:
        """Why this request is refused, if it is; the headers' names are in lower case."""
        if not self._is_here(host := headers.get("host", "")):
            return ScumbleError("foreign-host", f"This daemon is not called {host[:100]!r}.")
        if not self._is_own_page(headers):
            return ScumbleError("foreign-origin", "The request was made by a web page.")
        if "authorization" in headers:
            if not self._is_token(headers["authorization"]):
                return ScumbleError("unauthorized", "The token is wrong.")
        elif not _is_open(headers, path):
            return ScumbleError("unauthorized", "The token is missing.")
        return None

    def _is_here(self, netloc: str) -> bool:
        """Whether that is this daemon: a host and perhaps a port, as in a Host header."""
        host, port = _split(netloc.lower())
        if port is None:
            return False
        is_own = host in _LOOPBACK or (self._is_remote and _is_address(host))
        return host in self._allowed or (is_own and (port or _HTTP_PORT) == self.port)

    def _is_own_page(self, headers: Mapping[str, str]) -> bool:
        """Whether the request comes from no page, or from one of this daemon's own."""
        if headers.get("sec-fetch-site", "none").lower() not in {"none", "same-origin"}:
            return False
        if "origin" not in headers:
            return True
        scheme, _, netloc = headers["origin"].partition("://")
        return scheme.lower() == "http" and self._is_here(netloc)

    def _is_token(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        given = token.strip().encode("utf-8", "replace")
        return hmac.compare_digest(given, self._token) and scheme.lower() == "bearer"


def _is_open(headers: Mapping[str, str], path: str) -> bool:
    """Whether anybody may ask that; a body is taken from nobody without a token."""
    has_body = headers.get("content-length", "0") not in {"", "0"} or "transfer-encoding" in headers
    return path in _OPEN and not has_body


def _split(netloc: str) -> tuple[str, int | None]:
    """Host and port (0: none is given); the port is None when it is no number, or the host is not just a host."""
    host, colon, port = netloc.rpartition(":") if not netloc.endswith("]") else (netloc, "", "")
    if not colon:
        return netloc, 0
    return host, int(port) if port.isascii() and port.isdigit() and len(port) < 6 else None


def _is_address(host: str) -> bool:
    """Whether that is a literal IP address, as it stands in a URL."""
    try:
        if host.startswith("[") and host.endswith("]"):
            return ipaddress.ip_address(host[1:-1]).version == 6
        return ipaddress.ip_address(host).version == 4
    except ValueError:
        return False
