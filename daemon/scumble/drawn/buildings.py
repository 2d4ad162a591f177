"""The lighthouse, its keeper's cottage and the pines beside it, in metres, upright at one distance."""

import numpy as np

from scumble.drawn.terrain import EYE, FOCAL, HORIZON, rough
from scumble.drawn.tools import Array, Frame, bell, box, colour, decode, mix, ramp, smoothstep

_Z = 124.0  # how far away it stands
_X = 19.0  # where the middle of the tower stands
_FOOT = 7.3  # the height of the ground there
_PINES = (
    (18.5, 12.0, 2.6),
    (26.5, 10.5, 2.7),
    (22.3, 15.5, 3.1),
    (15.8, 8.0, 2.0),
    (30.5, 13.5, 2.9),
    (-6.8, 6.0, 1.6),
)
_WHITE, _RED, _ROOF = "#f2ebe0", "#b5402f", "#8a4a38"


class _Sheet:
    """Shapes drawn one over the other: `light` (h, w, 3) and how much of each pixel is `inside` them (h, w)."""

    def __init__(self, x: Array, up: Array, blur: float) -> None:
        self.x, self.up = np.broadcast_arrays(x, up)
        self.blur = blur
        self.light = np.zeros((*self.x.shape, 3), np.float32)
        self.inside = np.zeros(self.x.shape, np.float32)

    def add(self, distance: Array, light: Array, strength: float = 1.0) -> None:
        """A shape by its signed distance in metres."""
        share = smoothstep(self.blur, -self.blur, distance) * np.float32(strength)
        self.light = mix(self.light, light, share)
        self.inside = self.inside + (1 - self.inside) * share

    def add_box(self, x: float, up: float, half_width: float, half_height: float, light: Array) -> None:
        self.add(box(self.x - np.float32(x), self.up - np.float32(up), half_width, half_height), light)


def lighthouse(frame: Frame, ground: Array, mirror: bool) -> tuple[Array, Array]:
    """Its light (h, w, 3), linear, and its mask (h, w): upright, or upside down as still water mirrors it."""
    up = np.float32(EYE) + (np.float32(HORIZON) - frame.v) * np.float32(_Z / FOCAL)
    up = (-up if mirror else up) - np.float32(_FOOT)
    x = (frame.u - 0.5) * np.float32(frame.width / frame.height / FOCAL * _Z) - np.float32(_X)
    rows, columns = _within(up[:, 0], -3, 28), _within(x[0], -10, 35)
    sheet = _Sheet(x[:, columns], up[rows], 0.7 * _Z / FOCAL / frame.height)
    for part in (_pines, _cottage, _tower):
        part(sheet, ground)
    light, inside = (
        np.zeros((frame.height, frame.width, 3), np.float32),
        np.zeros((frame.height, frame.width), np.float32),
    )
    light[rows, columns], inside[rows, columns] = sheet.light, sheet.inside
    return light, inside


def _within(metres: Array, low: float, high: float) -> slice:
    """Where a run of coordinates lies between two values: only there something has to be drawn."""
    found = np.flatnonzero((metres > low) & (metres < high))
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def _paint(code: str, shade: Array | float) -> Array:
    """A wall's light: warm where the sun reaches it (shade 1), blue where only the sky does (0)."""
    lamp = mix(decode(colour("#8fa6cc")) * 0.55, decode(colour("#ffe2b4")) * 1.25, shade)
    return decode(colour(code)) * lamp


