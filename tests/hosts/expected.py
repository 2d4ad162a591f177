"""What cases expect: pixels that they paint themselves, and sums; with the standard library only, inside any host."""

import struct
import zlib

from link.errors import LinkError


def same(found, wanted, *words):
    """Fail unless both are equal; of long bytes only the first difference is said."""
    if found == wanted:
        return
    if isinstance(wanted, bytes) and isinstance(found, bytes) and len(found) == len(wanted) > 40:
        at = next(at for at in range(len(wanted)) if found[at] != wanted[at])
        count = sum(a != b for a, b in zip(found, wanted, strict=True))
        found, wanted = f"{count} bytes differ, at {at} {found[at : at + 8]!r}", wanted[at : at + 8]
    raise AssertionError(f"{' '.join(map(str, words))}: {found!r}, not {wanted!r}")


def near(found, wanted, tolerance, *words):
    """Fail unless all numbers are that close."""
    if len(found) != len(wanted) or any(abs(a - b) > tolerance for a, b in zip(found, wanted, strict=True)):
        raise AssertionError(f"{' '.join(map(str, words))}: {list(found)}, not {list(wanted)} within {tolerance}")


def refused(code, action):
    """Fail unless the action is refused so, with a sentence for the user."""
    try:
        action()
    except LinkError as error:
        same(error.code, code, "the error")
        same(bool(error.detail), True, "there is a sentence")
    else:
        raise AssertionError(f"no error, not {code}")


def picture(box, seed=0):
    """Opaque pixels of all kinds; each place has its own."""
    rows = bytearray()
    for y in range(box.height):
        for x in range(box.width):
            rows += bytes(
                ((37 * x + 11 * y + seed) % 256, (5 * x + 91 * y + 3 * seed) % 256, (x * y + seed) % 256, 255)
            )
    return bytes(rows)


def veiled(box, seed=0):
    """The same with every alpha from none to all; opaque at the corners, so that nothing of it is off the edges."""
    data = bytearray(picture(box, seed))
    data[3::4] = bytes(7 * at % 256 for at in range(box.width * box.height))
    for at in (0, box.width - 1, box.width * (box.height - 1), box.width * box.height - 1):
        data[4 * at + 3] = 255
    return bytes(data)


def plain(box, color):
    """One colour everywhere."""
    return bytes(color) * (box.width * box.height)


def slope(box):
    """A mask: nothing in the left third, all in the right third, and every second row of the middle at 128."""
    rows = bytearray()
    for y in range(box.height):
        rows += bytes(
            0 if 3 * x < box.width else 255 if 3 * x >= 2 * box.width or y % 2 else 128 for x in range(box.width)
        )
    return bytes(rows)


def cut(data, has, box):
    """Of pixels that fill one rectangle, those in a box; zeros where there are none."""
    size = len(data) // (has.width * has.height)
    shared = has.intersected(box)
    rows = bytearray(box.width * box.height * size)
    for y in range(shared.y, shared.bottom):
        begin = ((y - has.y) * has.width + shared.x - has.x) * size
        at = ((y - box.y) * box.width + shared.x - box.x) * size
        rows[at : at + shared.width * size] = data[begin : begin + shared.width * size]
    return bytes(rows)


def masked(pixels, mask):
    """Opaque pixels as a mask leaves them."""
    rows = bytearray(pixels)
    rows[3::4] = mask
    return bytes(rows)


def seen(pixels):
    """Pixels whose colours count nothing where alpha is 0."""
    return b"".join(pixels[at : at + 4] if pixels[at + 3] else b"\0\0\0\0" for at in range(0, len(pixels), 4))


def rgba(plane):
    """The bytes of a plane of 8 bits, as RGBA."""
    same([plane.channels, plane.depth], [4, 1], "a document of 8 bits gives planes of 8 bits")
    data = bytearray(plane.data)
    if plane.is_bgr:
        data[0::4], data[2::4] = data[2::4], data[0::4]
    return bytes(data)


def gray(plane):
    """The bytes of a mask of 8 bits."""
    same([plane.channels, plane.depth], [1, 1], "a mask has one channel of 8 bits")
    return bytes(plane.data)


def linear(value):
    """sRGB's decoding, IEC 61966-2-1, of 0 to 255."""
    value /= 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def encoded(light):
    """sRGB's encoding, to 0 to 255."""
    return 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def over(rig, above, below, alpha):
    """A colour over an opaque one, at an alpha from 0 to 255."""
    share = alpha / 255
    if rig.mixes_linear_light:
        mixed = [encoded(share * linear(a) + (1 - share) * linear(b)) for a, b in zip(above, below, strict=True)]
    else:
        mixed = [share * a + (1 - share) * b for a, b in zip(above, below, strict=True)]
    return [*mixed[:3], 255]


def pixel(data, box, x, y):
    """The pixel at a place of the document, of pixels that fill a box."""
    at = 4 * ((y - box.y) * box.width + x - box.x)
    return list(data[at : at + 4])


def unpacked(data):
    """Width, height and RGBA of a PNG of 8 bits with or without alpha, by its specification."""
    same(data[:8], b"\x89PNG\r\n\x1a\n", "a PNG's signature")
    at, packed, head = 8, b"", None
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        chunk = data[at + 8 : at + 8 + length]
        same(
            struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0], zlib.crc32(kind + chunk), kind, "its sum"
        )
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", chunk)
        packed += chunk if kind == b"IDAT" else b""
        at += 12 + length
    width, height, depth, color, _, _, interlaced = head
    same((depth, color in (2, 6), interlaced), (8, True, 0), "a PNG in RGB of 8 bits")
    step = 4 if color == 6 else 3
    raw, before, out = zlib.decompress(packed), bytearray(width * step), bytearray()
    for y in range(height):
        begin = y * (width * step + 1)
        row = _unfiltered(raw[begin], bytearray(raw[begin + 1 : begin + 1 + width * step]), before, step)
        for x in range(width):
            out += row[x * step : (x + 1) * step] + (b"" if step == 4 else b"\xff")
        before = row
    return width, height, bytes(out)


def _unfiltered(kind, row, above, step):
    for at in range(len(row)):
        left, up, corner = (row[at - step] if at >= step else 0), above[at], (above[at - step] if at >= step else 0)
        guess = left + up - corner
        nearest = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
        row[at] = (row[at] + (0, left, up, (left + up) // 2, nearest)[kind]) % 256
    return row
