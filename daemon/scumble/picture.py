"""Pictures: pixels in, pixels out, and what their values mean. Files come and go through here only.

Vocabulary:

- *own values*: the numbers as the file holds them, in the file's own colour space and depth. They are never converted
  on the way in, so what is not repainted can be written out bit for bit.
- *profile*: the ICC profile that says which colour space that is; none means sRGB.
- *sRGB-encoded*: the sRGB colour space with its transfer curve, nominally 0 to 1. A wider space gives values outside.
- *straight alpha*: colours are not multiplied by alpha, so they exist (and are kept) even where alpha is 0.
- *mix*: for each pixel, how much of something new takes the place of the old: 0 nothing, 1 all.
- *mask*: the gray values of a picture, 0 to 1, read without colour management: a mask is a quantity, not a colour.

The formats themselves are in `scumble.codecs`. Everything here raises `ScumbleError` for what a user can cause, and
`ValueError` for what only a programmer can (shapes that do not fit).
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scumble import codecs
from scumble.errors import ScumbleError

Floats = NDArray[np.float32]

MAX_PIXELS = 300_000_000
_STRIP = 128  # rows that are painted in at once
_WHOLE = slice(None), slice(None)
FORMATS = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".npy": "npy",
}


class Rows(Protocol):
    """Colours that are made when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, 3)."""

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Some rows of them."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in its own values: `pixels` (height, width, channels), uint8, uint16 or float32.

    Channels are 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha), alpha straight. Integers run to their largest
    value, floats nominally to 1. `icc` is the profile of the values (None: sRGB); one that cannot be opened, or is not
    for such channels, is dropped, as browsers do. `text` is what the file says in words, keyword to text.
    """

    pixels: NDArray[Any]
    icc: bytes | None = None
    text: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or 0 in pixels.shape or pixels.dtype not in codecs.DEPTHS:
            raise ValueError(f"not a picture: {pixels.dtype} {pixels.shape}")
        object.__setattr__(self, "pixels", np.ascontiguousarray(pixels))
        if self.icc is not None and not _fits(self.icc, self._colours):
            object.__setattr__(self, "icc", None)

    @classmethod
    def from_rgb(cls, rgb: NDArray[Any], dtype: str = "uint8") -> "Picture":
        """An sRGB picture from (height, width, 3) floats, sRGB-encoded; integers are rounded and clipped."""
        return cls(codecs.quantised(rgb, dtype))

    @property
    def width(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.pixels.shape[0])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.pixels.shape[2] in (2, 4)

    @property
    def depth(self) -> str:
        """ "uint8", "uint16" or "float32"."""
        return self.pixels.dtype.name

    @property
    def _colours(self) -> int:
        return 1 if self.pixels.shape[2] < 3 else 3

    def rgb(self, part: tuple[slice, slice] = _WHOLE) -> Floats:
        """The colours as (height, width, 3) float32, sRGB-encoded; a new array. `part`: only of these rows and columns.

        The profile is honoured at full precision, and colours outside sRGB lie outside 0..1.
        """
        return _converted(codecs.unit(self.pixels[..., : self._colours][part]), self.icc, None)

    def alpha(self, part: tuple[slice, slice] = _WHOLE) -> Floats:
        """Alpha as (height, width) float32, 0..1; all 1, and read-only, for a picture without. `part` as in `rgb`."""
        values = self.pixels[..., -1][part]
        if not self.has_alpha:
            return np.broadcast_to(np.float32(1), values.shape)  # which takes no memory
        return np.clip(codecs.unit(values), 0, 1)

    def as_mask(self) -> Floats:
        """The picture as a mask, (height, width) float32, 0..1: gray (the mean of RGB) times alpha, no threshold."""
        gray: Floats = codecs.unit(self.pixels[..., : self._colours]).mean(axis=2)
        return gray.clip(0, 1) * self.alpha()

    def repainted(self, rgb: "NDArray[Any] | Rows", mix: NDArray[Any]) -> "Picture":
        """This picture with `rgb` (height, width, 3; sRGB-encoded floats) painted in by `mix` (height, width; 0..1).

        Where `mix` is 0 the pixels stay as they are, bit for bit; elsewhere each colour goes from its own value towards
        the new one by `mix`, in own values, rounded to nearest. Depth, profile, text and alpha (with the colours under
        alpha 0) are kept. A gray picture becomes RGB; if it has a gray profile, it is converted to sRGB for that.
        """
        shape = self.height, self.width
        if rgb.shape != (*shape, 3) or mix.shape != shape:
            raise ValueError(f"{rgb.shape} painted by {mix.shape} into a picture of {shape}")
        base = self._in_colour()
        if not (mix > 0).any():
            return base
        full = 1 if self.depth == "float32" else np.iinfo(self.depth).max
        pixels = base.pixels.copy()
        for top in range(0, self.height, _STRIP):  # whole strips of rows: to pick single pixels takes ten times as long
            rows = slice(top, top + _STRIP)
            share = mix[rows, :, None].astype(np.float32, copy=False)
            if not (share > 0).any():
                continue
            own = pixels[rows, :, :3].astype(np.float32)
            new = _converted(rgb[rows], None, base.icc) * np.float32(full)
            own += np.minimum(share, 1) * (new - own)
            if full != 1:
                own = np.rint(np.clip(own, 0, full))
            np.copyto(pixels[rows, :, :3], own, where=share > 0, casting="unsafe")
        return replace(base, pixels=pixels)

    def cut_out(self, mix: NDArray[Any]) -> "Picture":
        """This picture as RGBA, its alpha multiplied by `mix` (height, width; 0..1); the colours stay."""
        if mix.shape != (self.height, self.width):
            raise ValueError(f"{mix.shape} does not fit a picture of {(self.height, self.width)}")
        base = self._in_colour()
        alpha = codecs.quantised(self.alpha() * np.clip(mix, 0, 1), self.depth)
        return replace(base, pixels=np.concatenate([base.pixels[..., :3], alpha[..., None]], axis=2))

    def _in_colour(self) -> "Picture":
        """This picture in RGB, with its alpha. Three equal channels, unless a gray profile has to be converted."""
        if self._colours == 3:
            return self
        gray, alpha = self.pixels[..., :1], self.pixels[..., 1:]
        icc = None if self.icc is None or _is_srgb(self.icc) else self.icc
        if icc is not None and _space(icc) == b"GRAY":
            colours, icc = codecs.quantised(_converted(codecs.unit(gray), icc, None), self.depth), None
        else:
            colours = np.repeat(gray, 3, axis=2)
        return replace(self, pixels=np.concatenate([colours, alpha], axis=2), icc=icc)


