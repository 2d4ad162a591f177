"""The nearest-neighbour style loss: matching by brute force, the loss by its formula, votes, masks, windows."""

import numpy as np
import pytest
import torch

from scumble.engine import candidates as search
from scumble.engine import neighbours
from scumble.engine.candidates import candidates, grid_map, grid_stride
from scumble.engine.neighbours import Matched, NeighbourTerm
from scumble.engine.regions import region_weights
from scumble.engine.tiles import windows
from scumble.engine.vgg import Trunk
from scumble.engine.weights import seeded

TAPS = ("conv1_1", "conv2_1", "conv3_1")
STRIDE = 2
ONE = torch.ones(1, 1, 48, 64)


@pytest.fixture(scope="module")
def trunk():
    return Trunk(seeded("vgg11"), TAPS)


def picture(seed=0, height=48, width=64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator)


def soft(seed):
    coarse = torch.nn.functional.interpolate(picture(seed, 6, 8), size=(48, 64), mode="bicubic")
    return coarse + 0.1 * picture(seed + 1)


def around(tile=None, height=48, width=64):
    return windows(height, width, tile, 16, 4)


def grid_region(mask=ONE):
    return region_weights(mask, ["grid"], {"grid": STRIDE}, {"grid": 0.0}, erosion=0)


def term_for(trunk, style, content, mask=ONE, visible=ONE, share=0.5, tile=None):
    found = candidates(trunk, style, visible, dict.fromkeys(TAPS, 1.0), STRIDE, around(tile))
    matched = Matched.of(grid_region(mask), found, 1.0, share, 24, 32)
    term = NeighbourTerm(trunk, TAPS, STRIDE, "grid", [matched])
    prepared = trunk.prepare(content)
    for window in around(tile):
        term.guide(trunk.forward(window.crop(prepared)), window)
    return term


def ask(trunk, term, x, tile=None, **options):
    prepared = trunk.prepare(x)
    for window in around(tile):
        term.ask(trunk.forward(window.crop(prepared)), window, **options)


def queries(trunk, term, x):
    ask(trunk, term, x)
    return term.matched[0].queries(torch.arange(24 * 32))


def match(trunk, term, x, tile=None, **options):
    ask(trunk, term, x, tile, **options)
    term.settle()


def loss_and_gradient(trunk, term, x, tile=None):
    prepared = trunk.prepare(x)
    for window in around(tile):
        term.observe(trunk.forward(window.crop(prepared)), window)
    loss = float(term.solve())
    total = torch.zeros_like(prepared)
    for window in around(tile):
        maps = trunk.forward(window.crop(prepared))
        g = trunk.backward(maps, lambda tap, maps, g, window=window: term.add_gradient(tap, maps, window, g))
        window.crop(total).add_(g)
    return loss, total


def hypercolumns(trunk, x, means, scales):
    layers = grid_map(trunk.forward(trunk.prepare(x)), TAPS, STRIDE, trunk.stride)
    rows = [layer[0].permute(1, 2, 0).reshape(-1, layer.shape[1]).double().numpy() for layer in layers]
    parts = [(r - m.numpy()) * s / np.sqrt(r.shape[1]) for r, m, s in zip(rows, means, scales, strict=True)]
    return np.concatenate(parts, 1)


def test_matches_are_the_nearest_by_cosine_of_what_is_centred(trunk, monkeypatch):
    monkeypatch.setattr(search, "SWEEPS", 0)
    monkeypatch.setattr(search, "EVENNESS", 0.0)
    style, content = picture(1), picture(2)
    term = term_for(trunk, style, content)
    match(trunk, term, content, by_content_alone=True)
    (matched,) = term.matched
    found = matched.field.flatten().numpy()

    columns = hypercolumns(trunk, content, matched.candidates.means, matched.candidates.scales)
    basis = matched.candidates.basis.double().numpy()
    query = columns @ basis
    query -= query.mean(0)
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    offered = matched.candidates.vectors.double().numpy() @ basis
    offered /= np.linalg.norm(offered, axis=1, keepdims=True)
    similar = query @ offered.T
    chosen = similar[np.arange(len(query)), found]
    assert np.all(chosen >= similar.max(1) - 1e-5)


