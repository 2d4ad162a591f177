"""The table of what can go wrong, as users of a host read it, and the error that carries an entry of it.

The codes are the daemon's own (`scumble/errors.py`) and a few of the plug-ins'. Where the daemon's hint is for a
terminal, a host has one of its own. A problem that the daemon tells keeps what it says of the case at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .text import mark, tr


@dataclass(frozen=True)
class Entry:
    """One kind of error, in English: what it is called and what to do about it."""

    title: str
    hint: str


CATALOGUE: dict[str, Entry] = {
    # what was given
    "bad-recipe": Entry(mark("The recipe is not valid"), mark("Correct the setting that is named, or start afresh.")),
    "bad-picture": Entry(mark("The picture cannot be read"), mark("Choose a PNG, JPEG, TIFF or WebP picture.")),
    "picture-too-large": Entry(
        mark("The picture is larger than the limit"), mark("Scale it down, or raise the limit on pixels.")
    ),
    "missing-file": Entry(mark("The file is not there"), mark("Check the path.")),
    "cannot-write": Entry(
        mark("The file cannot be written"), mark("Check the folder, its permissions and the free space.")
    ),
    "bad-mask": Entry(mark("The mask does not fit"), mark("Select anew and try again.")),
    "empty-mask": Entry(mark("The mask is empty"), mark("Select something.")),
    "missing-picture": Entry(mark("A picture is missing"), mark("Choose a picture for every style.")),
    "bad-style": Entry(mark("The style cannot be kept"), mark("Correct the field that is named.")),
    # the machine
    "bad-weights": Entry(
        mark("The weights file cannot be used"),
        mark("Give VGG weights as .safetensors or .pth (torchvision's or Caffe-converted)."),
    ),
    "missing-weights": Entry(
        mark("The weights are not on this machine"),
        mark("Choose other features under More, or run `scumble weights download` in a terminal."),
    ),
    "bad-model": Entry(mark("The trained style cannot be used"), mark("Train the style again, in its menu.")),
    "missing-model": Entry(
        mark("There is no trained style for that"),
        mark("Train it in the style's menu, or choose another engine under More."),
    ),
    "download-failed": Entry(mark("The download did not succeed"), mark("Try again; it goes on where it stopped.")),
    "no-device": Entry(mark("The device cannot be used"), mark("Restart the daemon.")),
    "out-of-memory": Entry(
        mark("There is not enough memory"), mark("Choose a smaller size or selection, or a lower quality.")
    ),
    "disk-full": Entry(
        mark("There is not enough room on the disk"),
        mark("Free some space where the daemon keeps its jobs, then try again."),
    ),
    "cancelled": Entry(mark("The job was cancelled"), mark("Nothing was changed.")),
    "internal": Entry(mark("Scumble made a mistake"), mark("Please report it with the log.")),
    # the daemon: who may ask
    "unauthorized": Entry(
        mark("The token is missing or wrong"),
        mark("Restart the daemon; where SCUMBLE_URL is set, set SCUMBLE_TOKEN to that daemon's token."),
    ),
    "foreign-host": Entry(
        mark("The request is not meant for this daemon"),
        mark("Where SCUMBLE_URL is set, check it; `scumble serve --allow-host NAME` admits another name."),
    ),
    # the daemon: what is asked
    "bad-request": Entry(mark("The request cannot be understood"), mark("Please report it with the log.")),
    "unsupported-media": Entry(mark("The request's body is of the wrong kind"), mark("Please report it with the log.")),
    "not-acceptable": Entry(mark("The answer cannot be had in that form"), mark("Please report it with the log.")),
    "not-found": Entry(mark("There is nothing of that name"), mark("The daemon keeps jobs only for a while.")),
    "wrong-method": Entry(
        mark("This cannot be done here"), mark("Update Scumble: the daemon and the plug-in are of different versions.")
    ),
    "request-too-large": Entry(
        mark("The request is larger than the limit"), mark("Choose a smaller selection, or fewer styles.")
    ),
    "key-reused": Entry(mark("The idempotency key belongs to another request"), mark("Please report it with the log.")),
    "wrong-state": Entry(mark("The job is not in a state for that"), mark("Wait until it has ended.")),
    "result-gone": Entry(mark("The result is no longer kept"), mark("Stylise again.")),
    "queue-full": Entry(mark("The queue is full"), mark("Wait for a job to end, or cancel one.")),
    "stopping": Entry(mark("The daemon is stopping"), mark("Try again in a moment.")),
    # the daemon: where it is
    "no-daemon": Entry(mark("There is no daemon"), mark("Start it: `scumble start` in a terminal.")),
    "cannot-listen": Entry(mark("The address cannot be used"), mark("Restart the daemon.")),
    "daemon-running": Entry(mark("A daemon is running already"), mark("Restart the daemon.")),
    "bad-runtime-file": Entry(mark("The runtime file cannot be trusted"), mark("Remove it, then restart the daemon.")),
    "incompatible-daemon": Entry(
        mark("The daemon is of another version"),
        mark("Update Scumble and its plug-in, then restart the daemon."),
    ),
    "unreachable": Entry(mark("The daemon does not answer"), mark("Restart the daemon, or look into its log.")),
    # the plug-in's own
    "not-installed": Entry(
        mark("Scumble is not installed"), mark("In a terminal: `pip install scumble`, then `scumble start`.")
    ),
    "no-document": Entry(mark("There is no document"), mark("Open a picture, or make a new one.")),
    "no-layer": Entry(mark("There is no layer to paint on"), mark("Click on a layer in the list of layers.")),
    "several-layers": Entry(mark("Several layers are selected"), mark("Click on the one to paint on.")),
    "floating-selection": Entry(
        mark("There is a floating selection"), mark("Anchor it, or make it a layer, in the menu Layer.")
    ),
    "indexed-colors": Entry(mark("The colours are indexed"), mark("Work on a copy in RGB: Image ▸ Mode ▸ RGB.")),
    "no-style": Entry(mark("There is no style"), mark("Add a style picture.")),
    "missing-style": Entry(mark("A style picture is missing"), mark("Put the file back, or choose another style.")),
    "nothing-selected": Entry(
        mark("Nothing is selected"), mark("Select something on the layer, or choose Whole layer.")
    ),
    "nothing-there": Entry(
        mark("The layer is empty there"), mark("Choose a layer with something on it, or select another place.")
    ),
    "document-closed": Entry(mark("The document was closed"), mark("Open it again, or add the result to another one.")),
    "layer-gone": Entry(mark("The layer is gone"), mark("Choose another layer.")),
    "host-refused": Entry(mark("The program refused"), mark("Try again; where it happens again, please report it.")),
    "not-a-picture": Entry(mark("That is not a picture"), mark("Choose a PNG, JPEG, TIFF, WebP, .kra or .ora file.")),
    "cannot-save": Entry(mark("It cannot be saved"), mark("Check the folder, its permissions and the free space.")),
}


class LinkError(Exception):
    """An error that a user can understand: `code`, and texts in the user's language.

    `title` says what kind it is, `detail` is one sentence on this case, `hint` what to do.
    """

    def __init__(self, code: str, detail: str, hint: str | None = None, *, title: str | None = None) -> None:
        super().__init__(code, detail)
        entry = CATALOGUE.get(code, CATALOGUE["internal"])
        self.code = code
        self.title = title or tr(entry.title)
        self.detail = detail or self.title
        self.hint = tr(entry.hint) if hint is None else hint

    def __str__(self) -> str:
        return self.detail

    @property
    def text(self) -> str:
        """One or two sentences for the panel: what is wrong and what to do."""
        return " ".join(_sentence(each) for each in (self.detail, self.hint) if each)

    @property
    def report(self) -> str:
        """All of it, as lines of text to be copied."""
        return "\n".join((f"{self.title} ({self.code})", self.detail, self.hint)).rstrip()


def from_problem(problem: Mapping[str, Any]) -> LinkError:
    """The error that a problem document of the daemon tells. An unknown code keeps the document's own texts."""
    code, title, detail, hint = (_word(problem.get(name)) for name in ("code", "title", "detail", "hint"))
    if code not in CATALOGUE:
        return LinkError(code or "internal", tr(detail or title), tr(hint) if hint else None, title=tr(title))
    is_general = not hint or hint == _THEIRS.get(code, CATALOGUE[code].hint)
    return LinkError(code, tr(detail), None if is_general else tr(hint))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


