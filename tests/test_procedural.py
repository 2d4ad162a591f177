"""Procedural paintings: fields, layouts, marks, styles and the pictures made of them."""

import io
import math
from dataclasses import fields as fields_of
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from scumble.drawn import swatches
from scumble.training import fields, layout, marks
from scumble.training.marks import Ask, Kind
from scumble.training.pictures import draw, recoloured
from scumble.training.styles import COLOURS, Styles, palettes
from scumble.training.swatches import drawn as swatch_drawn


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def full(value, count=1):
    return torch.full((count,), float(value))


# ------------------------------------------------------------------------------------------------------------- fields


def spectrum_peak(field):
    """The frequency (cycles per px) and direction (radians, 0..pi) of the strongest wave, by NumPy."""
    power = np.abs(np.fft.fft2(np.asarray(field - field.mean()))) ** 2
    size = power.shape[0]
    y, x = np.unravel_index(power.argmax(), power.shape)
    fy, fx = np.fft.fftfreq(size)[y], np.fft.fftfreq(size)[x]
    return math.hypot(fx, fy), math.atan2(fy, fx) % math.pi


@pytest.mark.parametrize("frequency", [0.05, 0.1, 0.25])
def test_noise_has_its_frequency(frequency):
    found = fields.noise(128, full(frequency, 8), full(0.2, 8), full(0, 8), full(0, 8), generator())
    power = (np.abs(np.fft.fft2(found.numpy())) ** 2).mean(0)
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    mean = math.exp((power * np.log(np.maximum(radius, 1e-3))).sum() / power.sum())
    assert mean == pytest.approx(frequency, rel=0.1)


def test_noise_has_mean_zero_and_deviation_one():
    found = fields.noise(64, full(0.1, 3), full(0.5, 3), full(0, 3), full(1, 3), generator())
    assert found.mean((1, 2)).abs().max() < 1e-5
    assert (found.std((1, 2)) - 1).abs().max() < 1e-4


@pytest.mark.parametrize("angle", [0.0, 0.7, 1.5, 2.5])
def test_noise_changes_fastest_across_its_angle(angle):
    found = fields.noise(128, full(0.12), full(0.3), full(angle), full(30), generator())
    _, direction = spectrum_peak(found[0])
    away = abs(direction - angle) % math.pi
    assert min(away, math.pi - away) < 0.2


def test_drift_is_smooth_and_of_its_wavelength():
    slow, _ = fields.drift(64, full(64), generator())
    fast, _ = fields.drift(64, full(8), generator())
    assert slow.diff(dim=2).abs().mean() * 3 < fast.diff(dim=2).abs().mean()
    assert fast.diff(dim=2).abs().max() < 2


def test_whirls_turn_and_do_not_stretch_near_their_centres():
    x, y = (each[None] for each in fields.places(64, torch.device("cpu")))
    u, v = fields.whirled(x, y, full(2), generator())
    assert (u - x).abs().max() > 3
    area = u.diff(dim=2)[:, 1:] * v.diff(dim=1)[:, :, 1:] - u.diff(dim=1)[:, :, 1:] * v.diff(dim=2)[:, 1:]
    assert area.median() == pytest.approx(1, abs=0.1)  # a rotation about a centre keeps every area
    still = fields.whirled(x, y, full(0), generator())
    assert torch.allclose(torch.stack(still), torch.stack((x, y)), atol=1e-4)


def test_softened_is_the_field_or_its_mean_nearby():
    field = torch.zeros(1, 21, 21)
    field[0, 10, 10] = 1
    assert torch.equal(fields.softened(field, full(0)), field)
    soft = fields.softened(field, full(1))
    assert soft.sum() == pytest.approx(1, abs=1e-5)
    assert soft[0, 10, 10] == pytest.approx(1 / 25)  # 5 × 5 twice: a pyramid with 25 at its top


def test_scattered_numbers_are_even_and_belong_to_their_cell():
    i, j = torch.meshgrid(torch.arange(60.0), torch.arange(60.0), indexing="ij")
    salt = torch.tensor([[[3.0]]])
    found = fields.scattered(i, j, salt, 1)
    assert torch.equal(found, fields.scattered(i, j, salt, 1))
    assert found.min() >= 0 and found.max() < 1
    assert np.histogram(found.numpy(), 4, (0, 1))[0] == pytest.approx([900] * 4, rel=0.1)
    other = fields.scattered(i, j, salt, 2)
    assert abs(np.corrcoef(found.flatten(), other.flatten())[0, 1]) < 0.1


# ------------------------------------------------------------------------------------------------------------- layout


def leaves(size=96, count=2, seed=0):
    x, y = (each.expand(count, size, size) for each in fields.places(size, torch.device("cpu")))
    return layout.leaves(x, y, size, generator(seed))


