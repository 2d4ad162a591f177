"""What `scumble doctor` finds: everything that somebody who helps needs to know, in one page.

What is found is told in a `scumble.report`. Each section looks for itself and puts its own failure into a line, so that
a half-broken installation is described rather than refused: nothing outside the standard library is imported before
its section runs. What might crash or hang is done in a child process, see `scumble.probe`.
"""

import contextlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scumble.report import (
    Line,
    Mark,
    Redactor,
    Report,
    Section,
    copy,
    counted,
    plain_text,
    redacted,
    show,
    tokens_in,
    verdict_text,
)

if TYPE_CHECKING:
    from scumble.hosts import Program
    from scumble.installing import Place

PROBE_S = 90.0
"""How long the device may take for its first convolution, torch's own start included."""
PACKAGES = (
    *("torch", "torchvision", "numpy", "pillow", "imagecodecs", "tifffile", "safetensors", "pydantic", "flask"),
    *("waitress", "click", "rich", "requests", "psutil", "platformdirs"),
)
LEAST_FREE_MB, LITTLE_FREE_MB = 200, 2000
_LOG_BYTES = 4 * 2**20
_LOG_SHOWN = 4
_FOLDERS = ("store", "styles", "cache", "weights", "logs")
_FILES_COUNTED = 100_000
_AGAIN = "Install Scumble again, as it was installed before."


# ------------------------------------------------------------------------------------------------------- looking


def examine(
    home: Path,
    *,
    probe: Sequence[str] | None = None,
    probe_s: float = PROBE_S,
    on_section: Callable[[Section], None] = lambda _: None,
) -> Report:
    """Look at everything. `probe` is the command of the child process that tries the device; `on_section` hears of each
    section as it is done. The report holds names and paths, but never the token."""
    device = _Device(probe or (sys.executable, "-m", "scumble.probe"), probe_s)
    looks: tuple[tuple[str, Callable[[], Iterator[Line]]], ...] = (
        ("Versions", _versions),
        ("Device", device.lines),
        ("Weights", lambda: _weights(device.found, home)),
        ("Krita and GIMP", _hosts),
        ("Daemon", lambda: _daemon(home)),
        ("Disk", lambda: _disk(home)),
        ("Log", lambda: _log(home)),
    )
    tokens = Redactor(tokens_in(home))
    sections = []
    for title, look in looks:
        section = Report((Section(title, tuple(_guarded(look))),)).changed(tokens.hide).sections[0]
        on_section(section)
        sections.append(section)
    return Report(tuple(sections))


