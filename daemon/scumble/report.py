"""A report: findings by section, without secrets where others will read it, on the terminal or the clipboard.

A **line** is one finding with a **mark**: ok, a note, a warning, or bad, the last two with a *hint* what to do. Lines
stand in **sections**. A report is *redacted* when it names neither the user nor the machine nor anything like a token.
"""

import contextlib
import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any


class Mark(Enum):
    """How a finding is to be taken."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Line:
    """One finding: what it is about, what was found, and what to do about it."""

    mark: Mark
    label: str
    text: str
    hint: str = ""


@dataclass(frozen=True)
class Section:
    """Findings that belong together."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Report:
    """All that was found."""

    sections: tuple[Section, ...]

    def count(self, mark: Mark) -> int:
        """The lines with that mark."""
        return sum(line.mark is mark for section in self.sections for line in section.lines)

    @property
    def is_good(self) -> bool:
        """Whether nothing is bad."""
        return self.count(Mark.BAD) == 0

    @property
    def verdict(self) -> str:
        """In one sentence."""
        bad, warnings = self.count(Mark.BAD), self.count(Mark.WARNING)
        parts = [f"{bad} {'things are' if bad > 1 else 'thing is'} bad"] if bad else []
        parts += [counted(warnings, "warning")] if warnings else []
        return f"{', '.join(parts)}." if parts else "All is well."

    def changed(self, change: Callable[[str], str]) -> "Report":
        """The same with another text in every place."""
        return Report(
            tuple(
                Section(
                    section.title,
                    tuple(
                        replace(line, label=change(line.label), text=change(line.text), hint=change(line.hint))
                        for line in section.lines
                    ),
                )
                for section in self.sections
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "is_good": self.is_good,
            "verdict": self.verdict,
            "sections": [
                {"title": each.title, "lines": [{**vars(line), "mark": line.mark.value} for line in each.lines]}
                for each in self.sections
            ],
        }


# ----------------------------------------------------------------------------------------------------- redacting


class Redactor:
    """Takes out of a text what lets somebody in; where there are `names`, also what looks like it, and the names."""

    def __init__(self, tokens: Sequence[str], names: Mapping[str, str] | None = None) -> None:
        self._is_strict = names is not None
        longest_first = sorted({token for token in tokens if token}, key=len, reverse=True)
        self._tokens = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._names = [
            (re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE), shown)
            for name, shown in sorted((names or {}).items(), key=lambda each: -len(each[0]))
        ]

    def hide(self, text: str) -> str:
        """The text without all that."""
        text = self._tokens.sub("[hidden]", text)
        text = re.sub(r"(?i)(\bbearer\s+)\S+", r"\1[hidden]", text)
        if self._is_strict:
            text = re.sub(r"[\w-]{24,}", lambda found: "[hidden]" if _is_like_a_token(found[0]) else found[0], text)
        for name, shown in self._names:
            text = name.sub(shown, text)
        return text


def _is_like_a_token(word: str) -> bool:
    is_mixed = all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    return is_mixed or re.fullmatch(r"[0-9a-fA-F-]{32,}", word) is not None


def tokens_in(home: Path) -> list[str]:
    """All that may be the token: of the runtime file, whatever state that is in, and of the environment."""
    found = [value for name, value in os.environ.items() if "TOKEN" in name.upper() and len(value) >= 8]
    with contextlib.suppress(OSError, ValueError, AttributeError):
        data = json.loads((home / "daemon.json").read_bytes()[: 2**16])
        found.append(str(data.get("token") or ""))
    return found


def redacted(report: Report, home: Path) -> Report:
    """The report for others to read: without names of the user and the machine, with `~` for the home folder."""
    names: dict[str, str] = {}
    with contextlib.suppress(Exception):  # who has neither a name nor a home has nothing to hide
        names[socket.gethostname()] = "HOST"
        names[socket.gethostname().partition(".")[0]] = "HOST"
        names[getpass.getuser()] = "USER"
    own = os.path.expanduser("~")  # noqa: PTH111 - Path.home() fails where there is none
    return report.changed(lambda text: Redactor(tokens_in(home), names).hide(_without_home(text, own)))