def test_leaves_are_flat_but_for_their_contours():
    found = leaves()
    for each in (found.lightness, found.hue):
        assert each.min() >= -1 and each.max() <= 1
    jump = found.hue.diff(dim=2).abs() > 1e-6  # a shape has one number of its own
    near = torch.minimum(found.edge[:, :, 1:].abs(), found.edge[:, :, :-1].abs())
    assert 0.01 < jump.float().mean() < 0.3
    assert near[jump].quantile(0.95) < 3
    assert near[~jump].median() > 2


def test_leaves_repeat_with_their_seed():
    assert torch.equal(leaves(seed=4).lightness, leaves(seed=4).lightness)
    assert not torch.equal(leaves(seed=4).lightness, leaves(seed=5).lightness)


# -------------------------------------------------------------------------------------------------------------- marks


def ask(**given):
    asked = {"period": 8, "length": 3, "sharp": 1, "sway": 0.3, "cover": 0.5, "salt": 7.3, **given}
    return Ask(**{name: full(value) for name, value in asked.items()})


def marked(kind, *, lightness=0.5, angle=0.0, size=128, **given):
    x, y = (each[None] for each in fields.places(size, torch.device("cpu")))
    u, v = fields.turned(x, y, torch.tensor(angle))
    return marks.draw(kind, u, v, torch.full_like(u, lightness), ask(**given))


@pytest.mark.parametrize("kind", list(Kind))
def test_marks_stay_in_range(kind):
    found = marked(kind)
    assert found.tone.abs().max() <= 1
    assert found.own.abs().max() <= 1
    assert found.height.min() >= 0 and found.height.max() <= 1
    assert (kind is Kind.NONE) == (not found.tone.any())


@pytest.mark.parametrize("period", [4, 8, 16])
@pytest.mark.parametrize("kind", [Kind.STRIPES, Kind.HATCHING])
def test_lines_lie_a_period_apart_and_across_v(kind, period):
    found = marked(kind, period=period, sway=0, length=5, size=512)
    rows = found.tone[0].mean(1).numpy()
    power = np.abs(np.fft.rfft(rows - rows.mean())) ** 2
    assert power.argmax() / 512 == pytest.approx(1 / period, abs=1 / 512)


@pytest.mark.parametrize("angle", [0.4, 1.1])
def test_stripes_follow_the_coordinates(angle):
    _, direction = spectrum_peak(marked(Kind.STRIPES, angle=angle).tone[0])
    assert direction == pytest.approx((angle + math.pi / 2) % math.pi, abs=0.1)


@pytest.mark.parametrize("kind", [Kind.HATCHING, Kind.CROSSES, Kind.DOTS])
def test_the_dark_gets_more_ink(kind):
    dark, light = (marked(kind, lightness=value).height.mean() for value in (0.1, 0.9))
    assert dark > 1.3 * light


def test_cells_have_one_number_each_and_borders_between():
    found = marked(Kind.CELLS, period=16, length=1)
    jump = found.own[0].diff(dim=1) != 0
    assert 0.03 < jump.float().mean() < 0.2
    border = torch.minimum(found.tone[0, :, 1:], found.tone[0, :, :-1])
    assert border[jump].mean() < -0.7 < border[~jump].mean()


@pytest.mark.parametrize(("kind", "longer"), [(Kind.STROKES, 2.5), (Kind.DABS, 0.8)])
def test_strokes_are_long_along_u(kind, longer):
    found = marked(kind, period=6, length=6, sway=0)
    along, across = ((found.own[0].diff(dim=axis) != 0).float().mean() for axis in (1, 0))
    assert longer < across / along < 2 * longer
    assert (found.height > 0).float().mean() > 0.7  # they cover the ground


# ------------------------------------------------------------------------------------------------ styles and pictures


def plain(count=2, **changes):
    """Styles without anything on the shapes."""
    styles = Styles.drawn(count, 1)
    nothing = {
        name: torch.zeros_like(getattr(styles, name))
        for name in (
            "kinds",
            "noise",
            "levels",
            "variety",
            "soft",
            "rim",
            "ink_px",
            "relief",
            "grain",
            "weave",
            "wobble",
        )
    }
    return replace(styles, **{**nothing, "contrast": torch.ones(count), **changes})


def test_styles_repeat_with_their_seed_and_are_thousands():
    first, second, other = Styles.drawn(3000, 5), Styles.drawn(3000, 5), Styles.drawn(3000, 6)
    for field in fields_of(Styles):
        assert torch.equal(getattr(first, field.name), getattr(second, field.name))
        assert len(getattr(first, field.name)) == len(first) == 3000
    assert not torch.equal(first.palette, other.palette)
    assert {int(kind) for kind in first.kinds[:, 0].unique()} == set(Kind) - {Kind.NONE}


