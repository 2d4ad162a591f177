"""Krita's settings file, `kritarc`: whether our plug-in is turned on there, and turning it on.

It is KConfig's kind of INI: *groups* begin with `[name]` and may come more than once, the last value of a key is the
one that counts, a key may carry flags as in `key[$i]=…`, and a line may hold any bytes. All but our own line stays as
it is, to the byte.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from scumble.home import write_private
from scumble.hosts import PLUGIN

_GROUP = re.compile(rb"\s*\[python\](\[\$\w+\])?\s*")
_ANY_GROUP = re.compile(rb"\s*\[")
_KEY = re.compile(rb"\s*enable_%s\s*(?:\[\$\w+\])?\s*=\s*(.*?)\s*" % PLUGIN.encode(), re.DOTALL)
_LINE = b"enable_%s=true" % PLUGIN.encode()
_YES = {b"true", b"on", b"yes", b"1"}


def is_on(data: bytes) -> bool:
    """Whether the plug-in is turned on in a settings file with that content."""
    lines = _lines(data)
    return any(_is_yes(lines[number]) for number in [*_keys(lines)][-1:])


def turned_on(data: bytes) -> bytes:
    """The same with the plug-in turned on."""
    lines = _lines(data)
    if is_on(data):
        return data
    end = b"\r\n" if b"\r\n" in data else b"\n"
    if keys := [*_keys(lines)]:
        lines[keys[-1]] = _LINE + _end(lines[keys[-1]])
    elif headers := [number for number, line in enumerate(lines) if _GROUP.fullmatch(line)]:
        header = lines[headers[-1]]
        lines[headers[-1] : headers[-1] + 1] = [header if _end(header) else header + end, _LINE + end]
    else:
        gap = (end if _end(lines[-1]) else 2 * end) if lines else b""
        lines.append(gap + b"[python]" + end + _LINE + end)
    return b"".join(lines)


def forgotten(data: bytes) -> bytes:
    """The same without a word about the plug-in."""
    lines = _lines(data)
    ours = {*_keys(lines)}
    return b"".join(line for number, line in enumerate(lines) if number not in ours)


def read(path: Path) -> bytes:
    """The settings, empty where there are none. Raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def change(path: Path, how: Callable[[bytes], bytes]) -> bool:
    """Change the settings by `turned_on` or `forgotten`, whole or not at all; whether that did. Raises OSError."""
    before = read(path)
    after = how(before)
    if after == before:
        return False
    real = Path(os.path.realpath(path))  # it may be a link into somebody's collection of settings
    mode = real.stat().st_mode & 0o777 if real.exists() else 0o600
    real.parent.mkdir(parents=True, exist_ok=True)
    write_private(real, after)
    real.chmod(mode)
    return True


def _lines(data: bytes) -> list[bytes]:
    """The lines with their ends: only a line feed ends one."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def _end(line: bytes) -> bytes:
    return line[len(line.rstrip(b"\r\n")) :] if line.endswith(b"\n") else b""


def _keys(lines: list[bytes]) -> Iterator[int]:
    """The numbers of our lines."""
    is_ours = False
    for number, line in enumerate(lines):
        if _ANY_GROUP.match(line):
            is_ours = _GROUP.fullmatch(line) is not None
        elif is_ours and _KEY.fullmatch(line):
            yield number


def _is_yes(line: bytes) -> bool:
    found = _KEY.fullmatch(line)
    return found is not None and found[1].lower() in _YES
