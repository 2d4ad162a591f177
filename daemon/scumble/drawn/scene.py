"""A lighthouse on a lake in the late afternoon: the photograph-like picture that `scumble demo` repaints.

Everything is computed in linear light and encoded at the end. The sun stands low on the left.
"""

from dataclasses import dataclass

import numpy as np

from scumble.drawn import buildings
from scumble.drawn.strokes import Brush, Canvas, lay, layer
from scumble.drawn.terrain import (
    EYE,
    FOCAL,
    HORIZON,
    Survey,
    look_up,
    mirrored,
    normals,
    rays,
    ridged,
    rough,
    tile,
    visible,
)
from scumble.drawn.tools import (
    Array,
    Frame,
    Picture,
    Rng,
    bell,
    blur,
    colour,
    decode,
    encode,
    fractal,
    mix,
    noise,
    ramp,
    sample,
    smoothstep,
)

_SUN = (0.17, 0.43)
_TO_SUN = (-0.80, 0.42, 0.10)  # right, up, away


@dataclass(frozen=True)
class Scene:
    """A picture and what is where in it.

    `rgb` is (h, w, 3) float32, sRGB-encoded in 0..1. `masks` are (h, w) float32 in 0..1 with soft edges: "sky", "water"
    and "land" sum to one; "lighthouse" (the tower and its cottage) is a part of "land".
    """

    rgb: Picture
    masks: dict[str, Picture]


def scene(width: int = 640, height: int = 448, seed: int = 0) -> Scene:
    """The scene at a size of 32 to 2048 pixels a side; the same seed gives the same picture."""
    frame, rng = Frame(width, height), np.random.default_rng(seed)
    ground = tile(rng)
    sky = _sky(frame, ground)
    survey = _survey(frame, ground)
    haze = _haze(frame)
    light = _daylight(survey, ground, haze)
    step, solid = visible(survey, height)
    whole = np.ceil(step).astype(np.int32)  # a half-way step to the water behind a tree is still tree
    land = look_up(survey.land, whole)
    picture = mix(_water(frame, rng, ground, survey, light, sky), look_up(light, step), land)
    picture = mix(sky, picture, solid)
    built, inside = buildings.lighthouse(frame, ground, mirror=False)
    picture = mix(picture, built, inside)
    picture = _glow(frame, picture)
    near = land * look_up((survey.z < 60) * np.ones_like(survey.height), whole)
    rgb, blades = _grass(frame, rng, encode(_expose(picture)), near)
    water = solid * (1 - land) * (1 - inside) * (1 - blades)
    air = (1 - solid) * (1 - inside) * (1 - blades)
    masks = {"sky": air, "water": water, "land": 1 - air - water, "lighthouse": inside * (1 - blades)}
    clean = {name: np.asarray(np.clip(mask, 0, 1), np.float32) for name, mask in masks.items()}
    return Scene(_develop(frame, rng, rgb), clean)


# ---- air


def _haze(frame: Frame) -> Array:
    """The colour (1, width, 3) that the distance fades to: golden under the sun, blue away from it."""
    return decode(ramp("#f6d3a0 #e6c6a6 #b9bcc6 #9fb2cc", np.abs(frame.u - _SUN[0]) * 1.25))


