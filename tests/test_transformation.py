"""The transformation network, and its pass over a picture of any size."""

import itertools

import pytest
import torch
from helpers import noise

from scumble.engine import passing
from scumble.engine.passing import Network
from scumble.engine.shape import POWERS, Shape, Upsampling
from scumble.engine.transformation import Transformation, convolved, doubled_sides, mixed, mixed_filters

STRENGTH = 45.0
PLACE = (5, 70)


def network(styles=1, upsampling=Upsampling.BILINEAR, blocks=2, width=4, own_filters=False, noise=True):
    """A network whose every number matters."""
    generator = torch.Generator().manual_seed(7)
    made = Transformation(Shape(styles, width, blocks, upsampling, own_filters, noise), generator)
    with torch.no_grad():
        for name in made.shape.tensors():
            tensor = made.tensor(name)
            if not name.endswith(".filters") or tensor.ndim > 4:
                tensor += 0.3 * torch.randn(tensor.shape, generator=generator)
    return made


def used(made, dtype=torch.float32):
    return Network.of(made.shape, made.tensors(), torch.device("cpu"), dtype)


@pytest.mark.parametrize("upsampling", Upsampling)
@pytest.mark.parametrize("strip_px", [2**18, 1, 4 * 24 * 4, 12 * 24 * 4], ids=["whole", "least", "a few", "a third"])
@pytest.mark.parametrize("size", [(24, 40), (52, 36), (8, 96)])
def test_a_pass_in_strips_is_what_was_learnt(monkeypatch, upsampling, strip_px, size):
    """Also at the seams, and with the means of the whole picture."""
    made, picture = network(upsampling=upsampling), noise(1, 3, *size, seed=1)
    wanted = made(picture, torch.ones(1, 1), torch.tensor([STRENGTH]), [PLACE]).detach()
    monkeypatch.setattr(passing, "STRIP_PX", strip_px)
    found = used(made).repaint(picture, [1.0], STRENGTH, PLACE)
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=0)


def test_with_noise_no_two_strokes_are_alike():
    """Of an even picture it would else make the same at every place."""
    even = torch.full((1, 3, 48, 48), 0.4)
    with_, without = (network(noise=each) for each in (True, False))
    inner = (..., slice(20, 28), slice(20, 28))
    assert used(without).repaint(even, [1.0], STRENGTH, PLACE)[inner].std((2, 3)).max() < 1e-4
    found = used(with_).repaint(even, [1.0], STRENGTH, PLACE)
    assert found[inner].std((2, 3)).min() > 1e-3
    assert (used(with_).repaint(even, [1.0], STRENGTH, (400, 3)) - found).abs().max() > 1e-3


def test_what_rises_evenly_rises_evenly_when_it_is_doubled():
    """Every px of the large map where it lies in the small one, between the middles of two px."""
    rises = torch.arange(8.0)[:, None] * 3 + torch.arange(6.0) * 5
    found = doubled_sides(rises[None, None], Upsampling.BILINEAR)[0, 0]
    y, x = ((torch.arange(side) + 0.5) / 2 - 0.5 for side in (16, 12))
    torch.testing.assert_close(found[1:-1, 1:-1], (y[:, None] * 3 + x * 5)[1:-1, 1:-1])


@pytest.mark.parametrize("strip_px", [2**18, 4 * 24 * 4], ids=["whole", "a few"])
def test_a_pass_after_several_styles_is_what_was_learnt(monkeypatch, strip_px):
    """Each with filters of its own."""
    made, pictures = network(2, own_filters=True), noise(2, 3, 24, 40, seed=1)
    mixtures = torch.tensor([[0.3, 0.7], [1.0, 0.0]])
    wanted = made(pictures, mixtures, torch.tensor([STRENGTH, STRENGTH]), [PLACE, PLACE]).detach()
    monkeypatch.setattr(passing, "STRIP_PX", strip_px)
    for picture, mixture, each in zip(pictures, mixtures, wanted, strict=True):
        found = used(made).repaint(picture[None], mixture.tolist(), STRENGTH, PLACE)
        torch.testing.assert_close(found[0], each, atol=2e-5, rtol=0)


def test_filters_of_several_styles_begin_alike_and_are_mixed_by_weight():
    fresh = Transformation(Shape(3, 4, 1, own_filters=True))
    for name in ("up1", "up2", "out"):
        filters = fresh.tensor(f"{name}.filters")
        assert len(filters) == 3
        assert bool((filters == filters[0]).all())
        assert filters[0].std() > 0
    filters = noise(3, 5, 2, 3, 3, seed=2)
    found = mixed_filters(filters, torch.tensor([0.2, 0.5, 0.3]))
    torch.testing.assert_close(found, 0.2 * filters[0] + 0.5 * filters[1] + 0.3 * filters[2])
    torch.testing.assert_close(mixed_filters(filters[1], torch.tensor([0.2, 0.5, 0.3])), filters[1])