def test_of_the_content_and_the_picture_each_is_centred_by_itself(trunk, monkeypatch):
    """A picture whose features are all moved alike finds the same neighbours."""
    monkeypatch.setattr(search, "SWEEPS", 0)
    term = term_for(trunk, picture(1), picture(2))
    match(trunk, term, picture(4))
    (matched,) = term.matched
    before = matched.field
    ask(trunk, term, picture(4))
    away = torch.randn(2, 1, matched.asked.shape[1], generator=torch.Generator().manual_seed(3))
    matched.asked, matched.guides = matched.asked + away[0], matched.guides + away[1]
    term.settle()
    assert (matched.field == before).float().mean() > 0.99


def test_prices_are_those_of_the_dual_ascent_in_numpy(trunk):
    found = candidates(trunk, picture(1), ONE, dict.fromkeys(TAPS, 1.0), STRIDE, around())
    queries = torch.nn.functional.normalize(
        torch.randn(200, found.basis.shape[1], generator=torch.Generator().manual_seed(3)), dim=1
    )
    similar = queries.numpy() @ found.projected.numpy().T
    count = search.PRICING_ROUNDS

    def around_each(values):
        grid = np.pad(values.reshape(24, 64), 1)
        return sum(grid[y : y + 24, x : x + 64] for y in range(3) for x in range(3)).ravel() / 9

    share = 200 / len(found.places) * around_each(np.ones(24 * 64))
    prices = np.zeros(24 * 64)
    for left in range(count, 0, -1):
        used = np.bincount((similar - prices).argmax(1), minlength=24 * 64)
        excess = (around_each(used) - share) / np.maximum(share, 1 / 9)
        prices += search.EVENNESS * left / count * np.minimum(excess, search.MOST_CROWDED)
    assert np.allclose(found.prices(queries), prices, atol=1e-5)


def test_a_match_weighs_likeness_against_the_price(trunk):
    found = candidates(trunk, picture(1), ONE, dict.fromkeys(TAPS, 1.0), STRIDE, around())
    queries, prices = found.projected[:50].clone(), torch.zeros(len(found.places))
    assert torch.equal(found.match(queries, prices), torch.arange(50))
    prices[10:20] = 3.0
    matches = found.match(queries, prices)
    assert torch.equal(matches[:10], torch.arange(10)) and not set(matches.tolist()) & set(range(10, 20))


def test_prices_spread_the_matches_over_the_style(trunk, monkeypatch):
    monkeypatch.setattr(search, "SWEEPS", 0)
    most = []
    for evenness in (0.0, 0.05):
        monkeypatch.setattr(search, "EVENNESS", evenness)
        term = term_for(trunk, soft(5), soft(8))
        match(trunk, term, soft(8))
        (matched,) = term.matched
        used = torch.bincount(matched.candidates.places[matched.field.flatten()], minlength=24 * 64)
        most.append(float(torch.nn.functional.avg_pool2d(used.float().view(1, 1, 24, 64), 3, 1).max()))
    assert most[1] < 0.75 * most[0]


def test_only_what_is_offered_is_matched(trunk):
    """Candidates are compared in whole blocks, and the last one is not full."""
    visible = ONE.clone()
    visible[..., :22] = 0
    found = candidates(trunk, picture(1), visible, dict.fromkeys(TAPS, 1.0), STRIDE, around())
    assert len(found.places) % search._BLOCK
    away = torch.nn.functional.normalize(-found.projected[:200], dim=1)
    assert int(found.match(away, torch.full((len(found.places),), 0.5)).max()) < len(found.places)


def test_going_on_costs_what_is_gone_on_to(trunk):
    term = term_for(trunk, soft(5), soft(8))
    (matched,), directions = term.matched, queries(trunk, term, soft(8))
    dear = torch.arange(len(matched.candidates.places)) % 5 == 0
    field = matched.candidates.match(directions, 5.0 * dear).view(24, 32)
    assert not dear[field].any()
    assert not dear[matched.candidates.cohere(field, directions, 5.0 * dear)].any()
    assert dear[matched.candidates.cohere(field, directions, 0.0 * dear)].any()


