"""Pictures of procedural styles: endless ones of each, of other contents every time, on any device."""

from dataclasses import dataclass

import torch
from torch import Tensor

from scumble.training import fields, layout, marks
from scumble.training.fields import TURN, each, uniform
from scumble.training.layout import Layout
from scumble.training.marks import Ask, Kind, Marks
from scumble.training.styles import COLOURS, LAYERS, Styles


@dataclass(frozen=True)
class Sample:
    """`pictures` (n, 3, size, size), RGB 0..1, and the `layout` (n, 2, size, size) underneath: the shapes' lightness
    and their contours, both 0..1."""

    pictures: Tensor
    layout: Tensor


@torch.no_grad()
def draw(
    styles: Styles,
    which: Tensor,
    size: int,
    generator: torch.Generator,
    *,
    jitter: bool = True,
    content_seed: int | None = None,
    zoom: float = 1.0,
) -> Sample:
    """A picture of each style in `which` (n,), on the generator's device, where the styles must be too.

    `jitter` turns, scales and recolours each, so that texture tells the style and not the palette alone. An equal
    `content_seed` with equal n and size gives equal contents, whatever the styles. `zoom` makes marks and lines larger.
    """
    device = generator.device
    asked = styles.take(which.to(device))
    count = len(which)
    scale = uniform((count,), generator, 0.8, 1.25) if jitter else torch.ones(count, device=device)
    scale = zoom * scale
    turn = uniform((count,), generator, -0.25, 0.25) if jitter else torch.zeros(count, device=device)
    contents = generator if content_seed is None else torch.Generator(device).manual_seed(content_seed)
    x, y = (line.expand(count, size, size) for line in fields.places(size, device))
    stray_x, stray_y = fields.drift(size, torch.full_like(scale, 12.0), generator)
    wobble = each(asked.wobble * scale)
    shown = layout.leaves(x + wobble * stray_x, y + wobble * stray_y, size, contents)
    flow = fields.drift(size, asked.curl_px * scale, generator)
    tone, height = _tone(asked, shown, (x, y), flow, scale, turn, generator)
    pictures = _coloured(asked, tone)
    pictures = _finished(asked, shown, pictures, height, scale, generator)
    if jitter:
        pictures = recoloured(pictures, generator)
    contour = torch.exp(-(shown.edge / 1.5).square())
    return Sample(pictures.clamp(0, 1), torch.stack([shown.lightness, contour], 1))