@pytest.mark.parametrize("upsampling", Upsampling)
def test_any_rows_of_what_is_doubled_are_as_of_the_whole(upsampling):
    """At whatever rows a strip begins and ends."""
    made = network(upsampling=upsampling)
    layer = next(each for each in made.shape.layers if each.name == "up1")
    maps = noise(1, layer.into, 6, 10, seed=9)
    whole = convolved(maps, layer, made.tensor("up1.filters"), upsampling).detach()
    at_work = passing._Pass(used(made), noise(1, 3, 24, 40), [1.0], STRENGTH, PLACE)
    rows = at_work._raw(layer, passing._Stage(lambda top, end: maps[:, :, top:end], 6, 10), 12, 20)
    for first, last in itertools.combinations(range(13), 2):
        torch.testing.assert_close(rows(first, last), whole[:, :, first:last])


def test_any_size_is_taken():
    made, picture = network(), noise(1, 3, 21, 38, seed=2)
    found = used(made).repaint(picture, [1.0], STRENGTH, PLACE)
    assert found.shape == picture.shape
    padded = torch.nn.functional.pad(picture, (0, 2, 0, 3), mode="replicate")
    torch.testing.assert_close(found, used(made).repaint(padded, [1.0], STRENGTH, PLACE)[:, :, :21, :38])


def test_a_channel_is_normalised_and_brought_to_its_style(monkeypatch):
    """By the definition, in plain numbers: a network of one layer, its last one reading off a single channel."""
    made = network(blocks=0)
    picture = noise(1, 3, 16, 16, seed=3)
    seen = []
    monkeypatch.setattr(
        "scumble.engine.transformation.convolved", lambda h, layer, *rest: seen.append(h) or probe(layer)
    )
    answers = {layer.name: noise(1, layer.out, 16, 16, seed=10 + at) for at, layer in enumerate(made.shape.layers)}

    def probe(h, layer, *rest):
        seen.append(h)
        return answers[layer.name]

    monkeypatch.setattr("scumble.engine.transformation.convolved", probe)
    made(picture, torch.ones(1, 1), torch.tensor([STRENGTH]), [PLACE])
    for layer, shown in zip(made.shape.layers, seen[1:], strict=False):
        answer = answers[layer.name].double()
        mean, deviation = answer.mean((2, 3), keepdim=True), answer.std((2, 3), keepdim=True, correction=0)
        t = (STRENGTH - 60) / 40
        gain, shift = (
            sum(made.tensor(f"{layer.name}.{kind}")[0, power].double() * t**power for power in range(POWERS))
            for kind in ("gain", "shift")
        )
        wanted = (answer - mean) / deviation * gain[:, None, None] + shift[:, None, None]
        torch.testing.assert_close(shown.double(), wanted.relu(), atol=1e-3, rtol=1e-3)


def test_styles_are_mixed_by_weight():
    coefficients = noise(3, POWERS, 5, seed=4)
    each = [mixed(coefficients, torch.eye(3)[style : style + 1], torch.tensor([30.0])) for style in range(3)]
    found = mixed(coefficients, torch.tensor([[0.2, 0.5, 0.3]]), torch.tensor([30.0]))
    torch.testing.assert_close(found, 0.2 * each[0] + 0.5 * each[1] + 0.3 * each[2])


def test_a_style_of_its_own_ignores_the_others():
    made = network(styles=2, own_filters=True)
    picture = noise(1, 3, 24, 24, seed=5)
    before = used(made).repaint(picture, [1.0, 0.0], STRENGTH, PLACE)
    own = [name for name in made.shape.tensors() if len(made.tensor(name)) == 2]
    assert {name.rpartition(".")[2] for name in own} == {"filters", "gain", "shift", "share"}
    for name in own:
        made.tensor(name).data[1] += 1
    torch.testing.assert_close(used(made).repaint(picture, [1.0, 0.0], STRENGTH, PLACE), before)
    assert (used(made).repaint(picture, [0.0, 1.0], STRENGTH, PLACE) - before).abs().max() > 1e-3


def test_with_no_share_of_its_own_the_content_stays():
    made, picture = network(), noise(1, 3, 16, 16, seed=8)
    with torch.no_grad():
        made.tensor("out.share").zero_()[:, 0, 1] = 1
    found = used(made).repaint(picture, [1.0], STRENGTH, PLACE)
    torch.testing.assert_close(found, 0.02 + 0.96 * picture, atol=1e-5, rtol=0)


def test_what_stays_of_the_content_shrinks_with_the_strength():
    fresh = Transformation(Shape(styles=2))
    mixture = torch.tensor([[0.3, 0.7]]).expand(3, 2)
    own, stays = mixed(fresh.tensor("out.share"), mixture, torch.tensor([20.0, 60.0, 100.0])).T
    assert own.tolist() == pytest.approx([0.4, 1.0, 1.6], abs=1e-6)
    assert stays.tolist() == pytest.approx([1.0, 0.25, 0.0], abs=1e-6)


def test_what_it_gives_is_a_picture():
    made = network()
    made.tensor("out.bias").data += 30
    found = used(made).repaint(noise(1, 3, 16, 16, seed=6) * 3 - 1, [1.0], STRENGTH, PLACE)
    assert bool(((found >= 0) & (found <= 1)).all())