# ------------------------------------------------------------------------------------------------------------ files


def load(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in a file; see `decode`. Errors: missing-file, and those of `decode`."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a device would never end
            raise ScumbleError("bad-picture", f"{path} is not a file.", "Give the path of a picture, not of a folder.")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ScumbleError("missing-file", f"There is no file {path}.") from error
    except OSError as error:
        raise ScumbleError("bad-picture", f"{path} cannot be read: {error.strerror or error}.") from error
    return decode(data, name=str(path), max_pixels=max_pixels)


def decode(data: bytes, *, name: str = "picture", max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in the bytes of a PNG, JPEG, WebP, TIFF or .npy file, upright; of several, the first.

    `name` is what errors call it. Palette, bilevel, CMYK and Lab files become gray or RGB. Errors: bad-picture, and
    picture-too-large for more than `max_pixels` pixels, found in the header before anything is decoded.
    """

    def check(width: int, height: int) -> None:
        if width < 1 or height < 1:
            raise codecs.Unreadable("it has no pixels")
        if width * height > max_pixels:
            detail = f"{name} has {width} × {height} pixels, more than the limit of {max_pixels:,} pixels."
            raise ScumbleError("picture-too-large", detail)

    try:
        return Picture(*codecs.read(data, check))
    except ScumbleError:
        raise
    except codecs.Unreadable as reason:
        raise ScumbleError("bad-picture", f"{name} cannot be read: {reason}.") from reason
    except Image.DecompressionBombError as error:
        raise ScumbleError("picture-too-large", f"{name} has more pixels than its format's reader allows.") from error
    except MemoryError as error:
        raise ScumbleError("out-of-memory", f"There is not enough memory to read {name}.") from error
    except Exception as error:  # the libraries raise whatever they like for a damaged file
        raise ScumbleError("bad-picture", f"{name} cannot be read: it is damaged or cut short.") from error


def encode(picture: Picture, format: str) -> bytes:
    """The picture as the bytes of a file: "png", "jpeg", "webp" (lossless), "tiff" or "npy".

    PNG holds 8 and 16 bits (floats become 16), TIFF and npy every depth, JPEG and WebP 8 bits. JPEG has no alpha: the
    picture lies on white. Profile and text go along, except into npy. Errors: cannot-write.
    """
    if format not in codecs.WRITERS:
        raise ScumbleError("cannot-write", f"{format!r} is not one of the formats {', '.join(codecs.WRITERS)}.")
    if format == "webp":
        picture = picture._in_colour()
    try:
        return codecs.WRITERS[format](picture.pixels, picture.icc, picture.text)
    except Exception as error:  # too many pixels for the format, above all
        detail = f"A picture of {picture.width} × {picture.height} pixels cannot be written as {format}: {error}."
        raise ScumbleError("cannot-write", detail) from error


def save(picture: Picture, path: str | Path) -> None:
    """Write the picture into a file, in the format of its suffix (`FORMATS`): whole, or not at all.

    An existing file is replaced in one step. Errors: cannot-write.
    """
    path = Path(path)
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise ScumbleError("cannot-write", f"{path} has none of the suffixes {', '.join(FORMATS)}.")
    data = encode(picture, format)
    beside = path.with_name(f".scumble-{secrets.token_hex(8)}.tmp")
    try:
        try:
            beside.write_bytes(data)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ScumbleError("cannot-write", f"{path} cannot be written: {error.strerror or error}.") from error


# ----------------------------------------------------------------------------------------------------------- colour


@lru_cache(maxsize=1)
def _srgb() -> bytes:
    return bytes(imagecodecs.cms_profile("srgb"))


def _space(icc: bytes) -> bytes:
    """The colour space of a profile, as its header names it: b"GRAY", b"RGB ", b"CMYK"…"""
    return icc[16:20]


@lru_cache(maxsize=16)
def _fits(icc: bytes, colours: int) -> bool:
    """Whether the profile can be used for so many colour channels; gray values may be in an RGB space."""
    if _space(icc) not in ((b"GRAY", b"RGB ") if colours == 1 else (b"RGB ",)):
        return False
    try:
        black = _transformed(np.zeros((1, 1, 3), np.float32), icc, _srgb())
        if _space(icc) == b"RGB ":  # painting goes the way back as well; a gray picture becomes sRGB for that
            _transformed(black, _srgb(), icc)
    except Exception:
        return False
    return True


@lru_cache(maxsize=16)
def _is_srgb(icc: bytes) -> bool:
    """Whether a profile says what sRGB says, to a tenth of an 8-bit step, whoever made it."""
    steps = np.linspace(0, 1, 9, dtype=np.float32)
    probe = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    if _space(icc) == b"GRAY":
        probe = np.repeat(np.linspace(0, 1, 256, dtype=np.float32), 3).reshape(1, -1, 3)
    return bool(np.abs(_transformed(probe, icc, _srgb()) - probe).max() < 0.1 / 255)


def _converted(values: NDArray[Any], source: bytes | None, target: bytes | None) -> Floats:
    """Colours (height, width, 1 or 3), where 1 is full, from one profile (None: sRGB) to another, as three channels."""
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    profile = source or target
    if profile is None or _is_srgb(profile):
        return values.astype(np.float32, copy=False)
    return _transformed(values, source or _srgb(), target or _srgb())


def _transformed(values: NDArray[Any], source: bytes, target: bytes) -> Floats:
    """(height, width, 3) through lcms in floats: neither rounded nor, between matrix profiles, clipped."""
    if gray := _space(source) == b"GRAY":
        values = values[..., 0]
    result: Floats = imagecodecs.cms_transform(
        np.ascontiguousarray(values, np.float32),
        source,
        target,
        colorspace="gray" if gray else "rgb",
        outcolorspace="rgb",
        intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
        flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION,
    )
    return result