def _guarded(look: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    try:
        yield from look()
    except Exception as error:
        hint = _AGAIN if isinstance(error, ImportError) else str(getattr(error, "hint", "Please report it."))
        yield Line(Mark.BAD, "not examined", _sentence(error), hint)


def _sentence(error: BaseException) -> str:
    detail = getattr(error, "detail", None)
    return str(detail) if detail else " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _versions() -> Iterator[Line]:
    from scumble import __version__

    yield Line(Mark.OK, "scumble", f"{__version__} in {Path(__file__).parent}")
    python = f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"
    yield Line(Mark.OK, "Python", python)
    yield Line(Mark.OK, "system", _system())
    wanted, good = _wanted(), []
    for name in PACKAGES:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Line(Mark.BAD, name, "is not installed.", f"pip install '{name}{wanted.get(name, '')}'")
            continue
        exactly = wanted.get(name, "").removeprefix("==")
        if wanted.get(name, "").startswith("==") and version.partition("+")[0] != exactly:
            hint = f"pip install '{name}=={exactly}'; torch and torchvision fit each other in pairs."
            yield Line(Mark.WARNING, name, f"{version}, but Scumble was made for {exactly}.", hint)
        else:
            good.append(f"{name} {version}")
    if good:
        yield Line(Mark.OK, "packages", ", ".join(good))


def _system() -> str:
    text = f"{platform.system()} {platform.release()}, {platform.machine()}"
    with contextlib.suppress(OSError):
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
        text = f"{name}, {text}" if name else text
    if sys.platform == "darwin":
        text = f"macOS {platform.mac_ver()[0]}, {platform.machine()}"
    return text


def _wanted() -> dict[str, str]:
    """What scumble asks of its packages, as `==1.2` or `>=3,<4`."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found = (re.match(r"([\w-]+)\s*([^;\s]*)(.*)", each) for each in importlib.metadata.requires("scumble") or ())
        return {each[1].lower(): each[2] for each in found if each and "extra" not in each[3]}
    return {}


# ---------------------------------------------------------------------------------------------------- the device


class _Device:
    """The child process that tries the device, and what it said before it ended, in whatever way."""

    def __init__(self, command: Sequence[str], limit_s: float) -> None:
        self._command, self._limit_s = [*command], limit_s
        self.found: dict[str, Any] = {}

    def lines(self) -> Iterator[Line]:
        began = time.monotonic()
        status, output, said = _child(self._command, self._limit_s)
        took = time.monotonic() - began
        for line in output.splitlines():
            with contextlib.suppress(ValueError):
                part = json.loads(line)
                self.found |= part if isinstance(part, dict) else {}
        yield from self._facts()
        yield self._verdict(status, said, took)

    def _facts(self) -> Iterator[Line]:
        torch, device = self.found.get("torch"), self.found.get("device")
        if isinstance(torch, dict):
            kind = f"CUDA {torch['cuda']}" if torch.get("cuda") else f"HIP {torch['hip']}" if torch.get("hip") else ""
            yield Line(Mark.OK, "torch", f"{torch.get('version')}, built for {kind or 'the CPU alone'}")
        if not isinstance(device, dict):
            return
        yield Line(Mark.OK, "auto takes", f"{device.get('device')}: {device.get('name')}")
        if device.get("memory"):
            free, whole = device.get("memory_free", 0) / 2**30, device["memory"] / 2**30
            text = f"{free:.1f} of {whole:.1f} GiB free"
            mark, hint = (Mark.OK, "") if free > 1 else (Mark.WARNING, "Close other programs, or paint smaller.")
            yield Line(mark, "memory", text, hint)
        if device.get("driver") or device.get("capability"):
            capability = ".".join(map(str, device.get("capability") or ()))
            text = f"driver {device.get('driver') or 'unknown'}, compute capability {capability or 'unknown'}"
            yield Line(Mark.OK, "driver", text)
        native = "native: networks run in it" if device.get("bfloat16") else "not native: networks run in float32"
        yield Line(Mark.OK, "bfloat16", native)
        text = f"{device.get('cores') or '?'} cores, {device.get('usable') or '?'} usable"
        yield Line(Mark.OK, "processor", f"{text}, {device.get('threads') or '?'} threads of torch")
        is_slow = str(device.get("device")) == "cpu" and shutil.which("nvidia-smi") is not None
        if is_slow:
            text = "There seems to be an NVIDIA GPU, but torch cannot use it."
            hint = "Update its driver, or install torch for your CUDA version: https://pytorch.org/get-started/locally/"
            yield Line(Mark.WARNING, "GPU", text, hint)

    def _verdict(self, status: int | None, said: str, took: float) -> Line:
        """What became of the convolution."""
        where = "torch was loaded" if "torch" not in self.found else "the device was found"
        where = "the convolution was done" if "device" in self.found else where
        if status is None:
            text = f"It hung: nothing after {self._limit_s:.0f} s, before {where}."
            return Line(Mark.BAD, "probe", text, "Restart the machine or update the GPU's driver; or use --device cpu.")
        error = self.found.get("error")
        text = f"{error.get('kind')}: {error.get('text')}" if isinstance(error, dict) else said
        if (known := _known(text)) is not None:
            return Line(Mark.BAD, "probe", *known)
        if (crash := _crash(status)) is not None:
            return Line(Mark.BAD, "probe", f"It crashed by {crash[0]} before {where}.", crash[1])
        convolution = self.found.get("convolution")
        if status or not isinstance(convolution, dict):
            last = " ".join((text.strip().splitlines() or ["it said nothing"])[-1].split())[:300]
            text = f"It failed before {where} (status {status}): {last}"
            return Line(Mark.BAD, "probe", text, "Install torch again, or use --device cpu.")
        from scumble.probe import TOLERANCE

        wrong = [kind for kind, off in convolution.items() if not off <= TOLERANCE.get(kind, 0.05)]
        if wrong:
            off = max(convolution[kind] for kind in wrong)
            text = f"It computes wrong numbers in {' and '.join(wrong)}: off by {off:.0%} of the largest."
            return Line(Mark.BAD, "probe", text, "Update the GPU's driver and torch; until then use --device cpu.")
        kinds = " and ".join(convolution)
        return Line(Mark.OK, "probe", f"A convolution in {kinds} agrees with NumPy; {took:.1f} s with torch's start.")


_KNOWN = (
    (
        r"no kernel image is available",
        "This torch has no code for this GPU: it is too old or too new for it.",
        "Install a torch that was built for it: https://pytorch.org/get-started/locally/; or use --device cpu.",
    ),
    (
        r"driver version is insufficient|driver on your system is too old",
        "The GPU's driver is too old for this torch.",
        "Update the driver, or install torch for an older CUDA version; or use --device cpu.",
    ),
    (
        r"out of memory|can't allocate memory|MemoryError",
        "There was not enough memory for one small convolution.",
        "Close the other programs that use the device, then try again.",
    ),
    (
        r"No module named '?(torch|numpy|psutil|scumble|pydantic)",
        "A part of Scumble is not installed.",
        "Install Scumble again, as it was installed before, into the Python that is named above.",
    ),
    (
        r"cannot open shared object file|DLL load failed|Library not loaded|undefined symbol",
        "A library that torch needs cannot be loaded.",
        "Install torch again: pip install --force-reinstall torch",
    ),
)


def _known(text: str) -> tuple[str, str] | None:
    """What a well-known complaint of torch means: a sentence with its own words, and a hint."""
    for pattern, sentence, hint in _KNOWN:
        if found := re.search(f".*({pattern}).*", text):
            return f"{sentence} ({' '.join(found[0].split())[:160]})", hint
    return None


_CRASHES = {
    "SIGILL": "torch was built for a newer processor than this one; install another build of it.",
    "SIGKILL": "Something ended it, probably for want of memory: close other programs, then try again.",
}


def _crash(status: int) -> tuple[str, str] | None:
    """The signal that ended a process, and a hint."""
    name = {0xC0000005: "SIGSEGV", 0xC000001D: "SIGILL"}.get(status & 0xFFFFFFFF)
    if name is None:
        if status >= 0:
            return None
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
    return name, _CRASHES.get(name, "Update the GPU's driver and torch; or use --device cpu.")


def _child(command: Sequence[str], limit_s: float) -> tuple[int | None, str, str]:
    """Exit status (None: it had to be ended), stdout and stderr of a command."""
    apart: dict[str, Any] = {} if sys.platform == "win32" else {"start_new_session": True}
    # into files: a pipe would be held open by whatever it leaves running
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **apart)
        except OSError as error:
            return 127, "", f"{command[0]} cannot be run: {error.strerror or error}"
        status: int | None
        try:
            status = child.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if child.poll() is None:
                _end(child)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read(2**20).decode("utf-8", "replace"))
    return status, texts[0], texts[1]


def _end(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # in the middle of a driver it may not be endable
        child.wait(5)


def _weights(found: Mapping[str, Any], home: Path) -> Iterator[Line]:
    kept = found.get("weights")
    if not isinstance(kept, list):
        from scumble.engine import embedded

        files = [
            path.name for path in (*embedded.shipped().values(), *sorted((home / "weights").glob("*.safetensors")))
        ]
        text = f"could not be checked without torch; there are {', '.join(files) or 'none'}."
        yield Line(Mark.NOTE, "weights", text)
        return
    for each in kept:
        is_shipped = each.get("kind") == "shipped"
        size = f"{(each['size'] or 0) / 1e6:.0f} MB"
        if each["state"] == "ok":
            yield Line(Mark.OK, each["name"], f"{size}, as it came{' with Scumble' if is_shipped else ''}")
        elif each["state"] == "damaged":
            hint = f"scumble weights download {each['name']}, or scumble weights use FILE"
            yield Line(Mark.BAD, each["name"], each["detail"], _AGAIN if is_shipped else hint)
        else:
            hint = "Take them over again, to be sure."
            yield Line(Mark.WARNING, each["name"], f"{size}. {each['detail']}", _AGAIN if is_shipped else hint)
    if found.get("features"):
        yield Line(Mark.OK, "auto takes", str(found["features"]))
    if not any(each["name"].startswith("vgg19") for each in kept):
        text = "VGG19's are not here; without a GPU they are not needed."
        yield Line(Mark.NOTE, "ImageNet", text, "scumble weights download vgg19")


# --------------------------------------------------------------------------------------------- around the engine


def _hosts() -> Iterator[Line]:
    from scumble import hosts, installing

    found = hosts.find()
    for program in hosts.Program:
        if not any(host.program is program for host in found):
            yield Line(Mark.NOTE, program.value, "was not found.")
    for host in found:
        name = f"{host.program.value} {host.version or '(version unknown)'}, {host.channel}: {host.executable}"
        if host.is_too_old:
            least = ".".join(map(str, hosts.OLDEST[host.program]))
            hint = f"The plug-in needs {host.program.value} {least} or later."
            yield Line(Mark.WARNING, host.program.value, f"{name}.", hint)
            continue
        yield Line(Mark.OK, host.program.value, name)
        places = installing.places_of(host)
        for place in places:
            yield from _plugin(host.program, place)
        if not places:
            yield Line(Mark.NOTE, "plug-in", "Its folder is not known before it has been started once.")


def _plugin(program: "Program", place: "Place") -> Iterator[Line]:
    """The plug-in in one place: whether it is this version's and whole, and turned on where it has to be."""
    from scumble import installing
    from scumble.bundle import bundle
    from scumble.errors import ScumbleError
    from scumble.installing import State

    again = f"scumble install {program.value.lower()}"
    try:
        ours = bundle(program)
        found = installing.look(place, ours)
        own = place.folder / ours.own
        if found.state is State.ABSENT:
            yield Line(Mark.NOTE, "plug-in", f"It is not in {own.parent}.", again)
            return
        if found.state is State.FOREIGN:
            hint = f"Move that to another place, then: {again}"
            yield Line(Mark.WARNING, "plug-in", f"{own} was not put there by Scumble.", hint)
            return
        if found.state is State.OTHER:
            build = f"version {found.version}, not" if found.version != ours.version else "another build of"
            text = f"{own} is {build} {ours.version}."
            yield Line(Mark.WARNING, "plug-in", text, again)
        elif found.state is State.DAMAGED:
            yield Line(Mark.WARNING, "plug-in", f"{own} is not as it was installed: {found.damage}.", again)
        else:
            yield Line(Mark.OK, "plug-in", f"version {found.version} in {own}")
        is_on = installing.is_on(place)
        if is_on:
            yield Line(Mark.OK, "turned on", f"in {place.settings}")
        elif is_on is not None:
            yield Line(Mark.WARNING, "turned on", f"It is not, in {place.settings}.", again)
    except ScumbleError as error:
        yield Line(Mark.WARNING, "plug-in", error.detail, error.hint)


def _daemon(home: Path) -> Iterator[Line]:
    from scumble import runtime
    from scumble.errors import ScumbleError

    path = runtime.runtime_file(home)
    file = None
    try:
        file = runtime.read(home)
        if file is None:
            yield Line(Mark.NOTE, "runtime file", f"{path} is not there: no daemon is running.")
        else:
            yield Line(Mark.OK, "runtime file", f"{path}, {_mode(path)}")
    except ScumbleError as error:
        yield Line(Mark.BAD, "runtime file", error.detail, error.hint)
    if file is not None:
        yield Line(Mark.NOTE, "address", f"{file.url}, process {file.pid}, version {file.version}")
        try:
            if runtime.find(home, 3.0) is not None:
                yield Line(Mark.OK, "daemon", "It answers.")
            else:
                text = "It is gone, and has left its runtime file; the next start replaces that."
                yield Line(Mark.WARNING, "daemon", text, "scumble start")
        except ScumbleError as error:
            yield Line(Mark.BAD, "daemon", error.detail, error.hint)
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
            with socket.create_connection(address, timeout=3):
                pass
        yield Line(Mark.OK, "loopback", "A free port can be had and reached on 127.0.0.1.")
    except OSError as error:
        text = f"No port can be had and reached on 127.0.0.1: {error.strerror or error}."
        yield Line(Mark.BAD, "loopback", text, "Look for a firewall or a sandbox that forbids it.")


def _mode(path: Path) -> str:
    if sys.platform == "win32":
        return "in the user's own folder"
    return f"mode {stat.S_IMODE(path.stat().st_mode):04o}"


def _disk(home: Path) -> Iterator[Line]:
    there = home
    while not there.exists() and there != there.parent:
        there = there.parent
    if there != home:
        yield Line(Mark.NOTE, "folder", f"{home} is not there yet.")
    elif sys.platform != "win32" and home.stat().st_mode & 0o077:
        text = f"{home}, {_mode(home)}: others can look into it."
        yield Line(Mark.WARNING, "folder", text, f"chmod 700 {home}")
    else:
        yield Line(Mark.OK, "folder", f"{home}, {_mode(home)}")
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"scumble")
    except OSError as error:
        text = f"{there} cannot be written: {error.strerror or error}."
        yield Line(Mark.BAD, "writing", text, "Check its permissions, or name another folder with SCUMBLE_HOME.")
    free = shutil.disk_usage(there).free / 1e6
    text = f"{free / 1000:.1f} GB free"
    if free < LEAST_FREE_MB:
        yield Line(Mark.BAD, "disk", text, "Free some space: jobs and results need it.")
    elif free < LITTLE_FREE_MB:
        yield Line(Mark.WARNING, "disk", text, "Free some space soon.")
    else:
        yield Line(Mark.OK, "disk", text)
    for name in _FOLDERS:
        if (home / name).is_dir():
            size, count, is_all = _size(home / name)
            more = "" if is_all else "more than "
            yield Line(Mark.NOTE, f"{name}/", f"{more}{size / 1e6:.1f} MB in {counted(count, 'file')}")


