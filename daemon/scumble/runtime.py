"""Where the daemon is, and how it is started and stopped.

The **runtime file**, `daemon.json` in Scumble's own folder, says where the daemon listens and what its token is. It is
*trusted* when nobody but its user can have written or read it. Its daemon is **live** when it answers to that token
under that address and is the **instance** that wrote the file; else the file is **stale**, left by one that was killed.
The **lock**, `daemon.lock` beside it, is held by the daemon from before it listens until it has saved everything.
"""

import contextlib
import http.client
import ipaddress
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from pydantic import ValidationError

from scumble.errors import CATALOGUE, ScumbleError
from scumble.home import private_folder, write_private
from scumble.locks import holder, is_taken
from scumble.protocol import PROTOCOL, Problem, RuntimeFile
from scumble.starter import COMMAND

SHORTEST_TOKEN = 16
"""Characters; a token that somebody chose is not to be guessed."""

_LARGEST_FILE = 2**16
_LARGEST_ANSWER = 64 * 2**20
_PAUSE_S = 0.05
_ASK_S = 2.0
_SHUTDOWN_S = 5.0
_LOG_BYTES = 2**20


def runtime_file(home: Path) -> Path:
    """Where the runtime file of a daemon with that folder is."""
    return home / "daemon.json"


def lock_file(home: Path) -> Path:
    """The file that the daemon with that folder holds."""
    return home / "daemon.lock"


def start_log(home: Path) -> Path:
    """What a daemon that was started in the background says outside its log."""
    return home / "logs" / "start.log"


# ------------------------------------------------------------------------------------------------- the runtime file


def read(home: Path) -> RuntimeFile | None:
    """What the runtime file says; None if there is none.

    Raises ScumbleError `bad-runtime-file` where it cannot be trusted: it is a link, another user's, open to others, or
    not what a daemon writes.
    """
    path = runtime_file(home)
    data = _read_private(path, "bad-runtime-file", None)
    if data is None:
        return None
    try:
        file = RuntimeFile.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        _distrust(path, f"is not what a daemon writes ({where + ': ' if where else ''}{first['msg']})")
    if not _is_token(file.token):
        _distrust(path, "holds no usable token")
    if not _is_address_here(file.url):
        _distrust(path, "names an address that is not on this machine")
    return file


def write(home: Path, file: RuntimeFile) -> None:
    """Write the runtime file, in place of whatever has its name; `ScumbleError("cannot-write")` if it cannot be."""
    path = runtime_file(private_folder(home))
    try:
        write_private(path, file.model_dump_json(indent=1).encode() + b"\n")
    except OSError as error:
        raise ScumbleError("cannot-write", f"{path} cannot be written: {error.strerror or error}.") from error


def remove(home: Path, instance: str) -> None:
    """Remove the runtime file if that instance wrote it."""
    with contextlib.suppress(ScumbleError, OSError):
        file = read(home)
        if file is not None and file.instance == instance:
            runtime_file(home).unlink()


def read_token(path: Path) -> str:
    """The token in a file of the user's; ScumbleError `missing-file` or `unauthorized`, which never hold its text."""
    hint = f"Make one: python3 -c 'import secrets; print(secrets.token_urlsafe())' > {path}; chmod 600 {path}"
    data = _read_private(path, "unauthorized", hint)
    if data is None:
        raise ScumbleError("missing-file", f"There is no file {path}.", hint)
    return check_token(data.decode("utf-8", "replace").strip(), str(path))


