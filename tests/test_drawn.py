"""The pictures that Scumble draws itself: sound, repeatable, and different enough to be worth having."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from scumble.drawn import PAINTINGS, Scene, painting, scene
from scumble.drawn.strokes import Brush, Canvas, Layer, lay, layer
from scumble.drawn.tools import Frame

Picture = NDArray[np.float32]
NAMES = sorted(PAINTINGS)


@cache
def painted(name: str, width: int = 160, height: int = 160, seed: int = 0) -> Picture:
    return painting(name, width, height, seed)


@cache
def seen(width: int = 160, height: int = 112, seed: int = 0) -> Scene:
    return scene(width, height, seed)


def picture(name: str, width: int, height: int, seed: int = 0) -> Picture:
    return seen(width, height, seed).rgb if name == "scene" else painted(name, width, height, seed)


def colours(rgb: Picture) -> NDArray[np.float64]:
    """The share of each of 4 × 4 × 4 colours."""
    bins = np.minimum((rgb * 4).astype(int), 3) @ np.array([16, 4, 1])
    return np.bincount(bins.ravel(), minlength=64) / bins.size


def detail(rgb: Picture) -> dict[str, float]:
    """The deviation of brightness in bands of frequency (periods along the picture)."""
    grey = rgb.mean(axis=2)
    height, width = grey.shape
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2 / grey.size**2
    periods = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.fftfreq(width)[None, :] * width)
    bands = {"coarse": (0.5, 6), "middle": (6, 24), "fine": (24, 80)}
    return {
        name: float(np.sqrt(power[(periods >= low) & (periods < high)].sum())) for name, (low, high) in bands.items()
    }


def shrunk(rgb: Picture, cells: int) -> Picture:
    """The picture averaged down to cells × cells."""
    height, width = rgb.shape[:2]
    return rgb.reshape(cells, height // cells, cells, width // cells, 3).mean(axis=(1, 3))


@pytest.mark.parametrize(("width", "height"), [(32, 32), (33, 47), (119, 64), (40, 150)])
@pytest.mark.parametrize("name", [*NAMES, "scene"])
def test_a_picture_has_the_size_asked_for_and_sound_values(name: str, width: int, height: int) -> None:
    rgb = picture(name, width, height)
    assert rgb.shape == (height, width, 3)
    assert rgb.dtype == np.float32
    assert np.isfinite(rgb).all()
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    assert rgb.std() > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_painting_depends_on_its_seed_alone(name: str) -> None:
    first = painting(name, 72, 56, 3)
    np.random.seed(1)
    painting("night", 40, 40, 9)
    assert np.array_equal(first, painting(name, 72, 56, 3))
    assert np.abs(first - painting(name, 72, 56, 4)).mean() > 0.02


def test_a_scene_depends_on_its_seed_alone() -> None:
    first, again, other = scene(80, 56, 3), scene(80, 56, 3), scene(80, 56, 4)
    assert np.array_equal(first.rgb, again.rgb)
    assert all(np.array_equal(first.masks[name], again.masks[name]) for name in first.masks)
    assert np.abs(first.rgb - other.rgb).mean() > 0.02


@pytest.mark.parametrize("name", [*NAMES, "scene"])
def test_the_composition_does_not_depend_on_the_size(name: str) -> None:
    small, large = (shrunk(picture(name, size, size), 8) for size in (96, 192))
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.95


def test_there_are_six_paintings_and_no_others() -> None:
    assert len(PAINTINGS) == 6
    with pytest.raises(ValueError, match="night"):
        painting("no such painting")


@pytest.mark.parametrize(("one", "other"), list(combinations(NAMES, 2)))
def test_the_paintings_have_palettes_of_their_own(one: str, other: str) -> None:
    shared = np.minimum(colours(painted(one)), colours(painted(other))).sum()
    assert shared < 0.6


@pytest.mark.parametrize("name", [*NAMES, "scene"])
def test_a_picture_has_large_shapes_and_fine_texture(name: str) -> None:
    strength = detail(picture(name, 160, 160))
    assert strength["coarse"] > 0.06
    assert strength["middle"] > 0.03
    assert strength["fine"] > 0.015


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("width", "height"), [(160, 112), (67, 91)])
def test_the_masks_share_out_the_scene(width: int, height: int, seed: int) -> None:
    masks = seen(width, height, seed).masks
    assert set(masks) == {"sky", "water", "land", "lighthouse"}
    for mask in masks.values():
        assert mask.shape == (height, width)
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert mask.max() <= 1
    np.testing.assert_allclose(masks["sky"] + masks["water"] + masks["land"], 1, atol=1e-5)
    assert all(masks[name].mean() > 0.12 for name in ("sky", "water", "land"))
    assert masks["lighthouse"].mean() > 0.01
    assert (masks["lighthouse"] <= masks["land"] + 1e-5).all()


def test_the_masks_fit_the_picture() -> None:
    found = seen(320, 224)
    sky, water, land = (found.masks[name] > 0.9 for name in ("sky", "water", "land"))
    brightness = found.rgb.mean(axis=2)
    assert brightness[sky].mean() > brightness[land].mean() + 0.1
    assert not sky[int(0.56 * 224) + 2 :].any()
    assert not water[: int(0.56 * 224) - 1].any()
    assert sky[0].all()
    skyline = found.masks["sky"][:120, :120]  # left of the buildings
    assert ((skyline > 0.1) & (skyline < 0.9)).any()


@pytest.mark.parametrize(("angle", "longer"), [(0.0, 1), (np.pi / 2, 0)])
def test_a_stroke_lies_where_it_is_put_and_follows_the_flow(angle: float, longer: int) -> None:
    canvas = Canvas(Frame(100, 100), np.zeros(3, np.float32))
    one = np.ones(1, np.float32)
    flow = np.full((100, 100), angle, np.float32)
    stroke = Layer(0.3 * one, 0.6 * one, np.ones((1, 3), np.float32), one)
    lay(canvas, np.random.default_rng(0), Brush(0.4, 0.06), flow, stroke)
    rows, columns = np.nonzero(canvas.paint[..., 0] > 0.5)
    extent = (np.ptp(rows), np.ptp(columns))
    assert abs(rows.mean() - 60) < 4
    assert abs(columns.mean() - 30) < 4
    assert 30 < extent[longer] < 45
    assert 3 < extent[1 - longer] < 8


def test_a_layer_of_strokes_repeats_the_picture_under_it() -> None:
    rng, wanted = np.random.default_rng(0), np.zeros((96, 96, 3), np.float32)
    wanted[:32, 48:] = 1
    canvas = Canvas(Frame(96, 96), np.full(3, 0.5, np.float32))
    brush = Brush(0.06, 0.03)
    lay(canvas, rng, brush, np.zeros((96, 96), np.float32), layer(rng, wanted, brush, 4, jitter=0))
    assert np.abs(canvas.paint - wanted).mean() < 0.08