def _tone(
    asked: Styles,
    shown: Layout,
    place: tuple[Tensor, Tensor],
    flow: tuple[Tensor, Tensor],
    scale: Tensor,
    turn: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """The place of every px in the palette (about 0..1), and the paint's thickness."""
    size = shown.lightness.shape[-1]
    base = 0.5 + each(asked.contrast) * (shown.lightness - 0.5)
    base = base + each(asked.variety) * shown.hue
    base = fields.softened(base, asked.soft) - each(asked.rim) * torch.exp(-shown.edge.abs() / 2.5)
    bands = each(asked.levels)
    flat = ((base * bands).floor() + 0.5) / bands.clamp(min=1)
    tone = torch.where(bands > 0, flat, base)
    tone = tone + each(asked.noise) * _noise(asked, size, scale, turn, generator)
    height = torch.zeros_like(tone)
    bend = each(asked.curl * asked.curl_px * scale * 0.5)
    x, y = place[0] + bend * flow[0], place[1] + bend * flow[1]
    x, y = fields.whirled(x, y, asked.swirl, generator)
    for layer in range(LAYERS):
        angle = each(asked.angle[:, layer] + turn) + each(asked.follows[:, layer]) * shown.angle
        u, v = fields.turned(x, y, angle)
        drawn = _marks(asked, layer, u, v, shown.lightness, scale, generator)
        tone = tone + each(asked.amount[:, layer]) * drawn.tone + each(asked.mottle[:, layer]) * drawn.own
        height = height + drawn.height * (0.4 + each(asked.amount[:, layer]))
    return tone, height


def _noise(asked: Styles, size: int, scale: Tensor, turn: Tensor, generator: torch.Generator) -> Tensor:
    field = fields.noise(
        size,
        asked.noise_frequency / scale,
        asked.noise_bandwidth,
        asked.noise_angle + turn,
        asked.noise_anisotropy,
        generator,
    )
    shapes = torch.stack([field, 1 - 2 * field.abs(), torch.tanh(6 * field), torch.sin(4 * field)])
    return shapes.gather(0, asked.noise_shape[None, :, None, None].expand(1, *field.shape))[0]


def _marks(
    asked: Styles, layer: int, u: Tensor, v: Tensor, lightness: Tensor, scale: Tensor, generator: torch.Generator
) -> Marks:
    """Each kind is drawn for the pictures that have it."""
    salt = uniform((len(u),), generator, 0, 100)
    tone, own, height = (torch.zeros_like(u) for _ in range(3))
    for kind in Kind:
        at = (asked.kinds[:, layer] == kind).nonzero()[:, 0]
        if kind is Kind.NONE or not len(at):
            continue
        ask = Ask(
            period=(asked.period[:, layer] * scale)[at],
            length=asked.length[at, layer],
            sharp=asked.sharp[at, layer],
            sway=asked.sway[at, layer],
            cover=asked.cover[at, layer],
            salt=salt[at],
        )
        found = marks.draw(kind, u[at], v[at], lightness[at], ask)
        tone[at], own[at], height[at] = found.tone, found.own, found.height
    return Marks(tone, own, height)


def _coloured(asked: Styles, tone: Tensor) -> Tensor:
    """The palette's colours at `tone`, (n, 3, size, size)."""
    position = (tone.clamp(0, 1) * (COLOURS - 1)).clamp(max=COLOURS - 1 - 1e-3)
    below = position.floor()
    part = (position - below)[:, None]
    index = below.long().flatten(1)[:, None].expand(-1, 3, -1)
    colours = asked.palette.transpose(1, 2)
    dark = colours.gather(2, index).view(len(tone), 3, *tone.shape[1:])
    light = colours.gather(2, index + 1).view_as(dark)
    return dark + part * (light - dark)


def _finished(
    asked: Styles, shown: Layout, pictures: Tensor, height: Tensor, scale: Tensor, generator: torch.Generator
) -> Tensor:
    """Ink along the contours, light from the side, grain, and the canvas."""
    count, _, size, _ = pictures.shape
    width = each(asked.ink_px * scale)
    line = torch.where(width > 0, fields.bump(width - shown.edge + 0.5), torch.zeros_like(height))[:, None]
    pictures = pictures + line * (asked.ink[:, :, None, None] - pictures)
    rise = torch.zeros_like(height)
    rise[:, 1:, 1:] = height[:, 1:, 1:] - height[:, :-1, :-1]
    pictures = pictures + (0.6 * each(asked.relief) * rise)[:, None]
    white = torch.randn(count, 1, size, size, generator=generator, device=generator.device)
    pictures = pictures + each(asked.grain)[:, None] * white
    x, y = fields.places(size, generator.device)
    threads = torch.sin(TURN * x / 4) * torch.sin(TURN * y / 4)
    return pictures + each(asked.weave)[:, None] * threads


def recoloured(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the pictures in other colours: channels permuted, of other gains and offsets, or grey. None is inverted:
    what is light stays light."""
    count = len(pictures)
    chance = uniform((3, count, 1, 1, 1), generator)
    order = torch.rand(count, 3, generator=generator, device=generator.device).argsort(1)
    permuted = pictures.gather(1, order[:, :, None, None].expand_as(pictures))
    changed = torch.where(chance[1] < 0.4, permuted, pictures)
    gain = uniform((count, 3, 1, 1), generator, 0.7, 1.3)
    offset = uniform((count, 3, 1, 1), generator, -0.12, 0.12)
    changed = (changed - 0.5) * gain + 0.5 + offset
    changed = torch.where(chance[2] < 0.15, changed.mean(1, keepdim=True).expand_as(changed), changed)
    return torch.where(chance[0] < 0.5, changed, pictures).clamp(0, 1)
