"""Weights on this machine: those that come with Scumble, and a folder of others, brought from the web or from files.

An *entry* is a name under which weights are found: a *shipped* one comes with Scumble (`scumble.engine.embedded`), all
others are *kept* in the folder `home()/weights`, as .safetensors with `<name>.safetensors.sha256` beside it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scumble.engine import embedded
from scumble.engine.download import Progress, cannot_write, digest, exclusive, fetch
from scumble.engine.weights import SOURCES, Source, Training, Weights, bad_weights, from_file, record_of, save
from scumble.errors import ScumbleError
from scumble.home import home


@dataclass(frozen=True)
class Entry:
    """Weights that are on this machine, or can be brought from `url`. `size` in bytes, None if not there."""

    name: str
    file: Path
    size: int | None
    present: bool
    kind: Literal["torchvision", "caffe", "shipped", "other"]
    url: str | None


@dataclass(frozen=True)
class Check:
    """What `check` found: `expected` and `found` are SHA-256 in hex, `detail` a sentence for the user."""

    name: str
    state: Literal["ok", "missing", "damaged", "unrecorded"]
    expected: str | None
    found: str | None
    detail: str


def imagenet(architecture: str = "vgg19") -> Weights:
    """The weights of that entry (`vgg19`, `vgg19-caffe`, …) in `home()/weights`.

    Raises ScumbleError `missing-weights` if they are not there, `bad-weights` if they are damaged.
    """
    return from_file(kept_file(architecture))


def kept_file(name: str) -> Path:
    """The file of an entry in `home()/weights`; ScumbleError `missing-weights` if it is not there."""
    path = _kept(name)
    if not path.is_file():
        hint = "`scumble weights use FILE` takes a file that you have"
        if name in SOURCES:
            hint = f"`scumble weights download {name}` brings them, {hint}"
        raise ScumbleError("missing-weights", f"The weights {name} are not in {path.parent}.", f"{hint}.")
    return path


def available() -> list[Entry]:
    """What came with Scumble, what can be downloaded, and what else is in `home()/weights`."""
    others = sorted(path.stem for path in (home() / "weights").glob("*.safetensors"))
    return [_entry(name) for name in dict.fromkeys([*embedded.shipped(), *SOURCES, *others])]


def download(name: str, on_progress: Progress | None = None, *, source: Source | None = None) -> Path:
    """Bring the weights of an entry from the web to `home()/weights`, verified and converted; returns their file.

    About half a gigabyte comes, 37 to 80 MB stay. An interrupted download goes on where it stopped; weights that are
    there and undamaged are left as they are. `on_progress` is called with the bytes that have come and the bytes in
    all, or None if unknown. Raises ScumbleError `download-failed`, `cannot-write`, `bad-weights`, or `missing-weights`
    for a name that has no source.
    """
    source = source or SOURCES.get(name)
    path = _kept(name)
    if source is None:
        raise ScumbleError("missing-weights", f"There is no source for {name}; there are {', '.join(SOURCES)}.")
    _make(path.parent)
    with exclusive(path.parent / f".{name}.lock"):
        if check(name).state != "ok":
            raw = path.with_suffix(".pth")
            full = fetch(source.url, raw, source.sha256, on_progress)
            save(from_file(raw, name), path, sha256=full, url=source.url)
            raw.unlink()
    return path


def check(name: str) -> Check:
    """Compare the SHA-256 of the weights of an entry with the one that was recorded when they came."""
    path = _file(name)
    if not path.is_file():
        return Check(name, "missing", None, None, f"{name} is not on this machine.")
    found = digest(path)
    try:
        expected = record_of(path).read_text().split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return Check(name, "unrecorded", None, found, f"No SHA-256 was recorded for {path}.")
    if found == expected:
        return Check(name, "ok", expected, found, f"{name} is as it came.")
    remedy = "install Scumble again" if name in embedded.shipped() else "bring it again"
    detail = f"{path} is damaged: its SHA-256 is {found}, recorded was {expected}; {remedy}."
    return Check(name, "damaged", expected, found, detail)


def use_file(path: Path) -> Entry:
    """Take over a weights file into `home()/weights`, converted, under the name of the network that it holds.

    The name is the architecture, with `-bn` if batch norms were folded and `-caffe` for Caffe's preprocessing; what
    was there under it is replaced. If the file's name ends with the start of its SHA-256 (`vgg19-dcbb9e9d.pth`), that
    is verified. Raises ScumbleError `missing-file`, `bad-weights` or `cannot-write`.
    """
    if not path.is_file():
        raise ScumbleError("missing-file", f"There is no file {path}.")
    full = digest(path)
    promised = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    if promised and not full.startswith(promised[1]):
        raise bad_weights(
            path, f"it is damaged: its SHA-256 starts with {full[:8]}, not with {promised[1]} as its name says"
        )
    known = next((name for name, source in SOURCES.items() if full.startswith(source.sha256)), None)
    weights = from_file(path, known)
    if weights.training is Training.NONE:
        raise bad_weights(path, "the network in it is not trained")
    if weights.entry in embedded.shipped():
        raise bad_weights(path, f"{weights.entry} comes with Scumble already")
    kept = _kept(weights.entry)
    _make(kept.parent)
    save(weights, kept, sha256=full, url=SOURCES[known].url if known else "")
    return _entry(weights.entry)


def _kept(name: str) -> Path:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ScumbleError("missing-weights", f"{name!r} is no name of weights; there are {', '.join(SOURCES)}.")
    return home() / "weights" / f"{name}.safetensors"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _file(name: str) -> Path:
    return embedded.shipped().get(name) or _kept(name)


def _entry(name: str) -> Entry:
    file = _file(name)
    present = file.is_file()
    source = SOURCES.get(name)
    size = file.stat().st_size if present else None
    return Entry(name, file, size, present, _kind(name), source.url if source else None)


def _kind(name: str) -> Literal["torchvision", "caffe", "shipped", "other"]:
    if name in embedded.shipped():
        return "shipped"
    if name not in SOURCES:
        return "other"
    return "caffe" if name.endswith("-caffe") else "torchvision"