def _without_home(text: str, own: str) -> str:
    if len(own) < 2 or own == "~":
        return text
    return re.sub(rf"{re.escape(own)}(?![\w.-])", "~", text, flags=re.IGNORECASE if os.name == "nt" else 0)


# ------------------------------------------------------------------------------------------------------- showing

_COLOURS = {Mark.OK: "green", Mark.NOTE: "bright_black", Mark.WARNING: "yellow", Mark.BAD: "red"}
_SIGNS = {Mark.OK: "✓", Mark.NOTE: "·", Mark.WARNING: "!", Mark.BAD: "✗"}
_LABEL = 14


def section_text(section: Section, *, width: int = 100, with_signs: bool = False) -> str:
    """A section as lines of text, with colours that a terminal shows; `with_signs` has ✓ for ok and the like."""
    import click

    marks = {mark: _SIGNS[mark] if with_signs else f"{mark.value:7}" for mark in Mark}
    lead = 2 + len(marks[Mark.OK]) + 1
    lines = ["", click.style(section.title, bold=True)]
    for line in section.lines:
        colour = _COLOURS[line.mark]
        label = click.style(f"{line.label:{_LABEL}}", dim=line.mark is Mark.NOTE)
        start = f"  {click.style(marks[line.mark], fg=colour, bold=line.mark is Mark.BAD)} {label}"
        indent = " " * (lead + _LABEL + (1 if len(line.label) <= _LABEL else 0))
        wrapped = _wrapped(line.text, width - len(indent))
        if line.mark is not Mark.OK:
            wrapped = [click.style(each, fg=colour if line.mark is not Mark.NOTE else None) for each in wrapped]
        lines.append(f"{start} {wrapped[0]}")
        lines += [f"{indent}{each}" for each in wrapped[1:]]
        hints = _wrapped(line.hint, width - len(indent) - 2)
        if line.hint:
            lines.append(f"{indent}{click.style('→', fg='cyan')} {click.style(hints[0], fg='cyan')}")
            lines += [f"{indent}  {click.style(each, fg='cyan')}" for each in hints[1:]]
    return "\n".join(lines)


def show(section: Section) -> None:
    """A section on stdout, as wide and with such signs as that can show."""
    is_terminal = sys.stdout.isatty()
    width = min(shutil.get_terminal_size((100, 24)).columns, 120) if is_terminal else 100
    say(section_text(section, width=width, with_signs=is_terminal and _can_say("✓→", sys.stdout.encoding)))


def say(text: str) -> None:
    """A text on stdout, with question marks for what that cannot show."""
    import click

    click.echo(text if _can_say("→▸", sys.stdout.encoding) else text.encode("ascii", "replace").decode())


def _can_say(text: str, encoding: str | None) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(40, width), break_long_words=False, break_on_hyphens=False) or [""]


def verdict_text(report: Report) -> str:
    """The last line."""
    import click

    colour = "green" if report.is_good and not report.count(Mark.WARNING) else "yellow" if report.is_good else "red"
    return f"\n{click.style(report.verdict, fg=colour, bold=True)}"


def plain_text(report: Report) -> str:
    """All of it without colours, as it is copied."""
    import click

    parts = [section_text(each) for each in report.sections]
    return click.unstyle("\n".join([*parts, verdict_text(report)])).strip() + "\n"


def copy(text: str) -> str | None:
    """Put a text on the clipboard; the name of the tool that did it, None if there is none."""
    tools: list[tuple[str, ...]] = [("pbcopy",), ("clip.exe",)]
    if os.environ.get("DISPLAY"):
        tools[:0] = [("xclip", "-selection", "clipboard"), ("xsel", "--input", "--clipboard")]
    if os.environ.get("WAYLAND_DISPLAY"):
        tools.insert(0, ("wl-copy",))
    for tool in tools:
        program = shutil.which(tool[0])
        if program is None:
            continue
        # what would end in mojibake there
        data = text.encode("utf-16-le") if tool[0] == "clip.exe" else text.encode()
        quiet = subprocess.DEVNULL  # they live on as long as the clipboard is theirs
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run([program, *tool[1:]], input=data, stdout=quiet, stderr=quiet, timeout=5, check=True)
            return tool[0]
    return None


def counted(number: int, what: str) -> str:
    """A number of things, in words."""
    return f"{number} {what}{'' if number == 1 else 's'}"