def _size(folder: Path) -> tuple[int, int, bool]:
    """Bytes and number of the files in a folder, and whether all were counted."""
    size = count = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # the daemon may remove it at any moment
                size += (Path(path) / name).lstat().st_size
                count += 1
        if count >= _FILES_COUNTED:
            return size, count, False
    return size, count, True


_EVENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,?\d* (WARN|ERROR|FATAL|CRITICAL)")


def _log(home: Path) -> Iterator[Line]:
    path = home / "logs" / "daemon.log"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read(_LOG_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        yield Line(Mark.NOTE, "log", f"{path} is not there.")
        return
    warnings = errors = 0
    last: deque[str] = deque(maxlen=_LOG_SHOWN)
    lines = text.splitlines()
    for line in lines:
        if event := _EVENT.match(line):
            warnings += event[1].startswith("WARN")
            errors += not event[1].startswith("WARN")
            last.append(line)
    found = f"{path}: {counted(errors, 'error')}, {counted(warnings, 'warning')} in {counted(len(lines), 'line')}"
    if errors:
        yield Line(Mark.WARNING, "log", f"{found}.", "`scumble logs` shows them all.")
    else:
        yield Line(Mark.OK, "log", found)
    for line in last:
        yield Line(Mark.NOTE, "", line[:400])


def run(home: Path, *, to_copy: bool, as_json: bool) -> int:
    """Look at everything and say it on stdout; the exit status: 0 where nothing is bad."""
    import click

    report = examine(home, on_section=(lambda _: None) if to_copy or as_json else show)
    if to_copy:
        report = redacted(report, home)
    if as_json:
        click.echo(json.dumps(report.as_dict(), indent=2))
    else:
        if to_copy:
            for section in report.sections:
                show(section)
        click.echo(verdict_text(report))
    if to_copy:
        tool = copy(plain_text(report))
        click.echo(
            f"It is on the clipboard, by {tool}." if tool else "There is no clipboard here: copy it by hand.", err=True
        )
    return 0 if report.is_good else 1