def check_token(token: str, source: str) -> str:
    """The token, if it is long enough to be one and can be sent in a header."""
    if not _is_token(token) or len(token) < SHORTEST_TOKEN:
        raise ScumbleError(
            "unauthorized",
            f"{source} holds no token: at least {SHORTEST_TOKEN} letters, digits or signs, without spaces.",
            "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return token


def _is_token(text: str) -> bool:
    return bool(text) and all("!" <= character <= "~" for character in text)


def _read_private(path: Path, code: str, hint: str | None) -> bytes | None:
    """The bytes of a file that only its user can write or read; None if there is none."""
    # Not to wait for a writer where the name is a pipe's; and what is looked at is the file that is read, not its name.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if path.is_symlink():
        _distrust(path, "is a symbolic link", code, hint)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = "is a symbolic link" if path.is_symlink() else f"cannot be read: {error.strerror or error}"
        _distrust(path, reason, code, hint)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            _distrust(path, "is not an ordinary file", code, hint)
        if sys.platform != "win32":
            if found.st_uid != os.geteuid():
                _distrust(path, "belongs to another user", code, hint)
            if found.st_mode & 0o077:
                mode = f"{stat.S_IMODE(found.st_mode):04o}"
                _distrust(path, f"is open to other users (mode {mode}, should be 0600)", code, hint)
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        _distrust(path, "is far too large", code, hint)
    return data


def _distrust(path: Path, reason: str, code: str = "bad-runtime-file", hint: str | None = None) -> NoReturn:
    # Without the error that led here: what it quotes may be the token.
    raise ScumbleError(code, f"{path} {reason}.", hint) from None


def _is_address_here(url: str) -> bool:
    """Whether it is `http://` an address of this machine `:PORT`: the token must not go anywhere else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme != "http" or not port or parts.username is not None or (parts.path.strip("/") or parts.query):
        return False
    if parts.hostname == "localhost":
        return True
    try:
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return False
    if address.is_loopback:
        return True
    if address.is_unspecified or address.is_multicast:
        return False
    # A daemon that was told to listen on one of the machine's other addresses: only those can be bound.
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


# --------------------------------------------------------------------------------------------------------- asking it


def ask(url: str, path: str, token: str | None, *, method: str = "GET", timeout_s: float = 10.0) -> bytes:
    """What the daemon at `url` answers. No proxy is asked and no redirection followed, so the token goes nowhere else.

    Raises the ScumbleError that it answers with, or `unreachable`.
    """
    try:
        status, body = _exchange(url, path, token, method, timeout_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error or type(error).__name__)
        raise ScumbleError("unreachable", f"{url} does not answer: {reason}.") from None
    if 200 <= status < 300:
        return body
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        raise ScumbleError("unreachable", f"{url} answers with the status {status}: it is no daemon.") from None
    code = problem.code if problem.code in CATALOGUE else "unreachable"
    raise ScumbleError(code, problem.detail, problem.hint)


def _exchange(url: str, path: str, token: str | None, method: str, timeout_s: float) -> tuple[int, bytes]:
    parts = urlsplit(url)
    kinds: dict[str, type[http.client.HTTPConnection]] = {
        "http": http.client.HTTPConnection,
        "https": http.client.HTTPSConnection,
    }
    if parts.scheme not in kinds or not parts.hostname:
        raise ValueError("it is no address; give one like http://127.0.0.1:8765")
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=timeout_s)
    headers = {"Connection": "close", "Accept": "application/json, application/problem+json"}
    if token is not None:
        if not _is_token(token):
            raise ValueError("the token cannot be sent")
        headers["Authorization"] = f"Bearer {token}"
    with contextlib.closing(connection):
        connection.request(method, parts.path.rstrip("/") + path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(_LARGEST_ANSWER)


@dataclass(frozen=True)
class _Live:
    """A daemon that has just answered, of whatever version."""

    file: RuntimeFile
    protocol: int
    pid: int | None


def _live(home: Path, timeout_s: float) -> _Live | None:
    file = read(home)
    if file is None:
        return None
    try:
        status, body = _exchange(file.url, "/v1/health", file.token, "GET", timeout_s)
        health: Any = json.loads(body) if status == 200 else None
    except TimeoutError:
        if _is_held(home):
            raise ScumbleError("unreachable", f"The daemon at {file.url} does not answer in time.") from None
        return None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    # Another program may have got the port, or another daemon: only who knows the instance wrote the file.
    if not isinstance(health, dict) or not file.instance or health.get("instance") != file.instance:
        return None
    protocol, pid = health.get("protocol"), health.get("pid")
    return _Live(
        file=file,
        protocol=protocol if isinstance(protocol, int) else file.protocol,
        pid=pid if isinstance(pid, int) else None,
    )


def _is_held(home: Path) -> bool:
    try:
        return is_taken(lock_file(home))
    except OSError as error:
        raise ScumbleError("cannot-write", f"{lock_file(home)} cannot be opened: {error.strerror or error}.") from error


def find(home: Path, timeout_s: float = _ASK_S) -> RuntimeFile | None:
    """The live daemon; None if there is none, whatever the runtime file says.

    Raises ScumbleError `bad-runtime-file`, `incompatible-daemon`, or `unreachable` where there is one that is mute.
    """
    live = _live(home, timeout_s)
    if live is None:
        return None
    if live.protocol != PROTOCOL:
        raise ScumbleError(
            "incompatible-daemon",
            f"The daemon that is running is version {live.file.version} and speaks protocol {live.protocol}, "
            f"not {PROTOCOL}.",
        )
    return live.file


# --------------------------------------------------------------------------------------------------- start and stop


def start(
    home: Path, options: Sequence[str] = (), timeout_s: float = 60.0, *, command: Sequence[str] | None = None
) -> tuple[RuntimeFile, bool]:
    """The live daemon, and whether it had to be started: in the background, to live on when this process ends.

    `options` are those of `scumble serve`; a daemon that is live already keeps its own. `command` is run instead of it.
    Raises ScumbleError `unreachable`: with what the daemon said when it could not start, or when it is not up in time.
    """
    home = home.absolute()
    words = [*(command or COMMAND), *options]
    deadline = time.monotonic() + timeout_s
    child: subprocess.Popen[bytes] | None = None
    began, lost_races = 0, 0
    while True:
        mute: ScumbleError | None = None
        try:
            if (file := find(home, _ASK_S)) is not None:
                return file, child is not None and _is_from(child, file.pid)
        except ScumbleError as error:
            if error.code != "unreachable":
                raise
            mute = error
        if child is not None and (status := child.poll()) is not None:
            child = None
            # Another one was quicker: with the lock held it is waited for, without it this one tries again.
            if not _is_held(home):
                lost_races += 1
                if status != CATALOGUE["daemon-running"].exit_status or lost_races > 2:
                    _tell(start_log(home), began, status)
        if time.monotonic() > deadline:
            pid = holder(lock_file(home))
            who = f"The daemon (process {pid})" if pid and _is_held(home) else "The daemon"
            raise mute or ScumbleError("unreachable", f"{who} did not answer within {timeout_s:.0f} s.")
        if child is None and not _is_held(home):
            child, began = _spawn(home, words)
        time.sleep(_PAUSE_S)


def _is_from(child: "subprocess.Popen[bytes]", pid: int) -> bool:
    """Whether that process is the one that was started here, and not another's that was quicker."""
    if sys.platform == "win32":
        import psutil  # there a virtual environment's python is only the parent of the one that runs

        with contextlib.suppress(psutil.Error):
            return child.pid in {pid, psutil.Process(pid).ppid()}
    return child.pid == pid


def _spawn(home: Path, words: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start it so that it needs nothing of this process; also where in the log its own words begin."""
    private_folder(home)
    private_folder(start_log(home).parent)
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {
            "creationflags": subprocess.DETACHED_PROCESS
            | subprocess.CREATE_NO_WINDOW
            | subprocess.CREATE_NEW_PROCESS_GROUP
        }
    try:
        with _appended(start_log(home)) as log:
            child = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
                close_fds=True,
                # -m looks into the working folder first, which is the daemon's own and holds no code.
                env={**os.environ, "SCUMBLE_HOME": str(home), "PYTHONSAFEPATH": "1"},
                **apart,
            )
            began = os.fstat(log).st_size
    except OSError as error:
        raise ScumbleError("unreachable", f"The daemon cannot be started: {error.strerror or error}.") from error
    # Where this process lives on, the daemon shall not stay as a zombie after its end.
    threading.Thread(target=child.wait, name="scumble-daemon", daemon=True).start()
    return child, began


@contextlib.contextmanager
def _appended(path: Path) -> Iterator[int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        if sys.platform != "win32":
            os.fchmod(descriptor, 0o600)
        if os.fstat(descriptor).st_size > _LOG_BYTES:
            os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _tell(log: Path, began: int, status: int) -> NoReturn:
    """Raise what a daemon said before it died."""
    try:
        with log.open("rb") as file:
            file.seek(began)
            said = file.read(_LOG_BYTES).decode("utf-8", "replace")
    except OSError:
        said = ""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("Error:").strip() for line in lines if line.startswith("Error:")]
    hints = [line.removeprefix("Hint:").strip() for line in lines if line.startswith("Hint:")]
    if errors:
        raise ScumbleError("unreachable", f"The daemon did not start: {errors[-1]}", hints[-1] if hints else None)
    last = f"its last words: {lines[-1][:300]}" if lines else "it said nothing"
    raise ScumbleError("unreachable", f"The daemon ended with status {status}; {last}.", f"{log} has all it said.")


def stop(home: Path, timeout_s: float = 30.0) -> bool:
    """End the daemon, of whatever version, and wait until it has saved everything; False if there was none.

    Raises ScumbleError `unreachable` where it does not end in time.
    """
    home = home.absolute()
    deadline = time.monotonic() + timeout_s
    while (live := _live_or_mute(home)) is None:
        if not _is_held(home):
            return _sweep(home)
        if time.monotonic() > deadline:
            _give_up(home, timeout_s)
        time.sleep(_PAUSE_S)  # it is starting, or ending already
    is_asked = True
    try:
        ask(live.file.url, "/v1/shutdown", live.file.token, method="POST", timeout_s=min(_SHUTDOWN_S, timeout_s))
    except ScumbleError:
        is_asked = False
    insist = time.monotonic() + (0.6 * timeout_s if is_asked else 0.0)
    while not _is_over(home, live.file):
        now = time.monotonic()
        if now > insist:
            insist = float("inf")
            # Only the pid that answered: what has the number of one that is gone is not ours to end.
            if live.pid == live.file.pid:
                with contextlib.suppress(OSError):
                    os.kill(live.pid, signal.SIGTERM)
        if now > deadline:
            _give_up(home, timeout_s)
        time.sleep(_PAUSE_S)
    remove(home, live.file.instance)
    return True


def _live_or_mute(home: Path) -> _Live | None:
    try:
        return _live(home, _ASK_S)
    except ScumbleError as error:
        if error.code != "unreachable":
            raise
        return None


def _sweep(home: Path) -> bool:
    file = read(home)
    if file is not None:
        remove(home, file.instance)
    return False


def _is_over(home: Path, file: RuntimeFile) -> bool:
    """Whether the daemon that wrote the file has ended; another may have begun meanwhile."""
    if _is_held(home):
        return holder(lock_file(home)) not in {None, file.pid}
    found = read(home)
    return found is None or found.instance != file.instance or _live_or_mute(home) is None


def _give_up(home: Path, timeout_s: float) -> NoReturn:
    pid = holder(lock_file(home))
    raise ScumbleError(
        "unreachable",
        f"The daemon{f' (process {pid})' if pid else ''} has not ended within {timeout_s:.0f} s.",
        f"End it with: kill -9 {pid}" if pid else None,
    )