def _sky(frame: Frame, ground: Array) -> Array:
    """The sky (h, w, 3): deep above, hazy below, golden around the sun, with two decks of clouds."""
    air = frame.v[: int(HORIZON * frame.height) + 2]
    up = np.clip((HORIZON - air) / HORIZON, 0, 1) + 0 * frame.u
    clear = decode(ramp("#e9d6bd #cdd6dc #9dbfdc #6f9fcc #4a80b8 #3b6ea8", up**0.8))
    sun = frame.distance(*_SUN)[: len(air)]
    gold = 0.85 * bell(sun, 0.34) * (1 - 0.4 * up)
    clear = mix(clear, decode(colour("#ffcf8a")), np.clip(gold, 0, 1)) + (0.7 * bell(sun, 0.13))[..., None] * decode(
        colour("#ffdca0")
    )
    wisps = _deck(frame.u, air, ground, 9.0, 0.0, 4.0, 0.62)[0]
    clear = mix(clear, decode(colour("#fbeedd")), 0.5 * smoothstep(0.1, 1.7, wisps))
    thick, lit = _deck(frame.u, air, ground, 2.6, 11.0, 1.6, 0.55)
    cover = smoothstep(0.15, 0.95, thick - 0.25 + 0.5 * smoothstep(0.1, 0.5, up) - 0.9 * smoothstep(0.55, 1.0, up))
    warm = np.clip(0.55 * bell(sun, 0.5) + 0.25 * (1 - up), 0, 1)
    bright = mix(decode(colour("#fffaf2")), decode(colour("#ffdca8")), warm)
    shade = mix(decode(colour("#8d98b0")), decode(colour("#b89a94")), warm)
    clouds = mix(shade, bright, np.clip(0.62 + 0.55 * lit - 0.22 * np.clip(thick - 0.8, 0, 2), 0, 1))
    sky = mix(clear, clouds, 0.92 * cover * smoothstep(0.02, 0.16, up))
    return np.pad(sky, ((0, frame.height - len(air)), (0, 0), (0, 0)), mode="edge")


def _deck(
    u: Array, v: Array, ground: Array, size: float, shift: float, stretch: float, gain: float
) -> tuple[Array, Array]:
    """A flat deck of clouds in perspective: how thick it is, and how much of its sun-side each point shows."""
    far = 1 / (np.clip(HORIZON - v, 0, 1) + 0.10)
    x, z = (u - 0.5) * 1.4 * far * 10 / stretch + shift, far * 10 * np.ones_like(u)
    thick = rough(ground, x, z, size, 7, gain)
    toward = rough(ground, x - 0.10 * size, z + 0.05 * size, size, 5, gain)
    return thick, thick - toward


# ---- ground


def _survey(frame: Frame, ground: Array) -> Survey:
    """Mountains behind the lake, a wooded far shore, a rocky headland on the right and a bank on the near left."""
    z, bearing = rays(frame.width, frame.height)
    x = bearing * z
    height = np.full(x.shape, -4.0, np.float32)
    far, middle = z[:, 0] > 500, z[:, 0] < 500
    height[far] = _far_shore(ground, x[far], z[far], bearing)
    height[middle] = np.maximum(_headland(ground, x[middle], z[middle]), _bank(ground, x[middle], z[middle]))
    return Survey(z, bearing, height)


def _far_shore(ground: Array, x: Array, z: Array, bearing: Array) -> Array:
    """Mountains with a gap under the sun, and wooded foothills down to the water."""
    gap = 0.30 + 0.70 * smoothstep(0.02, 0.30, np.abs(bearing + 0.24))
    peaks = 1.0 + 0.45 * bell(bearing - 0.06, 0.12) - 0.2 * smoothstep(0.2, 0.5, bearing)
    relief = ridged(ground, x + 900, z, 2300, 6)
    massif = 300 * bell(bearing + 0.03, 0.11) * smoothstep(2600, 5200, z)
    mountains = 600 * relief * gap * peaks * smoothstep(1700, 5200, z) + massif
    hills = 75 * smoothstep(900, 1900, z) * (1.0 + 0.5 * rough(ground, x, z, 700, 4))
    shore = 8 * smoothstep(-1, 1, (z - 900 + 130 * rough(ground, x, z, 420, 3) + 260 * bearing) / 60) * 2 - 8
    wooded = smoothstep(0, 6, shore) * smoothstep(3600, 1500, z)
    crowns = 9 + 8 * np.abs(rough(ground, x * 1.6, z * 0.5, 16, 2)) + 4 * rough(ground, x, z, 60, 2)
    return np.minimum(shore, 12) + np.where(shore > 0, mountains + np.maximum(hills, 0) + wooded * crowns, 0)


