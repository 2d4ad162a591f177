"""Files that claim, or would unpack to, far more than they hold; and some that are traps. All are small themselves."""

import io
import lzma
import pickle
import struct
import zlib
from pathlib import Path

from PIL import Image

GIGA = 10**9


def zeros(count):
    """So many zero bytes, deflated, without holding them: one packed block again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    end = rest.compress(bytes(count % 2**20)) + rest.flush()
    return b"\x78\xda" + block * (count // 2**20) + end + struct.pack(">I", count % 65_521 << 16 | 1)


# ------------------------------------------------------------------------------------------------------------------ PNG


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, *chunks, depth=8, kind=0, packed=None):
    """A PNG of zeros; `chunks` come before the pixels, `packed` in their place."""
    row = 1 + width * {0: 1, 2: 3, 6: 4}[kind] * depth // 8
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    pixels = chunk(b"IDAT", zeros(row * height) if packed is None else packed)
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def png_of_many_chunks(count):
    """A PNG with so many empty chunks."""
    return png(8, 8, chunk(b"teSt", b"") * count)


# ------------------------------------------------------------------------------------------------------------------ npy


def npy(header, data=b"", version=(1, 0)):
    """A .npy file with that text for a header."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(text)) + text + data


def npy_of(shape, descr="'|u1'", data=b""):
    """A .npy file that claims that shape and type."""
    return npy(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}", data)


class _Trap:
    """What unpickling this would do: create a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def npy_with_pickle(path):
    """An array of objects whose unpickling creates a file."""
    return npy_of((1, 1), "'|O'", pickle.dumps([[_Trap(Path(path))]]))


# ----------------------------------------------------------------------------------------------------------------- TIFF


def tiff(width, height, data=b"", *, compression=1, samples=1, bits=8, form=1, photometric=1, next_page=0, tile=None):
    """A little-endian TIFF with one strip, or one tile."""
    place = 1024
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, compression),
        (262, 3, 1, photometric),
        (277, 3, 1, samples),
        (339, 3, 1, form),
    ]
    if tile is None:
        tags += [(273, 4, 1, place), (278, 4, 1, height), (279, 4, 1, len(data))]
    else:
        tags += [(322, 4, 1, tile), (323, 4, 1, tile), (324, 4, 1, place), (325, 4, 1, len(data))]
    if samples > 1:  # the same for each sample, in a list of its own
        tags = [each for each in tags if each[0] not in (258, 339)]
        tags += [(258, 3, samples, 512), (339, 3, samples, 640)]
    tags.sort()
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    file = bytearray(b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", next_page))
    file += bytes(place - len(file))
    file[512 : 512 + 2 * samples] = struct.pack("<H", bits) * samples
    file[640 : 640 + 2 * samples] = struct.pack("<H", form) * samples
    return bytes(file) + data


def tiff_loop():
    """A TIFF whose directory is its own successor."""
    return tiff(8, 8, bytes(64), next_page=8)


def tiff_with(packed, compression, width=64, height=64):
    """A small TIFF whose only strip is a picture of another format."""
    return tiff(width, height, packed, compression=compression)


# ----------------------------------------------------------------------------------------------------------------- WebP


def webp(*pieces):
    """A WebP file of these chunks."""
    body = b"WEBP" + b"".join(map(_piece, pieces))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _piece(piece):
    kind, data = piece
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def canvas(width, height, flags=0):
    """What says how large a WebP picture is."""
    return b"VP8X", struct.pack("<I", flags) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]


def pixels_of_webp(width=8, height=8):
    """The chunk of a real small picture."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "WEBP", lossless=True)
    data = file.getvalue()
    (length,) = struct.unpack_from("<I", data, 16)
    return data[12:16], data[20 : 20 + length]


def animated(width, height):
    """A WebP animation with that canvas and one small frame."""
    frame = struct.pack("<I", 0)[:3] * 2 + struct.pack("<I", 7)[:3] * 2 + struct.pack("<I", 100)[:3] + b"\0"
    frame += _piece(pixels_of_webp())
    return webp(canvas(width, height, 2), (b"ANIM", bytes(6)), (b"ANMF", frame))


# ----------------------------------------------------------------------------------------------------------------- JPEG


def jpeg(width, height):
    """A JPEG that claims that size and holds the beginning of one."""
    file = io.BytesIO()
    Image.new("L", (16, 16)).save(file, "JPEG")
    data = bytearray(file.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def deflated_tiff(unpacked):
    """A TIFF of 64 × 64 px whose strip unpacks to so many bytes."""
    return tiff(64, 64, zeros(unpacked), compression=8)


def lzma_tiff(unpacked):
    """The same with LZMA."""
    return tiff(64, 64, lzma.compress(bytes(unpacked), preset=0), compression=34925)
