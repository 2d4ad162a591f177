"""The one table of errors: code, a title, a hint what to do, the exit status and the HTTP status.

Every refusal in Scumble is a `ScumbleError` with a code from this table. The command line prints the sentence and the
hint, the daemon answers them as an HTTP problem document (RFC 9457), the plug-ins show them in their panel.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One kind of error: what it is called, what to do about it, the command line's exit status, the HTTP status."""

    title: str
    hint: str
    exit_status: int = 2
    http_status: int = 422


CATALOGUE: dict[str, Entry] = {
    # what was given
    "bad-recipe": Entry(
        "The recipe is not valid", "Correct the field that is named; `scumble recipe --schema` lists them all."
    ),
    "bad-picture": Entry("The picture cannot be read", "Give a PNG, JPEG, TIFF or WebP picture (or a .npy array)."),
    "picture-too-large": Entry(
        "The picture is larger than the limit", "Scale it down, or raise the limit on pixels.", http_status=413
    ),
    "missing-file": Entry("The file is not there", "Check the path."),
    "cannot-write": Entry(
        "The file cannot be written", "Check the folder, its permissions and the free space.", http_status=500
    ),
    "bad-mask": Entry("The mask does not fit", "Give a mask with the same width and height as the content picture."),
    "empty-mask": Entry("The mask is empty", "Select something: at least one pixel of the mask must be above zero."),
    "missing-picture": Entry("A picture is missing", "Give a picture for every style that the recipe names."),
    "bad-style": Entry("The style cannot be kept", "Correct the field that is named."),
    # the machine
    "bad-weights": Entry(
        "The weights file cannot be used",
        "Give VGG weights as .safetensors or .pth (torchvision's or Caffe-converted).",
    ),
    "missing-weights": Entry(
        "The weights are not on this machine", "Run `scumble weights download`, or use the embedded features."
    ),
    "bad-model": Entry(
        "The trained style cannot be used",
        "Give a .scumble file as `scumble train` writes it, or train the style again.",
    ),
    "missing-model": Entry(
        "There is no trained style for that", "Train it: `scumble train --style PICTURE`, or use another engine."
    ),
    "download-failed": Entry("The download did not succeed", "Try again; it goes on where it stopped.", 3, 502),
    "no-device": Entry("The device cannot be used", "Choose another with --device, or leave it on auto.", 2, 500),
    "out-of-memory": Entry(
        "There is not enough memory", "Choose a smaller size or selection, or raise the memory limit.", 3, 507
    ),
    "disk-full": Entry(
        "There is not enough room on the disk",
        "Free some space where the daemon keeps its jobs, then try again.",
        3,
        507,
    ),
    "cancelled": Entry("The job was cancelled", "Nothing was changed.", 130, 409),
    "internal": Entry("Scumble made a mistake", "Please report it with the log.", 70, 500),
    # the plug-ins
    "no-host": Entry(
        "The program is not there", "Install it first, or name the folder of its data with --folder.", 3, 404
    ),
    "foreign-plugin": Entry(
        "Something else has the plug-in's name", "Move it to another place, then try again.", 3, 409
    ),
    # the daemon: who may ask
    "unauthorized": Entry(
        "The token is missing or wrong",
        "Send the header `Authorization: Bearer TOKEN`; the token stands in the daemon's runtime file.",
        4,
        401,
    ),
    "foreign-host": Entry(
        "The request is not meant for this daemon",
        "Use the address in the runtime file; `scumble serve --allow-host NAME` admits another name.",
        4,
        403,
    ),
    "foreign-origin": Entry("The request comes from a web page", "Ask from a program, not from a page.", 4, 403),
    # the daemon: what is asked
    "bad-request": Entry("The request cannot be understood", "`GET /v1/openapi.json` describes every call.", 2, 400),
    "unsupported-media": Entry(
        "The request's body is of the wrong kind", "`GET /v1/openapi.json` says what each call takes.", 2, 415
    ),
    "not-acceptable": Entry(
        "The answer cannot be had in that form",
        "Accept image/png, image/tiff, image/webp, image/jpeg or application/x-npy.",
        2,
        406,
    ),
    "not-found": Entry("There is nothing of that name", "`GET /v1/openapi.json` describes every call.", 2, 404),
    "wrong-method": Entry("This cannot be done here", "`GET /v1/openapi.json` describes every call.", 2, 405),
    "request-too-large": Entry(
        "The request is larger than the limit", "Send less, or raise the limit of `scumble serve`.", 2, 413
    ),
    "key-reused": Entry(
        "The idempotency key belongs to another request", "Make a new key for every new request.", 2, 409
    ),
    "wrong-state": Entry("The job is not in a state for that", "Ask for the job and look at its state.", 2, 409),
    "result-gone": Entry("The result is no longer kept", "Post the job again.", 2, 410),
    "queue-full": Entry("The queue is full", "Wait for a job to end, or cancel one.", 3, 503),
    "stopping": Entry("The daemon is stopping", "Start it again: `scumble start`.", 3, 503),
    # the daemon: where it is
    "no-daemon": Entry("There is no daemon", "Start it: `scumble start`.", 3, 503),
    "cannot-listen": Entry(
        "The address cannot be used", "Choose another with --host and --port, or leave the port out.", 3, 500
    ),
    "daemon-running": Entry("A daemon is running already", "Use it, or stop it first: `scumble stop`.", 3, 409),
    "bad-runtime-file": Entry(
        "The runtime file cannot be trusted", "Remove it, then start the daemon again: `scumble start`.", 4, 500
    ),
    "incompatible-daemon": Entry(
        "The daemon is of another version", "Stop it with `scumble stop`, then start this one: `scumble start`.", 3, 500
    ),
    "unreachable": Entry("The daemon does not answer", "Look at `scumble status` and `scumble logs`.", 3, 502),
}


class ScumbleError(Exception):
    """An error that a user can understand: `code` from `CATALOGUE`, `detail` one sentence, `hint` what to do."""

    def __init__(self, code: str, detail: str, hint: str | None = None) -> None:
        entry = CATALOGUE[code]
        super().__init__(detail)
        self.code = code
        self.title = entry.title
        self.detail = detail
        self.hint = hint or entry.hint
        self.exit_status = entry.exit_status
        self.http_status = entry.http_status
