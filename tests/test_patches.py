"""Pieces of the style laid over the picture, by plain loops: digests, search, votes, crowds; what must not be used."""

import numpy as np
import pytest
import torch

from scumble.engine import bands, patches
from scumble.engine.patches import Laying, Pieces, lay

HEIGHT, WIDTH = 20, 28
AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0))
EVERYWHERE = torch.ones(HEIGHT * WIDTH, dtype=torch.bool)


def style(seed=0, height=HEIGHT, width=WIDTH):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 2, width // 2, generator=generator)
    fine = torch.rand(1, 3, height, width, generator=generator)
    return 0.7 * torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear") + 0.3 * fine


def random_field(height=12, width=10, seed=1, none=()):
    generator = torch.Generator().manual_seed(seed)
    field = torch.randint(HEIGHT * WIDTH, (height, width), generator=generator)
    for y, x in none:
        field[y, x] = -1
    return field


def bell(side):
    ramp = np.sin(np.pi * np.arange(1, side + 1) / (side + 1)) ** 2
    return np.outer(ramp, ramp) / ramp.sum() ** 2


def patch(rgb, y, x, side):
    """The square around a pixel, (3, side, side), the picture's edge repeated beyond it."""
    array, reach = rgb[0].double().numpy(), side // 2
    rows = np.clip(np.arange(y - reach, y + reach + 1), 0, array.shape[1] - 1)
    columns = np.clip(np.arange(x - reach, x + reach + 1), 0, array.shape[2] - 1)
    return array[:, rows][:, :, columns]


def laying(pieces, picture, field):
    found = Laying.of(pieces, picture, field)
    found.look(slice(0, field.shape[0]))
    return found


def field_of(laying):
    """The places without the margins."""
    reach, near, across = patches.VOTING // 2, patches.NEAR, WIDTH + 2 * patches.NEAR
    inner = laying.field[reach:-reach, reach:-reach].long()
    y, x = inner // across - near, inner % across - near
    return torch.where((y >= 0) & (y < HEIGHT) & (x >= 0) & (x < WIDTH), y * WIDTH + x, -1)


def swept(pieces, picture, field, sweeps=1):
    found = laying(pieces, picture, field)
    with bands.on_all_cores(picture.device) as each:
        for sweep in range(sweeps):
            found.sweep(each, bands.bands(*field.shape, picture.device), 2 * sweep)
    return field_of(found)


def nothing_by_chance(monkeypatch):
    monkeypatch.setattr(Laying, "_by_chance", lambda self, own, place, *others: place)


def without_margin(values):
    """Of values for every place with the margin, those of the style's own, (places, …)."""
    near = patches.NEAR
    return values.view(HEIGHT + 2 * near, WIDTH + 2 * near, -1)[near:-near, near:-near].flatten(0, 1)


def crowds(pieces, field):
    """What is paid for crowds, in numbers of uses."""
    return without_margin(pieces.prices(pieces.with_margin(field))).flatten() / patches.EVENNESS


def costs(pieces, picture, field, used):
    """What every pixel would pay for every place, (height, width, places), by its formula, beside the places of `field`
    and with the crowds of `used`."""
    digests = (
        patches.digest(picture, pieces.filters, slice(0, picture.shape[2])).flatten(0, 1).bfloat16().double().numpy()
    )
    theirs = without_margin(pieces.digests).double().numpy()
    height, width = field.shape
    found = ((digests[:, None] - theirs[None]) ** 2).sum(2).reshape(height, width, -1)
    found += patches.EVENNESS * crowd(used)
    for y in range(height):
        for x in range(width):
            for place in goings_on(field, y, x):
                found[y, x, place] -= patches.COHERENCE
    return found


def goings_on(field, y, x):
    for dy, dx in AROUND:
        if 0 <= y - dy < field.shape[0] and 0 <= x - dx < field.shape[1] and field[y - dy, x - dx] >= 0:
            row, column = divmod(int(field[y - dy, x - dx]), WIDTH)
            if 0 <= row + dy < HEIGHT and 0 <= column + dx < WIDTH:
                yield (row + dy) * WIDTH + column + dx


def crowd(field):
    found, reach = np.zeros((HEIGHT, WIDTH)), patches.PATCH // 2
    for place in field[field >= 0].tolist():
        y, x = divmod(place, WIDTH)
        found[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] += 1 / patches.PATCH**2
    return found.ravel()


