"""Picture files as arrays: one reader and one writer for each format, between bytes and `Raster`.

A raster is what a file says, no more: pixels, the ICC profile, the embedded text. What the values mean (colour, alpha,
mask) is the business of `scumble.picture`, which is also the only caller.

Vocabulary:

- *channels*: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha. Alpha is straight (not multiplied into the colours).
- *depth*: uint8, uint16 or float32. Integers run from 0 to their largest value, floats nominally from 0 to 1.
- *description*: the one line of text that TIFF and EXIF hold (tag 270). It carries the text as a JSON object.

A reader calls `check(width, height)` before it decodes anything, raises `Unreadable` with a reason that a user can
understand, and lets whatever its library raises pass: the caller words that.
"""

import contextlib
import io
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin, TiffImagePlugin, WebPImagePlugin

Pixels = NDArray[Any]
Check = Callable[[int, int], None]

DEPTHS = ("uint8", "uint16", "float32")
_ORIENTATION, _DESCRIPTION, _ICC = 274, 270, 34675  # tags of TIFF and EXIF
_INFLATE_LIMIT = 1 << 24  # bytes that all compressed text and profiles of one PNG may unpack to
_CHUNK_LIMIT = 1 << 19  # chunks of one PNG; what any program writes of the largest picture is less
_EXIF_LIMIT = 65_533  # bytes in one JPEG segment
_TILE_LIMIT = 1 << 26  # pixels of one TIFF tile, which is allocated whole even for a small picture
_PIXEL_LIMIT = 32  # bytes of one TIFF pixel, all its channels together: four of float64
_PNG_CHUNKS = (b"IHDR", b"iCCP", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_PACKERS = (1, 5, 8, 32773, 32946, 34925, 50000)  # none, LZW, deflate, PackBits, deflate again, LZMA, zstd


class Unreadable(ValueError):  # noqa: N818 - it is a reason, put into the caller's sentence
    """Why the bytes are no picture: the second half of the sentence "X cannot be read: …"."""


class Raster(NamedTuple):
    """Pixels (height, width, channels) of one of the `DEPTHS`, the ICC profile or None for sRGB, and the text."""

    pixels: Pixels
    icc: bytes | None
    text: dict[str, str]


# ------------------------------------------------------------------------------------------------------------ depth


def unit(pixels: Pixels) -> NDArray[np.float32]:
    """Values of any depth as float32, where 1 is full; always a new array."""
    if pixels.dtype.kind == "f":
        return pixels.astype(np.float32)
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def quantised(values: Pixels, depth: str) -> Pixels:
    """Values where 1 is full, in a depth: integers rounded to nearest and clipped, floats as they are."""
    if depth == "float32":
        return values.astype(np.float32)
    steps: Pixels = np.rint(np.clip(values, 0, 1) * np.iinfo(depth).max)
    return steps.astype(depth)


def at_depth(pixels: Pixels, depth: str) -> Pixels:
    """Pixels in another depth; the same array when there is nothing to do."""
    return pixels if pixels.dtype == depth else quantised(unit(pixels), depth)


# ---------------------------------------------------------------------------------------------------------- reading


def read(data: bytes, check: Check) -> Raster:
    """The first picture in `data`, upright (EXIF orientation applied), its pixels contiguous and finite."""
    if not data:
        raise Unreadable("it is empty")
    reader = next((reader for magic, reader in _READERS if data.startswith(magic)), None)
    if reader is None:
        raise Unreadable("it is not a PNG, JPEG, TIFF or WebP picture, nor a .npy array")
    pixels, icc, text = reader(data, check)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise Unreadable("it holds values that are not finite numbers")
    return Raster(np.ascontiguousarray(pixels), icc, text)


def _upright(pixels: Pixels, orientation: object) -> Pixels:
    """The picture as it is meant to be seen; EXIF orientations are 1 to 8, anything else is taken as 1."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _read_png(data: bytes, check: Check) -> Raster:
    chunks = list(_png_chunks(data))
    if not chunks or chunks[0][0] != b"IHDR":
        raise Unreadable("it is damaged or cut short")
    check(*struct.unpack_from(">II", chunks[0][1]))
    pixels = imagecodecs.png_decode(data)
    icc, orientation = None, 1
    text: dict[str, str] = {}
    unpacked = _Inflation()
    for kind, body in chunks:
        with contextlib.suppress(ValueError, IndexError, zlib.error):  # a broken remark does not spoil the picture
            key, _, rest = body.partition(b"\0")
            keyword = key.decode("latin-1")
            if kind == b"iCCP":
                icc = unpacked.of(rest[1:])
            elif kind == b"eXIf":
                orientation = _exif(body).get(_ORIENTATION, 1)
            elif kind == b"tEXt":
                text[keyword] = rest.decode("latin-1")
            elif kind == b"zTXt":
                text[keyword] = unpacked.of(rest[1:]).decode("latin-1")
            elif kind == b"iTXt":
                value = rest[2:].split(b"\0", 2)[2]
                text[keyword] = (unpacked.of(value) if rest[0] else value).decode("utf-8")
    # XMP and EXIF in disguise repeat the orientation, which no longer holds.
    text = {k: v for k, v in text.items() if k != "XML:com.adobe.xmp" and not k.startswith("Raw profile type")}
    return Raster(_upright(pixels.reshape(*pixels.shape[:2], -1), orientation), icc, text)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of the header, and of every chunk that says something about the colours or in words."""
    at = 8
    for _ in range(_CHUNK_LIMIT):
        if at + 12 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        if kind in _PNG_CHUNKS:
            yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length
    raise Unreadable("it is in more pieces than any sensible picture")


class _Inflation:
    """Unpacks what is packed in one file, up to a limit for all of it together."""

    def __init__(self) -> None:
        self._left = _INFLATE_LIMIT

    def of(self, data: bytes) -> bytes:
        """What was packed; ValueError beyond the limit."""
        stream = zlib.decompressobj()
        result = stream.decompress(data, self._left + 1)
        self._left -= min(len(result), self._left)
        if not self._left:
            raise ValueError("larger than any sensible profiles and texts")
        return result


def _exif(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    with contextlib.suppress(Exception):  # EXIF in the wild is often broken, and Pillow raises all sorts
        exif.load(data)
    return exif


def _read_jpeg(data: bytes, check: Check) -> Raster:
    return _read_with_pillow(JpegImagePlugin.JpegImageFile(io.BytesIO(data)), check)


def _read_webp(data: bytes, check: Check) -> Raster:
    if data[8:12] != b"WEBP":
        raise Unreadable("it is not a WebP picture")
    return _read_with_pillow(WebPImagePlugin.WebPImageFile(io.BytesIO(data)), check)


def _read_with_pillow(image: Image.Image, check: Check) -> Raster:
    """8-bit pictures of every kind. The plug-ins are called directly, for `Image.open` has its own, global, limit."""
    check(*image.size)
    image.load()
    icc = image.info.get("icc_profile")
    exif = _exif(image.info.get("exif", b""))
    # Pillow's TIFF reader has turned the picture already, and keeps no "exif" in `info`.
    orientation, description = exif.get(_ORIENTATION, 1), exif.get(_DESCRIPTION)
    if image.mode in ("CMYK", "LAB"):
        image, icc = _to_srgb(image, icc), None
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBX", "RGBA", "YCbCr"):
        raise Unreadable(f"it is of a rare kind ({image.mode}) that is not supported")
    mode = ("L" if image.mode in ("1", "L", "LA") else "RGB") + ("A" if image.has_transparency_data else "")
    pixels = np.asarray(image.convert(mode))
    return Raster(_upright(pixels.reshape(*pixels.shape[:2], -1), orientation), icc, _text(description))


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    srgb = ImageCms.createProfile("sRGB")
    if image.mode == "LAB":
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    elif icc:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    else:
        return image.convert("RGB")
    converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
    assert converted is not None  # None is for inPlace only
    return converted


def _read_tiff(data: bytes, check: Check) -> Raster:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        check(page.imagewidth, page.imagelength)
        photometric = int(page.photometric)
        is_plain = (
            photometric in (0, 1, 2)  # white is 0, black is 0, RGB
            and page.imagedepth == 1
            and page.dtype is not None
            and page.dtype.name in ("uint8", "uint16", "float16", "float32", "float64")
            and page.bitspersample == page.dtype.itemsize * 8
            # A strip that is a picture of another format is unpacked in that picture's size, whatever the page says.
            and int(page.compression) in _PACKERS
        )
        pixel_bits = page.samplesperpixel * page.bitspersample
        if page.tilewidth * page.tilelength > _TILE_LIMIT or pixel_bits > 8 * _PIXEL_LIMIT:
            raise Unreadable("its tiles or channels are larger than any sensible picture's")
        description = _text(page.tags.valueof(_DESCRIPTION))
        icc = page.tags.valueof(_ICC)
        if not is_plain:
            raster = _read_with_pillow(TiffImagePlugin.TiffImageFile(io.BytesIO(data)), check)
            return raster._replace(text=description)
        samples = page.asarray()
        if page.axes == "SYX":
            samples = np.moveaxis(samples, 0, -1)
        samples = samples.reshape(page.imagelength, page.imagewidth, -1)
        extras = [int(kind) for kind in page.extrasamples]
        orientation = page.tags.valueof(_ORIENTATION)

    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # infinity is refused later
            samples = samples.astype(np.float32)
    colours = 3 if photometric == 2 else 1
    pixels = samples[..., :colours]
    if photometric == 0:
        pixels = (1 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max) - pixels
    if not extras and samples.shape[2] == colours + 1:
        extras = [2]  # a fourth channel that nobody declared is alpha to every program
    place = next((i for i, kind in enumerate(extras) if kind in (1, 2)), None)
    if place is not None:
        alpha = samples[..., colours + place, None]
        if extras[place] == 1:
            pixels = _straight(pixels, alpha)
        pixels = np.concatenate([pixels, alpha], axis=2)
    return Raster(_upright(pixels, orientation), icc, description)


def _straight(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Colours with the alpha that was multiplied into them divided out; 0 where alpha is 0."""
    share = unit(alpha)
    values = np.divide(unit(pixels), share, out=np.zeros(pixels.shape, np.float32), where=share > 0)
    return quantised(values, pixels.dtype.name)


def _read_npy(data: bytes, check: Check) -> Raster:
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, is_fortran, dtype = header(file)
    except (MemoryError, RecursionError):  # of the parser, over what is nested without end
        raise Unreadable("its header is damaged") from None
    if dtype.name not in DEPTHS:
        raise Unreadable(f"its values are {dtype.name}, not {', '.join(DEPTHS[:-1])} or {DEPTHS[-1]}")
    if len(shape) not in (2, 3) or (len(shape) == 3 and not 1 <= shape[2] <= 4):
        raise Unreadable(f"its shape {shape} is not height × width, or height × width × 1 to 4 channels")
    check(shape[1], shape[0])
    missing = int(np.prod(shape, dtype=object)) * dtype.itemsize - (len(data) - file.tell())
    if missing > 0:
        raise Unreadable(f"it is cut short: {missing} bytes are missing")
    flat = np.frombuffer(data, dtype, count=int(np.prod(shape)), offset=file.tell())
    pixels = flat.reshape(shape, order="F" if is_fortran else "C").astype(dtype.name)
    return Raster(pixels.reshape(*shape[:2], -1), None, {})


_READERS: tuple[tuple[bytes, Callable[[bytes, Check], Raster]], ...] = (
    (b"\x89PNG\r\n\x1a\n", _read_png),
    (b"\xff\xd8\xff", _read_jpeg),
    (b"RIFF", _read_webp),
    *((magic, _read_tiff) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"\x93NUMPY", _read_npy),
)


# ---------------------------------------------------------------------------------------------------------- writing


def write_png(pixels: Pixels, icc: bytes | None, text: Mapping[str, str]) -> bytes:
    """8 or 16 bits, all kinds of channels; float32 becomes 16 bits."""
    pixels = at_depth(pixels, "uint8" if pixels.dtype == "uint8" else "uint16")
    # one channel has no axis of its own there; level 6 takes two to four times as long for a tenth less
    data = bytes(imagecodecs.png_encode(pixels if pixels.shape[2] > 1 else pixels[..., 0], level=2))
    chunks = [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []
    chunks += [_png_text(key, value) for key, value in text.items()]
    return _with_chunks(data, chunks)


def _png_text(key: str, value: str) -> tuple[bytes, bytes]:
    """The chunk for one text; a keyword is cut to what the format allows: 1 to 79 characters of Latin-1."""
    keyword = key.replace("\0", "").encode("latin-1", "replace")[:79].strip() or b"Comment"
    value = value.replace("\0", "")
    try:
        return b"tEXt", keyword + b"\0" + value.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", keyword + b"\0\0\0\0\0" + value.encode("utf-8", "replace")


def _with_chunks(png: bytes, chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The PNG with more chunks, right behind its header (where a colour profile has to be)."""
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"".join((png[:33], *packed, png[33:]))


def write_tiff(pixels: Pixels, icc: bytes | None, text: Mapping[str, str]) -> bytes:
    """Every depth and kind of channels, without loss."""
    channels = pixels.shape[2]
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        pixels if channels > 1 else pixels[..., 0],
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        predictor=True,
        iccprofile=icc,
        description=_description(text),
        metadata=None,
    )
    return file.getvalue()


def write_jpeg(pixels: Pixels, icc: bytes | None, text: Mapping[str, str]) -> bytes:
    """8 bits, alpha composited on white. Text longer than a JPEG segment is left out."""
    if pixels.shape[2] in (2, 4):
        alpha = unit(pixels[..., -1:])
        pixels = quantised(unit(pixels[..., :-1]) * alpha + (1 - alpha), "uint8")
    return _write_with_pillow(pixels, icc, text, format="JPEG", quality=95, subsampling=0)


def write_webp(pixels: Pixels, icc: bytes | None, text: Mapping[str, str]) -> bytes:
    """8 bits, RGB with or without alpha (no gray), without loss."""
    return _write_with_pillow(pixels, icc, text, format="WEBP", lossless=True, exact=True)


def _write_with_pillow(pixels: Pixels, icc: bytes | None, text: Mapping[str, str], **options: Any) -> bytes:
    pixels = at_depth(pixels, "uint8")
    image = Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[..., 0])
    exif = Image.Exif()
    if description := _description(text):
        exif[_DESCRIPTION] = description
    if icc:
        options["icc_profile"] = icc
    if exif and len(exif.tobytes()) <= _EXIF_LIMIT:
        options["exif"] = exif
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def write_npy(pixels: Pixels, icc: bytes | None, text: Mapping[str, str]) -> bytes:
    """The array alone: the profile and the text have no place in it."""
    file = io.BytesIO()
    np.save(file, pixels, allow_pickle=False)
    return file.getvalue()


WRITERS: dict[str, Callable[[Pixels, bytes | None, Mapping[str, str]], bytes]] = {
    "png": write_png,
    "jpeg": write_jpeg,
    "webp": write_webp,
    "tiff": write_tiff,
    "npy": write_npy,
}


# ------------------------------------------------------------------------------------------------------ description


def _description(text: Mapping[str, str]) -> str | None:
    """All the text in one line of ASCII. A lone description stays as it is, for other programs to show."""
    lone = text.get("Description", "") if len(text) == 1 else ""
    if lone.isascii() and lone.isprintable() and not lone.startswith(("{", " ")) and lone:
        return lone
    return json.dumps(dict(text)) if text else None


def _text(description: object) -> dict[str, str]:
    """What `_description` was made from; any other line is a lone description."""
    if not isinstance(description, str) or not description.strip():
        return {}
    with contextlib.suppress(ValueError, RecursionError):
        parsed = json.loads(description)
        if isinstance(parsed, dict) and all(isinstance(value, str) for value in parsed.values()):
            return parsed
    return {"Description": description}