def test_what_goes_on_is_chosen_in_turns_as_plain_loops_choose_it(trunk, monkeypatch):
    monkeypatch.setattr(search, "MOST_CANDIDATES", 1000)  # of 1536 places every other is passed over
    term = term_for(trunk, soft(5), soft(8))
    (matched,), directions = term.matched, queries(trunk, term, soft(8))
    found, prices = matched.candidates, 0.1 * torch.rand(len(matched.candidates.places))
    field = found.match(directions, prices).view(24, 32)
    field[3:9, 4:20] = -1
    similar = (directions.double() @ found.projected.double().T - prices).numpy()
    places, expected = found.places.tolist(), field.tolist()

    def goes_on(match, dy, dx):
        y, x = divmod(places[match], 64)
        y, x = y + dy, x + dx
        if not (0 <= y < 24 and 0 <= x < 64 and x // 32 == places[match] % 64 // 32):
            return -1
        return max(-1, int(found.at[y * 64 + x]))

    def choose(y, x):
        options = [
            goes_on(expected[y - dy][x - dx], dy, dx)
            for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))
            if 0 <= y - dy < 24 and 0 <= x - dx < 32 and expected[y - dy][x - dx] >= 0
        ]
        offered = [expected[y][x], *(option for option in options if option >= 0)]
        return max(offered, key=lambda each: similar[y * 32 + x, each] + search.COHERENCE * options.count(each))

    for _ in range(search.SWEEPS):
        for turn in range(2):
            for y in range(24):
                for x in range(32):
                    if (y + x) % 2 != turn and expected[y][x] >= 0:
                        expected[y][x] = choose(y, x)
    monkeypatch.setattr(search, "_CHOOSING", 100)
    assert torch.equal(found.cohere(field, directions, prices), torch.tensor(expected))
    assert (field != torch.tensor(expected)).float().mean() > 0.2


def test_a_style_matches_itself_in_place_and_votes_for_itself(trunk):
    style = picture(3)
    term = term_for(trunk, style, style)
    match(trunk, term, style)
    (matched,) = term.matched
    places = matched.candidates.places[matched.field]
    own = torch.arange(24)[:, None] * 64 + torch.arange(32)[None]
    assert (places == own).float().mean() > 0.99
    colours, mass = term.votes()
    assert (mass > 0).all()
    inner = (..., slice(8, -8), slice(8, -8))
    assert torch.allclose(colours[inner], style[inner], atol=1e-5)


def test_the_loss_is_one_minus_the_mean_cosine(trunk):
    style, content, x = picture(1), picture(2), picture(4)
    term = term_for(trunk, style, content)
    match(trunk, term, x)
    loss, _ = loss_and_gradient(trunk, term, x)
    (matched,) = term.matched
    columns = hypercolumns(trunk, x, matched.candidates.means, matched.candidates.scales)
    target = matched.candidates.vectors[matched.field.flatten()].double().numpy()
    cosine = (columns * target).sum(1) / np.linalg.norm(columns, axis=1) / np.linalg.norm(target, axis=1)
    assert loss == pytest.approx(np.mean(1 - cosine), rel=1e-5)


def test_the_gradient_is_the_slope_of_the_loss(trunk):
    style, content, x = picture(1), picture(2), picture(4)
    term = term_for(trunk, style, content)
    match(trunk, term, x)
    _, gradient = loss_and_gradient(trunk, term, x)
    gradient = gradient / torch.tensor(trunk.weights.preprocessing.std).view(1, 3, 1, 1)
    step = 2e-3 * gradient / gradient.abs().max()
    up, _ = loss_and_gradient(trunk, term, x + step)
    down, _ = loss_and_gradient(trunk, term, x - step)
    assert up - down == pytest.approx(2 * float((gradient * step).sum()), rel=2e-2)


def test_windows_give_the_same_matches_loss_and_gradient(trunk):
    style, content, x = picture(1), picture(2), picture(4)
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., 5:40, 9:50] = 0.7
    found, fields = [], []
    for tile in (None, 16):
        term = term_for(trunk, style, content, mask, tile=tile)
        match(trunk, term, x, tile)
        fields.append(term.matched[0].field)
        found.append(loss_and_gradient(trunk, term, x, tile))
    assert torch.equal(*fields)
    (loss, gradient), (tiled_loss, tiled_gradient) = found
    assert tiled_loss == pytest.approx(loss, rel=1e-5)
    assert (tiled_gradient - gradient).norm() <= 1e-4 * gradient.norm()