def test_digests_are_as_far_apart_as_weighted_patches(monkeypatch):
    monkeypatch.setattr(patches, "DIMENSIONS", 3 * patches.PATCH**2)
    rgb, picture = style(1), style(2)
    pieces = Pieces.of(rgb, EVERYWHERE)
    mine = patches.digest(picture, pieces.filters, slice(0, picture.shape[2])).flatten(0, 1)
    theirs = patches.digest(rgb, pieces.filters, slice(0, HEIGHT)).flatten(0, 1)
    assert torch.equal(without_margin(pieces.digests), theirs.bfloat16())
    weights = bell(patches.PATCH)
    patches_of = [patch(rgb, *divmod(place, WIDTH), patches.PATCH) for place in range(HEIGHT * WIDTH)]
    variance = np.sum(weights * (np.stack(patches_of) - np.mean(patches_of, 0)) ** 2) / len(patches_of)
    for pixel, place in ((0, 0), (7, 300), (WIDTH * 5 + 3, 559), (200, 201)):
        difference = patch(picture, *divmod(pixel, WIDTH), patches.PATCH) - patches_of[place]
        found = float((mine[pixel] - theirs[place]).square().sum())
        assert found == pytest.approx(np.sum(weights * difference**2) / variance, rel=1e-4)


def test_a_few_dimensions_say_most_about_a_patch():
    rgb = style(1)
    coarse = torch.nn.functional.interpolate(rgb[..., ::4, ::4], size=(HEIGHT, WIDTH), mode="bicubic")
    pieces = Pieces.of(coarse, EVERYWHERE)
    theirs = without_margin(pieces.digests).float()
    assert theirs.shape == (HEIGHT * WIDTH, patches.DIMENSIONS)
    offered = theirs - theirs.mean(0)
    assert float(offered.square().sum(1).mean()) == pytest.approx(1, rel=1e-3)


def test_a_sweep_takes_the_cheapest_of_what_it_tries(monkeypatch):
    nothing_by_chance(monkeypatch)
    field, picture = random_field(none=[(0, 0), (5, 5)]), style(3, 12, 10)
    field[2:6, 2:8] = torch.arange(4)[:, None] * WIDTH + torch.arange(6) + 40  # a piece that goes on
    pieces = Pieces.of(style(1), EVERYWHERE)
    assert_cheapest(pieces, picture, field, swept(pieces, picture, field))


def assert_cheapest(pieces, picture, field, found):
    """That a sweep of a field (12, 10) has found for every pixel the cheapest of what it tries."""
    assert (found != field).any()
    black = torch.tensor([[(y + x) % 2 == 1 for x in range(10)] for y in range(12)])
    between = torch.where(black, found, field)  # black chooses first, white after what black chose
    beside = {True: field, False: between}
    pays_beside = {turn: costs(pieces, picture, beside[turn], field) for turn in beside}
    for y in range(12):
        for x in range(10):
            if field[y, x] < 0:
                assert found[y, x] < 0
            else:
                turn = bool(black[y, x])
                pays, tried = pays_beside[turn], [int(field[y, x]), *goings_on(beside[turn], y, x)]
                assert pays[y, x, found[y, x]] == pytest.approx(min(pays[y, x, tried]), abs=1e-5)
                assert int(found[y, x]) in tried


@pytest.mark.parametrize("corner", [0, WIDTH - 10, 8 * WIDTH, 8 * WIDTH + WIDTH - 10])
def test_nothing_goes_on_beyond_the_styles_edge(corner, monkeypatch):
    nothing_by_chance(monkeypatch)
    y, x = torch.arange(12)[:, None], torch.arange(10)
    field = corner + y.flip(0) * WIDTH + x.flip(0)  # where neighbours stand the wrong way round, all go on outwards
    pieces, picture = Pieces.of(style(1), EVERYWHERE), style(3, 12, 10)
    assert_cheapest(pieces, picture, field, swept(pieces, picture, field))


@pytest.mark.parametrize(("height", "width"), [(12, 10), (9, 7)])
def test_neither_threads_nor_bands_change_what_is_laid(height, width, monkeypatch):
    pieces, picture = Pieces.of(style(1), EVERYWHERE), style(3, 12, 10)[..., :height, :width]
    field, before = random_field(none=[(0, 0), (5, 5)])[:height, :width], torch.get_num_threads()
    monkeypatch.setattr(bands, "BAND_PX", 2 * width)
    try:
        torch.set_num_threads(1)
        alone = lay(pieces, picture, field)
        torch.set_num_threads(2)
        assert torch.equal(lay(pieces, picture, field), alone)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    nothing_by_chance(monkeypatch)
    in_bands = lay(pieces, picture, field)
    monkeypatch.setattr(bands, "BAND_PX", 10**6)
    assert torch.allclose(lay(pieces, picture, field), in_bands, atol=1e-5)


def test_random_places_are_tried_too_and_only_cheaper_ones_taken():
    field, picture = random_field(), style(3, 12, 10)
    pieces = Pieces.of(style(1), EVERYWHERE)
    found, pays = swept(pieces, picture, field), costs(pieces, picture, field, field)
    elsewhere = 0
    for y in range(12):
        for x in range(10):
            assert pays[y, x, found[y, x]] <= pays[y, x, field[y, x]] + 1e-5
            elsewhere += int(found[y, x]) not in [int(field[y, x]), *goings_on(field, y, x)]
    assert elsewhere > 10


