"""Does it work, and if not, what must a helper know: a self-test from here to a painted picture, and a report."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .daemon import Daemon, Health, Job
from .errors import LinkError
from .finder import TOKEN, URL, Finder
from .pixels import Plane, Rect, cropped
from .text import tr

WIDTH, HEIGHT = 48, 32
"""The size of the picture that the self-test paints, in px."""

_BOX = Rect(12, 8, 24, 16)
"""What is selected of it."""
_RECIPE = {
    "size": 64,
    "scales": 1,
    "iterations": [4],
    "selection": "mask",
    "styles": [{"picture": "style"}],
}
_LONGEST_S = 180
_LEASE_S = 60.0
_WAIT_S = 5.0


@dataclass(frozen=True)
class Check:
    """One thing that was tried: its name and what came of it, in the user's language."""

    name: str
    ok: bool
    text: str


def self_test(daemon: Daemon) -> list[Check]:
    """Find or start the daemon, ask after its devices, have a small picture painted and look at it.

    The first check that fails is the last one. Takes a few seconds, or about a minute where the daemon has to be
    started; for a thread that may wait.
    """
    checks: list[Check] = []
    for name, check in _checks(daemon):
        checks.append(_tried(name, check))
        if not checks[-1].ok:
            break
    return checks


def report(host: str, health: Health | None, error: LinkError | None) -> str:
    """What a helper needs to know, in English: no token in it, and no name of the user's.

    `host` is the host's name and version, `health` what the daemon said last, `error` the last one that was shown. It
    asks nobody, so it comes at once.
    """
    finder = Finder()
    lines = [
        f"Scumble plug-in {_version()} in {host}",
        f"Python {platform.python_version()} on {platform.platform()} ({platform.machine()})",
        f"Folder: {finder.home} ({'there' if finder.home.is_dir() else 'not there'})",
        *_where(finder),
        *(_state(health) if health is not None else ["Daemon: it has not answered"]),
    ]
    if error is not None:
        lines += ["Last error:", *(f"  {line}" for line in error.report.splitlines())]
    return _anonymous("\n".join(lines)) + "\n"


def log_folder() -> Path:
    """Where the daemon writes its logs."""
    return Finder().log_folder


# -------------------------------------------------------------------------------------------------------- the self-test