_THEIRS = {
    "bad-recipe": "Correct the field that is named; `scumble recipe --schema` lists them all.",
    "bad-picture": "Give a PNG, JPEG, TIFF or WebP picture (or a .npy array).",
    "bad-mask": "Give a mask with the same width and height as the content picture.",
    "empty-mask": "Select something: at least one pixel of the mask must be above zero.",
    "missing-picture": "Give a picture for every style that the recipe names.",
    "missing-weights": "Run `scumble weights download`, or use the embedded features.",
    "bad-model": "Give a .scumble file as `scumble train` writes it, or train the style again.",
    "missing-model": "Train it: `scumble train --style PICTURE`, or use another engine.",
    "no-device": "Choose another with --device, or leave it on auto.",
    "out-of-memory": "Choose a smaller size or selection, or raise the memory limit.",
    "unauthorized": "Send the header `Authorization: Bearer TOKEN`; the token stands in the daemon's runtime file.",
    "foreign-host": "Use the address in the runtime file; `scumble serve --allow-host NAME` admits another name.",
    "bad-request": "`GET /v1/openapi.json` describes every call.",
    "unsupported-media": "`GET /v1/openapi.json` says what each call takes.",
    "not-acceptable": "Accept image/png, image/tiff, image/webp, image/jpeg or application/x-npy.",
    "not-found": "`GET /v1/openapi.json` describes every call.",
    "wrong-method": "`GET /v1/openapi.json` describes every call.",
    "request-too-large": "Send less, or raise the limit of `scumble serve`.",
    "key-reused": "Make a new key for every new request.",
    "wrong-state": "Ask for the job and look at its state.",
    "result-gone": "Post the job again.",
    "stopping": "Start it again: `scumble start`.",
    "no-daemon": "Start it: `scumble start`.",
    "cannot-listen": "Choose another with --host and --port, or leave the port out.",
    "daemon-running": "Use it, or stop it first: `scumble stop`.",
    "bad-runtime-file": "Remove it, then start the daemon again: `scumble start`.",
    "incompatible-daemon": "Stop it with `scumble stop`, then start this one: `scumble start`.",
    "unreachable": "Look at `scumble status` and `scumble logs`.",
}
"""The daemon's general hints that a host replaces: they are for a terminal. Others say something of the case."""