def test_palettes_go_from_dark_to_light():
    found = palettes(500, generator())
    assert found.shape == (500, COLOURS, 3)
    assert found.min() >= 0 and found.max() <= 1
    value = found.amax(2)
    assert (value[:, -1] > value[:, 0]).all()


def test_pictures_of_a_style_are_new_every_time():
    styles = Styles.drawn(4, 1)
    drawn = draw(styles, torch.tensor([2, 2]), 64, generator())
    assert drawn.pictures.shape == (2, 3, 64, 64) and drawn.layout.shape == (2, 2, 64, 64)
    assert drawn.pictures.min() >= 0 and drawn.pictures.max() <= 1
    assert (drawn.pictures[0] - drawn.pictures[1]).abs().mean() > 0.02
    again = draw(styles, torch.tensor([2, 2]), 64, generator())
    assert torch.equal(drawn.pictures, again.pictures)


def test_the_same_contents_in_other_styles():
    styles = plain(8)
    pair = [
        draw(styles, torch.full((2,), which), 64, generator(which), jitter=False, content_seed=9) for which in (0, 5)
    ]
    assert torch.equal(pair[0].layout, pair[1].layout)
    assert not torch.equal(pair[0].pictures, pair[1].pictures)
    assert not torch.equal(pair[0].layout[0], pair[0].layout[1])


def test_a_plain_style_is_the_palette_at_the_lightness():
    palette = torch.linspace(0, 1, COLOURS)[None, :, None] * torch.tensor([1.0, 0.5, 0.25])
    styles = plain(1, palette=palette)
    drawn = draw(styles, torch.tensor([0]), 64, generator(), jitter=False)
    lightness = drawn.layout[0, 0]
    expected = torch.stack([lightness, lightness / 2, lightness / 4])
    assert torch.allclose(drawn.pictures[0], expected, atol=2e-3)


def test_levels_make_flat_tones():
    styles = plain(1, palette=torch.linspace(0, 1, COLOURS)[None, :, None].expand(1, COLOURS, 3), levels=full(3))
    tones = draw(styles, torch.tensor([0]), 96, generator(), jitter=False).pictures[0, 0]
    assert len((tones * 255).round().unique()) <= 5


def test_ink_lies_along_the_contours():
    black = plain(1, ink_px=full(2), ink=torch.tensor([[1.0, 0.0, 0.0]]))
    drawn = draw(black, torch.tensor([0]), 96, generator(), jitter=False)
    contour = drawn.layout[0, 1] > 0.9
    red = torch.tensor([1.0, 0.0, 0.0])[:, None]
    assert (drawn.pictures[0][:, contour] - red).abs().max() < 1e-3
    assert (drawn.pictures[0][:, drawn.layout[0, 1] < 0.01] - red).abs().mean() > 0.2


def test_jitter_changes_colours_and_keeps_the_marks():
    styles = plain(1, kinds=torch.tensor([[int(Kind.STRIPES), 0]]), period=torch.full((1, 2), 8.0))
    styles = replace(styles, curl=full(0), swirl=full(0), follows=torch.zeros(1, 2), contrast=full(0.2))
    pictures = draw(styles, torch.zeros(16, dtype=torch.long), 128, generator()).pictures
    means = pictures.mean((2, 3))
    assert means.std(0).max() > 0.03
    frequencies = [spectrum_peak(picture.mean(0))[0] for picture in pictures]
    assert np.median(frequencies) == pytest.approx(1 / 8, rel=0.25)
    assert np.std(frequencies) > 0.002


def test_recoloured_pictures_keep_their_shapes():
    pictures = torch.rand(64, 3, 16, 16, generator=generator())
    changed = recoloured(pictures, generator(1))
    same = (changed == pictures).flatten(1).all(1).float().mean()
    assert 0.3 < same < 0.7
    assert changed.min() >= 0 and changed.max() <= 1
    flat = torch.full((8, 3, 4, 4), 0.3)
    assert (recoloured(flat, generator(2)).flatten(2).std(2) < 1e-6).all()
    ramp = torch.linspace(0, 1, 16).expand(64, 3, 4, 16)
    assert (recoloured(ramp, generator(3)).diff(dim=3) >= -1e-6).all()  # what is light stays light


@pytest.mark.parametrize("name", ["tides", "sea-glass"])
def test_swatches_can_be_drawn_again(name):
    """In the same colours and as lively; where the cells fall is up to the processor."""
    kept = np.asarray(Image.open(io.BytesIO(swatches.swatch(name))), np.float32)
    again = swatch_drawn(swatches.SWATCHES[name], 256).astype(np.float32)
    assert kept.mean((0, 1)) == pytest.approx(again.mean((0, 1)), abs=25)
    assert kept.std() == pytest.approx(again.std(), rel=0.3)