def _tried(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except LinkError as error:
        return Check(name, False, error.text)


def _checks(daemon: Daemon) -> Iterator[tuple[str, Callable[[], str]]]:
    yield tr("Daemon"), lambda: _found(daemon)
    yield tr("Devices"), lambda: _devices(daemon)
    yield tr("Painting"), lambda: _painting(daemon)


def _found(daemon: Daemon) -> str:
    address = daemon.connect()
    return tr("Scumble {version} at {url}", version=address.version, url=address.url)


def _devices(daemon: Daemon) -> str:
    devices = daemon.health().devices
    failed = [device for device in devices if device.state == "failed"]
    if len(failed) == len(devices):
        raise LinkError("no-device", tr("No device works."))
    return ", ".join(device.description or device.name for device in devices if device not in failed)


def _painting(daemon: Daemon) -> str:
    content, mask, style = _gradient(3, 5), _selection(), _gradient(29, 17)
    began = time.monotonic()
    job = daemon.submit(_RECIPE, {"content": content, "mask": mask, "style": style}, lease_s=_LEASE_S)
    try:
        job = _ended(daemon, job)
        result = daemon.result(job.id)
    finally:
        with contextlib.suppress(LinkError):
            daemon.forget(job.id)
    if (result.width, result.height, result.channels, result.depth) != (WIDTH, HEIGHT, 4, 1):
        raise LinkError("internal", tr("The result is of another size or kind than the picture."))
    if _outside(result) != _outside(content):
        raise LinkError("internal", tr("Something outside the selection has changed."))
    if bytes(cropped(result, _BOX).data) == bytes(cropped(content, _BOX).data):
        raise LinkError("internal", tr("Nothing inside the selection has changed."))
    return tr("a small picture took {seconds} s, with {features}", seconds=_short(began), features=job.features)


def _ended(daemon: Daemon, job: Job) -> Job:
    """The job when it has a result."""
    deadline = time.monotonic() + _LONGEST_S
    while not job.is_final:
        if time.monotonic() > deadline:
            raise LinkError("unreachable", tr("The picture was not painted within {seconds} s.", seconds=_LONGEST_S))
        began, seq = time.monotonic(), job.seq
        job = daemon.job(job.id, after=seq, wait_s=_WAIT_S)
        if job.seq == seq and time.monotonic() - began < 0.2:
            time.sleep(0.2)  # a busy daemon answers at once
    if job.problem is not None:
        raise job.problem
    if not job.has_result:
        raise LinkError("cancelled", tr("Somebody stopped the job."))
    return job


def _short(began: float) -> str:
    return f"{time.monotonic() - began:.1f}"


def _gradient(across: int, down: int) -> Plane:
    """An opaque picture that changes by so much from px to px."""
    rows = []
    for y in range(HEIGHT):
        for x in range(WIDTH):
            value = across * x + down * y
            rows += [value % 256, (255 - value // 2) % 256, (7 * y) % 256, 255]
    return Plane(WIDTH, HEIGHT, 4, 1, bytes(rows))


def _selection() -> Plane:
    rows = bytearray(WIDTH * HEIGHT)
    for y in range(_BOX.y, _BOX.bottom):
        rows[y * WIDTH + _BOX.x : y * WIDTH + _BOX.right] = b"\xff" * _BOX.width
    return Plane(WIDTH, HEIGHT, 1, 1, rows)


def _outside(plane: Plane) -> bytes:
    """The pixels that are not selected, one after another."""
    data = bytearray(plane.data)
    for y in range(_BOX.bottom - 1, _BOX.y - 1, -1):
        begin = y * plane.stride + _BOX.x * plane.pixel_bytes
        del data[begin : begin + _BOX.width * plane.pixel_bytes]
    return bytes(data)


# ----------------------------------------------------------------------------------------------------------- the report


def _version() -> str:
    """The plug-in's version, as `scumble install` noted it."""
    try:
        told = json.loads((Path(__file__).parents[1] / "installed.json").read_text("utf-8"))
        return str(told["version"])
    except (OSError, ValueError, LookupError, TypeError):
        return "(not installed by Scumble)"


def _where(finder: Finder) -> list[str]:
    if finder.is_elsewhere:
        return [f"{URL} is set: {_without_login(os.environ[URL])}"]
    try:
        command = finder.command()
    except LinkError as error:
        return [f"Started by: {error.detail}"]
    return [f"Started by: {' '.join(command) if command else 'nothing that was found'}"]


def _without_login(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", url)


def _state(health: Health) -> list[str]:
    lines = [f"Daemon: {health.version}, protocol {health.protocol}, features {health.features or 'unknown'}"]
    for device in health.devices:
        free = "" if device.memory_free_mb is None else f", {device.memory_free_mb:.0f} MB free"
        lines.append(f"Device: {device.name} ({device.description}), {device.state}{free}")
    lines.append(f"Jobs: {health.running} running, {health.queued} queued")
    if health.disk_free_mb is not None:
        lines.append(f"Disk: {health.disk_free_mb:.0f} MB free")
    return lines


def _anonymous(text: str) -> str:
    """The text without the token and the user's name."""
    for token in _tokens():
        text = text.replace(token, "(token)")
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~")
    name = Path.home().name
    return re.sub(rf"(?<=[/\\]){re.escape(name)}(?=[/\\])", "(user)", text) if name else text


def _tokens() -> list[str]:
    """What must not be told, wherever it may have come into a text."""
    found = [os.environ.get(TOKEN, "")]
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        found.append(str(json.loads((Finder().home / "daemon.json").read_bytes())["token"]))
    return [token for token in found if token]