def _tower(sheet: _Sheet, ground: Array) -> None:
    """A round tower with red bands, a gallery, a lantern and its cap."""
    x, up = sheet.x, sheet.up
    radius = 2.7 - 0.045 * np.clip(up, 0, 22)
    turn = np.clip(x / radius, -1, 1)
    plaster = 0.05 * rough(ground, x * 2, up, 3.0, 4)
    shade = np.clip(smoothstep(0.75, -0.75, turn) - 0.25 * bell(turn + 1, 0.2) + plaster, 0, 1)
    band = smoothstep(0.1, -0.1, np.abs(np.abs(up - 12.2) - 4.3) - 1.7)
    wall = mix(_paint(_WHITE, shade), _paint(_RED, shade), band)
    sheet.add(np.maximum(np.abs(x) - radius, np.abs(up - 9.5) - 10.5), wall)
    for height in (4.2, 10.2, 16.4):
        sheet.add_box(0.3, height, 0.34, 0.62, _paint("#2a2f3a", 0.3))
    sheet.add_box(0, 20.2, 2.7, 0.32, _paint("#4a4648", smoothstep(2, -2, x)))
    for post in np.linspace(-2.5, 2.5, 9):
        sheet.add_box(float(post), 21.0, 0.05, 0.55, _paint("#3a3a40", 0.4))
    sheet.add_box(0, 21.55, 2.6, 0.07, _paint("#3a3a40", 0.6))
    sheet.add_box(0, 22.0, 1.25, 1.5, mix(_paint("#3c4a58", 0.5), decode(colour("#ffe6b0")) * 1.5, bell(x + 0.4, 0.8)))
    for bar in (-1.2, -0.45, 0.45, 1.2):
        sheet.add_box(bar, 22.0, 0.07, 1.5, _paint("#33343a", 0.4))
    cap = np.maximum(np.abs(x) - 0.85 * np.clip(25.8 - up, 0, 2.3) - 0.02, np.abs(up - 24.6) - 1.2)
    sheet.add(cap, _paint(_RED, smoothstep(1.0, -1.0, x)))
    sheet.add_box(0, 26.2, 0.06, 0.8, _paint("#33343a", 0.4))


def _cottage(sheet: _Sheet, ground: Array) -> None:
    """A cottage on the right of the tower: gable to the sun, long wall in half-shade, lit windows."""
    x, up = sheet.x, sheet.up
    plaster = 0.06 * rough(ground, x, up, 2.0, 4)
    tiles = 0.12 * np.sin(up * 11) + 0.10 * rough(ground, x * 3, up * 3, 2.0, 3)
    sheet.add_box(12.4, 7.6, 0.55, 1.6, _paint("#8a5a48", smoothstep(12.9, 11.9, x)))
    sheet.add_box(10.2, 1.6, 5.2, 2.6, _paint(_WHITE, 0.42 + plaster))
    gable = np.maximum(np.abs(x - 5.0) - 2.2, up - 4.3 - 1.15 * (2.2 - np.abs(x - 5.0)))
    sheet.add(np.maximum(gable, -1.2 - up), _paint(_WHITE, 0.95 + plaster))
    roof = np.maximum(np.maximum(4.1 - up, up - 6.85), x - 15.9 + 0.15 * (up - 4.1))
    overhang = np.maximum(roof, (7.2 - x) - 0.87 * (up - 4.0))
    sheet.add(overhang, _paint(_ROOF, np.clip(0.62 + tiles, 0, 1)))
    for at in (8.9, 11.2, 13.5):
        sheet.add_box(at, 2.2, 0.72, 0.98, _paint("#6a4a3c", 0.5))
        sheet.add_box(
            at, 2.2, 0.56, 0.82, decode(colour("#ffc766")) * (0.8 + 0.5 * smoothstep(3.2, 1.6, up)[..., None])
        )
    sheet.add_box(5.0, 1.0, 0.62, 1.6, _paint("#3f5f6a", 0.7))
    sheet.add_box(5.0, 4.6, 0.40, 0.55, _paint("#39414e", 0.4))


def _pines(sheet: _Sheet, ground: Array) -> None:
    """Dark pines behind the cottage, lit from the left."""
    x, up = sheet.x, sheet.up
    ragged = rough(ground, x, up, 1.3, 4)
    for at, tall, wide in _PINES:
        side, rise = x - at, np.clip(up / tall, 0, 1)
        tier = (rise * tall / 1.5 + 0.25 * np.sin(3 * at + side)) % 1
        reach = wide * (1 - rise) ** 0.9 * (1 - 0.42 * tier) * smoothstep(0.02, 0.10, rise) + 0.14
        cone = np.maximum(np.abs(side) - reach + 0.16 * ragged * (1 - rise), np.maximum(-1.5 - up, up - tall))
        sun = np.clip(0.40 - 0.30 * side / wide - 0.25 * tier + 0.13 * ragged, 0, 1)
        sheet.add(cone, decode(ramp("#0c1710 #1c3020 #45562a #93904a", sun)))
