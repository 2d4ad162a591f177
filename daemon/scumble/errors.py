"""The one table of errors: code, a title, and a hint what to do.

Every refusal in Scumble is a `ScumbleError` with a code from this table. The command line prints the sentence and the
hint, the daemon answers them as an HTTP problem document, the plug-ins show them in their panel.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One kind of error: what it is called, what to do about it, and the exit status of the command line."""

    title: str
    hint: str
    exit_status: int = 2


CATALOGUE: dict[str, Entry] = {
    "bad-recipe": Entry(
        "The recipe is not valid", "Correct the field that is named; `scumble recipe --schema` lists them all."
    ),
    "bad-picture": Entry("The picture cannot be read", "Give a PNG, JPEG, TIFF or WebP picture (or a .npy array)."),
    "picture-too-large": Entry("The picture is larger than the limit", "Scale it down, or raise the limit on pixels."),
    "missing-file": Entry("The file is not there", "Check the path."),
    "cannot-write": Entry("The file cannot be written", "Check the folder, its permissions and the free space."),
    "bad-mask": Entry("The mask does not fit", "Give a mask with the same width and height as the content picture."),
    "empty-mask": Entry("The mask is empty", "Select something: at least one pixel of the mask must be above zero."),
    "missing-picture": Entry("A picture is missing", "Give a picture for every style that the recipe names."),
    "bad-weights": Entry(
        "The weights file cannot be used",
        "Give VGG weights as .safetensors or .pth (torchvision's or Caffe-converted).",
    ),
    "missing-weights": Entry(
        "The weights are not on this machine", "Run `scumble weights download`, or use the embedded features."
    ),
    "download-failed": Entry("The download did not succeed", "Try again; it goes on where it stopped.", 3),
    "no-device": Entry("The device cannot be used", "Choose another with --device, or leave it on auto."),
    "out-of-memory": Entry(
        "There is not enough memory", "Choose a smaller size or selection, or raise the memory limit.", 3
    ),
    "cancelled": Entry("The job was cancelled", "Nothing was changed.", 130),
    "internal": Entry("Scumble made a mistake", "Please report it with the log.", 70),
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
