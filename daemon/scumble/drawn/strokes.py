"""Brush strokes: thousands of them, laid on a canvas along a flow, and lit.

A *canvas* carries paint (colour) and *body* (how thick the paint stands). A *brush* says how a stroke looks: how far it
covers, how its bristles streak the colour and how they furrow the paint. A *flow* is a field of angles, in radians,
clockwise from the right as the picture is seen: strokes follow it. A *layer* is a set of strokes laid in their order,
each over the ones before.
"""

from dataclasses import dataclass, field

import numpy as np

from scumble.drawn.tools import Array, Frame, Rng, bell, grain, slope, smoothstep

_KINDS = 12  # different imprints of one brush in a layer
_SPACING = 0.8  # of a pixel between the points of a stroke: close enough to leave no holes
_BATCHES = 8  # edges of strokes blend with what earlier batches laid


@dataclass
class Canvas:
    """What has been painted so far: `paint` (h, w, 3) in 0..1 and `body` (h, w)."""

    frame: Frame
    paint: Array
    body: Array = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.frame.height, self.frame.width)
        self.paint = np.array(np.broadcast_to(self.paint, (*shape, 3)), np.float32)
        self.body = np.zeros(shape, np.float32)


@dataclass(frozen=True)
class Brush:
    """How a stroke looks; `length` and `width` in sides."""

    length: float
    width: float
    bristles: float = 9.0  # furrows across the stroke
    dry: float = 0.0  # 0 covers fully; towards 1 the paint breaks up along the stroke
    point: float = 0.0  # 0 keeps its width; 1 runs out to a point at both ends
    load: float = 1.0  # how thick the paint stands
    opacity: float = 1.0
    streak: float = 1.0  # how strongly the bristles vary the colour
    vary: float = 0.28  # how differently long and wide the strokes are


@dataclass(frozen=True)
class Layer:
    """Strokes to lay: their middles `u`, `v` (n,), their colours (n, 3), and a size for each (n,)."""

    u: Array
    v: Array
    colours: Array
    sizes: Array


@dataclass(frozen=True)
class _Imprint:
    """One brush worked out in points: each (kinds, along, across), but `taper` (along,)."""

    cover: Array
    streak: Array
    ridge: Array
    taper: Array