def _headland(ground: Array, x: Array, z: Array) -> Array:
    """A low rocky headland that comes in from the right."""
    dx = np.minimum(x - 27, 0) / 25
    inside = 1 - np.hypot(dx, (z - 128) / (20 + 0.25 * np.clip(x - 27, 0, 60)))
    rocks = ridged(ground, x, z, 9, 5) - 0.5
    return (
        9.5 * np.tanh(1.6 * inside) - 0.6 + 2.4 * rocks * smoothstep(1.0, 0.1, inside) + 0.4 * rough(ground, x, z, 5, 4)
    )


def _bank(ground: Array, x: Array, z: Array) -> Array:
    """The near bank, bottom left, with boulders at its edge."""
    inside = (-4.5 - x - 0.5 * np.abs(z - 16) + 1.3 * rough(ground, x, z, 8, 3)) / 5
    boulders = np.clip(rough(ground, x + 55, z, 2.6, 2) - 0.55, 0, 1.2) * bell(inside - 0.05, 0.42)
    soil = 1.3 * np.tanh(inside) + 0.05 * rough(ground, x, z, 0.8, 4)
    return np.asarray(soil + 0.9 * boulders)


def _daylight(survey: Survey, ground: Array, haze: Array) -> Array:
    """The light (depth, columns, 3) that the ground sends to the camera through the haze."""
    right, up, away = normals(survey)
    sun = np.clip(right * _TO_SUN[0] + up * _TO_SUN[1] + away * _TO_SUN[2], 0, 1)
    direct = sun[..., None] * decode(colour("#ffd9a0")) * 2.9
    ambient = (0.35 + 0.35 * up)[..., None] * decode(colour("#9db8dc")) * 0.6
    near = _stuff(survey, ground, up) * (direct + ambient)
    clarity = np.exp(-np.clip(survey.z - 150, 0, None) / 9000)
    return mix(haze * 0.92, near, clarity + 0 * survey.height)


def _stuff(survey: Survey, ground: Array, up: Array) -> Array:
    """What the ground is made of, as a reflectance (depth, columns, 3): rock, snow, woods and grass."""
    x, z, height = survey.x, survey.z, survey.height
    patch = rough(ground, x / (0.02 * z), np.log(z) * 18 + height / (0.016 * z), 3.0, 5, 0.7)
    rock = decode(ramp("#5d564e #8a8074 #a89c8c", 0.5 + 0.2 * patch))
    grass = decode(ramp("#3c4a1e #66752e #95924a", 0.5 + 0.25 * patch))
    woods = decode(ramp("#1d2c1c #2f4424 #4a5a2c", 0.45 + 0.22 * patch))
    far = smoothstep(500, 640, z) + 0 * height
    meadow = smoothstep(0.62, 0.9, up + 0.08 * patch) * smoothstep(0.35, 1.1, height + 0.2 * patch)
    close = mix(rock * 0.9, grass, meadow)
    alpine = mix(rock, decode(colour("#5f6e42")), smoothstep(900, 350, height + 120 * patch))
    distant = mix(alpine, woods, smoothstep(420, 240, height + 60 * patch))
    snow = smoothstep(540, 680, height + 130 * patch) * smoothstep(0.50, 0.66, up + 0.10 * patch)
    distant = mix(distant, np.full(3, 0.9, np.float32), snow)
    wet = 0.45 + 0.55 * smoothstep(0.0, 0.5, height)
    return mix(close, distant, far) * wet[..., None]


# ---- water


