"""Pictures in and out: exact where a format is exact, true to the profile, and a clear sentence for everything bad.

The truths are computed here, in NumPy, or the files are written by another library than the one that reads them.
"""

import io
import json
import os
import struct
import zlib
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from scumble import codecs
from scumble.errors import ScumbleError
from scumble.picture import FORMATS, Picture, decode, encode, load, save

DEPTHS = ("uint8", "uint16", "float32")
D65 = (0.3127, 0.3290, 1.0)
SRGB_PRIMARIES = (0.64, 0.33, 1.0, 0.30, 0.60, 1.0, 0.15, 0.06, 1.0)
P3_PRIMARIES = (0.680, 0.320, 1.0, 0.265, 0.690, 1.0, 0.150, 0.060, 1.0)


@cache  # a profile says when it was made, to the second
def profile(primaries: tuple[float, ...] = P3_PRIMARIES, gamma: float = 1.8) -> bytes:
    return bytes(imagecodecs.cms_profile("rgb", whitepoint=D65, primaries=primaries, gamma=gamma))


@cache
def gray_profile(gamma: float) -> bytes:
    return bytes(imagecodecs.cms_profile("gray", whitepoint=D65, gamma=gamma))


def srgb_curve(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, odd below zero's neighbourhood as lcms has it (a straight line)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


def xyz_matrix(primaries: tuple[float, ...]) -> np.ndarray:
    """Linear RGB to XYZ for a D65 white, from chromaticities."""
    x, y = np.array(primaries).reshape(3, 3)[:, :2].T
    columns = np.stack([x / y, np.ones(3), (1 - x - y) / y])
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def colorants(icc: bytes) -> np.ndarray:
    """Linear RGB to XYZ (for D50, as in every profile), from the tags of a matrix profile."""
    (count,) = struct.unpack_from(">I", icc, 128)
    tags = {icc[at : at + 4]: struct.unpack_from(">I", icc, at + 4)[0] for at in range(132, 132 + 12 * count, 12)}
    return np.array([struct.unpack_from(">3i", icc, tags[k] + 8) for k in (b"rXYZ", b"gXYZ", b"bXYZ")]).T / 65536


def noise(channels: int, depth: str, height: int = 19, width: int = 23, seed: int = 0) -> np.ndarray:
    """Random values with both ends of the range among them."""
    rng = np.random.default_rng(seed)
    if depth == "float32":
        values = rng.random((height, width, channels), dtype=np.float32) * 1.5 - 0.25
    else:
        values = rng.integers(0, np.iinfo(depth).max, (height, width, channels), dtype=depth, endpoint=True)
    values[0, 0], values[0, 1] = 0, 1 if depth == "float32" else np.iinfo(depth).max
    return values


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, bits: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG by the letter of its specification."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    every = [header, *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in every)


def tiff_of(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, metadata=None, **options)
    return file.getvalue()


def patched(tiff: bytes, **values: int) -> bytes:
    """The TIFF with other numbers in some of its tags, whatever that makes of it."""
    changed = bytearray(tiff)
    with tifffile.TiffFile(io.BytesIO(tiff)) as file:
        for name, value in values.items():
            tag = file.pages.first.tags[name]
            struct.pack_into("<HII", changed, tag.offset + 2, 4, 1, value)
    return bytes(changed)


def pillow_file(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


# ---------------------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("format", ["png", "tiff", "npy", "webp"])
def test_a_round_trip_is_exact_at_the_depth_of_the_format(format: str, depth: str, channels: int) -> None:
    pixels = noise(channels, depth)
    expected = pixels
    if format == "webp":
        full = {"uint8": 255, "uint16": 65535, "float32": 1}[depth]
        expected = np.floor(np.clip(pixels / np.float64(full), 0, 1) * 255 + 0.5).astype(np.uint8)
        if channels < 3:
            expected = np.concatenate([expected[..., :1]] * 3 + [expected[..., 1:]], axis=2)

    back = decode(encode(Picture(pixels), format))

    if depth == "float32" and format == "png":  # single precision may see a tie where there is almost one
        assert back.depth == "uint16"
        assert np.abs(back.pixels - np.clip(pixels.astype(np.float64), 0, 1) * 65535).max() <= 0.505
    else:
        assert same(back.pixels, np.ascontiguousarray(expected))
    assert back.has_alpha == (channels in (2, 4))
    assert back.size == (23, 19)
    assert back.icc is None


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", DEPTHS)
def test_jpeg_is_close_and_lies_on_white(depth: str, channels: int) -> None:
    colours = 1 if channels < 3 else 3
    ramp = np.linspace(0, 1, 64)[None, :, None] * np.ones((48, 1, channels))
    if channels in (2, 4):
        ramp[..., -1] = np.linspace(0, 1, 48)[:, None]
    scale = {"uint8": 255, "uint16": 65535, "float32": 1}[depth]
    pixels = (ramp * scale).round(0 if scale > 1 else 9).astype(depth)

    back = decode(encode(Picture(pixels), "jpeg"))

    alpha = ramp[..., -1:] if channels in (2, 4) else 1.0
    assert back.pixels.shape == (48, 64, colours)
    assert back.pixels.dtype == np.uint8
    assert np.abs(back.pixels / 255 - (ramp[..., :colours] * alpha + 1 - alpha)).max() < 0.02


@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_other_programs_can_read_what_is_written(format: str, channels: int) -> None:
    pixels = noise(channels, "uint8")
    with Image.open(io.BytesIO(encode(Picture(pixels, profile(), {"Ä": "日本"}), format))) as image:
        assert image.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
        assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)
        assert image.info["icc_profile"] == profile()


def test_sixteen_bit_png_is_exact_by_the_letter_of_the_format() -> None:
    rows = b"\0" + struct.pack(">6H", 0, 1, 65535, 32768, 256, 255)
    picture = decode(png_of(2, 1, 16, 2, rows))
    assert picture.depth == "uint16"
    assert picture.pixels.tolist() == [[[0, 1, 65535], [32768, 256, 255]]]


def test_rare_png_kinds() -> None:
    palette = (b"PLTE", bytes([10, 20, 30, 40, 50, 60, 70, 80, 90]))
    two_bits = b"\0\x18"  # 0 1 2 0
    assert decode(png_of(3, 1, 2, 3, two_bits, palette)).pixels.tolist() == [[[10, 20, 30], [40, 50, 60], [70, 80, 90]]]
    with_alpha = decode(png_of(3, 1, 2, 3, two_bits, palette, (b"tRNS", b"\x00\x80")))
    assert with_alpha.pixels.tolist() == [[[10, 20, 30, 0], [40, 50, 60, 128], [70, 80, 90, 255]]]
    assert decode(png_of(4, 1, 1, 0, b"\0\x50")).pixels.ravel().tolist() == [0, 255, 0, 255]
    keyed = decode(png_of(2, 1, 16, 0, b"\0\1\2\3\4", (b"tRNS", b"\1\2")))
    assert keyed.pixels.tolist() == [[[0x0102, 0], [0x0304, 65535]]]


def test_rare_pillow_kinds() -> None:
    cmyk = decode(pillow_file(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    assert np.abs(cmyk.pixels.astype(int) - [255, 0, 0]).max() < 8
    assert cmyk.icc is None
    lab = decode(pillow_file(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF"))
    assert np.abs(lab.pixels.astype(int) - 255).max() < 2
    bilevel = decode(pillow_file(Image.fromarray(np.eye(9, dtype=bool)), "TIFF", compression="group4"))
    assert np.array_equal(bilevel.pixels[..., 0], np.eye(9) * 255)
    rgb = Image.fromarray(noise(3, "uint8"))
    palette = decode(pillow_file(rgb.quantize(8), "TIFF"))
    assert np.array_equal(palette.pixels, np.asarray(rgb.quantize(8).convert("RGB")))
    smooth = Image.linear_gradient("L").resize((32, 32)).convert("RGB")
    in_tiff = decode(pillow_file(smooth, "TIFF", compression="jpeg"))
    assert np.abs(in_tiff.pixels.astype(int) - np.asarray(smooth)).max() < 12


def test_cmyk_is_converted_through_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(ImageCms, "ImageCmsProfile", lambda file: seen.append(file.read()) or 0 / 0)
    data = pillow_file(Image.new("CMYK", (8, 8)), "JPEG", icc_profile=b"a profile for CMYK")
    with pytest.raises(ScumbleError):
        decode(data)
    assert seen == [b"a profile for CMYK"]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw", "predictor": True},
        {"tile": (16, 16), "compression": "zlib"},
        {"byteorder": ">"},
        {"rowsperstrip": 5},
        {"bigtiff": True},
    ],
    ids=str,
)
def test_tiff_layouts(depth: str, options: dict[str, object]) -> None:
    pixels = noise(3, depth, 40, 37)
    assert same(decode(tiff_of(pixels, photometric="rgb", **options)).pixels, pixels)


@pytest.mark.parametrize("depth", DEPTHS)
def test_tiff_samples(depth: str) -> None:
    pixels = noise(4, depth)
    full = 1 if depth == "float32" else np.iinfo(depth).max
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    planar = tiff_of(planes, photometric="rgb", planarconfig="separate", extrasamples=["unassalpha"])
    assert same(decode(planar).pixels, pixels)
    inverted = decode(tiff_of(pixels[..., 0].copy(), photometric="miniswhite"))
    assert same(inverted.pixels, full - pixels[..., :1])
    unspecified = decode(tiff_of(pixels, photometric="rgb", extrasamples=["unspecified"]))
    assert same(unspecified.pixels, pixels[..., :3].copy())
    declared = tiff_of(pixels, photometric="rgb", extrasamples=["unassalpha"])
    undeclared = declared.replace(struct.pack("<HHI", 338, 3, 1), struct.pack("<HHI", 60_000, 3, 1))
    assert undeclared != declared
    assert same(decode(undeclared).pixels, pixels)
    assert decode(tiff_of(pixels[:1, :1, 0].copy(), photometric="minisblack")).size == (1, 1)


@pytest.mark.parametrize("depth", DEPTHS)
def test_tiff_associated_alpha_is_divided_out(depth: str) -> None:
    full = 1 if depth == "float32" else np.iinfo(depth).max
    straight = np.array([[[1.0, 0.5, 0.0], [0.25, 1.0, 0.75], [0.5, 0.5, 0.5]]])
    alpha = np.array([[[1.0], [0.5], [0.0]]])
    stored = np.concatenate([straight * alpha, alpha], axis=2) * full
    stored = (stored if full == 1 else np.rint(stored)).astype(depth)
    pixels = decode(tiff_of(stored, photometric="rgb", extrasamples=["assocalpha"])).pixels
    assert np.abs(pixels[0, :2, :3] / full - straight[0, :2]).max() < (0.005 if depth == "uint8" else 2e-5)
    assert pixels[0, 2].tolist() == [0, 0, 0, 0]
    assert np.array_equal(pixels[..., 3], stored[..., 3])


def test_of_several_pictures_the_first_is_read() -> None:
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    for format in ("WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = pillow_file(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert decode(data).pixels[..., :3].reshape(-1, 3).tolist() == [[255, 0, 0]] * 24


def test_npy_arrays() -> None:
    flat = noise(1, "uint16")[..., 0]
    for values in (flat, flat.astype(">u2"), np.asfortranarray(flat)):
        file = io.BytesIO()
        np.save(file, values)
        assert same(decode(file.getvalue()).pixels, flat[..., None])


# ----------------------------------------------------------------------------------------------------------- colour


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_the_profile_is_kept(format: str, depth: str) -> None:
    assert decode(encode(Picture(noise(3, depth), profile()), format)).icc == profile()


@pytest.mark.parametrize("format", ["png", "jpeg", "tiff"])
def test_a_gray_profile_is_kept(format: str) -> None:
    back = decode(encode(Picture(noise(1, "uint8"), gray_profile(1.4)), format))
    assert back.icc == gray_profile(1.4)
    assert back.pixels.shape[2] == 1


def test_webp_has_no_gray_so_a_gray_profile_is_converted() -> None:
    gray = noise(1, "uint8")
    back = decode(encode(Picture(gray, gray_profile(1.4)), "webp"))
    assert back.icc is None
    assert np.abs(back.pixels - srgb_curve((gray / 255) ** 1.4) * 255).max() < 0.51


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("primaries", "gamma"), [(P3_PRIMARIES, 1.8), (SRGB_PRIMARIES, 1.0)])
def test_the_profile_is_honoured_at_full_precision(depth: str, primaries: tuple[float, ...], gamma: float) -> None:
    picture = Picture(np.clip(noise(4, depth), 0, None), profile(primaries, gamma))
    own = picture.pixels[..., :3] / (1.0 if depth == "float32" else float(np.iinfo(depth).max))
    between = np.linalg.solve(colorants(profile(SRGB_PRIMARIES)), colorants(profile(primaries, gamma)))
    # A profile has 16 bits behind the point, and both matrices their share of that.
    assert np.abs(between - np.linalg.solve(xyz_matrix(SRGB_PRIMARIES), xyz_matrix(primaries))).max() < 1e-4
    truth = srgb_curve((own**gamma) @ between.T)
    rgb = picture.rgb()
    assert rgb.dtype == np.float32
    # The straight foot of sRGB's curve, which goes on below zero, has a slope of 16 bits as well.
    assert (np.abs(rgb - truth) < 2e-5 + 1e-4 * np.maximum(-truth, 0)).all()
    if primaries is P3_PRIMARIES:
        assert rgb.min() < -0.05  # colours outside sRGB are not clipped


def test_neighbouring_sixteen_bit_values_stay_apart() -> None:
    ramp = np.arange(30_000, 30_600, dtype=np.uint16).reshape(20, 30, 1).repeat(3, axis=2)
    steps = np.diff(Picture(ramp, profile(SRGB_PRIMARIES, 1.8)).rgb()[..., 1].ravel())
    assert (steps > 0).all()
    assert steps.max() < 3 / 65535


def test_a_gray_profile_is_honoured() -> None:
    picture = Picture(noise(2, "uint16"), gray_profile(1.4))
    truth = srgb_curve((picture.pixels[..., :1] / 65535) ** 1.4)
    assert np.abs(picture.rgb() - truth).max() < 1e-4


def test_without_a_profile_values_are_srgb() -> None:
    for depth, full in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        for channels in (1, 2, 3, 4):
            pixels = noise(channels, depth)
            rgb = Picture(pixels).rgb()
            assert rgb.shape == (19, 23, 3)
            assert np.allclose(rgb, pixels[..., : 1 if channels < 3 else 3] / np.float64(full), atol=1e-7)
            rgb[:] = 7  # the caller's own
            assert same(pixels, noise(channels, depth))


def test_anyone_s_srgb_profile_is_srgb() -> None:
    theirs = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = noise(3, "uint16")
    picture = Picture(pixels, theirs)
    assert same(picture.rgb(), Picture(pixels).rgb())
    assert decode(encode(picture, "png")).icc == theirs


@pytest.mark.parametrize(
    ("icc", "channels"),
    [(b"", 3), (b"nonsense" * 40, 3), (profile()[:300], 3), (gray_profile(2.0), 3), (gray_profile(2.0), 4)],
)
def test_an_unusable_profile_is_dropped(icc: bytes, channels: int) -> None:
    assert Picture(noise(channels, "uint8"), icc).icc is None


def test_gray_values_may_be_in_an_rgb_space() -> None:
    gray = noise(1, "uint16")
    picture = Picture(gray, profile(SRGB_PRIMARIES, 1.8))
    assert np.allclose(picture.rgb(), srgb_curve((gray / 65535) ** 1.8), atol=1e-4)
    painted = picture.repainted(np.zeros((19, 23, 3), np.float32), np.zeros((19, 23), np.float32))
    assert same(painted.pixels, gray.repeat(3, axis=2))
    assert painted.icc == picture.icc


# ------------------------------------------------------------------------------------------------------ orientation

TURNS = {
    1: lambda p: p,
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: np.rot90(np.fliplr(p), 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(np.fliplr(p), -1),
    8: lambda p: np.rot90(p, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "TIFF by Pillow", "JPEG"])
def test_exif_orientation_is_applied_and_not_written_again(format: str, orientation: int) -> None:
    blocks = np.kron(noise(3, "uint8", 2, 3), np.ones((16, 16, 1), np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    if format == "TIFF":
        data = tiff_of(blocks, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    elif format == "TIFF by Pillow":
        image = Image.fromarray(blocks).quantize(6)
        blocks = np.asarray(image.convert("RGB"))
        data = pillow_file(image, "TIFF", tiffinfo={274: orientation})
    else:
        options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}, "PNG": {}}[format]
        data = pillow_file(Image.fromarray(blocks), format, exif=exif, **options)

    picture = decode(data)

    expected = TURNS[orientation](blocks)
    assert picture.pixels.shape == expected.shape
    assert np.abs(picture.pixels.astype(int) - expected).max() <= (4 if format == "JPEG" else 0)
    assert picture.pixels.flags.c_contiguous
    if format != "TIFF by Pillow":
        again = decode(encode(picture, format.lower())).pixels
        assert again.shape == expected.shape
        assert np.abs(again.astype(int) - expected).max() <= (8 if format == "JPEG" else 0)


# ------------------------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize("format", ["png", "tiff", "jpeg", "webp"])
def test_text_survives(format: str) -> None:
    text = {"Scumble": json.dumps({"styles": ["ä", 1]}), "Author": "Käthe Łódź 日本 🖌", "Empty": "", "Lines": "a\nb"}
    assert decode(encode(Picture(noise(3, "uint16"), profile(), text), format)).text == text


def test_text_of_other_programs() -> None:
    rows = b"\0\x05"
    chunks = [
        (b"tEXt", b"Title\0caf\xe9"),
        (b"zTXt", b"Long\0\0" + zlib.compress(b"x" * 5000)),
        (b"iTXt", "Sprache\0\1\0de\0Schlüssel\0".encode() + zlib.compress("Grün".encode())),
        (b"iTXt", b"broken"),
        (b"zTXt", b"broken too\0\0no zlib"),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta tiff:Orientation='6'/>"),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"exif")),
    ]
    picture = decode(png_of(1, 1, 8, 0, rows, *chunks))
    assert picture.text == {"Title": "café", "Long": "x" * 5000, "Sprache": "Grün"}
    tail = png_of(1, 1, 8, 0, rows)[:-12] + png_chunk(b"tEXt", b"Late\0yes") + png_chunk(b"IEND", b"")
    assert decode(tail).text == {"Late": "yes"}
    plain = tiff_of(noise(3, "uint8"), photometric="rgb", description="by hand")
    assert decode(plain).text == {"Description": "by hand"}
    with tifffile.TiffFile(io.BytesIO(encode(decode(plain), "tiff"))) as file:
        assert file.pages.first.description == "by hand"


def test_a_compressed_text_cannot_be_a_bomb() -> None:
    bomb = zlib.compress(bytes(100_000_000), 9)
    picture = decode(png_of(1, 1, 8, 0, b"\0\x05", (b"zTXt", b"Bomb\0\0" + bomb)))
    assert picture.text == {}


def test_awkward_keywords_and_long_text_still_write() -> None:
    picture = Picture(noise(3, "uint8"), None, {" k" * 100: "a\0b", "日本": "c", "": "d"})
    with Image.open(io.BytesIO(encode(picture, "png"))) as image:
        image.load()
        assert image.text["k" + " k" * 38] == "ab"
    assert decode(encode(Picture(noise(3, "uint8"), None, {"Long": "x" * 70_000}), "jpeg")).text == {}


# ------------------------------------------------------------------------------------------------------- repainting


def painting(height: int = 19, width: int = 23) -> tuple[np.ndarray, np.ndarray]:
    """New colours, and a mix that is 0 for the upper third, in between, and 1 for the lower third."""
    rgb = np.random.default_rng(5).random((height, width, 3), dtype=np.float32)
    mix = np.random.default_rng(6).random((height, width), dtype=np.float32)
    mix[: height // 3], mix[-(height // 3) :] = 0, 1
    return rgb, mix


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("icc", [None, profile()], ids=["sRGB", "P3"])
def test_repainting_leaves_everything_else_bit_identical(depth: str, channels: int, icc: bytes | None) -> None:
    pixels = noise(channels, depth)
    pixels[:3, :, -1] = 0
    before = pixels.copy()
    rgb, mix = painting()
    rgb[mix == 0] = np.nan  # nothing of it may get through
    picture = Picture(pixels, icc, {"a": "b"})

    after = picture.repainted(rgb, mix)

    assert same(after.pixels[mix == 0], before[mix == 0])
    assert same(after.pixels[..., 3:].copy(), before[..., 3:].copy())
    assert not np.array_equal(after.pixels[mix > 0], before[mix > 0])
    assert (after.depth, after.icc, after.text) == (depth, icc, {"a": "b"})
    assert same(pixels, before)
    assert same(picture.repainted(rgb, mix * 0).pixels, before)


@pytest.mark.parametrize("depth", DEPTHS)
def test_repainting_is_proportional_to_the_mix(depth: str) -> None:
    full = 1.0 if depth == "float32" else float(np.iinfo(depth).max)
    pixels = noise(4, depth)
    rgb, mix = painting()
    for weight in (mix, np.full_like(mix, 0.5), np.ones_like(mix)):
        own = pixels[..., :3].astype(np.float64)
        truth = own + weight[..., None].astype(np.float64) * (rgb.astype(np.float64) * full - own)
        result = Picture(pixels).repainted(rgb, weight).pixels[..., :3]
        # Half a step of rounding, and what single precision leaves of a tie.
        assert np.abs(result - truth).max() <= (1e-6 if full == 1 else 0.5 + 0.01)
    out_of_range = Picture(pixels).repainted(rgb * 6 - 3, np.ones_like(mix)).pixels[..., :3]
    assert np.allclose(out_of_range / full, rgb * 6 - 3 if full == 1 else np.clip(rgb * 6 - 3, 0, 1), atol=0.003)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_picture_painted_with_its_own_colours_stays(depth: str) -> None:
    picture = Picture(np.clip(noise(3, depth), 0, None), profile())
    after = picture.repainted(picture.rgb(), np.ones((19, 23), np.float32)).pixels
    assert np.abs(after.astype(np.float64) - picture.pixels).max() <= {"uint8": 0, "uint16": 1, "float32": 1e-4}[depth]


def test_repainting_is_in_the_values_of_the_profile() -> None:
    picture = Picture(np.full((4, 4, 3), 100, np.uint8), profile(SRGB_PRIMARIES, 1.0))
    rgb = np.full((4, 4, 3), 0.5, np.float32)
    linear = ((0.5 + 0.055) / 1.055) ** 2.4  # 0.214: what sRGB's 0.5 is in a linear profile
    after = picture.repainted(rgb, np.full((4, 4), 0.5, np.float32))
    assert after.pixels.ravel().tolist() == [round(100 + 0.5 * (linear * 255 - 100))] * 48


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_gray_picture_becomes_rgb(depth: str, channels: int) -> None:
    pixels = noise(channels, depth)
    rgb, mix = painting()
    after = Picture(pixels).repainted(rgb, mix)
    assert after.pixels.shape[2] == channels + 2
    assert same(after.pixels[mix == 0][:, :3].copy(), pixels[mix == 0][:, :1].repeat(3, axis=1))
    assert same(after.pixels[..., 3:].copy(), pixels[..., 1:].copy())
    assert np.ptp(after.pixels[mix == 1][:, :3], axis=1).max() > 0

    converted = Picture(pixels, gray_profile(1.4)).repainted(rgb, mix)
    assert converted.icc is None
    full = 1.0 if depth == "float32" else float(np.iinfo(depth).max)
    truth = srgb_curve(np.clip(pixels[mix == 0][:, :1] / full, 0, None) ** 1.4)
    inside = (pixels[mix == 0][:, :1] >= 0).ravel()  # a gamma curve says nothing about negative light
    assert np.abs(converted.pixels[mix == 0][inside, :3] / full - truth[inside]).max() < 0.6 / 255


def test_shapes_that_do_not_fit_are_a_programmers_error() -> None:
    picture = Picture(noise(3, "uint8"))
    with pytest.raises(ValueError, match="painted by"):
        picture.repainted(np.zeros((19, 22, 3)), np.zeros((19, 22)))
    with pytest.raises(ValueError, match="does not fit"):
        picture.cut_out(np.zeros((1, 1)))
    for pixels in (np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="not a picture"):
            Picture(pixels)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_cut_out(depth: str, channels: int) -> None:
    pixels = np.clip(noise(channels, depth), 0, 1 if depth == "float32" else None)
    _, mix = painting()
    full = 1.0 if depth == "float32" else float(np.iinfo(depth).max)
    after = Picture(pixels).cut_out(mix)
    colours = pixels[..., :1].repeat(3, axis=2) if channels < 3 else pixels[..., :3]
    alpha = pixels[..., -1] / full if channels in (2, 4) else np.ones(mix.shape)
    assert same(after.pixels[..., :3].copy(), colours.copy())
    assert np.abs(after.pixels[..., 3] / full - alpha * mix).max() <= (1e-6 if full == 1 else 0.51 / full)
    if channels in (2, 4):
        assert same(after.pixels[mix == 1][:, 3].copy(), pixels[mix == 1][:, -1].copy())


def test_what_is_cut_out_keeps_its_profile_and_text_unless_it_is_of_gray() -> None:
    ones = np.ones((19, 23), np.float32)
    colour = Picture(noise(3, "uint8"), profile(), {"a": "b"}).cut_out(ones)
    assert (colour.icc, colour.text) == (profile(), {"a": "b"})
    gray = Picture(noise(1, "uint8"), gray_profile(1.4), {"a": "b"})
    after = gray.cut_out(ones)
    assert (after.icc, after.text) == (None, {"a": "b"})
    assert np.abs(after.rgb() - gray.rgb()).max() < 0.51 / 255


def test_as_mask() -> None:
    rgba = np.array([[[255, 255, 255, 255], [0, 0, 0, 255], [255, 0, 0, 255], [255, 255, 255, 51], [1, 1, 1, 255]]])
    assert np.allclose(Picture(rgba.astype(np.uint8)).as_mask(), [[1, 0, 1 / 3, 0.2, 1 / 255]])
    wide = Picture(np.array([[[0], [65535], [1], [40000]]], np.uint16), gray_profile(1.0))
    mask = wide.as_mask()
    assert mask.dtype == np.float32
    assert mask[0, 0] == 0
    assert mask[0, 1] == 1
    assert np.allclose(mask[0, 2:], [1 / 65535, 40000 / 65535], rtol=1e-6)
    assert Picture(np.array([[[-1.0], [2.0], [0.3]]], np.float32)).as_mask().tolist() == [[0, 1, np.float32(0.3)]]


def test_pixels_are_contiguous_whatever_is_given() -> None:
    turned = noise(4, "uint8")[:, ::-1, :3]
    picture = Picture(turned)
    assert picture.pixels.flags.c_contiguous
    assert np.array_equal(picture.pixels, turned)


def test_alpha_and_from_rgb() -> None:
    assert Picture(noise(3, "uint8")).alpha().tolist() == np.ones((19, 23)).tolist()
    pixels = noise(2, "uint16")
    assert np.allclose(Picture(pixels).alpha(), pixels[..., 1] / 65535, atol=1e-7)
    rgb = np.array([[[-0.2, 0.5, 1.2], [0.1, 0.498, 0.502]]])
    assert Picture.from_rgb(rgb).pixels.tolist() == [[[0, 128, 255], [26, 127, 128]]]
    assert Picture.from_rgb(rgb, "uint16").pixels.tolist() == [[[0, 32768, 65535], [6554, 32636, 32899]]]
    assert np.array_equal(Picture.from_rgb(rgb, "float32").pixels, rgb.astype(np.float32))


# ------------------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("suffix", FORMATS)
def test_save_and_load(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix.upper()}"
    path.write_text("what was there before")
    save(Picture(np.full((8, 9, 3), 77, np.uint8)), path)
    assert np.abs(load(str(path)).pixels.astype(int) - 77).max() <= 1
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    fresh = tmp_path / "fresh"
    fresh.write_bytes(b"")
    assert path.stat().st_mode == fresh.stat().st_mode


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.png"
    path.write_text("old")

    def write_half(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:20])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(ScumbleError, match=r"picture\.png cannot be written: No space left") as caught:
        save(Picture(noise(3, "uint8")), path)
    assert caught.value.code == "cannot-write"
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]
    assert path.read_text() == "old"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    picture = Picture(noise(3, "uint8"))
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("absent/a.png", "folder.png", "file/a.png", "a.gif", "nothing"):
        with pytest.raises(ScumbleError, match=name) as caught:
            save(picture, tmp_path / name)
        assert caught.value.code == "cannot-write"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.png"]
    wide = Picture(np.zeros((1, 70_000, 3), np.uint8))
    for wrong, format, sentence in ((picture, "gif", "'gif' is not one of"), (wide, "jpeg", "70000 × 1 pixels")):
        with pytest.raises(ScumbleError, match=sentence) as caught:
            encode(wrong, format)
        assert caught.value.code == "cannot-write"


def npy_header(descr: str, shape: str) -> bytes:
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode()


BAD = {
    "empty.png": (b"", "it is empty"),
    "text.png": (b"This is no picture.", "it is not a PNG"),
    "riff.webp": (b"RIFF\x24\0\0\0WAVEfmt ", "not a WebP"),
    "cut.png": (encode(Picture(noise(3, "uint16")), "png")[:900], "damaged or cut short"),
    "cut.jpg": (encode(Picture(noise(3, "uint8")), "jpeg")[:-300], "damaged or cut short"),
    "cut.webp": (encode(Picture(noise(3, "uint8")), "webp")[:-300], "damaged or cut short"),
    "cut.tif": (encode(Picture(noise(3, "uint8")), "tiff")[:-300], "damaged or cut short"),
    "plain-cut.tif": (tiff_of(noise(3, "uint8"), photometric="rgb")[:-300], "damaged or cut short"),
    "magic.png": (b"\x89PNG\r\n\x1a\n", "damaged or cut short"),
    "magic.jpg": (b"\xff\xd8\xff", "damaged or cut short"),
    "magic.tif": (b"II*\0", "damaged or cut short"),
    "no-size.png": (png_of(0, 4, 8, 0, b""), "it has no pixels"),
    "nan.tif": (tiff_of(np.full((4, 4), np.nan, np.float32), photometric="minisblack"), "not finite"),
    "inf.npy": (encode(Picture(np.full((4, 4, 1), np.inf, np.float32)), "npy"), "not finite"),
    "tile.tif": (
        patched(
            tiff_of(np.zeros((16, 16), np.uint8), photometric="minisblack", tile=(16, 16)),
            TileWidth=2**30,
            TileLength=2**30,
        ),
        "larger than any sensible",
    ),
    "object.npy": (npy_header("|O", "(4, 4, 3)") + bytes(400), "values are object"),
    "double.npy": (npy_header("<f8", "(4, 4, 3)") + bytes(400), "values are float64"),
    "five.npy": (npy_header("|u1", "(4, 4, 5)") + bytes(400), "shape"),
    "cut.npy": (npy_header("|u1", "(4, 4, 3)") + bytes(47), "1 bytes are missing"),
    "row.npy": (npy_header("|u1", "(4,)") + bytes(47), "shape"),
    "none.npy": (npy_header("|u1", "(4, 0, 3)"), "it has no pixels"),
    "minus.npy": (npy_header("|u1", "(-4, -4, 3)") + bytes(400), "it has no pixels"),
    "magic.npy": (b"\x93NUMPY", "damaged or cut short"),
    "code.npy": (npy_header("|u1", "__import__('os')"), "damaged or cut short"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_clear_sentence(tmp_path: Path, name: str) -> None:
    data, reason = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ScumbleError, match=reason) as caught:
        load(tmp_path / name)
    assert caught.value.code == "bad-picture"
    assert name in caught.value.detail
    assert caught.value.detail.endswith(".")
    assert "\n" not in caught.value.detail


def test_no_file_and_no_picture_file(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "absent.png", "missing-file"), (tmp_path, "bad-picture")):
        with pytest.raises(ScumbleError, match=path.name) as caught:
            load(path)
        assert caught.value.code == code
    for path in (tmp_path, os.devnull):
        with pytest.raises(ScumbleError, match="is not a file"):
            load(path)
    with pytest.raises(ScumbleError, match="too long") as caught:
        load(tmp_path / ("n" * 300 + ".png"))
    assert caught.value.code == "bad-picture"


BOMBS = {
    "bomb.png": png_of(200_000, 200_000, 8, 2, b"\0"),
    "bomb.tif": patched(
        tiff_of(np.zeros((16, 16), np.uint8), photometric="minisblack"), ImageWidth=200_000, ImageLength=200_000
    ),
    "bomb.jpg": encode(Picture(np.zeros((16, 16, 1), np.uint8)), "jpeg").replace(
        b"\xff\xc0\0\x0b\x08\0\x10\0\x10", b"\xff\xc0\0\x0b\x08\xff\xff\xff\xff"
    ),
    "bomb.npy": npy_header("|u1", "(2000000, 2000000, 3)"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: object, **options: object) -> None:
        raise AssertionError("decoded before the size was checked")

    monkeypatch.setattr(imagecodecs, "png_decode", never)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", never)
    monkeypatch.setattr(Image.Image, "load", never)
    monkeypatch.setattr(np, "frombuffer", never)
    (tmp_path / name).write_bytes(BOMBS[name])
    with pytest.raises(ScumbleError, match="300,000,000") as caught:
        load(tmp_path / name)
    assert caught.value.code == "picture-too-large"
    assert name in caught.value.detail


@pytest.mark.parametrize("format", codecs.WRITERS)
def test_the_limit_can_be_set(format: str) -> None:
    data = encode(Picture(noise(3, "uint8")), format)
    assert decode(data, max_pixels=19 * 23).size == (23, 19)
    with pytest.raises(ScumbleError, match="more than the limit of 436 pixels") as caught:
        decode(data, max_pixels=19 * 23 - 1)
    assert caught.value.code == "picture-too-large"


def test_a_picture_beyond_pillows_own_limit_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode(encode(Picture(noise(3, "uint8")), "jpeg")).size == (23, 19)


GOOD = [
    encode(Picture(noise(c, d), None, {"a": "ä"}), f) for f in codecs.WRITERS for c, d in ((3, "uint8"), (2, "uint16"))
]


@settings(max_examples=150, deadline=None)
@given(data=st.sampled_from(GOOD), where=st.floats(0, 1), junk=st.binary(max_size=6), cut=st.booleans())
def test_a_damaged_file_is_a_picture_or_a_clear_error(data: bytes, where: float, junk: bytes, cut: bool) -> None:
    at = int(where * len(data))
    damaged = data[:at] + junk + (b"" if cut else data[at + len(junk) :])
    try:
        picture = decode(damaged, name="damaged", max_pixels=100_000)
    except ScumbleError as error:
        assert error.code in ("bad-picture", "picture-too-large")
        assert "damaged" in error.detail
    else:
        assert picture.pixels.size


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_a_tall_picture_is_painted_in_strips_that_join(depth):
    rng = np.random.default_rng(3)
    full = 1 if depth == "float32" else np.iinfo(depth).max
    own = (rng.random((500, 7, 3)) * full).astype(depth)
    new, mix = rng.random((500, 7, 3)).astype(np.float32), rng.random((500, 7)).astype(np.float32)
    mix[rng.random(mix.shape) < 0.5] = 0
    mix[128:256] = 0  # a strip in which nothing is painted
    expected = own + mix[..., None].astype(np.float64) * (new.astype(np.float64) * full - own)
    painted = Picture(own).repainted(new, mix).pixels
    assert np.abs(painted - expected).max() <= (1e-6 if full == 1 else 0.51)
    assert (painted[mix == 0] == own[mix == 0]).all()