def scatter(rng: Rng, count: int) -> tuple[Array, Array]:
    """About `count` points (u, v), evenly spread a little beyond the frame, in random order."""
    columns = max(1, round(count**0.5))
    cells = rng.permutation(columns * columns)
    jitter = rng.random((2, len(cells)))
    across = ((cells % columns + jitter[0]) / columns) * 1.08 - 0.04
    down = ((cells // columns + jitter[1]) / columns) * 1.08 - 0.04
    return across.astype(np.float32), down.astype(np.float32)


def strokes_for(brush: Brush, coverage: float) -> int:
    """How many strokes cover the frame `coverage` times over."""
    return max(4, round(coverage * 1.17 / (brush.length * brush.width)))


def pick(values: Array, u: Array, v: Array) -> Array:
    """What a field or picture holds at the points (u, v): (n,) or (n, channels)."""
    height, width = values.shape[:2]
    rows = np.clip((v * height).astype(np.int32), 0, height - 1)
    columns = np.clip((u * width).astype(np.int32), 0, width - 1)
    picked: Array = values[rows, columns]
    return picked


def layer(
    rng: Rng, picture: Array, brush: Brush, coverage: float, where: Array | None = None, jitter: float = 0.05
) -> Layer:
    """Strokes that take their colours from `picture`, spread evenly, kept with the chance `where` (a field) gives."""
    u, v = scatter(rng, strokes_for(brush, coverage))
    luck, sizes = rng.random(len(u)), rng.standard_normal(len(u))
    shift = rng.standard_normal((len(u), 4))
    colours = pick(picture, u, v) + jitter * (shift[:, :3] * 0.6 + shift[:, 3:])
    kept = np.ones(len(u), bool) if where is None else luck < pick(where, u, v)
    scale = np.exp(np.clip(sizes, -2, 2) * brush.vary)
    return Layer(u[kept], v[kept], colours[kept].astype(np.float32), scale[kept].astype(np.float32))


def lay(canvas: Canvas, rng: Rng, brush: Brush, flow: Array, strokes: Layer) -> None:
    """Lay the strokes on the canvas along the flow."""
    frame, side = canvas.frame, canvas.frame.side
    rng = rng.spawn(1)[0]  # how much an imprint draws depends on the size of the picture; the rest must not
    largest = float(strokes.sizes.max(initial=0.1))
    along = max(3, int(np.ceil(brush.length * largest * side / _SPACING)))
    across = max(2, int(np.ceil(brush.width * largest * side / _SPACING)))
    imprint = _imprint(rng, brush, along, across, frame.side * brush.width)
    kinds = rng.integers(0, _KINDS, len(strokes.u))
    batch = max(1, min(-(-len(strokes.u) // _BATCHES), 4_000_000 // (along * across)))
    for start in range(0, len(strokes.u), batch):
        part = slice(start, start + batch)
        rows, columns = _points(frame, brush, flow, strokes, part, imprint)
        _press(canvas, brush, imprint, strokes.colours[part], kinds[part], rows, columns)


def light(canvas: Canvas, depth: float = 0.0022, angle: float = -2.3, shine: float = 0.12) -> Array:
    """The painted picture (h, w, 3) in 0..1, with light falling over its body from `angle`."""
    across, down = slope(canvas.frame, canvas.body)
    tilt = np.float32(depth) * (across * np.float32(np.cos(angle)) + down * np.float32(np.sin(angle)))
    shade = np.tanh(-tilt)
    lit = canvas.paint * (1 + 0.55 * shade)[..., None] + (shine * np.clip(shade, 0, 1) ** 2)[..., None]
    return np.clip(lit, 0, 1).astype(np.float32)


def _imprint(rng: Rng, brush: Brush, along: int, across: int, pixels: float) -> _Imprint:
    """The brush pressed `_KINDS` times, in `along` × `across` points; a stroke is about `pixels` wide."""
    bristles = min(brush.bristles, across / 2)
    long = np.stack([grain(rng, (along, across), (3.0, bristles)) for _ in range(_KINDS)])
    ragged = np.stack([grain(rng, (2, across), (1.0, bristles)) for _ in range(_KINDS)])
    s = np.linspace(0, 1, along, dtype=np.float32)[None, :, None]
    t = np.abs(np.linspace(-1, 1, across, dtype=np.float32))[None, None, :]
    end = 0.07 * (1 - brush.point)
    rounding = end * 1.6 * t**2
    start_gap = s - end * np.clip(0.4 + 0.5 * ragged[:, :1], 0, 2) - rounding
    end_gap = 1 - s - end * np.clip(0.8 + 0.9 * ragged[:, 1:], 0, 3) - rounding
    cover = smoothstep(0, 0.02, start_gap) * smoothstep(0, 0.03, end_gap)
    cover = cover * smoothstep(0, max(0.08, 2.2 / max(pixels, 1.0)), 1.02 - t)
    if brush.dry:
        cover = cover * smoothstep(-0.4, 0.5, long + 2.2 * (1 - brush.dry) - 2.6 * s * brush.dry)
    ridge = 0.7 + 0.3 * long + 0.45 * bell(t - 0.8, 0.16) + 0.5 * bell(s - 0.93, 0.05)
    taper = (1 - brush.point) + brush.point * np.sin(np.pi * np.clip(s[0, :, 0], 0.02, 0.98)) ** 0.8
    return _Imprint(cover, long, ridge, taper.astype(np.float32))


def _paths(frame: Frame, flow: Array, u: Array, v: Array, steps: Array, along: int) -> tuple[Array, Array, Array]:
    """Rows, columns and angles (n, along) of strokes whose middles are (u, v): they follow the flow both ways."""
    rows, columns, angles = (np.empty((along, len(u)), np.float32) for _ in range(3))
    middle = along // 2
    for indices, sign in ((range(middle, along), 1.0), (range(middle - 1, -1, -1), -1.0)):
        r, c = v * np.float32(frame.height), u * np.float32(frame.width)
        for k in indices:
            at = flow[np.clip(r, 0, frame.height - 1).astype(np.int32), np.clip(c, 0, frame.width - 1).astype(np.int32)]
            if sign < 0:
                r, c = r - steps * np.sin(at), c - steps * np.cos(at)
            rows[k], columns[k], angles[k] = r, c, at
            if sign > 0:
                r, c = r + steps * np.sin(at), c + steps * np.cos(at)
    return rows.T, columns.T, angles.T


def _points(
    frame: Frame, brush: Brush, flow: Array, strokes: Layer, part: slice, imprint: _Imprint
) -> tuple[Array, Array]:
    """Where the points of some strokes fall: rows and columns (n, along, across)."""
    along, across = imprint.cover.shape[1:]
    pixels = strokes.sizes[part] * np.float32(frame.side)
    rows, columns, angles = _paths(
        frame, flow, strokes.u[part], strokes.v[part], pixels * np.float32(brush.length / along), along
    )
    half = (pixels[:, None] * np.float32(brush.width / 2) * imprint.taper)[..., None]
    offset = half * np.linspace(-1, 1, across, dtype=np.float32)
    return rows[..., None] + np.cos(angles)[..., None] * offset, columns[..., None] - np.sin(angles)[..., None] * offset


def _press(
    canvas: Canvas, brush: Brush, imprint: _Imprint, colours: Array, kinds: np.ndarray, rows: Array, columns: Array
) -> None:
    """Put one batch of strokes on the canvas: at each pixel the last stroke that covers it wins."""
    height, width = canvas.body.shape
    covered = imprint.cover[kinds] > 0.06
    inside = covered & (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    points = np.flatnonzero(inside)
    pixels = rows.reshape(-1)[points].astype(np.int32) * width + columns.reshape(-1)[points].astype(np.int32)
    winner = np.full(height * width, -1, np.int64)
    winner[pixels] = points
    touched = np.flatnonzero(winner >= 0)
    stroke, place = np.divmod(winner[touched], imprint.cover[0].size)
    at = kinds[stroke] * imprint.cover[0].size + place
    alpha = imprint.cover.reshape(-1)[at] * np.float32(brush.opacity)
    streak = imprint.streak.reshape(-1)[at, None] * np.float32(0.05 * brush.streak)
    paint, body = canvas.paint.reshape(-1, 3), canvas.body.reshape(-1)
    fresh = colours[stroke] * (1 + 1.6 * streak) + 0.4 * streak
    paint[touched] += (fresh - paint[touched]) * alpha[:, None]
    ridge = imprint.ridge.reshape(-1)[at] * np.float32(brush.load)
    body[touched] += (0.4 * body[touched] + ridge - body[touched]) * alpha