def _water(frame: Frame, rng: Rng, ground: Array, survey: Survey, light: Array, sky: Array) -> Array:
    """The lake (h, w, 3; meaningful below the horizon): rippled mirror images over green depth, with glitter."""
    still = _mirror_image(frame, ground, survey, light, sky)
    down = np.clip(frame.v - HORIZON, 0.25 * frame.pixel, 1)
    z = np.float32(FOCAL * EYE) / down
    x = (frame.u - 0.5) * np.float32(frame.width / frame.height / FOCAL) * z
    calm = smoothstep(-0.6, 1.2, rough(ground, x * 0.25, z, 60, 3))
    swell = rough(ground, x * 0.35, z, 2.6, 4, 0.6) * smoothstep(700, 40, z) * (1 - 0.5 * calm)
    tilt = swell * np.clip(0.012 + 0.055 * down, 0, 0.04)
    rows = np.arange(frame.height, dtype=np.float32)[:, None] + tilt * frame.height * 1.6
    columns = np.arange(frame.width, dtype=np.float32)[None, :] + 0.25 * tilt * frame.width
    seen = sample(still, np.maximum(rows, HORIZON * frame.height), columns)
    grazing = np.clip(0.93 - 0.95 * down + 0.9 * tilt * 6, 0.12, 1) + 0 * x
    depth = decode(ramp("#2c5a60 #16424c #0f333c", down / 0.44 + 0 * x))
    water = mix(depth, seen, grazing)
    path = bell((frame.u - _SUN[0]) / (0.06 + 0.25 * down), 1.0)
    glitter = path * smoothstep(0.5, 1.6, swell + 0.35 * rng.standard_normal(swell.shape, dtype=np.float32))
    return water + (0.9 * glitter)[..., None] * decode(colour("#ffd79a"))


def _mirror_image(frame: Frame, ground: Array, survey: Survey, light: Array, sky: Array) -> Array:
    """What perfectly still water would show below the horizon."""
    rows = 2 * HORIZON * frame.height - np.arange(frame.height, dtype=np.float32)[:, None] - 1
    still = sample(sky, rows, np.arange(frame.width, dtype=np.float32)[None, :])
    step, land = mirrored(survey, frame.height)
    still = mix(still, look_up(light, step) * 0.9, land)
    built, inside = buildings.lighthouse(frame, ground, mirror=True)
    return mix(still, built * 0.9, inside)


# ---- foreground and film


def _grass(frame: Frame, rng: Rng, rgb: Array, near: Array) -> tuple[Array, Array]:
    """Blades of grass on the near bank, and reeds in the corner, over the encoded picture; and their mask."""
    canvas = Canvas(frame, rgb)
    lean = (-1.35 + 0.16 * fractal(frame, rng, 4, 2) + 0.10 * noise(frame, rng, 26)).astype(np.float32)
    depth = smoothstep(HORIZON + 0.12, 1.0, frame.v)
    tone = 0.5 + 0.22 * fractal(frame, rng, 9, 4) - 0.2 * depth
    meadow = ramp("#20290f #4b5a20 #8a8a3c #cdb566", tone)
    corner = smoothstep(0.30, 0.0, frame.u + 0.8 * (1.0 - frame.v))
    for brush, times, where in (
        (Brush(0.05, 0.0032, bristles=2, point=1, streak=0.4, vary=0.35), 2.2, near * smoothstep(0.68, 0.86, frame.v)),
        (Brush(0.11, 0.0042, bristles=2, point=1, streak=0.4, vary=0.35), 3.0, corner * near),
    ):
        lay(canvas, rng, brush, lean, layer(rng, meadow, brush, times, where=where.astype(np.float32), jitter=0.06))
    return np.clip(canvas.paint, 0, 1), smoothstep(0.0, 0.6, canvas.body)


def _glow(frame: Frame, light: Array) -> Array:
    """Bright light spilling over its neighbours, and the veil that the sun draws over the lens."""
    spill = blur(frame, np.clip(light - 0.75, 0, 2), 0.03)
    veil = 0.06 * bell(frame.distance(*_SUN), 0.45)
    return light + 0.35 * spill + veil[..., None] * decode(colour("#ffcf90"))


def _expose(light: Array) -> Array:
    """A film curve: keeps the middle, rolls the highlights off."""
    exposed: Array = light * (1 + 0.10 * light) / (0.92 + 0.22 * light)
    return exposed


def _develop(frame: Frame, rng: Rng, rgb: Array) -> Picture:
    """Grain and a slight vignette."""
    corner = frame.distance(0.5, 0.5)
    film = rng.standard_normal(corner.shape, dtype=np.float32)
    grain = 0.007 * (film + 0.5 * rng.standard_normal((*corner.shape, 3), dtype=np.float32).mean(axis=2))
    dark = 1 - 0.22 * smoothstep(0.35, 0.85, corner)
    return np.asarray(np.clip(rgb * dark[..., None] + grain[..., None], 0, 1), np.float32)