@pytest.mark.parametrize("at_once", [neighbours._GATHERED, 1, 70], ids=["", "row by row", "two rows"])
def test_votes_are_means_of_the_styles_patches_under_bells(trunk, monkeypatch, at_once):
    """However few rows are gathered at once, as of a very wide picture."""
    monkeypatch.setattr(neighbours, "_GATHERED", at_once)
    style, strength = picture(1), 0.5 + 0.5 * picture(7, 48, 64)[:, :1]
    term = term_for(trunk, style, picture(2), strength)
    match(trunk, term, picture(2))
    (matched,) = term.matched
    reach = 3 * STRIDE // 2
    source = np.pad(matched.candidates.rgb[0].numpy(), ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    ramp = np.sin(np.pi * np.arange(1, 4 * STRIDE + 1) / (4 * STRIDE + 1)) ** 2
    colours, mass = np.zeros((3, 48 + 2 * reach, 64 + 2 * reach)), np.zeros((48 + 2 * reach, 64 + 2 * reach))
    for y in range(24):
        for x in range(32):
            row, column = divmod(int(matched.candidates.places[matched.field[y, x]]), 64)
            bell = np.outer(ramp, ramp) * float(matched.region.maps["grid"][y, x])
            there = (slice(y * STRIDE, (y + 4) * STRIDE), slice(x * STRIDE, (x + 4) * STRIDE))
            patch = source[:, row * STRIDE : (row + 4) * STRIDE, column * STRIDE : (column + 4) * STRIDE]
            colours[(slice(None), *there)] += bell * patch
            mass[there] += bell
    inner = (slice(reach, -reach), slice(reach, -reach))
    voted, heavy = term.votes()
    assert np.allclose(heavy[0, 0].numpy(), mass[inner], rtol=1e-4)
    assert np.allclose(voted[0].numpy(), colours[(slice(None), *inner)] / mass[inner], atol=1e-5)


def test_only_rows_of_the_region_are_matched_and_voted_for(trunk):
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., :24, :] = 1
    term = term_for(trunk, picture(1), picture(2), mask)
    match(trunk, term, picture(2))
    (matched,) = term.matched
    assert (matched.field[:12] >= 0).all()
    assert (matched.field[12:] < 0).all()
    _, mass = term.votes()
    assert not mass[..., 30:, :].any()


def test_what_is_invisible_of_a_style_is_never_matched(trunk):
    visible = torch.zeros(1, 1, 48, 64)
    visible[..., :, :32] = 1
    term = term_for(trunk, picture(1), picture(2), visible=visible)
    match(trunk, term, picture(2))
    (matched,) = term.matched
    columns = matched.candidates.places[matched.field] % 64
    assert ((columns < 16) | (columns >= 48)).all()  # the left half, and the right half of its mirror image


def test_coherence_keeps_pieces_of_the_style_whole(trunk, monkeypatch):
    monkeypatch.setattr(search, "EVENNESS", 0.0)
    style, content = soft(5), soft(8)

    def pieces(coherence):
        monkeypatch.setattr(search, "COHERENCE", coherence)
        term = term_for(trunk, style, content)
        match(trunk, term, content)
        (matched,) = term.matched
        places = matched.candidates.places[matched.field]
        return float((places[:, 1:] - places[:, :-1] == 1).float().mean())

    # where all choose at once it is 1.65 times as much
    assert pieces(0.1) > 2 * pieces(0.0)


def test_large_pictures_have_a_coarser_grid():
    assert grid_stride(128 * 128) < grid_stride(1024 * 1024)