def test_a_style_larger_than_the_picture_is_not_crowded_by_one_use_and_a_smaller_one_is_measured_by_its_average():
    pieces = Pieces.of(style(1), EVERYWHERE)
    few = random_field()
    assert np.allclose(crowds(pieces, few).numpy(), crowd(few), atol=1e-5)
    many = random_field(40, 56)
    assert np.allclose(crowds(pieces, many).numpy(), crowd(many) / 4, atol=1e-5)


@pytest.mark.parametrize("passes", [1, 2])
def test_votes_are_weighted_means_of_the_patches_that_meet(passes):
    rgb, field, reach = style(1), random_field(none=[(0, 0), (5, 5), (5, 6)]), patches.VOTING // 2
    canvas = laying(Pieces.of(rgb, EVERYWHERE), torch.full((1, 3, 12, 10), 7.0), field)
    for rows in (slice(0, 5), slice(5, 12)):
        canvas.paint(rows, passes)
    found = canvas.picture[0].numpy()
    weights = bell(patches.VOTING)
    for y in range(12):
        for x in range(10):
            if field[y, x] < 0:
                assert (found[:, y, x] == 7).all()
                continue
            colours, masses = [], []
            for dy in range(-reach, reach + 1):
                for dx in range(-reach, reach + 1):
                    if 0 <= y - dy < 12 and 0 <= x - dx < 10 and field[y - dy, x - dx] >= 0:
                        place = divmod(int(field[y - dy, x - dx]), WIDTH)
                        colours.append(patch(rgb, *place, patches.VOTING)[:, dy + reach, dx + reach])
                        masses.append(weights[dy + reach, dx + reach])
            mean = np.average(colours, 0, masses)
            for _ in range(passes - 1):
                near = np.exp(-np.sum((colours - mean) ** 2, 1) / patches.DOUBT)
                mean = np.average(colours, 0, masses * near)
            assert found[:, y, x] == pytest.approx(mean, abs=1e-4)


def test_a_blurred_part_of_the_style_becomes_crisp_again():
    rgb = style(1, 40, 56)
    part = rgb[..., 8:32, 10:42]
    blurred = torch.nn.functional.avg_pool2d(part, 3, 1, 1, count_include_pad=False)
    pieces = Pieces.of(rgb, torch.ones(40 * 56, dtype=torch.bool))
    rough = ((torch.arange(24)[:, None] + 8) // 4 * 4 * 56 + (torch.arange(32) + 10) // 4 * 4).clone()
    laid = lay(pieces, blurred, rough)
    inner = (..., slice(3, -3), slice(3, -3))
    assert (laid - part)[inner].abs().mean() < 0.2 * (blurred - part)[inner].abs().mean()


def test_only_allowed_places_are_used_and_nothing_outside_the_field_moves():
    allowed = EVERYWHERE.clone().view(HEIGHT, WIDTH)
    allowed[:, WIDTH // 2 :] = False
    pieces = Pieces.of(style(1), allowed.flatten())
    field = random_field() // WIDTH * WIDTH + random_field() % (WIDTH // 2)
    field[6:] = -1
    found = swept(pieces, style(3, 12, 10), field, sweeps=3)
    assert (found[6:] == -1).all()
    assert pieces.allowed[found[:6]].all()
    picture = style(3, 12, 10)
    laid = lay(pieces, picture, field)
    assert torch.equal(laid[..., 6:, :], picture[..., 6:, :])
    assert not torch.equal(laid[..., :6, :], picture[..., :6, :])


def test_what_lies_outside_allowed_places_does_not_set_the_unit():
    allowed = EVERYWHERE.clone().view(HEIGHT, WIDTH)
    allowed[:, WIDTH // 2 :] = False
    loud = style(1)
    loud[..., WIDTH // 2 + 4 :] *= 5
    quiet, louder = (Pieces.of(rgb, allowed.flatten()) for rgb in (style(1), loud))
    assert torch.equal(quiet.filters, louder.filters)


def test_an_even_area_does_not_become_wallpaper(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    grain = 0.5 + 0.02 * torch.randn(1, 3, HEIGHT, WIDTH, generator=generator)
    pieces, even = Pieces.of(grain, EVERYWHERE), torch.full((1, 3, 16, 16), 0.5)

    def crowded(evenness):
        monkeypatch.setattr(patches, "EVENNESS", evenness)
        field = random_field(16, 16)
        for _ in range(4):
            field = swept(pieces, even, field, sweeps=3)
        return float(np.mean(crowd(field)[field]))

    assert crowded(0.1) < 0.7 * crowded(0.0)


def test_a_flat_style_can_be_laid():
    flat = torch.full((1, 3, HEIGHT, WIDTH), 0.25)
    laid = lay(Pieces.of(flat, EVERYWHERE), style(3, 12, 10), random_field())
    assert torch.allclose(laid, torch.full_like(laid, 0.25), atol=1e-5)


def test_it_is_the_same_every_time():
    pieces, picture, field = Pieces.of(style(1), EVERYWHERE), style(3, 12, 10), random_field()
    assert torch.equal(lay(pieces, picture, field), lay(pieces, picture, field))