def test_every_pixel_starts_from_the_pixel_that_its_position_is_matched_with(trunk):
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., :24, :] = 1
    term = term_for(trunk, picture(1), picture(2), mask)
    match(trunk, term, picture(2))
    (matched,) = term.matched
    found = matched.places_of_pixels()
    for y, x in ((0, 0), (5, 9), (22, 63), (23, 40)):
        row, column = divmod(int(matched.candidates.places[matched.field[y // STRIDE, x // STRIDE]]), 64)
        assert int(found[y, x]) == (row * STRIDE + y % STRIDE) * 128 + column * STRIDE + x % STRIDE
    assert (found[24:] == -1).all()


def test_pieces_are_laid_where_the_region_is(trunk):
    mask = torch.zeros(1, 1, 48, 64)
    mask[..., :24, :] = 1
    style, x = picture(1), picture(4)
    term = term_for(trunk, style, picture(2), mask)
    match(trunk, term, x)
    colours, mass = term.lay(x)
    assert mass[..., :24, :].all()
    assert not mass[..., 24:, :].any()
    assert not torch.equal(colours[..., :24, :], x[..., :24, :])
    style_colours = style[0].flatten(1).T
    far = torch.cdist(colours[0, :, 4:20, 4:60].flatten(1).T, style_colours).min(1).values
    assert far.mean() < 0.05


def test_pieces_of_two_styles_are_mixed_by_their_weights(trunk):
    styles = [torch.full((1, 3, 48, 64), level) for level in (0.25, 0.75)]
    both = [candidates(trunk, style, ONE, dict.fromkeys(TAPS, 1.0), STRIDE, around()) for style in styles]
    matched = [
        Matched.of(grid_region(), found, weight, 0.5, 24, 32) for found, weight in zip(both, (3, 1), strict=True)
    ]
    for each in matched:
        each.field = torch.zeros(24, 32, dtype=torch.long)
    colours, mass = NeighbourTerm(trunk, TAPS, STRIDE, "grid", matched).lay(picture(4))
    assert torch.allclose(mass, torch.tensor(4.0))
    assert torch.allclose(colours, torch.tensor(0.375), atol=1e-4)


def test_pieces_come_from_what_is_visible_of_a_style_also_where_it_is_no_candidate(trunk, monkeypatch):
    monkeypatch.setattr(search, "MOST_CANDIDATES", 100)
    visible = torch.zeros(1, 1, 48, 64)
    visible[..., :, :32] = 1
    found = candidates(trunk, picture(1), visible, dict.fromkeys(TAPS, 1.0), STRIDE, around())
    assert len(found.places) <= 100
    allowed = found.pieces.allowed.view(48, 128)
    assert torch.equal(allowed, torch.cat([visible, visible.flip(3)], 3)[0, 0] > 0)


def test_layers_count_by_their_weights(trunk):
    """Cosines of the hypercolumns, against the layers' own, standardised by NumPy and joined by weight."""
    first, second = (
        np.asarray(candidates(trunk, picture(1), ONE, {tap: 1.0}, STRIDE, around()).vectors) for tap in TAPS[:2]
    )
    weighted = candidates(trunk, picture(1), ONE, {TAPS[0]: 3.0, TAPS[1]: 0.0}, STRIDE, around()).vectors
    width = first.shape[1]
    assert np.allclose(weighted[:, :width], first, atol=1e-5) and not weighted[:, width:].any()
    both = np.asarray(candidates(trunk, picture(1), ONE, {TAPS[0]: 3.0, TAPS[1]: 1.0}, STRIDE, around()).vectors)
    parts = [np.square(both[:, :width]).sum(1), np.square(both[:, width:]).sum(1)]
    # each layer has variance one, so over all candidates the squares stand as the weights'
    lengths = [np.sqrt(np.square(part).sum(1)) for part in (both[:, :width], both[:, width:])]
    assert np.allclose(both[:, :width] / lengths[0][:, None], first, atol=1e-5)
    assert np.allclose(both[:, width:] / lengths[1][:, None], second, atol=1e-5)
    assert np.median(parts[0] / parts[1]) == pytest.approx(9, rel=0.3)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda field: [], "as many"),
        (lambda field: [field, field], "as many"),
        (lambda field: [field[1:]], "grid"),
        (lambda field: [field.masked_fill(field > 0, -1)], "selection"),
        (lambda field: [field.clamp(min=0)], "selection"),
        (lambda field: [torch.where(field < 0, -1, 10**6)], "style"),
    ],
)
def test_matches_are_recalled_and_what_cannot_be_theirs_is_refused(trunk, change, why):
    mask = ONE.clone()
    mask[..., :20, :] = 0
    term = term_for(trunk, picture(1), picture(2), mask)
    match(trunk, term, picture(4))
    (field,), (colours, mass) = term.fields, term.votes()
    match(trunk, term, picture(5))
    assert not torch.equal(term.fields[0], field)
    now = term.fields[0].clone()
    with pytest.raises(ValueError, match=why):
        term.recall(change(field))
    assert torch.equal(term.fields[0], now)
    term.recall([field])
    assert torch.equal(term.fields[0], field)
    assert all(torch.equal(a, b) for a, b in zip(term.votes(), (colours, mass), strict=True))
